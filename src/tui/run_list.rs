//! The order of the runs list: filtered, sorted, and gathered into groups that fold.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use crate::{
    experiment::{RunId, RunState},
    store::RunRow,
    tui::{
        columns::{Column, Columns, SPECS, SortValue},
        filter::{Filter, is_pinned},
        known::Known,
    },
};

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The heading of a group.
    Group(String),
    /// A run; indented where it stands under its group's heading.
    Run {
        /// Which.
        id: RunId,
        /// Whether its group's heading stands above it.
        indented: bool,
    },
}

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What moves first, then what waits in its order, then what is over, the newest first.
    #[default]
    State,
    /// The name.
    Name,
    /// What a column shows.
    By(Column),
}

impl Sort {
    /// The next one of those that are shown, the most telling first; `s` goes round.
    pub fn next(self, columns: &Columns) -> Sort {
        let shown = SPECS.iter().map(|spec| spec.column).filter(|column| columns.has(*column) && column.sorts());
        let all: Vec<Sort> = std::iter::once(Sort::State).chain(shown.map(Sort::By)).chain([Sort::Name]).collect();
        let at = all.iter().position(|sort| *sort == self).unwrap_or(0);
        all[(at + 1) % all.len()]
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Sort::State => "state",
            Sort::Name => "name",
            Sort::By(column) => column.spec().heading,
        }
    }

    /// Puts runs in order; of what is equal the newest comes first.
    fn arrange(self, reversed: bool, runs: &mut Vec<&RunRow>) {
        let turn = |order: Ordering| if reversed { order.reverse() } else { order };
        match self {
            Sort::State => runs.sort_by(|a, b| turn(state_order(a, b))),
            Sort::Name => runs.sort_by(|a, b| turn(a.name.cmp(&b.name))),
            Sort::By(column) => {
                let mut valued: Vec<(SortValue<'_>, &RunRow)> =
                    runs.iter().map(|row| (column.sort_value(row), *row)).collect();
                valued.sort_by(|(a, row), (b, other)| a.order(b, reversed).then(turn(other.id.cmp(&row.id))));
                *runs = valued.into_iter().map(|(_, row)| row).collect();
            }
        }
    }
}

/// The share of its epochs that a run has done.
pub fn progress(row: &RunRow) -> f64 {
    row.summary.epoch / f64::from(row.config.train.epochs.max(1))
}

fn state_order(a: &RunRow, b: &RunRow) -> Ordering {
    let rank = |row: &RunRow| match row.state {
        RunState::Running { .. }
        | RunState::Starting { .. }
        | RunState::Pausing { .. }
        | RunState::Cancelling { .. } => 0,
        RunState::Queued { .. } => 1,
        RunState::Paused { .. } => 2,
        RunState::Failed { .. } | RunState::Lost { .. } | RunState::Completed | RunState::Cancelled { .. } => 3,
    };
    let newest = |row: &RunRow| row.ended_ms.unwrap_or(row.added_ms);
    rank(a).cmp(&rank(b)).then_with(|| match rank(a) {
        0 | 1 => a.id.cmp(&b.id),
        _ => newest(b).cmp(&newest(a)).then(b.id.cmp(&a.id)),
    })
}

/// How the list is arranged.
#[derive(Clone, Debug, Default)]
pub struct Arrangement {
    /// What passes.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub reversed: bool,
    /// Groups shown as one line.
    pub folded: HashSet<String>,
}

impl Arrangement {
    /// The runs that are in the list, in the order of their numbers.
    pub fn shown<'a>(&self, known: &'a Known) -> impl Iterator<Item = &'a RunRow> {
        known.staying().filter(|row| self.filter.passes(row))
    }

    /// The lines of the list. A group stands where its first run stands; one run alone is no group.
    pub fn entries(&self, known: &Known) -> Vec<Entry> {
        let mut runs: Vec<&RunRow> = self.shown(known).collect();
        self.sort.arrange(self.reversed, &mut runs);
        runs.sort_by_key(|row| !is_pinned(row));
        let mut groups: HashMap<&str, Vec<RunId>> = HashMap::new();
        for row in &runs {
            if let Some(group) = &row.group {
                groups.entry(group).or_default().push(row.id);
            }
        }
        let mut entries = Vec::with_capacity(runs.len() + groups.len());
        for row in runs {
            match row.group.as_deref().filter(|group| groups.get(group).is_none_or(|members| members.len() > 1)) {
                None => entries.push(Entry::Run { id: row.id, indented: false }),
                Some(group) => {
                    // The first run of a group brings all of it; the others find nothing left.
                    let Some(members) = groups.remove(group) else { continue };
                    entries.push(Entry::Group(group.to_owned()));
                    if !self.folded.contains(group) {
                        entries.extend(members.into_iter().map(|id| Entry::Run { id, indented: true }));
                    }
                }
            }
        }
        entries
    }

    /// The runs of a group that pass the filter, in the order of their numbers.
    pub fn members<'a>(&self, known: &'a Known, group: &str) -> Vec<&'a RunRow> {
        self.shown(known).filter(|row| row.group.as_deref() == Some(group)).collect()
    }
}
