//! One training step's pass through the head: logits, worst-case margins over the box f ± ε, and all gradients.
//!
//! Worst cases are by interval bounds (arXiv 2102.05363 §5): W_j is the largest z_j − z_y over the box of hidden units, W_y
//! is 0. They steer training and certify nothing, so centre and radius are computed as is quickest.

use crate::dist::{Pool, Simd, product, transposed};
use crate::experiment::Label;

use super::{Head, Linear};
use crate::net::tanh::tanh;

/// The pass of one batch, with its gradients; buffers are kept from step to step.
///
/// It can be given what the first layer comes to, and give the gradients of that: where a device computes that layer.
#[derive(Default)]
pub struct HeadPass {
    /// z, `[B, C]`.
    pub logits: Vec<f32>,
    /// W, `[B, C]`, 0 at the labels.
    pub worst: Vec<f32>,
    /// ∂loss/∂f, `[B, I]`.
    pub features: Vec<f32>,
    /// ∂loss/∂ of the tensors of the head, in the order of its parts.
    pub gradients: [Vec<f32>; 4],
    /// ∂loss/∂ of the first layer's outputs, `[B, H]`.
    pub(in crate::net) of_before: Vec<f32>,
    /// ∂loss/∂ of the reach of each unit, `[H]`.
    pub(in crate::net) of_reach: Vec<f64>,
    /// Hidden units of f, and at both ends of the box, `[B, H]`.
    hidden: Vec<f32>,
    low: Vec<f32>,
    high: Vec<f32>,
    /// ∂loss/∂ of both ends, `[B, 2, H]`.
    of_ends: Vec<f32>,
}

impl HeadPass {
    /// Logits and worst-case margins of features `[B, I]` for the box of radius `eps` around them.
    pub fn forward(&mut self, pool: &Pool, simd: Simd, head: &Head, features: &[f32], labels: &[Label], eps: f64) {
        let hidden = &head.hidden;
        let scale = f64::from(hidden.scale());
        let rows = hidden.weight.value.chunks_exact(hidden.inputs);
        let sizes = rows.map(|row| row.iter().map(|w| f64::from(w.abs())).sum::<f64>());
        let reach: Vec<f32> = sizes.map(|size| (eps * scale * size) as f32).collect();
        let before = hidden.forward(pool, simd, features);
        self.forward_behind(pool, simd, head, &before, &reach, labels);
    }

    /// The same from the first layer's outputs `[B, H]` and how far each unit's move within the box, `[H]`.
    pub(in crate::net) fn forward_behind(
        &mut self,
        pool: &Pool,
        simd: Simd,
        head: &Head,
        before: &[f32],
        reach: &[f32],
        labels: &[Label],
    ) {
        let (classes, units) = (&head.classes, head.hidden.outputs);
        for (to, sign) in [(&mut self.low, -1.0), (&mut self.hidden, 0.0), (&mut self.high, 1.0)] {
            to.resize(before.len(), 0.0);
            pool.for_parts(to, units, |b, row| {
                for ((to, z), reach) in row.iter_mut().zip(&before[b * units..]).zip(reach) {
                    *to = tanh(z + sign * reach);
                }
            });
        }
        self.logits = classes.forward(pool, simd, &self.hidden);
        let HeadPass { worst, low, high, .. } = self;
        worst.resize(labels.len() * classes.outputs, 0.0);
        pool.for_parts(worst, classes.outputs, |b, row| {
            let (low, high) = (&low[b * units..][..units], &high[b * units..][..units]);
            for (j, worst) in row.iter_mut().enumerate() {
                let own = j == usize::from(labels[b]);
                *worst = if own { 0.0 } else { classes.greatest_lead(j, labels[b], low, high) };
            }
        });
    }

    /// Gradients of the last [`Self::forward`], given the same operands, for ∂loss/∂z and ∂loss/∂W, `[B, C]` each.
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub fn backward(
        &mut self,
        pool: &Pool,
        simd: Simd,
        head: &Head,
        features: &[f32],
        labels: &[Label],
        eps: f64,
        of_logits: &[f32],
        of_worst: &[f32],
    ) {
        self.backward_behind(pool, simd, head, labels, of_logits, of_worst);
        let hidden = &head.hidden;
        let (batch, units, scale) = (labels.len(), hidden.outputs, hidden.scale());
        let of_first = &mut self.gradients[0];
        of_first.resize(units * hidden.inputs, 0.0);
        product(pool, simd, batch, &transposed(&self.of_before, units), features, of_first);
        let of_rows = of_first.chunks_exact_mut(hidden.inputs).zip(&self.of_reach);
        for (row, (of_row, of_reach)) in hidden.weight.value.chunks_exact(hidden.inputs).zip(of_rows) {
            let of_reach = (eps * of_reach) as f32;
            for (w, of_w) in row.iter().zip(of_row) {
                let sign = if *w == 0.0 { 0.0 } else { 1f32.copysign(*w) };
                *of_w = scale * (*of_w + of_reach * sign);
            }
        }
        self.features.resize(features.len(), 0.0);
        product(pool, simd, units, &self.of_before, &hidden.weight.value, &mut self.features);
        self.features.iter_mut().for_each(|value| *value *= scale);
    }

    /// The part of it behind the first layer's weights and features: their gradients follow from [`Self::of_before`] and
    /// [`Self::of_reach`].
    pub(in crate::net) fn backward_behind(
        &mut self,
        pool: &Pool,
        simd: Simd,
        head: &Head,
        labels: &[Label],
        of_logits: &[f32],
        of_worst: &[f32],
    ) {
        let classes = &head.classes;
        let (batch, units, count) = (labels.len(), classes.inputs, classes.outputs);
        let (scale, weight) = (classes.scale(), &classes.weight.value);
        // Last layer: through the logits …
        let mut of_hidden = vec![0.0; batch * units];
        product(pool, simd, count, of_logits, weight, &mut of_hidden);
        let mut of_weight = vec![0.0; count * units];
        product(pool, simd, batch, &transposed(of_logits, count), &self.hidden, &mut of_weight);
        let mut of_bias = column_sums(of_logits, count);
        // … and through the worst cases. Ends of the box: d low = (d mid − d rad)/2, d high = (d mid + d rad)/2.
        let of_lead = |b: usize, j: usize| of_worst[b * count + j];
        let leaders = |b: usize| (0..count).filter(move |&j| j != usize::from(labels[b]) && of_lead(b, j) != 0.0);
        let slope = |j: usize, own: usize, k: usize| weight[j * units + k] - weight[own * units + k];
        for (b, &label) in labels.iter().enumerate() {
            for j in leaders(b) {
                of_bias[j] += of_lead(b, j);
                of_bias[usize::from(label)] -= of_lead(b, j);
            }
        }
        let HeadPass { low, high, of_ends, .. } = self;
        of_ends.clear();
        of_ends.resize(batch * 2 * units, 0.0);
        pool.for_parts(of_ends, 2 * units, |b, of_ends| {
            let (of_low, of_high) = of_ends.split_at_mut(units);
            for j in leaders(b) {
                for k in 0..units {
                    let w = slope(j, usize::from(labels[b]), k);
                    // The end of the box where the lead of j is greatest.
                    *if w >= 0.0 { &mut of_high[k] } else { &mut of_low[k] } += of_lead(b, j) * w;
                }
            }
        });
        pool.for_parts(&mut of_weight, units, |row, of_row| {
            for (b, &label) in labels.iter().enumerate() {
                let own = usize::from(label);
                let (low, high) = (&low[b * units..][..units], &high[b * units..][..units]);
                let mut add = |j: usize, g: f32| {
                    for (k, of_w) in of_row.iter_mut().enumerate() {
                        *of_w += g * if slope(j, own, k) >= 0.0 { high[k] } else { low[k] };
                    }
                };
                if own == row {
                    leaders(b).for_each(|j| add(j, -of_lead(b, j)));
                } else if of_lead(b, row) != 0.0 {
                    add(row, of_lead(b, row));
                }
            }
            of_row.iter_mut().for_each(|value| *value *= scale);
        });
        // Through tanh, to the centre and to the reach of each unit.
        let slope = |h: f32| scale * (1.0 - h * h);
        self.of_before.resize(batch * units, 0.0);
        self.of_reach.clear();
        self.of_reach.resize(units, 0.0);
        for b in 0..batch {
            let (of_low, of_high) = self.of_ends[2 * b * units..][..2 * units].split_at(units);
            for k in 0..units {
                let n = b * units + k;
                let (low, high) = (of_low[k] * slope(self.low[n]), of_high[k] * slope(self.high[n]));
                self.of_before[n] = of_hidden[n] * slope(self.hidden[n]) + low + high;
                self.of_reach[k] += f64::from(high) - f64::from(low);
            }
        }
        self.gradients[1] = column_sums(&self.of_before, units);
        self.gradients[2] = of_weight;
        self.gradients[3] = of_bias;
    }
}

impl Linear {
    /// The greatest z_j − z_label over the box of inputs, in plain float32.
    fn greatest_lead(&self, j: usize, label: Label, low: &[f32], high: &[f32]) -> f32 {
        let row = |output: usize| &self.weight.value[output * self.inputs..][..self.inputs];
        let (theirs, own) = (row(j), row(usize::from(label)));
        let mut sum = 0.0;
        for k in 0..self.inputs {
            let w = theirs[k] - own[k];
            sum += if w >= 0.0 { w * high[k] } else { w * low[k] };
        }
        self.scale() * sum + (self.bias.value[j] - self.bias.value[usize::from(label)])
    }
}

/// Σ over rows, in double precision.
pub(in crate::net) fn column_sums(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; columns];
    for row in rows.chunks_exact(columns) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
