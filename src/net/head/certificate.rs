//! What a head proves of a box of features.
//!
//! The last layer is bounded together with the question: not each logit, but the differences z_y − z_j, which is tighter.
//! The program computes each logit by itself and rounds, so its error bound is added: with n = H + 2 roundings of at most
//! u = 2⁻²⁴ each, |fl(z_j) − z_j| ≤ γ_n·(c·Σ_k |w_jk·h_k| + |b_j|) with γ_n = n·u/(1 − n·u) (Higham, *Accuracy and
//! Stability of Numerical Algorithms*, §3.1), and H + 1 halves of the least positive float32 for products that underflow.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dist::{Pool, Simd};
use crate::experiment::Label;

use super::{Head, Linear};
use crate::net::tanh::tanh;

/// Bounds of the hidden units over a batch of boxes, `[B, H]`, of the float32 program itself.
pub struct HeadBounds<'a> {
    classes: &'a Linear,
    low: Vec<f32>,
    high: Vec<f32>,
    /// Whether no sum of a row overflows anywhere in its box.
    is_finite: Vec<bool>,
}

impl Head {
    /// Bounds of the hidden units over features with low ≤ f ≤ high, `[B, I]` each.
    pub fn bounds(&self, pool: &Pool, simd: Simd, low: &[f32], high: &[f32]) -> HeadBounds<'_> {
        let (mut low, mut high) = self.hidden.interval(pool, simd, low, high);
        // An infinite sum stays infinite or becomes NaN, so where both ends are finite all sums between them are.
        let ends = low.chunks_exact(self.hidden.outputs).zip(high.chunks_exact(self.hidden.outputs));
        let is_finite = ends.map(|(low, high)| low.iter().chain(high).all(|end| end.is_finite())).collect();
        low.iter_mut().chain(&mut high).for_each(|value| *value = tanh(*value));
        HeadBounds { classes: &self.classes, low, high, is_finite }
    }

    /// Twice the largest ε for which intervals show that all features within ε of f keep the class that f has, or minus
    /// that where the class is not `label`, for every row of `features` `[B, I]`: the margin of a net whose distance
    /// layers are 1-Lipschitz. For charts, not for claims: in double precision, by bisection to 2⁻²⁰ of `largest`,
    /// which bounds ε.
    pub fn margins(&self, pool: &Pool, simd: Simd, features: &[f32], labels: &[Label], largest: f64) -> Vec<f64> {
        let hidden = &self.hidden;
        let scale = f64::from(hidden.scale());
        let reach: Vec<f64> = hidden
            .weight
            .value
            .chunks_exact(hidden.inputs)
            .map(|row| scale * row.iter().map(|w| f64::from(w.abs())).sum::<f64>())
            .collect();
        let centres = hidden.forward(pool, simd, features);
        let margins: Vec<AtomicU64> = labels.iter().map(|_| AtomicU64::new(0)).collect();
        pool.run(labels.len(), |row| {
            let centre = &centres[row * hidden.outputs..][..hidden.outputs];
            let margin = self.margin(centre, &reach, usize::from(labels[row]), largest);
            margins[row].store(margin.to_bits(), Ordering::Relaxed);
        });
        margins.into_iter().map(|margin| f64::from_bits(margin.into_inner())).collect()
    }

    /// The margin of a sample whose hidden units have these sums, which move by ε·`reach`.
    fn margin(&self, centre: &[f32], reach: &[f64], label: usize, largest: f64) -> f64 {
        let at = |eps: f64| -> (Vec<f64>, Vec<f64>) {
            let ends = centre.iter().zip(reach).map(|(&z, r)| (f64::from(z) - eps * r, f64::from(z) + eps * r));
            ends.map(|(low, high)| (low.tanh(), high.tanh())).unzip()
        };
        let (middle, _) = at(0.0);
        let logits: Vec<f64> = (0..self.classes.outputs).map(|j| self.classes.exact(j, &middle)).collect();
        let class = (0..logits.len()).fold(0, |best, j| if logits[j] > logits[best] { j } else { best });
        let proved = |eps: f64| {
            let (low, high) = at(eps);
            (0..logits.len()).all(|j| j == class || self.classes.least_lead(class, j, &low, &high) > 0.0)
        };
        let (mut good, mut bad) = if proved(largest) { (largest, largest) } else { (0.0, largest) };
        while bad - good > largest / f64::from(1 << 20) {
            let middle = 0.5 * (good + bad);
            if proved(middle) { good = middle } else { bad = middle }
        }
        if class == label { 2.0 * good } else { -2.0 * good }
    }
}

impl Linear {
    /// One output in double precision.
    fn exact(&self, output: usize, x: &[f64]) -> f64 {
        let row = &self.weight.value[output * self.inputs..][..self.inputs];
        let sum: f64 = row.iter().zip(x).map(|(&w, &x)| f64::from(w) * x).sum();
        f64::from(self.scale()) * sum + f64::from(self.bias.value[output])
    }

    /// The least z_class − z_other over the box, in double precision.
    fn least_lead<T: Copy + Into<f64>>(&self, class: usize, other: usize, low: &[T], high: &[T]) -> f64 {
        let row = |output: usize| &self.weight.value[output * self.inputs..][..self.inputs];
        let (own, theirs) = (row(class), row(other));
        let mut sum = 0.0;
        for k in 0..self.inputs {
            let w = f64::from(own[k]) - f64::from(theirs[k]);
            sum += if w >= 0.0 { w * low[k].into() } else { w * high[k].into() };
        }
        f64::from(self.scale()) * sum + (f64::from(self.bias.value[class]) - f64::from(self.bias.value[other]))
    }

    /// A bound on c·Σ_k |w_k·h_k| + |b| over the box, in double precision; infinite where one of the program's sums may
    /// overflow.
    fn size(&self, output: usize, low: &[f32], high: &[f32]) -> f64 {
        let row = &self.weight.value[output * self.inputs..][..self.inputs];
        let size: f64 = row
            .iter()
            .zip(low.iter().zip(high))
            .map(|(w, (low, high))| f64::from(w.abs()) * f64::from(low.abs().max(high.abs())))
            .sum();
        // Half of the range is more than rounding can add to a sum that stays within it.
        let most = f64::from(f32::MAX) / 2.0;
        let scaled = f64::from(self.scale()) * size + f64::from(self.bias.value[output].abs());
        if size >= most || scaled >= most { f64::INFINITY } else { scaled }
    }

    /// How far the program's output can be from the exact one on the box (see the head of this file), where the sizes of
    /// its terms add up to `size`, rounded up.
    fn rounding(&self, size: f64) -> f64 {
        let roundings = (self.inputs + 2) as f64 * (-24f64).exp2();
        let underflow = (self.inputs + 1) as f64 * (-149f64).exp2();
        roundings / (1.0 - roundings) * size + underflow
    }
}

impl HeadBounds<'_> {
    /// Whether the program gives `label` for every input of box `row`: the least exact lead over every other class is
    /// above what both logits can lose by rounding. All of that is summed in double precision, whose own errors are
    /// 2⁻²⁹ < 10⁻⁸ of float32's: so much is added.
    pub fn proves(&self, row: usize, label: Label) -> bool {
        let Some((low, high)) = self.ends(row) else { return false };
        let label = usize::from(label);
        let own = self.classes.rounding(self.classes.size(label, low, high));
        (0..self.classes.outputs).filter(|&other| other != label).all(|other| {
            let error = (own + self.classes.rounding(self.classes.size(other, low, high))) * (1.0 + 1e-8);
            self.classes.least_lead(label, other, low, high) > error
        })
    }

    /// A bound from below on z_own − z_other of the float32 logits z that the program computes anywhere in box `row`; −∞
    /// where nothing is known.
    pub fn lead(&self, row: usize, own: Label, other: Label) -> f64 {
        let Some((low, high)) = self.ends(row) else { return f64::NEG_INFINITY };
        let [own, other] = [own, other].map(usize::from);
        let error = [own, other].map(|class| self.classes.rounding(self.classes.size(class, low, high)));
        // As in `proves`: what double precision itself loses is covered by the factor.
        (self.classes.least_lead(own, other, low, high) - (error[0] + error[1]) * (1.0 + 1e-8)).next_down()
    }

    /// A bound from above on |z| of a class in box `row`, up to a factor of 1 + 10⁻⁸; infinite where nothing is known.
    pub fn reach(&self, row: usize, class: Label) -> f64 {
        let Some((low, high)) = self.ends(row) else { return f64::INFINITY };
        let size = self.classes.size(usize::from(class), low, high);
        size + self.classes.rounding(size)
    }

    /// The ends of the hidden units, where no sum before them overflows.
    fn ends(&self, row: usize) -> Option<(&[f32], &[f32])> {
        let at = row * self.classes.inputs..(row + 1) * self.classes.inputs;
        self.is_finite[row].then(|| (&self.low[at.clone()], &self.high[at]))
    }
}
