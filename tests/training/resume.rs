//! A run that was killed, paused or given other threads ends with the bits of one that was not.

use linf::experiment::RunId;
use rustix::process::Signal;

use crate::support::{Place, kill};
use crate::{LONG, add, long, paused_midway, place};

/// What two equal runs must have in common: the final net with optimizer and position, and all curves.
pub fn result(place: &Place, id: RunId) -> (String, Vec<(u32, u64, u64, u64)>) {
    let epochs = place.epochs(id).into_iter();
    let curve = epochs.map(|row| (row.epoch, row.step, row.loss.to_bits(), row.surrogate.to_bits())).collect();
    (place.result(id), curve)
}

pub fn undisturbed(set: &[&str]) -> (String, Vec<(u32, u64, u64, u64)>) {
    let place = place();
    let id = add(&place, set);
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 1);
    result(&place, id)
}

#[test]
fn a_run_that_was_killed_thrice_and_paused_once_ends_with_the_same_bits() {
    // Some of the gradients are drawn, at every step anew.
    let whole = undisturbed(&long(&["resources.threads=1", "train.gradient_share=0.5"]));
    assert_eq!(whole.1.len(), 120, "one row an epoch");

    let place = place();
    let id = add(&place, &long(&["resources.threads=2", "train.gradient_share=0.5"]));
    for step in [40, 300] {
        let (_, worker) = place.until_step(id, step);
        kill(&worker, Signal::KILL);
        place.until(id, "the next attempt", |row| row.state.identity().is_some_and(|now| *now != worker));
    }
    place.until_step(id, 420);
    place.good(&["pause", &id.to_string()]);
    place.until_word(id, "paused");
    place.good(&["resume", &id.to_string()]);
    let (_, worker) = place.until_step(id, 500);
    kill(&worker, Signal::KILL);
    let row = place.until_word(id, "completed");
    assert!(row.attempts >= 4, "{row:?}");
    assert_eq!(result(&place, id), whole);
}

#[test]
fn a_garbled_checkpoint_is_passed_over_for_the_one_before() {
    let place = place();
    let id = paused_midway(&place, &["resources.keep_checkpoints=5"]);
    let rows = place.checkpoints(id);
    assert!(rows.len() >= 2, "a phase began before step 300, so there are two checkpoints");
    let newest = place.run_dir(id).join("checkpoints").join(&rows[rows.len() - 1].file);
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&newest, bytes).unwrap();

    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
    let log = std::fs::read_to_string(place.run_dir(id).join("train.log")).unwrap();
    assert!(log.contains("was passed over"), "{log}");
    assert_eq!(result(&place, id), undisturbed(&long(&["resources.threads=3"])));
}

#[test]
fn a_run_whose_checkpoints_are_out_of_reach_keeps_its_figures() {
    let place = place();
    let id = paused_midway(&place, &[]);
    let (epochs, rows) = (place.epochs(id).len(), place.checkpoints(id).len());
    let folder = place.run_dir(id).join("checkpoints");
    let aside = place.dir().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::create_dir(&folder).unwrap();

    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "failed");
    let said = place.good(&["show", &id.to_string()]);
    assert!(said.contains("checkpoints of this run can be read") && said.contains("linf-tui retry"), "{said}");
    assert_eq!((place.epochs(id).len(), place.checkpoints(id).len()), (epochs, rows));

    std::fs::remove_dir(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    place.good(&["retry", &id.to_string()]);
    place.until_word(id, "completed");
    assert_eq!(result(&place, id), undisturbed(&LONG));
}
