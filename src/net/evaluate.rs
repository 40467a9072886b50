//! What a net is worth at p = ∞: clean accuracy, certified accuracy, and the margin of every sample.

use std::rc::Rc;

use linf_cuda::{Gpu, GpuError};

use crate::dataset::{Normalizer, Split, View, fill_batch};
use crate::dist::{Pool, Simd};
use crate::experiment::{Epsilon, Label, Neighbourhood, PNorm};

use super::cuda::CudaLayers;
use super::ensemble::ScoreBounds;
use super::trunk::{add_bias, bound, evaluate, subtract, turn};
use super::{InputBox, LayerState, NetState};

/// Images at a time: enough for the kernels, little memory.
const CHUNK: usize = 512;

/// Floats of one layer's outputs that are kept for all samples while means are re-estimated: 2 GB. Where there are more,
/// the layers before are computed again for each layer.
const KEPT_FLOATS: usize = 1 << 29;

/// Measures nets; holds the threads and buffers.
pub struct Evaluator {
    pub(super) pool: Pool,
    pub(super) simd: Simd,
    /// What the nets see.
    pub(super) view: View,
    normalizer: Normalizer,
    /// Computes the distance layers where there is one.
    pub(super) device: Option<CudaLayers>,
}

/// One test sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleResult {
    /// Margin in pixel units; half of it is a radius within which the class holds in real arithmetic, negative where the
    /// sample is misclassified. Of a distance net it is min_{j≠y} d_j − d_y, times std; of a net with a head, twice the
    /// radius that intervals prove from the features, which move no more than the pixels.
    pub margin: f32,
    /// The true class.
    pub label: Label,
    /// The class the program gives: the first of the smallest distances, or of the largest logits.
    pub prediction: Label,
    /// Whether interval propagation proves the class for every float32 input of the box.
    pub certified: bool,
}

/// All test samples, in the order of the test set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// One a sample.
    pub samples: Vec<SampleResult>,
}

impl Evaluation {
    /// Share of samples that are classified right.
    pub fn clean(&self) -> f64 {
        self.share(|sample| sample.prediction == sample.label)
    }

    /// Share of samples proved by intervals at the evaluation's ε.
    pub fn certified(&self) -> f64 {
        self.share(|sample| sample.certified)
    }

    /// Share of samples with margin > 2ε, the Lipschitz rule.
    pub fn certified_by_margin(&self, eps: Epsilon) -> f64 {
        self.share(|sample| f64::from(sample.margin) > 2.0 * eps.to_f64())
    }

    fn share(&self, test: impl Fn(&SampleResult) -> bool) -> f64 {
        if self.samples.is_empty() {
            return 0.0;
        }
        self.samples.iter().filter(|sample| test(sample)).count() as f64 / self.samples.len() as f64
    }
}

impl Evaluator {
    /// For images of this data set, whole or what nets see of them, on `threads` threads (0: all cores).
    pub fn new(view: impl Into<View>, threads: usize, simd: Simd) -> Evaluator {
        let view = view.into();
        Evaluator { pool: Pool::new(threads), simd, view, normalizer: Normalizer::new(view.id), device: None }
    }

    /// Has distance layers computed on a device, with the same bits at p = ∞. What fails there is computed here; see
    /// [`take_fault`](Self::take_fault).
    ///
    /// # Errors
    /// The device has no memory at all.
    pub fn on_device(mut self, gpu: &Rc<dyn Gpu>) -> Result<Evaluator, GpuError> {
        self.device = Some(CudaLayers::new(gpu)?);
        Ok(self)
    }

    /// Why something was computed on the CPU in spite of the device since this was asked last. What lasts is told once.
    pub fn take_fault(&self) -> Option<GpuError> {
        self.device.as_ref().and_then(CudaLayers::take_fault)
    }

    /// Gives the device's memory back until it measures again.
    pub fn release(&self) {
        if let Some(device) = &self.device {
            device.release();
        }
    }

    /// Every method that is given a net begins with this: the device must not know the weights of another.
    pub(super) fn begin(&self) {
        if let Some(device) = &self.device {
            device.forget();
        }
    }

    /// A layer's outputs before its mean is taken off.
    fn outputs(&self, layer: &LayerState, p: PNorm, input: &[f32]) -> Vec<f32> {
        let found = self.device.as_ref().and_then(|device| device.attempt(|device| device.evaluate(layer, p, input)));
        found.unwrap_or_else(|| evaluate(&self.pool, self.simd, layer, p, input))
    }

    /// The net with its running means replaced by the means over the first `samples` images of `split`, unaugmented,
    /// at p = ∞, layer by layer: the means that p = ∞ would have settled to (SortNet, arXiv 2210.01787, does the same).
    pub fn with_means_at_infinity(&mut self, net: &NetState, split: &Split, samples: usize) -> NetState {
        self.with_means_at(net, PNorm::INFINITY, split, samples)
    }

    /// The same at any p.
    pub(super) fn with_means_at(&mut self, net: &NetState, p: PNorm, split: &Split, samples: usize) -> NetState {
        self.begin();
        let mut net = net.clone();
        let samples = samples.min(split.len());
        if samples == 0 {
            return net;
        }
        let largest = net.layers.iter().map(|layer| layer.shape.form.output().values()).max().unwrap_or(0);
        let keep = largest * samples <= KEPT_FLOATS;
        let mut kept: Vec<Vec<f32>> =
            if keep { chunks(samples).map(|chunk| self.images(split, chunk)).collect() } else { Vec::new() };
        for index in 0..net.layers.len() {
            let (before, rest) = net.layers.split_at_mut(index);
            let layer = &mut rest[0];
            if layer.mean.is_empty() {
                continue;
            }
            let mut sums = vec![0.0f64; layer.mean.len()];
            for (n, chunk) in chunks(samples).enumerate() {
                let input = if keep {
                    std::mem::take(&mut kept[n])
                } else {
                    before.iter().fold(self.images(split, chunk), |input, layer| self.layer(layer, p, &input))
                };
                let output = self.outputs(layer, p, &input);
                for row in output.chunks_exact(sums.len()) {
                    for (sum, &value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(value);
                    }
                }
                if keep {
                    kept[n] = output;
                }
            }
            let rows = (samples * layer.shape.form.output().positions()) as f64;
            for (mean, sum) in layer.mean.iter_mut().zip(sums) {
                *mean = (sum / rows) as f32;
            }
            kept.iter_mut().for_each(|chunk| subtract(chunk, &layer.mean));
        }
        net
    }

    /// Clean prediction, margin, and interval certificate of the first `samples` images of `split` and what lies `around`
    /// them, at p = ∞ with the net's means as they are.
    pub fn certify(
        &mut self,
        net: &NetState,
        split: &Split,
        samples: usize,
        around: impl Into<Neighbourhood>,
    ) -> Evaluation {
        self.begin();
        let input_box = InputBox::new(self.view.id, around);
        let std = self.view.id.std();
        let mut evaluation = Evaluation::default();
        for chunk in chunks(samples.min(split.len())) {
            let images = self.images(split, chunk.clone());
            let labels = &split.labels[chunk.clone()];
            let answers = self.answers(net, PNorm::INFINITY, images, labels);
            let (low, high) = self.boxes(&input_box, split, chunk);
            let certified = self.proofs(net, low, high, labels);
            for ((answer, certified), &label) in answers.into_iter().zip(certified).zip(labels) {
                evaluation.samples.push(SampleResult {
                    margin: (answer.margin * std) as f32,
                    label,
                    prediction: answer.prediction,
                    certified,
                });
            }
        }
        evaluation
    }

    /// Clean accuracy and the share of margins above 2ε at a finite p, with the net's running means: no certificate.
    /// `None` of a net of sort neurons, which are defined at p = ∞ alone.
    pub fn surrogate(
        &mut self,
        net: &NetState,
        split: &Split,
        samples: usize,
        p: PNorm,
        eps: Epsilon,
    ) -> Option<(f64, f64)> {
        if net.sorts() {
            return None;
        }
        self.begin();
        let samples = samples.min(split.len());
        let threshold = 2.0 * eps.to_f64() / self.view.id.std();
        let (mut correct, mut wide) = (0u32, 0u32);
        for chunk in chunks(samples) {
            let labels = &split.labels[chunk.clone()];
            for (answer, &label) in self.answers(net, p, self.images(split, chunk), labels).iter().zip(labels) {
                correct += u32::from(answer.prediction == label);
                wide += u32::from(answer.margin > threshold);
            }
        }
        let share = |count: u32| f64::from(count) / samples.max(1) as f64;
        Some((share(correct), share(wide)))
    }

    /// One layer in evaluation mode: its outputs with the running mean taken off.
    pub(super) fn layer(&self, layer: &LayerState, p: PNorm, input: &[f32]) -> Vec<f32> {
        let mut output = self.outputs(layer, p, input);
        subtract(&mut output, &layer.mean);
        output
    }

    /// What the net answers for each image, in evaluation mode.
    pub(super) fn answers(&self, net: &NetState, p: PNorm, images: Vec<f32>, labels: &[Label]) -> Vec<Answer> {
        let mut output = net.layers.iter().fold(images, |input, layer| self.layer(layer, p, &input));
        let Some((turned, head)) = &net.head else {
            add_bias(&mut output, &net.bias.value);
            let rows = output.chunks_exact(net.bias.value.len()).zip(labels);
            let answer = |(row, &label): (&[f32], &Label)| Answer {
                prediction: first_smallest(row.iter().copied()),
                margin: f64::from(margin(row, label)),
            };
            return rows.map(answer).collect();
        };
        let mut scratch = Vec::new();
        let features = turn(&self.pool, *turned, &output, &mut scratch);
        let logits = head.logits(&self.pool, self.simd, features);
        let margins = head.margins(&self.pool, self.simd, features, labels, 1.0 / self.view.id.std());
        let rows = logits.chunks_exact(net.classes()).zip(margins);
        rows.map(|(row, margin)| Answer { prediction: first_smallest(row.iter().map(|z| -z)), margin }).collect()
    }

    /// The ends of the boxes around these samples, `[B, inputs]` each.
    pub(super) fn boxes(
        &self,
        input_box: &InputBox,
        split: &Split,
        chunk: std::ops::Range<usize>,
    ) -> (Vec<f32>, Vec<f32>) {
        let size = self.view.pixels();
        let (mut low, mut high) = (vec![0.0; chunk.len() * size], vec![0.0; chunk.len() * size]);
        let ends = low.chunks_exact_mut(size).zip(high.chunks_exact_mut(size));
        for (sample, (low, high)) in chunk.zip(ends) {
            input_box.around(&split.image(self.view, sample), low, high);
        }
        (low, high)
    }

    /// Whether each box is proved to have its label, at p = ∞ (arXiv 2102.05363 §4).
    pub(super) fn proofs(&self, net: &NetState, low: Vec<f32>, high: Vec<f32>, labels: &[Label]) -> Vec<bool> {
        match self.score_bounds(net, low, high) {
            ScoreBounds::Distances { low, high, classes } => {
                let rows = low.chunks_exact(classes).zip(high.chunks_exact(classes));
                rows.zip(labels).map(|((low, high), &label)| holds(low, high, label)).collect()
            }
            ScoreBounds::Head(bounds) => {
                labels.iter().enumerate().map(|(row, &label)| bounds.proves(row, label)).collect()
            }
        }
    }

    /// Bounds on the last layer's outputs over the boxes, at p = ∞, a bias included.
    ///
    /// They are computed with the same float32 operations as [`Self::answers`], each of which is monotone, so they
    /// enclose every value that the program itself can compute on the box, rounding included.
    pub(super) fn bounds(&self, net: &NetState, mut low: Vec<f32>, mut high: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        for layer in &net.layers {
            let found =
                self.device.as_ref().and_then(|device| device.attempt(|device| device.bound(layer, &low, &high)));
            (low, high) = found.unwrap_or_else(|| bound(&self.pool, self.simd, layer, &low, &high));
            subtract(&mut low, &layer.mean);
            subtract(&mut high, &layer.mean);
        }
        if net.head.is_none() {
            add_bias(&mut low, &net.bias.value);
            add_bias(&mut high, &net.bias.value);
        }
        (low, high)
    }

    pub(super) fn images(&self, split: &Split, samples: std::ops::Range<usize>) -> Vec<f32> {
        let indices: Vec<u32> = samples.map(|sample| sample as u32).collect();
        let mut images = vec![0.0; indices.len() * self.view.pixels()];
        fill_batch(split, self.view, &self.normalizer, &indices, None, &mut images, &mut Vec::new());
        images
    }
}

pub(super) fn chunks(samples: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..samples).step_by(CHUNK).map(move |start| start..(start + CHUNK).min(samples))
}

/// What a net says of one image.
pub(super) struct Answer {
    pub prediction: Label,
    /// In the units of the net.
    pub margin: f64,
}

pub(super) fn first_smallest(values: impl Iterator<Item = f32>) -> Label {
    let mut best = (0, f32::INFINITY);
    for (class, value) in values.enumerate() {
        if value < best.1 {
            best = (class, value);
        }
    }
    best.0 as Label
}

fn margin(distances: &[f32], label: Label) -> f32 {
    others(distances, label).fold(f32::INFINITY, f32::min) - distances[usize::from(label)]
}

/// Whether the true class is nearer than every other wherever the distances lie within their bounds. A NaN proves
/// nothing.
fn holds(low: &[f32], high: &[f32], label: Label) -> bool {
    let own = high[usize::from(label)];
    others(low, label).all(|other| own < other)
}

fn others(values: &[f32], label: Label) -> impl Iterator<Item = f32> {
    values.iter().enumerate().filter(move |&(class, _)| class != usize::from(label)).map(|(_, &value)| value)
}
