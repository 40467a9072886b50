//! Yes or no, before something is done that cannot be undone at a keystroke.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Dialog, window};
use crate::tui::{
    look::{Look, Tone},
    message::Effect,
    model::Model,
    pen::Pen,
};

/// A question and what follows from yes.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// The question.
    pub question: String,
    /// What it means.
    pub detail: String,
    /// What yes does.
    pub yes: Vec<Effect>,
}

impl Confirm {
    /// `y` and enter agree; `n`, escape and `q` do not; other keys change nothing.
    pub fn key(self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        match event.code {
            KeyCode::Char('y' | 'Y') | KeyCode::Enter => {
                model.list.marked.clear();
                self.yes
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => Vec::new(),
            _ => {
                model.dialog = Some(Dialog::Confirm(self));
                Vec::new()
            }
        }
    }

    pub(super) fn draw(&self, look: &Look, pen: &mut Pen<'_>) {
        let width = self.question.chars().count().max(self.detail.chars().count()).max(24) as u16 + 6;
        let mut window = window(look, pen, "Sure?", width, 7);
        let mut inside = window.inside();
        inside.text(0, 1, &self.question, look.style(Tone::Strong));
        inside.text(0, 2, &self.detail, look.style(Tone::Faint));
        let (key, word) = (look.style(Tone::Key), look.style(Tone::Text));
        inside.spans(0, 4, [("y", key), (" yes   ", word), ("n", key), (" no", word)]);
    }
}
