//! The samples under attack, each with the box that it may not leave.

use crate::dataset::Split;
use crate::experiment::{Epsilon, Label};
use crate::net::{Evaluator, InputBox};

use super::ascent::Ball;

/// The radius of each sample's box.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// One for all.
    All(Epsilon),
    /// One a sample, in the order of the split.
    Each(&'a [Epsilon]),
}

impl From<Epsilon> for Reach<'_> {
    fn from(eps: Epsilon) -> Self {
        Reach::All(eps)
    }
}

impl Reach<'_> {
    fn of(self, sample: usize) -> Epsilon {
        match self {
            Reach::All(eps) => eps,
            Reach::Each(radii) => radii[sample],
        }
    }
}

/// Samples of one chunk that have not been broken yet.
pub(super) struct Front {
    /// Places in the chunk.
    pub open: Vec<usize>,
    pub pixels: usize,
    pub images: Vec<f32>,
    pub labels: Vec<Label>,
    /// In the units of the net.
    radii: Vec<f32>,
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Front {
    pub(super) fn part<'a>(&self, values: &'a [f32], place: usize) -> &'a [f32] {
        &values[place * self.pixels..(place + 1) * self.pixels]
    }

    pub(super) fn ball(&self, place: usize) -> Ball<'_> {
        Ball { low: self.part(&self.low, place), high: self.part(&self.high, place), radius: self.radii[place] }
    }

    /// The images of the open samples as they stand, in the order of `open`.
    pub(super) fn gather(&self) -> Vec<f32> {
        self.open.iter().flat_map(|&place| self.part(&self.images, place)).copied().collect()
    }
}

impl Evaluator {
    pub(super) fn front(&self, split: &Split, chunk: std::ops::Range<usize>, reach: Reach<'_>) -> Front {
        let (pixels, size) = (self.view.pixels(), chunk.len());
        let (mut low, mut high) = (vec![0.0; size * pixels], vec![0.0; size * pixels]);
        let mut radii = Vec::with_capacity(size);
        let mut last: Option<(Epsilon, InputBox)> = None;
        for (place, sample) in chunk.clone().enumerate() {
            let eps = reach.of(sample);
            let input_box = match last.take() {
                Some((before, input_box)) if before == eps => input_box,
                _ => InputBox::new(self.view.id, eps),
            };
            let at = place * pixels..(place + 1) * pixels;
            let image = split.image(self.view, sample);
            input_box.around(&image, &mut low[at.clone()], &mut high[at]);
            radii.push((eps.to_f64() / self.view.id.std()) as f32);
            last = Some((eps, input_box));
        }
        let labels = split.labels[chunk.clone()].to_vec();
        Front { open: (0..size).collect(), pixels, images: self.images(split, chunk), labels, radii, low, high }
    }
}
