//! The charts of a run: accuracy first, then loss, exponent and rates, all along one x axis with one cursor.

use unicode_width::UnicodeWidthStr;

use crate::{
    report::figures::of_held_out,
    store::RunRow,
    tui::{
        course::Course,
        curves::{self, Kind},
        keys::Action,
        known::RunData,
        lens::{AxisX, Lens},
        look::Tone,
        model::Model,
        pen::{Pen, folded},
        screens::runs::until_infinity,
        stall::stall,
        wording,
    },
};

/// What the tab remembers.
#[derive(Clone, Debug, Default)]
pub struct ChartsTab {
    /// How the charts are looked at.
    pub lens: Lens,
    /// The chart that has the keys.
    pub focus: usize,
    /// Whether it fills the screen.
    pub maximised: bool,
}

impl ChartsTab {
    /// Gives up the cursor, then the zoom, then the maximised chart; false where there is none of them.
    pub fn back(&mut self) -> bool {
        if self.lens.cursor.take().is_some() || self.lens.window.take().is_some() {
            return true;
        }
        std::mem::take(&mut self.maximised)
    }

    /// What a key does; `epoch` is where training stands.
    pub fn act(&mut self, action: Action, course: &Course<'_>, epoch: f64) {
        match action {
            Action::Open => self.maximised = !self.maximised,
            Action::Down => self.focus = (self.focus + 1) % Kind::ALL.len(),
            Action::Up => self.focus = (self.focus + Kind::ALL.len() - 1) % Kind::ALL.len(),
            Action::AxisX => self.lens.x = self.lens.x.next(course.eps_way().moves()),
            other => act_on_lens(&mut self.lens, other, course.epochs(), epoch),
        }
    }
}

/// What a key changes about how charts are looked at, the x axis aside: which there are depends on the runs.
pub fn act_on_lens(lens: &mut Lens, action: Action, epochs: f64, epoch: f64) {
    match action {
        Action::LogY => lens.log_y = !lens.log_y,
        Action::FitY => lens.fit = !lens.fit,
        Action::Smooth => {
            lens.smooth = match lens.smooth {
                0.0 => 0.6,
                s if s < 0.7 => 0.9,
                s if s < 0.95 => 0.97,
                _ => 0.0,
            }
        }
        Action::Left => lens.move_cursor(-0.01, epoch, epochs),
        Action::Right => lens.move_cursor(0.01, epoch, epochs),
        Action::PageUp => lens.move_cursor(-0.1, epoch, epochs),
        Action::PageDown => lens.move_cursor(0.1, epoch, epochs),
        Action::Top => lens.cursor = Some(lens.visible(epochs).0),
        Action::Bottom => lens.cursor = Some(lens.visible(epochs).1),
        Action::ZoomIn => lens.zoom(0.5, epochs),
        Action::ZoomOut => lens.zoom(2.0, epochs),
        Action::FarLeft => lens.pan(-0.25, epochs),
        Action::FarRight => lens.pan(0.25, epochs),
        _ => {}
    }
}

/// Draws the tab.
pub fn draw(model: &Model, row: &RunRow, tab: &ChartsTab, pen: &mut Pen<'_>) {
    let look = &model.look;
    let (width, height) = (pen.width(), pen.height());
    let stall = model.known.data(row.id).and_then(|data| stall(row, data));
    let mut warning = stall.map_or_else(Vec::new, |stall| folded(&stall.words(look), width.saturating_sub(2)));
    // What it rests on may take lines from the charts, but not their place.
    warning.truncate(usize::from(height / 7));
    let facts = if height >= 12 { 2 } else { u16::from(height >= 6) };
    let body = height - facts - warning.len() as u16;
    let draw_one = |index: usize, mut part: Pen<'_>| {
        let Some(kind) = Kind::ALL.get(index) else { return };
        let mut chart = curves::chart(*kind, row, &model.known, &tab.lens, look);
        chart.focused = index == tab.focus;
        let (w, h) = (part.width(), part.height());
        chart.draw(look, part.part(0, 0, w, h));
    };
    if tab.maximised || body < 14 || width < 50 {
        draw_one(tab.focus, pen.rows(0, body));
    } else {
        let upper = (body * 3 / 5).max(9);
        let beside = width >= 110 && body >= 24;
        if beside {
            let left = width * 3 / 5;
            draw_one(0, pen.part(0, 0, left, upper));
            draw_one(1, pen.part(left + 1, 0, width - left - 1, upper));
        } else {
            draw_one(0, pen.part(0, 0, width, upper));
        }
        let lower = below(1 + usize::from(beside), usize::from(width / NARROWEST).max(2), tab.focus);
        let mut x = 0;
        for (column, index) in (1..).zip(lower.clone()) {
            let end = (usize::from(width) * column / lower.len()) as u16;
            draw_one(index, pen.part(x, upper, end.saturating_sub(x), body - upper));
            x = end + 1;
        }
    }
    for (y, line) in (body..).zip(&warning) {
        pen.text(1, y, line, look.style(Tone::Warn));
    }
    if facts > 0 {
        draw_reading(model, row, &tab.lens, pen, height - facts);
    }
    if facts > 1 {
        draw_facts(model, row, pen, height - 1);
    }
}

/// Columns of the narrowest chart beside others.
const NARROWEST: u16 = 38;

/// Which charts stand in a row that has room for so many, where `first` is the first that has no place of its own: the one
/// with the keys is always to be seen.
fn below(first: usize, room: usize, focus: usize) -> std::ops::Range<usize> {
    let room = room.min(Kind::ALL.len() - first);
    let start = (focus + 1).saturating_sub(room).max(first);
    start..start + room
}

/// What the axis is, and where the cursor stands.
fn draw_reading(model: &Model, row: &RunRow, lens: &Lens, pen: &mut Pen<'_>, y: u16) {
    let look = &model.look;
    let (faint, key) = (look.style(Tone::Faint), look.style(Tone::Key));
    let mut x = pen.text(1, y, "x ", faint);
    let course = Course::new(row, model.known.data(row.id));
    x = pen.text(x, y, &course.word(lens.x), key);
    if lens.smooth > 0.0 {
        x = pen.text(x, y, &format!(" · smoothed {:.2}", lens.smooth), faint);
    }
    if let Some((from, to)) = lens.window {
        x = pen.text(x, y, &format!(" · epochs {from:.1} to {to:.1}"), faint);
    }
    if let Some(epoch) = lens.cursor {
        let point = course.schedules().at(epoch);
        let eps = match lens.x {
            AxisX::Epsilon => format!(" · ε_train {}", course.eps_way().figure(point.eps_train)),
            _ => String::new(),
        };
        let words = format!(
            " │ epoch {epoch:.2} · step {} · p {}{eps} · lr {} · λ {}",
            wording::count(course.step_at(epoch)),
            look.exponent(point.p),
            wording::figure(point.lr),
            wording::figure(point.lambda)
        );
        x = pen.text(x + 1, y, &words, look.style(Tone::Strong));
    }
    if let Some(order) = model.known.data(row.id).and_then(RunData::order)
        && usize::from(x) + order.width() + 2 < usize::from(pen.width())
    {
        pen.right(pen.width() - 1, y, order, faint);
    }
}

fn draw_facts(model: &Model, row: &RunRow, pen: &mut Pen<'_>, y: u16) {
    let look = &model.look;
    let width = pen.width();
    let mut words: Vec<String> = Vec::new();
    if let Some((best, epoch)) = row.summary.best_certified {
        let whose = of_held_out(&row.config);
        words.push(format!("best certified {best:.4}{whose} at epoch {epoch:.0}"));
    }
    if let Some((attacked, images)) = row.summary.attacked {
        words.push(format!("attacked {attacked:.4} ({} images)", wording::count(images.into())));
    }
    words.extend([wording::pace(row), until_infinity(row)].into_iter().filter(|text| !text.is_empty()));
    if let Some(left) = row.summary.eta_seconds.filter(|_| row.state.holds_a_slot()) {
        words.push(format!("{} left", wording::duration(left)));
    }
    pen.fit(1, y, width.saturating_sub(1), &words.join(" · "), look.style(Tone::Faint));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_with_the_keys_is_always_to_be_seen() {
        for first in 1..=2 {
            for room in 1..9 {
                for focus in first..Kind::ALL.len() {
                    let shown = below(first, room, focus);
                    assert!(shown.contains(&focus) && shown.start >= first && shown.end <= Kind::ALL.len());
                    assert_eq!(shown.len(), room.min(Kind::ALL.len() - first));
                }
            }
        }
    }
}
