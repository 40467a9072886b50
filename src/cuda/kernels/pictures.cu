// Batches of images that lie on the device: warped, cropped, flipped, normalised.

struct Sizes {
    int channels, height, width;   // of an image
    int seen_height, seen_width;   // of what a net sees of it
};

constexpr int FLIPPED = 1;
constexpr int PADDED_BY_ZERO = 2;

// How far from a pixel that lies (down, right) twice as far from the middle, the one that comes there lies; the map's entries
// are in units of 2^-16.
__device__ int moved(const int* entries, int down, int right) {
    return (entries[0] * down + entries[1] * right + (1 << 16)) >> 17;
}

// to [B, C, seen], a block an image. drawn [B, 8] has the image, the row and column of it that become the first ones, which
// may lie outside, flags, and the map that warps it, row by row. Outside are the nearest pixels, or 0. table [C, 256] has the
// normalised values of pixels.
extern "C" __global__ void fill_batch(const unsigned char* pixels, const float* table, const int* drawn, float* to,
                                      Sizes sizes) {
    const int* of = drawn + 8 * static_cast<long long>(blockIdx.x);
    const int top = of[1], left = of[2], flags = of[3];
    const int seen = sizes.seen_height * sizes.seen_width, whole = sizes.height * sizes.width;
    const unsigned char* image = pixels + static_cast<long long>(of[0]) * sizes.channels * whole;
    float* out = to + blockIdx.x * static_cast<long long>(sizes.channels) * seen;
    for (int k = threadIdx.x; k < sizes.channels * seen; k += blockDim.x) {
        const int channel = k / seen, across = k % sizes.seen_width;
        const int cut_row = k % seen / sizes.seen_width + top;
        const int cut_column = (flags & FLIPPED ? sizes.seen_width - 1 - across : across) + left;
        const int down = 2 * cut_row + 1 - sizes.height, right = 2 * cut_column + 1 - sizes.width;
        const int row = cut_row + moved(of + 4, down, right), column = cut_column + moved(of + 6, down, right);
        const int inner_row = min(max(row, 0), sizes.height - 1), inner_column = min(max(column, 0), sizes.width - 1);
        const bool outside = row != inner_row || column != inner_column;
        const int raw = outside && flags & PADDED_BY_ZERO
                            ? 0
                            : image[channel * whole + inner_row * sizes.width + inner_column];
        out[k] = table[channel * 256 + raw];
    }
}
