//! What a run is while it trains: its data, its schedules, and how far it has come.

use std::path::Path;

use anyhow::{Context, bail};
use linf::dataset::{self, Augmentation, Dataset, Normalizer, Split};
use linf::experiment::{Config, Schedules};
use linf::net::{NetShape, Objective, StepPoint};
use linf::store::EvalSplit;
use linf::store::checkpoint::Loaded;

/// Everything about a run that does not change while it trains.
pub struct Job {
    pub config: Config,
    pub shape: NetShape,
    pub schedules: Schedules,
    /// Trained on are `train`, without what is held out, and whatever more the config names behind it.
    pub dataset: Dataset,
    /// Training images held out; none where the config holds out none.
    pub validation: Split,
    /// How many of the training images are the data set's own.
    pub own_images: usize,
    normalizer: Normalizer,
    /// Steps of one epoch; its last batch may be smaller.
    pub epoch_steps: u64,
    /// Steps of the whole run.
    pub steps: u64,
}

impl Job {
    /// Whose images decide which net is the best: those held out, where there are some.
    pub fn deciding_split(&self) -> EvalSplit {
        if self.validation.is_empty() { EvalSplit::Test } else { EvalSplit::Validation }
    }

    /// Loads the data and works out the schedule.
    pub fn new(config: Config) -> anyhow::Result<Job> {
        let root = dataset::default_root();
        let id = config.data.dataset;
        let mut dataset = dataset::load(id, &root).context("loading the images")?;
        let mut validation = Split::default();
        if config.data.validation > 0 {
            (dataset.train, validation) = dataset.train.hold_out(dataset::HELD_OUT_BY, config.data.validation);
        }
        cut(&mut dataset.train, config.data.train_limit, id.pixels());
        cut(&mut dataset.test, config.data.test_limit, id.pixels());
        let own_images = dataset.train.len();
        if own_images == 0 {
            bail!("{id} has no training images, or all of them are held out");
        }
        let epoch_steps = own_images.div_ceil(config.train.batch_size) as u64;
        if let Some(extra) = &config.data.extra {
            let more = dataset::read_extra(id, &root.join(&extra.path)).context("loading the extra training images")?;
            dataset.train.images.extend(more.images);
            dataset.train.labels.extend(more.labels);
        }
        Ok(Job {
            shape: NetShape::new(&config),
            schedules: Schedules::new(&config),
            normalizer: Normalizer::new(config.data.dataset),
            steps: epoch_steps * u64::from(config.train.epochs),
            epoch_steps,
            dataset,
            validation,
            own_images,
            config,
        })
    }

    /// Fractional epoch after so many steps.
    pub fn epoch(&self, step: u64) -> f64 {
        // Whole epochs and the fraction apart, so that the ends of epochs are exact.
        (step / self.epoch_steps) as f64 + (step % self.epoch_steps) as f64 / self.epoch_steps as f64
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

    /// The training images of the step that follows `step` steps. `order` is the epoch's.
    pub fn batch(&self, step: u64, order: &EpochOrder, images: &mut Vec<f32>, labels: &mut Vec<u8>) {
        let size = self.config.train.batch_size;
        let start = (step % self.epoch_steps) as usize * size;
        let mut indices = order.samples[start..(start + size).min(order.samples.len())].to_vec();
        // Images of one class lie close together, which lets the kernels bound them together. A batch is a set, so
        // its order is ours to choose; sorting it the same way every time keeps the bits.
        indices.sort_by_key(|&index| self.dataset.train.labels[index as usize]);
        images.resize(indices.len() * self.shape.inputs(), 0.0);
        let augmentation = &self.config.data.augment;
        let varied = *augmentation != Augmentation::default();
        let augment = varied.then_some((augmentation, self.config.train.seed, order.epoch));
        let id = self.config.data.dataset;
        dataset::fill_batch(&self.dataset.train, id, &self.normalizer, &indices, augment, images, labels);
    }
}

fn cut(split: &mut Split, limit: Option<usize>, pixels: usize) {
    if let Some(limit) = limit {
        split.labels.truncate(limit);
        split.images.truncate(limit * pixels);
    }
}

/// The order in which one epoch visits the training images.
pub struct EpochOrder {
    epoch: u64,
    samples: Vec<u32>,
}

impl EpochOrder {
    /// The order of the epoch that the step after `step` steps belongs to; `last` is reused where it is that one.
    pub fn of(job: &Job, step: u64, last: Option<EpochOrder>) -> EpochOrder {
        let epoch = step / job.epoch_steps;
        last.filter(|order| order.epoch == epoch).unwrap_or_else(|| EpochOrder {
            epoch,
            samples: match &job.config.data.extra {
                None => dataset::epoch_order(job.config.train.seed, epoch, job.own_images),
                Some(extra) => {
                    let more = job.dataset.train.len() - job.own_images;
                    dataset::mixed_order(job.config.train.seed, epoch, job.own_images, more, extra.share)
                }
            },
        })
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
