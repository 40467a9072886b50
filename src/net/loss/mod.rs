//! The training loss of a batch and its gradients.

mod objective;

use crate::experiment::Label;
pub use objective::Objective;
use objective::{Sample, Slopes, is_right, largest_other};

use super::StepStats;

/// Loss and gradients of one batch. Sums are in double precision and in the order of the samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loss {
    /// Mean loss and counts.
    pub stats: StepStats,
    /// ∂loss/∂d of [`Self::of_distances`], ∂loss/∂z of [`Self::of_bounds`], `[B, C]`.
    pub gradient: Vec<f32>,
    /// ∂loss/∂W of [`Self::of_bounds`], `[B, C]`, 0 at the labels; empty of a distance net.
    pub worst_gradient: Vec<f32>,
    /// ∂loss/∂s; 0 where the objective has no scaled cross-entropy.
    pub scalar_gradient: f64,
}

impl Loss {
    /// The loss of a distance net. `d` `[B, C]` are the last layer's distances with the bias, `eps` is ε_train in
    /// normalised units.
    ///
    /// The logits are −d, and as every distance moves by ε at most, W_j = d_y − d_j + 2ε.
    pub fn of_distances(&mut self, objective: Objective, d: &[f32], labels: &[Label], scalar: f32, eps: f64) {
        let classes = d.len() / labels.len();
        self.clear(d.len(), 0);
        let twice_eps = 2.0 * eps;
        let (mut z, mut w) = (vec![0.0; classes], vec![0.0; classes]);
        let (mut of_z, mut of_w) = (vec![0.0; classes], vec![0.0; classes]);
        for (index, (row, &label)) in d.chunks_exact(classes).zip(labels).enumerate() {
            let label = usize::from(label);
            for (class, &d) in row.iter().enumerate() {
                z[class] = -f64::from(d);
                w[class] = if class == label { 0.0 } else { f64::from(row[label]) - f64::from(d) + twice_eps };
            }
            let sample = Sample { z: &z, w: &w, label, scalar: f64::from(scalar), twice_eps };
            self.add(objective, &sample, labels.len(), &mut of_z, &mut of_w);
            let own: f64 = of_w.iter().sum();
            let gradient = &mut self.gradient[index * classes..(index + 1) * classes];
            for (class, gradient) in gradient.iter_mut().enumerate() {
                let through_margins = if class == label { own } else { -of_w[class] };
                *gradient = (through_margins - of_z[class]) as f32;
            }
        }
    }

    /// The loss of a net with a head. `logits` `[B, C]` are z; `worst` `[B, C]` are the upper bounds W of z_j − z_y over
    /// the box that ε_train gives, 0 at the labels; `eps` is ε_train in normalised units.
    pub fn of_bounds(
        &mut self,
        objective: Objective,
        logits: &[f32],
        worst: &[f32],
        labels: &[Label],
        scalar: f32,
        eps: f64,
    ) {
        let classes = logits.len() / labels.len();
        self.clear(logits.len(), logits.len());
        let (mut z, mut w) = (vec![0.0; classes], vec![0.0; classes]);
        let (mut of_z, mut of_w) = (vec![0.0; classes], vec![0.0; classes]);
        for (index, &label) in labels.iter().enumerate() {
            let at = index * classes..(index + 1) * classes;
            let label = usize::from(label);
            let widen = |row: &[f32], out: &mut [f64]| out.iter_mut().zip(row).for_each(|(o, &v)| *o = f64::from(v));
            widen(&logits[at.clone()], &mut z);
            widen(&worst[at.clone()], &mut w);
            w[label] = 0.0;
            let sample = Sample { z: &z, w: &w, label, scalar: f64::from(scalar), twice_eps: 2.0 * eps };
            self.add(objective, &sample, labels.len(), &mut of_z, &mut of_w);
            let narrow = |of: &[f64], out: &mut [f32]| out.iter_mut().zip(of).for_each(|(o, &v)| *o = v as f32);
            narrow(&of_z, &mut self.gradient[at.clone()]);
            narrow(&of_w, &mut self.worst_gradient[at]);
        }
    }

    fn clear(&mut self, gradient: usize, worst: usize) {
        self.gradient.resize(gradient, 0.0);
        self.worst_gradient.resize(worst, 0.0);
        self.scalar_gradient = 0.0;
        self.stats = StepStats::default();
    }

    fn add(&mut self, objective: Objective, sample: &Sample<'_>, batch: usize, of_z: &mut [f64], of_w: &mut [f64]) {
        of_z.fill(0.0);
        of_w.fill(0.0);
        let share = 1.0 / batch as f64;
        let mut slopes = Slopes { z: of_z, w: of_w, scalar: &mut self.scalar_gradient };
        let value = objective.add(sample, share, &mut slopes);
        // Comparisons pass over what is no number; the loss must not.
        self.stats.loss += if sample.w.iter().any(|w| w.is_nan()) { f64::NAN } else { share * value };
        self.stats.correct += u32::from(is_right(sample.z, sample.label, 1.0));
        self.stats.surrogate += u32::from(sample.w[largest_other(sample.w, sample.label)] < 0.0);
    }
}

#[cfg(test)]
mod tests;
