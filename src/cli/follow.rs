//! Waiting for what a dispatcher and its workers do.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    dispatch::{ensure_dispatcher, needs_a_dispatcher},
    experiment::RunId,
    store::{RunRow, Store},
};

const POLL: Duration = Duration::from_millis(100);

/// How often it is made sure that somebody does what is waited for. A dispatcher may have been killed.
const CARE: Duration = Duration::from_secs(2);

/// Some runs, looked at again and again while something is waited for.
pub struct Follow<'a> {
    store: &'a Store,
    /// The rows as last read.
    pub rows: BTreeMap<RunId, RunRow>,
    revision: i64,
    cared: Option<Instant>,
}

impl<'a> Follow<'a> {
    /// Follows these runs of the store.
    pub async fn new(store: &'a Store, ids: &[RunId]) -> Result<Follow<'a>> {
        let mut rows = BTreeMap::new();
        for id in ids {
            rows.insert(*id, super::place::present(store, *id).await?);
        }
        // Any change from now on has a larger revision than the largest of these rows or an equal one in another row.
        let revision = rows.values().map(|row| row.revision).min().unwrap_or_default();
        Ok(Follow { store, rows, revision, cared: None })
    }

    /// Waits a moment and reads the rows anew. Starts a dispatcher where one is needed and none lives.
    pub async fn next(&mut self) -> Result<()> {
        if self.cared.is_none_or(|cared| cared.elapsed() >= CARE) && self.rows.values().any(needs_a_dispatcher) {
            ensure_dispatcher(self.store.root())?;
            self.cared = Some(Instant::now());
        }
        tokio::time::sleep(POLL).await;
        let news = self.store.catalog().news_since(self.revision).await?;
        self.revision = news.revision;
        if let Some(row) = news.removed.iter().find_map(|id| self.rows.get(id)) {
            bail!("{} was removed meanwhile", row.name);
        }
        for row in news.changed {
            if let Some(known) = self.rows.get_mut(&row.id) {
                *known = row;
            }
        }
        Ok(())
    }
}
