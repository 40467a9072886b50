// The sweep of a forward pass: every difference of a tile of samples and outputs, input after input.
//
// A block has four warps. Its tile is 32 * ROWS samples by 4 * COLUMNS outputs: a lane has ROWS neighbouring samples, a
// warp has COLUMNS outputs. So the lanes of a warp look at one weight each time, and since neighbours in a batch are
// alike, mostly decide alike where the work depends on the size of a difference. Tiles of x and w are turned on their way
// to shared memory, so that a thread reads its samples and outputs of one input with one or two wide loads. While a tile
// is in use, the next one is under way.
#pragma once

#include "copy.cuh"

constexpr int LANES = 32;
constexpr int WARPS = 4;
constexpr int THREADS = LANES * WARPS;
// Inputs of a tile: 64 bytes of a row, two whole sectors.
constexpr int STEP = 16;
constexpr unsigned EVERYONE = 0xffffffffu;

struct Shape {
    long long batch;
    long long inputs;
    long long outputs;
};

// Rows of one operand, an input after the other. Four more, so that the threads that fill it rarely meet in a bank, and
// every input begins on 16 bytes.
template <int ROWS>
struct __align__(16) Plane {
    float data[STEP][ROWS + 4];
};

// What a block keeps in shared memory: two tiles of each operand.
template <int PLANES, int ROWS, int COLUMNS>
struct Tiles {
    Plane<LANES * ROWS> x[2][PLANES];
    Plane<WARPS * COLUMNS> w[2];
};

// N neighbouring floats, which begin on 4 * N bytes where N is no multiple of 4, else on 16.
template <int N>
__device__ __forceinline__ void read(const float* from, float (&to)[N]) {
    if constexpr (N % 4 == 0) {
#pragma unroll
        for (int k = 0; k < N; k += 4) {
            float4 four = *reinterpret_cast<const float4*>(from + k);
            to[k] = four.x;
            to[k + 1] = four.y;
            to[k + 2] = four.z;
            to[k + 3] = four.w;
        }
    } else {
#pragma unroll
        for (int k = 0; k < N; k++) to[k] = from[k];
    }
}

// A thread's share of the tiles of one operand.
template <int ROWS>
struct Share {
    static constexpr int COUNT = ROWS * STEP / THREADS;
    const float* next;     // the first element of the next tile
    long long stride;      // from one element of a tile to the next
    int left;              // elements of a tile whose rows exist
    long long end;         // inputs of the slice from this thread's on

    __device__ __forceinline__ Share(const float* from, long long first, long long rows, long long inputs,
                                     long long start, long long end)
        : next(from + (first + threadIdx.x / STEP) * inputs + start + threadIdx.x % STEP),
          stride(inputs * (THREADS / STEP)), end(end - threadIdx.x % STEP) {
        long long below = rows - first - threadIdx.x / STEP;
        left = static_cast<int>(min((below + THREADS / STEP - 1) / (THREADS / STEP), static_cast<long long>(COUNT)));
    }

    // Has the tile from `start` on copied. Rows beyond the last are 0; nobody looks at their results. Inputs beyond the
    // end are 0 in every operand: differences of 0, which change no result.
    __device__ __forceinline__ void fetch(Plane<ROWS>& plane, long long start) {
        const float* from = next;
        float* to = &plane.data[threadIdx.x % STEP][threadIdx.x / STEP];
        int count = start < end ? left : 0;
#pragma unroll
        for (int k = 0; k < COUNT; k++) {
            copy_one(to + k * (THREADS / STEP), from, k < count);
            from += stride;
        }
        next += STEP;
    }
};

// Where a block and a thread stand. Blocks are numbered along the outputs first; blockIdx.y is the slice of the inputs.
template <int ROWS, int COLUMNS>
struct Place {
    long long samples, outputs;  // the first of the block
    long long sample, output;    // the first of the thread
    long long start, end;        // inputs of the slice
    int row, column;             // of the thread in the tile

    __device__ __forceinline__ Place(const Shape& shape, long long slice) {
        long long tiles = (shape.outputs + WARPS * COLUMNS - 1) / (WARPS * COLUMNS);
        outputs = blockIdx.x % tiles * (WARPS * COLUMNS);
        samples = blockIdx.x / tiles * (LANES * ROWS);
        row = threadIdx.x % LANES * ROWS;
        column = threadIdx.x / LANES * COLUMNS;
        sample = samples + row;
        output = outputs + column;
        start = blockIdx.y * slice;
        end = min(start + slice, shape.inputs);
    }

    // Calls f(row, column, pair) for the thread's pairs that exist, with pair = b * O + o.
    template <class F>
    __device__ __forceinline__ void for_pairs(const Shape& shape, F f) const {
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
#pragma unroll
            for (int n = 0; n < COLUMNS; n++) {
                if (sample + j < shape.batch && output + n < shape.outputs) {
                    f(j, n, (sample + j) * shape.outputs + output + n);
                }
            }
        }
    }
};

// The operands of one block, tile after tile.
template <int PLANES, int ROWS, int COLUMNS>
struct Operands;

template <int ROWS, int COLUMNS>
struct Operands<1, ROWS, COLUMNS> {
    Share<LANES * ROWS> x;
    Share<WARPS * COLUMNS> w;

    __device__ __forceinline__ Operands(const Shape& shape, const Place<ROWS, COLUMNS>& at, const float* x,
                                        const float* w)
        : x(x, at.samples, shape.batch, shape.inputs, at.start, at.end),
          w(w, at.outputs, shape.outputs, shape.inputs, at.start, at.end) {}

    __device__ __forceinline__ void fetch(Tiles<1, ROWS, COLUMNS>& tiles, int side, long long start) {
        x.fetch(tiles.x[side][0], start);
        w.fetch(tiles.w[side], start);
        copies_end();
    }
};

// The ends of boxes in place of x.
template <int ROWS, int COLUMNS>
struct Operands<2, ROWS, COLUMNS> {
    Share<LANES * ROWS> lo, hi;
    Share<WARPS * COLUMNS> w;

    __device__ __forceinline__ Operands(const Shape& shape, const Place<ROWS, COLUMNS>& at, const float* lo,
                                        const float* hi, const float* w)
        : lo(lo, at.samples, shape.batch, shape.inputs, at.start, at.end),
          hi(hi, at.samples, shape.batch, shape.inputs, at.start, at.end),
          w(w, at.outputs, shape.outputs, shape.inputs, at.start, at.end) {}

    __device__ __forceinline__ void fetch(Tiles<2, ROWS, COLUMNS>& tiles, int side, long long start) {
        lo.fetch(tiles.x[side][0], start);
        hi.fetch(tiles.x[side][1], start);
        w.fetch(tiles.w[side], start);
        copies_end();
    }
};

// Runs `op` over the inputs of the slice. For each tile it calls op.tile(first input, see), where see(k, x, w) reads
// the thread's samples of every plane and its outputs at the k-th input of the tile.
template <int PLANES, int ROWS, int COLUMNS, class Op>
__device__ __forceinline__ void sweep(Op& op, Tiles<PLANES, ROWS, COLUMNS>& tiles,
                                      Operands<PLANES, ROWS, COLUMNS> operands, const Place<ROWS, COLUMNS>& place) {
    operands.fetch(tiles, 0, place.start);
    int side = 0;
    for (long long start = place.start; start < place.end; start += STEP) {
        copies_wait();
        // What every thread fetched is there, and nobody looks at the other side any more.
        __syncthreads();
        if (start + STEP < place.end) operands.fetch(tiles, side ^ 1, start + STEP);
        op.tile(start, [&](int k, float (&x)[PLANES][ROWS], float (&w)[COLUMNS]) {
#pragma unroll
            for (int p = 0; p < PLANES; p++) read(&tiles.x[side][p].data[k][place.row], x[p]);
            read(&tiles.w[side].data[k][place.column], w);
        });
        side ^= 1;
    }
}
