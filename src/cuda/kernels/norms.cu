// Distances at any finite p, in one pass with a running maximum: y[b, o] = ||x_b - w_o||_p of x [B, I] and w [O, I], all
// row-major, after Zhang et al. (ICLR 2022, arXiv 2102.05363 section 5).
#include "power.cuh"
#include "tile.cuh"

constexpr int ROWS = 4;
constexpr int COLUMNS = 8;

constexpr float LEAST_NORMAL = 1.17549435e-38f;
// No largest difference yet: every difference exceeds it, but for 0 and those next to it.
constexpr float UNSET = 3.4028235e38f;

// Relative to the largest difference so far: the sum of (|x - w| * inverse)^p, where inverse is a float near
// one over that largest difference. Differences below `least` of it are passed over; what they are part of would not
// change.
struct Norm {
    // The reference is left alone until it is exceeded by more than rounding.
    static constexpr float EXCEEDED = 1.000001f;
    static constexpr int GROUP = 4;
    float inverse[ROWS][COLUMNS];
    float sum[ROWS][COLUMNS];
    float p, least;
    long long first;

    __device__ __forceinline__ Norm(float p, float least, long long first) : p(p), least(least), first(first) {}

    // A new largest difference: what was summed up relative to the old one shrinks.
    __device__ __forceinline__ void raise(int j, int n, float a) {
        float fresh = reciprocal_fast(a);
        float before = reciprocal_fast(inverse[j][n]);
        float r = fresh * before;
        float u = (fresh - inverse[j][n]) * before;
        sum[j][n] *= exp2_fast(p * (r > 0.75f ? log2_near_one(u) : log2_fast(r)));
        inverse[j][n] = fresh;
    }

    template <class See>
    __device__ __forceinline__ void tile(long long start, See see) {
        if (start == first) begin(see);
#pragma unroll 1
        for (int k = 0; k < STEP; k++) {
            float x[1][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
                // All of a row before the first decision, or each would wait for the one before.
                float most[COLUMNS / GROUP];
#pragma unroll
                for (int n = 0; n < COLUMNS; n += GROUP) {
                    float largest = 0.0f;
#pragma unroll
                    for (int q = 0; q < GROUP; q++) {
                        largest = fmaxf(largest, fabsf(x[0][j] - w[n + q]) * inverse[j][n + q]);
                    }
                    most[n / GROUP] = largest;
                }
#pragma unroll
                for (int n = 0; n < COLUMNS; n += GROUP) {
                    if (most[n / GROUP] > least) add(j, n, x[0][j], w, most[n / GROUP] > EXCEEDED);
                }
            }
        }
    }

    // What one sample and a group of outputs add. Terms below `least` come along: to pass over each costs more.
    __device__ __forceinline__ void add(int j, int n, float x, const float (&w)[COLUMNS], bool exceeded) {
        if (exceeded) {
#pragma unroll
            for (int q = 0; q < GROUP; q++) {
                float a = fabsf(x - w[n + q]);
                if (a * inverse[j][n + q] > EXCEEDED) raise(j, n + q, a);
            }
        }
#pragma unroll
        for (int q = 0; q < GROUP; q++) {
            float a = fabsf(x - w[n + q]), r = a * inverse[j][n + q];
            sum[j][n + q] += ratio_power(a, inverse[j][n + q], r, p);
        }
    }

    // Looks for the largest differences of the first tile before anything is summed up, or its terms would all be
    // relative to different ones.
    template <class See>
    __device__ __forceinline__ void begin(See see) {
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) sum[j][n] = 0.0f;
        }
#pragma unroll 1
        for (int k = 0; k < STEP; k++) {
            float x[1][ROWS], w[COLUMNS];
            see(k, x, w);
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
#pragma unroll
                for (int n = 0; n < COLUMNS; n++) sum[j][n] = fmaxf(sum[j][n], fabsf(x[0][j] - w[n]));
            }
        }
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) {
                inverse[j][n] = sum[j][n] < LEAST_NORMAL ? UNSET : reciprocal_fast(sum[j][n]);
                sum[j][n] = 0.0f;
            }
        }
    }
};

// The sums and references of `Norm`, [slice, b, o].
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    norms(const float* x, const float* w, float* sums, float* inverses, Shape shape, long long slice, float p,
          float least) {
    __shared__ Tiles<1, ROWS, COLUMNS> tiles;
    Place<ROWS, COLUMNS> place(shape, slice);
    Norm op(p, least, place.start);
    sweep(op, tiles, {shape, place, x, w}, place);
    sums += blockIdx.y * shape.batch * shape.outputs;
    inverses += blockIdx.y * shape.batch * shape.outputs;
    place.for_pairs(shape, [&](int j, int n, long long pair) {
        sums[pair] = op.sum[j][n];
        inverses[pair] = op.inverse[j][n];
    });
}

// From the parts of `norms` to the distances y, one over their largest differences, and S^(-(p-1)/p), [B, O] each:
// d = m * S^(1/p), and its slope is (|x - w| / m)^(p-1) * S^(-(p-1)/p). The distance itself would lose digits of the
// slope at large p.
extern "C" __global__ void finish_norms(const float* sums, const float* inverses, float* y, float* inverse, float* scale,
                                        long long pairs, int slices, float p) {
    long long pair = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (pair >= pairs) return;
    float least = UNSET;
    for (int s = 0; s < slices; s++) least = fminf(least, inverses[s * pairs + pair]);
    float sum = 0.0f;
    for (int s = 0; s < slices; s++) {
        float other = inverses[s * pairs + pair], part = sums[s * pairs + pair];
        if (part > 0.0f) sum += part * ratio_power(least, 1.0f / other, least / other, p);
    }
    bool none = !(sum > 0.0f);
    y[pair] = none ? 0.0f : powf(sum, 1.0f / p) / least;
    inverse[pair] = none ? 0.0f : least;
    scale[pair] = none ? 0.0f : powf(sum, -(p - 1.0f) / p);
}
