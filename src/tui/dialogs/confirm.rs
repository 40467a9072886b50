//! Yes or no, before something is done that cannot be undone at a keystroke.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Dialog, window};
use crate::experiment::RunId;
use crate::tui::{
    look::{Look, Tone},
    message::Effect,
    model::Model,
    pen::Pen,
    undo::{Undo, remove},
};

/// A question and what follows from yes.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// The question.
    pub question: String,
    /// What it means.
    pub detail: String,
    /// What yes does.
    pub yes: Answer,
}

/// What follows from yes.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Something is done that can be taken back, or cannot.
    Do(Vec<Effect>, Option<Undo>),
    /// These runs are removed, unless that is taken back in time.
    Remove(Vec<RunId>),
}

impl Confirm {
    /// `y` and enter agree; `n`, escape and `q` do not; other keys change nothing.
    pub fn key(self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        match event.code {
            KeyCode::Char('y' | 'Y') | KeyCode::Enter => {
                model.list.marked.clear();
                match self.yes {
                    Answer::Do(effects, undo) => {
                        model.undo.extend(undo);
                        effects
                    }
                    Answer::Remove(runs) => remove(model, runs),
                }
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
