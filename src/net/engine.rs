//! What trains: one interface for our CPU kernels and for libtorch.

use crate::dataset::{Drawn, Split, View};
use crate::dist::OpStats;
use crate::experiment::{Label, PNorm};

use super::{NetState, Objective};

/// Training images of one step.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[B, inputs]`, augmented and normalised.
    pub images: &'a [f32],
    /// `[B]`, each below the number of classes.
    pub labels: &'a [Label],
}

/// What is in force at one step, in the units of the net.
#[derive(Clone, Copy, Debug)]
pub struct StepPoint {
    /// The exponent of every layer.
    pub p: PNorm,
    /// Learning rate of weights and bias.
    pub lr: f64,
    /// Learning rate of the scalar.
    pub scalar_lr: f64,
    /// The loss.
    pub objective: Objective,
    /// ε_train in normalised units (pixel ε over std).
    pub eps: f64,
}

/// What one step measured, summed over its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepStats {
    /// Mean loss of the batch.
    pub loss: f64,
    /// Samples whose nearest class is their own.
    pub correct: u32,
    /// Samples with margin > 2·ε_train at the step's p: no certificate at finite p.
    pub surrogate: u32,
}

/// Why a step could not be done. The net is not to be used after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// A loss or gradient is no number: the net is ruined from here on.
    #[error("{what} is not finite")]
    NotFinite {
        /// `loss`, or `gradient of layer 3`.
        what: String,
    },
    /// The device failed: out of memory, lost, …
    #[error("the device failed: {0}")]
    Device(String),
}

/// One training run's net on one device.
pub trait Engine {
    /// Forward, loss, backward and Adam on one batch.
    fn step(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<StepStats, StepError>;

    /// Takes the training images to where it computes, if that is elsewhere: then [`Engine::step_held`] does what
    /// [`Engine::step`] does, and batches need not be sent. Whether it did.
    ///
    /// # Errors
    /// They have no room there, or it failed otherwise; steps may go on with batches.
    fn hold(&mut self, images: &Split, view: View) -> Result<bool, StepError> {
        let _ = (images, view);
        Ok(false)
    }

    /// [`Engine::step`] on images that it holds.
    ///
    /// # Errors
    /// As there, and if it holds none.
    fn step_held(&mut self, drawn: &[Drawn], labels: &[Label], point: &StepPoint) -> Result<StepStats, StepError> {
        let _ = (drawn, labels, point);
        Err(StepError::Device("it holds no images".into()))
    }

    /// The net as it stands, with the optimizer's moments; copied from the device where it lives on one.
    fn state(&mut self) -> Result<&NetState, StepError>;

    /// s, which scales the logits inside the cross-entropy.
    ///
    /// # Errors
    /// Those of [`Engine::state`].
    fn scalar(&mut self) -> Result<f32, StepError> {
        Ok(self.state()?.scalar.value[0])
    }

    /// What each layer's kernels did in the last step; nothing where they are not ours.
    fn op_stats(&self) -> Vec<OpStats> {
        Vec::new()
    }

    /// Where it runs, for people: `CPU, avx512, 2 threads`.
    fn device(&self) -> String;
}
