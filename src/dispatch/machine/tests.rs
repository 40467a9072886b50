//! Every pair of state and event, as a table; then what must hold of all of them.

use super::*;
use crate::experiment::{FailReason, PNorm, RunId};

const NOW: i64 = 1_000_000;

fn identity(pid: i32) -> WorkerIdentity {
    WorkerIdentity { pid, start_ticks: 77, boot_id: "boot".into(), nonce: format!("nonce-{pid}") }
}

fn progress(step: u64) -> Progress {
    Progress { step, epoch: step as f64 / 10.0, p: PNorm::new(8.0).unwrap() }
}

fn failure() -> FailReason {
    FailReason::Error { message: "no such data".into() }
}

fn loss(retries: u32) -> Loss {
    Loss { reason: LostReason::Signal { signal: 9 }, checkpoint: Some(40), advanced: false, retries, now_ms: NOW }
}

fn states() -> Vec<(&'static str, RunState)> {
    let me = || identity(1);
    vec![
        ("queued", RunState::Queued { reason: WaitReason::New }),
        ("spawning", RunState::Starting { identity: None, since_ms: 5, retry: 2 }),
        ("starting", RunState::Starting { identity: Some(me()), since_ms: 5, retry: 2 }),
        ("running", RunState::Running { identity: me(), progress: progress(3), retry: 2 }),
        ("pausing", RunState::Pausing { identity: me() }),
        ("paused", RunState::Paused { checkpoint: Some(40) }),
        ("cancelling", RunState::Cancelling { identity: me(), now: false }),
        ("killing", RunState::Cancelling { identity: me(), now: true }),
        ("completed", RunState::Completed),
        ("failed", RunState::Failed { reason: failure() }),
        ("cancelled", RunState::Cancelled { checkpoint: Some(40) }),
        ("lost", RunState::Lost { reason: LostReason::Vanished }),
    ]
}

fn asked(desired: Desired) -> Event {
    Event::Asked { desired, checkpoint: Some(40), now_ms: NOW }
}

fn events() -> Vec<(&'static str, Event)> {
    vec![
        ("run", asked(Desired::Run)),
        ("pause", asked(Desired::Pause)),
        ("cancel", asked(Desired::Cancel)),
        ("cancel-now", asked(Desired::CancelNow)),
        ("waits", Event::Waits(WaitReason::Slot { held_by: vec![RunId(9)] })),
        ("start", Event::Start { now_ms: NOW }),
        ("spawned", Event::Spawned(identity(2))),
        ("no-spawn", Event::SpawnFailed { message: "no such file".into() }),
        ("began", Event::Began { identity: identity(3), progress: progress(4) }),
        ("progress", Event::Progressed(progress(5))),
        ("completed", Event::Left(Outcome::Completed)),
        ("stopped", Event::Left(Outcome::Stopped { checkpoint: Some(50) })),
        ("failed", Event::Left(Outcome::Failed { reason: failure() })),
        ("vanished", Event::Vanished(loss(5))),
        ("once-more", Event::Vanished(loss(2))),
    ]
}

/// One row a state, one column an event. `-` is illegal, `=` changes nothing, `!` spawns or kills.
const TABLE: &str = "
            run      pause   cancel     cancel-now  waits  start     spawned  no-spawn began      progress completed stopped   failed vanished  once-more
queued      =        paused  cancelled  cancelled   queued starting! -        -        -          -        -         -         -      -         -
spawning    =        =       =          =           -      -         starting lost     running    -        completed queued    failed queued    lost
starting    =        pausing cancelling cancelling! -      -         -        -        running    -        completed queued    failed queued    lost
running     =        pausing cancelling cancelling! -      -         -        -        running    running  completed queued    failed queued    lost
pausing     starting =       cancelling cancelling! -      -         -        -        pausing    -        completed paused    failed paused    paused
paused      queued   =       cancelled  cancelled   -      -         -        -        -          -        -         -         -      -         -
cancelling  starting pausing =          cancelling! -      -         -        -        cancelling -        completed cancelled failed cancelled cancelled
killing     =        =       =          =           -      -         -        -        cancelling -        completed cancelled failed cancelled cancelled
completed   -        -       -          -           -      -         -        -        -          -        -         -         -      -         -
failed      queued   -       -          -           -      -         -        -        -          -        -         -         -      -         -
cancelled   queued   -       =          =           -      -         -        -        -          -        -         -         -      -         -
lost        queued   -       -          -           -      -         -        -        -          -        -         -         -      -         -
";

#[test]
fn every_state_and_event() {
    let mut lines = TABLE.trim_matches('\n').lines();
    let columns: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(columns, events().iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), states().len());

    for (row, (state_name, state)) in rows.iter().zip(states()) {
        assert_eq!(row[0], state_name);
        assert_eq!(row.len(), columns.len() + 1, "{state_name}");
        for (expected, (event_name, event)) in row[1..].iter().zip(events()) {
            let found = match step(&state, &event) {
                Err(_) => "-".to_owned(),
                Ok((next, effects)) if next == state && effects.is_empty() => "=".to_owned(),
                Ok((next, effects)) => format!("{}{}", next.word(), if effects.is_empty() { "" } else { "!" }),
            };
            assert_eq!(found, *expected, "{state_name} × {event_name}");
        }
    }
}

#[test]
fn only_a_queued_run_is_given_a_worker_and_only_a_known_worker_is_killed() {
    for (_, state) in states() {
        for (_, event) in events() {
            let Ok((next, effects)) = step(&state, &event) else { continue };
            for effect in effects {
                match effect {
                    Effect::Spawn => assert!(matches!(state, RunState::Queued { .. }) && next.identity().is_none()),
                    Effect::Kill(whom) => assert_eq!(Some(&whom), state.identity()),
                }
            }
        }
    }
}

#[test]
fn a_run_never_drops_a_living_worker() {
    // A worker is forgotten only when it left, vanished, or never was; else it would train unseen beside a second one.
    for (_, state) in states().into_iter().filter(|(_, state)| state.identity().is_some()) {
        for (name, event) in events() {
            let Ok((next, _)) = step(&state, &event) else { continue };
            let over = matches!(event, Event::Left(_) | Event::Vanished(_));
            assert_eq!(next.identity().is_none(), over, "{} × {name}", state.word());
        }
    }
}

#[test]
fn retries_are_counted_until_none_is_left() {
    let mut state = RunState::Queued { reason: WaitReason::New };
    let mut delays = Vec::new();
    loop {
        state = step(&state, &Event::Start { now_ms: NOW }).unwrap().0;
        state = step(&state, &Event::Began { identity: identity(1), progress: progress(0) }).unwrap().0;
        state = step(&state, &Event::Vanished(loss(8))).unwrap().0;
        match &state {
            RunState::Queued { reason: WaitReason::Retry { attempt, at_ms, .. } } => {
                delays.push(at_ms - NOW);
                assert_eq!(*attempt as usize, delays.len());
            }
            other => {
                assert_eq!(other, &RunState::Lost { reason: LostReason::Signal { signal: 9 } });
                break;
            }
        }
    }
    assert_eq!(delays, [0, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
}

#[test]
fn a_checkpoint_begins_the_count_anew() {
    let state = RunState::Running { identity: identity(1), progress: progress(9), retry: 5 };
    let lost = Event::Vanished(Loss { advanced: true, ..loss(5) });
    let reason = WaitReason::Retry { attempt: 1, at_ms: NOW, lost: LostReason::Signal { signal: 9 } };
    assert_eq!(step(&state, &lost).unwrap().0, RunState::Queued { reason });
    // … but a run that shall never be resumed by itself is not.
    let never = Event::Vanished(Loss { advanced: true, ..loss(0) });
    assert_eq!(step(&state, &never).unwrap().0.word(), "lost");
}

#[test]
fn a_reboot_uses_no_retry() {
    let state = RunState::Running { identity: identity(1), progress: progress(9), retry: 5 };
    let reboot = Event::Vanished(Loss { reason: LostReason::Reboot, ..loss(0) });
    assert_eq!(step(&state, &reboot).unwrap().0, RunState::Queued { reason: WaitReason::New });
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    let refused = step(&RunState::Completed, &asked(Desired::Pause)).unwrap_err();
    assert_eq!(refused.to_string(), "a run that is completed cannot be paused");
}
