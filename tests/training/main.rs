//! The real trainer, started by the real queue, on a net so small that it trains in seconds.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/terminal.rs"]
mod terminal;

mod certificate;
mod devices;
mod limits;
mod outcome;
mod resume;
mod screens;
mod small_disk;
mod steering;

use std::fs;
use std::process::Command;

use linf::experiment::RunId;
use support::Place;

fn place() -> Place {
    Place::trained_by(env!("CARGO_BIN_EXE_linf-train"))
}

/// Enough steps for a run to be caught under way on any machine: what it has done is seen half a second later.
const LONG: [&str; 2] = ["train.epochs=120", "schedule.ramp_end=96"];

/// With what else a test wants.
fn long<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LONG.iter().chain(more).copied().collect()
}

/// A net that reaches p = ∞, with checkpoints every second and whatever the test wants otherwise.
fn add(place: &Place, overrides: &[&str]) -> RunId {
    add_by(place, overrides, |args| place.linf(args))
}

/// The long run, with more overrides, paused in the middle, and nobody is at work on it.
fn paused_midway(place: &Place, more: &[&str]) -> RunId {
    let id = add(place, &long(more));
    place.until_step(id, 300);
    place.good(&["pause", &id.to_string()]);
    place.until_word(id, "paused");
    place.until_idle();
    id
}

/// The same, by a command of the test's own making.
fn add_by(place: &Place, overrides: &[&str], command: impl FnOnce(&[&str]) -> Command) -> RunId {
    let config = place.dir().join("config.toml");
    let text = r#"
        data = { dataset = "synthetic", augment = { pad = 1 }, train_limit = 2000, test_limit = 200 }
        model = { depth = 3, width = 128 }
        train = { epochs = 48, batch_size = 100, lr = 0.03 }
        schedule = { ramp_start = 12, ramp_end = 40 }
        loss = { lambda = 0.2, lambda_end = 0.002, eps_train = 0.15 }
        eval = { eps = 0.1, every = 8, mean_samples = 500 }
        resources = { device = "cpu", threads = 1, checkpoint_seconds = 1 }
    "#;
    fs::write(&config, text).unwrap();
    let mut args = vec!["add", config.to_str().unwrap(), "--quiet"];
    args.extend(overrides.iter().flat_map(|text| ["--set", text]));
    let output = command(&args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
