//! The real trainer, changed on the way: what it comes to depends on the orders alone, and not on who was killed when.

use linf::experiment::{RunId, Schedules};
use rustix::process::Signal;

use crate::{
    add, place,
    resume::result,
    support::{Place, eventually, kill},
};

/// After how many steps each order took force.
fn taken(place: &Place, id: RunId) -> Vec<u64> {
    let said: serde_json::Value = serde_json::from_str(&place.good(&["steer", &id.to_string(), "--json"])).unwrap();
    said.as_array().unwrap().iter().filter_map(|order| order["step"].as_u64()).collect()
}

#[test]
fn a_steered_run_that_was_killed_ends_with_the_bits_of_the_same_steering_undisturbed() {
    let place = place();
    let id = add(&place, &[]);
    let word = id.to_string();
    let orders = ["eps-end=0.2", "p=hold", "lr-factor=0.6", "p=go"];
    for (index, order) in orders.iter().enumerate() {
        place.until_step(id, 100 + 100 * index as u64);
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
    let steps = taken(&place, id);
    assert_eq!(steps.len(), orders.len());
    let (epochs, plain) = (place.epochs(id), Schedules::new(&place.row(id).config));
    assert!(epochs.iter().any(|row| row.lr < plain.at(f64::from(row.epoch) + 1.0).lr), "the orders did change the run");

    let again = crate::place();
    let copy = add(&again, &[]);
    for (step, order) in steps.iter().zip(orders) {
        again.good(&["steer", &copy.to_string(), order, "--at-step", &step.to_string()]);
    }
    again.until_word(copy, "completed");
    assert_eq!(taken(&again, copy), steps);
    assert_eq!(result(&again, copy), result(&place, id));
}
