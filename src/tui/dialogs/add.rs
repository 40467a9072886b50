//! Adding a run or a sweep: pick a config, change keys of it, see what would be queued, queue it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;

use super::{Dialog, edit, insert, window};
use crate::{
    experiment::{self, Config, Schedules},
    store::NewRun,
    tui::{
        keys::{Action, Chord, Place},
        known::{ConfigFile, Known},
        look::Tone,
        message::Effect,
        model::Model,
        pen::{Pen, wrapped},
    },
};

/// The dialog.
#[derive(Clone, Debug)]
pub struct AddDialog {
    files: Option<Vec<ConfigFile>>,
    folder: String,
    selected: usize,
    /// Lines of `key=value`; several values make a sweep.
    lines: Vec<Input>,
    line: usize,
    editing: bool,
}

impl Default for AddDialog {
    fn default() -> Self {
        AddDialog {
            files: None,
            folder: String::new(),
            selected: 0,
            lines: vec![Input::default()],
            line: 0,
            editing: false,
        }
    }
}

impl AddDialog {
    /// The config files there are.
    pub fn offer(&mut self, files: Vec<ConfigFile>, folder: String) {
        self.selected = self.selected.min(files.len().saturating_sub(1));
        (self.files, self.folder) = (Some(files), folder);
    }

    fn file(&self) -> Option<&ConfigFile> {
        self.files.as_ref()?.get(self.selected)
    }

    /// What would be queued, or why nothing can be.
    pub fn runs(&self, known: &Known) -> Result<Vec<NewRun>, String> {
        let file = self.file().ok_or("no config is chosen")?;
        let lines: Vec<String> =
            self.lines.iter().map(|line| line.value().trim().to_owned()).filter(|line| !line.is_empty()).collect();
        let (sweeps, fixed): (Vec<String>, Vec<String>) = lines.into_iter().partition(|line| is_sweep(line));
        let grid = experiment::expand(&sweeps).map_err(|error| error.to_string())?;
        let group = (grid.len() > 1).then(|| free_group(file.name.trim_end_matches(".toml"), known));
        grid.into_iter()
            .map(|row| {
                let overrides: Vec<String> = fixed.iter().chain(&row).cloned().collect();
                let config =
                    experiment::parse_with(&file.text, &file.name, &overrides).map_err(|error| error.to_string())?;
                let text = if overrides.is_empty() {
                    file.text.clone()
                } else {
                    toml::to_string(&config).map_err(|error| error.to_string())?
                };
                Ok(NewRun { group: group.clone(), variant: row.join(" "), ..NewRun::new(config, text) })
            })
            .collect()
    }

    /// Tab goes between the configs and the keys; enter goes on to the keys, to the next line, and queues from an empty
    /// one; `^s` queues from everywhere; escape goes back.
    pub fn key(mut self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        // Where nothing is typed, the keys of the lists hold.
        let meaning = match event.code {
            KeyCode::Up => Some(Action::Up),
            KeyCode::Down => Some(Action::Down),
            _ => model.keys.action(&[Place::Everywhere], Chord::of(event)),
        };
        let empty_line = self.lines[self.line].value().trim().is_empty();
        match event.code {
            KeyCode::Esc if self.editing => self.editing = false,
            KeyCode::Esc => return Vec::new(),
            KeyCode::Char('s') if control => return self.submit(model),
            KeyCode::Tab if self.editing && !empty_line => self.complete(),
            KeyCode::Tab | KeyCode::BackTab => self.editing = !self.editing,
            KeyCode::Enter if !self.editing => self.editing = self.file().is_some(),
            KeyCode::Enter if empty_line => return self.submit(model),
            KeyCode::Enter => {
                self.line += 1;
                self.lines.insert(self.line, Input::default());
            }
            KeyCode::Up if self.editing => self.line = self.line.saturating_sub(1),
            KeyCode::Down if self.editing => self.line = (self.line + 1).min(self.lines.len() - 1),
            KeyCode::Backspace if self.editing && self.lines[self.line].value().is_empty() && self.lines.len() > 1 => {
                self.lines.remove(self.line);
                self.line = self.line.saturating_sub(1);
            }
            _ if self.editing => edit(&mut self.lines[self.line], event),
            _ => match meaning {
                Some(Action::Up) => self.selected = self.selected.saturating_sub(1),
                Some(Action::Down) => {
                    let last = self.files.as_ref().map_or(0, |files| files.len().saturating_sub(1));
                    self.selected = (self.selected + 1).min(last);
                }
                Some(Action::Quit) => return Vec::new(),
                _ => {}
            },
        }
        model.dialog = Some(Dialog::Add(self));
        Vec::new()
    }

    /// Pasted lines become lines of their own.
    pub(super) fn paste(&mut self, text: &str) {
        if !self.editing {
            return;
        }
        for (index, line) in text.lines().enumerate() {
            if index > 0 {
                self.line += 1;
                self.lines.insert(self.line, Input::default());
            }
            insert(&mut self.lines[self.line], line);
        }
    }

    fn submit(self, model: &mut Model) -> Vec<Effect> {
        match self.runs(&model.known) {
            Ok(runs) => vec![Effect::Add(runs)],
            Err(_) => {
                // The reason stands in the dialog already.
                model.dialog = Some(Dialog::Add(self));
                Vec::new()
            }
        }
    }

    /// The key of the line being typed, completed as far as the known keys agree.
    fn complete(&mut self) {
        let line = &mut self.lines[self.line];
        let typed = line.value().to_owned();
        if typed.contains('=') {
            return;
        }
        let matching: Vec<&str> =
            experiment::keys().iter().map(|doc| doc.key).filter(|key| key.contains(typed.trim())).collect();
        let prefixed: Vec<&str> = matching.iter().copied().filter(|key| key.starts_with(typed.trim())).collect();
        let candidates = if prefixed.is_empty() { matching } else { prefixed };
        let Some(first) = candidates.first() else { return };
        let agreed = candidates.iter().skip(1).fold((*first).to_owned(), |agreed, key| {
            agreed.chars().zip(key.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        });
        match candidates.len() {
            1 => *line = Input::new(format!("{first}=")),
            _ if agreed.len() > typed.trim().len() => *line = Input::new(agreed),
            _ => {}
        }
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let (width, height) = (pen.width().min(132), pen.height().min(36));
        let mut window = window(look, pen, "Add a run", width, height);
        let mut inside = window.inside();
        let hint = if self.editing {
            "enter next line, on an empty one: queue   tab complete   ^s queue   esc back to the configs".to_owned()
        } else {
            let arrows = [Action::Down, Action::Up].map(|action| model.keys.key_of(&[Place::Everywhere], action));
            format!("{} choose   enter change keys   ^s queue as it is   esc close", arrows.join(" ").trim())
        };
        let last = inside.height().saturating_sub(1);
        inside.text(0, last, &hint, look.style(Tone::Faint));
        let Some(files) = &self.files else {
            inside.text(0, 1, "looking for configs …", look.style(Tone::Faint));
            return;
        };
        if files.is_empty() {
            inside.text(0, 1, &format!("No config was found in {}.", self.folder), look.style(Tone::Text));
            inside.text(
                0,
                2,
                "Start linf-tui beside the folder configs, or set LINF_CONFIGS.",
                look.style(Tone::Faint),
            );
            return;
        }
        let list = (inside.width() / 3).clamp(16, 34).min(inside.width());
        let body = last.saturating_sub(1);
        self.draw_files(model, files, inside.part(0, 0, list, body));
        let width = inside.width();
        self.draw_editor(model, inside.part(list + 2, 0, width.saturating_sub(list + 2), body));
    }

    fn draw_files(&self, model: &Model, files: &[ConfigFile], mut pen: Pen<'_>) {
        let look = &model.look;
        pen.text(0, 0, "config", look.style(if self.editing { Tone::Faint } else { Tone::Strong }));
        let room = usize::from(pen.height().saturating_sub(1));
        let skip = (self.selected + 1).saturating_sub(room);
        for (y, (index, file)) in (1..).zip(files.iter().enumerate().skip(skip).take(room)) {
            let tone = if file.parsed.is_err() { Tone::Bad } else { Tone::Text };
            let width = pen.width();
            pen.fit(1, y, width.saturating_sub(1), file.name.trim_end_matches(".toml"), look.style(tone));
            if index == self.selected {
                pen.symbol(0, y, "▸", look.style(Tone::Key));
                pen.row_style(y, look.selection());
            }
        }
    }

    fn draw_editor(&self, model: &Model, mut pen: Pen<'_>) {
        let look = &model.look;
        let (faint, text) = (look.style(Tone::Faint), look.style(Tone::Text));
        let width = pen.width();
        let mut y = 0;
        match self.file().map(|file| &file.parsed) {
            Some(Ok(config)) => {
                pen.fit(0, y, width, &config.run.title, look.style(Tone::Strong));
                for line in about(config) {
                    y += 1;
                    pen.fit(0, y, width, &line, faint);
                }
            }
            Some(Err(why)) => {
                y = wrapped(&mut pen, 0, why, look.style(Tone::Bad));
            }
            None => {}
        }
        y += 2;
        pen.text(0, y, "change", look.style(if self.editing { Tone::Strong } else { Tone::Faint }));
        pen.text(8, y, "key=value, one a line", faint);
        y += 1;
        pen.text(2, y, "train.seed=1..5 or loss.lambda=0.05,0.1 make a sweep", faint);
        for (index, line) in self.lines.iter().enumerate() {
            y += 1;
            if self.editing && index == self.line {
                pen.symbol(0, y, "▸", look.style(Tone::Key));
                pen.typed(2, y, line.value(), line.cursor(), text);
            } else {
                pen.text(2, y, line.value(), text);
            }
        }
        if let Some(doc) = self.doc() {
            y += 1;
            let default = doc.default.map(|default| format!("; without it: {default}")).unwrap_or_default();
            y = wrapped(&mut pen, y, &format!("{}: {} ({}{default})", doc.key, doc.text, doc.allowed), faint);
        }
        y += 2;
        match self.runs(&model.known) {
            Err(why) => {
                wrapped(&mut pen, y, &why, look.style(Tone::Bad));
            }
            Ok(runs) => {
                let words = if runs.len() == 1 {
                    "1 run would be queued".into()
                } else {
                    format!("{} runs would be queued", runs.len())
                };
                pen.text(0, y, &words, look.style(Tone::Good));
                let named = runs.iter().filter(|run| !run.variant.is_empty());
                for (run, y) in named.zip(y + 1..pen.height()) {
                    pen.fit(2, y, width.saturating_sub(2), &run.variant, faint);
                }
            }
        }
    }

    /// The documentation of the key being typed.
    fn doc(&self) -> Option<&'static experiment::KeyDoc> {
        let line = self.lines.get(self.line).filter(|_| self.editing)?;
        experiment::explain(line.value().split('=').next().unwrap_or_default().trim())
    }
}

/// A name for a group that no other has.
fn free_group(stem: &str, known: &Known) -> String {
    let taken = |name: &str| known.rows.values().any(|row| row.group.as_deref() == Some(name));
    let numbered = (2..=known.rows.len() + 2).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_else(|| stem.to_owned())
}

/// Whether a line gives several values for a key. A TOML list or a quoted text is one value.
fn is_sweep(line: &str) -> bool {
    line.split_once('=').is_some_and(|(_, value)| {
        let value = value.trim();
        !value.starts_with(['[', '"', '\'', '{']) && (value.contains(',') || value.contains(".."))
    })
}

/// A config in three lines.
fn about(config: &Config) -> [String; 3] {
    let schedules = Schedules::new(config);
    let end = schedules.at(f64::from(config.train.epochs)).p;
    [
        format!(
            "{} · {} layers, {} wide · certified at ε = {}",
            config.data.dataset.title(),
            config.model.depth,
            config.model.width,
            config.eval.eps
        ),
        format!(
            "{} epochs of batches of {} · lr {} · λ {} · θ/2 {}",
            config.train.epochs, config.train.batch_size, config.train.lr, config.loss.lambda, config.loss.eps_train
        ),
        format!(
            "p {} from epoch {} to {}, then {} · on {}",
            config.schedule.p_start, config.schedule.ramp_start, config.schedule.ramp_end, end, config.resources.device
        ),
    ]
}
