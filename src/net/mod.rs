//! ℓ∞-distance nets: their shape, their state, one training step, and what is measured of them at p = ∞.
//!
//! Everything here runs on the CPU through [`crate::dist`] and knows nothing of libtorch; `linf-train` adds the CUDA
//! engine behind the same trait.

mod cpu;
mod engine;
mod evaluate;
mod input_box;
mod loss;
mod shape;
mod state;

pub use cpu::CpuEngine;
pub use engine::{Batch, Engine, StepError, StepPoint, StepStats};
pub use evaluate::{Evaluation, Evaluator, SampleResult};
pub use input_box::InputBox;
pub use loss::{MixtureLoss, mixture};
pub use shape::{LayerShape, NetShape};
pub use state::{LayerState, NetState, StateError, Trained};

#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
mod gradient_tests;
