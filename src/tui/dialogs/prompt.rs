//! One line of text, in the last row of the screen.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Dialog, edit};
use crate::{
    experiment::{Epsilon, RunId},
    tui::{
        filter::Filter,
        look::Tone,
        message::Effect,
        model::{Model, Screen},
        pen::Pen,
        update::notice,
    },
};

/// A line of text that is being typed.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    /// The text.
    pub input: Input,
    /// What is wrong with it.
    pub fault: Option<String>,
}

/// What a typed line is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The filter of the runs list; holds while it is typed, and escape goes back to what it was.
    Filter {
        /// The filter when the prompt was opened.
        before: String,
    },
    /// The tags of a run.
    Tags(RunId),
    /// The note of a run.
    Note(RunId),
    /// The ε of the certificates.
    Radius,
    /// The words to find in a log.
    Search,
}

impl Purpose {
    fn label(&self) -> &'static str {
        match self {
            Purpose::Filter { .. } => "filter",
            Purpose::Tags(_) => "tags",
            Purpose::Note(_) => "note",
            Purpose::Radius => "ε",
            Purpose::Search => "search",
        }
    }

    fn example(&self) -> &'static str {
        match self {
            Purpose::Filter { .. } => "state:live or certified>0.9   tag:paper   data:mnist   -word",
            Purpose::Tags(_) => "words, with spaces between them",
            Purpose::Note(_) => "a line of your own",
            Purpose::Radius => "0.3 or 8/255",
            Purpose::Search => "words in the log",
        }
    }
}

impl Prompt {
    /// With some text to begin with.
    pub fn new(purpose: Purpose, text: String) -> Prompt {
        Prompt { purpose, input: Input::new(text), fault: None }
    }

    /// Enter takes the text, escape leaves things as they were.
    pub fn key(mut self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        match event.code {
            KeyCode::Enter => self.accept(model),
            KeyCode::Esc => {
                if let Purpose::Filter { before } = &self.purpose {
                    model.list.set_filter(before.clone(), Filter::parse(before).unwrap_or_default(), &model.known);
                }
                Vec::new()
            }
            _ => {
                edit(&mut self.input, event);
                self.fault = None;
                if matches!(self.purpose, Purpose::Filter { .. }) {
                    self.try_filter(model);
                }
                model.dialog = Some(Dialog::Prompt(self));
                Vec::new()
            }
        }
    }

    fn try_filter(&mut self, model: &mut Model) {
        let text = self.input.value().to_owned();
        match Filter::parse(&text) {
            Ok(filter) => model.list.set_filter(text, filter, &model.known),
            Err(error) => self.fault = Some(error.to_string()),
        }
    }

    fn accept(mut self, model: &mut Model) -> Vec<Effect> {
        let text = self.input.value().trim().to_owned();
        match self.purpose.clone() {
            Purpose::Filter { .. } => {
                self.try_filter(model);
                if self.fault.is_some() {
                    model.dialog = Some(Dialog::Prompt(self));
                }
            }
            Purpose::Tags(id) => {
                return vec![Effect::SetTags(id, text.split_whitespace().map(str::to_owned).collect())];
            }
            Purpose::Note(id) => return vec![Effect::SetNote(id, text)],
            Purpose::Radius => match (text.parse::<Epsilon>(), &mut model.screen) {
                (Ok(eps), Screen::Run(screen)) => screen.certificates.eps = Some(eps.to_f64()),
                (Err(error), _) => {
                    self.fault = Some(error.to_string());
                    model.dialog = Some(Dialog::Prompt(self));
                }
                _ => {}
            },
            Purpose::Search => {
                let found = match &mut model.screen {
                    Screen::Run(screen) => screen.search(text, &model.known, model.size),
                    _ => true,
                };
                if !found {
                    return notice(model, "nothing in the log matches".into(), true);
                }
            }
        }
        Vec::new()
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let last = pen.height().saturating_sub(1);
        let mut line = pen.rows(last, last + 1);
        line.clear();
        let x = line.text(1, 0, self.purpose.label(), look.style(Tone::Key)) + 1;
        line.typed(x, 0, self.input.value(), self.input.cursor(), look.style(Tone::Strong));
        let used = x.saturating_add(u16::try_from(self.input.value().chars().count() + 3).unwrap_or(u16::MAX));
        match &self.fault {
            Some(fault) => line.text(used, 0, fault, look.style(Tone::Bad)),
            None => line.text(used, 0, self.purpose.example(), look.style(Tone::Faint)),
        };
    }
}
