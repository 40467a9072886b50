//! The client's side: writing down what is wanted of a run, and making it so where no worker has to be asked.

use std::path::Path;

use super::{
    machine::{Event, Illegal, step},
    narrate::narrate,
};
use crate::{
    experiment::{Desired, RunId, RunState},
    store::{RunReader, RunRow, Store, StoreError, checkpoint, now_ms},
};

/// Why a wish is not granted.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The run's state does not allow it; nothing was changed.
    #[error("{name}: {why}")]
    Illegal {
        /// The run.
        name: String,
        /// Why.
        why: Illegal,
    },
    /// The catalog cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What "cancel" means for a run: stop at a checkpoint; if that has been asked already, at once.
pub fn cancel(row: &RunRow) -> Desired {
    match row.desired {
        Desired::Cancel | Desired::CancelNow if row.state.holds_a_slot() => Desired::CancelNow,
        _ => Desired::Cancel,
    }
}

/// Asks something of a run and gives its row afterwards. A run without a worker (queued, paused, ended) takes its new
/// state at once, with or without a dispatcher. One with a worker is asked: the worker hears it from the catalog, and the
/// dispatcher records what comes of it, so call [`super::ensure_dispatcher`] next.
pub async fn ask(store: &Store, id: RunId, desired: Desired) -> Result<RunRow, AskError> {
    let catalog = store.catalog();
    loop {
        let row = present(store, id).await?;
        let checkpoint = match &row.state {
            RunState::Queued { .. } => last_checkpoint(&store.run_dir(id)).await?,
            _ => None,
        };
        let event = Event::Asked { desired, checkpoint, now_ms: now_ms() };
        let (next, _) = step(&row.state, &event).map_err(|why| AskError::Illegal { name: row.name.clone(), why })?;
        if row.desired != desired {
            catalog.set_desired(id, desired).await?;
        }
        if row.state.holds_a_slot() || next == row.state {
            return Ok(present(store, id).await?);
        }
        if catalog.transition(id, &row.state, &next, &narrate(&row.state, &event, &next)).await? {
            return Ok(present(store, id).await?);
        }
        // The dispatcher was faster: the run stands elsewhere now, and is asked there.
    }
}

/// Whether something is left to do for a dispatcher.
pub fn needs_a_dispatcher(row: &RunRow) -> bool {
    match (&row.state, row.desired) {
        (RunState::Queued { .. }, _) => true,
        (state, _) if state.holds_a_slot() => true,
        // A client ended between writing down the wish and fulfilling it.
        (RunState::Paused { .. }, Desired::Run | Desired::Cancel | Desired::CancelNow) => true,
        (RunState::Cancelled { .. }, Desired::Run) => true,
        _ => false,
    }
}

/// The step of the run's newest checkpoint: where it stands while nobody works on it.
pub(super) async fn last_checkpoint(run_dir: &Path) -> Result<Option<u64>, StoreError> {
    let listed = async {
        match RunReader::open(run_dir).await? {
            Some(reader) => reader.checkpoints().await,
            None => Ok(Vec::new()),
        }
    };
    let rows = match listed.await {
        // A broken run file must not keep a run from being paused; its checkpoints are files of their own.
        Err(error) if error.is_damage() => checkpoint::found(run_dir)?,
        rows => rows?,
    };
    Ok(rows.iter().map(|row| row.step).max())
}

async fn present(store: &Store, id: RunId) -> Result<RunRow, StoreError> {
    let gone = || StoreError::NoSuchRun { asked: id.to_string(), like: Vec::new() };
    store.catalog().run(id).await?.ok_or_else(gone)
}
