//! The keys that hold on the screen, read from the key table; what is typed narrows them down, and enter does the first.

use crossterm::event::KeyEvent;
use tui_input::Input;
use unicode_width::UnicodeWidthStr;

use super::{Dialog, edit, window};
use crate::tui::{
    keys::{Action, Binding},
    look::Tone,
    message::Effect,
    model::Model,
    pen::{Pen, folded},
    update::act,
};

/// The column in which the words begin.
const HELP_AT: u16 = 15;

/// The help.
#[derive(Clone, Debug, Default)]
pub struct Help {
    /// Words that the lines shown must hold.
    pub input: Input,
    selected: usize,
}

impl Help {
    /// What holds on the screen, and below it what holds in dialogs.
    fn lines<'m>(&self, model: &'m Model) -> Vec<&'m Binding> {
        let words = self.input.value().to_lowercase();
        let matches = |binding: &&Binding| {
            let keys: String = binding.keys.iter().map(|key| format!("{key} ")).collect();
            words.split_whitespace().all(|word| binding.help.to_lowercase().contains(word) || keys.contains(word))
        };
        let places = model.places();
        let dialogs = model.keys.table().iter().filter(|binding| binding.place.is_of_a_dialog());
        model.keys.bindings(&places).chain(dialogs).filter(matches).collect()
    }

    /// Does what a key means.
    pub fn act(mut self, model: &mut Model, action: Action) -> Vec<Effect> {
        let lines = self.lines(model);
        match action {
            Action::Close => return Vec::new(),
            Action::Accept => {
                // A key of a dialog does nothing without it.
                let chosen = lines.get(self.selected).filter(|binding| !binding.place.is_of_a_dialog());
                let action = chosen.map(|binding| binding.action);
                return action.map_or_else(Vec::new, |action| act(model, action));
            }
            Action::Down => self.selected = (self.selected + 1).min(lines.len().saturating_sub(1)),
            Action::Up => self.selected = self.selected.saturating_sub(1),
            _ => {}
        }
        model.dialog = Some(Dialog::Help(self));
        Vec::new()
    }

    /// Takes in what is searched for.
    pub(super) fn typed(&mut self, event: &KeyEvent) {
        edit(&mut self.input, event);
        self.selected = 0;
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let lines = self.lines(model);
        // As wide as the longest line, if the screen is; and as high as for what holds here: what holds in dialogs is further down.
        let longest = model.keys.table().iter().map(|binding| binding.help.width()).max().unwrap_or(0);
        let width = (longest + usize::from(HELP_AT) + 4) as u16;
        let room = width.min(pen.width()).saturating_sub(HELP_AT + 4);
        let here: Vec<_> = lines.iter().filter(|binding| !binding.place.is_of_a_dialog()).collect();
        let headings = here.chunk_by(|a, b| a.place.heading() == b.place.heading()).count();
        let rows_here: usize = here.iter().map(|binding| folded(binding.help, room).len()).sum();
        let height = if here.is_empty() { lines.len() + 8 } else { rows_here + headings + 4 } as u16;
        let mut window = window(look, pen, "Keys", width, height.max(8));
        let mut inside = window.inside();
        let x = inside.text(0, 0, "search ", look.style(Tone::Faint));
        inside.typed(x, 0, self.input.value(), self.input.cursor(), look.style(Tone::Strong));
        let mut rows: Vec<(Option<usize>, String, String)> = Vec::new();
        for (index, binding) in lines.iter().enumerate() {
            if index == 0 || lines[index - 1].place.heading() != binding.place.heading() {
                rows.push((None, binding.place.heading().into(), String::new()));
            }
            let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
            let help = folded(binding.help, inside.width().saturating_sub(HELP_AT)).into_iter();
            let keys = std::iter::once(keys.join(" ")).chain(std::iter::repeat(String::new()));
            rows.extend(keys.zip(help).map(|(keys, help)| (Some(index), keys, help)));
        }
        let room = usize::from(inside.height().saturating_sub(2));
        let at = rows.iter().position(|(index, ..)| *index == Some(self.selected)).unwrap_or(0);
        let shown = rows.iter().filter(|(index, ..)| *index == Some(self.selected)).count().max(1);
        let skip = (at + 1 + shown).saturating_sub(room).min(rows.len().saturating_sub(room));
        let below = rows.len().saturating_sub(skip + room);
        if below > 0 {
            let right = inside.width();
            inside.right(right, 0, &format!("↓ {below} more lines"), look.style(Tone::Faint));
        }
        for (y, (index, keys, help)) in (2..).zip(rows.iter().skip(skip).take(room)) {
            match index {
                None => {
                    inside.text(0, y, keys, look.style(Tone::Strong));
                }
                Some(index) => {
                    inside.fit(2, y, 12, keys, look.style(Tone::Key));
                    inside.text(HELP_AT, y, help, look.style(Tone::Text));
                    if *index == self.selected {
                        inside.row_style(y, look.selection());
                    }
                }
            }
        }
    }
}
