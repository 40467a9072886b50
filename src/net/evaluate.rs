//! What a net is worth at p = ∞: clean accuracy, certified accuracy, and the margin of every sample.

use crate::dataset::{DatasetId, Normalizer, Split, fill_batch};
use crate::dist::{self, DistOp, Pool, Simd};
use crate::experiment::{Epsilon, PNorm};

use super::cpu::{add_bias, shape_of};
use super::{InputBox, NetState};

/// Images at a time: enough for the kernels, little memory.
const CHUNK: usize = 512;

/// Measures nets; holds the threads and buffers.
pub struct Evaluator {
    pool: Pool,
    simd: Simd,
    op: DistOp,
    id: DatasetId,
    normalizer: Normalizer,
}

/// One test sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleResult {
    /// Lipschitz margin in pixel units: min_{j≠y} d_j − d_y, times std. Half of it is a radius within which the class
    /// holds in real arithmetic; negative where the sample is misclassified.
    pub margin: f32,
    /// The true class.
    pub label: u8,
    /// The class the program gives: the first of the smallest distances.
    pub prediction: u8,
    /// Whether interval propagation proves the class for every float32 input of the box of radius ε.
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
    /// For images of this data set, on `threads` threads (0: all cores).
    pub fn new(id: DatasetId, threads: usize, simd: Simd) -> Evaluator {
        Evaluator { pool: Pool::new(threads), simd, op: DistOp::new(simd), id, normalizer: Normalizer::new(id) }
    }

    /// The net with its running means replaced by the means over the first `samples` images of `split`, unaugmented,
    /// at p = ∞, layer by layer: the means that p = ∞ would have settled to (SortNet, arXiv 2210.01787, does the same).
    pub fn with_means_at_infinity(&mut self, net: &NetState, split: &Split, samples: usize) -> NetState {
        let mut net = net.clone();
        let samples = samples.min(split.len());
        if samples == 0 {
            return net;
        }
        // The outputs of one layer for all samples; a chunk is computed aside and replaces its inputs.
        let mut inputs: Vec<Vec<f32>> = chunks(samples).map(|chunk| self.images(split, chunk)).collect();
        for layer in net.layers.iter_mut().filter(|layer| !layer.mean.is_empty()) {
            let mut sums = vec![0.0f64; layer.shape.outputs];
            for chunk in &mut inputs {
                let batch = chunk.len() / layer.shape.inputs;
                let shape = shape_of(layer, batch);
                let mut output = vec![0.0; batch * shape.outputs];
                let weight = &layer.weight.value;
                self.op.forward(&self.pool, shape, f64::INFINITY, chunk, weight, &mut output, false);
                for row in output.chunks_exact(shape.outputs) {
                    for (sum, &value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(value);
                    }
                }
                *chunk = output;
            }
            for (mean, sum) in layer.mean.iter_mut().zip(sums) {
                *mean = (sum / samples as f64) as f32;
            }
            for chunk in &mut inputs {
                subtract(chunk, &layer.mean);
            }
        }
        net
    }

    /// Clean prediction, margin, and interval certificate at `eps` of the first `samples` images of `split`, at p = ∞
    /// with the net's means as they are.
    pub fn certify(&mut self, net: &NetState, split: &Split, samples: usize, eps: Epsilon) -> Evaluation {
        let input_box = InputBox::new(self.id, eps);
        let size = self.id.pixels();
        let std = self.id.std();
        let mut evaluation = Evaluation::default();
        for chunk in chunks(samples.min(split.len())) {
            let images = self.images(split, chunk.clone());
            let distances = self.distances(net, PNorm::INFINITY, images);
            let (mut low, mut high) = (vec![0.0; chunk.len() * size], vec![0.0; chunk.len() * size]);
            for (row, sample) in chunk.clone().enumerate() {
                let at = row * size..(row + 1) * size;
                let image = &split.images[sample * size..(sample + 1) * size];
                input_box.around(image, &mut low[at.clone()], &mut high[at]);
            }
            let (low, high) = self.bounds(net, low, high);
            let classes = net.bias.value.len();
            for (row, sample) in chunk.enumerate() {
                let at = row * classes..(row + 1) * classes;
                let label = split.labels[sample];
                evaluation.samples.push(SampleResult {
                    margin: (f64::from(margin(&distances[at.clone()], label)) * std) as f32,
                    label,
                    prediction: first_smallest(&distances[at.clone()]),
                    certified: holds(&low[at.clone()], &high[at], label),
                });
            }
        }
        evaluation
    }

    /// Clean accuracy and the share of margins above 2ε at a finite p, with the net's running means: no certificate.
    pub fn surrogate(&mut self, net: &NetState, split: &Split, samples: usize, p: PNorm, eps: Epsilon) -> (f64, f64) {
        let samples = samples.min(split.len());
        let (classes, threshold) = (net.bias.value.len(), 2.0 * eps.to_f64() / self.id.std());
        let (mut correct, mut wide) = (0u32, 0u32);
        for chunk in chunks(samples) {
            let images = self.images(split, chunk.clone());
            let distances = self.distances(net, p, images);
            for (row, sample) in distances.chunks_exact(classes).zip(chunk) {
                let label = split.labels[sample];
                correct += u32::from(first_smallest(row) == label);
                wide += u32::from(f64::from(margin(row, label)) > threshold);
            }
        }
        let share = |count: u32| f64::from(count) / samples.max(1) as f64;
        (share(correct), share(wide))
    }

    /// The last layer's distances with bias, `[B, C]`, in evaluation mode.
    fn distances(&mut self, net: &NetState, p: PNorm, images: Vec<f32>) -> Vec<f32> {
        let mut input = images;
        for layer in &net.layers {
            let shape = shape_of(layer, input.len() / layer.shape.inputs);
            let mut output = vec![0.0; shape.batch * shape.outputs];
            self.op.forward(&self.pool, shape, p.get(), &input, &layer.weight.value, &mut output, false);
            subtract(&mut output, &layer.mean);
            input = output;
        }
        add_bias(&mut input, &net.bias.value);
        input
    }

    /// Bounds on the last layer's distances over the boxes, at p = ∞ (arXiv 2102.05363 §4).
    ///
    /// They are computed with the same float32 operations as [`Self::distances`], each of which is monotone, so they
    /// enclose every value that the program itself can compute on the box, rounding included.
    fn bounds(&mut self, net: &NetState, mut low: Vec<f32>, mut high: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        for layer in &net.layers {
            let shape = shape_of(layer, low.len() / layer.shape.inputs);
            let mut out_low = vec![0.0; shape.batch * shape.outputs];
            let mut out_high = out_low.clone();
            let weight = &layer.weight.value;
            dist::interval(&self.pool, self.simd, shape, &low, &high, weight, &mut out_low, &mut out_high);
            subtract(&mut out_low, &layer.mean);
            subtract(&mut out_high, &layer.mean);
            (low, high) = (out_low, out_high);
        }
        add_bias(&mut low, &net.bias.value);
        add_bias(&mut high, &net.bias.value);
        (low, high)
    }

    fn images(&self, split: &Split, samples: std::ops::Range<usize>) -> Vec<f32> {
        let indices: Vec<u32> = samples.map(|sample| sample as u32).collect();
        let mut images = vec![0.0; indices.len() * self.id.pixels()];
        fill_batch(split, self.id, &self.normalizer, &indices, None, &mut images, &mut Vec::new());
        images
    }
}

fn chunks(samples: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..samples).step_by(CHUNK).map(move |start| start..(start + CHUNK).min(samples))
}

/// fl(d − r) for every row; nothing where the layer has no means.
fn subtract(rows: &mut [f32], means: &[f32]) {
    if means.is_empty() {
        return;
    }
    for row in rows.chunks_exact_mut(means.len()) {
        for (value, mean) in row.iter_mut().zip(means) {
            *value -= mean;
        }
    }
}

fn first_smallest(distances: &[f32]) -> u8 {
    let mut best = (0, f32::INFINITY);
    for (class, &distance) in distances.iter().enumerate() {
        if distance < best.1 {
            best = (class, distance);
        }
    }
    best.0 as u8
}

fn margin(distances: &[f32], label: u8) -> f32 {
    others(distances, label).fold(f32::INFINITY, f32::min) - distances[usize::from(label)]
}

/// Whether the true class is nearer than every other wherever the distances lie within their bounds. A NaN proves
/// nothing.
fn holds(low: &[f32], high: &[f32], label: u8) -> bool {
    let own = high[usize::from(label)];
    others(low, label).all(|other| own < other)
}

fn others(values: &[f32], label: u8) -> impl Iterator<Item = f32> {
    values.iter().enumerate().filter(move |&(class, _)| class != usize::from(label)).map(|(_, &value)| value)
}
