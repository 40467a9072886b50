//! Draws the model. Changes nothing.

use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr;

use super::{
    graphics::Picture,
    keys::Action,
    look::{Look, Tone},
    model::{Model, Screen},
    pen::Pen,
    screens,
};
use crate::experiment::RunState;

/// Draws everything into `area`, and answers the pictures that are to go over it where the terminal shows pictures.
pub fn view(model: &Model, area: Rect, buffer: &mut Buffer) -> Vec<Picture> {
    let mut pictures = Vec::new();
    let mut pen = Pen::with_pictures(buffer, area, &mut pictures);
    let height = pen.height();
    draw_header(model, &mut pen);
    {
        let mut body = pen.rows(1, height.saturating_sub(1).max(1));
        match &model.screen {
            Screen::Runs => screens::runs::draw(model, &mut body),
            Screen::Run(screen) => screens::run::draw(model, screen, &mut body),
            Screen::Compare(screen) => screens::compare::draw(model, screen, &mut body),
            Screen::Queue(screen) => screens::queue::draw(model, screen, &mut body),
        }
    }
    if height > 2 {
        draw_hints(model, &mut pen.rows(height - 1, height));
    }
    draw_notices(model, &mut pen);
    if let Some(dialog) = &model.dialog {
        dialog.draw(model, &mut pen);
    }
    if !model.look.unicode {
        to_ascii(area.intersection(buffer.area), buffer);
    }
    pictures
}

fn draw_header(model: &Model, pen: &mut Pen<'_>) {
    let look = &model.look;
    let faint = look.style(Tone::Faint);
    let mut x = pen.text(1, 0, "linf-tui", look.style(Tone::Strong)) + 2;
    x = pen.text(x, 0, &model.store_name, faint) + 2;
    if let Some(trouble) = &model.known.trouble {
        pen.text(x, 0, trouble, look.style(Tone::Bad));
        return;
    }
    if model.known.full_disk {
        let banner = "the disk is full: training goes on and keeps what it cannot write";
        pen.text(x, 0, banner, look.style(Tone::Bad));
        return;
    }
    let count = |test: fn(&RunState) -> bool| model.known.staying().filter(|row| test(&row.state)).count();
    let parts = [
        (count(RunState::holds_a_slot), "running", Tone::Good),
        (count(|state| matches!(state, RunState::Queued { .. })), "queued", Tone::Text),
        (count(|state| matches!(state, RunState::Paused { .. })), "paused", Tone::Warn),
        (count(|state| matches!(state, RunState::Failed { .. } | RunState::Lost { .. })), "failed", Tone::Bad),
        (count(|state| matches!(state, RunState::Completed)), "done", Tone::Text),
    ];
    let mut first = true;
    for (number, word, tone) in parts.into_iter().filter(|(number, ..)| *number > 0) {
        if !std::mem::take(&mut first) {
            x = pen.text(x, 0, " · ", faint);
        }
        x = pen.text(x, 0, &format!("{number} "), look.style(tone));
        x = pen.text(x, 0, word, faint);
    }
}

fn draw_hints(model: &Model, pen: &mut Pen<'_>) {
    let look = &model.look;
    let (key, word) = (look.style(Tone::Key), look.style(Tone::Faint));
    let places = model.places();
    let fixed: Vec<(String, &str)> = [(Action::Help, "help"), (Action::Quit, "quit")]
        .into_iter()
        .map(|(action, word)| (model.key_of(action), word))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let room: usize = fixed.iter().map(|(name, word)| name.width() + word.len() + 3).sum();
    let end = pen.width().saturating_sub((room as u16).saturating_sub(1));
    let mut x = 1;
    let shown = model.keys.bindings(&places).filter(|binding| !binding.hint.is_empty() && !binding.keys.is_empty());
    for binding in shown {
        let mut name = binding.key();
        // Pairs of keys that go two ways are shown as one.
        let back = match binding.action {
            Action::Left => model.key_of(Action::Right),
            Action::ZoomIn => model.key_of(Action::ZoomOut),
            _ => String::new(),
        };
        if !back.is_empty() {
            name = format!("{name} {back}");
        }
        let width = (name.width() + binding.hint.width() + 3) as u16;
        if x + width > end {
            break;
        }
        x = pen.text(x, 0, &name, key) + 1;
        x = pen.text(x, 0, binding.hint, word) + 2;
    }
    x = end;
    for (name, what) in &fixed {
        x = pen.text(x, 0, name, key) + 1;
        x = pen.text(x, 0, what, word) + 2;
    }
}

fn draw_notices(model: &Model, pen: &mut Pen<'_>) {
    let look = &model.look;
    let (width, height) = (pen.width(), pen.height());
    let first = height.saturating_sub(1 + model.notices.len() as u16);
    for (y, notice) in (first..height.saturating_sub(1)).zip(&model.notices) {
        let (mark, tone) = if notice.bad { ("!", Tone::Bad) } else { ("✓", Tone::Good) };
        let text = super::pen::shortened(&notice.text, usize::from(width.saturating_sub(8)));
        let columns = text.width() as u16 + 5;
        let mut line = pen.part(width.saturating_sub(columns + 1), y, columns, 1);
        line.clear();
        line.row_style(0, look.selection());
        line.text(1, 0, mark, look.style(tone));
        line.text(3, 0, &text, look.style(Tone::Strong));
    }
}

/// Replaces every symbol that is not ASCII, for a terminal that shows nothing else.
fn to_ascii(area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        let cell = &mut buffer[position];
        if !cell.symbol().is_ascii() {
            let plain = Look::ascii(cell.symbol());
            cell.set_symbol(plain);
        }
    }
}
