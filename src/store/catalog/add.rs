//! Adding runs: their rows and their folders.

use std::fs;

use sqlx::{Sqlite, Transaction};

use super::Catalog;
use crate::{
    experiment::{Config, Desired, RunId, RunState, WaitReason, run_name},
    store::{
        StoreError, Summary,
        clock::now_ms,
        filesystem::{create_private_dir, create_private_file, io_error},
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
        }
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
        let mut transaction = self.begin(&self.durable).await?;
        let revision = self.next_revision(&mut transaction).await?;
        let mut ids = Vec::with_capacity(runs.len());
        for run in runs {
            let id = self.next_id(&mut transaction).await?;
            self.insert(&mut transaction, id, revision, &run).await?;
            self.create_folder(id, &run.config_text)?;
            ids.push(id);
        }
        transaction.commit().await.map_err(self.error())?;
        Ok(ids)
    }

    /// A number never given before, whose folder holds no run: one may lie there if the catalog was lost and made anew.
    async fn next_id(&self, transaction: &mut Transaction<'static, Sqlite>) -> Result<RunId, StoreError> {
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

    async fn insert(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        id: RunId,
        revision: i64,
        run: &NewRun,
    ) -> Result<(), StoreError> {
        let (state, desired) = match run.held {
            true => (RunState::Paused { checkpoint: None }, Desired::Pause),
            false => (RunState::Queued { reason: WaitReason::New }, Desired::Run),
        };
        let mut tags = run.config.run.tags.clone();
        tags.extend(run.tags.iter().filter(|tag| !run.config.run.tags.contains(tag)).cloned());
        let name = match &run.name {
            Some(name) => name.clone(),
            None => self.free_name(transaction, id).await?,
        };
        let now = now_ms();
        let inserted = sqlx::query(
            "INSERT INTO run (id, name, sweep, variant, tags, note, word, state, desired, config, config_text,
                              added_ms, summary, revision)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.0)
        .bind(&name)
        .bind(&run.group)
        .bind(&run.variant)
        .bind(self.to_json(&tags)?)
        .bind(&run.note)
        .bind(state.word())
        .bind(self.to_json(&state)?)
        .bind(desired)
        .bind(self.to_json(&run.config)?)
        .bind(&run.config_text)
        .bind(now)
        .bind(self.to_json(&Summary::default())?)
        .bind(revision)
        .execute(&mut **transaction)
        .await;
        match inserted {
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                return Err(StoreError::NameTaken(name));
            }
            other => other.map_err(self.error())?,
        };
        let text = if run.held { "added, on hold" } else { "added to the queue" };
        self.journal_row(transaction, id, now, text).await
    }

    /// The name that belongs to the number, with a suffix where somebody gave it to another run.
    async fn free_name(&self, transaction: &mut Transaction<'static, Sqlite>, id: RunId) -> Result<String, StoreError> {
        let plain = run_name(id);
        let mut name = plain.clone();
        for suffix in 'b'..='z' {
            let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE name = ?)")
                .bind(&name)
                .fetch_one(&mut **transaction)
                .await
                .map_err(self.error())?;
            if !taken {
                break;
            }
            name = format!("{plain}-{suffix}");
        }
        Ok(name)
    }

    /// Not synced to the disk: the catalog holds the same text.
    fn create_folder(&self, id: RunId, config_text: &str) -> Result<(), StoreError> {
        let dir = layout::run_dir(&self.root, id);
        create_private_dir(&dir)?;
        let file = layout::config_file(&dir);
        create_private_file(&file)?;
        fs::write(&file, config_text).map_err(io_error("write", &file))
    }

    pub(super) fn to_json(&self, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| self.unreadable("a value that JSON cannot hold", &error))
    }
}

fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = name.chars().all(allowed) && name.chars().any(char::is_alphabetic) && name.chars().count() <= 64;
    if good { Ok(()) } else { Err(StoreError::BadName(name.to_owned())) }
}
