//! Rows made from runs' folders: what `reindex` and `import` need of the catalog.

use super::{Catalog, Entry, Safe};
use crate::{
    experiment::{RunId, run_name},
    store::StoreError,
};

impl Catalog {
    /// Whether every page and every row can be read.
    pub(in crate::store) async fn check(&self) -> Result<(), StoreError> {
        let found: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.pool).await.map_err(self.error())?;
        if found != "ok" {
            return Err(self.unreadable("quick_check", &found));
        }
        self.runs().await.map(drop)
    }

    /// A number for a folder that is about to come.
    pub(in crate::store) async fn reserve(&self) -> Result<RunId, StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let id = self.next_id(&mut transaction).await?;
        transaction.commit().await.map_err(self.error())?;
        Ok(id)
    }

    /// Inserts runs that have a folder already, all in one transaction, and gives the names they got: their own, unless
    /// another run has that.
    pub(in crate::store) async fn adopt(
        &self,
        runs: Vec<(RunId, Entry)>,
        event: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::with_capacity(runs.len());
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        for (id, mut entry) in runs {
            let wanted = if entry.about.name.is_empty() { run_name(id) } else { entry.about.name };
            entry.about.name = self.free_name(&mut transaction, &wanted).await?;
            self.insert(&mut transaction, id, revision, &entry, event).await?;
            sqlx::query("UPDATE counter SET last_run = max(last_run, ?)")
                .bind(id.0)
                .execute(&mut *transaction)
                .await
                .map_err(self.error())?;
            names.push(entry.about.name);
        }
        transaction.commit().await.map_err(self.error())?;
        Ok(names)
    }
}
