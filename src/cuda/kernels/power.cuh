// Powers of differences, in single precision.
#pragma once

#ifndef LINF_HOST
// 2^x; off by a part in 2^22 at most, 0 below 2^-126.
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// log2 x; off by 2^-22 between 1/2 and 2, by a part in 2^22 elsewhere. That of 0 is -inf.
__device__ __forceinline__ float log2_fast(float x) {
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 1 / x, off by a unit in the last place.
__device__ __forceinline__ float reciprocal_fast(float x) {
    float y;
    asm("rcp.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#endif

// log2(1 + u) for -1/4 <= u <= 0, to 2e-7 of itself: a minimax polynomial of the quotient by u.
__device__ __forceinline__ float log2_near_one(float u) {
    float q = -0.49022394f;
    q = fmaf(q, u, 0.20762572f);
    q = fmaf(q, u, -0.37192592f);
    q = fmaf(q, u, 0.48021066f);
    q = fmaf(q, u, -0.72136265f);
    q = fmaf(q, u, 1.4426950f);
    return q * u;
}

// (a * inverse)^q for a >= 0 and a * inverse up to a little above 1, with r = a * inverse rounded.
//
// Near 1 the logarithm is taken of the difference from 1, which has one rounding alone: q = 1000 would magnify that of
// r. Far from 1 its error is magnified too, but what it is magnified in is small.
__device__ __forceinline__ float ratio_power(float a, float inverse, float r, float q) {
    float u = fmaf(a, inverse, -1.0f);
    return exp2_fast(q * (r > 0.75f ? log2_near_one(u) : log2_fast(r)));
}

// a^p for a >= 0, to 2e-7 * p of itself: the exponent of a apart from its mantissa, in [3/4, 3/2), whose logarithm is
// then as good as the device can. 0 for 0.
__device__ __forceinline__ float real_power(float a, float p) {
    constexpr int THREE_QUARTERS = 0x3f400000;
    int bits = __float_as_int(a), exponent = (bits - THREE_QUARTERS) >> 23;
    float mantissa = __int_as_float(bits - exponent * (1 << 23));
    // 3 * 2^22 plus a whole number has it in its last bits: a conversion would take the unit that the logarithm needs.
    float whole = __int_as_float(0x4b400000 + exponent) - 12582912.0f;
    return exp2_fast(fmaf(whole, p, p * log2_fast(mantissa)));
}

// a^N by multiplication.
template <int N>
__device__ __forceinline__ float power(float a) {
    if constexpr (N == 0) {
        return 1.0f;
    } else if constexpr (N % 2 == 1) {
        return a * power<N - 1>(a);
    } else {
        float root = power<N / 2>(a);
        return root * root;
    }
}

// sum + |a|^N.
template <int N>
__device__ __forceinline__ float add_power(float a, float sum) {
    if constexpr (N % 2 == 1) {
        return fmaf(fabsf(a), power<N - 1>(a), sum);
    } else {
        float root = power<N / 2>(a);
        return fmaf(root, root, sum);
    }
}

// |a|^N with the sign of a; 0 for 0.
template <int N>
__device__ __forceinline__ float signed_power(float a) {
    if constexpr (N == 0) {
        return a == 0.0f ? 0.0f : copysignf(1.0f, a);
    } else if constexpr (N % 2 == 1) {
        return power<N>(a);
    } else {
        return fabsf(a) * power<N - 1>(a);
    }
}
