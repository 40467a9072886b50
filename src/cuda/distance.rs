//! The distances of a layer and their gradients: y[b, o] = ‖x_b − w_o‖_p (arXiv 2102.05363, equation 3 and §5).

use std::rc::Rc;

use linf_dist::Shape;

use crate::module::{Kernel, Module};
use crate::plan::{Plan, least};
use crate::slices::{STEP, blocks, grid, slices};
use crate::sort::scatter;
use crate::{Argument, Array, Gpu, GpuError};

/// Inputs of a block of a backward pass, its samples at a time, and outputs of a step of it.
const WIDTH: usize = 32;
const CHUNK: usize = 256;
const STAGE: usize = 8;
/// Blocks of a multiprocessor: what the kernel's launch bounds promise.
const BACKWARD_BLOCKS: usize = 2;

const LARGEST: Kernel = Module::plain("largest.cu").kernel("largest", 128);
const LARGEST_WITH_TILE: Kernel = Module::plain("largest.cu").kernel("largest_with_tile", 128);
const JOIN_LARGEST: Kernel = Module::plain("largest.cu").kernel("join_largest", 128);
const FIND_INDEX: Kernel = Module::plain("largest.cu").kernel("find_index", 128);
const NORMS: Kernel = Module::plain("norms.cu").kernel("norms", 128);
const FINISH_NORMS: Kernel = Module::plain("norms.cu").kernel("finish_norms", 128);
const BOUNDS: Kernel = Module::plain("interval.cu").kernel("bounds", 128);

/// One layer's op: what its backward pass needs of its last forward pass stays on the device.
pub struct DistanceOp {
    gpu: Rc<dyn Gpu>,
    saved: Saved,
    /// One over the reference of each pair, `[B, O]`: the distance, or the largest difference.
    inverse: Array<f32>,
    /// S^(−(p−1)/p) where the largest difference is the reference.
    scale: Array<f32>,
    /// The input of the largest difference and the sign of x − w, where p = ∞.
    index: Array<u32>,
    /// Results of slices, before they are joined.
    parts: Array<f32>,
    more: Array<f32>,
    tiles: Array<u32>,
    /// What the gradients take of each pair, `[O, B']`.
    turned: [Array<f32>; 2],
}

enum Saved {
    Nothing,
    Finite { shape: Shape, p: f64 },
    Infinite { shape: Shape },
}

impl DistanceOp {
    /// An op that has seen nothing yet.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`].
    pub fn new(gpu: &Rc<dyn Gpu>) -> Result<DistanceOp, GpuError> {
        let floats = || Array::zeros(gpu, 0);
        let (index, tiles) = (Array::zeros(gpu, 0)?, Array::zeros(gpu, 0)?);
        let (inverse, scale, parts, more, turned) =
            (floats()?, floats()?, floats()?, floats()?, [floats()?, floats()?]);
        let (gpu, saved) = (Rc::clone(gpu), Saved::Nothing);
        Ok(DistanceOp { gpu, saved, inverse, scale, index, parts, more, tiles, turned })
    }

    /// y `[B, O]` of x `[B, I]` and w `[O, I]`, row-major; with `for_backward`, keeps what the gradients need. At p = ∞
    /// the bits are those of the CPU.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, or p below 1.
    pub fn forward(
        &mut self,
        shape: Shape,
        p: f64,
        x: &Array<f32>,
        w: &Array<f32>,
        y: &mut Array<f32>,
        for_backward: bool,
    ) -> Result<(), GpuError> {
        self.saved = Saved::Nothing;
        let Shape { batch, inputs, outputs } = shape;
        let pairs = batch * outputs;
        let plan = Plan::of(p);
        // What the kernels' launch bounds promise.
        let per_processor = match plan {
            Plan::Largest if !for_backward => 5,
            Plan::Sums(power) if power > 0 => 5,
            _ => 4,
        };
        let (grid, slice) = grid(shape, per_processor * self.gpu.multiprocessors());
        let (count, slice, each) = (grid[1], Argument::long(slice), [pairs.div_ceil(128), 1]);
        let (p32, slices) = (Argument::Float(p as f32), Argument::Int(count as i32));
        self.parts.reserve(count * pairs)?;
        let (xs, ws) = (x.pointer(batch * inputs), w.pointer(outputs * inputs));
        let (ys, parts, sizes) = (y.pointer(pairs), self.parts.pointer(count * pairs), Argument::from(shape));
        match plan {
            Plan::Largest if !for_backward => {
                // SAFETY: the arguments of `largest` and `join_largest`; the pointers were asked for with the lengths
                // that they use.
                unsafe {
                    self.gpu.launch(LARGEST, grid, &[xs, ws, parts, sizes, slice])?;
                    let nothing = Argument::NOTHING;
                    self.gpu.launch(
                        JOIN_LARGEST,
                        each,
                        &[parts, nothing, ys, nothing, Argument::long(pairs), slices],
                    )?;
                }
            }
            Plan::Largest => {
                self.tiles.reserve(count * pairs)?;
                self.index.reserve(pairs)?;
                let (tiles, index) = (self.tiles.pointer(count * pairs), self.index.pointer(pairs));
                // SAFETY: as above, with `largest_with_tile` and `find_index`.
                unsafe {
                    self.gpu.launch(LARGEST_WITH_TILE, grid, &[xs, ws, parts, tiles, sizes, slice])?;
                    let all = Argument::long(pairs);
                    self.gpu.launch(JOIN_LARGEST, each, &[parts, tiles, ys, index, all, slices])?;
                    self.gpu.launch(FIND_INDEX, [(pairs * STEP).div_ceil(128), 1], &[xs, ws, ys, index, sizes])?;
                }
                self.saved = Saved::Infinite { shape };
            }
            Plan::Sums(power) => {
                self.inverse.reserve(pairs)?;
                let module = Module::with("sums.cu", power);
                let inverse = self.inverse.pointer(pairs);
                // SAFETY: as above, with `sums` and `finish_sums`.
                unsafe {
                    self.gpu.launch(module.kernel("sums", 128), grid, &[xs, ws, parts, sizes, slice, p32])?;
                    let finish = module.kernel("finish_sums", 128);
                    self.gpu.launch(finish, each, &[parts, xs, ws, ys, inverse, sizes, slices, p32])?;
                }
                self.saved = Saved::Finite { shape, p };
            }
            Plan::Norms => {
                self.inverse.reserve(pairs)?;
                self.scale.reserve(pairs)?;
                self.more.reserve(count * pairs)?;
                let more = self.more.pointer(count * pairs);
                let (inverse, scale) = (self.inverse.pointer(pairs), self.scale.pointer(pairs));
                let least = Argument::Float(least(inputs, p));
                // SAFETY: as above, with `norms` and `finish_norms`.
                unsafe {
                    self.gpu.launch(NORMS, grid, &[xs, ws, parts, more, sizes, slice, p32, least])?;
                    let all = Argument::long(pairs);
                    let arguments = [parts, more, ys, inverse, scale, all, slices, p32];
                    self.gpu.launch(FINISH_NORMS, each, &arguments)?;
                }
                self.saved = Saved::Finite { shape, p };
            }
        }
        Ok(())
    }

    /// Gradients of the last forward pass from g `[B, O]`: dx `[B, I]` where it is wanted, and dw `[O, I]`. x and w are
    /// those of the forward pass. The order of all sums is fixed; at p = ∞ the bits are those of the CPU.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, or there was no forward pass for this.
    pub fn backward(
        &mut self,
        x: &Array<f32>,
        w: &Array<f32>,
        g: &Array<f32>,
        dx: Option<&mut Array<f32>>,
        dw: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        match self.saved {
            Saved::Nothing => panic!("a backward pass without its forward pass"),
            Saved::Infinite { shape } => scatter(&*self.gpu, shape, &self.index, g, &[1.0], dx, dw),
            Saved::Finite { shape, p } => self.slopes(shape, p, x, w, g, dx, dw),
        }
    }

    #[allow(clippy::too_many_arguments)] // The operands of the pass and the two that it saved.
    fn slopes(
        &mut self,
        shape: Shape,
        p: f64,
        x: &Array<f32>,
        w: &Array<f32>,
        g: &Array<f32>,
        dx: Option<&mut Array<f32>>,
        dw: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let Shape { batch, inputs, outputs } = shape;
        let (pairs, samples) = (batch * outputs, batch * inputs);
        let plan = Plan::of(p);
        let at_once = BACKWARD_BLOCKS * self.gpu.multiprocessors();
        let steps = outputs.div_ceil(STAGE) * batch.div_ceil(CHUNK);
        let wanted = slices(inputs.div_ceil(WIDTH), steps, at_once, samples).min(outputs.div_ceil(STAGE));
        let slice = outputs.div_ceil(STAGE).div_ceil(wanted) * STAGE;
        let count = outputs.div_ceil(slice);
        let (scale, least) = match plan {
            Plan::Norms => (self.scale.pointer(pairs), least(inputs, p - 1.0)),
            _ => (Argument::NOTHING, 0.0),
        };
        // One slice has its results where they belong.
        let to = match &dx {
            None => Argument::NOTHING,
            Some(dx) if count == 1 => dx.pointer(samples),
            Some(_) => {
                self.parts.reserve(count * samples)?;
                self.parts.pointer(count * samples)
            }
        };
        let padded = batch.next_multiple_of(CHUNK);
        for turned in &mut self.turned {
            turned.reserve(outputs * padded)?;
        }
        let [turned_inverse, factor] = [0, 1].map(|which: usize| self.turned[which].pointer(outputs * padded));
        let (inverse, sizes, padding) = (self.inverse.pointer(pairs), Argument::from(shape), Argument::long(padded));
        let turning = [inverse, scale, g.pointer(pairs), turned_inverse, factor, sizes, padding];
        let arguments = [
            x.pointer(samples),
            w.pointer(outputs * inputs),
            turned_inverse,
            factor,
            to,
            dw.pointer(outputs * inputs),
            sizes,
            padding,
            Argument::long(slice),
            Argument::Float(p as f32),
            Argument::Float(least),
        ];
        // SAFETY: the arguments of `turn_pairs`, `slopes` and `join_sums`; the pointers were asked for with the lengths that
        // they use.
        unsafe {
            let turn = plan.slopes().kernel("turn_pairs", 256);
            self.gpu.launch(turn, [padded / 32 * outputs.div_ceil(32), 1], &turning)?;
            let kernel = plan.slopes().kernel("slopes", 256);
            self.gpu.launch(kernel, [inputs.div_ceil(WIDTH), count], &arguments)?;
            if let Some(dx) = dx.filter(|_| count > 1) {
                let join = plan.slopes().kernel("join_sums", 128);
                let arguments = [to, dx.pointer(samples), Argument::long(samples), Argument::Int(count as i32)];
                self.gpu.launch(join, [samples.div_ceil(128), 1], &arguments)?;
            }
        }
        Ok(())
    }
}

/// Bounds `[B, O]` of the distances at p = ∞ for all x with lo ≤ x ≤ hi `[B, I]`: those of the float32 program itself.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short.
pub fn bounds(
    gpu: &dyn Gpu,
    shape: Shape,
    lo: &Array<f32>,
    hi: &Array<f32>,
    w: &Array<f32>,
    lowest: &mut Array<f32>,
    highest: &mut Array<f32>,
) -> Result<(), GpuError> {
    let Shape { batch, inputs, outputs } = shape;
    let arguments = [
        lo.pointer(batch * inputs),
        hi.pointer(batch * inputs),
        w.pointer(outputs * inputs),
        lowest.pointer(batch * outputs),
        highest.pointer(batch * outputs),
        Argument::from(shape),
    ];
    // SAFETY: the arguments of `bounds`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(BOUNDS, [blocks(batch, outputs), 1], &arguments) }
}
