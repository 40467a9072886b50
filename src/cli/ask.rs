//! `linf-tui pause`, `resume`, `cancel`, `retry`: what is wanted of runs.

use anyhow::{Result, bail};
use clap::Args;

use super::{
    Exit, Place, exit,
    follow::Follow,
    place::{find_those, line},
    turn::waits,
};
use crate::{
    dispatch::{ask, cancel, ensure_dispatcher, needs_a_dispatcher},
    experiment::{Desired, RunId, RunState},
    report::standing::standing,
    store::{RunRow, Store, now_ms},
};

/// Pause runs: each finishes its step, writes a checkpoint and frees its device.
///
/// `linf-tui resume` goes on exactly where it stood. Returns when the runs are paused.
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    which: Which,
}

/// Let runs go on from their last checkpoint: paused, cancelled, failed and lost ones.
///
/// Returns when they are in the queue.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The runs; a group's name means those of its runs that this applies to.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

/// End runs: each finishes its step and writes a checkpoint, so that it can still be resumed.
///
/// A second cancel, or --now, kills the worker; what it did since its last checkpoint is lost. Returns when the runs have
/// ended.
#[derive(Debug, Args)]
pub struct CancelArgs {
    #[command(flatten)]
    which: Which,
    /// Do not wait for the step and the checkpoint: kill the worker.
    #[arg(long)]
    now: bool,
}

/// Try runs again that failed or were lost, from their last checkpoint.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The runs; a group's name means those of its runs that this applies to.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

/// Keep queued runs from starting until they are released. Runs that train are left alone.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// The runs; a group's name means those of its runs that this applies to.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

/// Let held and paused runs start when their turn comes.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The runs; a group's name means those of its runs that this applies to.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

#[derive(Debug, Args)]
struct Which {
    /// The runs; a group's name means those of its runs that this applies to.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// Return as soon as the wish is written down.
    #[arg(long)]
    no_wait: bool,
}

pub async fn pause(args: PauseArgs, place: &Place) -> Result<Exit> {
    let takes = |row: &RunRow| !row.state.is_over() && !matches!(row.state, RunState::Paused { .. });
    wish(&args.which.runs, args.which.no_wait, place, takes, |_| Ok(Desired::Pause)).await
}

pub async fn resume(args: ResumeArgs, place: &Place) -> Result<Exit> {
    // Of a group: what was cancelled stays so.
    let takes = |row: &RunRow| matches!(row.state, RunState::Paused { .. });
    wish(&args.runs, true, place, takes, |_| Ok(Desired::Run)).await
}

pub async fn cancel_runs(args: CancelArgs, place: &Place) -> Result<Exit> {
    let now = args.now;
    let desired = move |row: &RunRow| Ok(if now { Desired::CancelNow } else { cancel(row) });
    wish(&args.which.runs, args.which.no_wait, place, |row| !row.state.is_over(), desired).await
}

pub async fn retry(args: RetryArgs, place: &Place) -> Result<Exit> {
    let takes = |row: &RunRow| matches!(row.state, RunState::Failed { .. } | RunState::Lost { .. });
    let desired = only(takes, Desired::Run, "only a run that failed or was lost can be retried");
    wish(&args.runs, true, place, takes, desired).await
}

pub async fn hold(args: HoldArgs, place: &Place) -> Result<Exit> {
    let desired = only(waits, Desired::Pause, "only a queued run can be held; `linf-tui pause`");
    wish(&args.runs, true, place, waits, desired).await
}

pub async fn release(args: ReleaseArgs, place: &Place) -> Result<Exit> {
    let desired = only(waits, Desired::Run, "only a held or paused run can be released");
    wish(&args.runs, true, place, waits, desired).await
}

/// This wish for runs that `takes` holds for; of the others it says why not.
fn only(takes: impl Fn(&RunRow) -> bool, wish: Desired, why: &str) -> impl Fn(&RunRow) -> Result<Desired> {
    move |row| {
        if !takes(row) {
            bail!("{} is {}: {why}", row.name, row.state.word());
        }
        Ok(wish)
    }
}

/// Asks the same of several runs, of a group those that `takes` holds for. One that refuses does not keep the others from
/// being asked.
async fn wish(
    words: &[String],
    no_wait: bool,
    place: &Place,
    takes: impl Fn(&RunRow) -> bool,
    desired: impl Fn(&RunRow) -> Result<Desired>,
) -> Result<Exit> {
    let store = place.existing().await?;
    let mut exit = Exit::Done;
    let mut asked = Vec::new();
    let mut restless = false;
    for row in find_those(&store, words, takes).await? {
        let answer = match desired(&row) {
            Ok(desired) => ask(&store, row.id, desired).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match answer {
            Ok(row) => {
                restless |= needs_a_dispatcher(&row);
                asked.push(row.id);
            }
            Err(error) => exit = exit.max(exit::report(&error)),
        }
    }
    if restless {
        ensure_dispatcher(place.root())?;
    }
    settle(&store, &asked, no_wait).await?;
    Ok(exit)
}

/// Waits until no worker holds the runs any more, then says where they stand.
async fn settle(store: &Store, ids: &[RunId], no_wait: bool) -> Result<()> {
    let mut follow = Follow::new(store, ids).await?;
    while !no_wait && follow.rows.values().any(|row| row.state.holds_a_slot() && row.desired != Desired::Run) {
        follow.next().await?;
    }
    for row in follow.rows.values() {
        let asked = match row.desired {
            Desired::Pause if row.state.holds_a_slot() => "asked to pause; ",
            Desired::Cancel | Desired::CancelNow if row.state.holds_a_slot() => "asked to stop; ",
            _ => "",
        };
        line(&format!("#{} {}: {asked}{}", row.id, row.name, standing(row, now_ms(), |_| None)))?;
    }
    Ok(())
}
