//! A row of the catalog, from its columns.

use serde::de::DeserializeOwned;
use sqlx::{Row, sqlite::SqliteRow};

use super::Catalog;
use crate::experiment::RunId;
use crate::store::{RunRow, StoreError};

/// The columns that [`Catalog::row`] reads, in its order.
macro_rules! select_runs {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, sweep, variant, tags, note, state, desired, config, added_ms, started_ms, ended_ms, ",
            "attempts, summary, revision FROM run ",
            $tail
        )
    };
}
pub(super) use select_runs;

impl Catalog {
    pub(super) fn row(&self, row: &SqliteRow) -> Result<RunRow, StoreError> {
        let error = self.error();
        Ok(RunRow {
            id: RunId(row.try_get(0).map_err(&error)?),
            name: row.try_get(1).map_err(&error)?,
            group: row.try_get(2).map_err(&error)?,
            variant: row.try_get(3).map_err(&error)?,
            tags: self.json(row, 4, "tags")?,
            note: row.try_get(5).map_err(&error)?,
            state: self.json(row, 6, "state")?,
            desired: row.try_get(7).map_err(&error)?,
            config: self.json(row, 8, "config")?,
            added_ms: row.try_get(9).map_err(&error)?,
            started_ms: row.try_get(10).map_err(&error)?,
            ended_ms: row.try_get(11).map_err(&error)?,
            attempts: row.try_get(12).map_err(&error)?,
            summary: self.json(row, 13, "summary")?,
            revision: row.try_get(14).map_err(&error)?,
        })
    }

    fn json<T: DeserializeOwned>(&self, row: &SqliteRow, column: usize, name: &str) -> Result<T, StoreError> {
        let text: &str = row.try_get(column).map_err(self.error())?;
        serde_json::from_str(text).map_err(|error| {
            let id: i64 = row.try_get(0).unwrap_or_default();
            self.unreadable(&format!("{name} of run {id}"), &error)
        })
    }
}
