// Mean shift of a hidden layer: each output loses its mean over the batch, and so does its gradient.
constexpr int LANES = 32;
constexpr int WARPS = 8;
// Sums of some samples first, so that rounding grows with the square root of the batch's length at most. The order of
// all additions is that of the CPU's kernel, and so are the bits.
constexpr int SAMPLES = 16;

// y [B, O] in place. `running` may be null: a gradient has no running mean. Else running = kept * running + fresh * mean.
// Under dropout `counts` [O] says how many rows keep an output, else it is null; the others hold 0, and nonsense
// afterwards, and the running mean of an output that no row keeps stays. A block has 32 outputs; its warps have groups of samples.
extern "C" __global__ void __launch_bounds__(LANES * WARPS)
    mean_shift(float* y, float* running, const float* counts, long long batch, long long outputs, float kept,
               float fresh) {
    __shared__ float parts[WARPS][LANES];
    __shared__ float means[LANES];
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    const long long output = blockIdx.x * static_cast<long long>(LANES) + lane;
    const bool real = output < outputs;
    float total = 0.0f;
    for (long long first = 0; first < batch; first += SAMPLES * WARPS) {
        float sum = 0.0f;
        for (long long b = first + warp * SAMPLES; b < min(first + (warp + 1) * SAMPLES, batch); b++) {
            if (real) sum += y[b * outputs + output];
        }
        parts[warp][lane] = sum;
        __syncthreads();
        if (warp == 0) {
            for (int k = 0; k < WARPS && first + k * SAMPLES < batch; k++) total += parts[k][lane];
        }
        __syncthreads();
    }
    const float count = counts && real ? counts[output] : static_cast<float>(batch);
    if (warp == 0) means[lane] = total / fmaxf(count, 1.0f);
    __syncthreads();
    if (!real) return;
    const float mean = means[lane];
    if (running && warp == 0 && count > 0.0f)
        running[output] = __fadd_rn(__fmul_rn(kept, running[output]), __fmul_rn(fresh, mean));
    for (long long b = warp; b < batch; b += WARPS) y[b * outputs + output] -= mean;
}

// y[b, o] += bias[o].
extern "C" __global__ void add_bias(float* y, const float* bias, long long count, long long outputs) {
    long long k = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (k < count) y[k] += bias[k % outputs];
}
