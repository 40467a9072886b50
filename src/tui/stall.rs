//! Whether a run that trains gets on. Aware of the schedules: while p climbs, what is measured at finite p falls by itself; a
//! certificate that stands still while p is small is what papers report; and a learning rate that is used up moves nothing.
//! So only a stretch is looked at in which p is constant and the learning rate still counts, against itself.

use super::{known::RunData, look::Look, wording};
use crate::{
    experiment::{PNorm, RunState},
    store::{EpochRow, EvalRow, RunRow},
};

/// A run that gets nowhere, and what says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// The epoch of the last new best, or that from which on p was constant.
    pub since: f64,
    /// Epochs done.
    pub done: f64,
    /// The exponent that holds.
    pub p: PNorm,
    /// Epochs that each of the two means is of.
    pub window: usize,
    /// The mean loss of the window before the last one.
    pub before: f64,
    /// That of the last one.
    pub now: f64,
    /// The learning rate, as a share of its highest.
    pub rate: f64,
}

/// Long is a quarter of the time for which p has been constant, and never less than so many epochs. By that measure the logs
/// published with the ICLR 2022 paper, whose p is constant for 50 and for 100 epochs, get on at every epoch of them.
const LEAST: usize = 8;
const PART: usize = 4;
/// By less than this share a loss has not fallen.
const FALL: f64 = 0.01;
/// By less than this an accuracy is no new best.
const BETTER: f64 = 0.001;
/// Below this share of its highest a learning rate is used up.
const USED_UP: f64 = 0.1;

/// Looks at a run that trains; none where it gets on, or too little is known to say.
pub fn stall(row: &RunRow, data: &RunData) -> Option<Stall> {
    if !matches!(row.state, RunState::Running { .. }) {
        return None;
    }
    let last = data.epochs.last()?;
    let constant = data.epochs.iter().rev().take_while(|epoch| epoch.p == last.p).count();
    let stretch = &data.epochs[data.epochs.len() - constant..];
    let window = LEAST.max(stretch.len() / PART);
    if stretch.len() < 2 * window {
        return None;
    }
    let rate = last.lr / data.epochs.iter().map(|epoch| epoch.lr).fold(0.0, f64::max);
    let mean = |epochs: &[EpochRow]| epochs.iter().map(|epoch| epoch.loss).sum::<f64>() / epochs.len() as f64;
    let (earlier, recent) = stretch.split_at(stretch.len() - window);
    let (before, now) = (mean(&earlier[earlier.len() - window..]), mean(recent));
    let flat = before.is_finite() && now >= before * (1.0 - FALL);
    let done = f64::from(last.epoch) + 1.0;
    let begin = done - stretch.len() as f64;
    let of_epochs = |value: fn(&EpochRow) -> f64| {
        last_best(stretch.iter().map(|epoch| (f64::from(epoch.epoch) + 1.0, value(epoch))))
    };
    // Evaluations are all at p = ∞, so those of before this stretch count as well.
    let of_evals = |value: fn(&EvalRow) -> f64| last_best(data.evals.iter().map(|eval| (eval.epoch, value(eval))));
    let bests = [
        of_epochs(|epoch| epoch.accuracy),
        of_epochs(|epoch| epoch.surrogate),
        of_evals(|eval| eval.certified),
        of_evals(|eval| eval.clean),
    ];
    let since = bests.into_iter().flatten().fold(begin, f64::max);
    let long = done - since >= window as f64;
    (flat && long && rate >= USED_UP).then_some(Stall { since, done, p: last.p, window, before, now, rate })
}

/// Where a figure was last better than ever before. The first one is no improvement.
fn last_best(mut figures: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut best = figures.next()?.1;
    let mut at = None;
    for (epoch, figure) in figures {
        if figure > best + BETTER {
            (best, at) = (figure, Some(epoch));
        }
    }
    at
}

impl Stall {
    /// What is the matter, and what that rests on.
    pub fn words(&self, look: &Look) -> String {
        let Stall { since, done, window, before, now, rate, .. } = self;
        format!(
            "no progress for {:.0} epochs at p = {}: no accuracy is better than at epoch {since:.0}; mean loss of the last \
             {window} epochs {}, of the {window} before {}; learning rate at {:.0} % of its highest",
            done - since,
            look.exponent(self.p),
            wording::figure(*now),
            wording::figure(*before),
            rate * 100.0
        )
    }
}
