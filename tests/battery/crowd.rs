//! Many at once: readers, adders and workers on one store. Nobody is ever told that the database is locked.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use linf::{
    experiment::parse,
    store::{NewRun, Store, StoreError},
};

use crate::{full, support::Place};

#[test]
fn eight_readers_four_adders_and_two_workers_get_along() {
    let place = Place::new().with_slots(2);
    let for_long = Duration::from_secs(if full() { 60 } else { 5 });
    let config = place.config("config.toml", 10_000, "step-ms=5 checkpoint-every=50");
    for _ in 0..2 {
        place.good(&["add", config.to_str().unwrap()]);
    }
    let text = std::fs::read_to_string(&config).unwrap();
    let root = place.root();
    let (over, busy, reads) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let complain = |error: StoreError| {
        // Whatever a user would be shown counts; any other error fails the test at once.
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
        busy.fetch_add(1, Ordering::Relaxed);
    };
    let work = |adds: bool| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&root).await.unwrap();
            let (mut waits, mut revision) = (Vec::new(), 0);
            while !over.load(Ordering::Relaxed) {
                let started = Instant::now();
                if adds {
                    let run = NewRun { held: true, ..NewRun::new(parse(&text).unwrap(), text.clone()) };
                    store.catalog().add(run).await.map_or_else(complain, |_| waits.push(started.elapsed()));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else {
                    match store.catalog().changed_since(revision).await {
                        Ok((_, newest)) => revision = newest,
                        Err(error) => complain(error),
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            waits
        })
    };
    let mut waits: Vec<Duration> = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..12).map(|index| scope.spawn(move || work(index >= 8))).collect();
        thread::sleep(for_long);
        over.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    waits.sort();
    let percentile = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "crowd: {} adds, p50 {:.1} ms, p99 {:.1} ms; {} reads; busy {}",
        waits.len(),
        percentile(50),
        percentile(99),
        reads.load(Ordering::Relaxed),
        busy.load(Ordering::Relaxed)
    );
    assert_eq!(busy.into_inner(), 0);
    let runs = place.with_store(async |store| store.catalog().runs().await.unwrap());
    assert_eq!(runs.len(), waits.len() + 2, "every run that was added is there");
    assert!(runs[..2].iter().all(|row| row.state.word() == "running" && row.attempts == 1));
    let log = std::fs::read_to_string(place.root().join("dispatcher.log")).unwrap();
    assert!(!log.contains("locked"), "{log}");
}
