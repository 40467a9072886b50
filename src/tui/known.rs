//! What is known of the store: the catalog's rows and what was read of the runs that are looked at.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    ansi::{self, Line},
    attacked::Attacked,
    certificates::Certificates,
    measuring::Figures,
    series::Made,
};
use crate::{
    experiment::{Config, RunId},
    store::{Bin, CheckpointRow, EpochRow, EvalRow, EventRow, Gauge, RunRow},
};

/// All that the screens know.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Every run.
    pub rows: BTreeMap<RunId, RunRow>,
    /// Runs that are about to be removed: no screen shows them.
    pub leaving: HashSet<RunId>,
    /// Whether the catalog has been read at all.
    pub loaded: bool,
    /// Why the store cannot be read at the moment.
    pub trouble: Option<String>,
    /// Whether its disk is full, or almost.
    pub full_disk: bool,
    /// What was read of run files.
    pub data: HashMap<RunId, Arc<RunData>>,
    /// The last evaluation's margins.
    pub certificates: HashMap<RunId, Arc<Certificates>>,
    /// The checkpoints, by run and step, whose nets are being certified.
    pub measuring: HashSet<(RunId, u64)>,
    /// What that found since the program was opened.
    pub certified: HashMap<(RunId, u64), Figures>,
    /// The ends of logs.
    pub logs: HashMap<RunId, Arc<LogTail>>,
    /// Milliseconds since the Unix epoch when the last message with a time came.
    pub now_ms: i64,
}

impl Known {
    /// Every run that is not about to be removed, in the order of their numbers.
    pub fn staying(&self) -> impl Iterator<Item = &RunRow> {
        self.rows.values().filter(|row| !self.leaving.contains(&row.id))
    }

    /// What was read of a run's file, if anything.
    pub fn data(&self, id: RunId) -> Option<&RunData> {
        self.data.get(&id).map(Arc::as_ref)
    }
}

/// What was read of one run file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunData {
    /// All epochs.
    pub epochs: Vec<EpochRow>,
    /// All evaluations.
    pub evals: Vec<EvalRow>,
    /// What attacks left of its nets, in the order of their steps.
    pub attacks: Vec<Attacked>,
    /// The loss of every step, gathered into bins.
    pub loss: Vec<Bin>,
    /// What gauges said.
    pub gauges: BTreeMap<Gauge, Vec<Bin>>,
    /// What happened.
    pub events: Vec<EventRow>,
    /// The checkpoints.
    pub checkpoints: Vec<CheckpointRow>,
    /// The config as it was added, before defaults were filled in.
    pub config_text: String,
    /// What the charts made of it.
    pub made: Made,
}

impl RunData {
    /// The first evaluation that claims to certify more than it classifies right: an error in the program.
    pub fn disordered(&self) -> Option<&EvalRow> {
        self.evals.iter().find(|eval| eval.certified > eval.clean)
    }

    /// Why the run's certificates cannot be trusted, should that be so.
    pub fn alarm(&self) -> Option<String> {
        let unsound = self.events.iter().rev().find(|event| event.kind == EventRow::UNSOUND);
        let disorder = |eval: &EvalRow| {
            let EvalRow { epoch, certified, clean, .. } = eval;
            format!(
                "at epoch {epoch:.1}: certified {certified:.4} > clean {clean:.4}. That cannot be; please report it."
            )
        };
        let attacked = || self.attacks.iter().find_map(Attacked::disorder);
        unsound.map(|event| event.text.clone()).or_else(|| self.disordered().map(disorder)).or_else(attacked)
    }

    /// The order of its accuracies as far as it was looked at; `None` where nothing was measured or it does not hold.
    pub fn order(&self) -> Option<&'static str> {
        if self.evals.is_empty() || self.disordered().is_some() || self.attacks.iter().any(|it| it.disorder().is_some())
        {
            return None;
        }
        let attacked = self.attacks.iter().any(Attacked::is_in_order);
        Some(if attacked { "clean ≥ attacked ≥ certified holds" } else { "certified ≤ clean holds" })
    }
}

/// The end of a run's log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogTail {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Whether lines before these were left out.
    pub cut: bool,
}

impl LogTail {
    /// The lines of raw output with their colours; of a line rewritten in place the last form is kept.
    pub fn from_bytes(bytes: &[u8], cut: bool) -> LogTail {
        let text = String::from_utf8_lossy(bytes);
        let mut reader = ansi::Reader::default();
        let mut lines: Vec<Line> = text.lines().map(|line| reader.line(line)).collect();
        if cut && lines.len() > 1 {
            lines.remove(0);
        }
        LogTail { lines, cut }
    }
}

/// A config file that a run can be made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name without the folder: `mnist-cpu.toml`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What it says, or why it cannot be used.
    pub parsed: Result<Box<Config>, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_shown_without_its_control_sequences() {
        let log = LogTail::from_bytes(b"half a line\n\x1b[32mgreen\x1b[0m\r\n 10%\r 20%\r\ttab", true);
        assert_eq!(log.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["green", "    tab"]);
    }
}
