//! Which of the compared runs are taken together.

use crate::{
    experiment::RunState,
    report::results::{experiment, once_a_seed},
    store::RunRow,
    tui::{group::Group, wording},
};

/// What is drawn as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Gather {
    /// Every run is drawn by itself.
    #[default]
    Runs,
    /// Runs that differ in their seed alone.
    Seeds,
    /// The runs of a sweep.
    Sweeps,
}

impl Gather {
    /// The next one.
    pub fn next(self) -> Gather {
        match self {
            Gather::Runs => Gather::Seeds,
            Gather::Seeds => Gather::Sweeps,
            Gather::Sweeps => Gather::Runs,
        }
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Gather::Runs => "each run",
            Gather::Seeds => "seeds together",
            Gather::Sweeps => "sweeps together",
        }
    }

    /// What runs must have in common to be taken together; none where this one stands alone.
    fn key(self, row: &RunRow) -> Option<String> {
        match self {
            Gather::Runs => None,
            Gather::Seeds => Some(experiment(row)),
            Gather::Sweeps => row.group.clone(),
        }
    }
}

/// Runs taken together, or one that stands alone.
#[derive(Clone, Debug)]
pub struct Bunch<'a> {
    /// What it is called.
    pub name: String,
    /// Its runs, in the order in which they are compared.
    pub rows: Vec<&'a RunRow>,
}

impl<'a> Bunch<'a> {
    /// The runs whose curves its mean is of. As in the list, complete runs alone count once there are any; before that,
    /// those that ended early do not, for the mean would end with them. Each seed of an experiment counts once: its
    /// repetitions would make the spread smaller than it is.
    pub fn counted(&self) -> Vec<&'a RunRow> {
        let group = Group::new(self.rows.clone());
        let goes_on = |row: &&&RunRow| matches!(row.state, RunState::Completed) || !row.state.is_over();
        let telling: Vec<&RunRow> = group.counted().iter().filter(goes_on).copied().collect();
        once_a_seed(if telling.is_empty() { group.counted() } else { &telling })
    }

    /// The same, for its figures.
    pub fn group(&self) -> Group<'a> {
        Group::new(self.counted())
    }
}

/// The runs as they are taken together, in the order of their first ones.
pub fn bunches<'a>(rows: &[&'a RunRow], gather: Gather) -> Vec<Bunch<'a>> {
    let mut keyed: Vec<(Option<String>, Bunch<'a>)> = Vec::new();
    for row in rows {
        let key = gather.key(row);
        match keyed.iter_mut().find(|(other, _)| key.is_some() && *other == key) {
            Some((_, bunch)) => bunch.rows.push(row),
            None => keyed.push((key, Bunch { name: name(row), rows: vec![row] })),
        }
    }
    let mut bunches: Vec<Bunch<'a>> = keyed.into_iter().map(|(_, bunch)| bunch).collect();
    for bunch in bunches.iter_mut().filter(|bunch| bunch.rows.len() > 1) {
        bunch.name = shared_name(bunch, gather);
    }
    bunches
}

/// What a run is called in a legend: what sets it apart from its group, where it has one.
pub fn name(row: &RunRow) -> String {
    if row.variant.is_empty() { row.name.clone() } else { wording::variant(&row.variant) }
}

fn shared_name(bunch: &Bunch<'_>, gather: Gather) -> String {
    let Some(first) = bunch.rows.first() else { return String::new() };
    let group = first.group.clone().unwrap_or_else(|| first.name.clone());
    if gather == Gather::Sweeps {
        return group;
    }
    // Of a grid over seeds and something else, the something else.
    let without_seed: Vec<&str> =
        first.variant.split_whitespace().filter(|pair| !pair.starts_with("train.seed=")).collect();
    if without_seed.is_empty() { group } else { wording::variant(&without_seed.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::results::tests::run;
    use crate::tui::columns::Column;

    #[test]
    fn a_seed_counts_once() {
        let rows = [run(1, 0.98, 0.90), run(2, 0.97, 0.92), run(2, 0.97, 0.92)];
        let rows: Vec<&RunRow> = rows.iter().collect();
        let bunches = bunches(&rows, Gather::Seeds);
        let [bunch] = &bunches[..] else { panic!("{bunches:?}") };
        let mean = bunch.group().mean(Column::Certified).unwrap();
        assert_eq!((bunch.rows.len(), bunch.counted().len(), mean.n), (3, 2, 2));
        assert!((mean.mean - 0.91).abs() < 1e-12 && (mean.deviation - 0.0002f64.sqrt()).abs() < 1e-12, "{mean:?}");
    }

    #[test]
    fn a_run_that_failed_does_not_stand_for_its_repetition() {
        let [mut failed, mut again] = [run(1, 0.5, 0.4), run(1, 0.6, 0.5)];
        failed.state = RunState::Cancelled { checkpoint: None };
        again.state = RunState::Paused { checkpoint: None };
        (failed.id, again.id) = (crate::experiment::RunId(8), crate::experiment::RunId(9));
        let rows = [&failed, &again];
        let counted = bunches(&rows, Gather::Seeds)[0].counted();
        assert_eq!(counted.iter().map(|row| row.id).collect::<Vec<_>>(), [again.id]);
        // Nor one without figures.
        failed.state = again.state.clone();
        failed.summary.certified = None;
        let rows = [&failed, &again];
        assert_eq!(bunches(&rows, Gather::Seeds)[0].counted()[0].id, again.id);
    }
}
