//! Pause, resume, cancel.

use linf::experiment::{Desired, RunState};
use rustix::process::Signal;

use crate::support::{Place, kill};

#[test]
fn a_paused_run_goes_on_exactly_where_it_stood() {
    let place = Place::new();
    let id = place.add(30, "step-ms=10");
    place.until_step(id, 5);
    let said = place.good(&["pause", &id.to_string()]);
    let RunState::Paused { checkpoint: Some(step) } = place.row(id).state else { panic!("{said}") };
    assert!(said.contains(&format!("paused at step {step}")), "{said}");
    assert_eq!(place.checkpoints(id).last().unwrap().step, step);
    place.until_idle();

    place.good(&["resume", &id.to_string()]);
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 2);
    let whole = Place::new();
    let undisturbed = whole.add(30, "");
    whole.until_word(undisturbed, "completed");
    assert_eq!(place.result(id), whole.result(undisturbed));
}

#[test]
fn a_cancelled_run_keeps_a_checkpoint_and_can_be_resumed() {
    let place = Place::new();
    let id = place.add(30, "step-ms=10");
    place.until_step(id, 5);
    place.good(&["cancel", &id.to_string()]);
    assert!(matches!(place.row(id).state, RunState::Cancelled { checkpoint: Some(_) }));
    assert_eq!(place.say(&["wait", &id.to_string()]).status.code(), Some(3));
    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
}

#[test]
fn a_second_cancel_ends_a_worker_that_does_not_listen() {
    let place = Place::new();
    let id = place.add(200, "step-ms=10");
    let (_, worker) = place.until_step(id, 5);
    kill(&worker, Signal::STOP);
    place.good(&["cancel", "--no-wait", &id.to_string()]);
    let row = place.until_word(id, "cancelling");
    assert_eq!(row.desired, Desired::Cancel);
    place.good(&["cancel", &id.to_string()]);
    assert_eq!(place.row(id).state.word(), "cancelled");
    place.until_idle();
}

#[test]
fn a_run_that_has_no_worker_obeys_at_once_and_without_a_dispatcher() {
    let place = Place::new();
    let id = place.add_with(5, "", &["--hold"]);
    assert_eq!(place.row(id).state, RunState::Paused { checkpoint: None });
    assert!(place.good(&["cancel", &id.to_string()]).contains("cancelled before its first step"));
    assert!(!place.root().join("dispatcher.log").exists(), "nothing was there to dispatch");
    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
}

#[test]
fn a_queued_run_that_is_cancelled_never_starts() {
    let place = Place::new();
    let first = place.add(200, "step-ms=10");
    place.until_step(first, 1);
    let second = place.add(5, "");
    place.good(&["cancel", &second.to_string()]);
    let row = place.row(second);
    assert_eq!((row.state.word(), row.attempts), ("cancelled", 0));
    place.good(&["cancel", "--now", &first.to_string()]);
    place.until_idle();
    assert_eq!(place.row(second).attempts, 0);
}

#[test]
fn a_wish_written_down_by_a_client_that_was_killed_is_fulfilled() {
    let place = Place::new();
    let id = place.add_with(5, "", &["--hold"]);
    place.with_store(async |store| store.catalog().set_desired(id, Desired::Run).await.unwrap());
    assert_eq!(place.row(id).state.word(), "paused");
    place.good(&["dispatch"]);
    assert_eq!(place.row(id).state.word(), "completed");
}

#[test]
fn a_pause_that_is_taken_back_at_once_leaves_the_run_training() {
    let place = Place::new();
    let id = place.add(60, "step-ms=10");
    place.until_step(id, 5);
    place.good(&["pause", "--no-wait", &id.to_string()]);
    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let place = Place::new();
    let id = place.add(1, "");
    place.until_word(id, "completed");
    let name = place.row(id).name;
    let refused = place.bad(1, &["pause", &id.to_string()]);
    assert!(refused.contains(&format!("{name}: a run that is completed cannot be paused")), "{refused}");
    let refused = place.bad(1, &["retry", &id.to_string()]);
    assert!(refused.contains("only a run that failed or was lost can be retried"), "{refused}");
}
