// What a device can do at most: chains of one operation, enough of them beside each other to hide each one's length. For
// the benches, which say what share of it our kernels reach.
#include "power.cuh"

constexpr int CHAINS = 8;

template <class Step>
__device__ __forceinline__ void chains(float* out, int steps, float seed, Step step) {
    float value[CHAINS];
#pragma unroll
    for (int k = 0; k < CHAINS; k++) value[k] = seed + static_cast<float>(threadIdx.x + k);
    for (int n = 0; n < steps; n++) {
#pragma unroll
        for (int unrolled = 0; unrolled < 8; unrolled++) {
#pragma unroll
            for (int k = 0; k < CHAINS; k++) value[k] = step(value[k], value[(k + 1) % CHAINS]);
        }
    }
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < CHAINS; k++) sum += value[k];
    // Never true, and the compiler does not know it.
    if (sum == seed) *out = sum;
}

// Each thread: 64 * steps multiplications with additions, maxima, differences with maxima, powers of two.
extern "C" __global__ void rate_fma(float* out, int steps, float seed) {
    chains(out, steps, seed, [](float a, float b) { return fmaf(a, 0.5f, b); });
}

extern "C" __global__ void rate_max(float* out, int steps, float seed) {
    chains(out, steps, seed, [](float a, float b) { return fmaxf(a, b); });
}

extern "C" __global__ void rate_difference_max(float* out, int steps, float seed) {
    chains(out, steps, seed, [seed](float a, float b) { return fmaxf(a, fabsf(b - seed)); });
}

extern "C" __global__ void rate_exp2(float* out, int steps, float seed) {
    chains(out, steps, seed, [](float a, float) { return exp2_fast(a); });
}

// out = in, four floats a thread.
extern "C" __global__ void rate_copy(const float4* in, float4* out, long long count) {
    long long k = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (k < count) out[k] = in[k];
}
