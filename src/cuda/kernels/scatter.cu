// Gradients of layers whose outputs depend on K inputs each: K = 1 at p = inf, the K largest for sort neurons.
//
// index [B, O, K] holds the inputs with the sign of x - w; the k-th has slope weights[k] * g[b, o], with that sign. dx
// gains it, dw loses it. A warp has a row of dx or dw (or a part of it, in shared memory) and adds to it in the order of
// the outputs, or of the samples, and then of k: the order of the sums is that of the CPU's kernels, and so are the bits.
constexpr int LANES = 32;
constexpr int SPAN = 2048;
constexpr unsigned EVERYONE = 0xffffffffu;
constexpr unsigned NEGATIVE = 1u << 31;

struct Weights {
    float c[10];
};

// out[row, i] for `rows` rows; the others are `others` outputs or samples. The pair of a row and another one is
// row * row_stride + other * other_stride. blockIdx.x numbers the parts of rows.
extern "C" __global__ void __launch_bounds__(LANES)
    scatter(const unsigned* index, const float* g, float* out, long long inputs, long long others,
            long long row_stride, long long other_stride, Weights weights, int count, float sign) {
    __shared__ float sums[SPAN];
    __shared__ float weight[10];
    const long long parts = (inputs + SPAN - 1) / SPAN;
    const long long row = blockIdx.x / parts, first = blockIdx.x % parts * SPAN;
    const int length = static_cast<int>(min(static_cast<long long>(SPAN), inputs - first));
    const unsigned lane = threadIdx.x;
    for (int i = lane; i < length; i += LANES) sums[i] = 0.0f;
#pragma unroll
    for (int n = 0; n < 10; n++) weight[n] = weights.c[n];
    __syncwarp();

    long long other = lane / count;
    int k = lane % count;
    for (long long start = 0; start < others * count; start += LANES) {
        unsigned place = SPAN + lane;
        float slope = 0.0f;
        if (other < others) {
            long long pair = row * row_stride + other * other_stride;
            unsigned at = index[pair * count + k];
            long long within = static_cast<long long>(at & ~NEGATIVE) - first;
            if (within >= 0 && within < length) {
                place = static_cast<unsigned>(within);
                slope = g[pair] * weight[k];
                if (at & NEGATIVE) slope = -slope;
            }
        }
        // Of the lanes that add to one number, the first goes first.
        unsigned before = __match_any_sync(EVERYONE, place) & ((1u << lane) - 1);
        int turn = place < SPAN ? __popc(before) : -1;
        for (int now = 0; __any_sync(EVERYONE, turn >= now); now++) {
            if (turn == now) sums[place] += sign * slope;
            __syncwarp();
        }
        other += LANES / count;
        k += LANES % count;
        if (k >= count) {
            k -= count;
            other++;
        }
    }
    for (int i = lane; i < length; i += LANES) out[row * inputs + first + i] = sums[i];
}
