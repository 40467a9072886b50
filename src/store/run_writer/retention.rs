//! Which checkpoints are kept. Pure.

use crate::store::{CheckpointKind, CheckpointRow};

/// The checkpoints to be removed so that the newest `keep` of those under way remain (at least one). Those at a phase
/// switch and the final one always remain, and so does the newest of all.
pub(super) fn superseded(rows: &[CheckpointRow], keep: usize) -> Vec<CheckpointRow> {
    let mut under_way: Vec<&CheckpointRow> =
        rows.iter().filter(|row| matches!(row.kind, CheckpointKind::Periodic | CheckpointKind::Stop)).collect();
    under_way.sort_by_key(|row| row.step);
    let excess = under_way.len().saturating_sub(keep.max(1));
    under_way.into_iter().take(excess).cloned().collect()
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
        let steps = |keep| superseded(&rows, keep).into_iter().map(|row| row.step).collect::<Vec<_>>();
        assert_eq!(steps(3), [0u64; 0]);
        assert_eq!(steps(2), [10]);
        assert_eq!(steps(1), [10, 30]);
        assert_eq!(steps(0), [10, 30], "the newest is kept even so");
    }
}
