//! ℓ∞-distance nets of every kind: their shape, their state, one training step, and what is measured of them at p = ∞.
//!
//! Everything here runs on the CPU through [`crate::dist`], or on a CUDA device through [`linf_cuda`], and knows nothing of
//! libtorch; `linf-train` adds an engine on that behind the same trait.

mod attack;
mod average;
mod cpu;
mod cuda;
mod dropout;
mod engine;
mod ensemble;
mod evaluate;
mod head;
mod input_box;
mod loss;
mod radii;
mod shape;
mod sparsity;
mod state;
mod tanh;
mod trunk;

pub use attack::{Attacked, Reach};
pub use average::Average;
pub use cpu::CpuEngine;
pub use cuda::CudaEngine;
pub use engine::{Batch, Engine, StepError, StepPoint, StepStats};
pub use evaluate::{Evaluation, Evaluator, SampleResult};
pub use head::{Head, HeadBounds, HeadPass, Linear};
pub use input_box::InputBox;
pub use loss::{Loss, Objective};
pub use shape::{End, HeadShape, LayerShape, NetShape, ShapeError, Turn};
pub use sparsity::Sparsity;
pub use state::{LayerState, NetState, StateError, Trained};

#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
mod ensemble_tests;
#[cfg(test)]
mod exact_tests;
#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod gradient_tests;
#[cfg(test)]
mod soundness_tests;
