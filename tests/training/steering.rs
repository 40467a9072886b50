//! The real trainer, changed on the way: what it comes to depends on the orders alone, and not on who was killed when.

use linf::experiment::{RunId, Schedules, Steered, Steering};
use rustix::process::Signal;

use crate::{
    LONG, add, place,
    resume::result,
    support::{Place, eventually, kill},
};

/// What took force, in that order, and after how many steps.
fn taken(place: &Place, id: RunId) -> Vec<(u64, Steering)> {
    let said: Vec<Steered> = serde_json::from_str(&place.good(&["steer", &id.to_string(), "--json"])).unwrap();
    said.into_iter().map(|order| (order.step, order.what)).collect()
}

#[test]
fn a_steered_run_that_was_killed_ends_with_the_bits_of_the_same_steering_undisturbed() {
    let place = place();
    let id = add(&place, &LONG);
    let word = id.to_string();
    let orders = ["eps-end=0.2", "p=hold", "lr-factor=0.6", "p=go"];
    for (index, order) in orders.iter().enumerate() {
        // The third comes as soon as the run goes on after a kill: most likely at an earlier step than the second.
        if index != 2 {
            place.until_step(id, 100 + 100 * index as u64);
        }
        place.good(&["steer", &word, order]);
        eventually("the order takes force", || (taken(&place, id).len() > index).then_some(()));
        // Before the next checkpoint, most likely: then the order must take force again, after the same step.
        if index % 2 == 1 {
            let (_, worker) = place.until_step(id, 100);
            kill(&worker, Signal::KILL);
            place.until(id, "the next attempt", |row| row.state.identity().is_some_and(|now| *now != worker));
        }
    }
    place.until_word(id, "completed");
    let all = taken(&place, id);
    assert_eq!(all.len(), orders.len());
    let (epochs, plain) = (place.epochs(id), Schedules::new(&place.row(id).config));
    assert!(epochs.iter().any(|row| row.lr < plain.at(f64::from(row.epoch) + 1.0).lr), "the orders did change the run");

    let again = crate::place();
    let copy = add(&again, &LONG);
    for (step, order) in &all {
        again.good(&["steer", &copy.to_string(), &order.to_string(), "--at-step", &step.to_string()]);
    }
    again.until_word(copy, "completed");
    assert_eq!(taken(&again, copy), all);
    assert_eq!(result(&again, copy), result(&place, id));
}
