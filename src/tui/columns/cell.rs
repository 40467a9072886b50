//! What stands in a column of a run, and what the list is sorted by.

use std::{borrow::Cow, cmp::Ordering};

use super::Column;
use crate::{
    experiment::RunState,
    store::RunRow,
    tui::{look::Look, look::Tone, wording},
};

/// The text of a cell and its tone.
pub type Cell = (String, Tone);

/// What a run is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue<'a> {
    /// The largest first.
    Figure(f64),
    /// In the order of the alphabet.
    Text(Cow<'a, str>),
    /// It has none: last, whichever way round.
    None,
}

impl SortValue<'_> {
    fn of_figure(value: Option<f64>) -> SortValue<'static> {
        value.filter(|value| !value.is_nan()).map_or(SortValue::None, SortValue::Figure)
    }

    fn of_text(text: Cow<'_, str>) -> SortValue<'_> {
        if text.is_empty() { SortValue::None } else { SortValue::Text(text) }
    }

    /// Which of two comes first.
    pub fn order(&self, other: &SortValue<'_>, reversed: bool) -> Ordering {
        let turn = |order: Ordering| if reversed { order.reverse() } else { order };
        match (self, other) {
            (SortValue::Figure(a), SortValue::Figure(b)) => turn(b.total_cmp(a)),
            (SortValue::Text(a), SortValue::Text(b)) => turn(a.cmp(b)),
            (SortValue::None, SortValue::None) => Ordering::Equal,
            (SortValue::None, _) => Ordering::Greater,
            (_, SortValue::None) => Ordering::Less,
            (SortValue::Figure(_), SortValue::Text(_)) => Ordering::Less,
            (SortValue::Text(_), SortValue::Figure(_)) => Ordering::Greater,
        }
    }
}

impl Column {
    /// The figure behind it, where it is one that a group has a mean of.
    pub fn measure(self, row: &RunRow) -> Option<f64> {
        let summary = &row.summary;
        match self {
            Column::Certified => summary.certified,
            Column::Clean => summary.clean,
            Column::Attacked => summary.attacked.map(|(accuracy, _)| accuracy),
            Column::Best => summary.best_certified.map(|(certified, _)| certified),
            Column::Train => summary.train_accuracy,
            Column::Surrogate => summary.surrogate,
            Column::Loss => summary.loss,
            _ => None,
        }
    }

    /// What the list is sorted by.
    pub fn sort_value(self, row: &RunRow) -> SortValue<'_> {
        let (summary, config) = (&row.summary, &row.config);
        let figure = SortValue::of_figure;
        match self {
            Column::Certified
            | Column::Clean
            | Column::Attacked
            | Column::Best
            | Column::Train
            | Column::Surrogate
            | Column::Loss => figure(self.measure(row)),
            Column::Data => SortValue::of_text(wording::dataset(config.data.dataset).into()),
            Column::Net => figure(Some((config.model.depth * 1_000_000 + config.model.width) as f64)),
            Column::Eps => figure(Some(config.eval.eps.to_f64())),
            Column::Phase | Column::Trend => SortValue::None,
            Column::Epoch => figure(Some(crate::tui::run_list::progress(row))),
            Column::P => figure(summary.p.map(|p| p.get())),
            Column::Eta => figure(summary.eta_seconds.filter(|_| row.state.holds_a_slot())),
            Column::Trained => figure(Some(summary.train_seconds).filter(|seconds| *seconds > 0.0)),
            Column::Speed => figure(summary.steps_per_second.filter(|_| row.state.holds_a_slot())),
            Column::Lambda => figure(Some(config.loss.lambda)),
            Column::Lr => figure(Some(config.train.lr)),
            Column::Seed => figure(Some(config.train.seed as f64)),
            Column::Added => figure(Some(row.added_ms as f64)),
            Column::Id => figure(Some(row.id.0 as f64)),
            Column::Tags => SortValue::of_text(row.tags.join(" ").into()),
            Column::Note => SortValue::of_text(row.note.as_str().into()),
            Column::Device => SortValue::of_text(summary.device.as_str().into()),
        }
    }

    /// What stands in it, in so many columns. The phase has a bar as well, which is no text.
    pub fn cell(self, row: &RunRow, width: u16, look: &Look, zone: &jiff::tz::TimeZone) -> Cell {
        let (summary, config) = (&row.summary, &row.config);
        let known = |value: Option<f64>, tone: Tone| {
            (wording::accuracy(value), if value.is_some() { tone } else { Tone::Faint })
        };
        // Where a dash would only be noise.
        let some = |text: Option<String>, tone: Tone| (text.unwrap_or_default(), tone);
        match self {
            Column::Data => (wording::dataset(config.data.dataset).into(), Tone::Faint),
            Column::Net => (wording::net(row), Tone::Faint),
            Column::Eps => (config.eval.eps.to_string(), Tone::Faint),
            Column::Phase => match (&row.state, summary.phase) {
                (RunState::Completed, _) => ("done".into(), Tone::Good),
                (_, Some(phase)) => (wording::phase(phase, config.schedule.p_start), Tone::Text),
                (_, None) => (String::new(), Tone::Text),
            },
            Column::Epoch => (format!("{:.0}/{}", summary.epoch.floor(), config.train.epochs), Tone::Text),
            Column::P => some(summary.p.map(|p| look.exponent(p)), Tone::Exponent),
            Column::Certified => known(summary.certified, Tone::Certified),
            Column::Clean => known(summary.clean, Tone::Clean),
            Column::Trend if !look.unicode => (String::new(), Tone::Spark),
            Column::Trend => (wording::sparkline(&summary.certified_history, usize::from(width)), Tone::Spark),
            Column::Attacked | Column::Best | Column::Train => {
                some(self.measure(row).map(|value| wording::accuracy(Some(value))), Tone::Text)
            }
            Column::Surrogate => some(summary.surrogate.map(|value| wording::accuracy(Some(value))), Tone::Surrogate),
            Column::Loss => some(summary.loss.map(wording::figure), Tone::Faint),
            Column::Eta => match (&row.state, summary.eta_seconds) {
                (RunState::Running { .. }, Some(left)) => (wording::duration(left), Tone::Text),
                (RunState::Completed, _) => (wording::duration(summary.train_seconds), Tone::Faint),
                _ => (String::new(), Tone::Faint),
            },
            Column::Trained => {
                some(Some(summary.train_seconds).filter(|s| *s > 0.0).map(wording::duration), Tone::Faint)
            }
            Column::Speed => {
                let rate = summary.steps_per_second.filter(|_| row.state.holds_a_slot());
                some(rate.map(|rate| format!("{rate:.1}")), Tone::Text)
            }
            Column::Lambda => (wording::short(config.loss.lambda), Tone::Text),
            Column::Lr => (wording::short(config.train.lr), Tone::Text),
            Column::Seed => (config.train.seed.to_string(), Tone::Text),
            Column::Device => (summary.device.clone(), Tone::Faint),
            Column::Added => (wording::moment(row.added_ms, zone), Tone::Faint),
            Column::Id => (format!("#{}", row.id), Tone::Faint),
            Column::Tags => (row.tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(" "), Tone::Faint),
            Column::Note => (row.note.clone(), Tone::Faint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_figure_comes_last_whichever_way_round() {
        let values = [SortValue::Figure(0.5), SortValue::None, SortValue::Figure(0.9)];
        for (reversed, first) in [(false, 0.9), (true, 0.5)] {
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| a.order(b, reversed));
            assert_eq!((&sorted[0], &sorted[2]), (&SortValue::Figure(first), &SortValue::None));
        }
    }
}
