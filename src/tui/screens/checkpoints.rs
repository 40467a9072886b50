//! The checkpoints of a run with what is known of their nets; one of them is chosen, to be forked, exported or certified.

use crate::{
    experiment::{Epsilon, RunId},
    store::{CheckpointKind, CheckpointRow, EvalSplit, RunRow},
    tui::{
        keys::Action,
        known::{Known, RunData},
        look::Tone,
        model::Model,
        pen::Pen,
        screens::{first_shown, run::draw_waiting},
        wording,
    },
};

/// What the tab remembers.
#[derive(Clone, Debug, Default)]
pub struct CheckpointsTab {
    /// The step of the chosen one; the newest where none was chosen, and where that one is gone the next older one.
    selected: Option<u64>,
}

/// What is known of the net of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    eps: Epsilon,
    samples: u32,
    split: EvalSplit,
    clean: f64,
    certified: f64,
}

impl CheckpointsTab {
    /// The place of the chosen one among the checkpoints, newest first.
    fn place(&self, newest_first: &[&CheckpointRow]) -> usize {
        let Some(step) = self.selected else { return 0 };
        let found = newest_first.iter().position(|checkpoint| checkpoint.step <= step);
        found.unwrap_or(newest_first.len().saturating_sub(1))
    }

    /// The chosen checkpoint.
    pub fn chosen<'k>(&self, run: RunId, known: &'k Known) -> Option<&'k CheckpointRow> {
        let rows = newest_first(known.data(run)?);
        rows.get(self.place(&rows)).copied()
    }

    /// What a key does.
    pub fn act(&mut self, action: Action, run: RunId, known: &Known, page: usize) {
        let Some(data) = known.data(run) else { return };
        let rows = newest_first(data);
        let (at, last) = (self.place(&rows), rows.len().saturating_sub(1));
        let to = match action {
            Action::Down => at + 1,
            Action::Up => at.saturating_sub(1),
            Action::PageDown => at + page / 2,
            Action::PageUp => at.saturating_sub(page / 2),
            Action::Top => 0,
            Action::Bottom => last,
            _ => return,
        };
        self.selected = rows.get(to.min(last)).map(|checkpoint| checkpoint.step);
    }

    /// A click into line `line` of a tab of `height` lines chooses the checkpoint that stands there.
    pub fn click(&mut self, line: u16, height: u16, run: RunId, known: &Known) {
        let Some(data) = known.data(run) else { return };
        let rows = newest_first(data);
        let room = room(height);
        let line = line.checked_sub(1).map(usize::from).filter(|line| *line < room);
        if let Some(checkpoint) =
            line.and_then(|line| rows.get(first_shown(self.place(&rows), rows.len(), room) + line))
        {
            self.selected = Some(checkpoint.step);
        }
    }
}

fn newest_first(data: &RunData) -> Vec<&CheckpointRow> {
    data.checkpoints.iter().rev().collect()
}

/// Lines that say more of the chosen checkpoint, where there is room.
fn details(height: u16) -> u16 {
    if height >= 8 { 3 } else { 0 }
}

/// Checkpoints that have a line.
fn room(height: u16) -> usize {
    usize::from(height.saturating_sub(1 + details(height))).max(1)
}

/// What is known of the net of a step: of the test images where they were measured, else of those held out.
fn figures(run: RunId, step: u64, data: &RunData, known: &Known) -> Option<Figures> {
    if let Some(found) = known.certified.get(&(run, step)) {
        let (eps, samples) = (found.eps, found.samples);
        return Some(Figures { eps, samples, split: EvalSplit::Test, clean: found.clean, certified: found.certified });
    }
    let evals = data.evals.iter().filter(|eval| eval.step == step);
    let eval = evals.max_by_key(|eval| (eval.split == EvalSplit::Test, eval.id))?;
    let (eps, samples, split) = (eval.eps, eval.samples, eval.split);
    Some(Figures { eps, samples, split, clean: eval.clean, certified: eval.certified })
}

/// Draws the tab, newest first.
pub fn draw(model: &Model, row: &RunRow, tab: &CheckpointsTab, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(data) = model.known.data(row.id).filter(|data| !data.checkpoints.is_empty()) else {
        draw_waiting(row, "No checkpoint has been written yet.", look, pen);
        return;
    };
    let (faint, text) = (look.style(Tone::Faint), look.style(Tone::Text));
    let (width, height) = (pen.width(), pen.height());
    for (right, word) in [(10, "step"), (18, "epoch"), (25, "p"), (46, "clean"), (56, "certified"), (66, "size")] {
        pen.right(right, 0, word, faint);
    }
    for (x, word) in [(27, "kind"), (68, "written"), (82, "hash")] {
        pen.text(x, 0, word, faint);
    }
    let rows = newest_first(data);
    let (selected, room) = (tab.place(&rows), room(height));
    let shown = rows.iter().enumerate().skip(first_shown(selected, rows.len(), room)).take(room);
    for (y, (index, checkpoint)) in (1..height).zip(shown) {
        pen.right(10, y, &wording::count(checkpoint.step), look.style(Tone::Strong));
        pen.right(18, y, &format!("{:.2}", checkpoint.epoch), text);
        pen.right(25, y, &look.exponent(checkpoint.p), look.style(Tone::Exponent));
        pen.text(27, y, kind(checkpoint.kind), text);
        let found = figures(row.id, checkpoint.step, data, &model.known);
        let measuring = found.is_none() && model.known.measuring.contains(&(row.id, checkpoint.step));
        let figure = |value: Option<f64>| if measuring { "…".into() } else { wording::accuracy(value) };
        let tone =
            |tone: Tone| if found.is_some_and(|found| found.split == EvalSplit::Test) { tone } else { Tone::Faint };
        pen.right(46, y, &figure(found.map(|found| found.clean)), look.style(tone(Tone::Clean)));
        pen.right(56, y, &figure(found.map(|found| found.certified)), look.style(tone(Tone::Certified)));
        pen.right(66, y, &wording::bytes(checkpoint.bytes), text);
        pen.text(68, y, &wording::moment(checkpoint.time_ms, &model.zone), faint);
        pen.text(82, y, checkpoint.hash.get(..16).unwrap_or(&checkpoint.hash), faint);
        if index == selected {
            pen.row_style(y, look.selection());
            pen.symbol(0, y, "▸", look.style(Tone::Key));
        }
    }
    let lines = details(height);
    if let Some(checkpoint) = rows.get(selected).filter(|_| lines > 0) {
        let about = about(model, row, data, checkpoint);
        pen.rule(height - lines, faint);
        pen.fit(1, height - lines + 1, width.saturating_sub(2), &about, text);
        pen.fit(1, height - 1, width.saturating_sub(2), &format!("hash {}", checkpoint.hash), faint);
    }
}

/// What the figures of a checkpoint are of, or why there are none.
fn about(model: &Model, row: &RunRow, data: &RunData, checkpoint: &CheckpointRow) -> String {
    let step = wording::count(checkpoint.step);
    if let Some(found) = figures(row.id, checkpoint.step, data, &model.known) {
        let images = if found.split == EvalSplit::Test { "test images" } else { "held-out training images" };
        let Figures { clean, certified, eps, samples, .. } = found;
        let samples = wording::count(samples.into());
        return format!("step {step}: clean {clean:.4}, certified {certified:.4} at ε = {eps}, of {samples} {images}");
    }
    if model.known.measuring.contains(&(row.id, checkpoint.step)) {
        return format!("step {step}: is being certified");
    }
    match model.key_of(Action::Certify) {
        key if key.is_empty() => format!("step {step}: not evaluated"),
        key => format!("step {step}: not evaluated; {key} certifies it"),
    }
}

fn kind(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Periodic => "periodic",
        CheckpointKind::Phase => "phase switch",
        CheckpointKind::Milestone => "milestone",
        CheckpointKind::Best => "best",
        CheckpointKind::Asked => "asked for",
        CheckpointKind::Stop => "stop",
        CheckpointKind::Final => "final",
    }
}
