//! Copies between a layer and its parts, on the device: see `kernels/gather.cu`.

use linf_dist::Form;

use crate::module::{Kernel, Module};
use crate::{Argument, Array, Gpu, GpuError};

const MODULE: Module = Module::plain("gather.cu");
const TAKE_PATCHES: Kernel = MODULE.kernel("take_patches", 256);
const ADD_PATCHES: Kernel = MODULE.kernel("add_patches", 256);
const TAKE_WEIGHTS: Kernel = MODULE.kernel("take_weights", 256);
const ADD_WEIGHTS: Kernel = MODULE.kernel("add_weights", 256);
const TAKE_OUTPUTS: Kernel = MODULE.kernel("take_outputs", 256);
const PLACE_OUTPUTS: Kernel = MODULE.kernel("place_outputs", 256);
const TURN: Kernel = MODULE.kernel("turn", 256);
const CLEAR: Kernel = MODULE.kernel("clear", 256);

/// Some channels: neighbours, or a run of a list on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked {
    /// Whether `first` is a place in the list, and no channel.
    pub listed: bool,
    pub first: usize,
    pub len: usize,
}

/// A part of a layer, as the kernels are told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// The first sample, and how many.
    pub sample: usize,
    pub samples: usize,
    pub inputs: Picked,
    pub outputs: Picked,
    /// Whether neurons use their weights whole: then inputs are counted from their own first one.
    pub whole_weights: bool,
}

/// Copies for the layers of one form; `list` holds the channels of the masks.
pub(crate) struct Gather<'a> {
    pub gpu: &'a dyn Gpu,
    pub form: &'a Form,
    pub list: &'a Array<u32>,
}

impl Picked {
    /// The list and the first, for a kernel.
    fn arguments(self, list: &Array<u32>) -> [Argument; 2] {
        let list = if self.listed { list.pointer(self.first + self.len) } else { Argument::NOTHING };
        [list, Argument::long(self.first)]
    }
}

impl Gather<'_> {
    /// Rows (sample, position) of a piece.
    pub fn rows(&self, piece: &Piece) -> usize {
        piece.samples * self.form.output().positions()
    }

    /// Inputs of a neuron of a piece.
    pub fn width(&self, piece: &Piece) -> usize {
        piece.inputs.len * self.square()
    }

    fn square(&self) -> usize {
        self.form.window().kernel * self.form.window().kernel
    }

    /// `struct Form` of the kernels.
    fn sizes(&self) -> Argument {
        let (input, output, window) = (self.form.input(), self.form.output(), self.form.window());
        let sizes = [
            input.channels,
            input.height,
            input.width,
            output.channels,
            output.height,
            output.width,
            window.kernel,
            window.stride,
            window.pad,
            window.dilation,
        ];
        Argument::Ints(sizes.map(|size| size as i32))
    }

    /// What the neurons of a piece see of x `[B, P, C]`: `[rows, width]`.
    pub fn take_patches(&self, piece: &Piece, x: &Array<f32>, to: &mut Array<f32>) -> Result<(), GpuError> {
        let (rows, width) = (self.rows(piece), self.width(piece));
        to.reserve(rows * width)?;
        let [list, first] = piece.inputs.arguments(self.list);
        let from = x.pointer((piece.sample + piece.samples) * self.form.input().values());
        let (sample, channels) = (Argument::long(piece.sample), Argument::Int(piece.inputs.len as i32));
        let arguments = [from, list, first, to.pointer(rows * width), self.sizes(), sample, channels];
        // SAFETY: the arguments of `take_patches`; the pointers were asked for with the lengths that it uses, and channels of
        // the list are those of the form.
        unsafe { self.gpu.launch(TAKE_PATCHES, [rows, 1], &arguments) }
    }

    /// Adds the gradient of [`Self::take_patches`]'s result to dx.
    pub fn add_patches(&self, piece: &Piece, patches: &Array<f32>, dx: &mut Array<f32>) -> Result<(), GpuError> {
        let [list, first] = piece.inputs.arguments(self.list);
        let to = dx.pointer((piece.sample + piece.samples) * self.form.input().values());
        let from = patches.pointer(self.rows(piece) * self.width(piece));
        let (sample, channels) = (Argument::long(piece.sample), Argument::Int(piece.inputs.len as i32));
        let arguments = [from, list, first, to, self.sizes(), sample, channels];
        let grid = [piece.samples * self.form.input().positions(), 1];
        // SAFETY: as above, of `add_patches`.
        unsafe { self.gpu.launch(ADD_PATCHES, grid, &arguments) }
    }

    /// The weights of a piece: `[outputs, width]`.
    pub fn take_weights(&self, piece: &Piece, w: &Array<f32>, to: &mut Array<f32>) -> Result<(), GpuError> {
        to.reserve(piece.outputs.len * self.width(piece))?;
        let (w, to) = (w.pointer(self.form.weights()), to.pointer(piece.outputs.len * self.width(piece)));
        self.weights(TAKE_WEIGHTS, piece, w, to)
    }

    /// Adds the gradient of a piece's weights to dw.
    pub fn add_weights(&self, piece: &Piece, weights: &Array<f32>, dw: &mut Array<f32>) -> Result<(), GpuError> {
        let from = weights.pointer(piece.outputs.len * self.width(piece));
        self.weights(ADD_WEIGHTS, piece, from, dw.pointer(self.form.weights()))
    }

    fn weights(&self, kernel: Kernel, piece: &Piece, from: Argument, to: Argument) -> Result<(), GpuError> {
        // A group's neurons have weights for its own inputs alone.
        let inputs =
            if piece.whole_weights { Picked { listed: false, first: 0, ..piece.inputs } } else { piece.inputs };
        let ([list, first], [of_outputs, first_output]) =
            (inputs.arguments(self.list), piece.outputs.arguments(self.list));
        let sizes = [self.form.patch(), self.square(), inputs.len].map(|size| Argument::Int(size as i32));
        let [patch, square, channels] = sizes;
        let arguments = [from, list, first, of_outputs, first_output, to, patch, square, channels];
        // SAFETY: the arguments of both kernels; the pointers were asked for with the lengths that they use.
        unsafe { self.gpu.launch(kernel, [piece.outputs.len, 1], &arguments) }
    }

    /// The columns of y `[B·P', O]` that a piece computes: `[rows, outputs]`, or `[outputs, rows]` where turned.
    pub fn take_outputs(
        &self,
        piece: &Piece,
        turned: bool,
        y: &Array<f32>,
        to: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let count = self.rows(piece) * piece.outputs.len;
        to.reserve(count)?;
        let y = y.pointer((piece.sample + piece.samples) * self.form.output().values());
        self.columns(TAKE_OUTPUTS, piece, turned, y, to.pointer(count))
    }

    /// Puts what a piece computed in its columns of y.
    pub fn place_outputs(
        &self,
        piece: &Piece,
        turned: bool,
        from: &Array<f32>,
        y: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let from = from.pointer(self.rows(piece) * piece.outputs.len);
        let y = y.pointer((piece.sample + piece.samples) * self.form.output().values());
        self.columns(PLACE_OUTPUTS, piece, turned, from, y)
    }

    fn columns(
        &self,
        kernel: Kernel,
        piece: &Piece,
        turned: bool,
        from: Argument,
        to: Argument,
    ) -> Result<(), GpuError> {
        let [list, first] = piece.outputs.arguments(self.list);
        let start = Argument::long(piece.sample * self.form.output().positions());
        let (all, columns) = (self.form.output().channels as i32, piece.outputs.len as i32);
        let sizes = [Argument::Int(all), Argument::Int(columns), Argument::Int(i32::from(turned))];
        let arguments = [from, list, first, to, start, sizes[0], sizes[1], sizes[2]];
        // SAFETY: the arguments of both kernels; the pointers were asked for with the lengths that they use.
        unsafe { self.gpu.launch(kernel, [self.rows(piece), 1], &arguments) }
    }
}

/// Each of `count` matrices from `[rows, columns]` to `[columns, rows]`.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If `from` is too short.
pub fn turn(
    gpu: &dyn Gpu,
    count: usize,
    rows: usize,
    columns: usize,
    from: &Array<f32>,
    to: &mut Array<f32>,
) -> Result<(), GpuError> {
    let len = count * rows * columns;
    to.reserve(len)?;
    let arguments = [from.pointer(len), to.pointer(len), Argument::long(rows), Argument::long(columns)];
    // SAFETY: the arguments of `turn`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(TURN, [count * rows.div_ceil(32) * columns.div_ceil(32), 1], &arguments) }
}

/// Sets the first `len` to 0.
pub(crate) fn clear(gpu: &dyn Gpu, to: &mut Array<f32>, len: usize) -> Result<(), GpuError> {
    // SAFETY: the arguments of `clear`; the pointer was asked for with the length that it uses.
    unsafe { gpu.launch(CLEAR, [len.div_ceil(256), 1], &[to.pointer(len), Argument::long(len)]) }
}
