// Adam (Kingma & Ba, 2015) with the weight decay of arXiv 2102.05363, in one pass over weight, gradient and both moments.
#include "power.cuh"

constexpr int LANES = 32;
constexpr int THREADS = 256;
constexpr unsigned EVERYONE = 0xffffffffu;
// Added to every square, so that a weight of 0 has a logarithm.
constexpr float SMALL = 1e-10f;

struct Adam {
    float beta1, rest1;  // decay of the first moment, and 1 - beta1
    float beta2, rest2;  // of the second
    float rate;          // lr / (1 - beta1^t)
    float root;          // 1 / sqrt(1 - beta2^t)
    float eps;           // added to the root of the second moment, after the correction of its bias
};

// m = beta1 * m + rest1 * g, v = beta2 * v + rest2 * g^2, w -= rate * m / (sqrt(v) * root + eps), for a w that has
// decayed already. Sets *bad where the new weight or second moment is not finite, which a gradient that is not finite
// makes both; with an infinite moment a weight would never move again.
__device__ __forceinline__ void adam(const Adam& a, float decayed, float* w, float g, float* m, float* v, int* bad) {
    float first = fmaf(a.rest1, g, a.beta1 * *m);
    float second = fmaf(a.rest2 * g, g, a.beta2 * *v);
    float moved = fmaf(-a.rate, first / fmaf(sqrtf(second), a.root, a.eps), decayed);
    *m = first;
    *v = second;
    *w = moved;
    if (!isfinite(moved) || !isfinite(second)) atomicOr(bad, 1);
}

// A parameter whose weights all decay by the same share, to kept * w.
extern "C" __global__ void adam_all(float* w, const float* g, float* m, float* v, long long count, float kept, Adam a,
                                    int* bad) {
    long long k = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (k < count) adam(a, kept * w[k], w + k, g[k], m + k, v + k, bad);
}

// The largest of a block's values, or their sum, for every thread, in a fixed order.
template <bool LARGEST>
__device__ __forceinline__ float over_block(float value, float* room) {
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
#pragma unroll
    for (int mask = LANES / 2; mask > 0; mask /= 2) {
        float other = __shfl_xor_sync(EVERYONE, value, mask);
        value = LARGEST ? fmaxf(value, other) : value + other;
    }
    if (lane == 0) room[warp] = value;
    __syncthreads();
    value = room[0];
    for (int k = 1; k < THREADS / LANES; k++) value = LARGEST ? fmaxf(value, room[k]) : value + room[k];
    // The room is used again.
    __syncthreads();
    return value;
}

// A weight [O, I], a block a row, after one step down the gradient of ||w_o||_p^2 / 2:
// w -= amount * (|w| / ||w_o||_p)^(p-2) * w; at p = inf the first entry of largest magnitude alone decays.
extern "C" __global__ void __launch_bounds__(THREADS)
    adam_rows(float* weights, const float* gradients, float* moments, float* squares, long long inputs, float p,
              float amount, Adam a, int* bad) {
    __shared__ float room[THREADS / LANES];
    __shared__ unsigned long long first;
    const long long row = blockIdx.x * inputs;
    float* w = weights + row;
    const float* g = gradients + row;
    float *m = moments + row, *v = squares + row;

    const bool alike = p == 2.0f || inputs == 1, infinite = isinf(p);
    float largest = 0.0f, inverse = 0.0f, factor = amount;
    long long decaying = inputs;
    if (amount > 0.0f && !alike) {
        // The maximum over the block comes between this and its use.
        if (threadIdx.x == 0) first = static_cast<unsigned long long>(inputs);
        for (long long i = threadIdx.x; i < inputs; i += THREADS) largest = fmaxf(largest, fabsf(w[i]));
        largest = over_block<true>(largest, room);
        if (infinite) {
            for (long long i = threadIdx.x; i < inputs; i += THREADS) {
                if (fabsf(w[i]) == largest) atomicMin(&first, static_cast<unsigned long long>(i));
            }
            __syncthreads();
            decaying = static_cast<long long>(first);
        } else {
            largest = sqrtf(fmaf(largest, largest, SMALL));
            inverse = 1.0f / largest;
            float sum = 0.0f;
            for (long long i = threadIdx.x; i < inputs; i += THREADS) {
                // Rounding must not lift a magnitude above the largest.
                float size = fminf(sqrtf(fmaf(w[i], w[i], SMALL)), largest), ratio = size * inverse;
                sum = fmaf(ratio_power(size, inverse, ratio, p - 2.0f), ratio * ratio, sum);
            }
            factor = amount * powf(over_block<false>(sum, room), 2.0f / p - 1.0f);
        }
    }
    for (long long i = threadIdx.x; i < inputs; i += THREADS) {
        float decayed = w[i];
        if (amount > 0.0f) {
            float share = factor;
            if (infinite && !alike) {
                share = i == decaying ? amount : 0.0f;
            } else if (!alike) {
                float size = fminf(sqrtf(fmaf(decayed, decayed, SMALL)), largest);
                share = factor * ratio_power(size, inverse, size * inverse, p - 2.0f);
            }
            decayed -= share * decayed;
        }
        adam(a, decayed, w + i, g[i], m + i, v + i, bad);
    }
}
