//! The catalog `linf.db`: the queue and one summary row per run.

mod add;
mod change;
mod read;
mod row;

use std::path::{Path, PathBuf};

use sqlx::{
    Connection, Sqlite, SqlitePool, Transaction,
    sqlite::{SqlitePoolOptions, SqliteSynchronous},
};

pub use add::NewRun;

use super::{StoreError, database, layout};

/// A handle to the catalog; clones share their connections.
///
/// Every writing call is one `BEGIN IMMEDIATE` transaction that raises the store's revision by one and marks the rows
/// it changed with it, so that "what is new?" is one indexed query.
#[derive(Clone, Debug)]
pub struct Catalog {
    root: PathBuf,
    path: PathBuf,
    /// For reading, and for figures that can be read again from a run file.
    pool: SqlitePool,
    /// For what must outlive a power cut: its commits are synced to the disk before they return.
    durable: SqlitePool,
}

/// Connections that read at the same time; a client rarely has two queries under way.
const READERS: u32 = 3;

impl Catalog {
    pub(super) async fn open(root: &Path) -> Result<Catalog, StoreError> {
        let path = layout::catalog_file(root);
        let connection = database::open_for_writing(&path, &database::CATALOG, &database::CATALOG_MIGRATIONS).await?;
        let pool = |most: u32, synchronous| {
            SqlitePoolOptions::new()
                .max_connections(most)
                .acquire_timeout(2 * database::BUSY)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                // Where SQLite itself rolled back (a full disk), the connection still believes in its transaction.
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
                .connect_lazy_with(database::options(&path).synchronous(synchronous))
        };
        let catalog = Catalog {
            root: root.to_owned(),
            pool: pool(READERS, SqliteSynchronous::Normal),
            durable: pool(1, SqliteSynchronous::Full),
            path,
        };
        // The last connection to close copies the log into the file; with another one open, closing costs nothing.
        drop(catalog.pool.acquire().await.map_err(catalog.error())?);
        connection.close().await.map_err(catalog.error())?;
        Ok(catalog)
    }

    /// Closes all connections. Dropping the catalog does the same a moment later.
    pub async fn close(&self) {
        self.durable.close().await;
        self.pool.close().await;
    }

    fn error(&self) -> impl Fn(sqlx::Error) -> StoreError {
        |source| database::CATALOG.error(&self.path, source)
    }

    fn unreadable(&self, what: &str, error: &dyn std::fmt::Display) -> StoreError {
        database::CATALOG.unreadable(&self.path, what, error)
    }

    async fn begin(&self, pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, StoreError> {
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
