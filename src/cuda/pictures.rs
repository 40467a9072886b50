//! Images that lie on the device, from which batches are cut there.

use std::rc::Rc;

use crate::module::{Kernel, Module};
use crate::{Argument, Array, Gpu, GpuError};

/// Pixels between two nodes, as in the kernel.
const SPACING: usize = 8;
const FILL_BATCH: Kernel = Module::plain("pictures.cu").kernel("fill_batch", 256);

/// Sizes of images, and of what a net sees of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSizes {
    /// Colours.
    pub channels: usize,
    /// Of an image.
    pub height: usize,
    /// Of an image.
    pub width: usize,
    /// Of what is seen.
    pub seen_height: usize,
    /// Of what is seen.
    pub seen_width: usize,
}

/// Which image of a batch, and what is seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Of the images.
    pub image: usize,
    /// The row of it that becomes the first; it may lie outside.
    pub top: i32,
    /// The column.
    pub left: i32,
    /// Left and right change places.
    pub flipped: bool,
    /// Outside is 0, not the nearest pixel.
    pub padded_by_zero: bool,
    /// A linear map less the identity, row by row, in units of 2⁻¹⁶, each entry within ±2¹⁶: the pixel at (y, x) from the
    /// image's middle is the one that lies so much further from it, rounded. All 0 leaves the image as it is.
    pub warp: [i32; 4],
}

/// Images of one size.
pub struct Pictures {
    gpu: Rc<dyn Gpu>,
    sizes: PictureSizes,
    /// `[N, C, H, W]`.
    pixels: Array<u8>,
    /// `[C, 256]`.
    table: Array<f32>,
    drawn: Array<i32>,
    nodes: Array<i32>,
    count: usize,
}

impl Pictures {
    /// A copy of `pixels` `[N, C, H, W]`; `table` `[C, 256]` says what becomes of a pixel of a channel.
    ///
    /// # Errors
    /// Those of the device: most often its memory is full.
    ///
    /// # Panics
    /// If `pixels` are no whole number of images, or the table has another length.
    pub fn new(gpu: &Rc<dyn Gpu>, sizes: PictureSizes, pixels: &[u8], table: &[f32]) -> Result<Pictures, GpuError> {
        let whole = sizes.channels * sizes.height * sizes.width;
        assert!(pixels.len().is_multiple_of(whole), "{} pixels in images of {whole}", pixels.len());
        assert_eq!(table.len(), sizes.channels * 256, "a value for each pixel of each channel");
        let (on_device, table) = (Array::of(gpu, pixels)?, Array::of(gpu, table)?);
        let count = pixels.len() / whole;
        let [drawn, nodes] = [Array::zeros(gpu, 0)?, Array::zeros(gpu, 0)?];
        Ok(Pictures { gpu: Rc::clone(gpu), sizes, pixels: on_device, table, drawn, nodes, count })
    }

    /// Height and width of what a net sees.
    pub fn seen(&self) -> [usize; 2] {
        [self.sizes.seen_height, self.sizes.seen_width]
    }

    /// Writes a batch to `to`, `[B, C·H·W]` of what is seen: the table's very values.
    ///
    /// `nodes` bend the images as if they were on rubber: nodes of a grid, 8 pixels of what is seen apart, with what lies between
    /// interpolated. Of each image in turn and row by row, how far down and right the pixels there are looked for beside, in units of
    /// 1/2048 of a pixel, each within ±8 pixels; none leave the images as they are. Flips come later.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If there is no such image, or the nodes are not those of as many grids as there are cuts.
    pub fn fill(&mut self, cuts: &[Cut], nodes: &[[i32; 2]], to: &mut Array<f32>) -> Result<(), GpuError> {
        let PictureSizes { channels, height, width, seen_height, seen_width } = self.sizes;
        let words = cuts.iter().flat_map(|cut| {
            assert!(cut.image < self.count, "image {} of {}", cut.image, self.count);
            let flags = i32::from(cut.flipped) | i32::from(cut.padded_by_zero) << 1;
            let [a, b, c, d] = cut.warp;
            [cut.image as i32, cut.top, cut.left, flags, a, b, c, d]
        });
        let words: Vec<i32> = words.collect();
        self.drawn.reserve(words.len())?;
        self.drawn.write(&words)?;
        let [rows, columns] =
            [seen_height, seen_width].map(|size| if nodes.is_empty() { 0 } else { size.div_ceil(SPACING) + 1 });
        assert_eq!(nodes.len(), cuts.len() * rows * columns, "a grid of {rows}×{columns} nodes for each image");
        if !nodes.is_empty() {
            self.nodes.reserve(2 * nodes.len())?;
            self.nodes.write(nodes.as_flattened())?;
        }
        let len = cuts.len() * channels * seen_height * seen_width;
        to.reserve(len)?;
        let sizes = [channels, height, width, seen_height, seen_width, rows, columns, 0, 0, 0].map(|size| size as i32);
        let arguments = [
            self.pixels.pointer(self.count * channels * height * width),
            self.table.pointer(channels * 256),
            self.drawn.pointer(words.len()),
            self.nodes.pointer(2 * nodes.len()),
            to.pointer(len),
            Argument::Ints(sizes),
        ];
        // SAFETY: the arguments of `fill_batch`; the pointers were asked for with the lengths that it uses, and every image
        // is one of those that there are.
        unsafe { self.gpu.launch(FILL_BATCH, [cuts.len(), 1], &arguments) }
    }
}
