//! The catalog `linf.db`: the queue and one summary row per run.

mod add;
mod change;
mod read;
mod rebuild;
mod row;
mod steer;
mod turn;

use std::path::{Path, PathBuf};

use sqlx::{
    Connection, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

pub(super) use add::Entry;
pub use add::{NewRun, check_name};

use super::{StoreError, database, layout, reindex};
use crate::experiment::RunId;

/// A handle to the catalog; clones share their connections.
///
/// Every writing call is one `BEGIN IMMEDIATE` transaction that raises the store's revision by one and marks the rows
/// it changed with it, so that "what is new?" is one indexed query.
#[derive(Clone, Debug)]
pub struct Catalog {
    root: PathBuf,
    path: PathBuf,
    /// Of the file. Older than ours only where the file is just looked at.
    schema: i64,
    /// For reading, and for figures that can be read again from a run file.
    pool: SqlitePool,
    /// For what must outlive a power cut: its commits are synced to the disk before they return.
    durable: Result<SqlitePool, LookOnly>,
}

/// Why a catalog can only be read.
#[derive(Clone, Copy, Debug)]
enum LookOnly {
    NotOurs,
    Rescued,
}

/// What a transaction outlives once it is committed.
#[derive(Clone, Copy)]
enum Safe {
    /// It lies on the disk.
    FromPowerCuts,
    /// The operating system has it: for figures that can be read again.
    FromKills,
}

/// Connections that read at the same time; a client rarely has two queries under way.
const READERS: u32 = 3;

impl Catalog {
    /// Opens a store's catalog, creating it in a folder without runs.
    pub(super) async fn open(root: &Path) -> Result<Catalog, StoreError> {
        reindex::refuse_lost(root)?;
        Catalog::create(root).await
    }

    /// Opens a store's catalog, creating it where there is none.
    pub(super) async fn create(root: &Path) -> Result<Catalog, StoreError> {
        let path = layout::catalog_file(root);
        let connection = database::open_for_writing(&path, &database::CATALOG, &database::CATALOG_MIGRATIONS).await?;
        let options = database::options(&path);
        let durable = Ok(pool(1, options.clone().synchronous(SqliteSynchronous::Full)));
        let catalog = Catalog {
            root: root.to_owned(),
            path,
            schema: database::CATALOG.schema,
            pool: pool(READERS, options),
            durable,
        };
        // The last connection to close copies the log into the file; with another one open, closing costs nothing.
        drop(catalog.pool.acquire().await.map_err(catalog.error())?);
        connection.close().await.map_err(catalog.error())?;
        Ok(catalog)
    }

    /// Opens somebody else's catalog to look at it.
    pub(super) async fn open_read_only(root: &Path) -> Result<Catalog, StoreError> {
        let path = layout::catalog_file(root);
        let Some((_, schema)) = database::open_for_reading(&path, &database::CATALOG).await? else {
            return Err(StoreError::NoStore(root.to_owned()));
        };
        let pool = pool(READERS, database::reading(&path));
        Ok(Catalog { root: root.to_owned(), path, schema, pool, durable: Err(LookOnly::NotOurs) })
    }

    /// A catalog in memory, to look at runs whose own one cannot be read.
    pub(super) async fn in_memory(root: &Path, runs: Vec<(RunId, Entry)>) -> Result<Catalog, StoreError> {
        let path = layout::catalog_file(root);
        // Each connection would have a memory of its own, so there is one.
        let memory = pool(1, SqliteConnectOptions::new().in_memory(true));
        let (schema, durable) = (database::CATALOG.schema, Ok(memory.clone()));
        let mut catalog = Catalog { root: root.to_owned(), path, schema, pool: memory, durable };
        let mut connection = catalog.pool.acquire().await.map_err(catalog.error())?;
        let migrated = database::CATALOG_MIGRATIONS.run_direct(None, &mut *connection, false).await;
        migrated.map_err(|error| catalog.unreadable("a catalog in memory", &error))?;
        drop(connection);
        catalog.adopt(runs, "found in its folder").await?;
        catalog.durable = Err(LookOnly::Rescued);
        Ok(catalog)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes all connections. Dropping the catalog does the same a moment later.
    pub async fn close(&self) {
        if let Ok(durable) = &self.durable {
            durable.close().await;
        }
        self.pool.close().await;
    }

    fn error(&self) -> impl Fn(sqlx::Error) -> StoreError {
        |source| database::CATALOG.error(&self.path, source)
    }

    fn unreadable(&self, what: &str, error: &dyn std::fmt::Display) -> StoreError {
        database::CATALOG.unreadable(&self.path, what, error)
    }

    /// An error where the store can only be looked at.
    ///
    /// # Errors
    /// It belongs to somebody else, lies on a read-only disk, or its catalog is damaged.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.durable().map(|_| ())
    }

    fn durable(&self) -> Result<&SqlitePool, StoreError> {
        self.durable.as_ref().map_err(|why| match why {
            LookOnly::NotOurs => StoreError::NotOurs(self.path.clone()),
            LookOnly::Rescued => StoreError::Rescued(self.path.clone()),
        })
    }

    /// Begins a transaction that writes.
    async fn begin(&self, safe: Safe) -> Result<Transaction<'static, Sqlite>, StoreError> {
        let durable = self.durable()?;
        let pool = match safe {
            Safe::FromPowerCuts => durable,
            Safe::FromKills => &self.pool,
        };
        pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.error())
    }

    /// Raises the store's revision and gives the new one, for the rows that this transaction changes.
    async fn next_revision(&self, transaction: &mut Transaction<'static, Sqlite>) -> Result<i64, StoreError> {
        sqlx::query_scalar("UPDATE counter SET revision = revision + 1 RETURNING revision")
            .fetch_one(&mut **transaction)
            .await
            .map_err(self.error())
    }
}

fn pool(most: u32, options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(2 * database::BUSY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // Where SQLite itself rolled back (a full disk), the connection still believes in its transaction.
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        .connect_lazy_with(options)
}
