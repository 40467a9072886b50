//! A clock that jumps: to tomorrow, back to yesterday, by an hour as where summer time ends, to the beginning of time.

use linf::experiment::RunState;
use rustix::process::Signal;

use crate::{
    dice::Dice,
    full,
    support::{Place, kill},
};

const HOUR: i64 = 3_600_000;

/// To the year 1970, or before.
const LONG_AGO: i64 = -60 * 365 * 24 * HOUR;

#[test]
fn a_clock_that_jumps_delays_nobody_and_loses_nothing() {
    // So long that it is still under way at the last jump, on a quick machine too.
    let (jumps_made, epochs) = if full() { (30, 300) } else { (8, 60) };
    let whole = Place::new();
    let undisturbed = whole.add(epochs, "");
    whole.until_word(undisturbed, "completed");

    let place = Place::new();
    let mut dice = Dice::new("clock");
    let id = place.add_with(epochs, "step-ms=5 checkpoint-every=7", &["--set", "resources.retries=2"]);
    let jumps = [24 * HOUR, -24 * HOUR, HOUR, -HOUR, LONG_AGO, 0];
    for index in 0..jumps_made {
        let (_, worker) = place.until_step(id, 10 * index + 5);
        place.set_clock(*dice.pick(&jumps).unwrap());
        match dice.below(3) {
            0 => {
                kill(&worker, Signal::KILL);
                place.until(id, "the next attempt", |row| row.state.identity().is_some_and(|now| *now != worker));
            }
            1 => {
                place.good(&["pause", &id.to_string()]);
                place.good(&["resume", &id.to_string()]);
            }
            _ => {
                kill(&place.dispatcher(), Signal::KILL);
                place.until_idle();
                place.good(&["dispatch", "--detach"]);
            }
        }
    }
    place.until_word(id, "completed");
    let logged: Vec<u32> = place.epochs(id).iter().map(|row| row.epoch).collect();
    assert_eq!(logged, (0..epochs).collect::<Vec<_>>());
    assert_eq!(place.result(id), whole.result(undisturbed));
}

#[test]
fn a_checkpoint_from_a_clock_that_was_wrong_hides_no_crash_loop() {
    let place = Place::new();
    place.set_clock(24 * HOUR);
    let script = "step-ms=10 checkpoint-every=1000 exit-at=250";
    let id = place.add_with(30, script, &["--set", "resources.retries=1"]);
    place.until_step(id, 5);
    place.good(&["pause", &id.to_string()]);
    assert!(matches!(place.row(id).state, RunState::Paused { checkpoint: Some(_) }));
    place.until_idle();
    place.set_clock(0);
    place.good(&["resume", &id.to_string()]);
    let row = place.until_word(id, "lost");
    assert_eq!(row.attempts, 3, "one, and two that got nowhere");
}
