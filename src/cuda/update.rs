//! What moves parameters and means: Adam with its decays, mean shift, bias.

use linf_dist::Adam;

use crate::module::{Kernel, Module};
use crate::{Argument, Array, Gpu, GpuError};

const ADAM_ALL: Kernel = Module::plain("adam.cu").kernel("adam_all", 256);
const ADAM_ROWS: Kernel = Module::plain("adam.cu").kernel("adam_rows", 256);
const MEAN_SHIFT: Kernel = Module::plain("mean_shift.cu").kernel("mean_shift", 256);
const ADD_BIAS: Kernel = Module::plain("mean_shift.cu").kernel("add_bias", 128);

/// How weights decay before the step is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Every weight to `kept`·w.
    All {
        /// What is left.
        kept: f32,
    },
    /// Each row of `inputs` weights down the gradient of ½‖w_o‖_p² (arXiv 2102.05363 §5), times `amount`.
    Rows {
        /// Of a row.
        inputs: usize,
        /// The exponent.
        p: f64,
        /// lr · decay.
        amount: f32,
    },
}

/// One step of Adam (Kingma & Ba, 2015).
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// β₁, β₂ and eps.
    pub adam: Adam,
    /// Learning rate.
    pub lr: f32,
    /// The number of the step, from 1.
    pub step: u64,
}

impl AdamStep {
    /// Moves `w`, `m` and `v` by the gradient g; sets the number that `bad` names to 1 where a new weight or second moment
    /// is not finite. Without decay, or where a row's decay needs no power, the bits are those of the CPU.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If the arrays have different lengths, or no whole number of rows, or there is no such number.
    #[allow(clippy::too_many_arguments)] // The four arrays of a parameter.
    pub fn apply(
        &self,
        gpu: &dyn Gpu,
        decay: Decay,
        w: &mut Array<f32>,
        g: &Array<f32>,
        m: &mut Array<f32>,
        v: &mut Array<f32>,
        bad: (&mut Array<i32>, usize),
    ) -> Result<(), GpuError> {
        let count = w.len();
        let (ws, gs, ms, vs) = (w.pointer(count), g.pointer(count), m.pointer(count), v.pointer(count));
        let (adam, bad) = (self.argument(), bad.0.pointer_to(bad.1));
        // SAFETY: the arguments of the kernels; the pointers were asked for with the lengths that they use.
        unsafe {
            match decay {
                Decay::All { kept } => {
                    let arguments = [ws, gs, ms, vs, Argument::long(count), Argument::Float(kept), adam, bad];
                    gpu.launch(ADAM_ALL, [count.div_ceil(256), 1], &arguments)
                }
                Decay::Rows { inputs, p, amount } => {
                    assert!(count.is_multiple_of(inputs), "{count} weights in rows of {inputs}");
                    let (p, amount) = (Argument::Float(p as f32), Argument::Float(amount));
                    let arguments = [ws, gs, ms, vs, Argument::long(inputs), p, amount, adam, bad];
                    gpu.launch(ADAM_ROWS, [count / inputs, 1], &arguments)
                }
            }
        }
    }

    /// `struct Adam` of the kernels.
    fn argument(&self) -> Argument {
        let Adam { beta1, beta2, eps } = self.adam;
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(step);
        let rate = (f64::from(self.lr) / correction(beta1)) as f32;
        let root = (1.0 / correction(beta2).sqrt()) as f32;
        Argument::Floats([beta1, 1.0 - beta1, beta2, 1.0 - beta2, rate, root, eps, 0.0, 0.0, 0.0])
    }
}

/// Takes the mean over the batch off each output of y `[B, O]`, in place. With a running mean `[O]`, that becomes
/// `kept`·running + (1 − kept)·mean; a gradient has none. Under dropout `counts` `[O]` says how many rows keep an output:
/// the mean is over those, the others must hold 0 and hold nonsense afterwards, and the running mean of an output that no
/// row keeps stays. The bits are those of the CPU.
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short.
pub fn mean_shift(
    gpu: &dyn Gpu,
    batch: usize,
    outputs: usize,
    y: &mut Array<f32>,
    counts: Option<&Array<f32>>,
    running: Option<(&mut Array<f32>, f32)>,
) -> Result<(), GpuError> {
    let counts = counts.map_or(Argument::NOTHING, |counts| counts.pointer(outputs));
    let (running, kept) = running.map_or((Argument::NOTHING, 0.0), |(mean, kept)| (mean.pointer(outputs), kept));
    let (kept, fresh) = (Argument::Float(kept), Argument::Float(1.0 - kept));
    let sizes = [Argument::long(batch), Argument::long(outputs)];
    let arguments = [y.pointer(batch * outputs), running, counts, sizes[0], sizes[1], kept, fresh];
    // SAFETY: the arguments of `mean_shift`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(MEAN_SHIFT, [outputs.div_ceil(32), 1], &arguments) }
}

/// y[b, o] += bias[o].
///
/// # Errors
/// Those of the device.
///
/// # Panics
/// If an array is too short.
pub fn add_bias(
    gpu: &dyn Gpu,
    batch: usize,
    outputs: usize,
    y: &mut Array<f32>,
    bias: &Array<f32>,
) -> Result<(), GpuError> {
    let count = batch * outputs;
    let arguments = [y.pointer(count), bias.pointer(outputs), Argument::long(count), Argument::long(outputs)];
    // SAFETY: the arguments of `add_bias`; the pointers were asked for with the lengths that it uses.
    unsafe { gpu.launch(ADD_BIAS, [count.div_ceil(128), 1], &arguments) }
}
