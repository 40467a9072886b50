// Gradients of the distances at finite p, both in one pass, after arXiv 2102.05363 section 5:
// dx[b, i] = sum over o of s, dw[o, i] = -sum over b of s, with s = g * scale * (|x - w| * inverse)^(p-1) * sgn(x - w),
// where inverse, scale and g are [B, O].
//
// A block owns 32 columns of x, w, dx and dw, and walks all pairs (sample, output) of its slice of the outputs: so
// every slope is computed once, and no two blocks add to the same number. A warp has 4 of the columns, a lane 8 samples
// of a chunk of 256: dx stays in registers while the outputs pass by, and dw is summed up over the samples of a lane,
// then over the lanes, in a fixed order.
//
// Compiled once for each kind of p: POWER is a whole p, 0 for a small real one, -1 for any p with the largest
// difference as the reference, where slopes below `least` are passed over.
#include "power.cuh"

constexpr int LANES = 32;
constexpr int WARPS = 8;
constexpr int THREADS = LANES * WARPS;
constexpr int COLUMNS = 4;                 // inputs of a thread
constexpr int WIDTH = WARPS * COLUMNS;     // inputs of a block
constexpr int FOURS = 2;                   // a lane has neighbouring samples in fours, FOURS times
constexpr int SAMPLES = 4 * FOURS;         // samples of a lane
constexpr int CHUNK = LANES * SAMPLES;     // samples of a block at a time
constexpr int STAGE = 8;                   // outputs in shared memory
constexpr unsigned EVERYONE = 0xffffffffu;

struct Shape {
    long long batch;
    long long inputs;
    long long outputs;
};

// The values of the pairs of a chunk and a few outputs, and these outputs' weights. Four more samples, so that the
// threads that fill it do not meet in a bank, and every output begins on 16 bytes.
struct __align__(16) Stage {
    float inverse[STAGE][CHUNK + 4];
    float factor[STAGE][CHUNK + 4];
    float w[STAGE][WIDTH];
};

struct Slope {
    float q;      // p - 1
    float least;  // of |x - w| * inverse, for a slope that counts

    // sgn(d) * r^q for r = |d| * inverse.
    __device__ __forceinline__ float of(float d, float inverse) const {
        if constexpr (POWER > 0) {
            return signed_power<POWER - 1>(d * inverse);
        } else {
            float a = fabsf(d), r = a * inverse;
            return copysignf(POWER == 0 ? exp2_fast(q * log2_fast(r)) : ratio_power(a, inverse, r, q), d);
        }
    }

    // Adds the slopes of one sample to its columns of dx and to the sums of an output.
    __device__ __forceinline__ void add(const float (&x)[COLUMNS], const float (&w)[COLUMNS], float inverse,
                                        float factor, float (&dx)[COLUMNS], float (&sums)[COLUMNS]) const {
        if constexpr (POWER == -1) {
            float most = 0.0f;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) most = fmaxf(most, fabsf(x[c] - w[c]) * inverse);
            if (!(most > least)) return;
        }
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            float d = x[c] - w[c];
            // A difference of 0 has no slope, not even where 0^0 is 1.
            if (POWER > 0 || fabsf(d) * inverse > least) {
                float slope = of(d, inverse);
                dx[c] = fmaf(factor, slope, dx[c]);
                sums[c] = fmaf(factor, slope, sums[c]);
            }
        }
    }
};

// The place in a chunk of the s-th sample of a lane.
__device__ __forceinline__ int sample_of(int lane, int s) { return s / 4 * (4 * LANES) + lane * 4 + s % 4; }

// Sums of the four values over all lanes of a warp: that of value lane / 8 comes back.
__device__ __forceinline__ float sum_over_lanes(const float (&values)[COLUMNS]) {
    int lane = threadIdx.x % LANES;
    bool upper = lane & 16, high = lane & 8;
    float kept[2];
#pragma unroll
    for (int c = 0; c < 2; c++) {
        float other = __shfl_xor_sync(EVERYONE, upper ? values[c] : values[c + 2], 16);
        kept[c] = (upper ? values[c + 2] : values[c]) + other;
    }
    float sum = (high ? kept[1] : kept[0]) + __shfl_xor_sync(EVERYONE, high ? kept[0] : kept[1], 8);
#pragma unroll
    for (int mask = 4; mask > 0; mask /= 2) sum += __shfl_xor_sync(EVERYONE, sum, mask);
    return sum;
}

// Fills the stage with `count` outputs from `output` on, of `samples` samples from `chunk` on. The values of what is
// beyond them are 0, and so are its slopes.
__device__ __forceinline__ void fill(Stage& stage, const float* inverse, const float* scale, const float* g,
                                     const float* w, const Shape& shape, long long chunk, int samples,
                                     long long output, int count, long long first_input) {
    constexpr int APART = THREADS / STAGE;
    const int row = threadIdx.x % STAGE, first = threadIdx.x / STAGE;
    const long long pair = (chunk + first) * shape.outputs + output + row;
    const long long stride = APART * shape.outputs;
    const float *from_inverse = inverse + pair, *from_scale = scale + pair, *from_g = g + pair;
    const int end = row < count ? samples : 0;
#pragma unroll
    for (int k = 0; k < CHUNK / APART; k++) {
        const int place = first + k * APART;
        float reference = 0.0f, factor = 0.0f;
        if (place < end) {
            reference = *from_inverse;
            factor = *from_g;
            if (POWER == -1) factor *= *from_scale;
        }
        stage.inverse[row][place] = reference;
        stage.factor[row][place] = factor;
        from_inverse += stride;
        from_g += stride;
        if (POWER == -1) from_scale += stride;
    }
    static_assert(THREADS == STAGE * WIDTH, "a weight for each thread");
    const int o = threadIdx.x / WIDTH, c = threadIdx.x % WIDTH;
    if (o < count && first_input + c < shape.inputs) {
        stage.w[o][c] = w[(output + o) * shape.inputs + first_input + c];
    } else {
        stage.w[o][c] = 0.0f;
    }
}

// dw [O, I], and dx [slice, b, i]: slice blockIdx.y of the outputs alone. `scale` is looked at for POWER = -1 alone; dx
// and dw may be null where they are not wanted.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    slopes(const float* x, const float* w, const float* inverse, const float* scale, const float* g, float* dx,
           float* dw, Shape shape, long long slice, float p, float least) {
    __shared__ Stage stage;
    const Slope slope{p - 1.0f, least};
    const int lane = threadIdx.x % LANES, column = threadIdx.x / LANES * COLUMNS;
    const long long first_input = static_cast<long long>(blockIdx.x) * WIDTH, input = first_input + column;
    const long long first_output = blockIdx.y * slice, end = min(first_output + slice, shape.outputs);
    const bool writes = dw && lane % 8 == 0 && input + lane / 8 < shape.inputs;
    if (dx) dx += blockIdx.y * shape.batch * shape.inputs;

    for (long long chunk = 0; chunk < shape.batch; chunk += CHUNK) {
        const int samples = static_cast<int>(min(static_cast<long long>(CHUNK), shape.batch - chunk));
        float xs[SAMPLES][COLUMNS], dxs[SAMPLES][COLUMNS];
#pragma unroll
        for (int s = 0; s < SAMPLES; s++) {
            const float* from = x + (chunk + min(sample_of(lane, s), samples - 1)) * shape.inputs + input;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                xs[s][c] = input + c < shape.inputs ? from[c] : 0.0f;
                dxs[s][c] = 0.0f;
            }
        }
        float* to = dw + first_output * shape.inputs + input + lane / 8;
        for (long long output = first_output; output < end; output += STAGE) {
            const int count = static_cast<int>(min(static_cast<long long>(STAGE), end - output));
            __syncthreads();
            fill(stage, inverse, scale, g, w, shape, chunk, samples, output, count, first_input);
            __syncthreads();
#pragma unroll 1
            for (int o = 0; o < count; o++) {
                float ws[COLUMNS], sums[COLUMNS] = {};
#pragma unroll
                for (int c = 0; c < COLUMNS; c++) ws[c] = stage.w[o][column + c];
#pragma unroll
                for (int s = 0; s < SAMPLES; s++) {
                    int place = sample_of(lane, s);
                    slope.add(xs[s], ws, stage.inverse[o][place], stage.factor[o][place], dxs[s], sums);
                }
                float sum = sum_over_lanes(sums);
                if (writes) *to = chunk == 0 ? -sum : *to - sum;
                to += shape.inputs;
            }
        }
        if (!dx) continue;
#pragma unroll
        for (int s = 0; s < SAMPLES; s++) {
            float* at = dx + (chunk + sample_of(lane, s)) * shape.inputs + input;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                if (sample_of(lane, s) < samples && input + c < shape.inputs) at[c] = dxs[s][c];
            }
        }
    }
}

// out[k] = the sum of the parts [slice, k], in their order.
extern "C" __global__ void join_sums(const float* parts, float* out, long long count, int slices) {
    long long k = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (k >= count) return;
    float sum = parts[k];
    for (int s = 1; s < slices; s++) sum += parts[s * count + k];
    out[k] = sum;
}
