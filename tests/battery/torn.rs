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

#[test]
fn a_run_whose_folder_did_not_reach_the_disk_trains_by_the_catalog() {
    let place = Place::new();
    let runs: Vec<_> = (0..5).map(|_| place.add_with(2, "", &["--hold"])).collect();
    let config = |run: usize| place.root().join(runs[run].to_string()).join("config.toml");
    fs::remove_dir_all(config(0).parent().unwrap()).unwrap();
    let whole = fs::read(config(1)).unwrap();
    fs::write(config(1), "").unwrap();
    fs::write(config(2), &whole[..whole.len() / 2]).unwrap();
    fs::write(config(3), vec![0; whole.len()]).unwrap();
    // What somebody added there stays.
    fs::write(config(4), [&whole[..], b"# mine\n"].concat()).unwrap();
    for run in &runs {
        place.good(&["release", &run.to_string()]);
    }
    for (n, run) in runs.iter().enumerate() {
        place.until_word(*run, "completed");
        assert!(fs::read(config(n)).unwrap().starts_with(&whole), "run {run}");
        assert_eq!(place.row(*run).attempts, 1, "run {run}");
    }
    assert!(fs::read(config(4)).unwrap().ends_with(b"# mine\n"));
}
