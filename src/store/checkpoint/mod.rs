//! Checkpoints: each an SQLite file of its own, `checkpoints/<step>.db` in the run's folder, committed whole or not at
//! all and hash-checked when it is read.
//!
//! A file of its own, because big blobs beside the metrics would stall everybody who reads or writes those; SQLite,
//! because any SQLite client can then look into it. All calls block: they are for the training thread and its like, and
//! may be made from anywhere, a runtime included.

mod found;
mod newest;
mod read;
mod tensor;
mod write;

use std::{
    path::{Path, PathBuf},
    thread,
};

use tokio::runtime;

pub use found::found;
pub use newest::{Good, Skipped, newest_good};
pub use read::{Loaded, read};
pub use tensor::{OwnedData, OwnedTensor, Tensor, TensorData};
pub use write::{Written, write};

use super::{StoreError, database::Kind, layout};

static CHECKPOINT: Kind = Kind {
    name: "a checkpoint of linf-tui",
    application_id: 0x4c4e_464b, // "LNFK"
    schema: 1,
    remedy: "Training resumes from the checkpoint before it",
};

/// Where the checkpoint called `name` lies in a run's folder.
pub fn file(run_dir: &Path, name: &str) -> PathBuf {
    layout::checkpoint_dir(run_dir).join(name)
}

/// A checkpoint that cannot be used.
pub(super) fn damaged(path: &Path, detail: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), detail: detail.to_owned(), remedy: CHECKPOINT.remedy }
}

/// Waits for `work` on a runtime and a thread of its own, so that it may be called inside another runtime too.
fn block_on<T: Send>(path: &Path, work: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
    let run = || {
        let io = |error| StoreError::Io { action: "start a runtime for", path: path.to_owned(), error };
        runtime::Builder::new_current_thread().enable_time().build().map_err(io)?.block_on(work)
    };
    thread::scope(|scope| match scope.spawn(run).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
