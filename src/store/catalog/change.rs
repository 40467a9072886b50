//! Changing what the catalog says about a run.

use std::{fs, io};

use sqlx::{Sqlite, Transaction, query::Query, sqlite::SqliteArguments};

use super::{Catalog, Safe};
use crate::{
    experiment::{Desired, RunId, RunState, WaitReason},
    store::{EventRow, StoreError, Summary, about::About, clock::now_ms, filesystem::io_error, layout},
};

impl Catalog {
    /// Writes down what the user wants of a run.
    pub async fn set_desired(&self, id: RunId, desired: Desired) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        let query = sqlx::query("UPDATE run SET desired = ?, revision = ? WHERE id = ?").bind(desired);
        self.change(transaction, id, query.bind(revision)).await
    }

    /// Takes a run from one state to another and journals it, in one transaction. `false`, with nothing changed, where
    /// the run is no longer in `from`: somebody else was faster, so look again and decide again.
    ///
    /// Starting a worker counts an attempt and sets the start time; a state that holds no worker sets the end time.
    pub async fn transition(&self, id: RunId, from: &RunState, to: &RunState, event: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        if !self.stands_at(&mut transaction, id, from).await? {
            return Ok(false);
        }
        let revision = self.next_revision(&mut transaction).await?;
        let now = now_ms();
        let starts = matches!(to, RunState::Starting { identity: None, .. });
        let ends = to.is_over() || matches!(to, RunState::Paused { .. });
        sqlx::query(
            "UPDATE run SET state = ?, word = ?, revision = ?, attempts = attempts + ?,
                    started_ms = CASE WHEN ? THEN coalesce(started_ms, ?) ELSE started_ms END,
                    ended_ms = CASE WHEN ? THEN ? WHEN ? THEN NULL ELSE ended_ms END
             WHERE id = ?",
        )
        .bind(self.to_json(to)?)
        .bind(to.word())
        .bind(revision)
        .bind(i64::from(starts))
        .bind(starts)
        .bind(now)
        .bind(ends)
        .bind(now)
        .bind(starts)
        .bind(id.0)
        .execute(&mut *transaction)
        .await
        .map_err(self.error())?;
        self.journal_row(&mut transaction, id, now, "state", event).await?;
        transaction.commit().await.map_err(self.error())?;
        Ok(true)
    }

    /// Copies the figures of a run file. Not synced to the disk: they can be read again.
    pub async fn set_summary(&self, id: RunId, summary: &Summary) -> Result<(), StoreError> {
        let json = self.to_json(summary)?;
        let mut transaction = self.begin(Safe::FromKills).await?;
        let revision = self.next_revision(&mut transaction).await?;
        let query = sqlx::query("UPDATE run SET summary = ?, revision = ? WHERE id = ?").bind(json);
        self.change(transaction, id, query.bind(revision)).await
    }

    /// Copies the figures of a run file, and where training stands into the run's state. Neither journalled nor synced to
    /// the disk. `false`, with nothing changed, where the run is no longer in `from`.
    pub async fn set_progress(
        &self,
        id: RunId,
        from: &RunState,
        to: &RunState,
        summary: &Summary,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin(Safe::FromKills).await?;
        if !self.stands_at(&mut transaction, id, from).await? {
            return Ok(false);
        }
        let revision = self.next_revision(&mut transaction).await?;
        let query = sqlx::query("UPDATE run SET state = ?, word = ?, summary = ?, revision = ? WHERE id = ?")
            .bind(self.to_json(to)?)
            .bind(to.word())
            .bind(self.to_json(summary)?);
        self.change(transaction, id, query.bind(revision)).await.map(|()| true)
    }

    /// Writes down why queued runs wait, all in one transaction: neither journalled nor synced to the disk, because
    /// thousands change at once when a run ends. Runs that are no longer queued stay as they are.
    pub async fn set_waits(&self, waits: &[(RunId, WaitReason)]) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromKills).await?;
        let revision = self.next_revision(&mut transaction).await?;
        for (id, reason) in waits {
            let state = RunState::Queued { reason: reason.clone() };
            sqlx::query("UPDATE run SET state = ?, revision = ? WHERE id = ? AND word = ?")
                .bind(self.to_json(&state)?)
                .bind(revision)
                .bind(id.0)
                .bind(state.word())
                .execute(&mut *transaction)
                .await
                .map_err(self.error())?;
        }
        transaction.commit().await.map_err(self.error())
    }

    /// Replaces a run's tags.
    pub async fn set_tags(&self, id: RunId, tags: &[String]) -> Result<(), StoreError> {
        let json = self.to_json(&tags)?;
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        self.amend_about(id, |about| about.tags = tags.to_owned())?;
        let query = sqlx::query("UPDATE run SET tags = ?, revision = ? WHERE id = ?").bind(json);
        self.change(transaction, id, query.bind(revision)).await
    }

    /// Replaces a run's note.
    pub async fn set_note(&self, id: RunId, note: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        self.amend_about(id, |about| about.note = note.to_owned())?;
        let query = sqlx::query("UPDATE run SET note = ?, revision = ? WHERE id = ?").bind(note.to_owned());
        self.change(transaction, id, query.bind(revision)).await
    }

    /// Writes down in a run's journal that its certificates cannot be trusted, and why.
    pub async fn doubt(&self, id: RunId, why: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        self.journal_row(&mut transaction, id, now_ms(), EventRow::UNSOUND, why).await?;
        self.change(transaction, id, sqlx::query("UPDATE run SET revision = ? WHERE id = ?").bind(revision)).await
    }

    /// Tells the run's folder what the catalog is about to say; a folder without the file is left without.
    pub(super) fn amend_about(&self, id: RunId, amend: impl FnOnce(&mut About)) -> Result<(), StoreError> {
        let dir = layout::run_dir(&self.root, id);
        let Some(mut about) = About::read(&dir)? else { return Ok(()) };
        amend(&mut about);
        about.write(&dir)
    }

    /// Removes a run that no worker holds, then its folder. Its number is not given again.
    pub async fn remove(&self, id: RunId) -> Result<(), StoreError> {
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM run WHERE id = ?")
            .bind(id.0)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(self.error())?;
        let state = state.ok_or_else(|| no_such_run(id))?;
        // A state that cannot be read must not keep a broken run from being removed.
        if let Ok(state) = serde_json::from_str::<RunState>(&state)
            && state.holds_a_slot()
        {
            return Err(StoreError::AtWork { id, word: state.word() });
        }
        let revision = self.next_revision(&mut transaction).await?;
        sqlx::query("INSERT INTO removed (id, revision) VALUES (?, ?)")
            .bind(id.0)
            .bind(revision)
            .execute(&mut *transaction)
            .await
            .map_err(self.error())?;
        self.change(transaction, id, sqlx::query("DELETE FROM run WHERE id = ?")).await?;
        let dir = layout::run_dir(&self.root, id);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &dir)(error)),
            _ => Ok(()),
        }
    }

    /// As [`remove`](Self::remove), of a run whose folder is gone. It is not known as removed: the folder may come back.
    pub(in crate::store) async fn drop_missing(&self, id: RunId) -> Result<(), StoreError> {
        self.remove(id).await?;
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        sqlx::query("DELETE FROM removed WHERE id = ?")
            .bind(id.0)
            .execute(&mut *transaction)
            .await
            .map_err(self.error())?;
        transaction.commit().await.map_err(self.error())
    }

    /// Whether the run is in just this state.
    async fn stands_at(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        id: RunId,
        state: &RunState,
    ) -> Result<bool, StoreError> {
        let stored: Option<String> = sqlx::query_scalar("SELECT state FROM run WHERE id = ?")
            .bind(id.0)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(self.error())?;
        let stored = stored.ok_or_else(|| no_such_run(id))?;
        let stored: RunState =
            serde_json::from_str(&stored).map_err(|error| self.unreadable(&format!("state of run {id}"), &error))?;
        Ok(stored == *state)
    }

    /// Runs a statement whose last parameter is the run's number, and commits.
    pub(super) async fn change(
        &self,
        mut transaction: Transaction<'static, Sqlite>,
        id: RunId,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<(), StoreError> {
        let done = query.bind(id.0).execute(&mut *transaction).await.map_err(self.error())?;
        if done.rows_affected() == 0 {
            return Err(no_such_run(id));
        }
        transaction.commit().await.map_err(self.error())
    }

    pub(super) async fn journal_row(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        id: RunId,
        now: i64,
        kind: &'static str,
        text: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO journal (run, time_ms, kind, text) VALUES (?, ?, ?, ?)")
            .bind(id.0)
            .bind(now)
            .bind(kind)
            .bind(text)
            .execute(&mut **transaction)
            .await
            .map_err(self.error())?;
        Ok(())
    }
}

fn no_such_run(id: RunId) -> StoreError {
    StoreError::NoSuchRun { asked: id.to_string(), like: Vec::new() }
}
