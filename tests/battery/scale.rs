//! Thousands of runs, a million points, a gigabyte of log: everything opens, lists and adds as with one.

use std::{
    io::{Seek, SeekFrom, Write},
    time::Instant,
};

use linf::{
    dispatch::identity,
    experiment::{PNorm, RunId, RunState, WaitReason, parse},
    store::{Attempt, NewRun, RunReader, RunWriter, StepPoint},
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

#[test]
fn a_run_with_a_million_points_and_a_log_of_a_gigabyte_is_looked_at_like_a_small_one() {
    let (steps, log_bytes) = if full() { (1_000_000 / 7 + 1, 1 << 30) } else { (10_000, 64 << 20) };
    let place = Place::new();
    let id = place.add_with(u32::try_from(steps / 10).unwrap() + 1, "", &["--hold"]);
    let config = place.row(id).config;
    let identity = identity::own("scale").unwrap();
    let attempt = Attempt {
        nonce: "scale".into(),
        identity,
        device: "none".into(),
        threads: 1,
        program: "the battery".into(),
        steps_per_epoch: 10,
    };
    let writer = RunWriter::open(&place.run_dir(id), &config, attempt).unwrap();
    let loss = |step: u64| if step == steps / 2 { 99.0 } else { 1.0 / step as f64 };
    for step in 1..=steps {
        writer.steps(StepPoint {
            step,
            epoch: step as f64 / 10.0,
            p: PNorm::INFINITY,
            lr: 0.02,
            lambda: 0.1,
            loss: loss(step),
            accuracy: 0.5,
            seconds: 0.01,
        });
    }
    writer.flush().unwrap();
    assert_eq!(writer.status().ignored_steps, 0);
    drop(writer);
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bins = runtime.block_on(async {
        let reader = RunReader::open(&place.run_dir(id)).await.unwrap().unwrap();
        reader.series("loss", 0, u64::MAX, 1000).await.unwrap()
    });
    println!("scale: a chart of {} points: {:.0} ms", 7 * steps, started.elapsed().as_secs_f64() * 1e3);
    assert!(bins.len() <= 1000 && bins.iter().any(|bin| bin.max == 99.0), "one step in all is not lost in its bin");
    place.good(&["show", &id.to_string()]);

    let mut log = std::fs::File::create(place.run_dir(id).join("train.log")).unwrap();
    log.set_len(log_bytes).unwrap();
    log.seek(SeekFrom::End(0)).unwrap();
    log.write_all(b"\nthe last line but one\nthe last line\n").unwrap();
    assert_eq!(place.good(&["logs", &id.to_string(), "-n", "2"]), "the last line but one\nthe last line\n");
}
