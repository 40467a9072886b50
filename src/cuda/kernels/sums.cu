// Distances at finite p by plain sums of powers, S = sum of |x - w|^p: for whole p by multiplication, for small real p
// by logarithm. x is [B, I], w is [O, I], y is [B, O], all row-major.
//
// Compiled once for each p that is wanted: POWER is a whole p, or 0 for any real one.
#include "power.cuh"
#include "tile.cuh"

constexpr int ROWS = 4;
constexpr int COLUMNS = 8;

// Sums outside of these bounds may have lost terms, or be infinite.
constexpr float LOWEST_SUM = 8.0779357e-28f;  // 2^-90
constexpr float HIGHEST_SUM = 1.3292280e36f;  // 2^120
constexpr float LEAST_NORMAL = 1.17549435e-38f;

struct Sum {
    float sum[ROWS][COLUMNS];
    float p;

    __device__ __forceinline__ explicit Sum(float p) : p(p) {
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) sum[j][n] = 0.0f;
        }
    }

    __device__ __forceinline__ float add(float d, float sum) const {
        if constexpr (POWER == 0) {
            return sum + real_power(fabsf(d), p);
        } else {
            return add_power<POWER>(d, sum);
        }
    }

    template <class See>
    __device__ __forceinline__ void tile(long long, See see) {
#pragma unroll (POWER == 0 ? 1 : 2)
        for (int k = 0; k < STEP; k++) {
            float x[1][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
#pragma unroll
                for (int n = 0; n < COLUMNS; n++) sum[j][n] = add(x[0][j] - w[n], sum[j][n]);
            }
        }
    }
};

// S of each slice of the inputs, [slice, b, o].
extern "C" __global__ void __launch_bounds__(THREADS, POWER == 0 ? 4 : 5)
    sums(const float* x, const float* w, float* sums, Shape shape, long long slice, float p) {
    __shared__ Tiles<1, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, slice);
    Sum op(p);
    sweep(op, tiles, {shape, place, x, w}, place);
    sums += blockIdx.y * shape.batch * shape.outputs;
    place.for_pairs(shape, [&](int j, int n, long long pair) { sums[pair] = op.sum[j][n]; });
}

__device__ __forceinline__ float over_warp(float value, bool largest) {
#pragma unroll
    for (int mask = LANES / 2; mask > 0; mask /= 2) {
        float other = __shfl_xor_sync(EVERYONE, value, mask);
        value = largest ? fmaxf(value, other) : value + other;
    }
    return value;
}

// The distance of one pair by all lanes of a warp, in two passes over its rows: always within range.
__device__ __forceinline__ float distance_by_warp(const float* x, const float* w, long long inputs, float p) {
    float m = 0.0f;
    for (long long i = threadIdx.x % LANES; i < inputs; i += LANES) m = fmaxf(m, fabsf(x[i] - w[i]));
    m = over_warp(m, true);
    if (m < LEAST_NORMAL) return m;
    float inverse = 1.0f / m, sum = 0.0f;
    for (long long i = threadIdx.x % LANES; i < inputs; i += LANES) {
        float a = fabsf(x[i] - w[i]);
        sum += ratio_power(a, inverse, a * inverse, p);
    }
    return powf(over_warp(sum, false), 1.0f / p) / inverse;
}

// From the sums of powers, [slice, b, o], to the distances y and one over them, [B, O]. Pairs whose sums come near the
// ends of the range of float are done over: always right, rarely needed.
extern "C" __global__ void finish_sums(const float* sums, const float* x, const float* w, float* y, float* inverse,
                                       Shape shape, int slices, float p) {
    long long pairs = shape.batch * shape.outputs;
    long long pair = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    float sum = 1.0f;
    if (pair < pairs) {
        sum = 0.0f;
        for (int s = 0; s < slices; s++) sum += sums[s * pairs + pair];
    }
    float distance = powf(sum, 1.0f / p);
    unsigned doubtful = __ballot_sync(EVERYONE, !(sum >= LOWEST_SUM && sum <= HIGHEST_SUM));
    int lane = threadIdx.x % LANES;
    while (doubtful != 0) {
        int whose = __ffs(static_cast<int>(doubtful)) - 1;
        long long other = pair - lane + whose;
        const float* row = x + other / shape.outputs * shape.inputs;
        float found = distance_by_warp(row, w + other % shape.outputs * shape.inputs, shape.inputs, p);
        if (lane == whose) distance = found;
        doubtful &= doubtful - 1;
    }
    if (pair >= pairs) return;
    y[pair] = distance;
    inverse[pair] = distance < LEAST_NORMAL ? 0.0f : 1.0f / distance;
}
