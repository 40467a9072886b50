//! Adding a run or a sweep: pick a config, change keys of it, see what would be queued and what it would cost, queue it.

mod draw;
mod dry_run;
mod estimate;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;

use super::{Dialog, edit, insert};
use crate::{
    experiment,
    report::pace::{Pace, paces},
    store::NewRun,
    tui::{
        completion::config_key,
        keys::{Action, Chord, Place},
        known::{ConfigFile, Known},
        message::Effect,
        model::Model,
        update::notice,
    },
};
use dry_run::DryRun;
use estimate::{Estimate, estimate};

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
    /// What would be queued, or why nothing can be.
    preview: Result<Vec<NewRun>, String>,
    /// The config and the lines that it was made of.
    looked_at: Option<(usize, Vec<String>)>,
    /// What that would cost.
    cost: Option<Estimate>,
    /// How fast the store's runs trained.
    paces: Vec<Pace>,
    /// The list of what would be queued, while it is shown.
    dry_run: Option<DryRun>,
}

impl AddDialog {
    /// No config is known yet.
    pub fn new(known: &Known) -> AddDialog {
        AddDialog {
            files: None,
            folder: String::new(),
            selected: 0,
            lines: vec![Input::default()],
            line: 0,
            editing: false,
            preview: Err(String::new()),
            looked_at: None,
            cost: None,
            paces: paces(known.rows.values()),
            dry_run: None,
        }
    }

    /// The config files there are. The one that was chosen stays so.
    pub fn offer(&mut self, files: Vec<ConfigFile>, folder: String, known: &Known) {
        let chosen = self.file().and_then(|chosen| files.iter().position(|file| file.name == chosen.name));
        self.selected = chosen.unwrap_or(self.selected.min(files.len().saturating_sub(1)));
        (self.files, self.folder, self.looked_at) = (Some(files), folder, None);
        self.look_ahead(known);
    }

    /// Looks at what would be queued. A sweep may be large, so that is done when something has changed, not at every frame.
    fn look_ahead(&mut self, known: &Known) {
        let asked = (self.selected, self.lines.iter().map(|line| line.value().to_owned()).collect());
        if self.looked_at.as_ref() == Some(&asked) {
            return;
        }
        self.looked_at = Some(asked);
        self.preview = self.runs(known);
        let configs = self.preview.iter().flatten().map(|run| &run.config);
        self.cost = estimate(configs, &self.paces);
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
    /// one; `^s` queues and `^d` lists what would be queued, from everywhere; `e` opens the config in an editor; escape goes
    /// back.
    pub fn key(mut self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        if self.dry_run.is_some() {
            return self.key_in_dry_run(model, event, control);
        }
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
            KeyCode::Char('d') if control => self.dry_run = self.preview.is_ok().then(DryRun::default),
            KeyCode::Char('e') if !control && !self.editing => {
                let path = self.file().map(|file| file.path.clone());
                model.dialog = Some(Dialog::Add(self));
                return path.map(Effect::Edit).into_iter().collect();
            }
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
        self.look_ahead(&model.known);
        model.dialog = Some(Dialog::Add(self));
        Vec::new()
    }

    /// The arrows move, enter and `^s` queue, escape and `^d` go back.
    fn key_in_dry_run(mut self, model: &mut Model, event: &KeyEvent, control: bool) -> Vec<Effect> {
        let meaning = match event.code {
            KeyCode::Up => Some(Action::Up),
            KeyCode::Down => Some(Action::Down),
            _ => model.keys.action(&[Place::Everywhere], Chord::of(event)),
        };
        match (event.code, meaning) {
            (KeyCode::Enter, _) => return self.submit(model),
            (KeyCode::Char('s'), _) if control => return self.submit(model),
            (KeyCode::Char('d'), _) if control => self.dry_run = None,
            (KeyCode::Esc, _) | (_, Some(Action::Quit | Action::Back)) => self.dry_run = None,
            (_, Some(action)) => {
                let last = self.preview.as_ref().map_or(0, |runs| runs.len().saturating_sub(1));
                if let Some(dry_run) = &mut self.dry_run {
                    dry_run.act(action, last);
                }
            }
            _ => {}
        }
        model.dialog = Some(Dialog::Add(self));
        Vec::new()
    }

    /// Pasted lines become lines of their own.
    pub(super) fn paste(&mut self, text: &str, known: &Known) {
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
        self.look_ahead(known);
    }

    fn submit(self, model: &mut Model) -> Vec<Effect> {
        match self.runs(&model.known) {
            Ok(runs) => vec![Effect::Add(runs)],
            // The reason stands in the dialog already, if not beside the dry run.
            Err(why) => {
                let in_dry_run = self.dry_run.is_some();
                model.dialog = Some(Dialog::Add(self));
                if in_dry_run { notice(model, why, true) } else { Vec::new() }
            }
        }
    }

    /// The key of the line being typed, completed as far as the known keys agree.
    fn complete(&mut self) {
        let line = &mut self.lines[self.line];
        if let Some(text) = config_key(line.value()) {
            *line = Input::new(text);
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
