//! Which checkpoints are kept. Pure.

use crate::store::{CheckpointKind, CheckpointRow};

/// The checkpoints to be removed so that the newest `keep` of those under way remain (at least one). Those at a phase
/// switch, milestones, those asked for and the final one always remain; so do the newest of all and the one of step
/// `best`, where the net certified most.
pub(super) fn superseded(rows: &[CheckpointRow], keep: usize, best: Option<u64>) -> Vec<CheckpointRow> {
    use CheckpointKind::{Best, Periodic, Stop};
    let newest = rows.iter().map(|row| row.step).max();
    let spared = |row: &&CheckpointRow| Some(row.step) == newest || Some(row.step) == best;
    let mut under_way: Vec<&CheckpointRow> = rows.iter().filter(|row| matches!(row.kind, Periodic | Stop)).collect();
    under_way.sort_by_key(|row| row.step);
    let excess = under_way.len().saturating_sub(keep.max(1));
    let once_best = rows.iter().filter(|row| row.kind == Best);
    let superseded = under_way.into_iter().take(excess).chain(once_best);
    superseded.filter(|row| !spared(row)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::PNorm;

    fn row(step: u64, kind: CheckpointKind) -> CheckpointRow {
        CheckpointRow {
            step,
            epoch: 0.0,
            p: PNorm::INFINITY,
            kind,
            file: format!("{step}.db"),
            bytes: 1,
            hash: String::new(),
            time_ms: 0,
        }
    }

    #[test]
    fn the_newest_and_the_milestones_remain() {
        use CheckpointKind::{Final, Periodic, Phase, Stop};
        let rows =
            [(10, Periodic), (20, Phase), (30, Stop), (40, Periodic), (50, Final)].map(|(step, kind)| row(step, kind));
        let steps = |keep| superseded(&rows, keep, None).into_iter().map(|row| row.step).collect::<Vec<_>>();
        assert_eq!(steps(3), [0u64; 0]);
        assert_eq!(steps(2), [10]);
        assert_eq!(steps(1), [10, 30]);
        assert_eq!(steps(0), [10, 30], "the newest is kept even so");
    }

    #[test]
    fn the_best_remains_and_those_that_were_best_before_go() {
        use CheckpointKind::{Asked, Best, Milestone, Periodic};
        let rows = [(10, Best), (20, Milestone), (25, Asked), (30, Best), (40, Periodic), (50, Periodic), (60, Best)]
            .map(|(step, kind)| row(step, kind));
        let steps = |best| superseded(&rows, 1, best).into_iter().map(|row| row.step).collect::<Vec<_>>();
        assert_eq!(steps(Some(30)), [40, 10], "60 is the newest");
        assert_eq!(steps(Some(40)), [10, 30]);
        assert_eq!(steps(Some(20)), [40, 10, 30]);
    }
}
