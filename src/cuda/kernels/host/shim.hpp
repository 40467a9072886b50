// Runs CUDA kernels on the host, for tests on machines without a GPU: the very source that NVRTC compiles, compiled by
// the C++ compiler behind this header.
//
// Every CUDA thread of a block is a fiber on one thread of the system. A warp runs as far as it can, to its next barrier
// of the block or its end, before the others; in which order warps and lanes go, a seed says. In blocks of one warp what
// a lane writes to shared memory is seen by the others from its next barrier on only: shuffles and votes order no memory.
// So a barrier that is missing shows as a wrong result, and shared memory is filled with NaN before each block. With
// LINF_THREADS every CUDA thread is a thread of the system, for ThreadSanitizer.
//
// What it does not show: speed, the limits of a device, and orders within an instruction that only a device has.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>
#ifdef LINF_THREADS
#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#else
#include <csetjmp>
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
// Jumps between stacks confuse AddressSanitizer; the slow switch does not.
#define LINF_SLOW_SWITCH
#endif

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

namespace shim {

constexpr unsigned LANES = 32;

struct Thread;
extern thread_local Thread* current;
extern dim3 grid, block;

struct Thread {
    dim3 place, of_block;
    unsigned number = 0;
    unsigned turn = 0;  // collective operations of a warp so far
#ifndef LINF_THREADS
    enum class Wait { Nothing, Block, Warp, Lanes, Done } wait = Wait::Nothing;
    ucontext_t first{};
    jmp_buf here{};
    bool begun = false;
    std::vector<std::pair<uint32_t, char>> unseen;  // bytes of shared memory that this lane alone sees so far
#endif
};

// What each lane says to its warp, for this operation and for the next: nobody is two ahead.
extern std::vector<uint64_t> said[2];

#ifdef LINF_THREADS
struct Barriers {
    std::barrier<> block;
    std::vector<std::unique_ptr<std::barrier<>>> warps;
    explicit Barriers(unsigned threads) : block(threads) {
        for (unsigned n = 0; n < threads; n += LANES) {
            warps.push_back(std::make_unique<std::barrier<>>(std::min(LANES, threads - n)));
        }
    }
};
extern std::unique_ptr<Barriers> barriers;
inline void sync_block() { barriers->block.arrive_and_wait(); }
inline void sync_warp() { barriers->warps[current->number / LANES]->arrive_and_wait(); }
inline void sync_lanes() { sync_warp(); }
#else
void wait(Thread::Wait why);
inline void sync_block() { wait(Thread::Wait::Block); }
inline void sync_warp() { wait(Thread::Wait::Warp); }
inline void sync_lanes() { wait(Thread::Wait::Lanes); }  // for what orders no memory
#endif

// Every lane says something; what they said comes back as a function of the lane.
template <class T>
auto exchange(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    std::vector<uint64_t>& room = said[current->turn++ & 1];
    std::memcpy(&room[current->number], &value, sizeof value);
    sync_lanes();
    unsigned first = current->number & ~(LANES - 1);
    return [&room, first](unsigned lane) {
        T heard;
        std::memcpy(&heard, &room[first + lane], sizeof heard);
        return heard;
    };
}

// A pseudo-random number in [-1, 1] that depends on x alone.
inline float noise(float x, uint32_t salt) {
    uint32_t h;
    std::memcpy(&h, &x, sizeof h);
    h = (h ^ salt) * 0x9E3779B1u;
    h ^= h >> 15;
    h *= 0x85EBCA77u;
    h ^= h >> 13;
    return static_cast<float>(static_cast<int32_t>(h)) * 0x1p-31f;
}

// Runs all blocks of a grid. What was wrong comes back; nullptr where nothing was.
const char* launch(dim3 grid, dim3 block, unsigned seed, const std::function<void()>& body);

template <class... A, size_t... N>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<N...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[N])...);
}

template <class... A>
const char* run(void (*kernel)(A...), const unsigned* grid, unsigned threads, unsigned seed, void** arguments) {
    return launch({grid[0], grid[1], grid[2]}, {threads, 1, 1}, seed,
                  [&] { call(kernel, arguments, std::index_sequence_for<A...>()); });
}

}  // namespace shim

#define LINF_HOST
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __shared__ static __attribute__((section("shared_memory")))
#define threadIdx (shim::current->place)
#define blockIdx (shim::current->of_block)
#define blockDim (shim::block)
#define gridDim (shim::grid)

using std::isfinite;
using std::isinf;
using std::max;
using std::min;

inline void __syncthreads() { shim::sync_block(); }
inline void __syncwarp() { shim::sync_warp(); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline int __float_as_int(float a) {
    int bits;
    std::memcpy(&bits, &a, sizeof bits);
    return bits;
}
inline float __int_as_float(int bits) {
    float a;
    std::memcpy(&a, &bits, sizeof a);
    return a;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    return shim::exchange(value)((shim::current->number ^ static_cast<unsigned>(mask)) % shim::LANES);
}

inline unsigned __ballot_sync(unsigned, bool yes) {
    auto heard = shim::exchange(yes);
    unsigned all = 0;
    for (unsigned lane = 0; lane < shim::LANES; lane++) all |= static_cast<unsigned>(heard(lane)) << lane;
    return all;
}

inline bool __any_sync(unsigned everyone, bool yes) { return __ballot_sync(everyone, yes) != 0; }

inline unsigned __match_any_sync(unsigned, unsigned value) {
    auto heard = shim::exchange(value);
    unsigned same = 0;
    for (unsigned lane = 0; lane < shim::LANES; lane++) same |= static_cast<unsigned>(heard(lane) == value) << lane;
    return same;
}

inline int atomicOr(int* to, int bits) { return __atomic_fetch_or(to, bits, __ATOMIC_RELAXED); }

inline unsigned long long atomicMin(unsigned long long* to, unsigned long long value) {
    unsigned long long old = __atomic_load_n(to, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange_n(to, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}

// The approximations of the device, as far off as its manual allows.
inline float exp2_fast(float x) {
    float y = std::exp2(x);
    return y < 0x1p-126f ? 0.0f : y * (1.0f + 0x1p-22f * shim::noise(x, 1));
}

inline float log2_fast(float x) {
    float y = x < 0x1p-126f ? -INFINITY : std::log2(x);
    return x > 0.5f && x < 2.0f ? y + 0x1p-22f * shim::noise(x, 2) : y * (1.0f + 0x1p-22f * shim::noise(x, 2));
}

inline float reciprocal_fast(float x) { return (1.0f / x) * (1.0f + 0x1p-24f * shim::noise(x, 3)); }
