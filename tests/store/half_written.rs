//! Files that a killed process left in the middle of a write, where SQLite works with a rollback journal.

use linf::store::RunReader;
use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::{
    example::{point, reader, writer},
    support::leave_half_written,
};

#[tokio::test]
async fn a_run_file_whose_worker_was_killed_while_it_created_it_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.db");
    leave_half_written(&file).await;
    assert!(RunReader::open(dir.path()).await.unwrap().is_none());
    leave_half_written(&file).await;
    drop(writer(dir.path(), "a"));
    assert_eq!(reader(dir.path()).await.attempts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_file_whose_worker_was_killed_while_it_wrote_holds_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.db");
    let pen = writer(dir.path(), "a");
    (1..=30).for_each(|step| pen.steps(point(step)));
    drop(pen);
    // As on a network file system.
    let options = SqliteConnectOptions::new().filename(&file).journal_mode(SqliteJournalMode::Delete);
    options.connect().await.unwrap().close().await.unwrap();
    leave_half_written(&file).await;
    assert_eq!(reader(dir.path()).await.series("loss", 0, u64::MAX, 100).await.unwrap().len(), 30);
    leave_half_written(&file).await;
    let pen = writer(dir.path(), "b");
    (31..=40).for_each(|step| pen.steps(point(step)));
    drop(pen);
    assert_eq!(reader(dir.path()).await.series("loss", 0, u64::MAX, 100).await.unwrap().len(), 40);
}
