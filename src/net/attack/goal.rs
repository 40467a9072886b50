//! What an attack tries to make large: a function of the scores of each sample, with its gradient.

/// One sample's aim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// The cross-entropy of the scaled scores, as the papers' PGD.
    CrossEntropy {
        /// s.
        scale: f32,
    },
    /// The lead of the best other class over the true one; above 0 the sample is misclassified.
    Lead,
    /// The lead of this class over the true one.
    LeadOf(u8),
}

impl Goal {
    /// The value for one row of scores, and writes its gradient.
    pub(super) fn measure(self, scores: &[f32], label: u8, gradient: &mut [f32]) -> f32 {
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
            Goal::Lead => {
                let others = scores.iter().enumerate().filter(|&(class, _)| class != own);
                let Some((best, _)) = others.max_by(|a, b| a.1.total_cmp(b.1)) else { return f32::NEG_INFINITY };
                lead(scores, own, best, gradient)
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
pub(super) fn rivals(scores: &[f32], label: u8) -> Vec<u8> {
    let mut rivals: Vec<u8> = (0..scores.len()).map(|class| class as u8).filter(|&class| class != label).collect();
    rivals.sort_by(|&a, &b| scores[usize::from(b)].total_cmp(&scores[usize::from(a)]));
    rivals
}
