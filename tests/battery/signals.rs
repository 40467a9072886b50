//! Signals that do not kill: they come in storms, and stop nothing for good.

use std::{thread::sleep, time::Duration};

use linf::dispatch::identity;
use rustix::process::Signal;

use crate::{
    dice::Dice,
    full,
    support::{Place, kill},
};

#[test]
fn storms_of_harmless_signals_disturb_nobody() {
    let place = Place::new();
    let mut dice = Dice::new("signals");
    let id = place.add(if full() { 300 } else { 60 }, "step-ms=5 checkpoint-every=20");
    let (_, worker) = place.until_step(id, 5);
    let dispatcher = place.dispatcher();
    let harmless = [Signal::WINCH, Signal::CONT, Signal::STOP, Signal::CONT, Signal::URG];
    for _ in 0..if full() { 2000 } else { 200 } {
        let signal = *dice.pick(&harmless).unwrap();
        let whom = if dice.below(2) == 0 { &worker } else { &dispatcher };
        identity::signal(whom, signal).unwrap();
        // A terminal that goes is nothing to a dispatcher.
        identity::signal(&dispatcher, Signal::HUP).unwrap();
    }
    for whom in [&worker, &dispatcher] {
        identity::signal(whom, Signal::CONT).unwrap();
    }
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 1, "the same worker trained it to its end");
}

#[test]
fn a_stopped_worker_is_slow_not_dead() {
    let place = Place::new();
    let id = place.add(20, "step-ms=5");
    let (_, worker) = place.until_step(id, 5);
    kill(&worker, Signal::STOP);
    // Long enough for the dispatcher to look several times.
    sleep(Duration::from_millis(1500));
    let row = place.row(id);
    assert_eq!((row.state.word(), row.state.identity()), ("running", Some(&worker)));
    assert_eq!(row.attempts, 1);
    kill(&worker, Signal::CONT);
    assert_eq!(place.until_word(id, "completed").attempts, 1);
}
