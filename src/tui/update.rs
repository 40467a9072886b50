//! What each message changes. Pure: whatever has to be done outside of the model is answered as effects.

use super::{
    alert::Alert,
    checkpoint,
    dialogs::{Answer, ColumnsDialog, Confirm, Dialog, Help, Palette, Prompt, Purpose, add::AddDialog},
    keys::{Action, Chord},
    message::{Effect, Msg},
    model::{Model, Notice, Screen},
    mouse::mouse,
    screens::{
        compare::{self, CompareScreen},
        queue::QueueScreen,
        run::RunScreen,
    },
    undo::{self, Undo},
};
use crate::{
    experiment::{Desired, RunId, RunState},
    store::RunRow,
};

/// Takes in one message.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = match msg {
        Msg::Key(event) => match model.dialog.take() {
            Some(dialog) => dialog.key(model, &event),
            None => {
                let action = model.keys.action(&model.places(), Chord::of(&event));
                action.map_or_else(Vec::new, |action| act(model, action))
            }
        },
        Msg::Mouse(event) => mouse(model, &event),
        Msg::Paste(text) => match model.dialog.take() {
            Some(dialog) => dialog.paste(model, &text),
            None => Vec::new(),
        },
        Msg::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        other => take_in(model, other),
    };
    model.list.keep_visible(model.size);
    let interest = model.interest();
    if interest != model.following {
        forget(model, &interest.runs);
        model.following = interest.clone();
        effects.push(Effect::Follow(interest));
    }
    effects
}

/// News from the store and the machine.
fn take_in(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let known = &mut model.known;
    match msg {
        Msg::Catalog { rows, now_ms } => {
            known.now_ms = now_ms;
            known.trouble = None;
            known.loaded = true;
            let before: Vec<(RunId, RunState)> =
                rows.iter().filter_map(|row| Some((row.id, known.rows.get(&row.id)?.state.clone()))).collect();
            known.rows.extend(rows.into_iter().map(|row| (row.id, row)));
            model.list.arrange(&model.known);
            return endings(model, &before);
        }
        Msg::RemovalDue(number) => return undo::carry_out(model, number),
        Msg::NotRemoved(id, why) => {
            known.leaving.remove(&id);
            model.list.arrange(&model.known);
            return notice(model, why, true);
        }
        Msg::Removed(ids) => {
            for id in ids {
                known.rows.remove(&id);
                known.leaving.remove(&id);
                model.list.marked.remove(&id);
            }
            model.list.arrange(&model.known);
            if matches!(&model.screen, Screen::Run(screen) if !model.known.rows.contains_key(&screen.run)) {
                model.screen = Screen::Runs;
            }
        }
        Msg::Trouble(why) => known.trouble = Some(why),
        Msg::FullDisk(full) => known.full_disk = full,
        Msg::Run(id, data) => {
            known.data.insert(id, data);
        }
        Msg::Certificates(id, certificates) => {
            known.certificates.insert(id, certificates);
        }
        Msg::Certified(run, step, found) => return checkpoint::certified(model, run, step, found),
        Msg::Log(id, log) => {
            known.logs.insert(id, log);
        }
        Msg::Configs(files, folder) => {
            if let Some(Dialog::Add(dialog)) = &mut model.dialog {
                dialog.offer(files, folder, known);
            }
        }
        Msg::Pace(pace) => {
            if let Some(Dialog::Add(dialog)) = &mut model.dialog {
                dialog.measured(pace, known);
            }
        }
        Msg::Machine(machine) => {
            model.machine_past.add(&machine);
            model.machine = Some(machine);
        }
        Msg::Images(id, images) => {
            model.images.insert(id, images);
        }
        Msg::Done(text) => return notice(model, text, false),
        Msg::Failed(text) => return notice(model, text, true),
        Msg::NoticeOver(number) => model.notices.retain(|notice| notice.number != number),
        Msg::Key(_) | Msg::Mouse(_) | Msg::Paste(_) | Msg::Resize(..) => {}
    }
    Vec::new()
}

/// Says which runs have just ended.
fn endings(model: &mut Model, before: &[(RunId, RunState)]) -> Vec<Effect> {
    let ended: Vec<(String, bool)> = before
        .iter()
        .filter_map(|(id, state)| {
            let row = model.known.rows.get(id)?;
            (!state.is_over() && row.state.is_over()).then(|| ending(row))
        })
        .collect();
    let alert = match ended.as_slice() {
        _ if model.alert == Alert::Off => None,
        [] => None,
        [(text, _)] => Some(Effect::Alert(text.clone())),
        several => Some(Effect::Alert(format!("{} runs have ended", several.len()))),
    };
    ended.into_iter().flat_map(|(text, bad)| notice(model, text, bad)).chain(alert).collect()
}

fn ending(row: &RunRow) -> (String, bool) {
    match &row.state {
        RunState::Failed { reason } => (format!("{} failed: {reason}", row.name), true),
        RunState::Lost { reason } => (format!("{} is lost: {reason}", row.name), true),
        RunState::Completed => match row.summary.certified {
            Some(certified) => (format!("{} is complete: certified {certified:.4}", row.name), false),
            None => (format!("{} is complete", row.name), false),
        },
        state => (format!("{} is {}", row.name, state.word()), false),
    }
}

/// Run data that nobody looks at any more is dropped once there is much of it.
fn forget(model: &mut Model, looked_at: &[RunId]) {
    const KEPT: usize = 24;
    if model.known.data.len() > KEPT {
        model.known.data.retain(|id, _| looked_at.contains(id));
        model.known.certificates.retain(|id, _| looked_at.contains(id));
        model.known.logs.retain(|id, _| looked_at.contains(id));
    }
}

/// Shows a notice for a while.
pub fn notice(model: &mut Model, text: String, bad: bool) -> Vec<Effect> {
    model.notice_count += 1;
    let number = model.notice_count;
    model.notices.push(Notice { number, text, bad });
    if model.notices.len() > 3 {
        model.notices.remove(0);
    }
    vec![Effect::ExpireNotice(number)]
}

/// Does what a key or the palette asks for.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => {
            // Whoever leaves has no second thoughts.
            let due: Vec<u64> = model.removals.iter().map(|removal| removal.number).collect();
            let mut effects: Vec<Effect> = due.into_iter().flat_map(|number| undo::carry_out(model, number)).collect();
            effects.push(Effect::Quit);
            return effects;
        }
        Action::Undo => return undo::undo(model),
        Action::Archive => return undo::archive(model),
        Action::Pin => return undo::pin(model),
        Action::Delete => return delete(model),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Help => model.dialog = Some(Dialog::Help(Help::default())),
        Action::Palette => model.dialog = Some(Dialog::Palette(Palette::new(model.places()))),
        Action::Add => {
            let dialog = AddDialog::new(&model.known);
            let measure = dialog.lacks_a_pace().then_some(Effect::MeasurePace);
            model.dialog = Some(Dialog::Add(dialog));
            return [Effect::LoadConfigs].into_iter().chain(measure).collect();
        }
        Action::Pause => return desire(model, Desired::Pause),
        Action::Resume if let Some(why) = checkpoint::not_the_last(model) => return notice(model, why, true),
        Action::Resume => return desire(model, Desired::Run),
        Action::Cancel => return cancel(model),
        Action::Machine => model.screen = Screen::Queue(QueueScreen::default()),
        Action::Compare => return compare_marked(model),
        Action::Tags => ask_for_tags(model),
        Action::Note => {
            if model.meant().len() > 1 {
                return notice(model, "a note is of one run: go to it, without marks".into(), true);
            }
            if let Some((id, note)) = model.current().map(|row| (row.id, row.note.clone())) {
                model.dialog = Some(Dialog::Prompt(Prompt::new(Purpose::Note(id), note)));
            }
        }
        Action::NextRun => step_run(model, 1),
        Action::PreviousRun => step_run(model, -1),
        _ => return act_on_screen(model, action),
    }
    Vec::new()
}

/// Asks for the tags that the runs meant have in common.
fn ask_for_tags(model: &mut Model) {
    let rows: Vec<&RunRow> = model.meant().iter().filter_map(|id| model.known.rows.get(id)).collect();
    let Some((first, others)) = rows.split_first() else { return };
    let common: Vec<&String> =
        first.tags.iter().filter(|tag| others.iter().all(|row| row.tags.contains(tag))).collect();
    let beside = |row: &&RunRow| (row.id, row.tags.iter().filter(|tag| !common.contains(tag)).cloned().collect());
    let purpose = Purpose::Tags(rows.iter().map(beside).collect());
    let text = common.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(" ");
    model.dialog = Some(Dialog::Prompt(Prompt::new(purpose, text)));
}

fn act_on_screen(model: &mut Model, action: Action) -> Vec<Effect> {
    match &mut model.screen {
        Screen::Runs => match action {
            Action::Open => match model.list.selected_run() {
                Some(id) => open(model, id),
                None => model.list.toggle_group(&model.known),
            },
            Action::Filter => {
                let text = model.list.filter_text.clone();
                model.dialog = Some(Dialog::Prompt(Prompt::new(Purpose::Filter { before: text.clone() }, text)));
            }
            Action::Columns => model.dialog = Some(Dialog::Columns(ColumnsDialog::new(model))),
            Action::Copy => {
                if let Some(name) = model.current().map(|row| row.name.clone()) {
                    let mut effects = notice(model, format!("copied {name}"), false);
                    effects.push(Effect::Copy(name));
                    return effects;
                }
            }
            other => model.list.act(other, &model.known, model.size),
        },
        Screen::Run(screen) => match action {
            Action::TypeRadius => {
                model.dialog = Some(Dialog::Prompt(Prompt::new(Purpose::Radius, String::new())));
            }
            Action::Search => {
                model.dialog = Some(Dialog::Prompt(Prompt::new(Purpose::Search, screen.log.search.clone())));
            }
            Action::Fork | Action::Export | Action::Certify | Action::Copy => return checkpoint::act(model, action),
            Action::Back if !screen.back() => model.screen = Screen::Runs,
            other => screen.act(other, &model.known, model.size),
        },
        Screen::Compare(screen) => match action {
            Action::Back if !screen.back() => model.screen = Screen::Runs,
            Action::Copy | Action::CopyLatex => {
                let (table, what) = match action {
                    Action::Copy => (compare::markdown(screen, &model.known), "Markdown"),
                    _ => (compare::latex(screen, &model.known), "LaTeX"),
                };
                let mut effects = notice(model, format!("copied the table as {what}"), false);
                effects.push(Effect::Copy(table));
                return effects;
            }
            other => screen.act(other, &model.known),
        },
        Screen::Queue(screen) => match action {
            Action::Back => model.screen = Screen::Runs,
            Action::Earlier | Action::Later | Action::RaisePriority | Action::LowerPriority => {
                return match screen.turn(action, &model.known) {
                    Some((id, turn, text)) => vec![Effect::SetTurn(id, turn, text)],
                    None => notice(model, "the run does not wait, or stands there already".into(), true),
                };
            }
            Action::Open => {
                if let Some(id) = screen.selected(&model.known) {
                    open(model, id);
                }
            }
            other => screen.act(other, &model.known),
        },
    }
    Vec::new()
}

/// Opens a run's screen.
pub fn open(model: &mut Model, id: RunId) {
    model.screen = Screen::Run(RunScreen::new(id));
}

fn step_run(model: &mut Model, by: isize) {
    if let Screen::Run(screen) = &mut model.screen
        && let Some(id) = model.list.neighbour(screen.run, by)
    {
        screen.run = id;
        model.list.select(id);
    }
}

/// Whether wanting this of a run in this state means anything.
fn applies(state: &RunState, desired: Desired) -> bool {
    match desired {
        Desired::Pause => {
            matches!(state, RunState::Queued { .. } | RunState::Starting { .. } | RunState::Running { .. })
        }
        Desired::Run => matches!(
            state,
            RunState::Paused { .. }
                | RunState::Pausing { .. }
                | RunState::Failed { .. }
                | RunState::Lost { .. }
                | RunState::Cancelled { .. }
        ),
        Desired::Cancel | Desired::CancelNow => !state.is_over(),
    }
}

fn those_it_applies_to(model: &Model, desired: Desired) -> Vec<RunId> {
    let rows = &model.known.rows;
    let applies = |id: &RunId| rows.get(id).is_some_and(|row| applies(&row.state, desired));
    model.meant().into_iter().filter(applies).collect()
}

fn desire(model: &mut Model, desired: Desired) -> Vec<Effect> {
    let runs = those_it_applies_to(model, desired);
    if runs.is_empty() {
        let (verb, states) = match desired {
            Desired::Run => ("resume", "paused, cancelled, failed or lost"),
            _ => ("pause", "queued or running"),
        };
        return notice(model, format!("nothing to {verb}: the run is not {states}"), true);
    }
    model.list.marked.clear();
    vec![Effect::Desire(runs, desired)]
}

fn cancel(model: &mut Model) -> Vec<Effect> {
    let runs = those_it_applies_to(model, Desired::Cancel);
    let row = |id: &RunId| model.known.rows.get(id);
    let Some(first) = runs.first().and_then(row) else {
        return notice(model, "nothing to cancel: the run is over".into(), true);
    };
    let again = runs.iter().filter_map(row).all(|row| matches!(row.state, RunState::Cancelling { .. }));
    let what = if runs.len() == 1 { first.name.clone() } else { format!("{} runs", runs.len()) };
    let (question, detail, desired) = if again {
        (format!("Stop {what} at once?"), "What it has done since its last checkpoint is lost.", Desired::CancelNow)
    } else {
        (format!("Cancel {what}?"), "It stops at a checkpoint and can still be resumed.", Desired::Cancel)
    };
    let queued = |id: &&RunId| matches!(row(id).map(|row| &row.state), Some(RunState::Queued { .. }));
    let queued: Vec<RunId> = runs.iter().filter(queued).copied().collect();
    let undo = (!queued.is_empty()).then_some(Undo::Cancelled(queued));
    let yes = Answer::Do(vec![Effect::Desire(runs, desired)], undo);
    model.dialog = Some(Dialog::Confirm(Confirm { question, detail: detail.into(), yes }));
    Vec::new()
}

fn delete(model: &mut Model) -> Vec<Effect> {
    let meant = model.meant();
    let stands = |id: &RunId| {
        let state = model.known.rows.get(id).map(|row| &row.state);
        state.is_some_and(|state| state.is_over() || matches!(state, RunState::Paused { .. }))
    };
    let runs: Vec<RunId> = meant.into_iter().filter(stands).collect();
    if runs.is_empty() {
        return notice(model, "nothing to delete: the run is under way or waits; cancel it first".into(), true);
    }
    let question = format!("Delete {} with all figures and checkpoints?", undo::what(model, &runs));
    let key = model.key_of(Action::Undo);
    let detail = if key.is_empty() {
        "It is gone in 15 seconds, or when you quit.".into()
    } else {
        format!("It is gone in 15 seconds, or when you quit; until then {key} takes it back.")
    };
    model.dialog = Some(Dialog::Confirm(Confirm { question, detail, yes: Answer::Remove(runs) }));
    Vec::new()
}

fn compare_marked(model: &mut Model) -> Vec<Effect> {
    let runs = model.meant();
    if runs.len() < 2 {
        let how = match model.key_of(Action::Mark) {
            key if key.is_empty() => String::new(),
            key => format!(" with {key}"),
        };
        return notice(model, format!("mark two runs or more{how}, or choose a group; then compare"), true);
    }
    if runs.len() > CompareScreen::MOST {
        return notice(
            model,
            format!("{} runs are too many for one chart: mark at most {}", runs.len(), CompareScreen::MOST),
            true,
        );
    }
    model.screen = Screen::Compare(CompareScreen::new(runs));
    Vec::new()
}
