// Bounds of the distances at p = inf over all inputs with lo <= x <= hi, for the float program itself: rounding is
// monotone, so the same operations at the ends of a box enclose all results within it.
//
// lowest[b, o] = max(0, max over i of max(lo - w, -(hi - w))), highest[b, o] = max over i of max(|lo - w|, |hi - w|),
// of lo, hi [B, I] and w [O, I], all row-major.
#include "tile.cuh"

constexpr int ROWS = 4;
constexpr int COLUMNS = 8;

struct Bounds {
    float lowest[ROWS][COLUMNS];
    float highest[ROWS][COLUMNS];

    __device__ __forceinline__ Bounds() {
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) lowest[j][n] = highest[j][n] = 0.0f;
        }
    }

    template <class See>
    __device__ __forceinline__ void tile(long long, See see) {
#pragma unroll 2
        for (int k = 0; k < STEP; k++) {
            float x[2][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
#pragma unroll
                for (int n = 0; n < COLUMNS; n++) {
                    float above = x[0][j] - w[n], below = w[n] - x[1][j];
                    lowest[j][n] = fmaxf(lowest[j][n], fmaxf(above, below));
                    highest[j][n] = fmaxf(highest[j][n], fmaxf(fabsf(above), fabsf(below)));
                }
            }
        }
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 2)
    bounds(const float* lo, const float* hi, const float* w, float* lowest, float* highest, Shape shape) {
    __shared__ Tiles<2, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, shape.inputs);
    Bounds op;
    sweep(op, tiles, {shape, place, lo, hi, w}, place);
    place.for_pairs(shape, [&](int j, int n, long long pair) {
        lowest[pair] = op.lowest[j][n];
        highest[pair] = op.highest[j][n];
    });
}
