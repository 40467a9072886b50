//! The order of the runs list: filtered, sorted, and gathered into groups that fold.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
};

use crate::{
    experiment::{RunId, RunState},
    store::RunRow,
    tui::filter::Filter,
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
pub enum SortKey {
    /// What moves first, then what waits in its order, then what is over, the newest first.
    #[default]
    State,
    /// Certified accuracy.
    Certified,
    /// Clean accuracy.
    Clean,
    /// Name.
    Name,
    /// How far it has come.
    Progress,
    /// The certified radius.
    Eps,
    /// When it was added.
    Added,
}

impl SortKey {
    /// The next one; `s` goes round.
    pub fn next(self) -> SortKey {
        match self {
            SortKey::State => SortKey::Certified,
            SortKey::Certified => SortKey::Clean,
            SortKey::Clean => SortKey::Name,
            SortKey::Name => SortKey::Progress,
            SortKey::Progress => SortKey::Eps,
            SortKey::Eps => SortKey::Added,
            SortKey::Added => SortKey::State,
        }
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            SortKey::State => "state",
            SortKey::Certified => "certified",
            SortKey::Clean => "clean",
            SortKey::Name => "name",
            SortKey::Progress => "progress",
            SortKey::Eps => "ε",
            SortKey::Added => "added",
        }
    }

    fn compare(self, a: &RunRow, b: &RunRow) -> Ordering {
        // Descending, and what has no figure comes last.
        let figure =
            |a: Option<f64>, b: Option<f64>| b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY));
        let order = match self {
            SortKey::State => return state_order(a, b),
            SortKey::Certified => figure(a.summary.certified, b.summary.certified),
            SortKey::Clean => figure(a.summary.clean, b.summary.clean),
            SortKey::Name => a.name.cmp(&b.name),
            SortKey::Progress => figure(Some(progress(a)), Some(progress(b))),
            SortKey::Eps => figure(Some(a.config.eval.eps.to_f64()), Some(b.config.eval.eps.to_f64())),
            SortKey::Added => b.added_ms.cmp(&a.added_ms),
        };
        order.then(b.id.cmp(&a.id))
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
    pub sort: SortKey,
    /// Whether the order is turned round.
    pub reversed: bool,
    /// Groups shown as one line.
    pub folded: HashSet<String>,
}

impl Arrangement {
    /// The lines of the list. A group stands where its first run stands; one run alone is no group.
    pub fn entries(&self, rows: &BTreeMap<RunId, RunRow>) -> Vec<Entry> {
        let mut runs: Vec<&RunRow> = rows.values().filter(|row| self.filter.passes(row)).collect();
        runs.sort_by(|a, b| {
            let order = self.sort.compare(a, b);
            if self.reversed { order.reverse() } else { order }
        });
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
    pub fn members<'a>(&self, rows: &'a BTreeMap<RunId, RunRow>, group: &str) -> Vec<&'a RunRow> {
        rows.values().filter(|row| row.group.as_deref() == Some(group) && self.filter.passes(row)).collect()
    }
}
