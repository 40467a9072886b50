//! The training loss of arXiv 2110.06850 and its gradient.

use super::StepStats;

/// Loss and gradients of one batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MixtureLoss {
    /// Mean loss and counts.
    pub stats: StepStats,
    /// ∂loss/∂d of [`mixture`], ∂loss/∂z of [`mixture_of_bounds`], `[B, C]`.
    pub gradient: Vec<f32>,
    /// ∂loss/∂W of [`mixture_of_bounds`], `[B, C]`.
    pub worst_gradient: Vec<f32>,
    /// ∂loss/∂s.
    pub scalar_gradient: f64,
}

/// Mean over the batch of clamp(1 + (d_y − min_{j≠y} d_j)/(2ε), 0, 1) + λ·CE(−s·d, y), with its gradients.
///
/// `d` `[B, C]` are the last layer's distances with the bias (the logits are −d), `eps` is ε_train in normalised units.
/// The clamp gives misclassified samples no hinge gradient: it only widens margins of samples that are right, and the
/// cross-entropy does the fitting. The scalar s is in the cross-entropy alone, so the margin stays a certificate.
/// Sums are in double precision and in the order of the samples.
pub fn mixture(d: &[f32], labels: &[u8], scalar: f32, lambda: f64, eps: f64, out: &mut MixtureLoss) {
    let batch = labels.len();
    let classes = d.len() / batch;
    let (scalar, share) = (f64::from(scalar), 1.0 / batch as f64);
    out.gradient.clear();
    out.gradient.resize(d.len(), 0.0);
    out.scalar_gradient = 0.0;
    out.stats = StepStats::default();
    let mut weights = vec![0.0f64; classes];
    for ((row, gradient), &label) in d.chunks_exact(classes).zip(out.gradient.chunks_exact_mut(classes)).zip(labels) {
        let label = usize::from(label);
        let own = f64::from(row[label]);
        let (rival, nearest) = nearest_other(row, label);

        // Cross-entropy of the scaled logits; the largest logit is taken out before exponentiating.
        let shift = row.iter().map(|&d| -scalar * f64::from(d)).fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for (weight, &d) in weights.iter_mut().zip(row) {
            *weight = (-scalar * f64::from(d) - shift).exp();
            sum += *weight;
        }
        let entropy = sum.ln() + shift + scalar * own;
        for (class, (weight, &d)) in weights.iter().zip(row).enumerate() {
            let excess = weight / sum - f64::from(u8::from(class == label));
            gradient[class] = (-lambda * scalar * excess * share) as f32;
            out.scalar_gradient -= lambda * f64::from(d) * excess * share;
        }

        let hinge = 1.0 + (own - f64::from(nearest)) / (2.0 * eps);
        if hinge > 0.0 && hinge < 1.0 {
            let slope = share / (2.0 * eps);
            gradient[label] += slope as f32;
            gradient[rival] -= slope as f32;
        }
        out.stats.loss += share * (hinge.clamp(0.0, 1.0) + lambda * entropy);
        // Ties go to the first class, as an arg-max over the logits would have it.
        let right = if rival < label { own < f64::from(nearest) } else { own <= f64::from(nearest) };
        out.stats.correct += u32::from(right);
        out.stats.surrogate += u32::from(hinge < 0.0);
    }
}

/// The same loss of a net with a head: mean over the batch of clamp(max_{j≠y} W_j/(2ε), 0, 1) + λ·CE(s·z, y), with its
/// gradients. `logits` are z and `worst` are the upper bounds W of z_j − z_y over the box that ε_train gives, 0 at the
/// labels, `[B, C]` each. Of a distance net z = −d and W_j = d_y − d_j + 2ε.
pub fn mixture_of_bounds(
    logits: &[f32],
    worst: &[f32],
    labels: &[u8],
    scalar: f32,
    lambda: f64,
    eps: f64,
    out: &mut MixtureLoss,
) {
    let batch = labels.len();
    let classes = logits.len() / batch;
    // The cross-entropy is that of the distances −z; the hinge of those is clamped away.
    let distances: Vec<f32> = logits.iter().map(|z| -z).collect();
    mixture(&distances, labels, scalar, lambda, f64::INFINITY, out);
    out.gradient.iter_mut().for_each(|gradient| *gradient = -*gradient);
    out.stats.loss -= 1.0;
    out.stats.surrogate = 0;
    out.worst_gradient.clear();
    out.worst_gradient.resize(worst.len(), 0.0);
    for (index, (row, &label)) in worst.chunks_exact(classes).zip(labels).enumerate() {
        let negative: Vec<f32> = row.iter().map(|w| -w).collect();
        let (rival, largest) = nearest_other(&negative, usize::from(label));
        let hinge = -f64::from(largest) / (2.0 * eps);
        if hinge > 0.0 && hinge < 1.0 {
            out.worst_gradient[index * classes + rival] = (1.0 / (2.0 * eps * batch as f64)) as f32;
        }
        // A comparison passes over what is no number; the loss must not.
        let lost = if row.iter().any(|w| w.is_nan()) { f64::NAN } else { hinge.clamp(0.0, 1.0) };
        out.stats.loss += lost / batch as f64;
        out.stats.surrogate += u32::from(hinge < 0.0);
    }
}

/// The other class at the smallest distance, the first of them, and that distance.
fn nearest_other(row: &[f32], label: usize) -> (usize, f32) {
    let mut best = (usize::from(label == 0), f32::INFINITY);
    for (class, &d) in row.iter().enumerate() {
        if class != label && d < best.1 {
            best = (class, d);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: [f32; 12] = [0.3, 0.9, 0.5, 1.2, 2.0, 0.1, 0.7, 0.6, 0.4, 0.45, 0.9, 1.1];
    const LABELS: [u8; 3] = [0, 2, 0];

    /// The definition, written as it stands in the paper, for finite differences.
    fn by_definition(d: &[f64], s: f64, lambda: f64, eps: f64) -> f64 {
        let mut loss = 0.0;
        for (row, &y) in d.chunks(4).zip(&LABELS) {
            let y = usize::from(y);
            let hinge = (0..4).filter(|&j| j != y).map(|j| (1.0 + (row[y] - row[j]) / (2.0 * eps)).clamp(0.0, 1.0));
            let norm: f64 = row.iter().map(|d| (-s * d).exp()).sum();
            loss += hinge.fold(0.0, f64::max) - lambda * ((-s * row[y]).exp() / norm).ln();
        }
        loss / 3.0
    }

    fn loss(s: f32, lambda: f64, eps: f64) -> MixtureLoss {
        let mut out = MixtureLoss::default();
        mixture(&D, &LABELS, s, lambda, eps, &mut out);
        out
    }

    #[test]
    fn value_and_gradients_are_those_of_the_definition() {
        for (s, lambda, eps) in [(1.0f32, 0.05, 0.2), (2.5, 1.0, 0.5), (0.7, 0.0, 0.03)] {
            let ours = loss(s, lambda, eps);
            let d: Vec<f64> = D.iter().map(|&d| f64::from(d)).collect();
            assert!((ours.stats.loss - by_definition(&d, f64::from(s), lambda, eps)).abs() < 1e-12);
            let h = 1e-6;
            for i in 0..D.len() {
                let (mut up, mut down) = (d.clone(), d.clone());
                up[i] += h;
                down[i] -= h;
                let s = f64::from(s);
                let slope = (by_definition(&up, s, lambda, eps) - by_definition(&down, s, lambda, eps)) / (2.0 * h);
                assert!((f64::from(ours.gradient[i]) - slope).abs() < 1e-6, "{i}: {} {slope}", ours.gradient[i]);
            }
            let s = f64::from(s);
            let slope = (by_definition(&d, s + h, lambda, eps) - by_definition(&d, s - h, lambda, eps)) / (2.0 * h);
            assert!((ours.scalar_gradient - slope).abs() < 1e-6);
        }
    }

    #[test]
    fn the_loss_of_bounds_is_that_of_distances_where_these_give_the_bounds() {
        let (s, lambda, eps) = (1.7f32, 0.3, 0.2);
        let ours = loss(s, lambda, eps);
        let z: Vec<f32> = D.iter().map(|d| -d).collect();
        let worst: Vec<f32> = (D.chunks(4).zip(&LABELS))
            .flat_map(|(row, &y)| {
                let own = row[usize::from(y)];
                row.iter().enumerate().map(move |(j, d)| if j == usize::from(y) { 0.0 } else { own - d + 0.4 })
            })
            .collect();
        let mut out = MixtureLoss::default();
        mixture_of_bounds(&z, &worst, &LABELS, s, lambda, eps, &mut out);
        assert!((out.stats.loss - ours.stats.loss).abs() < 1e-6);
        assert_eq!((out.stats.correct, out.stats.surrogate), (ours.stats.correct, ours.stats.surrogate));
        assert!((out.scalar_gradient - ours.scalar_gradient).abs() < 1e-12);
        // ∂/∂d_j = −∂/∂z_j − ∂/∂W_j, and d_y is in every W_j.
        for (n, gradient) in ours.gradient.iter().enumerate() {
            let (row, y) = (n / 4, usize::from(LABELS[n / 4]));
            let own: f32 = if n % 4 == y { out.worst_gradient[row * 4..][..4].iter().sum() } else { 0.0 };
            assert!((-out.gradient[n] - out.worst_gradient[n] + own - gradient).abs() < 1e-6);
        }
    }

    #[test]
    fn counts_are_of_correct_and_of_wide_margins() {
        // Margins: 0.2, −0.6, 0.05.
        let stats = loss(1.0, 0.1, 0.05).stats;
        assert_eq!((stats.correct, stats.surrogate), (2, 1));
        assert_eq!(loss(1.0, 0.1, 0.2).stats.surrogate, 0);
    }

    #[test]
    fn a_misclassified_sample_gets_no_hinge_gradient() {
        let ours = loss(1.0, 0.0, 0.5);
        assert!(ours.gradient[4..8].iter().all(|&g| g == 0.0));
        assert!(ours.gradient[..4].iter().any(|&g| g != 0.0));
    }

    #[test]
    fn huge_distances_give_finite_losses() {
        let mut out = MixtureLoss::default();
        mixture(&[1e6, 2e6, 0.0, 5e5], &[1], 50.0, 1.0, 0.5, &mut out);
        assert!(out.stats.loss.is_finite() && out.gradient.iter().all(|g| g.is_finite()));
    }
}
