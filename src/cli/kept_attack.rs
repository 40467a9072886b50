//! Which attacks of the command line are kept with their run.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Place, measure::Measured, place::warn};
use crate::{
    dispatch::lock::{self, Lock},
    experiment::RunState,
    store::{AttackRow, EvalSplit, Findings, RunReader},
};

/// How long the lock of a run may be somebody else's.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps an attack with a complete run whose result it is on, at the run's own ε and on no more images than its figures are
/// of; where its file has one on more images, or one on as many that broke more, that stays. Says what was done. An attack
/// on anything else is nobody's to keep, and nothing is said.
pub async fn keep(measured: &Measured, row: AttackRow, found: Findings, place: &Place) -> Result<()> {
    let Some(stored) = measured.run.as_ref().filter(|_| row.eps == measured.config.eval.eps) else { return Ok(()) };
    let store = place.existing().await?;
    // Before anything is written, the lock's file included.
    store.catalog().check_writable()?;
    let path = lock::of_worker(&stored.folder);
    let lock = Lock::take(&path, PATIENCE).with_context(|| format!("locking {}", path.display()))?;
    let run = store.catalog().run(stored.id).await?.filter(|run| run.state == RunState::Completed);
    // What a worker trains on is no result.
    let (Some(_lock), Some(run)) = (lock, run) else { return Ok(()) };
    let reader = RunReader::open(&stored.folder).await?.context("the run file is gone")?;
    let evals = reader.evals(0).await?;
    let result = evals.iter().rfind(|eval| eval.split == EvalSplit::Test);
    if result.is_none_or(|eval| eval.step != row.step || eval.samples < row.samples) {
        return Ok(());
    }
    let stronger = |known: &&AttackRow| {
        known.step == row.step && (known.samples, -known.under_all) > (row.samples, -row.under_all)
    };
    if let Some(known) = reader.attacks().await?.iter().find(stronger) {
        let left = 100.0 * known.under_all;
        warn(&format!("{} keeps its earlier attack, on {} images: {left:.2} % are right", run.name, known.samples));
        return Ok(());
    }
    store.keep_attack(&run, &row, &found).await?;
    warn(&format!("kept with {}: its screens and `linf-tui show` have this attack", run.name));
    Ok(())
}
