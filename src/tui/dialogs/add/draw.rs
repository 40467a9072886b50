//! The dialog as it is drawn: the configs to the left, what is changed of the chosen one and what follows to the right.

use super::AddDialog;
use crate::{
    experiment::{Config, Schedules},
    store::NewRun,
    tui::{
        dialogs::{hints, window},
        keys::{Action, Place},
        known::ConfigFile,
        look::Tone,
        model::Model,
        pen::{Pen, wrapped},
    },
};

impl AddDialog {
    /// Draws the dialog, or the dry run in its place.
    pub fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let look = &model.look;
        let (width, height) = (pen.width().min(132), pen.height().min(36));
        if let (Some(dry_run), Ok(runs)) = (&self.dry_run, &self.preview) {
            dry_run.draw(model, runs, self.cost.as_ref(), &self.paces, pen);
            return;
        }
        let mut window = window(look, pen, "Add a run", width, height);
        let mut inside = window.inside();
        let hint = if self.editing {
            hints(
                model,
                Place::IN_CHANGES,
                &[
                    (&[Action::Accept], "next line; empty: queue"),
                    (&[Action::Complete], "complete"),
                    (&[Action::Queue], "queue"),
                    (&[Action::DryRun], "dry run"),
                    (&[Action::Close], "back"),
                ],
            )
        } else {
            hints(
                model,
                Place::IN_ADD,
                &[
                    (&[Action::Down, Action::Up], "choose"),
                    (&[Action::Accept], "change keys"),
                    (&[Action::Edit], "editor"),
                    (&[Action::Queue], "queue"),
                    (&[Action::DryRun], "dry run"),
                    (&[Action::Close], "close"),
                ],
            )
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
        match &self.preview {
            // A file that cannot be read has said so above.
            Err(_) if self.file().is_some_and(|file| file.parsed.is_err()) => {}
            Err(why) => {
                wrapped(&mut pen, y, why, look.style(Tone::Bad));
            }
            Ok(runs) => {
                pen.text(0, y, &would_be_queued(runs), look.style(Tone::Good));
                if let Some(cost) = &self.cost {
                    let words = [cost.steps_words(runs.len()), cost.time_words(runs.len())];
                    let words: Vec<String> = words.into_iter().filter(|words| !words.is_empty()).collect();
                    pen.fit(2, y + 1, width.saturating_sub(2), &words.join(" · "), text);
                    y = wrapped(&mut pen.columns(2, width), y + 2, &cost.rests_on, faint);
                }
                let named = runs.iter().filter(|run| !run.variant.is_empty());
                for (run, y) in named.zip(y + 1..pen.height()) {
                    pen.fit(2, y, width.saturating_sub(2), &run.variant, faint);
                }
            }
        }
    }
}

/// How many runs would be queued, and as what.
pub fn would_be_queued(runs: &[NewRun]) -> String {
    let group = runs.first().and_then(|run| run.group.as_deref());
    match (runs.len(), group) {
        (1, _) => "1 run would be queued".into(),
        (n, Some(group)) => format!("{n} runs would be queued, as the group {group}"),
        (n, None) => format!("{n} runs would be queued"),
    }
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
