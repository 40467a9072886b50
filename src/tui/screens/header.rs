//! The header of a run's screen: its name, its state, its tabs, and what is known of its net.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::run::Tab;
use crate::{
    store::RunRow,
    tui::{keys::Action, look::Tone, model::Model, pen::Pen},
};

/// Columns between two figures of the header.
const GAP: u16 = 2;

/// How the header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    /// Whether the state stands there as a word, and not as its glyph alone.
    word: bool,
    /// Whether the tabs have their short names.
    short: bool,
    /// How many of the figures stand there.
    figures: usize,
}

/// Draws it.
pub fn draw(model: &Model, row: &RunRow, front: Tab, pen: &mut Pen<'_>) {
    let look = &model.look;
    let (glyph, glyph_style) = look.state_glyph(&row.state);
    let (keys, figures) = (keys(model), figures(row));
    let form = form(model, row, &keys, pen.width(), &figures);
    let x = pen.text(1, 0, &row.name, look.style(Tone::Strong)) + 1;
    let x = pen.text(x, 0, glyph, glyph_style) + 1;
    if form.word {
        pen.text(x, 0, row.state.word(), glyph_style);
    }
    for ((tab, place), key) in places(model, row, front, &keys, &form).into_iter().zip(&keys) {
        let on = tab == front;
        let name = if form.short { tab.short() } else { tab.name() };
        let style = if on { look.selection().patch(look.style(Tone::Strong)) } else { look.style(Tone::Faint) };
        pen.text(place.start, 0, key, look.style(if on { Tone::Key } else { Tone::Faint }));
        pen.text(place.end.saturating_sub(name.width() as u16), 0, name, style);
    }
    let mut right = pen.width().saturating_sub(1);
    for (text, tone) in &figures[..form.figures] {
        pen.right(right, 0, text, look.style(*tone));
        right = right.saturating_sub(text.width() as u16 + GAP);
    }
}

/// The tab at a column of the header.
pub fn tab_at(model: &Model, row: &RunRow, front: Tab, width: u16, column: u16) -> Option<Tab> {
    let keys = keys(model);
    let form = form(model, row, &keys, width, &figures(row));
    let places = places(model, row, front, &keys, &form);
    places.into_iter().find(|(_, place)| place.contains(&column)).map(|(tab, _)| tab)
}

fn keys(model: &Model) -> Vec<String> {
    (0..).zip(Tab::ALL).map(|(index, _)| model.key_of(Action::Tab(index))).collect()
}

/// Where the run's name and its glyph end.
fn name_end(model: &Model, row: &RunRow) -> u16 {
    let (glyph, _) = model.look.state_glyph(&row.state);
    (row.name.width() + glyph.width() + 3) as u16
}

/// Where the key and the name of each tab stand.
fn places(model: &Model, row: &RunRow, front: Tab, keys: &[String], form: &Form) -> Vec<(Tab, Range<u16>)> {
    let mut x = name_end(model, row) + if form.word { row.state.word().width() as u16 + 1 } else { 0 };
    let place = |(tab, key): (Tab, &String)| {
        let name = if form.short { tab.short() } else { tab.name() };
        // A short name is set apart from its key where the tab is in front.
        let gap = u16::from(!form.short || tab == front);
        let start = x + 1;
        let end = start + key.width() as u16 + gap + name.width() as u16;
        x = end + u16::from(!form.short);
        (tab, start..end)
    };
    Tab::ALL.into_iter().zip(keys).map(place).collect()
}

/// What is known of the net, the most important figure first.
fn figures(row: &RunRow) -> Vec<(String, Tone)> {
    let certified = row.summary.certified.map(|certified| (format!("certified {certified:.4}"), Tone::Certified));
    let attacked = row.summary.attacked.map(|(attacked, _)| (format!("attacked {attacked:.4}"), Tone::Text));
    certified.into_iter().chain(attacked).collect()
}

/// The form of the header that tells the most in `width` columns: before a figure is left out, words become short.
fn form(model: &Model, row: &RunRow, keys: &[String], width: u16, figures: &[(String, Tone)]) -> Form {
    let room = |form: &Form| {
        // The place of the tabs depends on which is in front by one column at most, and only where they are short.
        let tabs = places(model, row, Tab::Charts, keys, form).last().map_or(0, |(_, place)| place.end + 1);
        let shown = figures[..form.figures].iter().map(|(text, _)| text.width() + usize::from(GAP));
        usize::from(tabs) + shown.sum::<usize>()
    };
    let words =
        |figures| [(true, false), (false, false), (false, true)].map(|(word, short)| Form { word, short, figures });
    let mut forms = (0..=figures.len()).rev().flat_map(words);
    let shortest = Form { word: false, short: true, figures: 0 };
    forms.find(|form| room(form) <= usize::from(width)).unwrap_or(shortest)
}
