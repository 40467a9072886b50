//! The images of a run, and the batch of every step: a pure function of the step.

use anyhow::{Context, bail};
use linf::dataset::{self, Augmentation, Drawn, Normalizer, Split, View};
use linf::experiment::{Config, Label};
use linf::store::EvalSplit;

/// What a run trains on and is measured on.
pub struct Images {
    /// What nets see.
    pub view: View,
    /// Trained on: without what is held out, and with whatever more the config names behind it.
    pub train: Split,
    /// Training images held out; none where the config holds out none.
    pub validation: Split,
    pub test: Split,
    /// How many of the training images are the data set's own.
    pub own: usize,
    /// Steps of one epoch; its last batch may be smaller.
    pub epoch_steps: u64,
    batch_size: usize,
    dropout: bool,
    /// The share of an epoch that the extra images take, where there are some.
    share: Option<f64>,
    augmentation: Option<Augmentation>,
    seed: u64,
    normalizer: Normalizer,
}

/// The training images of one step.
#[derive(Default)]
pub struct Filled {
    /// Which they are, and what is seen of each.
    pub drawn: Vec<Drawn>,
    /// `[B, C·H·W]`, augmented and normalised; empty where the engine holds all images.
    pub images: Vec<f32>,
    /// `[B]`.
    pub labels: Vec<Label>,
}

/// The order in which one epoch visits the training images.
#[derive(Default)]
pub struct EpochOrder(Option<(u64, Vec<u32>)>);

impl Images {
    /// Loads what the config names.
    pub fn load(config: &Config) -> anyhow::Result<Images> {
        let root = dataset::default_root();
        let (id, data) = (config.data.dataset, &config.data);
        let mut dataset = dataset::load(id, &root).context("loading the images")?;
        let (mut train, validation) = dataset.train.for_training(data);
        dataset.test.truncate(data.test_limit.unwrap_or(dataset.test.len()));
        let own = train.len();
        if own == 0 {
            bail!("{id} has no training images, or all of them are held out");
        }
        if let Some(extra) = &data.extra {
            let more = dataset::read_extra(id, &root.join(&extra.path)).context("loading the extra training images")?;
            train.images.extend(more.images);
            train.labels.extend(more.labels);
        }
        Ok(Images {
            view: data.view(),
            train,
            validation,
            test: dataset.test,
            own,
            epoch_steps: own.div_ceil(config.train.batch_size) as u64,
            batch_size: config.train.batch_size,
            dropout: config.model.keep.is_some(),
            share: data.extra.as_ref().map(|extra| extra.share),
            augmentation: data.variation().copied(),
            seed: config.train.seed,
            normalizer: Normalizer::new(id),
        })
    }

    /// Whose images decide which net is the best: those held out, where there are some.
    pub fn deciding_split(&self) -> EvalSplit {
        if self.validation.is_empty() { EvalSplit::Test } else { EvalSplit::Validation }
    }

    /// The images of a split.
    pub fn of(&self, split: EvalSplit) -> &Split {
        match split {
            EvalSplit::Test => &self.test,
            EvalSplit::Validation => &self.validation,
        }
    }

    /// The training images of the step that follows `step` steps; `with_pixels` says whether their values are wanted.
    /// `order` is kept from step to step.
    pub fn fill(&self, step: u64, order: &mut EpochOrder, filled: &mut Filled, with_pixels: bool) {
        let epoch = step / self.epoch_steps;
        let samples = match &mut order.0 {
            Some((of, samples)) if *of == epoch => samples,
            other => &mut other.insert((epoch, self.order(epoch))).1,
        };
        let start = (step % self.epoch_steps) as usize * self.batch_size;
        let mut indices = samples[start..(start + self.batch_size).min(samples.len())].to_vec();
        dataset::sort_by_class(&mut indices, &self.train.labels, self.dropout);
        let augment = self.augmentation.as_ref().map(|augmentation| (augmentation, self.seed, epoch));
        let Filled { drawn, images, labels } = filled;
        *drawn = dataset::draw(self.view, &indices, augment);
        labels.clear();
        labels.extend(indices.iter().map(|&index| self.train.labels[index as usize]));
        if with_pixels {
            self.fill_pixels(drawn, images);
        } else {
            images.clear();
        }
    }

    /// The values of drawn images, `[B, C·H·W]`.
    pub fn fill_pixels(&self, drawn: &[Drawn], images: &mut Vec<f32>) {
        images.resize(drawn.len() * self.view.pixels(), 0.0);
        dataset::fill_drawn(&self.train, self.view, &self.normalizer, drawn, images);
    }

    fn order(&self, epoch: u64) -> Vec<u32> {
        match self.share {
            None => dataset::epoch_order(self.seed, epoch, self.own),
            Some(share) => dataset::mixed_order(self.seed, epoch, self.own, self.train.len() - self.own, share),
        }
    }
}

#[cfg(test)]
mod tests {
    use linf::dist::MASK_SAMPLES;

    use super::*;

    /// The labels of the first batch of 256 images of ten classes.
    fn labels(model: &str) -> Vec<Label> {
        let text = format!(
            "data = {{ dataset = \"synthetic\", train_limit = 1000 }}\nmodel = {{ depth = 3, width = 8, {model} }}\n\
             train = {{ epochs = 2, batch_size = 256, lr = 0.03 }}\nschedule = {{ ramp_start = 1, ramp_end = 2 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.2 }}\neval = {{ eps = 0.1 }}"
        );
        let mut filled = Filled::default();
        let images = Images::load(&linf::experiment::parse(&text).unwrap()).unwrap();
        images.fill(0, &mut EpochOrder::default(), &mut filled, false);
        filled.labels
    }

    #[test]
    fn a_mask_of_dropout_is_of_every_class() {
        let plain = labels("");
        assert!(plain.is_sorted(), "{plain:?}");
        let masked = labels("kind = \"sort-net\", keep = 0.7");
        for part in masked.chunks(MASK_SAMPLES) {
            let mut classes = part.to_vec();
            classes.dedup();
            assert!(part.is_sorted() && classes.len() >= 6, "{part:?}");
        }
        let mut sorted = masked;
        sorted.sort_unstable();
        assert_eq!(sorted, plain, "the same images");
    }
}
