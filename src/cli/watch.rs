//! `linf-tui watch`: a plain report of a run's training, for logs, pipes and those who like lines.

use anyhow::Result;
use clap::Args;

use super::{Exit, Place, follow::Follow, place::line, wait::ended};
use crate::{
    experiment::RunId,
    report::{progress, standing::standing},
    store::{RunReader, RunRow, Store, now_ms},
};

/// Report a run's training, a line for each epoch and evaluation, until it has ended.
///
/// The first line says where the run stands, and what it waits for if it waits. The exit code is that of `linf-tui wait`.
/// Ending this command (ctrl-c) does not end the run.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
}

pub async fn run(args: WatchArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let id = store.catalog().find(&args.run).await?.id;
    follow(&store, id).await
}

/// Reports the run's training until it has ended.
pub async fn follow(store: &Store, id: RunId) -> Result<Exit> {
    let mut follow = Follow::new(store, &[id]).await?;
    let mut said = Said::default();
    loop {
        let Some(row) = follow.rows.get(&id).cloned() else { return Ok(Exit::NotFound) };
        // The row first, then what the run file holds: so all lines of a run that has ended are there.
        let end = ended(&row);
        if end.is_none() {
            said.state(store, &row).await?;
        }
        said.training(store, &row).await?;
        if let Some(end) = end {
            said.state(store, &row).await?;
            return Ok(end);
        }
        follow.next().await?;
    }
}

/// What has been reported so far.
#[derive(Default)]
struct Said {
    state: Option<&'static str>,
    waits: Option<String>,
    reader: Option<RunReader>,
    revision: Option<i64>,
    epochs: u32,
    evaluations: i64,
}

impl Said {
    /// Where the run stands, when that has changed.
    async fn state(&mut self, store: &Store, row: &RunRow) -> Result<()> {
        let mut holders = Vec::new();
        if let crate::experiment::RunState::Queued { reason: crate::experiment::WaitReason::Slot { held_by } } =
            &row.state
        {
            for id in held_by {
                holders.extend(store.catalog().run(*id).await?);
            }
        }
        let text = standing(row, now_ms(), |id| holders.iter().find(|holder| holder.id == id));
        // While it waits, the names it waits for matter and the minutes do not.
        let waits = (!holders.is_empty()).then(|| holders.iter().map(|row| row.name.as_str()).collect());
        if self.state != Some(row.state.word()) || self.waits != waits {
            self.state = Some(row.state.word());
            self.waits = waits;
            line(&format!("#{} {}: {text}", row.id, row.name))?;
        }
        Ok(())
    }

    /// The epochs and evaluations since the last call.
    async fn training(&mut self, store: &Store, row: &RunRow) -> Result<()> {
        if self.reader.is_none() {
            self.reader = RunReader::open(&store.run_dir(row.id)).await?;
        }
        let Some(reader) = &self.reader else { return Ok(()) };
        let revision = reader.revision().await?;
        if self.revision == Some(revision) {
            return Ok(());
        }
        self.revision = Some(revision);
        for epoch in reader.epochs(self.epochs).await? {
            self.epochs = epoch.epoch + 1;
            line(&progress::epoch(&epoch, &row.config, row.summary.eta_seconds))?;
        }
        for evaluation in reader.evals(self.evaluations).await? {
            self.evaluations = evaluation.id + 1;
            line(&progress::evaluation(&evaluation, row.summary.best_certified.map(|(best, _)| best)))?;
        }
        Ok(())
    }
}
