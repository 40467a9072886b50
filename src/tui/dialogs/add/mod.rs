//! Adding a run or a sweep: pick a config, change keys of it, see what would be queued and what it would cost, queue it.

mod draw;
mod dry_run;
mod estimate;

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Dialog, edit, insert};
use crate::{
    experiment,
    report::pace::{Pace, paces},
    store::NewRun,
    tui::{
        completion::config_key,
        keys::{Action, Place},
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
    /// How fast the store's runs trained, or, where none has, a few steps.
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

    /// Whether nothing tells how fast the machine trains.
    pub fn lacks_a_pace(&self) -> bool {
        self.paces.is_empty()
    }

    /// How fast the machine trains, measured because no run of the store tells.
    pub fn measured(&mut self, pace: Pace, known: &Known) {
        if self.paces.is_empty() {
            (self.paces, self.looked_at) = (vec![pace], None);
            self.look_ahead(known);
        }
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
        let grid = experiment::expand(&sweeps, &fixed).map_err(|error| error.to_string())?;
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

    /// Where its keys are looked up, innermost first.
    pub(super) fn places(&self) -> &'static [Place] {
        match (&self.dry_run, self.editing) {
            (Some(_), _) => Place::IN_DRY_RUN,
            (None, true) => Place::IN_CHANGES,
            (None, false) => Place::IN_ADD,
        }
    }

    /// Whether letters are typed.
    pub(super) fn takes_text(&self) -> bool {
        self.editing && self.dry_run.is_none()
    }

    /// Does what a key means: among the configs, in the lines of keys, or in the dry run.
    pub(super) fn act(mut self, model: &mut Model, action: Action) -> Vec<Effect> {
        let empty_line = self.lines[self.line].value().trim().is_empty();
        match (action, self.editing) {
            (Action::Queue, _) => return self.submit(model),
            _ if self.dry_run.is_some() => return self.act_in_dry_run(model, action),
            (Action::DryRun, _) => self.dry_run = self.preview.is_ok().then(DryRun::default),
            (Action::Close, false) => return Vec::new(),
            (Action::Close, true) => self.editing = false,
            (Action::Complete, true) if !empty_line => self.complete(),
            (Action::Switch, _) | (Action::Complete, true) => self.editing = !self.editing,
            (Action::Accept, false) => self.editing = self.file().is_some(),
            (Action::Accept, true) if empty_line => return self.submit(model),
            (Action::Accept, true) => {
                self.line += 1;
                self.lines.insert(self.line, Input::default());
            }
            (Action::Up, true) => self.line = self.line.saturating_sub(1),
            (Action::Down, true) => self.line = (self.line + 1).min(self.lines.len() - 1),
            (Action::Edit, false) => {
                let path = self.file().map(|file| file.path.clone());
                model.dialog = Some(Dialog::Add(self));
                return path.map(Effect::Edit).into_iter().collect();
            }
            (action, false) => {
                let last = self.files.as_ref().map_or(0, |files| files.len().saturating_sub(1));
                self.selected = match action {
                    Action::Up => self.selected.saturating_sub(1),
                    Action::Down => (self.selected + 1).min(last),
                    Action::Top => 0,
                    Action::Bottom => last,
                    _ => self.selected,
                };
            }
            _ => {}
        }
        self.look_ahead(&model.known);
        model.dialog = Some(Dialog::Add(self));
        Vec::new()
    }

    fn act_in_dry_run(mut self, model: &mut Model, action: Action) -> Vec<Effect> {
        match action {
            Action::Accept => return self.submit(model),
            Action::Close => self.dry_run = None,
            action => {
                let last = self.preview.as_ref().map_or(0, |runs| runs.len().saturating_sub(1));
                if let Some(dry_run) = &mut self.dry_run {
                    dry_run.act(action, last);
                }
            }
        }
        model.dialog = Some(Dialog::Add(self));
        Vec::new()
    }

    /// Takes in what is typed.
    pub(super) fn typed(&mut self, model: &Model, event: &KeyEvent) {
        if !self.takes_text() {
            return;
        }
        if event.code == KeyCode::Backspace && self.lines[self.line].value().is_empty() && self.lines.len() > 1 {
            self.lines.remove(self.line);
            self.line = self.line.saturating_sub(1);
        } else {
            edit(&mut self.lines[self.line], event);
        }
        self.look_ahead(&model.known);
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
