//! Whose turn comes when: priorities, places, dependencies, groups, times; and how long a run may train.

use linf::{
    experiment::{FailReason, RunId, RunState, WaitReason},
    store::RunRow,
};

use crate::support::Place;

/// The order in which runs got their first worker.
fn started(rows: &[RunRow]) -> Vec<i64> {
    let mut order: Vec<(i64, i64)> = rows.iter().map(|row| (row.started_ms.unwrap(), row.id.0)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}

fn waits(row: &RunRow, expected: &WaitReason) -> bool {
    matches!(&row.state, RunState::Queued { reason } if reason == expected)
}

#[test]
fn runs_start_by_priority_and_as_they_were_moved() {
    let place = Place::new();
    let first = place.add(400, "step-ms=10");
    place.until_step(first, 1);
    for _ in 2..=5 {
        place.add(1, "");
    }
    place.good(&["priority", "5", "4"]);
    place.good(&["move", "5", "--before", "2"]);
    assert!(place.good(&["move", "3", "--behind", "5"]).contains("now number 3 of 4"));
    let queue = place.good(&["queue"]);
    let order: Vec<&str> = queue.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(order, ["#", "1", "4", "5", "3", "2"], "{queue}");
    place.good(&["pause", "2"]);
    let name = place.row(RunId(2)).name;
    assert!(place.good(&["queue"]).ends_with(&format!("\non hold or paused: {name}\n")));
    place.good(&["resume", "2"]);
    place.good(&["cancel", "--now", "1"]);
    let rows: Vec<RunRow> = (2..=5).map(|id| place.until_word(RunId(id), "completed")).collect();
    assert_eq!(started(&rows), [4, 5, 3, 2]);
    let said: Vec<String> = place.journal(RunId(4)).into_iter().map(|event| event.text).collect();
    assert!(said.contains(&"priority is 5".to_owned()), "{said:?}");
}

#[test]
fn a_run_waits_for_another_one_to_complete() {
    let place = Place::new().with_slots(4);
    let first = place.add(400, "step-ms=10");
    place.until_step(first, 1);
    let config = place.config("second.toml", 1, "");
    let add = |after: &str| {
        let said = place.good(&["add", config.to_str().unwrap(), "--quiet", "--after", after]);
        said.trim().parse::<RunId>().unwrap()
    };
    let (ok, any) = (add("1"), add("1:any"));
    let waiting = WaitReason::After { runs: vec![first], in_vain: false };
    for id in [ok, any] {
        place.until(id, "waits for the first", |row| waits(row, &waiting));
    }
    place.good(&["cancel", "--now", "1"]);
    place.until_word(any, "completed");
    let in_vain = WaitReason::After { runs: vec![first], in_vain: true };
    place.until(ok, "waits in vain", |row| waits(row, &in_vain));
    let shown = place.good(&["show", &ok.to_string()]);
    assert!(shown.contains("waits in vain"), "{shown}");
    place.good(&["when", &ok.to_string(), "--now"]);
    place.until_word(ok, "completed");
    assert!(place.bad(1, &["when", "2", "--after", "2"]).contains("cannot wait for itself"));
    // Nor through others.
    let held = |after: &[&str]| place.add_with(1, "", &[&["--hold"], after].concat()).to_string();
    let last = held(&[]);
    let between = held(&["--after", &last]);
    let first = held(&["--after", &between]);
    let said = place.bad(1, &["when", &last, "--after", &first]);
    assert!(said.contains("cannot wait for itself: ") && said.contains("waits for it"), "{said}");
    place.good(&["when", &between, "--now"]);
    place.good(&["when", &last, "--after", &first]);
}

#[test]
fn a_group_trains_no_more_at_once_than_it_may() {
    let place = Place::new().with_slots(3);
    // Long enough for any machine: they are cancelled.
    let config = place.config("config.toml", 4000, "step-ms=10");
    let add = |group: &[&str]| {
        let mut args = vec!["add", config.to_str().unwrap(), "--hold"];
        args.extend(group);
        place.good(&args);
    };
    add(&["--group", "g"]);
    add(&["--group", "g"]);
    add(&[]);
    place.good(&["group", "g", "--slots", "1"]);
    place.good(&["release", "1", "2", "3"]);
    place.until_word(RunId(1), "running");
    place.until_word(RunId(3), "running");
    let waiting = WaitReason::Group { name: "g".into(), slots: 1, held_by: vec![RunId(1)] };
    place.until(RunId(2), "waits for its group", |row| waits(row, &waiting));
    place.good(&["group", "g", "--no-limit"]);
    place.until_word(RunId(2), "running");
    place.good(&["cancel", "--now", "g", "3"]);
    for id in 1..=3 {
        place.until_word(RunId(id), "cancelled");
    }
}

#[test]
fn a_run_that_starts_later_waits_and_is_let_go() {
    let place = Place::new();
    let id = place.add_with(1, "", &["--start-at", "+1h"]);
    place.until(id, "waits for its time", |row| {
        matches!(row.state, RunState::Queued { reason: WaitReason::StartAt { .. } })
    });
    let other = place.add(1, "");
    place.until_word(other, "completed");
    assert!(place.good(&["show", &id.to_string()]).contains("starts at"));
    place.good(&["when", &id.to_string(), "--start-at", "2020-01-01T00:00:00Z"]);
    place.until_word(id, "completed");
}

#[test]
fn a_held_run_waits_until_it_is_released() {
    let place = Place::new();
    let first = place.add(400, "step-ms=10");
    place.until_step(first, 1);
    let second = place.add(1, "");
    place.good(&["hold", &second.to_string()]);
    assert_eq!(place.row(second).state, RunState::Paused { checkpoint: None });
    assert!(place.bad(1, &["hold", &first.to_string()]).contains("only a queued run can be held"));
    place.good(&["release", &second.to_string()]);
    place.good(&["cancel", "--now", &first.to_string()]);
    place.until_word(second, "completed");
}

#[test]
fn a_run_that_trains_for_too_long_stands_at_a_checkpoint_and_can_be_given_more_time() {
    let place = Place::new();
    let id = place.add_with(25, "step-ms=10", &["--time-limit", "1s"]);
    let row = place.until_word(id, "failed");
    let RunState::Failed { reason: FailReason::TimeLimit { seconds: 1, checkpoint: Some(step) } } = row.state else {
        panic!("{row:?}")
    };
    assert_eq!(place.checkpoints(id).last().unwrap().step, step);
    let mut attempts = 1;
    while place.row(id).state.word() == "failed" {
        place.good(&["retry", &id.to_string()]);
        attempts += 1;
        place.until(id, "another attempt ends", |row| row.state.is_over());
    }
    let row = place.row(id);
    assert_eq!((row.state.word(), row.attempts), ("completed", attempts));
    let whole = Place::new();
    let undisturbed = whole.add(25, "");
    whole.until_word(undisturbed, "completed");
    assert_eq!(place.result(id), whole.result(undisturbed));
}
