//! The life of a run as a pure function: a state and an event give the next state and what must be done about it.
//!
//! The dispatcher runs the effects; clients use the same function for runs that have no worker, so a run never changes
//! in a way that is not written here. Whoever applies a step does so with an optimistic check on the old state.

use crate::{
    experiment::{Desired, LostReason, Progress, RunState, WaitReason, WorkerIdentity},
    store::Outcome,
};

/// What can happen to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Its user wants something of it.
    Asked {
        /// What.
        desired: Desired,
        /// The step of its last checkpoint, which is where a run without a worker stands.
        checkpoint: Option<u64>,
        /// Milliseconds since the Unix epoch.
        now_ms: i64,
    },
    /// It has to wait for another reason than before.
    Waits(WaitReason),
    /// A slot is free for it.
    Start {
        /// Milliseconds since the Unix epoch.
        now_ms: i64,
    },
    /// The operating system gave its worker a process.
    Spawned(WorkerIdentity),
    /// The operating system did not.
    SpawnFailed {
        /// Why, and what to do.
        message: String,
    },
    /// A worker holds the run's lock and has said who it is.
    Began {
        /// The worker's process.
        identity: WorkerIdentity,
        /// Where training stands.
        progress: Progress,
    },
    /// Training went on.
    Progressed(Progress),
    /// The worker left and wrote down how.
    Left(Outcome),
    /// The worker is gone and wrote nothing down.
    Vanished(Loss),
}

/// What is known about a worker that vanished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// How it vanished.
    pub reason: LostReason,
    /// The step of the run's last checkpoint.
    pub checkpoint: Option<u64>,
    /// Whether this worker wrote a checkpoint. If so the run is in no crash loop, and its retries count anew.
    pub advanced: bool,
    /// How many retries in a row the run's config allows.
    pub retries: u32,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// What must be done once the new state is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a worker.
    Spawn,
    /// Kill exactly this process.
    Kill(WorkerIdentity),
}

/// An event that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot {event}")]
pub struct Illegal {
    /// The state's word.
    pub state: &'static str,
    /// What was to happen.
    pub event: &'static str,
}

/// What follows when `event` happens to a run in `state`.
pub fn step(state: &RunState, event: &Event) -> Result<(RunState, Vec<Effect>), Illegal> {
    use RunState as S;
    let illegal = || Illegal { state: state.word(), event: event.infinitive() };
    let calm = |state: RunState| Ok((state, Vec::new()));
    match (state, event) {
        (_, Event::Asked { desired, checkpoint, now_ms }) => {
            asked(state, *desired, *checkpoint, *now_ms).ok_or_else(illegal)
        }
        (S::Queued { .. }, Event::Waits(reason)) => calm(S::Queued { reason: reason.clone() }),
        (S::Queued { reason }, Event::Start { now_ms }) => {
            let retry = if let WaitReason::Retry { attempt, .. } = reason { *attempt } else { 0 };
            Ok((S::Starting { identity: None, since_ms: *now_ms, retry }, vec![Effect::Spawn]))
        }
        (S::Starting { identity: None, since_ms, retry }, Event::Spawned(identity)) => {
            calm(S::Starting { identity: Some(identity.clone()), since_ms: *since_ms, retry: *retry })
        }
        (S::Starting { identity: None, .. }, Event::SpawnFailed { message }) => {
            calm(S::Lost { reason: LostReason::Spawn { message: message.clone() } })
        }
        (S::Starting { retry, .. } | S::Running { retry, .. }, Event::Began { identity, progress }) => {
            calm(S::Running { identity: identity.clone(), progress: *progress, retry: *retry })
        }
        (S::Pausing { .. }, Event::Began { identity, .. }) => calm(S::Pausing { identity: identity.clone() }),
        (S::Cancelling { now, .. }, Event::Began { identity, .. }) => {
            calm(S::Cancelling { identity: identity.clone(), now: *now })
        }
        (S::Running { identity, retry, .. }, Event::Progressed(progress)) => {
            calm(S::Running { identity: identity.clone(), progress: *progress, retry: *retry })
        }
        (_, Event::Left(outcome)) => left(state, outcome).ok_or_else(illegal).and_then(calm),
        (_, Event::Vanished(loss)) => vanished(state, loss).ok_or_else(illegal).and_then(calm),
        _ => Err(illegal()),
    }
}

fn asked(state: &RunState, desired: Desired, checkpoint: Option<u64>, now_ms: i64) -> Option<(RunState, Vec<Effect>)> {
    use RunState as S;
    let calm = |state| Some((state, Vec::new()));
    let unchanged = || calm(state.clone());
    match (state, desired) {
        (S::Queued { .. }, Desired::Run) => unchanged(),
        (S::Queued { .. }, Desired::Pause) => calm(S::Paused { checkpoint }),
        (S::Queued { .. }, Desired::Cancel | Desired::CancelNow) => calm(S::Cancelled { checkpoint }),

        // Nobody can be asked or killed before the spawn has returned; it is asked again right after.
        (S::Starting { identity: None, .. }, _) => unchanged(),
        (S::Starting { .. } | S::Running { .. }, Desired::Run) => unchanged(),

        // The worker may not have heard of the pause or may be about to leave: it counts as starting until it is seen.
        (S::Pausing { identity } | S::Cancelling { identity, now: false }, Desired::Run) => {
            calm(S::Starting { identity: Some(identity.clone()), since_ms: now_ms, retry: 0 })
        }
        // Its kill is on the way. What is wanted now is done once it is gone.
        (S::Cancelling { now: true, .. }, _) => unchanged(),

        (S::Paused { .. } | S::Failed { .. } | S::Cancelled { .. } | S::Lost { .. }, Desired::Run) => {
            calm(S::Queued { reason: WaitReason::New })
        }
        (S::Paused { .. }, Desired::Pause) => unchanged(),
        (S::Paused { checkpoint }, Desired::Cancel | Desired::CancelNow) => {
            calm(S::Cancelled { checkpoint: *checkpoint })
        }
        (S::Cancelled { .. }, Desired::Cancel | Desired::CancelNow) => unchanged(),
        (S::Completed | S::Failed { .. } | S::Cancelled { .. } | S::Lost { .. }, _) => None,

        (
            S::Starting { identity: Some(identity), .. }
            | S::Running { identity, .. }
            | S::Pausing { identity }
            | S::Cancelling { identity, .. },
            Desired::Pause | Desired::Cancel | Desired::CancelNow,
        ) => Some(stop(identity.clone(), desired)),
    }
}

/// A living worker is asked to stop. It hears of it from the catalog by itself; only a kill needs somebody to do it.
fn stop(identity: WorkerIdentity, wish: Desired) -> (RunState, Vec<Effect>) {
    match wish {
        Desired::Run | Desired::Pause => (RunState::Pausing { identity }, Vec::new()),
        Desired::Cancel => (RunState::Cancelling { identity, now: false }, Vec::new()),
        Desired::CancelNow => {
            let kill = vec![Effect::Kill(identity.clone())];
            (RunState::Cancelling { identity, now: true }, kill)
        }
    }
}

/// The worker's word is the truth, whatever it was asked: a run that completed while it was being paused is completed.
fn left(state: &RunState, outcome: &Outcome) -> Option<RunState> {
    if !state.holds_a_slot() {
        return None;
    }
    Some(match (outcome, state) {
        (Outcome::Completed, _) => RunState::Completed,
        (Outcome::Failed { reason }, _) => RunState::Failed { reason: reason.clone() },
        (Outcome::Stopped { checkpoint }, RunState::Pausing { .. }) => RunState::Paused { checkpoint: *checkpoint },
        (Outcome::Stopped { checkpoint }, RunState::Cancelling { .. }) => {
            RunState::Cancelled { checkpoint: *checkpoint }
        }
        // It left in good order at a SIGTERM that was not ours. No fault of the run: it goes on, and no retry is used.
        (Outcome::Stopped { .. }, _) => RunState::Queued { reason: WaitReason::New },
    })
}

fn vanished(state: &RunState, loss: &Loss) -> Option<RunState> {
    match state {
        // It had been asked to stop, and stopped it has; what it did since its last checkpoint is lost.
        RunState::Pausing { .. } => Some(RunState::Paused { checkpoint: loss.checkpoint }),
        RunState::Cancelling { .. } => Some(RunState::Cancelled { checkpoint: loss.checkpoint }),
        RunState::Starting { retry, .. } | RunState::Running { retry, .. } => Some(after_loss(*retry, loss)),
        _ => None,
    }
}

fn after_loss(retry: u32, loss: &Loss) -> RunState {
    if loss.reason == LostReason::Reboot {
        return RunState::Queued { reason: WaitReason::New };
    }
    let attempt = if loss.advanced { 1 } else { retry + 1 };
    if attempt > loss.retries {
        return RunState::Lost { reason: loss.reason.clone() };
    }
    let at_ms = loss.now_ms + back_off_ms(attempt);
    RunState::Queued { reason: WaitReason::Retry { attempt, at_ms, lost: loss.reason.clone() } }
}

/// The longest pause before a retry.
pub const LONGEST_BACK_OFF_MS: i64 = 60_000;

/// The pause before the `attempt`-th retry in a row: none, 2 s, 4 s, 8 s … up to a minute.
fn back_off_ms(attempt: u32) -> i64 {
    match attempt {
        0 | 1 => 0,
        _ => LONGEST_BACK_OFF_MS.min(1000 << (attempt - 1).min(10)),
    }
}

impl Event {
    /// The event as the end of "the run cannot …".
    fn infinitive(&self) -> &'static str {
        match self {
            Event::Asked { desired: Desired::Run, .. } => "be resumed",
            Event::Asked { desired: Desired::Pause, .. } => "be paused",
            Event::Asked { desired: Desired::Cancel | Desired::CancelNow, .. } => "be cancelled",
            Event::Waits(_) => "wait for a slot",
            Event::Start { .. } | Event::Spawned(_) | Event::SpawnFailed { .. } => "be given a worker",
            Event::Began { .. } | Event::Progressed(_) => "train",
            Event::Left(_) | Event::Vanished(_) => "lose its worker",
        }
    }
}

#[cfg(test)]
mod tests;
