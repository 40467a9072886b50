// p = inf: y[b, o] = max over i of |x[b, i] - w[o, i]|, of x [B, I] and w [O, I], all row-major. Every value is the exact
// IEEE result of these operations.
#include "tile.cuh"

constexpr int ROWS = 4;
constexpr int COLUMNS = 8;

// More would spill registers.
#if __CUDA_ARCH__ >= 1200
constexpr int BLOCKS_WITH_TILE = 3;
#else
constexpr int BLOCKS_WITH_TILE = 4;
#endif

// Set in a saved index where x - w is negative.
constexpr unsigned NEGATIVE = 1u << 31;

struct Largest {
    float best[ROWS][COLUMNS];

    __device__ __forceinline__ Largest() {
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) best[j][n] = 0.0f;
        }
    }

    template <class See>
    __device__ __forceinline__ void tile(long long, See see) {
#pragma unroll 4
        for (int k = 0; k < STEP; k++) {
            float x[1][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
#pragma unroll
                for (int n = 0; n < COLUMNS; n++) best[j][n] = fmaxf(best[j][n], fabsf(x[0][j] - w[n]));
            }
        }
    }
};

// With the first tile that holds the maximum: to remember the input itself would cost as much as the maximum.
struct LargestOfTiles {
    float best[ROWS][COLUMNS];
    int at[ROWS][COLUMNS];

    __device__ __forceinline__ explicit LargestOfTiles(long long start) {
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) {
                best[j][n] = 0.0f;
                at[j][n] = static_cast<int>(start);
            }
        }
    }

    template <class See>
    __device__ __forceinline__ void tile(long long start, See see) {
        Largest here;
        here.tile(start, see);
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) {
                // Only where it is exceeded: of equal maxima the first counts.
                if (here.best[j][n] > best[j][n]) {
                    best[j][n] = here.best[j][n];
                    at[j][n] = static_cast<int>(start);
                }
            }
        }
    }
};

// The maxima of each slice of the inputs, [slice, b, o].
extern "C" __global__ void __launch_bounds__(THREADS, 5)
    largest(const float* x, const float* w, float* y, Shape shape, long long slice) {
    __shared__ Tiles<1, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, slice);
    Largest op;
    sweep(op, tiles, {shape, place, x, w}, place);
    y += blockIdx.y * shape.batch * shape.outputs;
    place.for_pairs(shape, [&](int j, int n, long long pair) { y[pair] = op.best[j][n]; });
}

// As `largest`, and the first input of the first tile that attains each maximum, [slice, b, o].
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_WITH_TILE)
    largest_with_tile(const float* x, const float* w, float* y, unsigned* index, Shape shape, long long slice) {
    __shared__ Tiles<1, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, slice);
    LargestOfTiles op(place.start);
    sweep(op, tiles, {shape, place, x, w}, place);
    y += blockIdx.y * shape.batch * shape.outputs;
    index += blockIdx.y * shape.batch * shape.outputs;
    place.for_pairs(shape, [&](int j, int n, long long pair) {
        y[pair] = op.best[j][n];
        index[pair] = static_cast<unsigned>(op.at[j][n]);
    });
}

// From the tile that holds the maximum y[b, o] to the first input that attains it, with NEGATIVE for the sign of x - w.
// Half a warp looks for each pair. A maximum that is nowhere is that of a row of NaN, and of its first input.
extern "C" __global__ void find_index(const float* x, const float* w, const float* y, unsigned* index, Shape shape) {
    long long pair = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / STEP;
    const int lane = threadIdx.x % STEP, half = threadIdx.x % LANES / STEP;
    const bool real = pair < shape.batch * shape.outputs;
    if (!real) pair = 0;
    const long long first = index[pair], input = first + lane;
    float d = 0.0f;
    bool found = false;
    if (input < shape.inputs) {
        d = x[pair / shape.outputs * shape.inputs + input] - w[pair % shape.outputs * shape.inputs + input];
        found = fabsf(d) == y[pair];
    }
    unsigned who = __ballot_sync(EVERYONE, found) >> (half * STEP) & ((1u << STEP) - 1);
    int winner = who == 0 ? 0 : __ffs(static_cast<int>(who)) - 1;
    if (real && lane == winner) index[pair] = static_cast<unsigned>(input) | (d < 0.0f ? NEGATIVE : 0u);
}

// Joins the maxima of slices. `indices` and `index` may be null together.
extern "C" __global__ void join_largest(const float* maxima, const unsigned* indices, float* y, unsigned* index,
                                        long long pairs, int slices) {
    long long pair = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (pair >= pairs) return;
    float best = maxima[pair];
    int at = 0;
    for (int s = 1; s < slices; s++) {
        float other = maxima[s * pairs + pair];
        if (other > best) {
            best = other;
            at = s;
        }
    }
    y[pair] = best;
    if (index) index[pair] = indices[at * pairs + pair];
}
