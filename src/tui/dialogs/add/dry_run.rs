//! The dry run: a line for every run that would be queued, and what all of them would cost. Nothing is queued.

use super::{draw::would_be_queued, estimate::Estimate};
use crate::{
    experiment::RunState,
    report::{
        pace::{Pace, pace_of},
        recipes::steps,
    },
    store::NewRun,
    tui::{
        dialogs::{hints, window},
        keys::{Action, Place},
        look::Tone,
        model::Model,
        pen::{Pen, wrapped},
        wording,
    },
};

/// What the list remembers.
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    /// The first line shown.
    top: usize,
}

impl DryRun {
    /// What a key does, in a list whose last line is number `last`.
    pub fn act(&mut self, action: Action, last: usize) {
        self.top = match action {
            Action::Down => self.top + 1,
            Action::Up => self.top.saturating_sub(1),
            Action::PageDown => self.top + 10,
            Action::PageUp => self.top.saturating_sub(10),
            Action::Top => 0,
            Action::Bottom => last,
            _ => self.top,
        }
        .min(last);
    }

    /// Draws it.
    pub fn draw(&self, model: &Model, runs: &[NewRun], cost: Option<&Estimate>, paces: &[Pace], pen: &mut Pen<'_>) {
        let look = &model.look;
        let (faint, text) = (look.style(Tone::Faint), look.style(Tone::Text));
        let (width, height) = (pen.width().min(132), pen.height().min(36));
        let mut window = window(look, pen, "Dry run: nothing is queued", width, height);
        let mut inside = window.inside();
        let (width, last) = (inside.width(), inside.height().saturating_sub(1));
        inside.text(0, 0, &would_be_queued(runs), look.style(Tone::Good));
        let mut y = 1;
        if let Some(cost) = cost {
            let all = format!("{} steps in all", wording::count(cost.all_steps));
            let words = [cost.steps_words(runs.len()), cost.time_words(runs.len()), all];
            let words = words.iter().take(if runs.len() == 1 { 2 } else { 3 }).filter(|words| !words.is_empty());
            inside.fit(0, y, width, &words.cloned().collect::<Vec<_>>().join(" · "), text);
            y = wrapped(&mut inside, y + 1, &cost.rests_on, faint) + 1;
        }
        inside.fit(0, y, width, &before(model), faint);
        y += 2;
        for (right, word) in [(22, "epochs"), (32, "steps"), (42, "time"), (50, "ε")] {
            inside.right(right, y, word, faint);
        }
        for (x, word) in [(0, "data"), (10, "net"), (52, "what is changed")] {
            inside.text(x, y, word, faint);
        }
        let top = self.top.min(runs.len().saturating_sub(1));
        for (y, run) in (y + 1..last.saturating_sub(1)).zip(&runs[top..]) {
            let config = &run.config;
            let time =
                pace_of(config, paces).map_or_else(|| "–".into(), |pace| wording::duration(pace.seconds(config)));
            inside.fit(0, y, 9, wording::dataset(config.data.dataset), text);
            inside.fit(10, y, 8, &config.model.label(), text);
            inside.right(22, y, &config.train.epochs.to_string(), text);
            inside.right(32, y, &wording::count(steps(config)), text);
            inside.right(42, y, &time, text);
            inside.right(50, y, &config.eval.eps.to_string(), text);
            let room = width.saturating_sub(52);
            let variant = match run.variant.chars().count() {
                0 => "as the config says".into(),
                long if long > usize::from(room) => wording::variant(&run.variant),
                _ => run.variant.clone(),
            };
            inside.fit(52, y, room, &variant, text);
        }
        let hint = hints(
            model,
            Place::IN_DRY_RUN,
            &[(&[Action::Accept], "queue"), (&[Action::Down, Action::Up], "scroll"), (&[Action::Close], "back")],
        );
        inside.text(0, last, &hint, faint);
    }
}

/// What stands before them in the queue.
fn before(model: &Model) -> String {
    let count = |test: fn(&RunState) -> bool| model.known.staying().filter(|row| test(&row.state)).count();
    let (running, waiting) = (count(RunState::holds_a_slot), count(|state| matches!(state, RunState::Queued { .. })));
    match (running, waiting) {
        (0, 0) => "nothing runs and nothing waits before them".into(),
        (running, waiting) => format!("before them: {running} running, {waiting} waiting"),
    }
}
