//! Runs of one sweep taken together: how many of them there are, and the mean and the spread of their figures.

use super::{columns::Column, wording};
use crate::{experiment::RunState, store::RunRow};

/// The runs of a group that are shown.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// All of them.
    pub members: Vec<&'a RunRow>,
    /// Those that its figures are of.
    counted: Vec<&'a RunRow>,
}

/// The mean of a figure over the runs that have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the sample.
    pub deviation: f64,
    /// Of how many runs.
    pub n: usize,
}

impl<'a> Group<'a> {
    /// Half-trained runs say nothing about a group once others are complete: from then on only these count.
    pub fn new(members: Vec<&'a RunRow>) -> Group<'a> {
        let complete = |row: &&&RunRow| matches!(row.state, RunState::Completed);
        let counted: Vec<&RunRow> = members.iter().filter(complete).copied().collect();
        let counted = if counted.is_empty() { members.clone() } else { counted };
        Group { members, counted }
    }

    /// Those that its figures are of.
    pub fn counted(&self) -> &[&'a RunRow] {
        &self.counted
    }

    /// The mean of what a column shows.
    pub fn mean(&self, column: Column) -> Option<Mean> {
        let values: Vec<f64> =
            self.counted.iter().filter_map(|row| column.measure(row)).filter(|value| value.is_finite()).collect();
        let n = values.len();
        let (mean, deviation) = wording::mean_deviation(values.into_iter())?;
        Some(Mean { mean, deviation, n })
    }

    /// The run with the highest certified accuracy among those that count.
    pub fn best(&self) -> Option<(&'a RunRow, f64)> {
        let certified = |row: &&'a RunRow| Some((*row, row.summary.certified.filter(|value| value.is_finite())?));
        self.counted.iter().filter_map(certified).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The states of its runs: `1 running · 3 done · 1 failed`.
    pub fn states(&self) -> String {
        let count = |test: fn(&RunState) -> bool| self.members.iter().filter(|row| test(&row.state)).count();
        let parts = [
            (count(RunState::holds_a_slot), "running"),
            (count(|state| matches!(state, RunState::Queued { .. })), "queued"),
            (count(|state| matches!(state, RunState::Paused { .. })), "paused"),
            (count(|state| matches!(state, RunState::Completed)), "done"),
            (count(|state| matches!(state, RunState::Cancelled { .. })), "cancelled"),
            (count(|state| matches!(state, RunState::Failed { .. } | RunState::Lost { .. })), "failed"),
        ];
        let parts =
            parts.into_iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
        parts.collect::<Vec<_>>().join(" · ")
    }
}

impl Mean {
    /// The mean and, where there is more than one run, its `± σ`.
    pub fn words(&self, column: Column) -> (String, Option<String>) {
        let text = |value: f64| match column {
            Column::Loss => wording::figure(value),
            _ => format!("{value:.4}"),
        };
        (text(self.mean), (self.n > 1).then(|| format!("± {}", text(self.deviation))))
    }
}
