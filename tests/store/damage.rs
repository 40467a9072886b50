//! Files that are not what they should be: a clear line that names the file, no panic, and nothing overwritten.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use linf::store::{RunReader, RunWriter, Store, StoreError};
use proptest::prelude::*;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::example::{attempt, config, loss, new_run, point, reader, schedules, store, writer};

/// Enough for several pages.
const RUNS: usize = 12;

async fn store_with_runs(root: &Path) {
    let store = store(root).await;
    store.catalog().add_many((0..RUNS).map(|_| new_run()).collect()).await.unwrap();
    store.catalog().close().await;
}

async fn open_error(root: &Path) -> StoreError {
    match Store::open(root).await {
        Ok(store) => store.catalog().runs().await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_catalog_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("linf.db");
    fs::write(&file, "my precious notes, thirty-two bytes").unwrap();
    let error = open_error(dir.path()).await;
    assert!(matches!(error, StoreError::Foreign { .. }));
    let text = error.to_string();
    assert!(text.contains("linf.db") && text.contains("my precious note") && text.contains("Move it away"), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "my precious notes, thirty-two bytes");
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["linf.db", "run.db"] {
        let file = SqliteConnectOptions::new().filename(dir.path().join(name)).create_if_missing(true);
        let mut connection = file.connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE theirs (x); PRAGMA application_id = 7").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    let before = fs::read(dir.path().join("linf.db")).unwrap();
    assert!(matches!(open_error(dir.path()).await, StoreError::Foreign { found, .. } if found.contains("0x00000007")));
    assert_eq!(fs::read(dir.path().join("linf.db")).unwrap(), before);
    assert!(matches!(RunReader::open(dir.path()).await, Err(StoreError::Foreign { .. })));
    assert!(matches!(RunWriter::open(dir.path(), &config(), attempt("a")), Err(StoreError::Foreign { .. })));
}

#[tokio::test]
async fn a_catalog_cut_short_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    store_with_runs(dir.path()).await;
    let file = dir.path().join("linf.db");
    let length = file.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    let error = open_error(dir.path()).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("linf.db") && error.to_string().contains("linf-tui reindex"), "{error}");
}

#[tokio::test]
async fn a_lost_catalog_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    store_with_runs(dir.path()).await;
    let file = dir.path().join("linf.db");
    fs::remove_file(&file).unwrap();
    let error = open_error(dir.path()).await;
    assert!(error.to_string().contains("linf-tui reindex"), "{error}");
    assert!(!file.exists());
    fs::write(&file, "").unwrap();
    assert!(matches!(open_error(dir.path()).await, StoreError::Damaged { .. }));
}

#[tokio::test]
async fn a_store_opened_to_look_at_cannot_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(dir.path()).await, Err(StoreError::NoStore(_))));
    store_with_runs(dir.path()).await;
    let store = Store::open_read_only(dir.path()).await.unwrap();
    let runs = store.catalog().runs().await.unwrap();
    assert_eq!(runs.len(), RUNS);
    assert!(matches!(store.catalog().add(new_run()).await, Err(StoreError::NotOurs(_))));
    assert!(matches!(store.catalog().set_note(runs[0].id, "x").await, Err(StoreError::NotOurs(_))));
}

/// The copies that a rescue made.
fn copies(root: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let is_copy = |name: &str| name.contains("linf.db.rescued-") && !name.ends_with("-wal");
    entries.filter(|path| is_copy(path.to_str().unwrap())).collect()
}

#[tokio::test]
async fn a_store_whose_catalog_is_broken_is_shown_from_its_folders_and_a_copy_is_made_first() {
    let dir = tempfile::tempdir().unwrap();
    store_with_runs(dir.path()).await;
    let pen = writer(&dir.path().join("3"), "a");
    (1..=10).for_each(|step| pen.steps(point(step)));
    drop(pen);
    let file = dir.path().join("linf.db");
    let length = file.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    let before = fs::read(&file).unwrap();
    for _ in 0..2 {
        let damage = open_error(dir.path()).await;
        let (store, rescue) = Store::rescue(dir.path(), &damage, &|_| false).await.unwrap();
        let runs = store.catalog().runs().await.unwrap();
        assert_eq!(runs.iter().map(|run| run.id.0).collect::<Vec<_>>(), (1..=RUNS as i64).collect::<Vec<_>>());
        assert_eq!(runs[2].summary.step, 10);
        assert!(rescue.damage.contains("linf-tui reindex") && rescue.unreadable.is_empty(), "{rescue:?}");
        assert_eq!(fs::read(rescue.copy.unwrap()).unwrap(), before);
        let refused = store.catalog().add(new_run()).await.unwrap_err();
        assert!(matches!(refused, StoreError::Rescued(_)) && refused.to_string().contains("reindex"), "{refused}");
        assert!(matches!(store.catalog().set_summary(runs[0].id, &runs[0].summary).await, Err(StoreError::Rescued(_))));
    }
    assert_eq!(copies(dir.path()).len(), 1, "the same damage is copied once");
    assert_eq!(fs::read(&file).unwrap(), before, "the file itself is left as it is");
}

#[tokio::test]
async fn a_store_of_somebody_else_is_only_looked_at() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away; others meet such stores as folders that they cannot write.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    store_with_runs(dir.path()).await;
    std::os::unix::fs::chown(dir.path(), Some(54_321), None).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.catalog().runs().await.unwrap().len(), RUNS);
    assert!(matches!(store.catalog().add(new_run()).await, Err(StoreError::NotOurs(_))));
}

/// Everything a reader can be asked; the first error ends it.
async fn read_all(run_dir: &Path) -> Result<Vec<u64>, StoreError> {
    let Some(reader) = RunReader::open(run_dir).await? else { return Ok(Vec::new()) };
    reader.config().await?;
    reader.summary(&schedules()).await?;
    reader.attempts().await?;
    reader.events(0).await?;
    reader.checkpoints().await?;
    reader.series("loss", 0, u64::MAX, 50).await?;
    let bins = reader.series("loss", 0, u64::MAX, 1_000_000).await?;
    for bin in &bins {
        if bin.mean != loss(bin.step) {
            return Ok(vec![u64::MAX]);
        }
    }
    Ok(bins.into_iter().map(|bin| bin.step).collect())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Where and how a file is spoilt.
#[derive(Clone, Debug)]
enum Spoil {
    Cut(f64),
    Garble(f64, Vec<u8>),
}

impl Spoil {
    fn apply(&self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Spoil::Cut(place) => bytes.truncate((place * bytes.len() as f64) as usize),
            Spoil::Garble(place, with) => {
                let at = (place * bytes.len() as f64) as usize;
                bytes[at..].iter_mut().zip(with).for_each(|(byte, &with)| *byte = with);
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        (0.0f64..1.0).prop_map(Spoil::Cut),
        (0.0f64..1.0, prop::collection::vec(any::<u8>(), 1..600)).prop_map(|(place, with)| Spoil::Garble(place, with)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A power cut loses what the log had not yet brought to the disk: what is read is a beginning of what was written.
    #[test]
    fn a_spoilt_log_gives_a_beginning_of_what_was_written(spoil in spoil()) {
        let dir = tempfile::tempdir().unwrap();
        let copy = tempfile::tempdir().unwrap();
        let pen = writer(dir.path(), "a");
        for start in [1, 61, 121] {
            (start..start + 60).for_each(|step| pen.steps(point(step)));
            pen.flush().unwrap();
        }
        for name in ["run.db", "run.db-wal"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        drop(pen);
        spoil.apply(&copy.path().join("run.db-wal"));
        let steps = runtime().block_on(read_all(copy.path())).unwrap();
        prop_assert!(steps.len() <= 180 && steps.len().is_multiple_of(60), "{} steps", steps.len());
        prop_assert_eq!(&steps, &(1..=steps.len() as u64).collect::<Vec<_>>());
        // And the next attempt can go on from there.
        let pen = writer(copy.path(), "b");
        let checkpoint = steps.len().min(30) as u64;
        pen.truncate_after(checkpoint).unwrap();
        (checkpoint + 1..=200).for_each(|step| pen.steps(point(step)));
        drop(pen);
        prop_assert_eq!(runtime().block_on(read_all(copy.path())).unwrap().len(), 200);
    }

    /// A spoilt run file is read as far as it can be, or refused with its name; it never brings the program down.
    #[test]
    fn a_spoilt_run_file_is_refused_with_its_name(spoil in spoil()) {
        let dir = tempfile::tempdir().unwrap();
        let pen = writer(dir.path(), "a");
        (1..=150).for_each(|step| pen.steps(point(step)));
        drop(pen);
        spoil.apply(&dir.path().join("run.db"));
        if let Err(error) = runtime().block_on(read_all(dir.path())) {
            prop_assert!(error.to_string().contains("run.db"), "{}", error);
        }
    }

    /// Whatever happened to the catalog, reindex brings every run back and keeps the old file.
    #[test]
    fn reindex_recovers_from_any_damage_to_the_catalog(spoil in spoil()) {
        let dir = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            store_with_runs(dir.path()).await;
            spoil.apply(&dir.path().join("linf.db"));
            let before = fs::read(dir.path().join("linf.db")).unwrap();
            let (store, report) = Store::reindex(dir.path(), &|_| false).await.unwrap();
            prop_assert_eq!(report.unreadable, vec![]);
            let runs = store.catalog().runs().await.unwrap();
                        prop_assert_eq!(runs.iter().map(|run| run.id.0).collect::<Vec<_>>(), (1..=RUNS as i64).collect::<Vec<_>>());
            if let Some(kept) = report.kept {
                prop_assert_eq!(fs::read(kept).unwrap(), before);
                prop_assert_eq!(report.added.len(), RUNS);
            }
            store.catalog().add(new_run()).await.unwrap();
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_run_file_can_be_read_where_its_folder_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("1");
    drop(writer(&run, "a"));
    fs::set_permissions(&run, fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(reader(&run).await.attempts().await.unwrap().len(), 1);
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
}
