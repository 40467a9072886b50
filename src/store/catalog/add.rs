//! Adding runs: their rows and their folders.

use std::{fs, io};

use sqlx::{Sqlite, Transaction};

use super::{Catalog, Safe};
use crate::{
    experiment::{Config, Desired, Device, Parent, RunId, RunState, Turn, WaitReason, run_name},
    store::{
        RunRow, StoreError, Summary,
        about::About,
        clock::now_ms,
        filesystem::{create_private_dir, replace},
        layout,
    },
};

/// A run to be added.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The config with all defaults filled in.
    pub config: Config,
    /// The config as written, overrides applied: kept word for word.
    pub config_text: String,
    /// Its name; drawn from the run's number where absent.
    pub name: Option<String>,
    /// Runs of one sweep share a group.
    pub group: Option<String>,
    /// What differs inside the group: `loss.lambda=0.05 train.seed=2`.
    pub variant: String,
    /// Words to filter by; those of the config's `[run]` are added.
    pub tags: Vec<String>,
    /// A line of the user's.
    pub note: String,
    /// Added as paused: it waits until its user resumes it.
    pub held: bool,
    /// When its turn comes.
    pub turn: Turn,
    /// The checkpoint it begins from, where it does not begin from nothing.
    pub parent: Option<Parent>,
}

impl NewRun {
    /// A run with nothing but its config.
    pub fn new(config: Config, config_text: impl Into<String>) -> NewRun {
        NewRun {
            config,
            config_text: config_text.into(),
            name: None,
            group: None,
            variant: String::new(),
            tags: Vec::new(),
            note: String::new(),
            held: false,
            turn: Turn::default(),
            parent: None,
        }
    }
}

/// A row of the catalog to be inserted.
pub(in crate::store) struct Entry {
    pub about: About,
    pub config: Config,
    pub config_text: String,
    pub state: RunState,
    pub summary: Summary,
    pub attempts: u32,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    /// Which it holds now, where a worker is at work.
    pub device: Option<Device>,
}

impl Entry {
    /// A run that no worker has seen.
    pub(in crate::store) fn queued(config: Config, config_text: String, about: About) -> Entry {
        let state = RunState::Queued { reason: WaitReason::New };
        let summary = Summary::default();
        let (started_ms, ended_ms, device) = (None, None, None);
        Entry { about, config, config_text, state, summary, attempts: 0, started_ms, ended_ms, device }
    }
}

impl Catalog {
    /// Queues a run and creates its folder.
    pub async fn add(&self, run: NewRun) -> Result<RunId, StoreError> {
        let ids = self.add_many(vec![run]).await?;
        ids.into_iter().next().ok_or_else(|| self.unreadable("adding a run", &"no number was given"))
    }

    /// Queues runs in this order and creates their folders: all or none.
    pub async fn add_many(&self, runs: Vec<NewRun>) -> Result<Vec<RunId>, StoreError> {
        for run in &runs {
            run.name.as_deref().map_or(Ok(()), check_name)?;
        }
        let mut transaction = self.begin(Safe::FromPowerCuts).await?;
        let revision = self.next_revision(&mut transaction).await?;
        let mut ids = Vec::with_capacity(runs.len());
        for run in runs {
            let id = self.next_id(&mut transaction).await?;
            let name = match run.name {
                Some(name) => name,
                None => self.free_name(&mut transaction, &run_name(id)).await?,
            };
            let mut tags = run.config.run.tags.clone();
            tags.extend(run.tags.into_iter().filter(|tag| !run.config.run.tags.contains(tag)));
            let (group, variant, note, turn, parent) = (run.group, run.variant, run.note, run.turn, run.parent);
            let about = About { name, group, variant, tags, note, added_ms: now_ms(), turn, parent };
            self.create_folder(id, &run.config_text, &about)?;
            let mut row = Entry::queued(run.config, run.config_text, about);
            let mut event = "added to the queue";
            if run.held {
                (row.state, event) = (RunState::Paused { checkpoint: None }, "added, on hold");
            }
            self.insert(&mut transaction, id, revision, &row, event).await?;
            ids.push(id);
        }
        transaction.commit().await.map_err(self.error())?;
        Ok(ids)
    }

    /// A number never given before, whose folder holds no run: one may lie there if the catalog was lost and made anew.
    pub(super) async fn next_id(&self, transaction: &mut Transaction<'static, Sqlite>) -> Result<RunId, StoreError> {
        loop {
            let id: i64 = sqlx::query_scalar("UPDATE counter SET last_run = last_run + 1 RETURNING last_run")
                .fetch_one(&mut **transaction)
                .await
                .map_err(self.error())?;
            let id = RunId(id);
            if !layout::run_file(&layout::run_dir(&self.root, id)).exists() {
                return Ok(id);
            }
        }
    }

    pub(super) async fn insert(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        id: RunId,
        revision: i64,
        row: &Entry,
        event: &str,
    ) -> Result<(), StoreError> {
        let Entry { about, config, config_text, state, summary, attempts, started_ms, ended_ms, device } = row;
        // A run that stands still does so by somebody's wish; any other wish would set it going.
        let desired = match state {
            RunState::Paused { .. } => Desired::Pause,
            RunState::Cancelled { .. } => Desired::Cancel,
            _ => Desired::Run,
        };
        let inserted = sqlx::query(
            "INSERT INTO run (id, name, sweep, variant, tags, note, word, state, desired, config, config_text,
                              added_ms, started_ms, ended_ms, attempts, summary, revision, priority, place,
                              start_at_ms, waits_for, parent, device)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.0)
        .bind(&about.name)
        .bind(&about.group)
        .bind(&about.variant)
        .bind(self.to_json(&about.tags)?)
        .bind(&about.note)
        .bind(state.word())
        .bind(self.to_json(state)?)
        .bind(desired)
        .bind(self.to_json(config)?)
        .bind(config_text)
        .bind(about.added_ms)
        .bind(started_ms)
        .bind(ended_ms)
        .bind(attempts)
        .bind(self.to_json(summary)?)
        .bind(revision)
        .bind(about.turn.priority)
        .bind(about.turn.place)
        .bind(about.turn.start_at_ms)
        .bind(self.to_json(&about.turn.after)?)
        .bind(about.parent.as_ref().map(|parent| self.to_json(parent)).transpose()?)
        .bind(*device)
        .execute(&mut **transaction)
        .await;
        match inserted {
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                return Err(StoreError::NameTaken(about.name.clone()));
            }
            other => other.map_err(self.error())?,
        };
        self.journal_row(transaction, id, now_ms(), "state", event).await
    }

    /// An error where the name cannot be a new run's.
    ///
    /// # Errors
    /// It is no name, or another run has it.
    pub async fn check_free(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE name = ?)")
            .bind(name.to_owned())
            .fetch_one(&self.pool)
            .await
            .map_err(self.error())?;
        if taken { Err(StoreError::NameTaken(name.to_owned())) } else { Ok(()) }
    }

    /// The name, with a suffix where another run has it.
    pub(super) async fn free_name(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        wanted: &str,
    ) -> Result<String, StoreError> {
        let mut name = wanted.to_owned();
        let mut suffix = 2;
        loop {
            let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE name = ?)")
                .bind(&name)
                .fetch_one(&mut **transaction)
                .await
                .map_err(self.error())?;
            if !taken {
                return Ok(name);
            }
            name = format!("{wanted}.{suffix}");
            suffix += 1;
        }
    }

    /// Not synced to the disk: the catalog holds the same text.
    fn create_folder(&self, id: RunId, config_text: &str, about: &About) -> Result<(), StoreError> {
        let dir = layout::run_dir(&self.root, id);
        create_private_dir(&dir)?;
        replace(&layout::config_file(&dir), config_text.as_bytes())?;
        about.write(&dir)
    }

    /// Writes a run's config anew, and its folder where that is gone, if it did not reach the disk before a power cut: the
    /// catalog did, and what lies beside it is not synced when a run is added. Whether it had to. The folder of a run that
    /// has trained is more than that, and is never made up.
    ///
    /// # Errors
    /// The catalog cannot be read, or the folder not written.
    pub async fn mend_folder(&self, row: &RunRow) -> Result<bool, StoreError> {
        let dir = layout::run_dir(&self.root, row.id);
        if row.summary.step > 0 && !layout::run_file(&dir).exists() {
            return Ok(false);
        }
        let Some(text) = self.config_text(row.id).await? else { return Ok(false) };
        // A file whose blocks were never written is empty, or zeros, or a beginning.
        let cut_short =
            |found: &[u8]| found.contains(&0) || (found.len() < text.len() && text.as_bytes().starts_with(found));
        match fs::read(layout::config_file(&dir)) {
            Ok(found) if !cut_short(&found) => return Ok(false),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Ok(false),
            _ => {}
        }
        let about = About {
            name: row.name.clone(),
            group: row.group.clone(),
            variant: row.variant.clone(),
            tags: row.tags.clone(),
            note: row.note.clone(),
            added_ms: row.added_ms,
            turn: row.turn.clone(),
            parent: row.parent.clone(),
        };
        self.create_folder(row.id, &text, &about)?;
        Ok(true)
    }

    pub(super) fn to_json(&self, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| self.unreadable("a value that JSON cannot hold", &error))
    }
}

/// An error where the name cannot be a run's.
///
/// # Errors
/// It is too long, or has a character that names do not have, or no letter.
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = name.chars().all(allowed) && name.chars().any(char::is_alphabetic) && name.chars().count() <= 64;
    if good { Ok(()) } else { Err(StoreError::BadName(name.to_owned())) }
}
