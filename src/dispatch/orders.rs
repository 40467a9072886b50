//! What is wanted of a worker: read from the catalog by a thread of its own, for nothing by the training thread.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use tokio::runtime::{self, Runtime};

use crate::{
    experiment::{self, Desired, RunId},
    store::{Store, StoreError},
};

/// How often the catalog is asked what is desired: one look into an index.
const POLL: Duration = Duration::from_millis(200);

/// What a worker must do before its next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Its user wants it to stop: at a checkpoint for [`Desired::Pause`] and [`Desired::Cancel`], without one for
    /// [`Desired::CancelNow`]. Never [`Desired::Run`].
    Stop(Desired),
    /// The machine wants it to stop (SIGTERM, SIGHUP or SIGINT): write a checkpoint and leave. The run goes on later.
    Leave,
}

/// The orders of one worker, heard until this is dropped.
#[derive(Debug)]
pub struct Orders {
    heard: Arc<Heard>,
    signalled: Arc<AtomicBool>,
    /// How many of the changes have been handed out.
    taken: usize,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the catalog said last.
#[derive(Debug, Default)]
struct Heard {
    desired: AtomicU8,
    /// Changes to the training, oldest first, and how many there are: to be asked at every step.
    changes: Mutex<Vec<experiment::Order>>,
    known: AtomicUsize,
}

impl Heard {
    fn note(&self, (desired, changes): (Desired, Vec<experiment::Order>)) {
        self.desired.store(encode(desired), Ordering::Relaxed);
        if changes.len() != self.known.load(Ordering::Relaxed) {
            let known = changes.len();
            *self.changes.lock().unwrap_or_else(PoisonError::into_inner) = changes;
            self.known.store(known, Ordering::Release);
        }
    }
}

impl Orders {
    /// Begins to take notice of signals; nothing is heard from the catalog yet.
    pub fn heed_signals() -> io::Result<Orders> {
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGHUP, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&signalled))?;
        }
        // At a limit on the size of files, writing shall fail as on a full disk and not end the process.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        Ok(Orders { heard: Arc::default(), signalled, taken: 0, stop: None, thread: None })
    }

    /// Reads what is desired of the run in the store at `root`, now and from now on.
    pub fn listen(&mut self, root: &Path, run: RunId) -> Result<(), ListenError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(ListenError::Io)?;
        let mut ear = Ear::open(runtime, root, run)?;
        self.heard.note(ear.hear()?);
        let memory = Arc::clone(&self.heard);
        let (stop, stopped) = channel();
        let listen = move || {
            let mut deaf = false;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(POLL) {
                match ear.hear() {
                    Ok(heard) => {
                        memory.note(heard);
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
        };
        self.thread = Some(thread::Builder::new().name("orders".into()).spawn(listen).map_err(ListenError::Io)?);
        self.stop = Some(stop);
        Ok(())
    }

    /// What is wanted now; `None` while training shall go on.
    pub fn order(&self) -> Option<Order> {
        match decode(self.heard.desired.load(Ordering::Relaxed)) {
            // What the user wants says more than a signal: asked to pause and then ended politely is paused.
            Some(desired) => Some(Order::Stop(desired)),
            None => self.signalled.load(Ordering::Relaxed).then_some(Order::Leave),
        }
    }

    /// The changes to the training that have come since the last call, oldest first; at first all there ever were.
    pub fn changes(&mut self) -> Vec<experiment::Order> {
        let known = self.heard.known.load(Ordering::Acquire);
        if known < self.taken {
            // A catalog that was rebuilt has forgotten the old ones; whoever follows them knows those that come again.
            self.taken = 0;
        }
        if known == self.taken {
            return Vec::new();
        }
        let changes = self.heard.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = changes.get(self.taken..).unwrap_or_default().to_vec();
        self.taken = changes.len();
        new
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Why orders cannot be heard.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The catalog cannot be read, or does not know the run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No thread could be had.
    #[error("cannot start listening for orders: {0}")]
    Io(#[source] io::Error),
}

/// The catalog, opened anew when another file takes its place (`linf-tui reindex` after a damage).
struct Ear {
    runtime: Runtime,
    root: PathBuf,
    run: RunId,
    store: Store,
    file: Option<(u64, u64)>,
}

impl Ear {
    fn open(runtime: Runtime, root: &Path, run: RunId) -> Result<Ear, StoreError> {
        let store = runtime.block_on(Store::open_existing(root))?;
        let file = file_number(store.catalog().path());
        Ok(Ear { runtime, root: root.to_owned(), run, store, file })
    }

    fn hear(&mut self) -> Result<(Desired, Vec<experiment::Order>), StoreError> {
        let file = file_number(self.store.catalog().path());
        if file != self.file {
            self.store = self.runtime.block_on(Store::open_existing(&self.root))?;
            self.file = file;
        }
        let (runtime, catalog) = (&self.runtime, self.store.catalog());
        runtime.block_on(async { Ok((catalog.desired(self.run).await?, catalog.steering(self.run).await?)) })
    }
}

fn file_number(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
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
