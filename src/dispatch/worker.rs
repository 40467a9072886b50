//! The worker's side: it detaches itself, holds its run, says who it is, and hears what is wanted of it.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    identity,
    lock::{self, Lock},
    orders::{ListenError, Order, Orders},
    worker_file::WorkerFile,
};
use crate::{
    experiment::{self, RunId, WorkerIdentity},
    store::{is_full, now_ms},
};

/// How long a worker tries to get the run's lock. A dispatcher that looks whether it is free takes it for an instant.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries to write to a disk that is full.
const FULL_DISK: Duration = Duration::from_secs(1);

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The folder is no run's.
    #[error("{0} is no run's folder: expected STORE/NUMBER")]
    NoRunFolder(PathBuf),
    /// Somebody else trains this run.
    #[error("another worker holds {0}; a run has one worker at a time")]
    Held(PathBuf),
    /// The operating system refused.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// Its orders cannot be heard.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// A worker's hold on its run, from its first moment to its last. Dropping it gives the run free.
#[derive(Debug)]
pub struct WorkerSession {
    identity: WorkerIdentity,
    orders: Orders,
    began: Instant,
    _lock: Lock,
}

impl WorkerSession {
    /// Leaves the session of whoever started this process, takes the run's lock, writes `worker.json`, and begins to
    /// listen for orders. `run_dir` is the run's folder inside its store; `nonce` names this attempt.
    pub fn begin(run_dir: &Path, nonce: &str) -> Result<WorkerSession, SessionError> {
        let failing = |what: String| move |error| SessionError::Io { what, error };
        // Refused only to a group leader: a worker that somebody started by hand and may well stop by hand.
        let _ = rustix::process::setsid();
        let (root, run) = place(run_dir).ok_or_else(|| SessionError::NoRunFolder(run_dir.to_owned()))?;
        let mut orders = Orders::heed_signals().map_err(failing("listen for signals".into()))?;

        let lock_path = lock::of_worker(run_dir);
        let lock = Lock::take(&lock_path, PATIENCE)
            .map_err(failing(format!("lock {}", lock_path.display())))?
            .ok_or(SessionError::Held(lock_path))?;
        let identity = identity::own(nonce).map_err(failing("find out who this process is".into()))?;
        orders.listen(root, run)?;
        let said = WorkerFile { identity: identity.clone(), began_ms: now_ms() };
        while let Err(error) = said.write(run_dir) {
            // A full disk is no fault of the run's: it waits, and holds the run meanwhile.
            if !is_full(&error) || orders.order().is_some() {
                return Err(failing(format!("write worker.json in {}", run_dir.display()))(error));
            }
            thread::sleep(FULL_DISK);
        }
        Ok(WorkerSession { identity, orders, began: Instant::now(), _lock: lock })
    }

    /// This process, as the run file's attempt and the dispatcher know it.
    pub fn identity(&self) -> &WorkerIdentity {
        &self.identity
    }

    /// What is wanted now; `None` while training shall go on. Two relaxed loads: cheap enough for every step.
    pub fn order(&self) -> Option<Order> {
        self.orders.order()
    }

    /// The changes to the training that have come since the last call, oldest first; at first all there ever were, so
    /// keep those that the run file has already apart by their keys. One load where there are none.
    pub fn changes(&mut self) -> Vec<experiment::Order> {
        self.orders.changes()
    }

    /// Whether this worker has trained for as long as it may at once; 0 seconds are no limit.
    pub fn time_is_up(&self, limit_seconds: u64) -> bool {
        limit_seconds > 0 && self.began.elapsed().as_secs() >= limit_seconds
    }
}

/// The store and the run that a run's folder belongs to.
fn place(run_dir: &Path) -> Option<(&Path, RunId)> {
    Some((run_dir.parent()?, run_dir.file_name()?.to_str()?.parse().ok()?))
}
