//! What the attempts before left in a run's file.

use std::path::Path;

use anyhow::Context;
use linf::experiment::Steered;
use linf::store::{CheckpointRow, EvalRow, RunReader, RunWriter, StoreError, checkpoint};

use crate::job::{Job, Position};

/// The net that certified most so far of the images that decide.
#[derive(Clone, Copy, Debug)]
pub struct Best {
    pub certified: f64,
    /// Its steps; a checkpoint holds it.
    pub step: u64,
}

/// What the run file says of the attempts before; nothing at the first.
#[derive(Default)]
pub struct Past {
    pub checkpoints: Vec<CheckpointRow>,
    evals: Vec<EvalRow>,
    pub steering: Vec<Steered>,
    /// What is wrong with the run file that these came from, where it had to be given up.
    pub lost: Option<String>,
}

impl Past {
    /// The best net by the images that decide, up to the position, as far as its checkpoint is known. The last evaluation
    /// is made again where the run was killed after it.
    pub fn best(&self, job: &Job, position: &Position) -> Option<Best> {
        let counts = |row: &&EvalRow| {
            row.split == job.images.deciding_split()
                && row.step <= position.step
                && row.step < job.steps
                && self.checkpoints.iter().any(|checkpoint| checkpoint.step == row.step)
        };
        // Of equals the first.
        let best = self.evals.iter().rev().filter(counts).max_by(|a, b| a.certified.total_cmp(&b.certified));
        best.map(|row| Best { certified: row.certified, step: row.step })
    }

    /// Takes no checkpoint of this step for one that is there.
    pub fn forget(&mut self, step: u64) {
        self.checkpoints.retain(|checkpoint| checkpoint.step != step);
    }

    /// What the net of a step certified of the images that decide, if it was measured.
    pub fn certified(&self, job: &Job, step: u64) -> Option<f64> {
        let of_step = |row: &&EvalRow| row.split == job.images.deciding_split() && row.step == step;
        self.evals.iter().rfind(of_step).map(|row| row.certified)
    }

    pub fn read(folder: &Path) -> anyhow::Result<Past> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
        let read = async {
            let Some(reader) = RunReader::open(folder).await? else { return Ok(Past::default()) };
            Ok::<Past, StoreError>(Past {
                checkpoints: reader.checkpoints().await?,
                evals: reader.evals(0).await?,
                steering: reader.steering().await?,
                lost: None,
            })
        };
        runtime.block_on(read).context("reading the run file")
    }

    /// As [`Past::read`]; a run file that is damaged is set aside, and what is left of the past are the checkpoints.
    pub fn recover(folder: &Path) -> anyhow::Result<Past> {
        let damage = match Past::read(folder) {
            Ok(past) if past.checkpoints.is_empty() => return past.of_a_recovery(folder),
            Err(error) if error.downcast_ref::<StoreError>().is_some_and(StoreError::is_damage) => format!("{error:#}"),
            other => return other,
        };
        // Before anything is changed: while they are out of reach, the run stays as it is.
        let checkpoints = checkpoint::found(folder)?;
        let kept = RunWriter::set_aside(folder).context("setting the damaged run file aside")?;
        let kept = kept.map_or_else(String::new, |path| format!("; it lies in {}", path.display()));
        let lost = Some(format!("{damage}{kept}. Figures before this step are lost"));
        Ok(Past { checkpoints, lost, ..Past::default() })
    }

    /// An attempt that has set the run file aside may end, for a reason of its own, before it has told the new one of the
    /// checkpoints. They count all the same.
    fn of_a_recovery(self, folder: &Path) -> anyhow::Result<Past> {
        let Some(kept) = RunWriter::set_aside_before(folder)? else { return Ok(self) };
        let checkpoints = checkpoint::found(folder)?;
        if checkpoints.is_empty() {
            return Ok(self);
        }
        let kept = kept.display();
        let lost = Some(format!("the run file was damaged, and lies in {kept}. Figures before this step are lost"));
        Ok(Past { checkpoints, lost, ..self })
    }
}
