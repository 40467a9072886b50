// Batches of images that lie on the device: warped, bent, cropped, flipped, normalised.

struct Sizes {
    int channels, height, width;   // of an image
    int seen_height, seen_width;   // of what a net sees of it
    int node_rows, node_columns;   // of the grid that bends it; 0 where none does
};

constexpr int FLIPPED = 1;
constexpr int PADDED_BY_ZERO = 2;

constexpr int SPACING = 8;  // pixels between two nodes

// How far from a pixel that lies (down, right) twice as far from the middle, the one that comes there lies; the map's entries
// are in units of 2^-16, the bend in those of 2^-17.
__device__ int moved(const int* entries, int down, int right, int bend) {
    return (entries[0] * down + entries[1] * right + bend + (1 << 16)) >> 17;
}

// How far the nodes of a grid move a pixel down (axis 0) or right, in units of 2^-17 of a pixel; of nodes those are 2^-11.
__device__ int bent(const int* nodes, int columns, int row, int column, int axis) {
    const int below = row % SPACING, beside = column % SPACING;
    const int* near = nodes + 2 * (row / SPACING * columns + column / SPACING) + axis;
    const int left = near[0] * (SPACING - below) + near[2 * columns] * below;
    const int right = near[2] * (SPACING - below) + near[2 * columns + 2] * below;
    return left * (SPACING - beside) + right * beside;
}

// to [B, C, seen], a block an image. drawn [B, 8] has the image, the row and column of it that become the first ones, which
// may lie outside, flags, and the map that warps it, row by row. nodes [B, node_rows, node_columns, 2] bend it. Outside are the
// nearest pixels, or 0. table [C, 256] has the normalised values of pixels.
extern "C" __global__ void fill_batch(const unsigned char* pixels, const float* table, const int* drawn, const int* nodes,
                                      float* to, Sizes sizes) {
    const int* of = drawn + 8 * static_cast<long long>(blockIdx.x);
    const int top = of[1], left = of[2], flags = of[3];
    const int seen = sizes.seen_height * sizes.seen_width, whole = sizes.height * sizes.width;
    const unsigned char* image = pixels + static_cast<long long>(of[0]) * sizes.channels * whole;
    float* out = to + blockIdx.x * static_cast<long long>(sizes.channels) * seen;
    const int grid = sizes.node_rows * sizes.node_columns;
    const int* of_grid = nodes + 2 * grid * static_cast<long long>(blockIdx.x);
    for (int k = threadIdx.x; k < sizes.channels * seen; k += blockDim.x) {
        const int channel = k / seen, across = k % sizes.seen_width;
        const int seen_row = k % seen / sizes.seen_width;
        const int seen_column = flags & FLIPPED ? sizes.seen_width - 1 - across : across;
        const int cut_row = seen_row + top, cut_column = seen_column + left;
        const int bend_down = grid ? bent(of_grid, sizes.node_columns, seen_row, seen_column, 0) : 0;
        const int bend_right = grid ? bent(of_grid, sizes.node_columns, seen_row, seen_column, 1) : 0;
        const int down = 2 * cut_row + 1 - sizes.height, right = 2 * cut_column + 1 - sizes.width;
        const int row = cut_row + moved(of + 4, down, right, bend_down);
        const int column = cut_column + moved(of + 6, down, right, bend_right);
        const int inner_row = min(max(row, 0), sizes.height - 1), inner_column = min(max(column, 0), sizes.width - 1);
        const bool outside = row != inner_row || column != inner_column;
        const int raw = outside && flags & PADDED_BY_ZERO
                            ? 0
                            : image[channel * whole + inner_row * sizes.width + inner_column];
        out[k] = table[channel * 256 + raw];
    }
}
