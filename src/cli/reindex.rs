//! `linf-tui reindex`: makes the catalog say what the runs' folders say.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{Exit, Place, place::line};
use crate::{
    dispatch::{
        ensure_dispatcher, identity,
        lock::{self, Lock},
        needs_a_dispatcher,
    },
    store::Store,
};

/// Rebuild the queue's catalog from the runs' folders, which are the truth.
///
/// A catalog that cannot be read is set aside and made anew; one that can keeps all that only it knows. Runs that train
/// are not disturbed.
#[derive(Debug, Args)]
pub struct ReindexArgs {}

pub async fn run(_: ReindexArgs, place: &Place) -> Result<Exit> {
    let root = place.root();
    if !root.is_dir() {
        bail!("there is no folder {}: name the store with --store or LINF_STORE", root.display());
    }
    // Whoever holds this lock is the only one to change what workers do.
    let path = lock::of_dispatcher(root);
    let lock = Lock::take(&path, Duration::from_secs(1)).with_context(|| format!("cannot lock {}", path.display()))?;
    let Some(lock) = lock else {
        bail!(
            "a dispatcher works on this store: end it first (`kill $(cat {})`). No run is disturbed by that",
            path.display()
        );
    };
    let alive = |worker: &_| identity::alive(worker).unwrap_or(false);
    let (store, report) = Store::reindex(root, &alive).await?;
    if let Some(kept) = &report.kept {
        line(&format!("the old catalog could not be read; it lies in {}", kept.display()))?;
    }
    for (path, why) in &report.unreadable {
        line(&format!("left out: {}: {why}", path.display()))?;
    }
    for path in &report.left_over {
        line(&format!("left out: {}: the run was removed before; import the folder, or delete it", path.display()))?;
    }
    let (added, refreshed, gone) = (report.added.len(), report.refreshed.len(), report.gone.len());
    line(&format!("{added} added, {refreshed} refreshed, {gone} without a folder dropped"))?;
    if !report.mended.is_empty() {
        line(&format!("{} that had not begun have their folders again", report.mended.len()))?;
    }
    if !report.paused.is_empty() {
        let runs: Vec<String> = report.paused.iter().map(ToString::to_string).collect();
        let (count, runs) = (runs.len(), runs.join(" "));
        line(&format!(
            "{count} of those added had not begun, and are paused, as the old catalog alone knew whether they were to: \
             `linf-tui resume {runs}`"
        ))?;
    }
    drop(lock);
    if store.catalog().runs().await?.iter().any(needs_a_dispatcher) {
        ensure_dispatcher(root)?;
    }
    Ok(if report.unreadable.is_empty() { Exit::Done } else { Exit::Failed })
}
