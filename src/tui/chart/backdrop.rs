//! What lies behind the curves and on the axis below them: phases as bands, and what happened on the way as marks.

use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::Axis;
use crate::tui::{
    look::{Look, Tone},
    pen::Pen,
};

/// A stretch of the x axis with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What it is called, the longest name first; the first for which there is room is shown.
    pub labels: Vec<String>,
    /// What the axis is drawn with along it, so that bands differ where there is no room for a name either.
    pub rule: Rule,
}

/// How the x axis is drawn along a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// As everywhere.
    Light,
    /// Stronger.
    Heavy,
    /// As two lines.
    Double,
}

impl Rule {
    fn symbol(self) -> &'static str {
        match self {
            Rule::Light => "─",
            Rule::Heavy => "━",
            Rule::Double => "═",
        }
    }
}

/// Something that happened at one point of the x axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Where.
    pub x: f64,
    /// What stands on the axis there.
    pub symbol: &'static str,
    /// What happened; shown where there is room.
    pub label: String,
    /// Its colour.
    pub style: Style,
}

/// The column of a value, in a plot of so many; none outside.
fn column(axis: &Axis, x: f64, width: u16) -> Option<u16> {
    let column = (axis.place(x) * f64::from(width.saturating_sub(1))).round();
    (column >= 0.0 && column < f64::from(width)).then_some(column as u16)
}

/// The axis along each band. `pen` is the row of the axis below the plot.
pub fn draw_rules(axis: &Axis, bands: &[Band], look: &Look, pen: &mut Pen<'_>) {
    let last = f64::from(pen.width().saturating_sub(1));
    for band in bands.iter().filter(|band| band.rule != Rule::Light) {
        let (from, to) = (axis.place(band.from).max(0.0), axis.place(band.to).min(1.0));
        // Of a band outside the axis, the ends have changed places.
        if from <= to {
            for x in (from * last).round() as u16..=(to * last).round() as u16 {
                pen.symbol(x, 0, band.rule.symbol(), look.style(Tone::Faint));
            }
        }
    }
}

/// The marks on the row of the axis.
pub fn draw_marks(axis: &Axis, marks: &[Mark], pen: &mut Pen<'_>) {
    for mark in marks {
        if let Some(column) = column(axis, mark.x, pen.width()) {
            pen.symbol(column, 0, mark.symbol, mark.style);
        }
    }
}

/// The beginnings of bands and the names of all, behind what `pen` shows of the curves.
pub fn draw_behind(axis: &Axis, bands: &[Band], marks: &[Mark], look: &Look, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    let faint = look.style(Tone::Faint);
    for band in bands {
        if let Some(column @ 1..) = column(axis, band.from, width) {
            for row in 0..height {
                pen.under(column, row, "┊", faint);
            }
        }
        draw_name(axis, band, pen, faint);
    }
    for mark in marks {
        draw_mark(axis, mark, pen);
    }
}

/// The name of a band at the first row where it hides no curve.
fn draw_name(axis: &Axis, band: &Band, pen: &mut Pen<'_>, style: Style) {
    let (width, height) = (pen.width(), pen.height());
    let last = f64::from(width.saturating_sub(1));
    let begin = axis.place(band.from).max(0.0);
    // The line at its beginning is no room, nor is the one at its end.
    let start = ((begin * last).round() as u16).saturating_add(1);
    let end = axis.place(band.to);
    let end = if end < 1.0 { (end * last).round() as u16 } else { width };
    if height < 3 {
        return;
    }
    for label in &band.labels {
        let words = label.width() as u16;
        if start.saturating_add(words) > end {
            continue;
        }
        if let Some(row) = (0..height).find(|row| pen.is_empty(start, *row, words)) {
            pen.text(start, row, label, style);
            return;
        }
    }
}

/// What happened, low above its mark, where it hides nothing.
fn draw_mark(axis: &Axis, mark: &Mark, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    let words = mark.label.width() as u16;
    let Some(at) = column(axis, mark.x, width).filter(|_| height >= 6) else { return };
    // To the right of the mark, or to its left at the right edge; one column of air between it and its neighbours.
    let starts = [Some(at), at.checked_sub(words.saturating_sub(1))];
    for start in starts.into_iter().flatten() {
        let (begin, room) = (start.saturating_sub(1), words + 1 + u16::from(start > 0));
        let room = room.min(width.saturating_sub(begin));
        let fits = start.saturating_add(words) <= width;
        if let Some(row) = (height / 2..height).rev().find(|row| fits && pen.is_empty(begin, *row, room)) {
            pen.text(start, row, &mark.label, mark.style);
            return;
        }
    }
}
