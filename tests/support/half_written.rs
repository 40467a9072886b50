//! What a process leaves that is killed in the middle of a write without a write-ahead log.

use std::{fs, path::Path};

use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

/// Leaves half of a transaction in `path`, and beside it the journal that undoes it. The file may be there already;
/// otherwise all that was ever committed is whose it is, as while a worker creates its run file.
pub async fn leave_half_written(path: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("run.db");
    let is_new = fs::copy(path, &file).is_err();
    let options =
        SqliteConnectOptions::new().filename(&file).create_if_missing(true).journal_mode(SqliteJournalMode::Delete);
    let mut writing = options.connect().await.unwrap();
    if is_new {
        sqlx::raw_sql("PRAGMA application_id = 0x4c4e4652").execute(&mut writing).await.unwrap();
    }
    // More than fits into the cache, so that a part goes to the disk before the commit that never comes.
    let half = "PRAGMA cache_size = 5; BEGIN; CREATE TABLE half (x); INSERT INTO half
                WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT randomblob(1000) FROM n";
    sqlx::raw_sql(half).execute(&mut writing).await.unwrap();
    fs::copy(&file, path).unwrap();
    fs::copy(file.with_extension("db-journal"), path.with_extension("db-journal")).unwrap();
    let mut reading = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let refused = sqlx::query("SELECT * FROM sqlite_schema").fetch_all(&mut reading).await.unwrap_err();
    let code = refused.as_database_error().unwrap().code().unwrap();
    assert_eq!(code, "776", "SQLITE_READONLY_ROLLBACK: {refused}");
    reading.close().await.unwrap();
    writing.close().await.unwrap();
}
