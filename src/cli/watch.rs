//! `linf-tui watch`: a plain report of a run's training, for logs, pipes and those who like lines.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use super::{Exit, Place, follow::Follow, place::line, wait::ended};
use crate::{
    experiment::{RunId, RunState},
    report::{progress, standing::standing},
    store::{EvalRow, EvalSplit, RunReader, RunRow, Store, now_ms},
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
    /// The highest certified accuracy, and whose images it is of.
    best: (EvalSplit, f64),
    /// When the last line was written.
    said: Option<Instant>,
}

/// A long epoch is no reason to say nothing.
const SILENCE: Duration = Duration::from_secs(20);

impl Said {
    /// Where the run stands, when that has changed.
    async fn state(&mut self, store: &Store, row: &RunRow) -> Result<()> {
        let mut holders = Vec::new();
        if let RunState::Queued { reason } = &row.state {
            for id in reason.runs() {
                holders.extend(store.catalog().run(*id).await?);
            }
        }
        let text = standing(row, now_ms(), |id| holders.iter().find(|holder| holder.id == id));
        // While it waits, the names it waits for matter and the minutes do not.
        let waits = (!holders.is_empty()).then(|| holders.iter().map(|row| row.name.as_str()).collect());
        if self.state != Some(row.state.word()) || self.waits != waits {
            self.state = Some(row.state.word());
            self.waits = waits;
            self.line(&format!("#{} {}: {text}", row.id, row.name))?;
        } else if self.said.is_some_and(|said| said.elapsed() >= SILENCE) && row.state.word() == "running" {
            self.line(&text)?;
        }
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.said = Some(Instant::now());
        Ok(line(text)?)
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
        let (epochs, evaluations) = (reader.epochs(self.epochs).await?, reader.evals(self.evaluations).await?);
        // What is left is left from now on, not from an epoch of the past.
        let newest = epochs.last().map(|epoch| epoch.epoch).filter(|_| row.state.holds_a_slot());
        let mut evaluations = evaluations.into_iter().peekable();
        for epoch in epochs {
            while let Some(earlier) = evaluations.next_if(|evaluation| evaluation.step < epoch.step) {
                self.evaluation(&earlier)?;
            }
            self.epochs = epoch.epoch + 1;
            let left = row.summary.eta_seconds.filter(|_| newest == Some(epoch.epoch));
            self.line(&progress::epoch(&epoch, &row.config, left))?;
        }
        evaluations.try_for_each(|evaluation| self.evaluation(&evaluation))
    }

    fn evaluation(&mut self, evaluation: &EvalRow) -> Result<()> {
        self.evaluations = evaluation.id + 1;
        // The best so far is of the same images.
        let (split, best) = self.best;
        let best = if split == evaluation.split { best.max(evaluation.certified) } else { evaluation.certified };
        self.best = (evaluation.split, best);
        self.line(&progress::evaluation(evaluation, best))
    }
}
