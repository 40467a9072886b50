//! Sort neurons (Zhang et al., NeurIPS 2022), their bounds, and the gradients of what depends on K inputs a pair.

use std::rc::Rc;

use linf_dist::{Shape, SortProfile};

use crate::module::{Kernel, Module};
use crate::{Argument, Array, Gpu, GpuError};

/// Weights at most, MOST of the kernels.
const MOST: usize = 10;
/// Samples and outputs of a block.
const TILE: (usize, usize) = (32, 16);
/// Inputs of a row that a warp adds to at a time.
const SPAN: usize = 2048;

const SORT: Kernel = Module::plain("sort.cu").kernel("sort_largest", 128);
const LOWEST: Kernel = Module::plain("sort.cu").kernel("sort_lowest", 128);
const HIGHEST: Kernel = Module::plain("sort.cu").kernel("sort_highest", 128);
const SCATTER: Kernel = Module::plain("scatter.cu").kernel("scatter", 32);

/// One layer of sort neurons.
pub struct SortDistances {
    gpu: Rc<dyn Gpu>,
    profile: SortProfile,
    /// The inputs of the K largest differences, `[B, O, K]`, with the signs.
    index: Array<u32>,
    shape: Option<Shape>,
}

impl SortDistances {
    /// # Errors
    /// Those of [`Gpu::allocate`].
    ///
    /// # Panics
    /// If the profile has more than 10 weights.
    pub fn new(gpu: &Rc<dyn Gpu>, profile: SortProfile) -> Result<SortDistances, GpuError> {
        assert!(profile.weights().len() <= MOST, "{} weights for kernels of {MOST}", profile.weights().len());
        Ok(SortDistances { gpu: Rc::clone(gpu), profile, index: Array::zeros(gpu, 0)?, shape: None })
    }

    /// y `[B, O]` of x `[B, I]` and w `[O, I]`; the bits are those of the CPU.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, or there are more weights than inputs.
    pub fn forward(
        &mut self,
        shape: Shape,
        x: &Array<f32>,
        w: &Array<f32>,
        y: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let count = shape.batch * shape.outputs * self.profile.weights().len();
        self.index.reserve(count)?;
        launch(&*self.gpu, &self.profile, shape, x, w, y, self.index.pointer(count))?;
        self.shape = Some(shape);
        Ok(())
    }

    /// Gradients of the last forward pass; the bits are those of the CPU.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, or there was no forward pass.
    pub fn backward(
        &mut self,
        g: &Array<f32>,
        dx: Option<&mut Array<f32>>,
        dw: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let Some(shape) = self.shape else { panic!("a backward pass without its forward pass") };
        scatter(&*self.gpu, shape, &self.index, g, self.profile.weights(), dx, dw)
    }
}

/// y `[B, O]` of x `[B, I]` and w `[O, I]` in evaluation; the bits are those of the CPU.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short, or the profile has more than 10 weights or more than inputs.
pub fn sort_distances(
    gpu: &dyn Gpu,
    profile: &SortProfile,
    shape: Shape,
    x: &Array<f32>,
    w: &Array<f32>,
    y: &mut Array<f32>,
) -> Result<(), GpuError> {
    launch(gpu, profile, shape, x, w, y, Argument::NOTHING)
}

fn launch(
    gpu: &dyn Gpu,
    profile: &SortProfile,
    shape: Shape,
    x: &Array<f32>,
    w: &Array<f32>,
    y: &mut Array<f32>,
    index: Argument,
) -> Result<(), GpuError> {
    let Shape { batch, inputs, outputs } = shape;
    let count = profile.weights().len();
    assert!(count <= MOST.min(inputs), "{count} largest of {inputs} differences");
    let arguments = [
        x.pointer(batch * inputs),
        w.pointer(outputs * inputs),
        y.pointer(batch * outputs),
        index,
        Argument::from(shape),
        weights(profile.weights()),
        Argument::Int(count as i32),
    ];
    // SAFETY: the arguments of `sort_largest`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(SORT, grid(shape), &arguments) }
}

/// Bounds of the outputs for all x with lo ≤ x ≤ hi: those of the float32 program itself.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short, or the profile has more than 10 weights or more than inputs.
#[allow(clippy::too_many_arguments)] // Two operands and two results have two ends each.
pub fn sort_bounds(
    gpu: &dyn Gpu,
    profile: &SortProfile,
    shape: Shape,
    lo: &Array<f32>,
    hi: &Array<f32>,
    w: &Array<f32>,
    lowest: &mut Array<f32>,
    highest: &mut Array<f32>,
) -> Result<(), GpuError> {
    let Shape { batch, inputs, outputs } = shape;
    let count = profile.weights().len();
    assert!(count <= MOST.min(inputs), "{count} largest of {inputs} differences");
    for (kernel, to) in [(LOWEST, lowest), (HIGHEST, highest)] {
        let arguments = [
            lo.pointer(batch * inputs),
            hi.pointer(batch * inputs),
            w.pointer(outputs * inputs),
            to.pointer(batch * outputs),
            Argument::from(shape),
            weights(profile.weights()),
            Argument::Int(count as i32),
        ];
        // SAFETY: the arguments of both kernels; the pointers were asked for with the lengths that they use.
        unsafe { gpu.launch(kernel, grid(shape), &arguments)? }
    }
    Ok(())
}

/// dx and dw of outputs that depend on K inputs each: `index` `[B, O, K]` with the signs, the k-th with slope
/// `of_each[k]`·g.
pub(crate) fn scatter(
    gpu: &dyn Gpu,
    shape: Shape,
    index: &Array<u32>,
    g: &Array<f32>,
    of_each: &[f32],
    dx: Option<&mut Array<f32>>,
    dw: &mut Array<f32>,
) -> Result<(), GpuError> {
    let Shape { batch, inputs, outputs } = shape;
    let of_x = dx.map(|dx| (dx, batch, outputs, [outputs, 1], 1.0));
    let of_w = (dw, outputs, batch, [1, outputs], -1.0);
    for (to, rows, others, [row, other], sign) in of_x.into_iter().chain([of_w]) {
        let arguments = [
            index.pointer(batch * outputs * of_each.len()),
            g.pointer(batch * outputs),
            to.pointer(rows * inputs),
            Argument::long(inputs),
            Argument::long(others),
            Argument::long(row),
            Argument::long(other),
            weights(of_each),
            Argument::Int(of_each.len() as i32),
            Argument::Float(sign),
        ];
        // SAFETY: the arguments of `scatter`; the pointers were asked for with the lengths that it uses.
        unsafe { gpu.launch(SCATTER, [rows * inputs.div_ceil(SPAN), 1], &arguments)? }
    }
    Ok(())
}

fn grid(shape: Shape) -> [usize; 2] {
    [shape.batch.div_ceil(TILE.0) * shape.outputs.div_ceil(TILE.1), 1]
}

fn weights(weights: &[f32]) -> Argument {
    let mut all = [0.0; MOST];
    all[..weights.len()].copy_from_slice(weights);
    Argument::Floats(all)
}
