//! What a run is while it trains: its data, its schedules, and how far it has come.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use linf::experiment::{Config, Schedules};
use linf::net::{NetShape, Objective, StepPoint};
use linf::store::checkpoint::Loaded;

use crate::images::Images;

/// Everything about a run that does not change while it trains.
pub struct Job {
    pub config: Config,
    pub shape: NetShape,
    pub schedules: Schedules,
    pub images: Arc<Images>,
    /// Steps of the whole run.
    pub steps: u64,
}

impl Job {
    /// Loads the images and works out the schedule.
    pub fn new(config: Config) -> anyhow::Result<Job> {
        let images = Images::load(&config)?;
        Ok(Job {
            shape: NetShape::new(&config),
            schedules: Schedules::new(&config),
            steps: images.epoch_steps * u64::from(config.train.epochs),
            images: Arc::new(images),
            config,
        })
    }

    /// Fractional epoch after so many steps.
    pub fn epoch(&self, step: u64) -> f64 {
        // Whole epochs and the fraction apart, so that the ends of epochs are exact.
        let steps = self.images.epoch_steps;
        (step / steps) as f64 + (step % steps) as f64 / steps as f64
    }

    /// What is in force in the step that follows `step` steps, with ε in normalised units.
    pub fn point(&self, step: u64) -> StepPoint {
        let point = self.schedules.at(self.epoch(step));
        StepPoint {
            p: point.p,
            lr: point.lr,
            scalar_lr: point.scalar_lr,
            objective: Objective::new(&self.config.loss, point.lambda),
            eps: point.eps_train / self.config.data.dataset.std(),
        }
    }
}

/// How far training has come. Together with the net it decides everything that follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    /// Steps done.
    pub step: u64,
    /// Sums over the samples of the epoch under way: loss, correct, with a margin above 2·ε_train.
    pub loss: f64,
    pub correct: u64,
    pub surrogate: u64,
    /// Seconds of training in the epoch under way, and in all. They decide nothing.
    pub epoch_seconds: f64,
    pub train_seconds: f64,
}

impl Position {
    /// As stored: bit-exact.
    pub fn words(&self) -> [u64; 4] {
        [self.step, self.loss.to_bits(), self.correct, self.surrogate]
    }

    /// From a checkpoint.
    pub fn restore(loaded: &Loaded, path: &Path) -> anyhow::Result<Position> {
        let words = loaded.tensors.get("position").and_then(|tensor| tensor.u64());
        let Some(&[step, loss, correct, surrogate]) = words else {
            bail!("{} holds no position: it is not a training checkpoint", path.display());
        };
        let meta: serde_json::Value = serde_json::from_str(&loaded.meta_json)
            .with_context(|| format!("reading what {} says of itself", path.display()))?;
        let seconds = |key: &str| meta.get(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        Ok(Position {
            step,
            loss: f64::from_bits(loss),
            correct,
            surrogate,
            epoch_seconds: seconds("epoch_seconds"),
            train_seconds: seconds("train_seconds"),
        })
    }
}
