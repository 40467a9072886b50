//! The keys that hold on the screen, read from the key table; what is typed narrows them down, and enter does the first.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Dialog, edit, window};
use crate::tui::{
    keys::{Action, Binding, Chord, Place},
    look::Tone,
    message::Effect,
    model::Model,
    pen::Pen,
    update::act,
};

/// The help.
#[derive(Clone, Debug, Default)]
pub struct Help {
    /// Words that the lines shown must hold.
    pub input: Input,
    selected: usize,
}

impl Help {
    fn lines<'m>(&self, model: &'m Model) -> Vec<&'m Binding> {
        let words = self.input.value().to_lowercase();
        let matches = |binding: &&Binding| {
            let keys: String = binding.keys.iter().map(|key| format!("{key} ")).collect();
            words.split_whitespace().all(|word| binding.help.to_lowercase().contains(word) || keys.contains(word))
        };
        model.keys.bindings(&model.places()).filter(matches).collect()
    }

    /// Letters search, the arrows move, enter does what the line says, escape closes.
    pub fn key(mut self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        let lines = self.lines(model);
        let meaning = model.keys.action(&[Place::Everywhere], Chord::of(event));
        match event.code {
            KeyCode::Esc => return Vec::new(),
            // What opened it closes it, and so does what leaves the program, until it may be part of a search.
            _ if matches!(meaning, Some(Action::Help | Action::Quit)) && self.input.value().is_empty() => {
                return Vec::new();
            }
            KeyCode::Enter => {
                let action = lines.get(self.selected).map(|binding| binding.action);
                return action.map_or_else(Vec::new, |action| act(model, action));
            }
            KeyCode::Down => self.selected = (self.selected + 1).min(lines.len().saturating_sub(1)),
            KeyCode::Up => self.selected = self.selected.saturating_sub(1),
            _ => {
                edit(&mut self.input, event);
                self.selected = 0;
            }
        }
        model.dialog = Some(Dialog::Help(self));
        Vec::new()
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let lines = self.lines(model);
        let headings = lines.chunk_by(|a, b| a.place == b.place).count();
        let height = (lines.len() + headings + 4) as u16;
        let mut window = window(look, pen, "Keys", 84, height.max(8));
        let mut inside = window.inside();
        let x = inside.text(0, 0, "search ", look.style(Tone::Faint));
        inside.typed(x, 0, self.input.value(), self.input.cursor(), look.style(Tone::Strong));
        let mut rows: Vec<(Option<usize>, String, String)> = Vec::new();
        for (index, binding) in lines.iter().enumerate() {
            if index == 0 || lines[index - 1].place != binding.place {
                rows.push((None, binding.place.heading().into(), String::new()));
            }
            let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
            rows.push((Some(index), keys.join(" "), binding.help.into()));
        }
        let room = usize::from(inside.height().saturating_sub(2));
        let at = rows.iter().position(|(index, ..)| *index == Some(self.selected)).unwrap_or(0);
        let skip = (at + 2).saturating_sub(room).min(rows.len().saturating_sub(room));
        for (y, (index, keys, help)) in (2..).zip(rows.iter().skip(skip).take(room)) {
            match index {
                None => {
                    inside.text(0, y, keys, look.style(Tone::Strong));
                }
                Some(index) => {
                    inside.fit(2, y, 12, keys, look.style(Tone::Key));
                    inside.text(15, y, help, look.style(Tone::Text));
                    if *index == self.selected {
                        inside.row_style(y, look.selection());
                    }
                }
            }
        }
    }
}
