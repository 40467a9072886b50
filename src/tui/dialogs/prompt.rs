//! One line of text, in the last row of the screen.

use std::borrow::Cow;

use crossterm::event::KeyEvent;
use tui_input::Input;

use super::{Dialog, edit};
use crate::{
    experiment::{Epsilon, RunId},
    tui::{
        checkpoint,
        completion::{Completion, agreed, completions, config_key},
        filter::Filter,
        history,
        keys::Action,
        look::Tone,
        message::Effect,
        model::{Model, Screen},
        pen::Pen,
        update::notice,
        wording,
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
    /// Where a walk through the completions or the filters of before stands.
    walk: Walk,
}

/// What tab and the arrows go through; anything typed ends it.
#[derive(Clone, Debug, Default)]
enum Walk {
    /// Nothing.
    #[default]
    None,
    /// The completions of what was typed; none has been taken while they agree on more.
    Completions { typed: String, at: Option<usize> },
    /// The filters of before, counted from the newest; what was typed comes after the newest again.
    History { typed: String, back: usize },
}

/// What a typed line is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The filter of the runs list; holds while it is typed, and escape goes back to what it was.
    Filter {
        /// The filter when the prompt was opened.
        before: String,
    },
    /// The tags that runs have in common; what each has beside is given with it, and stays.
    Tags(Vec<(RunId, Vec<String>)>),
    /// The note of a run.
    Note(RunId),
    /// The ε of the certificates.
    Radius,
    /// The words to find in a log.
    Search,
    /// What a fork at a checkpoint of a run changes.
    Fork {
        /// The run.
        run: RunId,
        /// The checkpoint's step.
        step: u64,
    },
    /// The file that the net of a checkpoint is exported into.
    Export {
        /// The run.
        run: RunId,
        /// The checkpoint's step.
        step: u64,
    },
}

impl Purpose {
    fn label(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Purpose::Filter { .. } => "filter",
            Purpose::Tags(runs) if runs.len() > 1 => return format!("tags of all {}", runs.len()).into(),
            Purpose::Tags(_) => "tags",
            Purpose::Note(_) => "note",
            Purpose::Radius => "ε",
            Purpose::Search => "search",
            Purpose::Fork { step, .. } => return format!("fork at step {}", wording::count(*step)).into(),
            Purpose::Export { step, .. } => return format!("export step {} to", wording::count(*step)).into(),
        })
    }

    fn example(&self) -> &'static str {
        match self {
            Purpose::Filter { .. } => {
                "state:live or certified>0.9   tag:paper   -word   /regex/   tab completes   ↑ earlier ones"
            }
            Purpose::Tags(_) => "words, with spaces between them",
            Purpose::Note(_) => "a line of your own",
            Purpose::Radius => "0.3 or 8/255",
            Purpose::Search => "words in the log",
            Purpose::Fork { .. } => "loss.lambda_end=0.001 train.epochs=60   tab completes   nothing: as it was",
            Purpose::Export { .. } => "a new file; enter writes it",
        }
    }
}

impl Prompt {
    /// With some text to begin with.
    pub fn new(purpose: Purpose, text: String) -> Prompt {
        Prompt { purpose, input: Input::new(text), fault: None, walk: Walk::None }
    }

    /// Does what a key means. A filter is completed, and the keys of a fork; earlier lines there are of filters.
    pub fn act(mut self, model: &mut Model, action: Action) -> Vec<Effect> {
        let filter = matches!(self.purpose, Purpose::Filter { .. });
        match action {
            Action::Accept => return self.accept(model),
            Action::Close => {
                if let Purpose::Filter { before } = &self.purpose {
                    model.list.set_filter(before.clone(), Filter::parse(before).unwrap_or_default(), &model.known);
                }
                return Vec::new();
            }
            Action::Complete if filter => self.complete(model, 1),
            Action::CompleteBack if filter => self.complete(model, -1),
            Action::Up if filter => self.recall(model, 1),
            Action::Down if filter => self.recall(model, -1),
            Action::Complete if matches!(self.purpose, Purpose::Fork { .. }) => {
                if let Some(text) = config_key(self.input.value()) {
                    self.input = Input::new(text);
                }
            }
            _ => {}
        }
        self.changed(model);
        model.dialog = Some(Dialog::Prompt(self));
        Vec::new()
    }

    /// Takes in what is typed.
    pub(super) fn typed(&mut self, model: &mut Model, event: &KeyEvent) {
        edit(&mut self.input, event);
        self.walk = Walk::None;
        self.changed(model);
    }

    /// What follows from another text.
    fn changed(&mut self, model: &mut Model) {
        self.fault = None;
        if matches!(self.purpose, Purpose::Filter { .. }) {
            self.try_filter(model);
        }
    }

    /// What the last word can become, from what was typed.
    fn completions(&self, model: &Model) -> Vec<Completion> {
        let typed = match &self.walk {
            Walk::Completions { typed, .. } => typed,
            _ => self.input.value(),
        };
        completions(typed, model.known.rows.values())
    }

    /// Completes as far as the candidates agree, then goes through them.
    fn complete(&mut self, model: &Model, by: isize) {
        let found = self.completions(model);
        let (typed, at) = match std::mem::take(&mut self.walk) {
            Walk::Completions { typed, at } => (typed, at),
            _ => (self.input.value().to_owned(), None),
        };
        if at.is_none()
            && let Some(text) = agreed(self.input.value(), &found)
        {
            self.input = Input::new(text);
            return;
        }
        let next = match at {
            None if by > 0 => 0,
            None => found.len().saturating_sub(1),
            Some(at) => (at as isize + by).rem_euclid(found.len().max(1) as isize) as usize,
        };
        if let Some(completion) = found.get(next) {
            self.input = Input::new(completion.text.clone());
            self.walk = Walk::Completions { typed, at: Some(next) };
        }
    }

    /// Goes back to an earlier filter, or forth to a later one and to what was typed.
    fn recall(&mut self, model: &Model, by: isize) {
        let (typed, back) = match std::mem::take(&mut self.walk) {
            Walk::History { typed, back } => (typed, back),
            _ => (self.input.value().to_owned(), 0),
        };
        let back = back.saturating_add_signed(by).min(model.filters.len());
        let text = if back == 0 { typed.clone() } else { model.filters[model.filters.len() - back].clone() };
        self.input = Input::new(text);
        self.walk = Walk::History { typed, back };
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
                } else if !text.is_empty() {
                    history::add(&mut model.filters, &text);
                    return vec![Effect::KeepFilter(text)];
                }
            }
            Purpose::Tags(mut runs) => {
                for (_, tags) in &mut runs {
                    for word in text.split_whitespace() {
                        if !tags.iter().any(|tag| tag == word) {
                            tags.push(word.to_owned());
                        }
                    }
                }
                model.list.marked.clear();
                return vec![Effect::SetTags(runs, "tags are set".into())];
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
            Purpose::Fork { run, step } => return self.taken(model, |model| checkpoint::fork(model, run, step, &text)),
            Purpose::Export { run, step } => {
                return self.taken(model, |model| checkpoint::export(model, run, step, &text));
            }
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

    /// The effects, or the prompt with what is wrong.
    fn taken(mut self, model: &mut Model, take: impl FnOnce(&mut Model) -> Result<Vec<Effect>, String>) -> Vec<Effect> {
        take(model).unwrap_or_else(|fault| {
            self.fault = Some(fault);
            model.dialog = Some(Dialog::Prompt(self));
            Vec::new()
        })
    }

    fn draw_completions(&self, model: &Model, mut x: u16, line: &mut Pen<'_>) -> u16 {
        let look = &model.look;
        let chosen = match &self.walk {
            Walk::Completions { at, .. } => *at,
            _ => None,
        };
        for (index, completion) in self.completions(model).iter().enumerate() {
            let style = look.style(if chosen == Some(index) { Tone::Strong } else { Tone::Faint });
            x = line.text(x, 0, &completion.word, style).saturating_add(2);
        }
        x
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let last = pen.height().saturating_sub(1);
        let mut line = pen.rows(last, last + 1);
        line.clear();
        let x = line.text(1, 0, &self.purpose.label(), look.style(Tone::Key)) + 1;
        line.typed(x, 0, self.input.value(), self.input.cursor(), look.style(Tone::Strong));
        let used = x.saturating_add(u16::try_from(self.input.value().chars().count() + 3).unwrap_or(u16::MAX));
        match &self.fault {
            Some(fault) => line.text(used, 0, fault, look.style(Tone::Bad)),
            None if self.input.value().is_empty() || !matches!(self.purpose, Purpose::Filter { .. }) => {
                line.text(used, 0, self.purpose.example(), look.style(Tone::Faint))
            }
            None => self.draw_completions(model, used, &mut line),
        };
    }
}
