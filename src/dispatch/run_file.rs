//! What a run's own file says, as the dispatcher needs it: its figures while it trains, its last words when its worker
//! is gone.

use std::path::Path;

use crate::{
    experiment::{Config, Progress, Schedules},
    store::{Outcome, RunReader, StoreError, Summary},
};

/// A run file that is read now and again; opened when there is one.
#[derive(Debug, Default)]
pub struct RunFile {
    reader: Option<RunReader>,
    revision: Option<i64>,
}

/// What an attempt left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastWords {
    /// How it ended, by its own word.
    pub outcome: Option<Outcome>,
    /// The step of the run's last checkpoint.
    pub checkpoint: Option<u64>,
    /// Whether this attempt wrote a checkpoint.
    pub advanced: bool,
}

impl RunFile {
    /// The run's figures; `None` where there are none or where nothing was written since the last call.
    pub async fn figures(&mut self, run_dir: &Path, config: &Config) -> Result<Option<Summary>, StoreError> {
        let seen = self.revision;
        let Some(reader) = self.reader(run_dir).await? else { return Ok(None) };
        let read = async {
            let revision = reader.revision().await?;
            if seen == Some(revision) {
                return Ok(None);
            }
            Ok(Some((revision, reader.summary(&Schedules::new(config)).await?)))
        };
        match read.await {
            Ok(read) => Ok(read.map(|(revision, summary)| {
                self.revision = Some(revision);
                summary
            })),
            Err(error) => {
                // A worker may have put another file in the place of a broken one.
                self.reader = None;
                Err(error)
            }
        }
    }

    /// What the attempt of this nonce left behind. A file that cannot be read says nothing.
    pub async fn last_words(&mut self, run_dir: &Path, nonce: Option<&str>) -> Result<LastWords, StoreError> {
        let Some(reader) = self.reader(run_dir).await? else { return Ok(LastWords::default()) };
        let (outcome, advanced) = match nonce {
            Some(nonce) => (reader.outcome(nonce).await?, reader.wrote_a_checkpoint(nonce).await?),
            None => (None, false),
        };
        let checkpoint = reader.checkpoints().await?.last().map(|row| row.step);
        Ok(LastWords { outcome, checkpoint, advanced })
    }

    async fn reader(&mut self, run_dir: &Path) -> Result<Option<&RunReader>, StoreError> {
        if self.reader.is_none() {
            self.reader = RunReader::open(run_dir).await?;
        }
        Ok(self.reader.as_ref())
    }
}

/// Where training stands, of a run's figures.
pub fn progress(summary: &Summary, config: &Config) -> Progress {
    let p = summary.p.unwrap_or_else(|| Schedules::new(config).at(summary.epoch).p);
    Progress { step: summary.step, epoch: summary.epoch, p }
}
