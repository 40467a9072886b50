//! Transitions as sentences, for the run's journal.

use super::machine::{Event, Loss};
use crate::experiment::{Desired, LostReason, RunId, RunState, WaitReason};
use crate::store::Outcome;

/// What happened, as one sentence: the journal row of the transition by `event` from one state to another.
pub fn narrate(from: &RunState, event: &Event, to: &RunState) -> String {
    let head = match event {
        Event::Asked { desired: Desired::Run, .. } => "asked to run".to_owned(),
        Event::Asked { desired: Desired::Pause, .. } => "asked to pause".to_owned(),
        Event::Asked { desired: Desired::Cancel, .. } => "asked to stop for good".to_owned(),
        Event::Asked { desired: Desired::CancelNow, .. } => "asked to stop at once".to_owned(),
        Event::Waits(reason) => return waits(reason),
        Event::Start { .. } => "a slot is free".to_owned(),
        Event::Spawned(identity) => format!("worker is process {}", identity.pid),
        Event::SpawnFailed { message } => format!("no worker could be started: {message}"),
        Event::Began { identity, progress } => {
            let from = if progress.step == 0 { "from the start".into() } else { format!("at step {}", progress.step) };
            return format!("training {from}, process {}", identity.pid);
        }
        Event::Progressed(progress) => format!("at step {}", progress.step),
        Event::Left(Outcome::Completed) => return "trained to the end".to_owned(),
        Event::Left(Outcome::Failed { reason }) => return format!("failed: {reason}"),
        Event::Left(Outcome::Stopped { checkpoint }) => format!("worker left in good order {}", stands_at(*checkpoint)),
        Event::Vanished(_) if matches!(from, RunState::Cancelling { now: true, .. }) => "worker killed".to_owned(),
        Event::Vanished(Loss { reason: reason @ LostReason::Spawn { .. }, .. }) => reason.to_string(),
        Event::Vanished(loss) => format!("worker vanished: {}", loss.reason),
    };
    let tail = match to {
        RunState::Queued { reason: WaitReason::New } => "waits for its turn".to_owned(),
        RunState::Queued { reason } => waits(reason),
        RunState::Paused { checkpoint } => format!("paused {}", stands_at(*checkpoint)),
        RunState::Cancelled { checkpoint } => format!("cancelled {}", stands_at(*checkpoint)),
        RunState::Lost { reason: LostReason::Spawn { .. } } => "lost".to_owned(),
        RunState::Lost { .. } => "lost: no retry is left".to_owned(),
        other => other.word().to_owned(),
    };
    format!("{head}; {tail}")
}

/// Why a queued run waits, as a clause.
pub fn waits(reason: &WaitReason) -> String {
    match reason {
        WaitReason::New => "waits for its turn".to_owned(),
        WaitReason::Slot { held_by } => match held_by.as_slice() {
            [] => "waits for a slot".to_owned(),
            [id] => format!("waits for the slot of #{id}"),
            ids => format!("waits for a slot of {}", numbers(ids)),
        },
        WaitReason::StartAt { .. } => "waits for its time".to_owned(),
        WaitReason::After { runs, .. } => format!("waits for the end of {}", numbers(runs)),
        WaitReason::Group { name, slots, .. } => format!("waits: {slots} of the group {name} may train at once"),
        WaitReason::Busy { what } => format!("waits: another program uses {what}"),
        WaitReason::Retry { attempt, lost, .. } => format!("waits for retry {attempt} ({lost})"),
    }
}

fn numbers(ids: &[RunId]) -> String {
    ids.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ")
}

fn stands_at(checkpoint: Option<u64>) -> String {
    checkpoint
        .map_or_else(|| "before its first checkpoint".to_owned(), |step| format!("at the checkpoint of step {step}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::machine::step;
    use crate::experiment::WorkerIdentity;

    #[test]
    fn the_journal_reads_as_sentences() {
        let queued = RunState::Queued { reason: WaitReason::New };
        let said = |event: Event| narrate(&queued, &event, &step(&queued, &event).unwrap().0);
        let pause = |checkpoint| Event::Asked { desired: Desired::Pause, checkpoint, now_ms: 0 };
        assert_eq!(said(pause(Some(120))), "asked to pause; paused at the checkpoint of step 120");
        assert_eq!(said(pause(None)), "asked to pause; paused before its first checkpoint");
        assert_eq!(said(Event::Start { now_ms: 0 }), "a slot is free; starting");
        let slot = WaitReason::Slot { held_by: vec![RunId(3), RunId(4)] };
        assert_eq!(said(Event::Waits(slot)), "waits for a slot of #3, #4");

        let identity = WorkerIdentity { pid: 7, start_ticks: 8, boot_id: "b".into(), nonce: "n".into() };
        let reason = LostReason::Signal { signal: 9 };
        let vanished = Event::Vanished(Loss { reason, checkpoint: Some(120), advanced: true, retries: 5, now_ms: 0 });
        for (now, says) in [(true, "worker killed; cancelled"), (false, "worker vanished: ")] {
            let from = RunState::Cancelling { identity: identity.clone(), now };
            let said = narrate(&from, &vanished, &step(&from, &vanished).unwrap().0);
            assert!(said.starts_with(says) && said.ends_with("at the checkpoint of step 120"), "{said}");
        }
    }
}
