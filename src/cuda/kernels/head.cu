// What the first linear layer of a head needs (arXiv 2102.05363, section 5): products of matrices, and the reach of its
// units over a box. Everything behind it is small and the host's.
#include "tile.cuh"

constexpr int ROWS = 4;
constexpr int COLUMNS = 8;

struct Product {
    float sum[ROWS][COLUMNS] = {};

    template <class See>
    __device__ __forceinline__ void tile(long long, See see) {
#pragma unroll 4
        for (int k = 0; k < STEP; k++) {
            float x[1][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
#pragma unroll
                for (int n = 0; n < COLUMNS; n++) sum[j][n] = fmaf(x[0][j], w[n], sum[j][n]);
            }
        }
    }
};

// The sums of x[b, i] * w[o, i] over each slice of the inputs, parts [slices, B, O].
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    products(const float* x, const float* w, float* parts, Shape shape, long long slice) {
    __shared__ Tiles<1, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, slice);
    Product op;
    sweep(op, tiles, {shape, place, x, w}, place);
    float* to = parts + blockIdx.y * shape.batch * shape.outputs;
    place.for_pairs(shape, [&](int j, int n, long long pair) { to[pair] = op.sum[j][n]; });
}

// y = scale * the sum of the slices + bias[o]; bias may be null.
extern "C" __global__ void join_products(const float* parts, const float* bias, float* y, long long pairs,
                                         long long outputs, int slices, float scale) {
    long long pair = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (pair >= pairs) return;
    float sum = 0.0f;
    for (int k = 0; k < slices; k++) sum += parts[k * pairs + pair];
    y[pair] = fmaf(scale, sum, bias ? bias[pair % outputs] : 0.0f);
}

// The sum of the magnitudes of each row of w [O, I]; a warp a row.
extern "C" __global__ void __launch_bounds__(LANES) sum_sizes(const float* w, float* sums, long long inputs) {
    const float* row = w + blockIdx.x * inputs;
    float sum = 0.0f;
    for (long long i = threadIdx.x; i < inputs; i += LANES) sum += fabsf(row[i]);
#pragma unroll
    for (int mask = LANES / 2; mask > 0; mask /= 2) sum += __shfl_xor_sync(EVERYONE, sum, mask);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// dw[o, i] += slope[o] * sign(w[o, i]), a block a row: the gradient of sum_sizes.
extern "C" __global__ void add_signs(float* dw, const float* w, const float* slope, long long inputs) {
    const long long row = blockIdx.x * inputs;
    const float each = slope[blockIdx.x];
    for (long long i = threadIdx.x; i < inputs; i += blockDim.x) {
        float value = w[row + i];
        dw[row + i] += value > 0.0f ? each : value < 0.0f ? -each : 0.0f;
    }
}
