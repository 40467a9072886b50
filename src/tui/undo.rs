//! What `u` takes back: archiving, deleting, and cancelling runs that had not started.

use std::collections::BTreeSet;

use super::{
    filter::{ARCHIVED, PINNED, is_archived, is_pinned},
    message::Effect,
    model::Model,
    update::notice,
};
use crate::experiment::{Desired, RunId, RunState};

/// What was done, in a form that can be turned round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Runs were archived, or brought back.
    Archived {
        /// Which.
        runs: Vec<RunId>,
        /// Whether they were archived.
        archived: bool,
    },
    /// Queued runs were cancelled.
    Cancelled(Vec<RunId>),
    /// Runs are about to be removed.
    Removal(u64),
}

/// Runs that no screen shows any more, and that are removed from the store once their time for second thoughts is over. So
/// nothing has to be brought back that is gone, and whatever ends the program before that leaves the runs where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Its number.
    pub number: u64,
    /// Which runs.
    pub runs: BTreeSet<RunId>,
}

/// Archives the runs meant, or brings them back where all of them are archived.
pub fn archive(model: &mut Model) -> Vec<Effect> {
    let meant = model.meant();
    let rows: Vec<_> = meant.iter().filter_map(|id| model.known.rows.get(id)).collect();
    let to = !rows.iter().all(|row| is_archived(row));
    let runs: Vec<RunId> =
        rows.iter().filter(|row| is_archived(row) != to && (!to || row.state.is_over())).map(|row| row.id).collect();
    if runs.is_empty() {
        return notice(model, "nothing to archive: the run is not over".into(), true);
    }
    model.list.marked.clear();
    model.undo.push(Undo::Archived { runs: runs.clone(), archived: to });
    set_archived(model, &runs, to)
}

/// Pins the runs meant, or lets them go where all of them are pinned. The same key takes it back.
pub fn pin(model: &mut Model) -> Vec<Effect> {
    let runs = model.meant();
    let to = !runs.iter().filter_map(|id| model.known.rows.get(id)).all(is_pinned);
    if runs.is_empty() {
        return Vec::new();
    }
    let text = if to { "pinned: on top whatever the order" } else { "no longer pinned" };
    let text = format!("{}: {text}", what(model, &runs));
    vec![Effect::SetTags(tagged(model, &runs, PINNED, to), text)]
}

/// The tags of runs with this one put on, or taken off.
fn tagged(model: &Model, runs: &[RunId], tag: &str, on: bool) -> Vec<(RunId, Vec<String>)> {
    let tags = |id: &RunId| {
        let row = model.known.rows.get(id)?;
        let mut tags: Vec<String> = row.tags.iter().filter(|other| *other != tag).cloned().collect();
        if on {
            tags.push(tag.to_owned());
        }
        Some((*id, tags))
    };
    runs.iter().filter_map(tags).collect()
}

/// Puts the tag on, or takes it off.
fn set_archived(model: &Model, runs: &[RunId], archived: bool) -> Vec<Effect> {
    let all = tagged(model, runs, ARCHIVED, archived);
    let what = what(model, runs);
    let key = model.key_of(super::keys::Action::Undo);
    let text = match (archived, key.is_empty()) {
        (true, false) => format!("{what}: archived; {key} takes it back, the filter tag:{ARCHIVED} shows it"),
        (true, true) => format!("{what}: archived; the filter tag:{ARCHIVED} shows it"),
        (false, _) => format!("{what}: no longer archived"),
    };
    vec![Effect::SetTags(all, text)]
}

/// Takes runs out of the list, and lets the driver remind us of them.
pub fn remove(model: &mut Model, runs: Vec<RunId>) -> Vec<Effect> {
    model.removal_count += 1;
    let number = model.removal_count;
    let runs: BTreeSet<RunId> = runs.into_iter().collect();
    model.list.marked.retain(|id| !runs.contains(id));
    model.known.leaving.extend(&runs);
    model.list.arrange(&model.known);
    model.undo.push(Undo::Removal(number));
    model.removals.push(Removal { number, runs });
    vec![Effect::RemindOfRemoval(number)]
}

/// The time for second thoughts is over.
pub fn carry_out(model: &mut Model, number: u64) -> Vec<Effect> {
    model.undo.retain(|undo| *undo != Undo::Removal(number));
    let due = model.removals.iter().position(|removal| removal.number == number);
    due.map(|index| Effect::Remove(model.removals.remove(index).runs.into_iter().collect())).into_iter().collect()
}

/// Takes back what was done last.
pub fn undo(model: &mut Model) -> Vec<Effect> {
    match model.undo.pop() {
        None => notice(model, "nothing to take back: archive, delete and cancel of a queued run can be".into(), true),
        Some(Undo::Archived { runs, archived }) => set_archived(model, &runs, !archived),
        Some(Undo::Cancelled(runs)) => {
            let rows = &model.known.rows;
            let cancelled = |id: &RunId| matches!(rows.get(id).map(|row| &row.state), Some(RunState::Cancelled { .. }));
            let runs: Vec<RunId> = runs.into_iter().filter(cancelled).collect();
            if runs.is_empty() {
                return notice(model, "the run is no longer cancelled".into(), true);
            }
            vec![Effect::Desire(runs, Desired::Run)]
        }
        Some(Undo::Removal(number)) => {
            let Some(index) = model.removals.iter().position(|removal| removal.number == number) else {
                return Vec::new();
            };
            let runs = model.removals.remove(index).runs;
            model.known.leaving.retain(|id| !runs.contains(id));
            model.list.arrange(&model.known);
            let ids: Vec<RunId> = runs.into_iter().collect();
            if let Some(first) = ids.first() {
                model.list.select(*first);
            }
            let text = format!("{}: not deleted", what(model, &ids));
            notice(model, text, false)
        }
    }
}

/// Runs in few words.
pub fn what(model: &Model, runs: &[RunId]) -> String {
    match runs {
        [one] => model.known.rows.get(one).map_or_else(|| format!("#{one}"), |row| row.name.clone()),
        several => format!("{} runs", several.len()),
    }
}
