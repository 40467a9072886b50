//! The states a run can be in. Each variant carries just what is true in that state; the transitions between them are
//! `dispatch::machine`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PNorm, RunId};

/// Where a run stands (design §4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RunState {
    /// Waits for its turn; always with a reason a person understands.
    Queued {
        /// Why it has not started.
        reason: WaitReason,
    },
    /// A worker was started and has not yet said that it holds the run.
    Starting {
        /// The worker's process, once the spawn has returned.
        identity: Option<WorkerIdentity>,
        /// Milliseconds since the Unix epoch at the spawn.
        since_ms: i64,
        /// Which automatic retry this attempt is; 0 where no worker vanished since the run was last asked for.
        #[serde(default)]
        retry: u32,
    },
    /// A worker trains it.
    Running {
        /// The process that trains it.
        identity: WorkerIdentity,
        /// Where training stands, as last read from the run file.
        progress: Progress,
        /// Which automatic retry this attempt is; 0 where no worker vanished since the run was last asked for.
        #[serde(default)]
        retry: u32,
    },
    /// Asked to pause; the worker finishes its step, writes a checkpoint and leaves.
    Pausing {
        /// The process that has been asked.
        identity: WorkerIdentity,
    },
    /// Stands at a checkpoint and holds no device.
    Paused {
        /// The step of the checkpoint it will resume from; `None` where it was paused before its first step.
        checkpoint: Option<u64>,
    },
    /// Asked to stop for good; as `Pausing`, or at once where asked twice.
    Cancelling {
        /// The process that has been asked.
        identity: WorkerIdentity,
        /// Whether it was asked twice, and so is killed.
        now: bool,
    },
    /// Trained to the end and certified.
    Completed,
    /// Ended by an error of its own.
    Failed {
        /// What went wrong.
        reason: FailReason,
    },
    /// Ended by its user; its last checkpoint can be resumed.
    Cancelled {
        /// The step of the checkpoint it was left at, if any.
        checkpoint: Option<u64>,
    },
    /// Its worker vanished more often than retries allow.
    Lost {
        /// How it vanished.
        reason: LostReason,
    },
}

/// Where training stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done since the run began.
    pub step: u64,
    /// Epochs done, with the fraction of the one under way.
    pub epoch: f64,
    /// The exponent in force.
    pub p: PNorm,
}

/// Why a queued run waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum WaitReason {
    /// Just added; the dispatcher has not looked at it yet.
    New,
    /// All slots are taken by these runs.
    Slot {
        /// The runs that hold the slots, in the order they started.
        held_by: Vec<RunId>,
    },
    /// It was asked not to start before a moment.
    StartAt {
        /// Milliseconds since the Unix epoch.
        at_ms: i64,
    },
    /// It starts after other runs.
    After {
        /// Those that have not ended as they must.
        runs: Vec<RunId>,
        /// Whether one of them has ended in another way: unless that one is retried, this one never starts.
        in_vain: bool,
    },
    /// As many runs of its group train as may.
    Group {
        /// The group's name.
        name: String,
        /// How many may train at once.
        slots: usize,
        /// Those that do.
        held_by: Vec<RunId>,
    },
    /// Its GPU is used by a program that is not ours.
    Busy {
        /// Which, and by whom: `cuda:0 by process 4711, 11.2 GiB`.
        what: String,
    },
    /// Its worker vanished; it resumes from its last checkpoint at this time.
    Retry {
        /// Which retry this will be, from 1.
        attempt: u32,
        /// Milliseconds since the Unix epoch.
        at_ms: i64,
        /// How the worker vanished.
        lost: LostReason,
    },
}

/// Why a run failed. Ended by the worker itself, which wrote this down before it left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum FailReason {
    /// A loss, gradient or weight was not finite: training cannot go on from there.
    NotFinite {
        /// The step that produced it.
        step: u64,
        /// The exponent at that step.
        p: PNorm,
        /// What was not finite: `loss`, `gradient of layer 3`.
        what: String,
    },
    /// It trained for as long as `resources.time_limit_seconds` allows at once; it stands at a checkpoint.
    TimeLimit {
        /// The limit.
        seconds: u64,
        /// The step of the checkpoint; `None` where it had done no step.
        checkpoint: Option<u64>,
    },
    /// The worker could not begin or go on; the text names what and what to do.
    Error {
        /// The error with its causes.
        message: String,
    },
}

/// How a worker vanished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum LostReason {
    /// Killed by this signal (9 is SIGKILL: `kill -9` or the kernel's out-of-memory killer).
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// Left with this exit code and no word about why.
    Exit {
        /// The exit code.
        code: i32,
    },
    /// Gone while no dispatcher watched it.
    Vanished,
    /// The machine was restarted.
    Reboot,
    /// The worker could not be started at all.
    Spawn {
        /// The error of the operating system.
        message: String,
    },
}

/// What tells a worker from every other process: a process id alone is reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerIdentity {
    /// The process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Drawn anew for every attempt and handed to the worker.
    pub nonce: String,
}

/// What the user wants of a run. Written by clients, read by dispatcher and worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// Train it to the end.
    Run,
    /// Stop at a checkpoint and free the device.
    Pause,
    /// Stop at a checkpoint for good.
    Cancel,
    /// Stop without a checkpoint.
    CancelNow,
}

impl RunState {
    /// What the states are called, in the order of a run's life.
    pub const WORDS: [&'static str; 10] = [
        "queued",
        "starting",
        "running",
        "pausing",
        "paused",
        "cancelling",
        "completed",
        "failed",
        "cancelled",
        "lost",
    ];

    /// One word, as used by filters, exit texts and `--json`.
    pub fn word(&self) -> &'static str {
        match self {
            RunState::Queued { .. } => "queued",
            RunState::Starting { .. } => "starting",
            RunState::Running { .. } => "running",
            RunState::Pausing { .. } => "pausing",
            RunState::Paused { .. } => "paused",
            RunState::Cancelling { .. } => "cancelling",
            RunState::Completed => "completed",
            RunState::Failed { .. } => "failed",
            RunState::Cancelled { .. } => "cancelled",
            RunState::Lost { .. } => "lost",
        }
    }

    /// The process that works on the run, if one does.
    pub fn identity(&self) -> Option<&WorkerIdentity> {
        match self {
            RunState::Starting { identity, .. } => identity.as_ref(),
            RunState::Running { identity, .. }
            | RunState::Pausing { identity }
            | RunState::Cancelling { identity, .. } => Some(identity),
            _ => None,
        }
    }

    /// Whether it takes a slot now.
    pub fn holds_a_slot(&self) -> bool {
        matches!(
            self,
            RunState::Starting { .. }
                | RunState::Running { .. }
                | RunState::Pausing { .. }
                | RunState::Cancelling { .. }
        )
    }

    /// Whether nothing more happens to it unless somebody asks.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            RunState::Completed | RunState::Failed { .. } | RunState::Cancelled { .. } | RunState::Lost { .. }
        )
    }
}

impl WaitReason {
    /// The runs that it waits for.
    pub fn runs(&self) -> &[RunId] {
        match self {
            WaitReason::Slot { held_by } | WaitReason::Group { held_by, .. } => held_by,
            WaitReason::After { runs, .. } => runs,
            WaitReason::New | WaitReason::StartAt { .. } | WaitReason::Busy { .. } | WaitReason::Retry { .. } => &[],
        }
    }
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LostReason::Signal { signal: 9 } => f.write_str("killed by SIGKILL (kill -9, or out of memory)"),
            LostReason::Signal { signal } => write!(f, "killed by signal {signal}"),
            LostReason::Exit { code } => write!(f, "left with exit code {code} and no word; see its log"),
            LostReason::Vanished => f.write_str("its worker vanished while nobody watched"),
            LostReason::Reboot => f.write_str("the machine was restarted"),
            LostReason::Spawn { message } => write!(f, "its worker could not be started: {message}"),
        }
    }
}

impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailReason::NotFinite { step, p, what } => write!(f, "{what} is not finite at step {step} (p = {p})"),
            FailReason::TimeLimit { seconds, checkpoint } => {
                write!(f, "its time limit of {seconds} s is over")?;
                checkpoint.map_or(Ok(()), |step| write!(f, "; it stands at the checkpoint of step {step}"))
            }
            FailReason::Error { message } => f.write_str(message),
        }
    }
}
