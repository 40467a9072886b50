//! The training losses, of one sample.

use crate::experiment::{self, LossKind};

/// A training loss with what is in force of it at one step. Each is a mean over the batch of the formula given, in which
/// z are the logits and W_j, W_y = 0, is an upper bound of z_j − z_y for all inputs within ε_train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// κ·H(W) + (1 − κ)·H(z − z_y), where H(m) = mix·max_j m_j⁺ + (1 − mix)·mean_j m_j⁺ and the mean is over all C classes
    /// (arXiv 2102.05363 §5, pure nets).
    Hinge {
        /// Share of the largest margin.
        mix: f64,
        /// Share of the worst case.
        kappa: f64,
    },
    /// clamp(max_{j≠y} W_j/2ε, 0, 1) + λ·CE(s·z, y) (arXiv 2110.06850 eq. 6).
    ///
    /// The clamp gives misclassified samples no hinge gradient: it only widens margins of samples that are right, and the
    /// cross-entropy does the fitting. The scalar s is in the cross-entropy alone, so the margin stays a certificate.
    Mixture {
        /// Weight of the cross-entropy.
        lambda: f64,
    },
    /// κ·CE(W, y) + (1 − κ)·CE(z, y) (arXiv 2102.05363 §5, nets with a linear head).
    CrossEntropy {
        /// Share of the worst case.
        kappa: f64,
    },
    /// [argmax s·z = y]·max_{j≠y} (1 + W_j)⁺ + λ·CE(s·z, y) (arXiv 2210.01787 §5, nets with a linear head).
    CeHinge {
        /// Weight of the cross-entropy.
        lambda: f64,
    },
}

/// What one sample's loss is a function of, in double precision.
pub(super) struct Sample<'a> {
    /// Logits, `[C]`.
    pub z: &'a [f64],
    /// Worst-case margins, `[C]`, 0 at the label.
    pub w: &'a [f64],
    pub label: usize,
    /// s.
    pub scalar: f64,
    /// 2·ε_train, in the units of the margins.
    pub twice_eps: f64,
}

/// The loss's derivatives, added to.
pub(super) struct Slopes<'a> {
    pub z: &'a mut [f64],
    pub w: &'a mut [f64],
    pub scalar: &'a mut f64,
}

impl Objective {
    /// The config's loss while the weight of its cross-entropy is `lambda`.
    pub fn new(loss: &experiment::Loss, lambda: f64) -> Objective {
        let (mix, kappa) = (loss.mix.unwrap_or(1.0), loss.kappa.unwrap_or(1.0));
        match loss.kind {
            LossKind::Mixture => Objective::Mixture { lambda },
            LossKind::Hinge => Objective::Hinge { mix, kappa },
            LossKind::CrossEntropy => Objective::CrossEntropy { kappa },
            LossKind::CeHinge => Objective::CeHinge { lambda },
        }
    }

    /// Weight of the cross-entropy of the scaled logits; 0 where the loss has none, and then s is not trained.
    pub fn lambda(self) -> f64 {
        match self {
            Objective::Mixture { lambda } | Objective::CeHinge { lambda } => lambda,
            Objective::Hinge { .. } | Objective::CrossEntropy { .. } => 0.0,
        }
    }

    /// The loss of one sample; its derivatives, times `share`, are added to `slopes`.
    pub(super) fn add(self, sample: &Sample<'_>, share: f64, slopes: &mut Slopes<'_>) -> f64 {
        let &Sample { z, w, label, scalar, twice_eps } = sample;
        match self {
            Objective::Hinge { mix, kappa } => {
                let worst = hinge(w, label, mix, share * kappa, slopes.w);
                if kappa == 1.0 {
                    return worst;
                }
                let margins: Vec<f64> = z.iter().map(|z_j| z_j - z[label]).collect();
                let mut of_margins = vec![0.0; z.len()];
                let clean = hinge(&margins, label, mix, share * (1.0 - kappa), &mut of_margins);
                for (class, slope) in of_margins.into_iter().enumerate() {
                    slopes.z[class] += slope;
                    slopes.z[label] -= slope;
                }
                kappa * worst + (1.0 - kappa) * clean
            }
            Objective::Mixture { lambda } => {
                let rival = largest_other(w, label);
                // ε may be 0 in the first steps of its climb: then the margin's sign is all that counts.
                let hinge = w[rival] / twice_eps.max(f64::MIN_POSITIVE);
                if hinge > 0.0 && hinge < 1.0 {
                    slopes.w[rival] += share / twice_eps;
                }
                hinge.clamp(0.0, 1.0) + lambda * scaled_entropy(z, label, scalar, share * lambda, slopes)
            }
            Objective::CrossEntropy { kappa } => {
                let worst = entropy(w, label, 1.0, share * kappa, slopes.w);
                // W_y is 0 whatever the net does.
                slopes.w[label] = 0.0;
                let clean = if kappa == 1.0 { 0.0 } else { entropy(z, label, 1.0, share * (1.0 - kappa), slopes.z) };
                kappa * worst + (1.0 - kappa) * clean
            }
            Objective::CeHinge { lambda } => {
                let rival = largest_other(w, label);
                let hinge = if is_right(z, label, scalar) { (1.0 + w[rival]).max(0.0) } else { 0.0 };
                if hinge > 0.0 {
                    slopes.w[rival] += share;
                }
                hinge + lambda * scaled_entropy(z, label, scalar, share * lambda, slopes)
            }
        }
    }
}

/// mix·max m⁺ + (1 − mix)·mean m⁺ over all classes, m_y = 0; its slopes times `share` are added.
fn hinge(margins: &[f64], label: usize, mix: f64, share: f64, slopes: &mut [f64]) -> f64 {
    let rival = largest_other(margins, label);
    let each = (1.0 - mix) / margins.len() as f64;
    let mut sum = 0.0;
    for (class, &margin) in margins.iter().enumerate() {
        if class != label && margin > 0.0 {
            sum += margin;
            slopes[class] += share * (each + if class == rival { mix } else { 0.0 });
        }
    }
    mix * margins[rival].max(0.0) + each * sum
}

/// CE(s·z, y), whose slopes of z and of s, times `share`, are added.
fn scaled_entropy(z: &[f64], label: usize, scalar: f64, share: f64, slopes: &mut Slopes<'_>) -> f64 {
    let mut excess = vec![0.0; z.len()];
    let value = entropy(z, label, scalar, share, &mut excess);
    for ((slope, excess), z) in slopes.z.iter_mut().zip(excess).zip(z) {
        *slope += scalar * excess;
        *slopes.scalar += excess * z;
    }
    value
}

/// −ln softmax(s·v)_y. Adds `share`·(softmax(s·v) − 1_y), the slope of s·v. The largest exponent is taken out first.
fn entropy(values: &[f64], label: usize, scale: f64, share: f64, slopes: &mut [f64]) -> f64 {
    let shift = values.iter().map(|v| scale * v).fold(f64::NEG_INFINITY, f64::max);
    let weight = |v: &f64| (scale * v - shift).exp();
    let sum: f64 = values.iter().map(weight).sum();
    for (class, (slope, value)) in slopes.iter_mut().zip(values).enumerate() {
        *slope += share * (weight(value) / sum - f64::from(u8::from(class == label)));
    }
    sum.ln() + shift - scale * values[label]
}

/// The first of the largest other values.
pub(super) fn largest_other(values: &[f64], label: usize) -> usize {
    let mut best = (usize::from(label == 0), f64::NEG_INFINITY);
    for (class, &value) in values.iter().enumerate() {
        if class != label && value > best.1 {
            best = (class, value);
        }
    }
    best.0
}

/// Whether the first of the largest scaled logits is the label's.
pub(super) fn is_right(z: &[f64], label: usize, scalar: f64) -> bool {
    let own = scalar * z[label];
    z.iter().enumerate().all(|(class, z)| if class < label { scalar * z < own } else { scalar * z <= own })
}
