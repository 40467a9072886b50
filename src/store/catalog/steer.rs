//! Orders to runs under way.

use super::{Catalog, Safe};
use crate::{
    experiment::{Order, RunId},
    store::{StoreError, clock::now_ms},
};

impl Catalog {
    /// Writes orders down for a run's worker, in one transaction, with a line each in the journal.
    pub async fn steer(&self, id: RunId, orders: &[Order]) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        self.next_revision(&mut transaction).await?;
        for order in orders {
            let now = now_ms();
            sqlx::query("INSERT INTO steering (key, run, time_ms, json) VALUES (?, ?, ?, ?)")
                .bind(&order.key)
                .bind(id.0)
                .bind(now)
                .bind(self.to_json(order)?)
                .execute(&mut *transaction)
                .await
                .map_err(self.error())?;
            let when = order.at_step.map_or_else(String::new, |step| format!(" from step {step} on"));
            let text = format!("asked for {}{when}", order.what);
            self.journal_row(&mut transaction, id, now, "steer", &text).await?;
        }
        transaction.commit().await.map_err(self.error())
    }

    /// All orders that were ever given to a run, oldest first.
    pub async fn steering(&self, id: RunId) -> Result<Vec<Order>, StoreError> {
        if self.schema < 2 {
            return Ok(Vec::new());
        }
        let query = sqlx::query_scalar("SELECT json FROM steering WHERE run = ? ORDER BY time_ms, rowid").bind(id.0);
        let rows: Vec<String> = query.fetch_all(&self.pool).await.map_err(self.error())?;
        let read = |json: &String| {
            serde_json::from_str(json).map_err(|error| self.unreadable(&format!("an order to run {id}"), &error))
        };
        rows.iter().map(read).collect()
    }
}
