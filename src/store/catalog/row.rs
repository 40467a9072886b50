//! A row of the catalog, from its columns.

use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

use super::Catalog;
use crate::experiment::{RunId, Turn};
use crate::store::{RunRow, StoreError};

/// The columns that [`Catalog::row`] reads, in its order: those of the first schema, and those that came later with what
/// stands in their place where a file that cannot be upgraded is only looked at.
const COLUMNS: &str = "id, name, sweep, variant, tags, note, state, desired, config, added_ms, started_ms, ended_ms, \
                       attempts, summary, revision";
const LATER: &str = "priority, place, start_at_ms, waits_for, parent, device";
const LATER_ABSENT: &str = "0, NULL, NULL, '[]', NULL, NULL";

impl Catalog {
    /// The query for runs that `tail` selects.
    pub(super) fn select_runs(&self, tail: &'static str) -> AssertSqlSafe<String> {
        let later = if self.schema >= 2 { LATER } else { LATER_ABSENT };
        AssertSqlSafe(format!("SELECT {COLUMNS}, {later} FROM run {tail}"))
    }

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
            turn: Turn {
                priority: row.try_get(15).map_err(&error)?,
                place: row.try_get(16).map_err(&error)?,
                start_at_ms: row.try_get(17).map_err(&error)?,
                after: self.json(row, 18, "what it waits for")?,
            },
            parent: self.json_if_any(row, 19, "parent")?,
            device: row.try_get(20).map_err(&error)?,
        })
    }

    fn json<T: DeserializeOwned>(&self, row: &SqliteRow, column: usize, name: &str) -> Result<T, StoreError> {
        let value = self.json_if_any(row, column, name)?;
        value.ok_or_else(|| self.unreadable(name, &"it is missing"))
    }

    fn json_if_any<T: DeserializeOwned>(
        &self,
        row: &SqliteRow,
        column: usize,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = row.try_get(column).map_err(self.error())?;
        let parsed = text.map(serde_json::from_str).transpose();
        parsed.map_err(|error| {
            let id: i64 = row.try_get(0).unwrap_or_default();
            self.unreadable(&format!("{name} of run {id}"), &error)
        })
    }
}
