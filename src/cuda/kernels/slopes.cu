// Gradients of the distances at finite p, both in one pass, after arXiv 2102.05363 section 5:
// dx[b, i] = sum over o of s, dw[o, i] = -sum over b of s, with s = g * scale * (|x - w| * inverse)^(p-1) * sgn(x - w),
// where inverse, scale and g are [B, O].
//
// A block owns 32 columns of x, w, dx and dw, and walks all pairs (sample, output) of its slice of the outputs: so
// every slope is computed once, and no two blocks add to the same number. A warp has 4 of the columns, a lane 8 samples
// of a chunk of 256: dx stays in registers while the outputs pass by, and dw is summed up over the samples of a lane,
// then over the lanes, in a fixed order. While some outputs are worked on, the values of the next ones are on their way
// to shared memory.
//
// Compiled once for each kind of p: POWER is a whole p, 0 for a small real one, -1 for any p with the largest
// difference as the reference, where slopes below `least` are passed over.
#include "copy.cuh"
#include "power.cuh"

constexpr int LANES = 32;
constexpr int WARPS = 8;
constexpr int THREADS = LANES * WARPS;
constexpr int COLUMNS = 4;                 // inputs of a thread
constexpr int WIDTH = WARPS * COLUMNS;     // inputs of a block
constexpr int FOURS = 2;                   // a lane has neighbouring samples in fours, FOURS times
constexpr int SAMPLES = 4 * FOURS;         // samples of a lane
constexpr int CHUNK = LANES * SAMPLES;     // samples of a block at a time
constexpr int STAGE = 8;                   // outputs in shared memory
// Two would spill registers where copies go through them, and on one kind of device at p = 1.
#if __CUDA_ARCH__ == 750
constexpr int BLOCKS = POWER == 0 ? 1 : 2;
#elif __CUDA_ARCH__ == 900
constexpr int BLOCKS = POWER == 1 ? 1 : 2;
#else
constexpr int BLOCKS = 2;
#endif
constexpr unsigned EVERYONE = 0xffffffffu;

struct Shape {
    long long batch;
    long long inputs;
    long long outputs;
};

// The values of the pairs of a chunk and a few outputs, and these outputs' weights.
struct __align__(16) Stage {
    float inverse[STAGE][CHUNK];
    float factor[STAGE][CHUNK];
    float w[STAGE][WIDTH];
};

// What the slopes take of each pair, turned to [O, B'] with B' the next multiple of CHUNK: `inverse`, and the factor
// g * scale. Both are 0 beyond the batch, and so are the slopes there. A block turns 32 samples of 32 outputs.
extern "C" __global__ void __launch_bounds__(THREADS)
    turn_pairs(const float* inverse, const float* scale, const float* g, float* turned_inverse, float* factor,
               Shape shape, long long padded) {
    __shared__ float inverses[LANES][LANES + 1], factors[LANES][LANES + 1];
    const long long tiles = padded / LANES;
    const long long sample = blockIdx.x % tiles * LANES, output = blockIdx.x / tiles * LANES;
    const int lane = threadIdx.x % LANES;
    for (int row = threadIdx.x / LANES; row < LANES; row += WARPS) {
        float reference = 0.0f, product = 0.0f;
        if (sample + row < shape.batch && output + lane < shape.outputs) {
            const long long pair = (sample + row) * shape.outputs + output + lane;
            reference = inverse[pair];
            product = scale ? g[pair] * scale[pair] : g[pair];
        }
        inverses[row][lane] = reference;
        factors[row][lane] = product;
    }
    __syncthreads();
    for (int row = threadIdx.x / LANES; row < LANES; row += WARPS) {
        if (output + row >= shape.outputs) break;
        const long long to = (output + row) * padded + sample + lane;
        turned_inverse[to] = inverses[lane][row];
        factor[to] = factors[lane][row];
    }
}

struct Slope {
    float q;      // p - 1
    float least;  // of |x - w| * inverse, for a slope that counts

    // sgn(d) * r^q for r = |d| * inverse; 0 where d or the inverse is 0.
    __device__ __forceinline__ float of(float d, float inverse) const {
        if constexpr (POWER > 0) {
            return signed_power<POWER - 1>(d * inverse);
        } else {
            float a = fabsf(d), r = a * inverse;
            return copysignf(POWER == 0 ? exp2_fast(q * log2_fast(r)) : ratio_power(a, inverse, r, q), d);
        }
    }

    // Adds the slopes of one sample to its columns of dx and to the sums of an output.
    __device__ __forceinline__ void add(const float (&x)[COLUMNS], const float (&w)[COLUMNS], float inverse,
                                        float factor, float (&dx)[COLUMNS], float (&sums)[COLUMNS]) const {
        if constexpr (POWER == -1) {
            float most = 0.0f;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) most = fmaxf(most, fabsf(x[c] - w[c]) * inverse);
            if (!(most > least)) return;
        }
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            float slope = of(x[c] - w[c], inverse);
            dx[c] = fmaf(factor, slope, dx[c]);
            sums[c] = fmaf(factor, slope, sums[c]);
        }
    }
};

// The place in a chunk of the s-th sample of a lane.
__device__ __forceinline__ int sample_of(int lane, int s) { return s / 4 * (4 * LANES) + lane * 4 + s % 4; }

// Sums of the four values over all lanes of a warp: that of value lane / 8 comes back.
__device__ __forceinline__ float sum_over_lanes(const float (&values)[COLUMNS]) {
    int lane = threadIdx.x % LANES;
    bool upper = lane & 16, high = lane & 8;
    float kept[2];
#pragma unroll
    for (int c = 0; c < 2; c++) {
        float other = __shfl_xor_sync(EVERYONE, upper ? values[c] : values[c + 2], 16);
        kept[c] = (upper ? values[c + 2] : values[c]) + other;
    }
    float sum = (high ? kept[1] : kept[0]) + __shfl_xor_sync(EVERYONE, high ? kept[0] : kept[1], 8);
#pragma unroll
    for (int mask = 4; mask > 0; mask /= 2) sum += __shfl_xor_sync(EVERYONE, sum, mask);
    return sum;
}

// Has the stage filled with `count` outputs from `output` on, of the chunk's samples; what is beyond them is 0 or has a
// factor of 0.
__device__ __forceinline__ void fill(Stage& stage, const float* inverse, const float* factor, const float* w,
                                     const Shape& shape, long long padded, long long chunk, long long output,
                                     int count, long long first_input) {
    constexpr int FOURS_OF_CHUNK = CHUNK / 4;
#pragma unroll 1
    for (int k = threadIdx.x; k < STAGE * FOURS_OF_CHUNK; k += THREADS) {
        const int o = k / FOURS_OF_CHUNK, place = k % FOURS_OF_CHUNK * 4;
        if (o < count) {
            const long long from = (output + o) * padded + chunk + place;
            copy_four(&stage.inverse[o][place], inverse + from);
            copy_four(&stage.factor[o][place], factor + from);
        }
    }
    static_assert(THREADS == STAGE * WIDTH, "a weight for each thread");
    const int o = threadIdx.x / WIDTH, c = threadIdx.x % WIDTH;
    const bool real = o < count && first_input + c < shape.inputs;
    copy_one(&stage.w[o][c], real ? w + (output + o) * shape.inputs + first_input + c : w, real);
    copies_end();
}

// dw [O, I], and dx [slice, b, i]: slice blockIdx.y of the outputs alone. `inverse` and `factor` are those of
// `turn_pairs`; dx and dw may be null where they are not wanted.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    slopes(const float* x, const float* w, const float* inverse, const float* factor, float* dx, float* dw,
           Shape shape, long long padded, long long slice, float p, float least) {
    __shared__ Stage stages[2];
    const Slope slope{p - 1.0f, least};
    const int lane = threadIdx.x % LANES, column = threadIdx.x / LANES * COLUMNS;
    const long long first_input = static_cast<long long>(blockIdx.x) * WIDTH, input = first_input + column;
    const long long first_output = blockIdx.y * slice;
    const int outputs = static_cast<int>(min(slice, shape.outputs - first_output));
    const bool writes = dw && lane % 8 == 0 && input + lane / 8 < shape.inputs;

    for (long long chunk = 0; chunk < shape.batch; chunk += CHUNK) {
        const int samples = static_cast<int>(min(static_cast<long long>(CHUNK), shape.batch - chunk));
        float xs[SAMPLES][COLUMNS], dxs[SAMPLES][COLUMNS];
#pragma unroll
        for (int s = 0; s < SAMPLES; s++) {
            const float* from = x + (chunk + min(sample_of(lane, s), samples - 1)) * shape.inputs + input;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                xs[s][c] = input + c < shape.inputs ? from[c] : 0.0f;
                dxs[s][c] = 0.0f;
            }
        }
        float* to = dw + first_output * shape.inputs + input + lane / 8;
        auto fetch = [&](int side, int done) {
            fill(stages[side], inverse, factor, w, shape, padded, chunk, first_output + done, min(STAGE, outputs - done),
                 first_input);
        };
        // The last chunk's last stage may still be looked at.
        __syncthreads();
        fetch(0, 0);
        int side = 0;
        for (int done = 0; done < outputs; done += STAGE) {
            const int count = min(STAGE, outputs - done);
            copies_wait();
            // What every thread fetched is there, and nobody looks at the other side any more.
            __syncthreads();
            if (done + STAGE < outputs) fetch(side ^ 1, done + STAGE);
            const Stage& stage = stages[side];
            side ^= 1;
#pragma unroll 1
            for (int o = 0; o < count; o++) {
                float ws[COLUMNS], sums[COLUMNS] = {};
#pragma unroll
                for (int c = 0; c < COLUMNS; c++) ws[c] = stage.w[o][column + c];
#pragma unroll
                for (int s = 0; s < SAMPLES; s++) {
                    int place = sample_of(lane, s);
                    slope.add(xs[s], ws, stage.inverse[o][place], stage.factor[o][place], dxs[s], sums);
                }
                float sum = sum_over_lanes(sums);
                if (writes) *to = chunk == 0 ? -sum : *to - sum;
                to += shape.inputs;
            }
        }
        if (!dx) continue;
#pragma unroll
        for (int s = 0; s < SAMPLES; s++) {
            float* at = dx + (blockIdx.y * shape.batch + chunk + sample_of(lane, s)) * shape.inputs + input;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                if (sample_of(lane, s) < samples && input + c < shape.inputs) at[c] = dxs[s][c];
            }
        }
    }
}

// out[k] = the sum of the parts [slice, k], in their order.
extern "C" __global__ void join_sums(const float* parts, float* out, long long count, int slices) {
    long long k = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (k >= count) return;
    float sum = parts[k];
    for (int s = 1; s < slices; s++) sum += parts[s * count + k];
    out[k] = sum;
}
