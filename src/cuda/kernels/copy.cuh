// Copies from global to shared memory that go on while the thread computes: since compute capability 8.0; before, and on
// the host, they are done at once.
#pragma once

#if !defined(LINF_HOST) && __CUDA_ARCH__ >= 800

__device__ __forceinline__ unsigned shared_address(const void* to) {
    return static_cast<unsigned>(__cvta_generic_to_shared(to));
}

// Four floats; both places begin on 16 bytes.
__device__ __forceinline__ void copy_four(float* to, const float* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

// One float, or 0 where it is not real; `from` must be an address all the same.
__device__ __forceinline__ void copy_one(float* to, const float* from, bool real) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(real ? 4 : 0)
                 : "memory");
}

// No more copies for the next wait.
__device__ __forceinline__ void copies_end() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until this thread's copies are done; those of the others are behind the next barrier.
__device__ __forceinline__ void copies_wait() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

#else

__device__ __forceinline__ void copy_four(float* to, const float* from) {
    *reinterpret_cast<float4*>(to) = *reinterpret_cast<const float4*>(from);
}

__device__ __forceinline__ void copy_one(float* to, const float* from, bool real) { *to = real ? *from : 0.0f; }

__device__ __forceinline__ void copies_end() {}

__device__ __forceinline__ void copies_wait() {}

#endif
