//! Commands by their names.

use crossterm::event::KeyEvent;
use tui_input::Input;

use super::{Dialog, edit, window};
use crate::tui::{
    keys::{Action, Binding, Keymap, Place},
    look::Tone,
    message::Effect,
    model::Model,
    pen::Pen,
    update::act,
};

/// A search among the commands of a place.
#[derive(Clone, Debug)]
pub struct Palette {
    places: Vec<Place>,
    /// What is typed.
    pub input: Input,
    selected: usize,
}

impl Palette {
    /// The commands of these places.
    pub fn new(places: Vec<Place>) -> Palette {
        Palette { places, input: Input::default(), selected: 0 }
    }

    /// The commands that match, best first.
    fn found<'m>(&self, keys: &'m Keymap) -> Vec<&'m Binding> {
        let typed = self.input.value().to_lowercase();
        let mut found: Vec<(usize, &Binding)> =
            keys.bindings(&self.places).filter_map(|binding| Some((distance(&typed, binding)?, binding))).collect();
        found.sort_by_key(|(distance, _)| *distance);
        found.into_iter().map(|(_, binding)| binding).collect()
    }

    /// Does what a key means.
    pub fn act(mut self, model: &mut Model, action: Action) -> Vec<Effect> {
        let found = self.found(&model.keys);
        match action {
            Action::Close => return Vec::new(),
            Action::Accept => {
                let action = found.get(self.selected).map(|binding| binding.action);
                return action.map_or_else(Vec::new, |action| act(model, action));
            }
            Action::Down => self.selected = (self.selected + 1).min(found.len().saturating_sub(1)),
            Action::Up => self.selected = self.selected.saturating_sub(1),
            _ => {}
        }
        model.dialog = Some(Dialog::Palette(self));
        Vec::new()
    }

    /// Takes in what is searched for.
    pub(super) fn typed(&mut self, event: &KeyEvent) {
        edit(&mut self.input, event);
        self.selected = 0;
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let mut window = window(look, pen, "Commands", 96, 16);
        let mut inside = window.inside();
        let x = inside.text(0, 0, ": ", look.style(Tone::Key));
        inside.typed(x, 0, self.input.value(), self.input.cursor(), look.style(Tone::Strong));
        let room = usize::from(inside.height().saturating_sub(2));
        let skip = (self.selected + 1).saturating_sub(room);
        for (y, (index, binding)) in (2..).zip(self.found(&model.keys).into_iter().enumerate().skip(skip).take(room)) {
            inside.fit(0, y, 10, &binding.key(), look.style(Tone::Key));
            let width = inside.width().saturating_sub(11);
            inside.fit(11, y, width, binding.help, look.style(Tone::Text));
            if index == self.selected {
                inside.row_style(y, look.selection());
            }
        }
    }
}

/// How far a command is from what was typed: the letters must come in order; gaps between them cost.
fn distance(typed: &str, binding: &Binding) -> Option<usize> {
    let text = format!("{} {}", binding.hint, binding.help).to_lowercase();
    let mut cost = 0;
    let mut rest = text.as_str();
    for letter in typed.chars() {
        let at = rest.find(letter)?;
        cost += at;
        rest = &rest[at + letter.len_utf8()..];
    }
    Some(cost)
}
