//! The dispatcher: one process per store that starts workers, watches them, and writes down what it sees.
//!
//! It keeps nothing that the catalog and the run files do not hold, so it may be killed at any moment: workers go on, and
//! the next dispatcher finds them by their locks and identities.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read, Write},
    process::Child,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    ask::{last_checkpoint, needs_a_dispatcher},
    gpu::Gpus,
    identity,
    lock::{self, Lock},
    machine::{Effect, Event, Loss, step},
    narrate::narrate,
    plan::{Decision, Ground, Other, Slots, plan},
    run_file::{LastWords, RunFile, progress},
    sight::{Sight, look},
    spawn::{self, SpawnError},
};
use crate::{
    experiment::{Desired, Device, LostReason, RunId, RunState, WorkerIdentity},
    report::figures,
    store::{Outcome, RunRow, Store, StoreError, now_ms},
};

/// How often the catalog and the workers are looked at.
const TICK: Duration = Duration::from_millis(250);

/// How often the figures of a running run are copied into the catalog.
const COPY: Duration = Duration::from_millis(500);

/// How long a run file that could not be read is left alone.
const TROUBLED: Duration = Duration::from_secs(30);

/// How long to wait after the store could not be read or written for a passing reason, such as a full disk.
const PASSING: Duration = Duration::from_secs(2);

/// How long to try for the dispatcher's lock: whoever looks whether it is held takes it for an instant.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a dispatcher cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The catalog cannot be read or written, and waiting does not help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A run's file cannot be read, now or at all.
    #[error(transparent)]
    RunFile(StoreError),
    /// The operating system refused.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The reason.
        #[source]
        error: io::Error,
    },
}

fn failing(what: &'static str) -> impl FnOnce(io::Error) -> DispatchError {
    move |error| DispatchError::Io { what, error }
}

/// Why a dispatcher left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing is left to do.
    Idle,
    /// It was told to. Workers go on.
    Told,
    /// Another dispatcher works on this store.
    NotNeeded,
}

/// Works on the store until nothing is left to do, or until `leave` is set.
pub async fn dispatch(store: &Store, slots: Slots, leave: &AtomicBool) -> Result<Left, DispatchError> {
    let path = lock::of_dispatcher(store.root());
    loop {
        let Some(lock) = Lock::take(&path, PATIENCE).map_err(failing("take the dispatcher's lock"))? else {
            return Ok(Left::NotNeeded);
        };
        let mut dispatcher = Dispatcher::new(store, slots);
        dispatcher.work(leave).await?;
        // A client first adds its run and then looks at the lock. So either it sees the lock free and starts a
        // dispatcher, or its run is in the catalog when we look again now.
        drop(lock);
        if leave.load(Ordering::Relaxed) {
            return Ok(Left::Told);
        }
        dispatcher.refresh().await?;
        if dispatcher.runs.is_empty() {
            return Ok(Left::Idle);
        }
    }
}

/// Why a run has no worker.
#[derive(Debug, thiserror::Error)]
enum Unstarted {
    #[error(transparent)]
    Folder(#[from] StoreError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

struct Dispatcher<'a> {
    store: &'a Store,
    slots: Slots,
    /// The runs that need a dispatcher.
    runs: BTreeMap<RunId, RunRow>,
    /// The runs that neither wait nor train: some may wait for them.
    others: BTreeMap<RunId, Other>,
    /// How many runs of a group may train at once, where that is limited.
    groups: BTreeMap<String, usize>,
    gpus: Gpus,
    /// The newest revision of the catalog that has been read.
    revision: i64,
    watches: HashMap<RunId, Watch>,
}

/// What is kept of a run while it is watched; all of it can be found again.
#[derive(Default)]
struct Watch {
    child: Option<Child>,
    file: RunFile,
    copied: Option<Instant>,
    complaint: Option<String>,
}

impl<'a> Dispatcher<'a> {
    fn new(store: &'a Store, slots: Slots) -> Dispatcher<'a> {
        Dispatcher {
            store,
            slots,
            runs: BTreeMap::new(),
            others: BTreeMap::new(),
            groups: BTreeMap::new(),
            gpus: Gpus::open(),
            revision: 0,
            watches: HashMap::new(),
        }
    }

    async fn work(&mut self, leave: &AtomicBool) -> Result<(), DispatchError> {
        while !leave.load(Ordering::Relaxed) {
            let rest = match self.tick().await {
                Ok(()) if self.runs.is_empty() => return Ok(()),
                Ok(()) => TICK,
                Err(DispatchError::Store(error)) if error.is_passing() => {
                    say(&format!("waits: {error}"));
                    PASSING
                }
                Err(error) => return Err(error),
            };
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), DispatchError> {
        self.refresh().await?;
        for id in self.runs.keys().copied().collect::<Vec<_>>() {
            if let Err(error) = self.attend(id).await {
                match error {
                    DispatchError::Store(error) if error.is_passing() => return Err(error.into()),
                    // One broken run must not stop the others.
                    error => self.complain(id, &error),
                }
            }
        }
        self.start_the_next().await
    }

    /// Reads what has changed in the catalog.
    async fn refresh(&mut self) -> Result<(), DispatchError> {
        let news = self.store.catalog().news_since(self.revision).await?;
        self.groups = self.store.catalog().group_slots().await?;
        self.revision = news.revision;
        for row in news.changed {
            self.keep(row);
        }
        for id in news.removed {
            self.runs.remove(&id);
            self.others.remove(&id);
            self.watches.remove(&id);
        }
        Ok(())
    }

    /// Reads one run's row anew.
    async fn read_again(&mut self, id: RunId) -> Result<(), DispatchError> {
        match self.store.catalog().run(id).await? {
            Some(row) => self.keep(row),
            None => {
                self.runs.remove(&id);
                self.others.remove(&id);
            }
        }
        Ok(())
    }

    fn keep(&mut self, row: RunRow) {
        match Other::of(&row.state) {
            Some(other) => self.others.insert(row.id, other),
            None => self.others.remove(&row.id),
        };
        if needs_a_dispatcher(&row) {
            self.runs.insert(row.id, row);
        } else {
            self.runs.remove(&row.id);
            self.watches.remove(&row.id);
        }
    }

    /// Looks at one run: what is wanted of it, and what became of its worker.
    async fn attend(&mut self, id: RunId) -> Result<(), DispatchError> {
        self.heed_the_wish(id).await?;
        let Some(row) = self.runs.get(&id) else { return Ok(()) };
        if !row.state.holds_a_slot() {
            return Ok(());
        }
        let child = self.watches.entry(id).or_default().child.as_mut();
        match look(&row.state, &self.store.run_dir(id), child, now_ms()).map_err(failing("look at a worker"))? {
            Sight::Unsure => {}
            Sight::Holds(identity) => {
                if matches!(row.state, RunState::Starting { .. }) || row.state.identity() != Some(&identity) {
                    let progress = progress(&row.summary, &row.config);
                    self.happen(id, Event::Began { identity, progress }).await?;
                }
                self.copy_figures(id, COPY).await?;
            }
            Sight::Gone { nonce, how } => {
                self.copy_figures(id, Duration::ZERO).await?;
                let event = self.ending(id, nonce.as_deref(), how).await?;
                // A worker may have heard of a wish, and obeyed, before we did.
                self.read_again(id).await?;
                self.heed_the_wish(id).await?;
                self.happen(id, event).await?;
                self.watches.remove(&id);
                return Ok(());
            }
        }
        // A dispatcher that was ended between writing down a kill and doing it leaves it to the next.
        match self.runs.get(&id).map(|row| &row.state) {
            Some(RunState::Cancelling { identity, now: true }) => kill(identity),
            _ => Ok(()),
        }
    }

    async fn heed_the_wish(&mut self, id: RunId) -> Result<(), DispatchError> {
        let Some(row) = self.runs.get(&id) else { return Ok(()) };
        let checkpoint = match (&row.state, row.desired) {
            (RunState::Queued { .. }, Desired::Pause | Desired::Cancel | Desired::CancelNow) => {
                last_checkpoint(&self.store.run_dir(id)).await.map_err(DispatchError::RunFile)?
            }
            _ => None,
        };
        let event = Event::Asked { desired: row.desired, checkpoint, now_ms: now_ms() };
        self.happen(id, event).await
    }

    /// Copies the figures of the run file into the catalog, at most once in `interval`.
    async fn copy_figures(&mut self, id: RunId, interval: Duration) -> Result<(), DispatchError> {
        let (Some(row), watch) = (self.runs.get_mut(&id), self.watches.entry(id).or_default()) else { return Ok(()) };
        if watch.copied.is_some_and(|copied| copied.elapsed() < interval) {
            return Ok(());
        }
        let figures = match watch.file.figures(&self.store.run_dir(id), &row.config).await {
            Err(error) if error.is_passing() => {
                // It may have taken as long as SQLite waits for a file that is locked: time for the others.
                watch.copied = Some(Instant::now() + TROUBLED);
                return Err(DispatchError::RunFile(error));
            }
            Err(error) => {
                self.complain(id, &error);
                return Ok(());
            }
            Ok(figures) => figures,
        };
        watch.copied = Some(Instant::now());
        let Some(summary) = figures else { return Ok(()) };
        let catalog = self.store.catalog();
        match step(&row.state, &Event::Progressed(progress(&summary, &row.config))) {
            Ok((running, _)) => {
                if catalog.set_progress(id, &row.state, &running, &summary).await? {
                    row.state = running;
                }
            }
            Err(_) => catalog.set_summary(id, &summary).await?,
        }
        row.summary = summary;
        Ok(())
    }

    /// What became of an attempt that is over.
    async fn ending(&mut self, id: RunId, nonce: Option<&str>, reason: LostReason) -> Result<Event, DispatchError> {
        let file = &mut self.watches.entry(id).or_default().file;
        let words = match file.last_words(&self.store.run_dir(id), nonce).await {
            // A run file that cannot be read says nothing. The next worker will name what is wrong with it.
            Err(error) if !error.is_passing() => {
                self.complain(id, &error);
                LastWords::default()
            }
            // What it would say later is worth waiting for.
            words => words.map_err(DispatchError::RunFile)?,
        };
        Ok(match words.outcome {
            // It left in a hurry: the run stands at whatever checkpoint it had.
            Some(Outcome::Stopped { checkpoint: None }) => {
                Event::Left(Outcome::Stopped { checkpoint: words.checkpoint })
            }
            Some(outcome) => Event::Left(outcome),
            None => {
                let retries = self.runs.get(&id).map_or(0, |row| row.config.resources.retries);
                let LastWords { checkpoint, advanced, .. } = words;
                Event::Vanished(Loss { reason, checkpoint, advanced, retries, now_ms: now_ms() })
            }
        })
    }

    async fn start_the_next(&mut self) -> Result<(), DispatchError> {
        let mut waits = Vec::new();
        let queued = self.runs.values().any(|row| matches!(row.state, RunState::Queued { .. }));
        if !queued {
            return Ok(());
        }
        let (gpus, now) = (self.gpus.look(), now_ms());
        let (groups, others) = (&self.groups, &self.others);
        let ground = Ground { slots: self.slots, gpus, groups, others, now_ms: now };
        for decision in plan(self.runs.values(), ground) {
            match decision {
                Decision::Start(id, device) => match self.start(id, device).await {
                    Ok(()) => {}
                    Err(DispatchError::Store(error)) if error.is_passing() => return Err(error.into()),
                    // It may have been removed this moment; the others start all the same.
                    Err(error) => self.complain(id, &error),
                },
                Decision::Wait(id, reason) => waits.push((id, reason)),
            }
        }
        if !waits.is_empty() {
            self.store.catalog().set_waits(&waits).await?;
        }
        Ok(())
    }

    async fn start(&mut self, id: RunId, device: Device) -> Result<(), DispatchError> {
        let Some(row) = self.runs.get(&id) else { return Ok(()) };
        match self.store.catalog().mend_folder(row).await {
            Ok(true) => say(&format!("#{id}: its config was not whole, and is written anew from the catalog")),
            // It waits, as the run's worker would.
            Err(error @ (StoreError::DiskFull { .. } | StoreError::Busy { .. })) => return Err(error.into()),
            // The worker that cannot be started says why.
            Ok(false) | Err(_) => {}
        }
        self.store.catalog().set_device(id, device).await?;
        if let Some(row) = self.runs.get_mut(&id) {
            row.device = Some(device);
        }
        self.happen(id, Event::Start { now_ms: now_ms() }).await
    }

    /// Lets an event happen to a run, and does what follows from it.
    async fn happen(&mut self, id: RunId, event: Event) -> Result<(), DispatchError> {
        for effect in self.record(id, &event).await? {
            match effect {
                Effect::Spawn => self.spawn(id).await?,
                Effect::Kill(identity) => kill(&identity)?,
            }
        }
        Ok(())
    }

    /// Takes a run to its next state, in the catalog first. Gives what is to be done: nothing where the run was changed
    /// by somebody else meanwhile; then the next tick decides anew.
    async fn record(&mut self, id: RunId, event: &Event) -> Result<Vec<Effect>, DispatchError> {
        let Some(row) = self.runs.get_mut(&id) else { return Ok(Vec::new()) };
        let (next, effects) = match step(&row.state, event) {
            Ok(outcome) => outcome,
            // A wish that its state cannot grant is no fault: whoever asked has been told.
            Err(_) if matches!(event, Event::Asked { .. }) => return Ok(Vec::new()),
            Err(illegal) => {
                self.complain(id, &illegal);
                return Ok(Vec::new());
            }
        };
        if next == row.state {
            return Ok(effects);
        }
        let text = narrate(&row.state, event, &next);
        let catalog = self.store.catalog();
        if !catalog.transition(id, &row.state, &next, &text).await? {
            self.read_again(id).await?;
            return Ok(Vec::new());
        }
        say(&format!("#{id} {}: {text}", row.name));
        let mut row = row.clone();
        row.state = next;
        self.keep(row);
        Ok(effects)
    }

    async fn spawn(&mut self, id: RunId) -> Result<(), DispatchError> {
        let nonce = nonce().map_err(failing("read /dev/urandom"))?;
        let event = match self.worker_for(id, &nonce).await {
            Ok(child) => {
                let pid = i32::try_from(child.id()).unwrap_or_default();
                self.watches.insert(id, Watch { child: Some(child), ..Watch::default() });
                // The process is our child and not yet reaped, so its entry in /proc is its own.
                match identity::of(pid, &nonce).map_err(failing("read the worker's start time"))? {
                    Some(identity) => Event::Spawned(identity),
                    None => Event::SpawnFailed { message: format!("process {pid} has no entry in /proc") },
                }
            }
            // A machine that is short of processes or of room may have some in a moment.
            Err(Unstarted::Spawn(error @ SpawnError::Io { .. })) => {
                let retries = self.runs.get(&id).map_or(0, |row| row.config.resources.retries);
                let reason = LostReason::Spawn { message: error.to_string() };
                Event::Vanished(Loss { reason, checkpoint: None, advanced: false, retries, now_ms: now_ms() })
            }
            Err(error) => Event::SpawnFailed { message: error.to_string() },
        };
        self.record(id, &event).await.map(drop)
    }

    /// A worker for the run, whose config is whole by then.
    async fn worker_for(&self, id: RunId, nonce: &str) -> Result<Child, Unstarted> {
        let row = self.runs.get(&id);
        if let Some(row) = row {
            self.store.catalog().mend_folder(row).await?;
        }
        let device = row.and_then(|row| row.device);
        Ok(spawn::worker(self.store.root(), id, &self.store.run_dir(id), nonce, device)?)
    }

    /// Says what is wrong with a run, once.
    fn complain(&mut self, id: RunId, error: &dyn std::fmt::Display) {
        let complaint = &mut self.watches.entry(id).or_default().complaint;
        let text = error.to_string();
        if complaint.as_ref() != Some(&text) {
            say(&format!("#{id}: {text}"));
            *complaint = Some(text);
        }
    }
}

fn kill(identity: &WorkerIdentity) -> Result<(), DispatchError> {
    identity::signal(identity, Signal::KILL).map(drop).map_err(failing("kill a worker"))
}

/// A name that nobody else draws.
pub fn nonce() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// A line for `dispatcher.log`, or for the terminal of whoever runs the dispatcher in the foreground. That terminal may
/// be gone, which is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}  {text}", figures::time(now_ms()));
}
