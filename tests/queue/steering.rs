//! Runs that are changed while they train are as reproducible as those that are not; and a fork goes on from another run.

use linf::experiment::RunId;
use rustix::process::Signal;

use crate::support::{Place, kill};

/// What took force, as `steer --json` tells it.
fn steered(place: &Place, id: RunId) -> Vec<(u64, String)> {
    let said: serde_json::Value = serde_json::from_str(&place.good(&["steer", &id.to_string(), "--json"])).unwrap();
    let orders = said.as_array().unwrap().iter();
    orders.map(|order| (order["step"].as_u64().unwrap(), order["what"].to_string())).collect()
}

#[test]
fn a_steered_run_that_is_killed_ends_with_the_bits_of_the_same_steering_undisturbed() {
    let place = Place::new();
    let id = place.add_with(40, "step-ms=10 checkpoint-every=20", &["--set", "resources.retries=9"]);
    let word = id.to_string();
    place.until_step(id, 30);
    place.good(&["steer", &word, "lr-factor=0.5", "lambda=0.01"]);
    let (_, worker) = place.until_step(id, 50);
    place.good(&["steer", &word, "lr-factor=2", "--at-step", "150"]);
    // Killed before the next checkpoint: what took force since the last one must do so again.
    kill(&worker, Signal::KILL);
    place.until(id, "a new worker", |row| row.state.identity().is_some_and(|now| *now != worker));
    place.until_step(id, 160);
    place.good(&["pause", &word]);
    place.good(&["steer", &word, "p=hold"]);
    place.good(&["resume", &word]);
    place.until_word(id, "completed");
    let orders = steered(&place, id);
    assert_eq!(orders.len(), 4, "{orders:?}");
    assert_eq!(orders[2].0, 150);

    let again = Place::new();
    let copy = again.add_with(40, "", &["--hold"]);
    for (step, order) in
        [(orders[0].0, "lr-factor=0.5"), (orders[1].0, "lambda=0.01"), (150, "lr-factor=2"), (orders[3].0, "p=hold")]
    {
        again.good(&["steer", &copy.to_string(), order, "--at-step", &step.to_string()]);
    }
    again.good(&["release", &copy.to_string()]);
    again.until_word(copy, "completed");
    assert_eq!(steered(&again, copy), orders);
    assert_eq!(again.result(copy), place.result(id));

    let plain = Place::new();
    let unsteered = plain.add(40, "");
    plain.until_word(unsteered, "completed");
    assert_ne!(plain.result(unsteered), place.result(id), "the orders did change the run");
    let said: Vec<String> = place.journal(id).into_iter().map(|event| event.text).collect();
    assert!(said.contains(&"asked for lr-factor=2 from step 150 on".to_owned()), "{said:?}");
}

#[test]
fn nonsense_is_refused_and_what_has_ended_cannot_be_steered() {
    let place = Place::new();
    let id = place.add(1, "");
    place.until_word(id, "completed");
    assert!(place.good(&["steer", "1"]).contains("nothing was changed"));
    let refused = place.bad(2, &["steer", "1", "lr-factor=-3"]);
    assert!(refused.contains("allowed is a number above 0"), "{refused}");
    assert!(place.bad(1, &["steer", "1", "lr-factor=3"]).contains("resume it first, or fork it"));
}

#[test]
fn a_fork_with_nothing_changed_ends_with_the_same_bits_and_one_with_changes_does_not() {
    let place = Place::new();
    let parent = place.add(10, "checkpoint-every=30");
    place.until_word(parent, "completed");
    let said: serde_json::Value =
        serde_json::from_str(&place.good(&["fork", "1", "--step", "90", "--name", "child", "--json"])).unwrap();
    assert_eq!((said["name"].as_str(), said["parent"]["step"].as_u64()), (Some("child"), Some(90)));
    place.good(&["fork", "1", "--step", "90", "--set", "train.lr=0.03"]);
    for id in [2, 3] {
        place.until_word(RunId(id), "completed");
        let logged: Vec<u32> = place.epochs(RunId(id)).iter().map(|row| row.epoch).collect();
        assert_eq!(logged, (0..10).collect::<Vec<_>>(), "the curves of its parent come before its own");
    }
    assert_eq!(place.result(RunId(2)), place.result(parent));
    assert_ne!(place.result(RunId(3)), place.result(parent));
    let row = place.row(RunId(3));
    assert_eq!((row.attempts, row.variant.as_str()), (1, "train.lr=0.03"));
    let shown = place.good(&["show", "3"]);
    assert!(shown.contains("forked from") || shown.contains("parent"), "{shown}");
    // One that waits stands where it will begin.
    place.good(&["fork", "1", "--step", "90", "--hold"]);
    let summary = place.row(RunId(4)).summary;
    let parent_summary = place.row(parent).summary;
    assert_eq!((summary.step, summary.steps), (90, parent_summary.steps), "{summary:?}");
    assert!((summary.epoch / 10.0 - 90.0 / parent_summary.steps as f64).abs() < 1e-9, "{summary:?}");
    assert!(summary.certified.is_some(), "{summary:?}");
    // What its parent has at another ε is none of its figures.
    place.good(&["fork", "1", "--step", "90", "--hold", "--set", "eval.eps=0.25"]);
    let summary = place.row(RunId(5)).summary;
    assert_eq!((summary.step, summary.certified, summary.best_certified), (90, None, None), "{summary:?}");
    assert!(place.good(&["metrics", "5"]).lines().skip(1).all(|line| line.ends_with(",,,,")), "an evaluation is left");
    // Its parent may go.
    place.good(&["rm", "--yes", "1"]);
    assert!(!place.checkpoints(RunId(2)).is_empty());
}

#[test]
fn a_fork_that_cannot_be_is_refused_and_leaves_nothing_behind() {
    let place = Place::new();
    let id = place.add(5, "");
    place.until_word(id, "completed");
    assert!(place.bad(1, &["fork", "1", "--step", "7"]).contains("no checkpoint of that step; there are"));
    for (set, key) in
        [("model.width=8", "model"), ("data.validation=10", "data.validation"), ("data.crop=20", "data.crop")]
    {
        assert!(place.bad(1, &["fork", "1", "--set", set]).contains(&format!("cannot change {key}:")));
    }
    let file = place.run_dir(id).join("checkpoints").join(&place.checkpoints(id).last().unwrap().file);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&file, bytes).unwrap();
    assert!(place.bad(1, &["fork", "1"]).contains("damaged"));
    let left: Vec<_> = std::fs::read_dir(place.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with(".fork")), "{left:?}");
    assert_eq!(place.with_store(async |store| store.catalog().runs().await.unwrap()).len(), 1);
}
