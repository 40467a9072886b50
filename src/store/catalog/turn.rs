//! Turns, group limits and devices: what the dispatcher plans with.

use std::collections::BTreeMap;

use super::{Catalog, Safe};
use crate::{
    experiment::{Device, RunId, Turn},
    store::{StoreError, clock::now_ms},
};

impl Catalog {
    /// Changes when the turns of runs come, all in one transaction; `text` is the journal's line.
    pub async fn set_turns(&self, turns: &[(RunId, Turn)], text: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        for (id, turn) in turns {
            self.amend_about(*id, |about| about.turn = turn.clone())?;
            sqlx::query(
                "UPDATE run SET priority = ?, place = ?, start_at_ms = ?, waits_for = ?, revision = ? WHERE id = ?",
            )
            .bind(turn.priority)
            .bind(turn.place)
            .bind(turn.start_at_ms)
            .bind(self.to_json(&turn.after)?)
            .bind(revision)
            .bind(id.0)
            .execute(&mut *transaction)
            .await
            .map_err(self.error())?;
            self.journal_row(&mut transaction, *id, now_ms(), "turn", text).await?;
        }
        transaction.commit().await.map_err(self.error())
    }

    /// How many runs of each group may train at once; a group that is missing has no limit.
    pub async fn group_slots(&self) -> Result<BTreeMap<String, usize>, StoreError> {
        if self.schema < 2 {
            return Ok(BTreeMap::new());
        }
        let query = sqlx::query_as::<_, (String, i64)>("SELECT name, slots FROM group_slots");
        let rows = query.fetch_all(&self.pool).await.map_err(self.error())?;
        Ok(rows.into_iter().map(|(name, slots)| (name, usize::try_from(slots).unwrap_or(usize::MAX))).collect())
    }

    /// Limits how many runs of a group may train at once, or lifts the limit.
    pub async fn set_group_slots(&self, group: &str, slots: Option<u32>) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        // Pollers shall look again.
        self.next_revision(&mut transaction).await?;
        let query = match slots {
            Some(slots) => sqlx::query("INSERT OR REPLACE INTO group_slots (name, slots) VALUES (?, ?)")
                .bind(group.to_owned())
                .bind(slots),
            None => sqlx::query("DELETE FROM group_slots WHERE name = ?").bind(group.to_owned()),
        };
        query.execute(&mut *transaction).await.map_err(self.error())?;
        transaction.commit().await.map_err(self.error())
    }

    /// Writes down which device a run is about to be given.
    pub async fn set_device(&self, id: RunId, device: Device) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromKills).await?;
        let revision = self.next_revision(&mut transaction).await?;
        let query = sqlx::query("UPDATE run SET device = ?, revision = ? WHERE id = ?").bind(device);
        self.change(transaction, id, query.bind(revision)).await
    }
}
