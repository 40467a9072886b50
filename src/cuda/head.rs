//! The first linear layer of a head (arXiv 2102.05363 §5) on the device: see `kernels/head.cu`.

use linf_dist::Shape;

use crate::module::{Kernel, Module};
use crate::slices::grid;
use crate::{Argument, Array, Gpu, GpuError};

const MODULE: Module = Module::plain("head.cu");
const PRODUCTS: Kernel = MODULE.kernel("products", 128);
const JOIN_PRODUCTS: Kernel = MODULE.kernel("join_products", 256);
const SUM_SIZES: Kernel = MODULE.kernel("sum_sizes", 32);
const ADD_SIGNS: Kernel = MODULE.kernel("add_signs", 256);
/// Blocks of a multiprocessor: what the kernel's launch bounds promise.
const BLOCKS: usize = 4;

/// y `[B, O]` = `scale`·x·wᵀ + bias, of x `[B, I]` and w `[O, I]`; `parts` is workspace. Sums are in a fixed order.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short.
#[allow(clippy::too_many_arguments)] // The operands of a layer.
pub fn product(
    gpu: &dyn Gpu,
    shape: Shape,
    scale: f32,
    x: &Array<f32>,
    w: &Array<f32>,
    bias: Option<&Array<f32>>,
    parts: &mut Array<f32>,
    y: &mut Array<f32>,
) -> Result<(), GpuError> {
    let Shape { batch, inputs, outputs } = shape;
    let pairs = batch * outputs;
    let (grid, slice) = grid(shape, BLOCKS * gpu.multiprocessors());
    let count = grid[1];
    parts.reserve(count * pairs)?;
    y.reserve(pairs)?;
    let (xs, ws, parts) = (x.pointer(batch * inputs), w.pointer(outputs * inputs), parts.pointer(count * pairs));
    let bias = bias.map_or(Argument::NOTHING, |bias| bias.pointer(outputs));
    let sizes = [Argument::long(pairs), Argument::long(outputs), Argument::Int(count as i32)];
    let join = [parts, bias, y.pointer(pairs), sizes[0], sizes[1], sizes[2], Argument::Float(scale)];
    // SAFETY: the arguments of both kernels; the pointers were asked for with the lengths that they use.
    unsafe {
        gpu.launch(PRODUCTS, grid, &[xs, ws, parts, Argument::from(shape), Argument::long(slice)])?;
        gpu.launch(JOIN_PRODUCTS, [pairs.div_ceil(256), 1], &join)
    }
}

/// Σ|w| of each row of w `[O, I]`, into `sums` `[O]`.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short.
pub fn sum_sizes(
    gpu: &dyn Gpu,
    outputs: usize,
    inputs: usize,
    w: &Array<f32>,
    sums: &mut Array<f32>,
) -> Result<(), GpuError> {
    let arguments = [w.pointer(outputs * inputs), sums.pointer(outputs), Argument::long(inputs)];
    // SAFETY: the arguments of `sum_sizes`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(SUM_SIZES, [outputs, 1], &arguments) }
}

/// dw `[O, I]` += slope `[O]` · sign(w): the gradient of [`sum_sizes`].
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short.
pub fn add_signs(
    gpu: &dyn Gpu,
    outputs: usize,
    inputs: usize,
    dw: &mut Array<f32>,
    w: &Array<f32>,
    slope: &Array<f32>,
) -> Result<(), GpuError> {
    let (count, inputs) = (outputs * inputs, Argument::long(inputs));
    let arguments = [dw.pointer(count), w.pointer(count), slope.pointer(outputs), inputs];
    // SAFETY: the arguments of `add_signs`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(ADD_SIGNS, [outputs, 1], &arguments) }
}
