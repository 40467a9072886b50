//! Where a run stands, as one clause.

use super::figures::{duration, time};
use crate::{
    experiment::{RunId, RunState, WaitReason},
    store::RunRow,
};

/// Where a run stands and, if it waits, why. `find` gives the rows of the runs it waits for.
pub fn standing<'a>(row: &RunRow, now_ms: i64, find: impl Fn(RunId) -> Option<&'a RunRow>) -> String {
    match &row.state {
        RunState::Queued { reason } => waiting(reason, now_ms, find),
        RunState::Starting { .. } => "its worker is starting".to_owned(),
        RunState::Running { .. } => running(row),
        RunState::Pausing { .. } => "pausing: finishes its step and writes a checkpoint".to_owned(),
        RunState::Paused { checkpoint } => format!("paused {}", at(*checkpoint)),
        RunState::Cancelling { now: false, .. } => "cancelling: finishes its step and writes a checkpoint".to_owned(),
        RunState::Cancelling { now: true, .. } => "being killed".to_owned(),
        RunState::Completed => match row.summary.train_seconds {
            seconds if seconds > 0.0 => format!("completed in {} of training", duration(seconds)),
            _ => "completed".to_owned(),
        },
        RunState::Failed { reason } => format!("failed: {reason}"),
        RunState::Cancelled { checkpoint } => format!("cancelled {}", at(*checkpoint)),
        RunState::Lost { reason } => format!("lost: {reason}"),
    }
}

fn running(row: &RunRow) -> String {
    let summary = &row.summary;
    let mut text = format!("training, epoch {:.1}/{}", summary.epoch, row.config.train.epochs);
    if let Some(p) = summary.p {
        text.push_str(&format!(", p = {p}"));
    }
    if let Some(left) = summary.eta_seconds {
        text.push_str(&format!(", {} left", duration(left)));
    }
    text
}

/// Why a queued run waits, as one clause.
pub fn waiting<'a>(reason: &WaitReason, now_ms: i64, find: impl Fn(RunId) -> Option<&'a RunRow>) -> String {
    match reason {
        WaitReason::New => "waits for its turn".to_owned(),
        WaitReason::Slot { held_by } => {
            let holders: Vec<String> = held_by.iter().map(|id| holder(*id, find(*id))).collect();
            if holders.is_empty() {
                "waits for a slot".into()
            } else {
                format!("waits for a slot ({})", holders.join("; "))
            }
        }
        WaitReason::StartAt { at_ms } => {
            let ahead = (at_ms - now_ms).max(0) as f64 / 1000.0;
            format!("starts at {} (in {})", time(*at_ms), duration(ahead))
        }
        WaitReason::After { runs, in_vain } => {
            let names: Vec<String> = runs.iter().map(|id| holder(*id, find(*id))).collect();
            let names = names.join("; ");
            match in_vain {
                false => format!("waits for the end of {names}"),
                true => format!("waits in vain: {names} did not complete; retry that, or `linf-tui when` changes it"),
            }
        }
        WaitReason::Group { name, slots, held_by } => {
            let holders: Vec<String> = held_by.iter().map(|id| holder(*id, find(*id))).collect();
            format!("waits: {slots} of the group {name} may train at once ({})", holders.join("; "))
        }
        WaitReason::Busy { what } => format!("waits: another program uses {what}"),
        WaitReason::Retry { attempt, at_ms, lost } => match at_ms - now_ms {
            ahead @ 1.. => format!("retry {attempt} in {}; {lost}", duration(ahead as f64 / 1000.0)),
            _ => format!("retry {attempt} as soon as a slot is free; {lost}"),
        },
    }
}

fn holder(id: RunId, row: Option<&RunRow>) -> String {
    let Some(row) = row else { return format!("#{id}") };
    match row.summary.eta_seconds.filter(|_| row.state.holds_a_slot()) {
        _ if matches!(row.state, RunState::Paused { .. }) => format!("{}, which is paused", row.name),
        _ if row.state.is_over() => row.name.clone(),
        Some(left) => format!("{}, {} left", row.name, duration(left)),
        None => row.name.clone(),
    }
}

fn at(checkpoint: Option<u64>) -> String {
    checkpoint.map_or_else(|| "before its first checkpoint".to_owned(), |step| format!("at step {step}"))
}
