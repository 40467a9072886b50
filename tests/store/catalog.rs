//! The queue: adding, finding, changing, polling.

use std::os::unix::fs::PermissionsExt;

use linf::{
    experiment::{Desired, PNorm, Progress, RunId, RunState, WaitReason, WorkerIdentity},
    store::{NewRun, Store, StoreError, Summary},
};

use crate::example::{CONFIG, config, named, new_run, store};

fn queued() -> RunState {
    RunState::Queued { reason: WaitReason::New }
}

fn starting() -> RunState {
    RunState::Starting { identity: None, since_ms: 5, retry: 0 }
}

fn running() -> RunState {
    let identity = WorkerIdentity { pid: 7, start_ticks: 8, boot_id: "b".into(), nonce: "n".into() };
    RunState::Running { identity, progress: Progress { step: 3, epoch: 0.3, p: PNorm::INFINITY }, retry: 0 }
}

#[tokio::test]
async fn the_foremost_runs_are_those_not_over_and_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    assert!(catalog.foremost(2).await.unwrap().is_empty());
    for _ in 0..6 {
        catalog.add(new_run()).await.unwrap();
    }
    for id in [1, 3, 4, 5, 6].map(RunId) {
        catalog.transition(id, &queued(), &RunState::Cancelled { checkpoint: None }, "over").await.unwrap();
    }
    let foremost: Vec<i64> = catalog.foremost(2).await.unwrap().iter().map(|run| run.id.0).collect();
    assert_eq!(foremost, [2, 6, 5]);
    assert_eq!(catalog.foremost(1).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_added_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    let run = NewRun {
        name: Some("my-run".into()),
        group: Some("sweep".into()),
        variant: "train.seed=2".into(),
        tags: vec!["mine".into(), "example".into()],
        note: "a note".into(),
        ..new_run()
    };
    let id = catalog.add(run).await.unwrap();
    let row = catalog.run(id).await.unwrap().unwrap();
    assert_eq!((id, row.id, row.name.as_str()), (RunId(1), RunId(1), "my-run"));
    assert_eq!((row.group.as_deref(), row.variant.as_str()), (Some("sweep"), "train.seed=2"));
    assert_eq!(row.tags, ["example", "mine"], "the config's tags come first, none twice");
    assert_eq!((&row.state, row.desired, row.attempts), (&queued(), Desired::Run, 0));
    assert_eq!((&row.config, &row.summary), (&config(), &Summary::default()));
    assert_eq!((row.started_ms, row.ended_ms), (None, None));
    assert_eq!(catalog.runs().await.unwrap(), [row]);
    assert_eq!(catalog.config_text(id).await.unwrap().as_deref(), Some(CONFIG));
    assert_eq!(std::fs::read_to_string(store.run_dir(id).join("config.toml")).unwrap(), CONFIG);
    assert_eq!(catalog.journal(id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_is_private_to_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/runs");
    let store = store(&root).await;
    let id = store.catalog().add(new_run()).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&store.run_dir(id)), 0o700);
    for file in ["linf.db", "linf.db-wal", "linf.db-shm", "1/config.toml"] {
        assert_eq!(mode(&root.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn reading_a_store_that_is_not_there_creates_none() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("runs");
    assert!(matches!(Store::open_existing(&root).await, Err(StoreError::NoStore(_))));
    assert!(!root.exists());
}

#[tokio::test]
async fn runs_are_found_by_number_name_and_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    catalog.add_many(vec![named("red-fox"), named("red-hen"), named("red"), named("blue-jay")]).await.unwrap();
    for (asked, id) in [("2", 2), ("#2", 2), ("red-hen", 2), ("red", 3), ("blue", 4), (" b ", 4), ("red-f", 1)] {
        assert_eq!(catalog.find(asked).await.unwrap().id, RunId(id), "{asked}");
    }
    let error = |asked: &'static str| async move { catalog.find(asked).await.unwrap_err() };
    assert!(
        matches!(error("re").await, StoreError::Ambiguous { candidates, .. } if candidates == ["red", "red-fox", "red-hen"])
    );
    assert!(matches!(error("jay").await, StoreError::NoSuchRun { like, .. } if like == ["blue-jay"]));
    for asked in ["9", "", "#", "fox1", "%", "_"] {
        assert!(matches!(error(asked).await, StoreError::NoSuchRun { .. } | StoreError::Ambiguous { .. }), "{asked}");
    }
}

#[tokio::test]
async fn names_are_unique_and_no_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    catalog.add(named("brisk-otter")).await.unwrap();
    assert!(matches!(catalog.add(named("brisk-otter")).await, Err(StoreError::NameTaken(_))));
    for bad in ["17", "", "a b", "a/b", "-", "a\n", &"x".repeat(65)] {
        assert!(matches!(catalog.add(named(bad)).await, Err(StoreError::BadName(_))), "{bad}");
    }
    // All or none: the good one beside the bad one is not added, and its number is free again.
    assert!(catalog.add_many(vec![named("good"), named("brisk-otter")]).await.is_err());
    assert_eq!(catalog.runs().await.unwrap().len(), 1);
    assert_eq!(catalog.add(new_run()).await.unwrap(), RunId(2));
}

#[tokio::test]
async fn a_name_that_somebody_took_is_not_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let second = linf::experiment::run_name(RunId(2));
    store.catalog().add(named(&second)).await.unwrap();
    let id = store.catalog().add(new_run()).await.unwrap();
    assert_eq!(store.catalog().run(id).await.unwrap().unwrap().name, format!("{second}.2"));
}

#[tokio::test]
async fn transitions_count_attempts_and_keep_the_times() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    let id = catalog.add(new_run()).await.unwrap();
    assert!(catalog.transition(id, &queued(), &starting(), "its worker was started").await.unwrap());
    let row = catalog.run(id).await.unwrap().unwrap();
    let started = row.started_ms.unwrap();
    assert_eq!((row.state, row.attempts, row.ended_ms), (starting(), 1, None));
    assert!(catalog.transition(id, &starting(), &running(), "trains").await.unwrap());
    let paused = RunState::Paused { checkpoint: Some(3) };
    assert!(catalog.transition(id, &running(), &paused, "paused at step 3").await.unwrap());
    assert!(catalog.run(id).await.unwrap().unwrap().ended_ms.is_some());
    assert!(catalog.transition(id, &paused, &starting(), "resumed").await.unwrap());
    let row = catalog.run(id).await.unwrap().unwrap();
    assert_eq!((row.attempts, row.started_ms, row.ended_ms), (2, Some(started), None));
    let texts: Vec<_> = catalog.journal(id).await.unwrap().into_iter().map(|event| event.text).collect();
    assert_eq!(texts, ["added to the queue", "its worker was started", "trains", "paused at step 3", "resumed"]);
}

#[tokio::test]
async fn of_two_who_change_a_state_one_is_told_to_look_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    let id = catalog.add(new_run()).await.unwrap();
    let other = Store::open(dir.path()).await.unwrap();
    let cancelled = RunState::Cancelled { checkpoint: None };
    let (from, starting) = (queued(), starting());
    let (first, second) = tokio::join!(
        catalog.transition(id, &from, &starting, "started"),
        other.catalog().transition(id, &from, &cancelled, "cancelled")
    );
    assert_ne!(first.unwrap(), second.unwrap());
    assert_eq!(catalog.journal(id).await.unwrap().len(), 2, "the loser left no trace");
    let revision = catalog.changed_since(0).await.unwrap().1;
    assert!(!catalog.transition(id, &running(), &queued(), "wrong").await.unwrap());
    assert_eq!(catalog.changed_since(0).await.unwrap().1, revision, "nothing changed");
    assert!(matches!(
        catalog.transition(RunId(9), &queued(), &running(), "x").await,
        Err(StoreError::NoSuchRun { .. })
    ));
}

#[tokio::test]
async fn a_poller_sees_each_change_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    let ids = catalog.add_many(vec![new_run(), new_run(), new_run()]).await.unwrap();
    let (rows, first) = catalog.changed_since(0).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(catalog.changed_since(first).await.unwrap(), (vec![], first));
    let summary = Summary { step: 42, certified_history: vec![0.25, 0.5], ..Summary::default() };
    catalog.set_summary(ids[1], &summary).await.unwrap();
    catalog.set_desired(ids[0], Desired::Pause).await.unwrap();
    catalog.set_note(ids[0], "n").await.unwrap();
    catalog.set_tags(ids[0], &["t".into()]).await.unwrap();
    let (rows, second) = catalog.changed_since(first).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[1], ids[0]], "in the order of the changes");
    assert_eq!(rows[0].summary, summary);
    assert_eq!((rows[1].desired, rows[1].note.as_str(), &rows[1].tags[..]), (Desired::Pause, "n", &["t".into()][..]));
    assert_eq!(catalog.desired(ids[0]).await.unwrap(), Desired::Pause);
    assert!(catalog.changed_since(second).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_removed_run_is_gone_and_its_number_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let catalog = store.catalog();
    let ids = catalog.add_many(vec![new_run(), new_run()]).await.unwrap();
    let revision = catalog.changed_since(0).await.unwrap().1;
    catalog.remove(ids[1]).await.unwrap();
    assert!(!store.run_dir(ids[1]).exists());
    assert_eq!(catalog.removed_since(revision).await.unwrap(), [ids[1]]);
    assert_eq!(catalog.add(new_run()).await.unwrap(), RunId(3));
    assert!(matches!(catalog.remove(ids[1]).await, Err(StoreError::NoSuchRun { .. })));
    catalog.transition(ids[0], &queued(), &starting(), "started").await.unwrap();
    assert!(matches!(catalog.remove(ids[0]).await, Err(StoreError::AtWork { word: "starting", .. })));
}

#[tokio::test]
async fn a_number_whose_folder_holds_a_run_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    std::fs::create_dir_all(dir.path().join("1")).unwrap();
    std::fs::write(dir.path().join("1/run.db"), "copied here by hand").unwrap();
    assert_eq!(store.catalog().add(new_run()).await.unwrap(), RunId(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_adders_and_readers_never_see_a_busy_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for who in 0..6 {
        // Each opens the store itself, the first ones at the same moment: they race to create it.
        let root = dir.path().to_owned();
        tasks.push(tokio::spawn(async move {
            let store = Store::open(&root).await?;
            for i in 0..20 {
                let id = store.catalog().add(named(&format!("run-{who}-{i}"))).await?;
                store.catalog().set_desired(id, Desired::Pause).await?;
                store.catalog().set_summary(id, &Summary::default()).await?;
                store.catalog().runs().await?;
            }
            Ok::<(), StoreError>(())
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let store = store(dir.path()).await;
    let rows = store.catalog().runs().await.unwrap();
    assert_eq!(rows.len(), 120);
    assert_eq!(rows.last().unwrap().id, RunId(120));
    assert_eq!(store.catalog().changed_since(0).await.unwrap().1, 360, "one revision for each writing call");
}
