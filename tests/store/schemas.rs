//! Files of every released schema open for ever; files of a later one are refused with a clear line.

use std::{fs::File, path::Path};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use linf::{
    experiment::{After, Fate, Need, RunId, RunState, Steered, Steering, Turn, WaitReason},
    store::{
        AttackRow, CheckpointKind, EvalSplit, Findings, Outcome, RunReader, RunWriter, Store, StoreError, checkpoint,
    },
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::example::{self, attempt, config, epoch, eval, loss, named, point, reader, store, writer};

/// A store with one run of 230 steps, written by the program when this schema was the newest.
fn fixture(schema: u32) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/store/fixtures/schema-{schema}.tar.gz"))
}

/// For a release that adds a migration: `cargo test --test store write_the_fixture -- --ignored`, with the number
/// raised here and in [`every_released_schema_opens`].
#[tokio::test]
#[ignore = "writes a file of the repository"]
async fn write_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("runs");
    let store = store(&root).await;
    let id = store.catalog().add(named("fixture")).await.unwrap();
    store.catalog().set_note(id, "kept").await.unwrap();
    store.catalog().set_turns(&[(id, turn())], "as asked").await.unwrap();
    store.catalog().set_group_slots("g", Some(2)).await.unwrap();
    let run_dir = store.run_dir(id);
    let pen = writer(&run_dir, "a");
    (1..=230).for_each(|step| pen.steps(point(step)));
    pen.epoch(epoch(0));
    let (row, margins) = eval(20, 0.75);
    pen.eval(row, margins);
    pen.event(Some(20), "eval", "done");
    let (row, findings) = attack();
    pen.attack(row, findings);
    pen.steered(vec![steered()]).unwrap();
    pen.checkpoint(example::checkpoint(&run_dir, 20, CheckpointKind::Phase));
    pen.finish(Outcome::Stopped { checkpoint: Some(20) }).unwrap();
    drop(pen);
    store.catalog().close().await;
    let path = fixture(5);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::best()));
    archive.append_dir_all("runs", &root).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
}

fn turn() -> Turn {
    Turn { priority: 3, place: Some(0.5), start_at_ms: Some(7), after: vec![After { run: RunId(9), need: Need::Any }] }
}

fn attack() -> (AttackRow, Findings) {
    let fates = vec![Fate::Survived, Fate::Relaxed, Fate::Misclassified];
    let eps = config().eval.eps;
    let row =
        AttackRow { step: 20, eps, samples: 3, under_pgd: 2.0 / 3.0, under_all: 1.0 / 3.0, seconds: 1.5, time_ms: 7 };
    (row, Findings { fates, examples: vec![(1, vec![0.25, -0.5])] })
}

fn steered() -> Steered {
    Steered { key: "k".into(), step: 10, epoch: 1.0, what: Steering::LrFactor(0.5) }
}

fn unpack(schema: u32, to: &Path) {
    tar::Archive::new(GzDecoder::new(File::open(fixture(schema)).unwrap())).unpack(to).unwrap();
}

#[tokio::test]
async fn every_released_schema_opens() {
    for schema in 1..=5 {
        let dir = tempfile::tempdir().unwrap();
        unpack(schema, dir.path());
        let root = dir.path().join("runs");
        // Twice: an upgrade that was made is not made again.
        for _ in 0..2 {
            let store = Store::open_existing(&root).await.unwrap();
            let run = store.catalog().find("fixture").await.unwrap();
            assert_eq!((run.id, run.note.as_str(), &run.config), (RunId(1), "kept", &config()));
            assert_eq!(run.state, RunState::Queued { reason: WaitReason::New });
            assert_eq!(run.turn, if schema < 2 { Turn::default() } else { turn() });
            let groups = store.catalog().group_slots().await.unwrap();
            assert_eq!(groups.get("g"), if schema < 2 { None } else { Some(&2) });
            store.catalog().close().await;
        }
        let run_dir = root.join("1");
        check(&run_dir).await;
        let orders = reader(&run_dir).await.steering().await.unwrap();
        assert_eq!(orders, if schema < 2 { vec![] } else { vec![steered()] });
        let found = reader(&run_dir).await;
        let (row, findings) = (found.attack().await.unwrap(), found.findings(20).await.unwrap());
        assert_eq!(row.zip(findings), (schema >= 4).then(attack));
        for nonce in ["b", "c"] {
            drop(writer(&run_dir, nonce));
            check(&run_dir).await;
        }
        assert_eq!(reader(&run_dir).await.attempts().await.unwrap().len(), 3);
    }
}

async fn check(run_dir: &Path) {
    let reader = reader(run_dir).await;
    assert_eq!(reader.config().await.unwrap(), config());
    assert_eq!(reader.epochs(0).await.unwrap(), [epoch(0)]);
    let losses = reader.series("loss", 0, u64::MAX, 1000).await.unwrap();
    assert_eq!(losses.len(), 230);
    assert!(losses.iter().all(|bin| bin.mean == loss(bin.step)));
    assert_eq!(reader.evals(0).await.unwrap()[0].split, EvalSplit::Test);
    assert_eq!(reader.margins(1).await.unwrap(), Some(eval(20, 0.75).1));
    assert_eq!(reader.outcome("a").await.unwrap(), Some(Outcome::Stopped { checkpoint: Some(20) }));
    let (good, skipped) = checkpoint::newest_good(run_dir, &reader.checkpoints().await.unwrap());
    assert_eq!((good.unwrap().row.step, skipped), (20, vec![]));
}

#[tokio::test]
async fn an_old_store_that_cannot_be_upgraded_is_shown_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    unpack(1, dir.path());
    let store = Store::open_read_only(dir.path().join("runs")).await.unwrap();
    let run = store.catalog().find("fixture").await.unwrap();
    assert_eq!((run.note.as_str(), run.turn, run.parent, run.device), ("kept", Turn::default(), None, None));
    assert!(store.catalog().group_slots().await.unwrap().is_empty());
    assert!(store.catalog().steering(run.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_later_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    unpack(1, dir.path());
    let root = dir.path().join("runs");
    for file in ["linf.db", "1/run.db", "1/checkpoints/00000020.db"] {
        let mut connection = SqliteConnectOptions::new().filename(root.join(file)).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe("PRAGMA user_version = 99")).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    let refused = |error: StoreError| {
        let text = error.to_string();
        assert!(
            matches!(error, StoreError::Newer { found: 99, known: 1..=5, .. }) && text.contains("newer linf-tui"),
            "{text}"
        );
    };
    refused(Store::open(&root).await.unwrap_err());
    refused(Store::reindex(&root, &|_| false).await.unwrap_err());
    refused(RunReader::open(&root.join("1")).await.unwrap_err());
    refused(RunWriter::open(&root.join("1"), &config(), attempt("z")).unwrap_err());
    refused(checkpoint::read(&root.join("1/checkpoints/00000020.db")).unwrap_err());
}

#[tokio::test]
async fn a_key_that_a_later_program_wrote_is_refused_and_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    unpack(5, dir.path());
    let root = dir.path().join("runs");
    let add_a_key = [
        ("linf.db", "UPDATE run SET config = json_set(config, '$.train.later', 1)"),
        ("1/run.db", "UPDATE config SET json = json_set(json, '$.train.later', 1)"),
    ];
    for (file, sql) in add_a_key {
        let mut connection = SqliteConnectOptions::new().filename(root.join(file)).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    let refused = |error: StoreError| {
        let text = error.to_string();
        assert!(matches!(error, StoreError::NewerRecord { .. }) && !error.is_damage(), "{text}");
        assert!(text.contains("`later`") && text.contains("newer linf-tui"), "{text}");
    };
    let store = Store::open_existing(&root).await.unwrap();
    refused(store.catalog().runs().await.unwrap_err());
    store.catalog().close().await;
    // Reindexing would set the catalog aside and leave the run out.
    refused(Store::reindex(&root, &|_| false).await.unwrap_err());
    refused(RunReader::open(&root.join("1")).await.unwrap().unwrap().config().await.unwrap_err());
}
