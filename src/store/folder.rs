//! What a run's folder says about the run: enough to rebuild its row of the catalog.

use std::{fs, path::Path};

use super::{
    AttemptRow, Outcome, RunReader, StoreError, about::About, catalog::Entry, clock::now_ms, filesystem::io_error,
    layout,
};
use crate::experiment::{
    Config, LostReason, PNorm, Progress, RunState, Schedules, WaitReason, WorkerIdentity, parse_with,
};

/// Reads a run's folder. `alive` tells whether a worker of this machine still runs.
pub(super) async fn read(run_dir: &Path, alive: &dyn Fn(&WorkerIdentity) -> bool) -> Result<Entry, StoreError> {
    let about = About::read(run_dir)?.unwrap_or_else(|| About { added_ms: now_ms(), ..About::default() });
    let Some(reader) = RunReader::open(run_dir).await? else {
        let (config, config_text) = written_config(run_dir)?;
        return Ok(Entry::queued(config, config_text, about));
    };
    let config = reader.config().await?;
    let config_text = reader.config_text().await?;
    let summary = reader.summary(&Schedules::new(&config)).await?;
    let attempts = reader.attempts().await?;
    let progress = Progress { step: summary.step, epoch: summary.epoch, p: summary.p.unwrap_or(PNorm::INFINITY) };
    let state = state(attempts.last(), progress, alive);
    let ended = matches!(state, RunState::Paused { .. }) || state.is_over();
    // A device that a worker holds must not be given to another.
    let at_work = attempts.last().filter(|_| matches!(state, RunState::Running { .. }));
    let device = at_work.and_then(|attempt| attempt.device.split(',').next()?.to_lowercase().parse().ok());
    Ok(Entry {
        about,
        config,
        config_text,
        state,
        summary,
        attempts: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
        started_ms: attempts.first().map(|attempt| attempt.started_ms),
        ended_ms: attempts.last().filter(|_| ended).map(|attempt| attempt.heartbeat_ms),
        device,
    })
}

fn written_config(run_dir: &Path) -> Result<(Config, String), StoreError> {
    let path = layout::config_file(run_dir);
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let config = parse_with(&text, &path.display().to_string(), &[])
        .map_err(|error| StoreError::BadConfig { error: error.to_string() })?;
    Ok((config, text))
}

/// Where a run stands, going by its last attempt.
fn state(last: Option<&AttemptRow>, progress: Progress, alive: &dyn Fn(&WorkerIdentity) -> bool) -> RunState {
    let Some(last) = last else { return RunState::Queued { reason: WaitReason::New } };
    match &last.outcome {
        Some(Outcome::Completed) => RunState::Completed,
        // Whether it was asked to pause or to cancel stood in the catalog alone; paused, it can be either.
        Some(Outcome::Stopped { checkpoint }) => RunState::Paused { checkpoint: *checkpoint },
        Some(Outcome::Failed { reason }) => RunState::Failed { reason: reason.clone() },
        None if alive(&last.identity) => RunState::Running { identity: last.identity.clone(), progress, retry: 0 },
        None => RunState::Lost { reason: LostReason::Vanished },
    }
}
