//! What epochs and evaluations measured, as points along an x axis. They are made once for each state of a run.

use std::sync::Arc;

use super::{chart::Points, course::Course, known::RunData, lens::AxisX, memo::Memo};
use crate::store::{EpochRow, EvalRow, RunRow, curve};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Accuracy on the training batches.
    Train,
    /// Share of the training samples with a margin above 2·ε_train at the p of the moment: no certificate.
    Surrogate,
    /// Clean accuracy.
    Clean,
    /// Certified accuracy.
    Certified,
    /// The loss.
    Loss,
    /// The exponent, ∞ at [`above`].
    Exponent,
    /// λ.
    Lambda,
    /// The learning rate.
    Rate,
}

/// Where points come from: an epoch or an evaluation.
enum Source {
    Epochs(fn(&EpochRow) -> f64),
    Evals(fn(&EvalRow) -> f64),
}

impl Series {
    fn source(self) -> Source {
        match self {
            Series::Train => Source::Epochs(|row| row.accuracy),
            Series::Surrogate => Source::Epochs(|row| row.surrogate),
            Series::Loss => Source::Epochs(|row| row.loss),
            Series::Exponent => Source::Epochs(|row| row.p.get()),
            Series::Lambda => Source::Epochs(|row| row.lambda),
            Series::Rate => Source::Epochs(|row| row.lr),
            Series::Clean => Source::Evals(|row| row.clean),
            Series::Certified => Source::Evals(|row| row.certified),
        }
    }
}

/// Of one run's data, what has been made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    points: Memo<Key, Points>,
    times: Memo<Clock, Arc<[f64]>>,
}

/// By which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Training,
    Wall,
}

impl RunData {
    /// Seconds of training done at the end of each epoch.
    pub fn trained(&self) -> Arc<[f64]> {
        self.made.times.get(Clock::Training, || trained(&self.epochs).into())
    }

    /// Seconds by the clock, from the beginning of the first epoch to the end of each.
    pub fn wall(&self) -> Arc<[f64]> {
        self.made.times.get(Clock::Wall, || wall(&self.epochs).into())
    }
}

/// What points depend on, beside the data. The row's revision stands for the config and the steps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Key {
    series: Series,
    axis: AxisX,
    smooth: f64,
    revision: i64,
}

impl Default for Made {
    fn default() -> Self {
        // All series of a run along one axis, each raw and smoothed.
        Made { points: Memo::new(16), times: Memo::new(2) }
    }
}

/// The height of ∞ where the finite exponents end at `p_end`: it has no place on a logarithmic axis, so it gets a level of its own
/// above them.
pub fn above(p_end: f64) -> f64 {
    p_end * 2.0
}

/// The height of an exponent.
pub fn level(p: f64, p_end: f64) -> f64 {
    if p.is_infinite() { above(p_end) } else { p }
}

/// A series along an axis. `smooth` is the weight of the past in a moving average, 0 for none.
pub fn points(series: Series, row: &RunRow, data: &RunData, course: &Course<'_>, axis: AxisX, smooth: f64) -> Points {
    let raw = Key { series, axis, smooth: 0.0, revision: row.revision };
    let make_raw = || {
        let x = |epoch: f64| course.x(axis, epoch);
        match series.source() {
            Source::Evals(value) => curve(&data.evals).map(|row| (x(row.epoch), value(row))).collect(),
            Source::Epochs(value) => {
                let height = |y: f64| if series == Series::Exponent { level(y, row.config.schedule.p_end) } else { y };
                data.epochs.iter().map(|row| (x(f64::from(row.epoch) + 1.0), height(value(row)))).collect()
            }
        }
    };
    let memo = &data.made.points;
    let raw_points = || memo.get(raw, make_raw);
    if smooth > 0.0 { memo.get(Key { smooth, ..raw }, || smoothed(&raw_points(), smooth)) } else { raw_points() }
}

/// Seconds of training done at the end of each epoch.
fn trained(epochs: &[EpochRow]) -> Vec<f64> {
    let mut total = 0.0;
    let until = |epoch: &EpochRow| {
        total += epoch.seconds.max(0.0);
        total
    };
    epochs.iter().map(until).collect()
}

/// Seconds from the beginning of the first epoch to the end of each, by the clock. One that was set back stands still.
fn wall(epochs: &[EpochRow]) -> Vec<f64> {
    let Some(first) = epochs.first() else { return Vec::new() };
    let began = first.time_ms as f64 / 1000.0 - first.seconds.max(0.0);
    let mut latest = 0.0_f64;
    let since = |epoch: &EpochRow| {
        latest = latest.max(epoch.time_ms as f64 / 1000.0 - began);
        latest
    };
    epochs.iter().map(since).collect()
}

/// A moving average that starts at the first value (weight corrected), so that it does not lag at the beginning.
fn smoothed(points: &[(f64, f64)], weight: f64) -> Points {
    let (mut sum, mut mass) = (0.0, 0.0);
    let point = |&(x, y): &(f64, f64)| {
        if !y.is_finite() {
            return (x, y);
        }
        sum = sum * weight + y * (1.0 - weight);
        mass = mass * weight + (1.0 - weight);
        (x, sum / mass)
    };
    points.iter().map(point).collect()
}
