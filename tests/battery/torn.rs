//! A power cut: the catalog's log is torn at a random place. What was committed before that place is there, and nothing
//! half.

use std::fs;

use linf::{
    experiment::parse,
    store::{NewRun, Store},
};

use crate::{dice::Dice, full, support::Place};

#[test]
fn a_torn_log_gives_a_beginning_of_what_was_added() {
    const RUNS: usize = 30;
    let place = Place::new();
    let mut dice = Dice::new("torn");
    let text = fs::read_to_string(place.config("config.toml", 1, "")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(place.root()).await.unwrap();
        for _ in 0..RUNS {
            store.catalog().add(NewRun::new(parse(&text).unwrap(), text.clone())).await.unwrap();
        }
        // The store stays open: closing it would copy the log into the file.
        for round in 0..if full() { 500 } else { 40 } {
            let copy = tempfile::tempdir().unwrap();
            for name in ["linf.db", "linf.db-wal"] {
                fs::copy(place.root().join(name), copy.path().join(name)).unwrap();
            }
            let log = copy.path().join("linf.db-wal");
            let mut bytes = fs::read(&log).unwrap();
            assert!(!bytes.is_empty(), "the log holds what was added");
            let at = dice.below(bytes.len() as u64) as usize;
            if dice.below(2) == 0 {
                bytes.truncate(at);
            } else {
                bytes[at..].iter_mut().take(600).for_each(|byte| *byte ^= 0xA5);
            }
            fs::write(&log, bytes).unwrap();
            let torn = Store::open(copy.path()).await.unwrap();
            let ids: Vec<i64> = torn.catalog().runs().await.unwrap().iter().map(|run| run.id.0).collect();
            assert_eq!(ids, (1..=ids.len() as i64).collect::<Vec<_>>(), "round {round}, torn at {at}");
            let next = torn.catalog().add(NewRun::new(parse(&text).unwrap(), text.clone())).await.unwrap();
            assert_eq!(next.0, ids.len() as i64 + 1);
            torn.catalog().close().await;
        }
        store.catalog().close().await;
    });
}
