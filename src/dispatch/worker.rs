//! The worker's side: it detaches itself, holds its run, says who it is, and hears what is wanted of it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    identity,
    lock::{self, Lock},
    worker_file::WorkerFile,
};
use crate::{
    experiment::{Desired, RunId, WorkerIdentity},
    store::{Store, StoreError, now_ms},
};

/// How often the catalog is asked what is desired: one look into an index.
const POLL: Duration = Duration::from_millis(200);

/// How long a worker tries to get the run's lock. A dispatcher that looks whether it is free takes it for an instant.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// The catalog cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a worker must do before its next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Its user wants it to stop: at a checkpoint for [`Desired::Pause`] and [`Desired::Cancel`], without one for
    /// [`Desired::CancelNow`]. Never [`Desired::Run`].
    Stop(Desired),
    /// The machine wants it to stop (SIGTERM, SIGHUP or SIGINT): write a checkpoint and leave. The run goes on later.
    Leave,
}

/// A worker's hold on its run, from its first moment to its last. Dropping it gives the run free.
#[derive(Debug)]
pub struct WorkerSession {
    identity: WorkerIdentity,
    orders: Arc<Orders>,
    listener: Option<(Sender<()>, JoinHandle<()>)>,
    _lock: Lock,
}

/// What is wanted, as the training thread reads it: one relaxed load a step.
#[derive(Debug)]
struct Orders {
    desired: AtomicU8,
    signalled: Arc<AtomicBool>,
}

impl WorkerSession {
    /// Leaves the session of whoever started this process, takes the run's lock, writes `worker.json`, and begins to
    /// listen for orders. `run_dir` is the run's folder inside its store; `nonce` names this attempt.
    pub fn begin(run_dir: &Path, nonce: &str) -> Result<WorkerSession, SessionError> {
        let failing = |what: String| move |error| SessionError::Io { what, error };
        // Refused only to a group leader: a worker that somebody started by hand and may well stop by hand.
        let _ = rustix::process::setsid();
        let (root, run) = place(run_dir).ok_or_else(|| SessionError::NoRunFolder(run_dir.to_owned()))?;

        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGHUP, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&signalled))
                .map_err(failing(format!("listen for signal {signal}")))?;
        }
        let lock_path = lock::of_worker(run_dir);
        let lock = Lock::take(&lock_path, PATIENCE)
            .map_err(failing(format!("lock {}", lock_path.display())))?
            .ok_or(SessionError::Held(lock_path))?;
        let identity = identity::own(nonce).map_err(failing("find out who this process is".into()))?;
        let said = WorkerFile { identity: identity.clone(), began_ms: now_ms() };
        said.write(run_dir).map_err(failing(format!("write worker.json in {}", run_dir.display())))?;

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failing("start listening for orders".into()))?;
        let store = runtime.block_on(Store::open_existing(root))?;
        let orders = Arc::new(Orders { desired: AtomicU8::new(encode(Desired::Run)), signalled });
        let (stop, stopped) = channel();
        let listening = Arc::clone(&orders);
        let thread = thread::Builder::new()
            .name("orders".into())
            .spawn(move || {
                let mut deaf = false;
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(POLL) {
                    match runtime.block_on(store.catalog().desired(run)) {
                        Ok(desired) => {
                            listening.desired.store(encode(desired), Ordering::Relaxed);
                            deaf = false;
                        }
                        // Training does not end because its orders cannot be read; the last one stands.
                        Err(error) if !deaf => {
                            let _ = writeln!(io::stderr(), "cannot read orders, training goes on: {error}");
                            deaf = true;
                        }
                        Err(_) => {}
                    }
                }
                runtime.block_on(store.catalog().close());
            })
            .map_err(failing("start listening for orders".into()))?;
        Ok(WorkerSession { identity, orders, listener: Some((stop, thread)), _lock: lock })
    }

    /// This process, as the run file's attempt and the dispatcher know it.
    pub fn identity(&self) -> &WorkerIdentity {
        &self.identity
    }

    /// What is wanted now; `None` while training shall go on. Cheap enough to be asked at every step.
    pub fn order(&self) -> Option<Order> {
        match decode(self.orders.desired.load(Ordering::Relaxed)) {
            // What the user wants says more than a signal: asked to pause and then killed politely is paused.
            Some(desired) => Some(Order::Stop(desired)),
            None => self.orders.signalled.load(Ordering::Relaxed).then_some(Order::Leave),
        }
    }
}

impl Drop for WorkerSession {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.listener.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// The store and the run that a run's folder belongs to.
fn place(run_dir: &Path) -> Option<(&Path, RunId)> {
    Some((run_dir.parent()?, run_dir.file_name()?.to_str()?.parse().ok()?))
}

fn encode(desired: Desired) -> u8 {
    match desired {
        Desired::Run => 0,
        Desired::Pause => 1,
        Desired::Cancel => 2,
        Desired::CancelNow => 3,
    }
}

fn decode(code: u8) -> Option<Desired> {
    match code {
        1 => Some(Desired::Pause),
        2 => Some(Desired::Cancel),
        3 => Some(Desired::CancelNow),
        _ => None,
    }
}
