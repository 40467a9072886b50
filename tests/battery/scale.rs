//! Thousands of runs: the queue works as with one, and opens, lists and adds.

use std::time::Instant;

use linf::{
    experiment::{RunId, RunState, WaitReason, parse},
    store::NewRun,
};

use crate::{full, support::Place};

#[test]
fn a_large_queue_is_worked_on_like_a_small_one() {
    let each = if full() { 10_000 } else { 500 };
    let place = Place::new();
    let text = std::fs::read_to_string(place.config("config.toml", 1, "")).unwrap();
    let many = |held| {
        let config = parse(&text).unwrap();
        (0..each).map(|_| NewRun { held, ..NewRun::new(config.clone(), text.clone()) }).collect::<Vec<_>>()
    };
    place.with_store(async |store| {
        let catalog = store.catalog();
        let over = catalog.add_many(many(true)).await.unwrap();
        for id in over {
            let paused = RunState::Paused { checkpoint: None };
            let ended = RunState::Cancelled { checkpoint: None };
            assert!(catalog.transition(id, &paused, &ended, "as if").await.unwrap());
        }
        catalog.add_many(many(false)).await.unwrap();
    });
    let timed = |what: &str, args: &[&str]| {
        let started = Instant::now();
        let said = place.good(args);
        println!("scale: {what} with {} runs: {:.0} ms", 2 * each, started.elapsed().as_secs_f64() * 1e3);
        said
    };
    let listed = timed("ls", &["ls", "state:queued"]);
    assert_eq!(listed.lines().filter(|line| line.contains("waits for its turn")).count(), each as usize);
    // A run that is added last and moved to the front is the first to train.
    let id = place.add_with(3, "", &["--priority", "9"]);
    assert_eq!(id, RunId(2 * each + 1));
    timed("add", &["add", "config.toml", "--hold"]);
    place.until_word(id, "completed");
    let first = place.until(RunId(each + 1), "the first of the others begins", |row| row.attempts > 0);
    assert!(first.started_ms >= place.row(id).started_ms);
    place.until(
        RunId(2 * each),
        "the last one is told whom it waits for",
        |row| matches!(&row.state, RunState::Queued { reason: WaitReason::Slot { held_by } } if !held_by.is_empty()),
    );
}
