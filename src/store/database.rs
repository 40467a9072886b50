//! Opens the store's SQLite files: recognises them, creates and upgrades them, and turns SQLite's errors into ours.

use std::{
    fs::{File, TryLockError},
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

use super::{
    StoreError,
    error::sqlite_code,
    filesystem::{create_private_file, io_error, is_writable, network_file_system},
};

/// How long anybody waits for another process's transaction. Ours take milliseconds.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// The log is cut back to this size after it was copied into the file.
const JOURNAL_SIZE_LIMIT: &str = "8388608";

/// A kind of file.
pub(super) struct Kind {
    /// With its article, for messages.
    pub name: &'static str,
    /// Stands in the file's header, so that `file` and we recognise it.
    pub application_id: i32,
    /// The newest schema this program knows; in the header too, as `user_version`.
    pub schema: i64,
    /// What to do about a damaged one.
    pub remedy: &'static str,
}

pub(super) static CATALOG_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/catalog");
pub(super) static RUN_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/run");

/// `runs/linf.db`.
pub(super) static CATALOG: Kind = Kind {
    name: "a catalog of linf-tui",
    application_id: 0x4c4e_4643, // "LNFC"
    schema: 2,
    remedy: "Run `linf-tui reindex`: it keeps a copy of this file and rebuilds the catalog from the runs' folders",
};

/// `runs/<id>/run.db`.
pub(super) static RUN: Kind = Kind {
    name: "a run file of linf-tui",
    application_id: 0x4c4e_4652, // "LNFR"
    schema: 5,
    remedy: "Its checkpoints are files of their own: the next worker sets this file aside and trains on from them",
};

impl Kind {
    /// Says what an error of SQLite means for this file.
    pub(super) fn error(&self, path: &Path, error: sqlx::Error) -> StoreError {
        let path = path.to_owned();
        let detail = error.to_string();
        if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) {
            return StoreError::Damaged { path, detail, remedy: self.remedy };
        }
        // https://www.sqlite.org/rescode.html; writing, syncing and making room fail so where a quota or a limit on the
        // size of files is reached.
        if let Some(778 | 1034 | 4874) = sqlite_code(&error) {
            return StoreError::DiskFull { path };
        }
        // SQLITE_READONLY_ROLLBACK.
        if let Some(776) = sqlite_code(&error) {
            return StoreError::HalfWritten { path };
        }
        match sqlite_code(&error).map(|code| code & 0xff) {
            Some(11) => StoreError::Damaged { path, detail: "SQLite finds it malformed".into(), remedy: self.remedy },
            Some(26) => StoreError::Foreign { path, expected: self.name, found: "it is no SQLite database".into() },
            Some(13) => StoreError::DiskFull { path },
            Some(8) => StoreError::ReadOnly { path },
            Some(5 | 6) => StoreError::Busy { path },
            _ => StoreError::Sql { path, error },
        }
    }

    /// What a record of ours that cannot be read means for this file.
    pub(super) fn unreadable(&self, path: &Path, what: &str, error: &dyn std::fmt::Display) -> StoreError {
        let (path, said) = (path.to_owned(), error.to_string());
        // So serde says that a program which has more keys or words wrote the record.
        if said.starts_with("unknown field `") || said.starts_with("unknown variant `") {
            // Without the list of all that it does know.
            let unknown = said.split(", expected ").next().unwrap_or_default();
            return StoreError::NewerRecord { path, detail: format!("{what}: {unknown}") };
        }
        StoreError::Damaged { path, detail: format!("{what}: {said}"), remedy: self.remedy }
    }
}

/// How each connection to one of our files is set up.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .pragma("secure_delete", "OFF")
        .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
        .disable_statement_logging()
}

/// What a file turns out to be.
pub(super) enum Found {
    /// No file, or one in which nothing was ever written.
    Nothing,
    /// A file of this kind with this schema.
    Schema(i64),
}

/// How a file is protected against a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    /// Readers and the writer do not wait for each other.
    WriteAhead,
    /// Works without shared memory, and so on network file systems.
    Rollback,
}

impl Journal {
    fn for_file(path: &Path) -> Journal {
        if network_file_system(path).is_some() { Journal::Rollback } else { Journal::WriteAhead }
    }

    async fn is_set(self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connection).await?;
        Ok((mode == "wal") == (self == Journal::WriteAhead))
    }

    async fn set(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if !self.is_set(connection).await? {
            let pragma = match self {
                Journal::WriteAhead => "PRAGMA journal_mode = WAL",
                Journal::Rollback => "PRAGMA journal_mode = DELETE",
            };
            sqlx::raw_sql(pragma).execute(connection).await?;
        }
        Ok(())
    }
}

/// Opens a file for writing, creating or upgrading it as needed. The whole upgrade is one transaction: a failure
/// half-way leaves the file as it was.
pub(super) async fn open_for_writing(
    path: &Path,
    kind: &Kind,
    migrations: &Migrator,
) -> Result<SqliteConnection, StoreError> {
    open_with(path, kind, migrations, Journal::for_file(path)).await
}

async fn open_with(
    path: &Path,
    kind: &Kind,
    migrations: &Migrator,
    journal: Journal,
) -> Result<SqliteConnection, StoreError> {
    check_magic(path, kind)?;
    create_private_file(path)?;
    let error = |source| kind.error(path, source);
    let mut connection = options(path).connect().await.map_err(error)?;
    if let Found::Schema(version) = identify(&mut connection, path, kind).await?
        && version == kind.schema
        && journal.is_set(&mut connection).await.map_err(error)?
    {
        return Ok(connection);
    }
    // Two processes that open a new store at once would get in each other's way: switching to the write-ahead log
    // does not wait for the busy time-out.
    let _lock = lock_folder_of(path).await;
    if let Found::Nothing = identify(&mut connection, path, kind).await? {
        let application_id = format!("PRAGMA application_id = {}", kind.application_id);
        sqlx::raw_sql(AssertSqlSafe(application_id)).execute(&mut connection).await.map_err(error)?;
    }
    journal.set(&mut connection).await.map_err(error)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    migrations.run_direct(None, &mut *transaction, false).await.map_err(|failure| match failure {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => kind.error(path, source),
        other => kind.unreadable(path, "its schema cannot be upgraded", &other),
    })?;
    let user_version = format!("PRAGMA user_version = {}", kind.schema);
    sqlx::raw_sql(AssertSqlSafe(user_version)).execute(&mut *transaction).await.map_err(error)?;
    transaction.commit().await.map_err(error)?;
    Ok(connection)
}

/// Opens a file for reading, and says of which schema it is; `None` where there is nothing yet.
pub(super) async fn open_for_reading(path: &Path, kind: &Kind) -> Result<Option<(SqliteConnection, i64)>, StoreError> {
    check_magic(path, kind)?;
    if !path.exists() {
        return Ok(None);
    }
    match open_as_it_is(path, kind).await {
        Err(StoreError::HalfWritten { .. }) if path.parent().is_some_and(is_writable) => {
            roll_back(path, kind).await?;
            open_as_it_is(path, kind).await
        }
        opened => opened,
    }
}

async fn open_as_it_is(path: &Path, kind: &Kind) -> Result<Option<(SqliteConnection, i64)>, StoreError> {
    let mut connection = reading(path).connect().await.map_err(|source| kind.error(path, source))?;
    Ok(match identify(&mut connection, path, kind).await? {
        Found::Nothing => None,
        Found::Schema(schema) => Some((connection, schema)),
    })
}

/// Undoes the transaction that a killed process left half done, as SQLite asks of the next who opens the file: every
/// file while it is created, and on network file systems always, is written by way of a rollback journal, and a connection
/// that may not write cannot follow it. SQLite's own locks keep this from anybody who is in the middle of writing.
async fn roll_back(path: &Path, kind: &Kind) -> Result<(), StoreError> {
    let error = |source| kind.error(path, source);
    let mut connection = options(path).connect().await.map_err(error)?;
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await.map_err(error)?;
    connection.close().await.map_err(error)
}

/// How a connection that only reads is set up.
pub(super) fn reading(path: &Path) -> SqliteConnectOptions {
    // A file with a write-ahead log needs a writable folder even to be read, for the log's index; unless it is declared
    // unchanging, as it is on a read-only disk once its writer has closed it. One with a rollback journal is not.
    let settled = !beside(path, "-wal").exists() && !beside(path, "-journal").exists();
    let unchanging = settled && path.parent().is_some_and(|folder| !is_writable(folder));
    options(path).read_only(true).immutable(unchanging)
}

/// `run.db-wal` beside `run.db`.
pub(super) fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Refuses a file that is no SQLite database before SQLite touches it.
pub(super) fn check_magic(path: &Path, kind: &Kind) -> Result<(), StoreError> {
    let mut start = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(16).read_to_end(&mut start).map_err(io_error("read", path))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    if start.is_empty() || start == b"SQLite format 3\0" {
        return Ok(());
    }
    let found = format!("it begins with \"{}\", so it is no SQLite database", start.escape_ascii());
    Err(StoreError::Foreign { path: path.to_owned(), expected: kind.name, found })
}

pub(super) async fn identify(connection: &mut SqliteConnection, path: &Path, kind: &Kind) -> Result<Found, StoreError> {
    let (application_id, version, tables): (i32, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(connection)
    .await
    .map_err(|source| kind.error(path, source))?;
    if tables == 0 && (application_id == 0 || application_id == kind.application_id) {
        return Ok(Found::Nothing);
    }
    if application_id != kind.application_id {
        let found = format!("it is an SQLite database of another program (application id {application_id:#010x})");
        return Err(StoreError::Foreign { path: path.to_owned(), expected: kind.name, found });
    }
    if version > kind.schema {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: kind.schema });
    }
    Ok(Found::Schema(version))
}

/// An exclusive lock on the folder until the file is dropped. Where the file system offers none we go on without: the
/// upgrade itself is one transaction.
async fn lock_folder_of(path: &Path) -> Option<File> {
    let folder = File::open(path.parent()?).ok()?;
    let started = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) if started.elapsed() < BUSY => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_is_that_of_its_last_migration() {
        for (kind, migrations) in [(&CATALOG, &CATALOG_MIGRATIONS), (&RUN, &RUN_MIGRATIONS)] {
            let versions: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
            assert_eq!(versions, (1..=kind.schema).collect::<Vec<_>>(), "{}", kind.name);
        }
    }

    #[tokio::test]
    async fn an_upgrade_that_fails_half_way_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.db");
        open_for_writing(&path, &RUN, &RUN_MIGRATIONS).await.unwrap().close().await.unwrap();
        let before = std::fs::read(&path).unwrap();

        let scripts = dir.path().join("migrations");
        std::fs::create_dir(&scripts).unwrap();
        for migration in RUN_MIGRATIONS.iter() {
            let name = format!("{:04}_{}.sql", migration.version, migration.description.replace(' ', "_"));
            std::fs::write(scripts.join(name), migration.sql.as_str()).unwrap();
        }
        let next = RUN.schema + 1;
        let sql = "CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);";
        std::fs::write(scripts.join(format!("{next:04}_broken.sql")), sql).unwrap();
        let migrations = Migrator::new(scripts).await.unwrap();
        let later = Kind { schema: next, name: RUN.name, application_id: RUN.application_id, remedy: RUN.remedy };
        let error = open_for_writing(&path, &later, &migrations).await.unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(open_for_reading(&path, &RUN).await.unwrap().unwrap().1, RUN.schema);
    }

    #[tokio::test]
    async fn a_file_moves_between_local_and_network_disks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.db");
        for journal in [Journal::WriteAhead, Journal::Rollback, Journal::Rollback, Journal::WriteAhead] {
            let mut writer = open_with(&path, &RUN, &RUN_MIGRATIONS, journal).await.unwrap();
            let (mut reader, _) = open_for_reading(&path, &RUN).await.unwrap().unwrap();
            let insert = "INSERT INTO event (time_ms, kind, text) VALUES (1, 'k', 't')";
            sqlx::query(insert).execute(&mut writer).await.unwrap();
            assert_eq!(beside(&path, "-wal").exists(), journal == Journal::WriteAhead);
            let count = sqlx::query_scalar("SELECT count(*) FROM event");
            let events: i64 = count.fetch_one(&mut reader).await.unwrap();
            assert!(events > 0);
            reader.close().await.unwrap();
            writer.close().await.unwrap();
        }
        let (mut reader, _) = open_for_reading(&path, &RUN).await.unwrap().unwrap();
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM event").fetch_one(&mut reader).await.unwrap();
        assert_eq!(events, 4);
    }
}
