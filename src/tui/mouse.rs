//! What the mouse does, where the settings switch it on: a click chooses a line or a tab, the wheel scrolls. Nothing is done
//! by mouse alone.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{
    dialogs::Dialog,
    keys::Action,
    message::Effect,
    model::{Model, Screen},
    screens::{header, run::Tab},
    update::act,
};

/// Lines that one notch of the wheel scrolls.
const NOTCH: usize = 3;

/// Takes in what the mouse did.
pub fn mouse(model: &mut Model, event: &MouseEvent) -> Vec<Effect> {
    match event.kind {
        MouseEventKind::ScrollDown => wheel(model, false),
        MouseEventKind::ScrollUp => wheel(model, true),
        MouseEventKind::Down(MouseButton::Left) if model.dialog.is_none() => click(model, event.column, event.row),
        _ => Vec::new(),
    }
}

fn wheel(model: &mut Model, up: bool) -> Vec<Effect> {
    if model.dialog.is_some() {
        let action = if up { Action::Up } else { Action::Down };
        let mut notch = |_| match model.dialog.take() {
            // There the arrows fetch earlier filters.
            Some(Dialog::Prompt(prompt)) => {
                model.dialog = Some(Dialog::Prompt(prompt));
                Vec::new()
            }
            Some(dialog) => dialog.act(model, action),
            None => Vec::new(),
        };
        return (0..NOTCH).flat_map(&mut notch).collect();
    }
    let (action, times) = match &model.screen {
        Screen::Compare(_) => (if up { Action::ZoomIn } else { Action::ZoomOut }, 1),
        Screen::Run(screen) if screen.tab == Tab::Charts => (if up { Action::ZoomIn } else { Action::ZoomOut }, 1),
        Screen::Run(screen) if screen.tab == Tab::Certificates => (if up { Action::Right } else { Action::Left }, 1),
        _ => (if up { Action::Up } else { Action::Down }, NOTCH),
    };
    (0..times).flat_map(|_| act(model, action)).collect()
}

fn click(model: &mut Model, column: u16, row: u16) -> Vec<Effect> {
    // Below the header of the program.
    let Some(line) = row.checked_sub(1) else { return Vec::new() };
    let tab = match &model.screen {
        Screen::Run(screen) if line == 0 => {
            let row = model.known.rows.get(&screen.run);
            row.and_then(|row| header::tab_at(model, row, screen.tab, model.size.0, column))
        }
        _ => None,
    };
    if let Some(tab) = tab {
        return act(model, Action::Tab(tab.index() as u8));
    }
    let Model { screen, list, known, size, machine, .. } = model;
    match screen {
        Screen::Runs => list.click(line, *size),
        Screen::Run(screen) => screen.click(column, line, known, *size),
        Screen::Queue(screen) => screen.click(line, known, machine.as_ref(), *size),
        Screen::Compare(_) => {}
    }
    Vec::new()
}
