//! What an attack tries to make large: a function of the scores of each sample, with its gradient.

use crate::experiment::Label;
/// One sample's aim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// The cross-entropy of the scaled scores, as the papers' PGD.
    CrossEntropy {
        /// s.
        scale: f32,
    },
    /// The lead of the best other class over the true one, as a share of the distance from the first to the third score
    /// ("DLR", arXiv 2003.01690 §4): its slope does not fade where scores are far apart. Above 0 the sample is
    /// misclassified. Without a third class the lead itself.
    Ratio,
    /// The lead of this class over the true one.
    LeadOf(Label),
}

impl Goal {
    /// The value for one row of scores, and writes its gradient.
    pub(super) fn measure(self, scores: &[f32], label: Label, gradient: &mut [f32]) -> f32 {
        let own = usize::from(label);
        match self {
            Goal::CrossEntropy { scale } => {
                let top = scores.iter().fold(f32::NEG_INFINITY, |top, &z| top.max(scale * z));
                let sum: f32 = scores.iter().map(|&z| (scale * z - top).exp()).sum();
                for (class, (g, &z)) in gradient.iter_mut().zip(scores).enumerate() {
                    let share = (scale * z - top).exp() / sum;
                    *g = scale * (share - if class == own { 1.0 } else { 0.0 });
                }
                sum.ln() + top - scale * scores[own]
            }
            Goal::Ratio => {
                let mut order: Vec<usize> = (0..scores.len()).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                let Some(&best) = order.iter().find(|&&class| class != own) else { return f32::NEG_INFINITY };
                let value = lead(scores, own, best, gradient);
                let Some(&third) = order.get(2) else { return value };
                let span = scores[order[0]] - scores[third];
                if span > 0.0 {
                    gradient.iter_mut().for_each(|g| *g /= span);
                    gradient[order[0]] -= value / (span * span);
                    gradient[third] += value / (span * span);
                    value / span
                } else {
                    value
                }
            }
            Goal::LeadOf(class) => lead(scores, own, usize::from(class), gradient),
        }
    }
}

fn lead(scores: &[f32], own: usize, other: usize, gradient: &mut [f32]) -> f32 {
    gradient.fill(0.0);
    gradient[other] = 1.0;
    gradient[own] = -1.0;
    scores[other] - scores[own]
}

/// The classes beside the true one, the highest score first.
pub(super) fn rivals(scores: &[f32], label: Label) -> Vec<Label> {
    let mut rivals: Vec<Label> =
        (0..scores.len()).map(|class| class as Label).filter(|&class| class != label).collect();
    rivals.sort_by(|&a, &b| scores[usize::from(b)].total_cmp(&scores[usize::from(a)]));
    rivals
}
