//! The run's folder is the truth: the catalog is rebuilt from it, and it can be taken elsewhere.

use std::{fs, os::unix::fs::PermissionsExt};

use linf::{
    experiment::{Device, FailReason, LostReason, RunId, RunState, WaitReason},
    store::{CheckpointKind, NewRun, Outcome, Store, StoreError, checkpoint},
};

use crate::example::{self, CONFIG, config, epoch, new_run, point, schedules, store, writer};

#[tokio::test]
async fn a_lost_catalog_is_rebuilt_from_the_folders() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path()).await;
    let full = NewRun {
        name: Some("my-run".into()),
        group: Some("g".into()),
        variant: "train.seed=2".into(),
        tags: vec!["t".into()],
        note: "n".into(),
        ..new_run()
    };
    let ids =
        first.catalog().add_many(vec![full; 1].into_iter().chain((0..5).map(|_| new_run())).collect()).await.unwrap();
    first.catalog().set_note(ids[0], "a better note").await.unwrap();
    first.catalog().set_tags(ids[0], &["u".into()]).await.unwrap();
    let failed = FailReason::NotFinite { step: 3, p: schedules().at(0.3).p, what: "loss".into() };
    let outcomes = [
        Some(Outcome::Completed),
        Some(Outcome::Stopped { checkpoint: Some(10) }),
        Some(Outcome::Failed { reason: failed.clone() }),
        None,
        None,
    ];
    for (id, outcome) in ids.iter().zip(outcomes) {
        let pen = writer(&first.run_dir(*id), &format!("nonce-{id}"));
        (1..=10).for_each(|step| pen.steps(point(step)));
        pen.epoch(epoch(0));
        pen.flush().unwrap();
        outcome.into_iter().for_each(|outcome| pen.finish(outcome).unwrap());
    }
    let before = first.catalog().runs().await.unwrap();
    first.catalog().close().await;
    fs::remove_file(dir.path().join("linf.db")).unwrap();

    let (second, report) = Store::reindex(dir.path(), &|identity| identity.nonce == "nonce-5").await.unwrap();
    assert_eq!((&report.added, report.kept, &report.paused[..]), (&ids, None, &ids[5..]));
    let after = second.catalog().runs().await.unwrap();
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((old.id, &old.name, &old.group, &old.variant), (new.id, &new.name, &new.group, &new.variant));
        assert_eq!(
            (&old.tags, &old.note, old.added_ms, &old.config),
            (&new.tags, &new.note, new.added_ms, &new.config)
        );
        assert_eq!(second.catalog().config_text(new.id).await.unwrap().as_deref(), Some(CONFIG));
    }
    assert_eq!((after[0].note.as_str(), &after[0].tags[..]), ("a better note", &["u".into()][..]));
    let states: Vec<_> = after.iter().map(|run| &run.state).collect();
    assert_eq!(states[0], &RunState::Completed);
    assert_eq!(states[1], &RunState::Paused { checkpoint: Some(10) });
    assert_eq!(states[2], &RunState::Failed { reason: failed });
    assert_eq!(states[3], &RunState::Lost { reason: LostReason::Vanished });
    assert!(
        matches!(states[4], RunState::Running { identity, progress, .. } if identity.nonce == "nonce-5" && progress.step == 10)
    );
    assert_eq!(states[5], &RunState::Paused { checkpoint: None }, "it may have been on hold, or cancelled");
    assert_eq!((after[0].summary.step, after[0].attempts, after[5].attempts), (10, 1, 0));
    assert!(after[0].started_ms.is_some() && after[0].ended_ms.is_some() && after[4].ended_ms.is_none());
    assert_eq!(second.catalog().add(new_run()).await.unwrap(), RunId(7), "numbers go on after the last");
}

#[tokio::test]
async fn reindex_keeps_what_only_a_sound_catalog_knows() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path()).await;
    let ids = first.catalog().add_many(vec![new_run(), new_run(), new_run()]).await.unwrap();
    let queued = RunState::Queued { reason: WaitReason::New };
    first.catalog().transition(ids[0], &queued, &RunState::Cancelled { checkpoint: None }, "by hand").await.unwrap();
    let pen = writer(&first.run_dir(ids[0]), "a");
    (1..=5).for_each(|step| pen.steps(point(step)));
    drop(pen);
    fs::remove_dir_all(first.run_dir(ids[1])).unwrap();
    fs::create_dir(dir.path().join("77")).unwrap();
    fs::create_dir(dir.path().join("007")).unwrap();
    let (second, report) = Store::reindex(dir.path(), &|_| false).await.unwrap();
    assert_eq!((report.kept, &report.added[..], &report.refreshed[..]), (None, &[][..], &[ids[0], ids[2]][..]));
    assert_eq!((&report.gone[..], &report.mended[..]), (&[][..], &[ids[1]][..]), "the catalog has all there is of it");
    assert_eq!(fs::read_to_string(second.run_dir(ids[1]).join("config.toml")).unwrap(), CONFIG);
    assert_eq!(report.unreadable.len(), 1, "the empty folder 77");
    let run = second.catalog().run(ids[0]).await.unwrap().unwrap();
    assert_eq!((run.state, run.summary.step), (RunState::Cancelled { checkpoint: None }, 5));
    assert_eq!(second.catalog().journal(ids[0]).await.unwrap().len(), 2);
    // What has trained cannot be made up, and what was removed stays away.
    fs::remove_dir_all(second.run_dir(ids[0])).unwrap();
    second.catalog().remove(ids[2]).await.unwrap();
    fs::create_dir(second.run_dir(ids[2])).unwrap();
    fs::write(second.run_dir(ids[2]).join("config.toml"), CONFIG).unwrap();
    let (_, again) = Store::reindex(dir.path(), &|_| false).await.unwrap();
    assert_eq!((&again.added[..], &again.gone[..], &again.refreshed[..]), (&[][..], &[ids[0]][..], &[ids[1]][..]));
    assert_eq!(again.left_over, [second.run_dir(ids[2])]);
    assert!(second.run_dir(ids[2]).exists());
}

#[tokio::test]
async fn a_device_that_a_worker_holds_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path()).await;
    let ids = first.catalog().add_many(vec![new_run(), new_run()]).await.unwrap();
    for (id, nonce) in ids.iter().zip(["alive", "dead"]) {
        let pen = example::writer_on(&first.run_dir(*id), nonce, "cuda:1, NVIDIA H200");
        pen.flush().unwrap();
    }
    first.catalog().close().await;
    fs::remove_file(dir.path().join("linf.db")).unwrap();
    let (second, _) = Store::reindex(dir.path(), &|identity| identity.nonce == "alive").await.unwrap();
    let runs = second.catalog().runs().await.unwrap();
    assert_eq!([runs[0].device, runs[1].device], [Some(Device::Cuda(1)), None]);
}

#[tokio::test]
async fn checkpoints_out_of_reach_are_no_missing_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(checkpoint::found(dir.path()).unwrap(), []);
    std::os::unix::fs::symlink("/no/such/disk", dir.path().join("checkpoints")).unwrap();
    assert!(matches!(checkpoint::found(dir.path()), Err(StoreError::Io { .. })));
}

#[tokio::test]
async fn a_run_is_taken_to_another_store() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (store(here.path()).await, store(there.path()).await);
    let id = from.catalog().add(NewRun { note: "n".into(), ..example::named("traveller") }).await.unwrap();
    let run_dir = from.run_dir(id);
    let pen = writer(&run_dir, "a");
    (1..=25).for_each(|step| pen.steps(point(step)));
    let row = example::checkpoint(&run_dir, 20, CheckpointKind::Phase);
    pen.checkpoint(row.clone());
    pen.flush().unwrap();
    fs::write(run_dir.join("worker.lock"), "").unwrap();
    fs::write(run_dir.join("train.log"), "a line").unwrap();
    fs::set_permissions(run_dir.join("train.log"), fs::Permissions::from_mode(0o644)).unwrap();
    // Its worker is still at work: what it has flushed is taken.
    to.catalog().add_many(vec![example::named("traveller")]).await.unwrap();
    let new = to.import(&run_dir).await.unwrap();
    drop(pen);

    let run = to.catalog().run(new).await.unwrap().unwrap();
    assert_eq!((run.id, run.name.as_str(), run.note.as_str()), (RunId(2), "traveller.2", "n"));
    assert_eq!((run.summary.step, &run.config), (25, &config()));
    assert_eq!(run.state, RunState::Lost { reason: LostReason::Vanished });
    let reader = example::reader(&to.run_dir(new)).await;
    assert_eq!(reader.series("loss", 0, u64::MAX, 100).await.unwrap().len(), 25);
    let (good, skipped) = checkpoint::newest_good(&to.run_dir(new), &reader.checkpoints().await.unwrap());
    assert_eq!((good.unwrap().row, skipped), (row, vec![]));
    let mut names: Vec<_> = fs::read_dir(to.run_dir(new)).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names.retain(|name| !name.to_str().unwrap().starts_with("run.db-"));
    assert_eq!(names, ["about.json", "checkpoints", "config.toml", "run.db", "train.log"]);
    for name in ["run.db", "train.log", "checkpoints/00000020.db"] {
        assert_eq!(to.run_dir(new).join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    // It can be trained on here.
    let pen = writer(&to.run_dir(new), "b");
    pen.truncate_after(20).unwrap();
    (21..=30).for_each(|step| pen.steps(point(step)));
    drop(pen);
    assert_eq!(reader.series("loss", 0, u64::MAX, 100).await.unwrap().len(), 30);
}

#[tokio::test]
async fn what_is_no_run_is_not_imported() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(there.path()).await;
    assert!(matches!(store.import(here.path()).await, Err(StoreError::NoRunThere(_))));
    fs::write(here.path().join("config.toml"), "nonsense = 1").unwrap();
    let error = store.import(here.path()).await.unwrap_err().to_string();
    assert!(error.contains("config.toml"), "{error}");
    fs::write(here.path().join("run.db"), "nonsense").unwrap();
    assert!(matches!(store.import(here.path()).await, Err(StoreError::Foreign { .. })));
    assert!(store.catalog().runs().await.unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(there.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().starts_with("linf.db")), "{left:?}");
}
