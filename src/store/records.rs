//! What the store holds, as plain records: the language between the store and those who read it.

use serde::{Deserialize, Serialize};

use crate::experiment::{
    Config, Desired, Device, Epsilon, FailReason, Fate, Label, PNorm, Parent, Phase, RunId, RunState, Turn,
    WorkerIdentity,
};

/// One row of the catalog: a run and its summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    /// Its number in this store.
    pub id: RunId,
    /// Its name, such as `brisk-otter`; unique in the store.
    pub name: String,
    /// Runs of one sweep share a group.
    pub group: Option<String>,
    /// What differs inside the group: `loss.lambda=0.05 train.seed=2`.
    pub variant: String,
    /// Words to filter by.
    pub tags: Vec<String>,
    /// A line of the user's.
    pub note: String,
    /// Where it stands.
    pub state: RunState,
    /// What its user wants of it.
    pub desired: Desired,
    /// The config with all defaults filled in.
    pub config: Config,
    /// Milliseconds since the Unix epoch when it was added.
    pub added_ms: i64,
    /// The same when its first worker started.
    pub started_ms: Option<i64>,
    /// The same when it last ended or paused.
    pub ended_ms: Option<i64>,
    /// Attempts so far: 1 for a run that was never interrupted.
    pub attempts: u32,
    /// What its run file said when it was last read.
    pub summary: Summary,
    /// Grows by one at every change of this row or of its summary.
    pub revision: i64,
    /// When its turn comes, while it is queued.
    pub turn: Turn,
    /// The checkpoint it began from, where it did not begin from nothing.
    pub parent: Option<Parent>,
    /// The device that the dispatcher gave it last.
    pub device: Option<Device>,
}

/// The figures of a run that a list shows. Copied from the run file; can always be rebuilt from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run, once known.
    pub steps: u64,
    /// Fractional epoch.
    pub epoch: f64,
    /// Exponent in force.
    pub p: Option<PNorm>,
    /// Phase of the p-norm schedule.
    pub phase: Option<Phase>,
    /// Loss of the last epoch (or of the steps so far in the first).
    pub loss: Option<f64>,
    /// Clean training accuracy of the last epoch.
    pub train_accuracy: Option<f64>,
    /// Last evaluation at p = ∞: clean test accuracy.
    pub clean: Option<f64>,
    /// Last evaluation at p = ∞: certified accuracy at the config's ε. On the test set; on the held-out images while a
    /// run that has some is under way.
    pub certified: Option<f64>,
    /// Accuracy of the finished net under all attacks, where it was attacked, and how many test samples were.
    #[serde(default)]
    pub attacked: Option<(f64, u32)>,
    /// Best certified accuracy so far with its epoch: on the held-out images of a run that has some.
    pub best_certified: Option<(f64, f64)>,
    /// Certified accuracy of the evaluations so far, oldest first, for a sparkline (at most 32, evenly thinned).
    pub certified_history: Vec<f32>,
    /// Surrogate certified training accuracy of the last epoch, at finite p: no certificate.
    pub surrogate: Option<f64>,
    /// Steps a second over the last minute.
    pub steps_per_second: Option<f64>,
    /// Seconds of training left, at the pace of the last steps and by what each p costs.
    pub eta_seconds: Option<f64>,
    /// Those of them until p = ∞, where the schedule, as it was changed on the way, comes to it.
    #[serde(default)]
    pub infinity_seconds: Option<f64>,
    /// Seconds of training so far, evaluations and pauses left out.
    pub train_seconds: f64,
    /// Epochs so far, each weighed by what its p costs on the device ([`crate::experiment::Schedules::cost`]).
    #[serde(default)]
    pub cost: f64,
    /// The device it trains on, as found: `CPU, avx512, 2 threads`.
    pub device: String,
    /// Milliseconds since the Unix epoch of the worker's last sign of life.
    pub heartbeat_ms: Option<i64>,
    /// Its training was changed under way: it is not what its config alone says.
    #[serde(default)]
    pub steered: bool,
}

/// One training epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct EpochRow {
    /// From 0.
    pub epoch: u32,
    /// Steps done at its end.
    pub step: u64,
    /// The schedules at its end.
    pub p: PNorm,
    /// Learning rate at its end.
    pub lr: f64,
    /// λ at its end.
    pub lambda: f64,
    /// Mean loss.
    pub loss: f64,
    /// Clean accuracy on the augmented training batches, at the current p.
    pub accuracy: f64,
    /// Share of training samples with margin > 2·ε_train at the current p: no certificate at finite p.
    pub surrogate: f64,
    /// The scalar s.
    pub scalar: f64,
    /// Seconds of training in this epoch.
    pub seconds: f64,
    /// Milliseconds since the Unix epoch at its end.
    pub time_ms: i64,
}

/// Whose images an evaluation is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvalSplit {
    /// The test set's.
    #[default]
    Test,
    /// Training images that were held out (`data.validation`).
    Validation,
}

/// One evaluation at p = ∞ with re-estimated means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct EvalRow {
    /// Its number in the run file, from 1.
    pub id: i64,
    /// Fractional epoch.
    pub epoch: f64,
    /// Steps done.
    pub step: u64,
    /// The exponent in training at that moment (the evaluation itself is at p = ∞).
    pub train_p: PNorm,
    /// The certified radius.
    pub eps: Epsilon,
    /// Whose images.
    #[serde(default)]
    #[sqlx(default)]
    pub split: EvalSplit,
    /// Samples measured.
    pub samples: u32,
    /// Clean accuracy at p = ∞.
    pub clean: f64,
    /// Certified accuracy at ε by interval propagation from the box clipped to [0, 1].
    pub certified: f64,
    /// Share with Lipschitz margin > 2ε.
    pub certified_margin: f64,
    /// Clean test accuracy at the training exponent (with its own running means).
    pub surrogate_clean: Option<f64>,
    /// Share of test samples with margin > 2ε at the training exponent: no certificate at finite p.
    pub surrogate_certified: Option<f64>,
    /// Seconds it took.
    pub seconds: f64,
    /// Milliseconds since the Unix epoch at its end.
    pub time_ms: i64,
}

/// The evaluations that make one curve: those of the held-out images where there are some, for the one of the test set
/// that follows may be of an earlier net.
pub fn curve(evals: &[EvalRow]) -> impl DoubleEndedIterator<Item = &EvalRow> {
    let held_out = evals.iter().any(|row| row.split == EvalSplit::Validation);
    let split = if held_out { EvalSplit::Validation } else { EvalSplit::Test };
    evals.iter().filter(move |row| row.split == split)
}

/// What an evaluation found of each sample, in the order of its split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Margins {
    /// Lipschitz margin d_j* − d_y in pixel units: the sample's class provably holds within margin/2. Negative where it
    /// is misclassified.
    pub margin: Vec<f32>,
    /// The true class.
    pub label: Vec<Label>,
    /// The predicted class.
    pub prediction: Vec<Label>,
    /// Certified at the config's ε by interval propagation.
    pub certified: Vec<bool>,
    /// The largest radius in pixels at which interval propagation proves the class, below 0 where it proves none even of
    /// the sample itself. Empty where it was not looked for: it is of a run's result alone.
    pub radius: Vec<f32>,
}

/// What attacks made of the net of one step, inside the box of radius ε.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct AttackRow {
    /// The net's steps.
    pub step: u64,
    /// The radius.
    pub eps: Epsilon,
    /// Test samples attacked, the first ones.
    pub samples: u32,
    /// Accuracy under PGD alone, as the papers report it.
    pub under_pgd: f64,
    /// Accuracy under all attacks.
    pub under_all: f64,
    /// Seconds it took.
    pub seconds: f64,
    /// Milliseconds since the Unix epoch at its end.
    pub time_ms: i64,
}

impl AttackRow {
    /// Adversarial images that a run file keeps of one attack: 12 MB of CIFAR-10's.
    pub const KEPT_EXAMPLES: usize = 1000;
}

/// What attacks found of each sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// One a sample, in the order of the test set.
    pub fates: Vec<Fate>,
    /// Sample and image of another class, as the net reads it: `[C·H·W]`, normalised.
    pub examples: Vec<(u32, Vec<f32>)>,
}

/// A point of a curve that is logged at every step (`loss`, `p`, `lr`, …).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// First step of the bin.
    pub step: u64,
    /// Smallest value in it.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct EventRow {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The step, where it is tied to one.
    pub step: Option<u64>,
    /// A word to filter by: `phase`, `checkpoint`, `eval`, `state`, `turn`, `steer`, `attempt`, `alarm`,
    /// `unsound`.
    pub kind: String,
    /// A sentence.
    pub text: String,
}

impl EventRow {
    /// The kind of an event that says that a certificate is false.
    pub const UNSOUND: &'static str = "unsound";
}

/// A checkpoint in the run's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct CheckpointRow {
    /// Steps done.
    pub step: u64,
    /// Fractional epoch.
    pub epoch: f64,
    /// Exponent at that moment.
    pub p: PNorm,
    /// Why it was written.
    pub kind: CheckpointKind,
    /// The file's name inside `checkpoints/`.
    pub file: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 over all tensors, in hex: equal hashes mean bit-equal nets.
    pub hash: String,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
}

/// Why a checkpoint was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointKind {
    /// Time passed.
    Periodic,
    /// A phase began.
    Phase,
    /// So many epochs are over (`resources.milestone_epochs`).
    Milestone,
    /// The net certified more than ever before: of the held-out images where there are some, else of the test set.
    Best,
    /// Its user asked for one.
    Asked,
    /// The run was asked to pause or stop.
    Stop,
    /// The run is complete.
    Final,
}

/// One worker that took the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Its process.
    pub identity: WorkerIdentity,
    /// The device as found: `CPU, avx512, 2 threads`.
    pub device: String,
    /// CPU threads it took.
    pub threads: u32,
    /// The program and its version.
    pub program: String,
    /// Milliseconds since the Unix epoch when it began.
    pub started_ms: i64,
    /// The same at its last sign of life.
    pub heartbeat_ms: i64,
    /// How it ended; `None` while it works, and for ever where it was killed.
    pub outcome: Option<Outcome>,
}

/// How an attempt of a worker ended, written by the worker into the run file before it leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Trained to the end.
    Completed,
    /// Stood at this step's checkpoint when asked to pause or cancel, or at SIGTERM.
    Stopped {
        /// The checkpoint's step.
        checkpoint: Option<u64>,
    },
    /// An error of its own.
    Failed {
        /// Which.
        reason: FailReason,
    },
}
