//! Reading the catalog.

use std::collections::VecDeque;

use futures::TryStreamExt;

use super::Catalog;
use crate::{
    experiment::{Desired, RunId},
    store::{EventRow, RunRow, StoreError},
};

/// What has become of runs since somebody looked.
#[derive(Debug)]
pub struct News {
    /// Those that changed, oldest change first.
    pub changed: Vec<RunRow>,
    /// Those that were removed. One may be among `changed` too: it is gone.
    pub removed: Vec<RunId>,
    /// What to ask with next time.
    pub revision: i64,
}

impl Catalog {
    /// All runs, by number.
    pub async fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        let mut runs = Vec::new();
        self.runs_in_parts(|part| runs.extend(part)).await?;
        Ok(runs)
    }

    /// All runs, by number, handed over as they are read: whoever keeps them in another form need not hold them twice. Parts
    /// are read one moment apart.
    pub async fn runs_in_parts(&self, mut take: impl FnMut(Vec<RunRow>)) -> Result<(), StoreError> {
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT max(id) FROM run").fetch_one(&self.pool).await.map_err(self.error())?;
        let newest = newest.unwrap_or(0);
        let read = |after: i64| {
            let catalog = self.clone();
            tokio::spawn(async move { catalog.runs_between(after, after + PART).await })
        };
        let mut starts = (0..newest).step_by(PART as usize);
        // Reading a row and making sense of it cost about the same: with two connections both cores have work.
        let mut under_way: VecDeque<_> = starts.by_ref().take(2).map(read).collect();
        while let Some(part) = under_way.pop_front() {
            let part = part.await.map_err(|error| self.unreadable("reading", &error))??;
            under_way.extend(starts.next().map(read));
            take(part);
        }
        Ok(())
    }

    /// The first `most` runs that are not over, and the newest `most`: what a list shows first, long before a large store
    /// is read whole.
    pub async fn foremost(&self, most: u32) -> Result<Vec<RunRow>, StoreError> {
        let mut runs = Vec::new();
        for tail in [
            // By the index of the words: the rows of a large store take twenty times as long to go through.
            "WHERE id IN (SELECT id FROM run WHERE word NOT IN ('completed', 'cancelled', 'failed', 'lost'))
             ORDER BY id LIMIT ?",
            "ORDER BY id DESC LIMIT ?",
        ] {
            let rows = sqlx::query(self.select_runs(tail)).bind(most).fetch_all(&self.pool).await;
            for row in &rows.map_err(self.error())? {
                runs.push(self.row(row)?);
            }
        }
        Ok(runs)
    }

    /// The runs with numbers after `after`, up to `to`.
    async fn runs_between(&self, after: i64, to: i64) -> Result<Vec<RunRow>, StoreError> {
        let query = sqlx::query(self.select_runs("WHERE id > ? AND id <= ? ORDER BY id")).bind(after).bind(to);
        let mut rows = query.fetch(&self.pool);
        let mut runs = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(self.error())? {
            runs.push(self.row(&row)?);
        }
        Ok(runs)
    }

    /// One run, if the store has it.
    pub async fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError> {
        let row = sqlx::query(self.select_runs("WHERE id = ?")).bind(id.0).fetch_optional(&self.pool).await;
        row.map_err(self.error())?.map(|row| self.row(&row)).transpose()
    }

    /// The runs that changed after `revision`, oldest change first, and the revision to ask with next time. Start with
    /// 0, which gives all runs by number. Costs one look into an index where nothing changed.
    pub async fn changed_since(&self, revision: i64) -> Result<(Vec<RunRow>, i64), StoreError> {
        if revision == 0 {
            // What changes while a large store is read is told again.
            let newest = self.revision().await?;
            return Ok((self.runs().await?, newest));
        }
        let query = sqlx::query(self.select_runs("WHERE revision > ? ORDER BY revision, id")).bind(revision);
        let rows = query.fetch_all(&self.pool).await.map_err(self.error())?;
        let runs = rows.iter().map(|row| self.row(row)).collect::<Result<Vec<_>, _>>()?;
        let newest = runs.last().map_or(revision, |run| run.revision);
        Ok((runs, newest))
    }

    /// What has become of runs after `revision`: [`Catalog::changed_since`] and [`Catalog::removed_since`].
    pub async fn news_since(&self, revision: i64) -> Result<News, StoreError> {
        let (changed, newest) = self.changed_since(revision).await?;
        // Asked last: what is removed between the two would be missed the other way round.
        let removed = self.removed_since(revision).await?;
        Ok(News { changed, removed, revision: newest })
    }

    /// The number of the last change, to ask [`Catalog::changed_since`] with once all runs have been read.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar("SELECT revision FROM counter").fetch_one(&self.pool).await.map_err(self.error())
    }

    /// The runs that were removed after `revision`: to be asked with the same number as [`Catalog::changed_since`], and after it,
    /// or what is removed between the two is missed.
    pub async fn removed_since(&self, revision: i64) -> Result<Vec<RunId>, StoreError> {
        let query = sqlx::query_scalar("SELECT id FROM removed WHERE revision > ? ORDER BY revision").bind(revision);
        let ids: Vec<i64> = query.fetch_all(&self.pool).await.map_err(self.error())?;
        Ok(ids.into_iter().map(RunId).collect())
    }

    /// The run meant by a number (`17`, `#17`), a name, or the beginning of one name only.
    pub async fn find(&self, asked: &str) -> Result<RunRow, StoreError> {
        let asked = asked.trim();
        let no_such_run = |like| StoreError::NoSuchRun { asked: asked.to_owned(), like };
        if let Ok(id) = asked.parse::<RunId>() {
            return self.run(id).await?.ok_or_else(|| no_such_run(Vec::new()));
        }
        let names: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, name FROM run WHERE instr(name, ?) > 0 ORDER BY name")
                .bind(asked)
                .fetch_all(&self.pool)
                .await
                .map_err(self.error())?;
        let exact = names.iter().find(|(_, name)| name == asked);
        let mut prefixed = names.iter().filter(|(_, name)| name.starts_with(asked));
        let found = match (exact, prefixed.next(), prefixed.next()) {
            (Some(found), _, _) => found,
            (None, Some(found), None) if !asked.is_empty() => found,
            (None, Some(_), Some(_)) => {
                let starting = names.iter().filter(|(_, name)| name.starts_with(asked));
                let candidates = starting.take(CANDIDATES).map(|(_, name)| name.clone()).collect();
                return Err(StoreError::Ambiguous { asked: asked.to_owned(), candidates });
            }
            _ => return Err(no_such_run(names.into_iter().take(CANDIDATES).map(|(_, name)| name).collect())),
        };
        self.run(RunId(found.0)).await?.ok_or_else(|| no_such_run(Vec::new()))
    }

    /// What the user wants of a run.
    pub async fn desired(&self, id: RunId) -> Result<Desired, StoreError> {
        let query = sqlx::query_scalar("SELECT desired FROM run WHERE id = ?").bind(id.0);
        let desired = query.fetch_optional(&self.pool).await.map_err(self.error())?;
        desired.ok_or_else(|| StoreError::NoSuchRun { asked: id.to_string(), like: Vec::new() })
    }

    /// The config as it was written, overrides applied.
    pub async fn config_text(&self, id: RunId) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT config_text FROM run WHERE id = ?").bind(id.0);
        query.fetch_optional(&self.pool).await.map_err(self.error())
    }

    /// All that the queue did with a run, oldest first.
    pub async fn journal(&self, id: RunId) -> Result<Vec<EventRow>, StoreError> {
        let query =
            sqlx::query_as("SELECT time_ms, step, kind, text FROM journal WHERE run = ? ORDER BY id").bind(id.0);
        query.fetch_all(&self.pool).await.map_err(self.error())
    }
}

/// Numbers of runs that are read in one piece.
const PART: i64 = 1000;

/// How many names an error lists.
const CANDIDATES: usize = 8;
