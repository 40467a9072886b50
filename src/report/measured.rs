//! What an evaluation or an attack found, as the run file keeps it.

use std::time::Duration;

use crate::{
    experiment::{Epsilon, PNorm},
    net::{Attacked, Evaluation},
    store::{AttackRow, EvalRow, EvalSplit, Findings, Margins, now_ms},
};

/// Of which net an evaluation is, and on which images.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Fractional epoch.
    pub epoch: f64,
    /// Steps of the net.
    pub step: u64,
    /// The exponent in training at that moment.
    pub train_p: PNorm,
    /// Whose images.
    pub split: EvalSplit,
}

/// The row of an evaluation at radius `eps` that ended just now, without what was measured at finite p; and what it found
/// of each sample, without radii.
pub fn kept(found: &Evaluation, at: Moment, eps: Epsilon, took: Duration) -> (EvalRow, Margins) {
    let Moment { epoch, step, train_p, split } = at;
    let row = EvalRow {
        id: 0,
        epoch,
        step,
        train_p,
        eps,
        split,
        samples: found.samples.len() as u32,
        clean: found.clean(),
        certified: found.certified(),
        certified_margin: found.certified_by_margin(eps),
        surrogate_clean: None,
        surrogate_certified: None,
        seconds: took.as_secs_f64(),
        time_ms: now_ms(),
    };
    let mut margins = Margins::default();
    for sample in &found.samples {
        margins.margin.push(sample.margin);
        margins.label.push(sample.label);
        margins.prediction.push(sample.prediction);
        margins.certified.push(sample.certified);
    }
    (row, margins)
}

/// The row of an attack at radius `eps` on a net of `step` steps that ended just now, and what it found.
pub fn kept_of_attack(found: Attacked, step: u64, eps: Epsilon, took: Duration) -> (AttackRow, Findings) {
    let row = AttackRow {
        step,
        eps,
        samples: found.fates.len() as u32,
        under_pgd: found.under_pgd(),
        under_all: found.under_all(),
        seconds: took.as_secs_f64(),
        time_ms: now_ms(),
    };
    (row, Findings { fates: found.fates, examples: found.examples })
}
