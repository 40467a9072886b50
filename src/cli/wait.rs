//! `linf-tui wait`: ends when runs have ended.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;

use super::{
    Exit, Place,
    follow::Follow,
    place::{find, line},
};
use crate::{
    experiment::{RunId, RunState},
    report::standing::standing,
    store::{RunRow, Store, now_ms},
};

/// Wait until runs have ended, and say how by the exit code.
///
/// A run has ended when it is completed, failed, lost, cancelled or paused. The exit code is 0 where all are completed, 1
/// where one failed or was lost, and else 3.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The runs; a group's name means all of its runs.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

pub async fn run(args: WaitArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let ids: Vec<RunId> = find(&store, &args.runs).await?.iter().map(|row| row.id).collect();
    until_ended(&store, &ids).await
}

/// Waits until every run has ended, with a line for each; the worst of their ends is the exit code.
pub async fn until_ended(store: &Store, ids: &[RunId]) -> Result<Exit> {
    let mut follow = Follow::new(store, ids).await?;
    let mut said = BTreeSet::new();
    loop {
        for row in follow.rows.values().filter(|row| ended(row).is_some()) {
            if said.insert(row.id) {
                line(&format!("#{} {}: {}", row.id, row.name, standing(row, now_ms(), |_| None)))?;
            }
        }
        let ends: Option<Vec<Exit>> = follow.rows.values().map(ended).collect();
        if let Some(ends) = ends {
            return Ok(worst(&ends));
        }
        follow.next().await?;
    }
}

/// The exit code of a run that has ended; `None` where it has not.
pub fn ended(row: &RunRow) -> Option<Exit> {
    match row.state {
        RunState::Completed => Some(Exit::Done),
        RunState::Failed { .. } | RunState::Lost { .. } => Some(Exit::Failed),
        RunState::Cancelled { .. } | RunState::Paused { .. } => Some(Exit::Stopped),
        _ => None,
    }
}

fn worst(ends: &[Exit]) -> Exit {
    [Exit::Failed, Exit::Stopped].into_iter().find(|exit| ends.contains(exit)).unwrap_or(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_outweighs_a_pause() {
        assert_eq!(worst(&[]), Exit::Done);
        assert_eq!(worst(&[Exit::Done, Exit::Stopped]), Exit::Stopped);
        assert_eq!(worst(&[Exit::Stopped, Exit::Failed, Exit::Done]), Exit::Failed);
    }
}
