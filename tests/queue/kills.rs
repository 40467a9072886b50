//! Processes that end when nobody expects it: no run is lost or mis-stated, and what comes out is what an undisturbed run
//! gives.

use linf::experiment::{Desired, LostReason, PNorm, Progress, RunId, RunState, WaitReason, WorkerIdentity};
use rustix::process::Signal;

use crate::support::{Place, kill};

/// The hash that an undisturbed run of so many epochs comes to.
fn undisturbed(epochs: u32) -> String {
    let place = Place::new();
    let id = place.add(epochs, "");
    place.until_word(id, "completed");
    place.result(id)
}

fn assert_whole(place: &Place, id: RunId, epochs: u32) {
    let logged: Vec<u32> = place.epochs(id).iter().map(|row| row.epoch).collect();
    assert_eq!(logged, (0..epochs).collect::<Vec<_>>(), "each epoch is logged once");
    assert_eq!(place.result(id), undisturbed(epochs));
}

#[test]
fn a_run_trains_to_its_end_and_nobody_is_left_behind() {
    let place = Place::new();
    let id = place.add(5, "");
    let row = place.until_word(id, "completed");
    assert_eq!((row.attempts, row.summary.step), (1, 50));
    assert!(row.started_ms.is_some() && row.ended_ms.is_some());
    assert_eq!(row.summary.certified_history.len(), 5, "the last figures are in the catalog when it is completed");
    place.until_idle();
    let said: Vec<String> = place.journal(id).into_iter().map(|event| event.text).collect();
    assert_eq!(said.first().map(String::as_str), Some("added to the queue"));
    assert_eq!(said.last().map(String::as_str), Some("trained to the end"));
}

#[test]
fn a_killed_worker_is_seen_and_its_run_goes_on_from_its_checkpoint() {
    let place = Place::new();
    let id = place.add(30, "step-ms=10");
    let (_, worker) = place.until_step(id, 25);
    kill(&worker, Signal::KILL);
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 2);
    let said: Vec<String> = place.journal(id).into_iter().map(|event| event.text).collect();
    assert!(said.iter().any(|text| text.contains("killed by SIGKILL") && text.contains("retry 1")), "{said:#?}");
    assert_whole(&place, id, 30);
}

#[test]
fn a_worker_outlives_its_dispatcher_and_the_next_one_finds_it() {
    for signal in [Signal::KILL, Signal::TERM] {
        let place = Place::new();
        let id = place.add(200, "step-ms=5");
        let (_, worker) = place.until_step(id, 5);
        let first = place.dispatcher();
        // A hang-up is not for the dispatcher: its terminal may go.
        kill(&first, Signal::HUP);
        kill(&first, signal);
        place.until_idle();
        place.good(&["dispatch", "--detach"]);
        let (row, found) = place.until_step(id, 60);
        assert_eq!(found, worker, "the same process trains it");
        assert_eq!(row.attempts, 1);
        assert_ne!(place.dispatcher(), first);
        place.good(&["cancel", &id.to_string()]);
    }
}

#[test]
fn dispatcher_and_worker_killed_together() {
    let place = Place::new();
    let id = place.add(30, "step-ms=10");
    let (_, worker) = place.until_step(id, 25);
    kill(&place.dispatcher(), Signal::KILL);
    kill(&worker, Signal::KILL);
    place.until_idle();
    assert_eq!(place.row(id).state.word(), "running", "nobody was there to see it");
    // Whoever waits makes sure that somebody works.
    place.good(&["wait", &id.to_string()]);
    let said: Vec<String> = place.journal(id).into_iter().map(|event| event.text).collect();
    assert!(said.iter().any(|text| text.contains("vanished while nobody watched")), "{said:#?}");
    assert_whole(&place, id, 30);
}

#[test]
fn a_run_that_ended_while_no_dispatcher_lived_is_found_completed() {
    let place = Place::new();
    let id = place.add(20, "step-ms=5");
    place.until_step(id, 5);
    kill(&place.dispatcher(), Signal::KILL);
    let log = place.run_dir(id).join("train.log");
    crate::support::eventually("the worker ends", || {
        std::fs::read_to_string(&log).unwrap().contains("leaves: Completed").then_some(())
    });
    place.good(&["wait", &id.to_string()]);
    let row = place.row(id);
    assert_eq!((row.state, row.attempts, row.summary.step), (RunState::Completed, 1, 200));
}

#[test]
fn a_worker_that_always_dies_is_given_up_after_its_retries() {
    let place = Place::new();
    let id = place.add_with(5, "exit-at=7", &["--set", "resources.retries=1"]);
    let row = place.until_word(id, "lost");
    assert_eq!(row.state, RunState::Lost { reason: LostReason::Exit { code: 7 } });
    assert_eq!(row.attempts, 2);
    place.until_idle();
    assert_eq!(place.linf(&["wait", &id.to_string()]).status().unwrap().code(), Some(1));
}

#[test]
fn checkpoints_in_between_keep_a_run_alive_however_often_it_is_killed() {
    let place = Place::new();
    let id = place.add_with(40, "step-ms=10 checkpoint-every=5", &["--set", "resources.retries=1"]);
    for step in [20, 60, 100] {
        let (_, worker) = place.until_step(id, step);
        kill(&worker, Signal::KILL);
        place.until(id, "a new worker", |row| row.state.identity().is_some_and(|now| *now != worker));
    }
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 4);
    assert_whole(&place, id, 40);
}

#[test]
fn a_polite_end_uses_no_retry() {
    let place = Place::new();
    let id = place.add_with(30, "step-ms=10", &["--set", "resources.retries=0"]);
    let (_, worker) = place.until_step(id, 25);
    kill(&worker, Signal::TERM);
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 2);
    let said: Vec<String> = place.journal(id).into_iter().map(|event| event.text).collect();
    assert!(
        said.iter().any(|text| text.starts_with("worker left in good order at the checkpoint of step")),
        "{said:#?}"
    );
    assert_whole(&place, id, 30);
}

#[test]
fn a_failed_run_says_why_and_can_be_retried() {
    let place = Place::new();
    let id = place.add(5, "fail-once-at=30");
    let row = place.until_word(id, "failed");
    assert_eq!(row.attempts, 1, "an error of its own is not retried by itself");
    assert!(place.good(&["show", &id.to_string()]).contains("failed: the script says so"));
    place.good(&["retry", &id.to_string()]);
    place.until_word(id, "completed");
    assert_whole(&place, id, 5);
}

#[test]
fn without_a_trainer_the_run_says_what_to_do() {
    let place = Place::new();
    let config = place.config("config.toml", 5, "");
    let mut add = place.linf(&["add", config.to_str().unwrap(), "--quiet"]);
    assert!(add.env("LINF_TRAIN", "/no/such/trainer").status().unwrap().success());
    let row = place.until_word(RunId(1), "lost");
    let RunState::Lost { reason: LostReason::Spawn { message } } = row.state else { panic!("{row:?}") };
    assert!(message.contains("LINF_TRAIN names /no/such/trainer"), "{message}");
}

#[test]
fn a_worker_that_the_machine_cannot_start_now_is_started_later() {
    let place = Place::new();
    let config = place.config("config.toml", 5, "");
    // No program yet: it is being copied.
    let trainer = place.dir().join("trainer");
    std::fs::write(&trainer, "").unwrap();
    let mut add = place.linf(&["add", config.to_str().unwrap(), "--quiet"]);
    assert!(add.env("LINF_TRAIN", &trainer).status().unwrap().success());
    place.until(RunId(1), "waits to be tried again", |row| {
        matches!(&row.state, RunState::Queued { reason: WaitReason::Retry { lost: LostReason::Spawn { .. }, .. } })
    });
    let there = place.dir().join("there");
    std::os::unix::fs::symlink(place.trainer(), &there).unwrap();
    std::fs::rename(&there, &trainer).unwrap();
    place.until_word(RunId(1), "completed");
    let told = place.good(&["show", "1", "--events"]);
    assert!(told.contains("cannot start") && !told.contains("worker vanished"), "{told}");
}

#[test]
fn a_process_that_got_the_workers_number_is_left_alone() {
    // A worker was recorded, then the machine lost it and gave its process id to somebody else.
    let place = Place::new();
    let id = place.add_with(5, "", &["--hold"]);
    let mut innocent = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let pid = innocent.id() as i32;
    let now = linf::dispatch::identity::of(pid, "stale").unwrap().unwrap();
    let stale = WorkerIdentity { start_ticks: now.start_ticks - 1, ..now };
    place.with_store(async |store| {
        let held = RunState::Paused { checkpoint: None };
        let progress = Progress { step: 3, epoch: 0.3, p: PNorm::INFINITY };
        let running = RunState::Running { identity: stale, progress, retry: 0 };
        assert!(store.catalog().transition(id, &held, &running, "as if").await.unwrap());
        store.catalog().set_desired(id, Desired::CancelNow).await.unwrap();
    });
    place.good(&["dispatch", "--detach"]);
    let row = place.until_word(id, "cancelled");
    assert_eq!(row.attempts, 0);
    let alive = innocent.try_wait().unwrap().is_none();
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    assert!(alive, "somebody else's process was killed");
}

#[test]
fn a_restart_of_the_machine_is_no_fault_of_the_run() {
    let place = Place::new();
    let id = place.add_with(5, "", &["--hold", "--set", "resources.retries=0"]);
    place.with_store(async |store| {
        let held = RunState::Paused { checkpoint: None };
        let identity = WorkerIdentity { pid: 1, start_ticks: 1, boot_id: "the boot before".into(), nonce: "n".into() };
        let progress = Progress { step: 3, epoch: 0.3, p: PNorm::INFINITY };
        let running = RunState::Running { identity, progress, retry: 0 };
        assert!(store.catalog().transition(id, &held, &running, "as if").await.unwrap());
        store.catalog().set_desired(id, Desired::Run).await.unwrap();
    });
    place.good(&["wait", &id.to_string()]);
    let said: Vec<String> = place.journal(id).into_iter().map(|event| event.text).collect();
    assert!(said.iter().any(|text| text.contains("the machine was restarted")), "{said:#?}");
}

#[test]
fn a_spawn_that_nobody_wrote_down_is_found_again() {
    // The dispatcher was killed between starting a worker and recording its process.
    let place = Place::new();
    let id = place.add_with(5, "", &["--hold"]);
    place.with_store(async |store| {
        let held = RunState::Paused { checkpoint: None };
        let starting = RunState::Starting { identity: None, since_ms: linf::store::now_ms() - 60_000, retry: 0 };
        assert!(store.catalog().transition(id, &held, &starting, "as if").await.unwrap());
        store.catalog().set_desired(id, Desired::Run).await.unwrap();
    });
    place.good(&["wait", &id.to_string()]);
    let row = place.row(id);
    assert_eq!((row.state.word(), row.attempts), ("completed", 2));
}

#[test]
fn a_worker_killed_while_it_creates_its_run_file_stops_nothing() {
    let place = Place::new();
    let id = place.add_with(5, "", &["--hold"]);
    place.leave_half_written(id);
    let shown = place.good(&["show", &id.to_string()]);
    assert!(!shown.contains("run.db"), "{shown}");
    place.leave_half_written(id);
    place.with_store(async |store| {
        let held = RunState::Paused { checkpoint: None };
        let identity = WorkerIdentity { pid: 1, start_ticks: 1, boot_id: "the boot before".into(), nonce: "n".into() };
        let progress = Progress { step: 0, epoch: 0.0, p: PNorm::INFINITY };
        let running = RunState::Running { identity, progress, retry: 0 };
        assert!(store.catalog().transition(id, &held, &running, "as if").await.unwrap());
        store.catalog().set_desired(id, Desired::Run).await.unwrap();
    });
    place.good(&["wait", &id.to_string()]);
    assert_whole(&place, id, 5);
    let log = std::fs::read_to_string(place.root().join("dispatcher.log")).unwrap();
    assert!(!log.contains("run.db"), "nothing was wrong with it: {log}");
}

#[test]
fn queued_runs_say_whom_they_wait_for() {
    let place = Place::new();
    let first = place.add(200, "step-ms=10");
    place.until_step(first, 1);
    let second = place.add(5, "");
    let waiting = RunState::Queued { reason: WaitReason::Slot { held_by: vec![first] } };
    place.until(second, "waits for the first", |row| row.state == waiting);
    let shown = place.good(&["show", &second.to_string()]);
    assert!(shown.contains(&format!("waits for a slot ({}", place.row(first).name)), "{shown}");
    place.good(&["cancel", "--now", &first.to_string()]);
    place.until_word(second, "completed");
}
