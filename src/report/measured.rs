//! What an evaluation found, as the run file keeps it.

use std::time::Duration;

use crate::{
    experiment::{Epsilon, PNorm},
    net::Evaluation,
    store::{EvalRow, EvalSplit, Margins, now_ms},
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
