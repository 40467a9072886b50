// The sort neuron (Zhang et al., NeurIPS 2022): y[b, o] = sum over k of c_k * the k-th largest |x[b, i] - w[o, i]|, of
// x [B, I] and w [O, I], all row-major, with K <= 10 weights c_1 >= c_2 >= ... >= 0 and K <= I.
//
// The differences and their order are exact; the sum is s = fl(s + fl(c_k * .)) for k = 1, 2, ..., the same IEEE
// operations on every machine.
#include "tile.cuh"

constexpr int ROWS = 1;
constexpr int COLUMNS = 4;
constexpr int MOST = 10;
constexpr unsigned NEGATIVE = 1u << 31;

struct Weights {
    float c[MOST];
};

// The largest values so far, largest first; of equal ones the first seen.
struct Best {
    float value[MOST];
    unsigned index[MOST];

    __device__ __forceinline__ Best() {
#pragma unroll
        for (int k = 0; k < MOST; k++) {
            value[k] = -1.0f;
            index[k] = 0;
        }
    }

    __device__ __forceinline__ void offer(float fresh, unsigned at) {
        if (!(fresh > value[MOST - 1])) return;
#pragma unroll
        for (int k = MOST - 1; k > 0; k--) {
            bool above = fresh > value[k - 1], here = fresh > value[k];
            index[k] = above ? index[k - 1] : here ? at : index[k];
            value[k] = above ? value[k - 1] : here ? fresh : value[k];
        }
        if (fresh > value[0]) {
            value[0] = fresh;
            index[0] = at;
        }
    }

    __device__ __forceinline__ float sum(const Weights& weights, int count) const {
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < MOST; k++) {
            if (k < count) sum = __fadd_rn(sum, __fmul_rn(weights.c[k], value[k]));
        }
        return sum;
    }
};

// What is sorted.
enum class What { Distance, Nearest, Farthest };

template <What WHAT>
struct Sort {
    Best best[COLUMNS];

    template <class See>
    __device__ __forceinline__ void tile(long long start, See see) {
        constexpr int PLANES = WHAT == What::Distance ? 1 : 2;
#pragma unroll 1
        for (int k = 0; k < STEP; k++) {
            float x[PLANES][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) {
                float fresh;
                if constexpr (WHAT == What::Distance) {
                    fresh = fabsf(x[0][0] - w[n]);
                } else {
                    float above = x[0][0] - w[n], below = w[n] - x[1][0];
                    fresh = WHAT == What::Nearest ? fmaxf(fmaxf(above, below), 0.0f) : fmaxf(fabsf(above), fabsf(below));
                }
                best[n].offer(fresh, static_cast<unsigned>(start + k));
            }
        }
    }
};

// y, and where `index` is not null the inputs of the K largest differences, [B, O, K], with NEGATIVE for the signs of
// x - w.
extern "C" __global__ void __launch_bounds__(THREADS)
    sort_largest(const float* x, const float* w, float* y, unsigned* index, Shape shape, Weights weights, int count) {
    __shared__ Tiles<1, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, shape.inputs);
    Sort<What::Distance> op;
    sweep(op, tiles, {shape, place, x, w}, place);
    place.for_pairs(shape, [&](int j, int n, long long pair) {
        y[pair] = op.best[n].sum(weights, count);
        if (!index) return;
        const float* xs = x + (place.sample + j) * shape.inputs;
        const float* ws = w + (place.output + n) * shape.inputs;
#pragma unroll
        for (int k = 0; k < MOST; k++) {
            unsigned at = op.best[n].index[k];
            if (k < count) index[pair * count + k] = at | (xs[at] - ws[at] < 0.0f ? NEGATIVE : 0u);
        }
    });
}

template <What WHAT>
__device__ __forceinline__ void sort_ends(Tiles<2, ROWS, COLUMNS>& tiles, const float* lo, const float* hi,
                                          const float* w, float* y, const Shape& shape, const Weights& weights,
                                          int count) {
    Place<ROWS, COLUMNS> place(shape, shape.inputs);
    Sort<WHAT> op;
    sweep(op, tiles, {shape, place, lo, hi, w}, place);
    place.for_pairs(shape, [&](int, int n, long long pair) { y[pair] = op.best[n].sum(weights, count); });
}

// The least y over all inputs with lo <= x <= hi. Each operation of the sum is monotone, so the same operations at the
// ends of a box enclose all results within it.
extern "C" __global__ void __launch_bounds__(THREADS)
    sort_lowest(const float* lo, const float* hi, const float* w, float* y, Shape shape, Weights weights, int count) {
    __shared__ Tiles<2, ROWS, COLUMNS> tiles;
    sort_ends<What::Nearest>(tiles, lo, hi, w, y, shape, weights, count);
}

// The greatest.
extern "C" __global__ void __launch_bounds__(THREADS)
    sort_highest(const float* lo, const float* hi, const float* w, float* y, Shape shape, Weights weights, int count) {
    __shared__ Tiles<2, ROWS, COLUMNS> tiles;
    sort_ends<What::Farthest>(tiles, lo, hi, w, y, shape, weights, count);
}
