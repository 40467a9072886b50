//! One training step's pass through the head: logits, worst-case margins over the box f ± ε, and all gradients.
//!
//! Worst cases are by interval bounds (arXiv 2102.05363 §5): W_j is the largest z_j − z_y over the box of hidden units, W_y
//! is 0. They steer training and certify nothing, so centre and radius are computed as is quickest.

use crate::dist::{Pool, Simd, product, transposed};
use crate::experiment::Label;

use super::{Head, Linear};
use crate::net::tanh::tanh;

/// The pass of one batch, with its gradients; buffers are kept from step to step.
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
    /// Hidden units of f, and at both ends of the box, `[B, H]`.
    hidden: Vec<f32>,
    low: Vec<f32>,
    high: Vec<f32>,
}

impl HeadPass {
    /// Logits and worst-case margins of features `[B, I]` for the box of radius `eps` around them.
    pub fn forward(&mut self, pool: &Pool, simd: Simd, head: &Head, features: &[f32], labels: &[Label], eps: f64) {
        let Head { hidden, classes } = head;
        let scale = f64::from(hidden.scale());
        let reach: Vec<f32> = hidden
            .weight
            .value
            .chunks_exact(hidden.inputs)
            .map(|row| (eps * scale * row.iter().map(|w| f64::from(w.abs())).sum::<f64>()) as f32)
            .collect();
        let before = hidden.forward(pool, simd, features);
        let at_end = |sign: f32| {
            let ends = before.chunks_exact(hidden.outputs).flat_map(|row| row.iter().zip(&reach));
            ends.map(|(z, reach)| tanh(z + sign * reach)).collect()
        };
        (self.low, self.hidden, self.high) = (at_end(-1.0), at_end(0.0), at_end(1.0));
        self.logits = classes.forward(pool, simd, &self.hidden);
        let count = classes.outputs;
        self.worst.clear();
        for (b, &label) in labels.iter().enumerate() {
            let (low, high) = (self.row(&self.low, classes, b), self.row(&self.high, classes, b));
            for j in 0..count {
                let worst = if j == usize::from(label) { 0.0 } else { classes.greatest_lead(j, label, low, high) };
                self.worst.push(worst);
            }
        }
    }

    fn row<'a>(&self, rows: &'a [f32], classes: &Linear, b: usize) -> &'a [f32] {
        &rows[b * classes.inputs..][..classes.inputs]
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
        let Head { hidden, classes } = head;
        let (batch, units, count) = (labels.len(), hidden.outputs, classes.outputs);
        let scale = classes.scale();
        // Last layer: through the logits …
        let mut of_hidden = vec![0.0; batch * units];
        product(pool, simd, count, of_logits, &classes.weight.value, &mut of_hidden);
        let mut of_weight = vec![0.0; count * units];
        product(pool, simd, batch, &transposed(of_logits, count), &self.hidden, &mut of_weight);
        let mut of_bias = column_sums(of_logits, count);
        // … and through the worst cases. Ends of the box: d low = (d mid − d rad)/2, d high = (d mid + d rad)/2.
        let (mut of_low, mut of_high) = (vec![0.0; batch * units], vec![0.0; batch * units]);
        for (b, &label) in labels.iter().enumerate() {
            let label = usize::from(label);
            let at = b * units..(b + 1) * units;
            let (low, high) = (&self.low[at.clone()], &self.high[at.clone()]);
            let (of_low, of_high) = (&mut of_low[at.clone()], &mut of_high[at]);
            for j in (0..count).filter(|&j| j != label) {
                let g = of_worst[b * count + j];
                if g == 0.0 {
                    continue;
                }
                of_bias[j] += g;
                of_bias[label] -= g;
                for k in 0..units {
                    let w = classes.weight.value[j * units + k] - classes.weight.value[label * units + k];
                    // The end of the box where the lead of j is greatest.
                    let (end, of_end) = if w >= 0.0 { (high[k], &mut of_high[k]) } else { (low[k], &mut of_low[k]) };
                    *of_end += g * w;
                    of_weight[j * units + k] += g * end;
                    of_weight[label * units + k] -= g * end;
                }
            }
        }
        of_weight.iter_mut().for_each(|value| *value *= scale);
        // Through tanh, to the centre and to the reach of each unit.
        let slope = |h: f32| scale * (1.0 - h * h);
        let mut of_before = vec![0.0; batch * units];
        let mut of_reach = vec![0.0f64; units];
        for n in 0..batch * units {
            let (low, high) = (of_low[n] * slope(self.low[n]), of_high[n] * slope(self.high[n]));
            of_before[n] = of_hidden[n] * slope(self.hidden[n]) + low + high;
            of_reach[n % units] += f64::from(high) - f64::from(low);
        }
        // First layer.
        let scale = hidden.scale();
        let mut of_first = vec![0.0; units * hidden.inputs];
        product(pool, simd, batch, &transposed(&of_before, units), features, &mut of_first);
        for (row, (of_row, of_reach)) in
            hidden.weight.value.chunks_exact(hidden.inputs).zip(of_first.chunks_exact_mut(hidden.inputs).zip(of_reach))
        {
            let of_reach = (eps * of_reach) as f32;
            for (w, of_w) in row.iter().zip(of_row) {
                let sign = if *w == 0.0 { 0.0 } else { 1f32.copysign(*w) };
                *of_w = scale * (*of_w + of_reach * sign);
            }
        }
        self.features.resize(features.len(), 0.0);
        product(pool, simd, units, &of_before, &hidden.weight.value, &mut self.features);
        self.features.iter_mut().for_each(|value| *value *= scale);
        self.gradients = [of_first, column_sums(&of_before, units), of_weight, of_bias];
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
