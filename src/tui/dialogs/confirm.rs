//! Yes or no, before something is done that cannot be undone at a keystroke.

use super::{Dialog, window};
use crate::experiment::RunId;
use crate::tui::{
    keys::{Action, Place},
    look::Tone,
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
    /// Does what a key means.
    pub fn act(self, model: &mut Model, action: Action) -> Vec<Effect> {
        match action {
            Action::Accept => {
                model.list.marked.clear();
                match self.yes {
                    Answer::Do(effects, undo) => {
                        model.undo.extend(undo);
                        effects
                    }
                    Answer::Remove(runs) => remove(model, runs),
                }
            }
            Action::Close => Vec::new(),
            _ => {
                model.dialog = Some(Dialog::Confirm(self));
                Vec::new()
            }
        }
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let width = self.question.chars().count().max(self.detail.chars().count()).max(24) as u16 + 6;
        let mut window = window(look, pen, "Sure?", width, 7);
        let mut inside = window.inside();
        inside.text(0, 1, &self.question, look.style(Tone::Strong));
        inside.text(0, 2, &self.detail, look.style(Tone::Faint));
        let mut x = 0;
        for (action, word) in [(Action::Accept, "yes"), (Action::Close, "no")] {
            let key = model.keys.key_of(Place::IN_CONFIRM, action);
            x = inside.text(x, 4, &key, look.style(Tone::Key)) + 1;
            x = inside.text(x, 4, word, look.style(Tone::Text)) + 3;
        }
    }
}
