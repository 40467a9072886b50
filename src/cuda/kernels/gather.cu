// Copies of what a part of a layer uses, and their adjoints, which add what was computed to where it came from: a
// convolution, a group or a random subset of channels is a dense layer on such copies. Sums are in the order of the CPU's.
//
// A sample is kept position by position, x [B, P, C]; weights are [O, C / G * k * k] in the order (channel, row, column).

// What neurons see, and how many there are.
struct Form {
    int channels, height, width;                 // of the input
    int outputs, out_height, out_width;
    int kernel, stride, pad, dilation;           // of the window
};

// Some channels: neighbours from `first` on or, where there is a list, those that it names from its place `first` on.
struct Pick {
    const unsigned* list;
    long long first;

    __device__ __forceinline__ long long operator[](int n) const { return list ? list[first + n] : first + n; }
};

// to [rows, channels * k * k], a block a row: what one neuron sees. Padding is 0.
extern "C" __global__ void take_patches(const float* x, const unsigned* list, long long first, float* to, Form form,
                                        long long sample, int channels) {
    const Pick inputs{list, first};
    const int positions = form.out_height * form.out_width, square = form.kernel * form.kernel;
    const int position = static_cast<int>(blockIdx.x % positions);
    const int top = position / form.out_width * form.stride - form.pad;
    const int left = position % form.out_width * form.stride - form.pad;
    const float* from = x + (sample + blockIdx.x / positions) * form.height * form.width * form.channels;
    float* patch = to + blockIdx.x * static_cast<long long>(channels) * square;
    for (int k = threadIdx.x; k < channels * square; k += blockDim.x) {
        const int place = k % square;
        const int row = top + place / form.kernel * form.dilation, column = left + place % form.kernel * form.dilation;
        const bool inside = row >= 0 && row < form.height && column >= 0 && column < form.width;
        patch[k] = inside ? from[(static_cast<long long>(row) * form.width + column) * form.channels + inputs[k / square]]
                          : 0.0f;
    }
}

// Adds what take_patches took to dx, a block an input position: the adjoint.
extern "C" __global__ void add_patches(const float* patches, const unsigned* list, long long first, float* dx, Form form,
                                       long long sample, int channels) {
    const Pick inputs{list, first};
    const int positions = form.height * form.width, square = form.kernel * form.kernel;
    const int position = static_cast<int>(blockIdx.x % positions);
    const int row = position / form.width + form.pad, column = position % form.width + form.pad;
    const long long within = blockIdx.x / positions;
    float* to = dx + ((sample + within) * positions + position) * form.channels;
    const float* of_sample =
        patches + within * form.out_height * form.out_width * static_cast<long long>(channels) * square;
    for (int n = threadIdx.x; n < channels; n += blockDim.x) {
        const long long channel = inputs[n];
        float sum = to[channel];
        // The outputs that see this position, first to last.
        for (int down = form.kernel - 1; down >= 0; down--) {
            const int top = row - down * form.dilation;
            if (top < 0 || top % form.stride || top / form.stride >= form.out_height) continue;
            for (int across = form.kernel - 1; across >= 0; across--) {
                const int left = column - across * form.dilation;
                if (left < 0 || left % form.stride || left / form.stride >= form.out_width) continue;
                const long long output = top / form.stride * form.out_width + left / form.stride;
                sum += of_sample[(output * channels + n) * square + down * form.kernel + across];
            }
        }
        to[channel] = sum;
    }
}

// to [rows of weights, channels * k * k], a block a row.
extern "C" __global__ void take_weights(const float* w, const unsigned* list, long long first,
                                        const unsigned* of_outputs, long long first_output, float* to, int patch,
                                        int square, int channels) {
    const Pick inputs{list, first}, outputs{of_outputs, first_output};
    const float* from = w + outputs[static_cast<int>(blockIdx.x)] * patch;
    float* row = to + blockIdx.x * static_cast<long long>(channels) * square;
    for (int k = threadIdx.x; k < channels * square; k += blockDim.x) {
        row[k] = from[inputs[k / square] * square + k % square];
    }
}

// Adds what take_weights took to dw: the adjoint. No two rows are one.
extern "C" __global__ void add_weights(const float* weights, const unsigned* list, long long first,
                                       const unsigned* of_outputs, long long first_output, float* dw, int patch,
                                       int square, int channels) {
    const Pick inputs{list, first}, outputs{of_outputs, first_output};
    float* to = dw + outputs[static_cast<int>(blockIdx.x)] * patch;
    const float* row = weights + blockIdx.x * static_cast<long long>(channels) * square;
    for (int k = threadIdx.x; k < channels * square; k += blockDim.x) {
        to[inputs[k / square] * square + k % square] += row[k];
    }
}

// Some columns of y [rows, O] from row `start` on, a block a row: to [rows, columns], or [columns, rows] where they are
// turned.
extern "C" __global__ void take_outputs(const float* y, const unsigned* list, long long first, float* to,
                                        long long start, int outputs, int columns, int turned) {
    const Pick pick{list, first};
    const long long row = blockIdx.x, rows = gridDim.x;
    const float* from = y + (start + row) * outputs;
    for (int n = threadIdx.x; n < columns; n += blockDim.x) {
        to[turned ? n * rows + row : row * columns + n] = from[pick[n]];
    }
}

// Puts them back.
extern "C" __global__ void place_outputs(const float* from, const unsigned* list, long long first, float* y,
                                         long long start, int outputs, int columns, int turned) {
    const Pick pick{list, first};
    const long long row = blockIdx.x, rows = gridDim.x;
    float* to = y + (start + row) * outputs;
    for (int n = threadIdx.x; n < columns; n += blockDim.x) {
        to[pick[n]] = from[turned ? n * rows + row : row * columns + n];
    }
}

constexpr int SIDE = 32;
constexpr int THREADS = 256;

// Each of many matrices from [rows, columns] to [columns, rows]; a block has a square of one.
extern "C" __global__ void __launch_bounds__(THREADS)
    turn(const float* from, float* to, long long rows, long long columns) {
    __shared__ float square[SIDE][SIDE + 1];
    const long long across = (columns + SIDE - 1) / SIDE, squares = across * ((rows + SIDE - 1) / SIDE);
    const long long matrix = blockIdx.x / squares * rows * columns, within = blockIdx.x % squares;
    const long long top = within / across * SIDE, left = within % across * SIDE;
    const int lane = threadIdx.x % SIDE;
    for (int k = threadIdx.x / SIDE; k < SIDE; k += THREADS / SIDE) {
        if (top + k < rows && left + lane < columns) square[k][lane] = from[matrix + (top + k) * columns + left + lane];
    }
    __syncthreads();
    for (int k = threadIdx.x / SIDE; k < SIDE; k += THREADS / SIDE) {
        if (left + k < columns && top + lane < rows) to[matrix + (left + k) * rows + top + lane] = square[lane][k];
    }
}

extern "C" __global__ void clear(float* to, long long count) {
    long long k = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (k < count) to[k] = 0.0f;
}
