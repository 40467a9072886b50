//! What a device can do at most, measured: what the benches hold our kernels against.

use std::rc::Rc;
use std::time::Instant;

use crate::module::{Kernel, Module};
use crate::{Argument, Array, Gpu, GpuError};

/// Operations and bytes in a second.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Multiplications with additions, float32.
    pub fma: f64,
    /// Maxima.
    pub max: f64,
    /// Pairs of a difference and a maximum of magnitudes, which is all that p = ∞ does.
    pub difference_max: f64,
    /// Powers of two by the special-function units.
    pub exp2: f64,
    /// Bytes copied within its memory, read and written.
    pub copy: f64,
}

const THREADS: u32 = 256;
const STEPS: usize = 2000;
const PER_STEP: usize = 64;
const FLOATS: usize = 1 << 28;
const ROUNDS: usize = 5;

const fn kernel(name: &'static str) -> Kernel {
    Module::plain("rates.cu").kernel(name, THREADS)
}

impl Rates {
    /// Measures them: the best of some rounds, half a second in all.
    ///
    /// # Errors
    /// Those of the device.
    pub fn measure(gpu: &Rc<dyn Gpu>) -> Result<Rates, GpuError> {
        let out = Array::<f32>::zeros(gpu, 1)?;
        let blocks = gpu.multiprocessors() * 64;
        let operations = (blocks * THREADS as usize * STEPS * PER_STEP) as f64;
        let rate = |name| {
            let arguments = [out.pointer(1), Argument::Int(STEPS as i32), Argument::Float(0.25)];
            // SAFETY: the arguments of these kernels; they write one float at most.
            best(gpu, || unsafe { gpu.launch(kernel(name), [blocks, 1], &arguments) }).map(|time| operations / time)
        };
        let (from, to) = (Array::<f32>::zeros(gpu, FLOATS)?, Array::<f32>::zeros(gpu, FLOATS)?);
        let arguments = [from.pointer(FLOATS), to.pointer(FLOATS), Argument::long(FLOATS / 4)];
        let grid = [(FLOATS / 4).div_ceil(THREADS as usize), 1];
        // SAFETY: the arguments of `rate_copy`, whose arrays have this length.
        let copy = best(gpu, || unsafe { gpu.launch(kernel("rate_copy"), grid, &arguments) })?;
        Ok(Rates {
            fma: rate("rate_fma")?,
            max: rate("rate_max")?,
            difference_max: rate("rate_difference_max")?,
            exp2: rate("rate_exp2")?,
            copy: (8 * FLOATS) as f64 / copy,
        })
    }
}

/// Seconds of the fastest round.
fn best(gpu: &Rc<dyn Gpu>, mut launch: impl FnMut() -> Result<(), GpuError>) -> Result<f64, GpuError> {
    launch()?;
    gpu.wait()?;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        launch()?;
        gpu.wait()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}
