//! The training thread's side of the run file: everything it says is queued for a thread of its own, which writes.

mod afterwards;
mod cut;
mod mailbox;
mod pen;
mod retention;
mod thread;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

pub(super) use afterwards::add_attack;
pub(super) use cut::cut;
use mailbox::{Mailbox, Message};
pub use mailbox::{Trouble, WriterStatus};

use super::{
    AttackRow, CheckpointRow, EpochRow, EvalRow, EventRow, Findings, Gauge, Margins, Outcome, StoreError,
    clock::now_ms, layout,
};
use crate::experiment::{Config, PNorm, Steered, WorkerIdentity};

/// The worker that takes a run.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Drawn anew for every attempt.
    pub nonce: String,
    /// The worker's process.
    pub identity: WorkerIdentity,
    /// The device as found: `CPU, avx512, 2 threads`.
    pub device: String,
    /// CPU threads it takes.
    pub threads: u32,
    /// The program and its version.
    pub program: String,
    /// Steps in one epoch of its data set.
    pub steps_per_epoch: u64,
}

/// What is logged at every step. Its fields are the names of the curves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepPoint {
    /// Steps done, this one included.
    pub step: u64,
    /// Fractional epoch.
    pub epoch: f64,
    /// The exponent.
    pub p: PNorm,
    /// Learning rate.
    pub lr: f64,
    /// Weight of the cross-entropy.
    pub lambda: f64,
    /// Mean loss of the batch.
    pub loss: f64,
    /// Clean accuracy on the batch, at the current p.
    pub accuracy: f64,
    /// Seconds the step took.
    pub seconds: f64,
}

impl StepPoint {
    /// The curves, in the order of [`StepPoint::values`].
    pub(super) const NAMES: [&str; 7] = ["loss", "accuracy", "p", "lr", "lambda", "epoch", "seconds"];

    pub(super) fn values(&self) -> [f64; 7] {
        [self.loss, self.accuracy, self.p.get(), self.lr, self.lambda, self.epoch, self.seconds]
    }
}

/// Writes a run file. Calls return at once and never fail: what cannot be written now (a full disk) is kept in memory
/// and tried again, which [`RunWriter::status`] tells. Only when tens of thousands of messages wait does a call wait
/// too. Rows reach the file within a quarter of a second and survive a `kill -9` from then on; only
/// [`flush`](RunWriter::flush), [`steered`](RunWriter::steered), [`finish`](RunWriter::finish) and
/// [`truncate_after`](RunWriter::truncate_after) wait until the disk has them, so that not even a power cut undoes them.
#[derive(Debug)]
pub struct RunWriter {
    path: PathBuf,
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

impl RunWriter {
    /// Opens the run file in `run_dir`, creating it for the first attempt, and writes this attempt down. The caller
    /// holds the run's lock: a run file has one writer.
    pub fn open(run_dir: &Path, config: &Config, attempt: Attempt) -> Result<RunWriter, StoreError> {
        let path = layout::run_file(run_dir);
        let mailbox = Arc::new(Mailbox::default());
        let opening = pen::Opening { run_dir: run_dir.to_owned(), config: config.clone(), attempt };
        let (opened, answer) = mpsc::channel();
        let thread = thread::spawn(opening, Arc::clone(&mailbox), opened).map_err(|error| StoreError::Io {
            action: "start the writer of",
            path: path.clone(),
            error,
        })?;
        let writer = RunWriter { path, mailbox, thread: Some(thread) };
        answer.recv().unwrap_or_else(|_| Err(writer.gone()))?;
        Ok(writer)
    }

    /// Sets a run file that cannot be read aside, so that a new one can be begun; gives its new name. Only for whoever
    /// holds the run's lock. The checkpoints stay: [`super::checkpoint::found`] lists them.
    pub fn set_aside(run_dir: &Path) -> Result<Option<PathBuf>, StoreError> {
        super::reindex::set_aside(&layout::run_file(run_dir))
    }

    /// Where the last run file lies that was [`set_aside`](Self::set_aside), if one was.
    pub fn set_aside_before(run_dir: &Path) -> Result<Option<PathBuf>, StoreError> {
        super::reindex::set_aside_before(&layout::run_file(run_dir))
    }

    /// Logs a step. Steps come in order; one that was logged before is ignored and counted in the status.
    pub fn steps(&self, point: StepPoint) {
        self.mailbox.push(Message::Step(point));
    }

    /// Logs what a gauge says after this step. It says one thing a step: a second one is left out.
    pub fn gauge(&self, step: u64, gauge: Gauge, value: f64) {
        self.mailbox.push(Message::Gauge(step, gauge, value));
    }

    /// Logs an epoch.
    pub fn epoch(&self, row: EpochRow) {
        self.mailbox.push(Message::Epoch(row));
    }

    /// Logs an evaluation; its number is given by the run file.
    pub fn eval(&self, row: EvalRow, margins: Margins) {
        self.mailbox.push(Message::Eval(Box::new((row, margins))));
    }

    /// Logs an attack, in the place of an earlier one on the same net.
    pub fn attack(&self, row: AttackRow, findings: Findings) {
        self.mailbox.push(Message::Attack(Box::new((row, findings))));
    }

    /// Logs an event of this moment.
    pub fn event(&self, step: Option<u64>, kind: &str, text: impl Into<String>) {
        let row = EventRow { time_ms: now_ms(), step, kind: kind.to_owned(), text: text.into() };
        self.mailbox.push(Message::Event(row));
    }

    /// Logs a checkpoint whose file lies whole in its place, and removes those that retention no longer keeps.
    pub fn checkpoint(&self, row: CheckpointRow) {
        self.mailbox.push(Message::Checkpoint(row));
    }

    /// A sign of life, for long work without steps. Everything else that is logged is one too.
    pub fn heartbeat(&self) {
        self.mailbox.push(Message::Heartbeat);
    }

    /// Waits until all that was logged is safe on the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.ask(Message::Flush)
    }

    /// Writes down how the attempt ended, with all that was logged before, safe on the disk.
    pub fn finish(&self, outcome: Outcome) -> Result<(), StoreError> {
        self.ask(|reply| Message::Finish(outcome, reply))
    }

    /// Removes what lies beyond a checkpoint's step, in one transaction: training goes on from there and logs it again.
    pub fn truncate_after(&self, step: u64) -> Result<(), StoreError> {
        self.ask(|reply| Message::TruncateAfter(step, reply))
    }

    /// Writes down orders that are about to take force, safe on the disk: only then may they, or a worker that is killed
    /// next could not do the same again.
    pub fn steered(&self, orders: Vec<Steered>) -> Result<(), StoreError> {
        self.ask(|reply| Message::Steered(orders, reply))
    }

    /// How the writing goes.
    pub fn status(&self) -> WriterStatus {
        self.mailbox.status()
    }

    fn ask(&self, message: impl FnOnce(mpsc::Sender<Result<(), StoreError>>) -> Message) -> Result<(), StoreError> {
        let (reply, answer) = mpsc::channel();
        self.mailbox.push_urgent(message(reply));
        answer.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> StoreError {
        StoreError::WriterGone { path: self.path.clone() }
    }
}

impl Drop for RunWriter {
    /// Writes what is left, if the disk lets it.
    fn drop(&mut self) {
        self.mailbox.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was reported when it happened; there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}
