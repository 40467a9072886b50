//! The table of runs: its headings, its groups, and a line for each run.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::RunsScreen;
use crate::{
    experiment::RunState,
    store::RunRow,
    tui::{
        columns::{Column, Place, Subject},
        filter::is_pinned,
        group::Group,
        keys::Action,
        look::{Look, Tone},
        model::Model,
        pen::{Pen, shortened},
        run_list::{Sort, progress},
        wording,
    },
};

/// What a variant needs at the least to stand in the place of the settings that a sweep has in common.
const VARIANT: u16 = 16;

/// Draws the names of the columns; the one that the list is sorted by stands out.
pub fn draw_names(list: &RunsScreen, places: &[Place], look: &Look, pen: &mut Pen<'_>) {
    for (index, place) in places.iter().enumerate() {
        let sort = place.column.map_or(Sort::Name, Sort::By);
        let style = look.style(if sort == list.arrangement.sort { Tone::Strong } else { Tone::Faint });
        let Some(spec) = place.column.map(Column::spec) else {
            pen.fit(place.x, 1, place.width, "run", style);
            continue;
        };
        let free =
            places.get(index + 1).is_some_and(|next| next.column.is_some_and(|next| next.spec().heading.is_empty()));
        let fits = |heading: &str| heading.width() <= usize::from(place.width);
        if fits(spec.heading) || free {
            // Longer than its figures, it runs on over a column that has no heading.
            if spec.right && fits(spec.heading) && !free {
                pen.right(place.end(), 1, spec.heading, style);
            } else {
                pen.text(place.x, 1, spec.heading, style);
            }
        } else {
            pen.right(place.end(), 1, &shortened(spec.short, usize::from(place.width)), style);
        }
    }
}

/// Draws the line of a group: its name, how many runs it has, and the mean and the spread of their figures.
pub fn draw_group(model: &Model, name: &str, places: &[Place], y: u16, pen: &mut Pen<'_>) {
    let (look, list) = (&model.look, &model.list);
    let group = Group::new(list.arrangement.members(&model.known, name));
    let folded = list.arrangement.folded.contains(name);
    pen.text(2, y, if folded { "▸" } else { "▾" }, look.style(Tone::Key));
    let means: Vec<(&Place, Column, _)> =
        places.iter().filter_map(|place| Some((place, place.column?, group.mean(place.column?)?))).collect();
    let n = means.iter().map(|(.., mean)| mean.n).max().unwrap_or(0);
    // A mean of fewer runs than the line says would be read as one of all of them.
    let means: Vec<_> = means.into_iter().filter(|(.., mean)| mean.n == n).collect();
    let width = pen.width();
    let end = |at: usize| means.get(at).map_or(width, |(place, ..)| place.x.saturating_sub(1));
    let mut x = pen.text(4, y, &shortened(name, usize::from(end(0).saturating_sub(4))), look.style(Tone::Strong));
    let n = if n > 0 && n < group.members.len() { format!(" · n = {n}") } else { String::new() };
    let words = format!("{} runs: {}{n}", group.members.len(), group.states());
    if x + 4 < end(0) {
        x += 1;
        let room = end(0) - x;
        pen.fit(x, y, room, &words, look.style(Tone::Faint));
    }
    for (index, (place, column, mean)) in means.iter().enumerate() {
        let tone = match column {
            Column::Certified => Tone::Certified,
            Column::Clean => Tone::Clean,
            Column::Surrogate => Tone::Surrogate,
            Column::Loss => Tone::Faint,
            _ => Tone::Text,
        };
        let (mean, spread) = mean.words(*column);
        let spread = spread.unwrap_or_default();
        let faint = look.style(Tone::Faint);
        // The spread follows where the column is wide enough, else over columns that say nothing of a group.
        if usize::from(place.width) > mean.width() + spread.width() && !spread.is_empty() {
            pen.right(place.end(), y, &spread, faint);
            pen.right(place.end() - spread.width() as u16 - 1, y, &mean, look.style(tone));
            continue;
        }
        pen.right(place.end(), y, &shortened(&mean, usize::from(place.width)), look.style(tone));
        if usize::from(place.end()) + 1 + spread.width() <= usize::from(end(index + 1)) {
            pen.text(place.end() + 1, y, &spread, faint);
        }
    }
}

/// Draws the line of a run.
pub fn draw_run(model: &Model, row: &RunRow, indented: bool, places: &[Place], y: u16, pen: &mut Pen<'_>) {
    let look = &model.look;
    if model.list.marked.contains(&row.id) {
        pen.text(1, y, "◆", look.style(Tone::Warn));
    } else if is_pinned(row) {
        pen.text(1, y, "↑", look.style(Tone::Key));
    }
    let shift = u16::from(indented) * 2;
    let (glyph, glyph_style) = look.state_glyph(&row.state);
    pen.text(2 + shift, y, glyph, glyph_style);
    let Some((name, others)) = places.split_first() else { return };
    let mut taken: Vec<Range<u16>> = Vec::new();
    let variant = if indented { wording::variant(&row.variant) } else { String::new() };
    let settings = settings(others).filter(|range| range.end - range.start >= VARIANT);
    let title = match (&settings, variant.is_empty()) {
        (Some(range), false) => {
            pen.fit(range.start, y, range.end - range.start, &variant, look.style(Tone::Text));
            taken.push(range.clone());
            &row.name
        }
        (None, false) => {
            let width = usize::from(name.width.saturating_sub(shift));
            // Cut, those of a sweep would look alike.
            &wording::variant_within(&row.variant, width).unwrap_or_else(|| row.name.clone())
        }
        (_, true) => &row.name,
    };
    let tone = if row.state.holds_a_slot() { Tone::Strong } else { Tone::Text };
    pen.fit(name.x + shift, y, name.width.saturating_sub(shift), title, look.style(tone));
    if let Some((text, tone)) = sentence(model, row) {
        let whole = text_takes_the_line(&row.state);
        if let Some(range) = if whole { rest(others, pen.width()) } else { course(others) } {
            pen.fit(range.start, y, range.end - range.start, &text, look.style(tone));
            taken.push(range);
        }
    }
    for place in others.iter().filter(|place| !taken.iter().any(|range| range.contains(&place.x))) {
        draw_cell(model, row, place, y, pen);
    }
}

/// The cells of the settings right behind the name.
fn settings(others: &[Place]) -> Option<Range<u16>> {
    let of = |place: &&Place| place.column.is_some_and(|column| column.spec().subject == Subject::Setting);
    let last = others.iter().take_while(of).last()?;
    Some(others[0].x..last.end())
}

/// The cells of the first columns side by side that say how far a run has come.
fn course(others: &[Place]) -> Option<Range<u16>> {
    let of = |place: &Place| place.column.is_some_and(|column| column.spec().subject == Subject::Course);
    let first = others.iter().position(of)?;
    let last = others[first..].iter().take_while(|place| of(place)).last()?;
    Some(others[first].x..last.end())
}

/// All cells from the first column on that does not say which run it is.
fn rest(others: &[Place], width: u16) -> Option<Range<u16>> {
    let says_which = |column: Column| matches!(column.spec().subject, Subject::Setting | Subject::Identity);
    let first = others.iter().find(|place| !place.column.is_some_and(says_which)).or(others.last())?;
    Some(first.x..width.saturating_sub(1).max(first.x))
}

fn draw_cell(model: &Model, row: &RunRow, place: &Place, y: u16, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(column) = place.column else { return };
    let (text, tone) = column.cell(row, place.width, look, &model.zone);
    let style = look.style(tone);
    let width = usize::from(place.width);
    if column == Column::Phase && place.width > 8 && !matches!(row.state, RunState::Completed) && !text.is_empty() {
        pen.fit(place.x, y, 4, &text, style);
        bar(pen, place.x + 5, y, place.width - 5, progress(row), look);
    } else if column.spec().right {
        pen.right(place.end(), y, &shortened(&text, width), style);
    } else {
        pen.fit(place.x, y, place.width, &text, style);
    }
}

/// Whether what there is to say of a state is worth more than its figures.
fn text_takes_the_line(state: &RunState) -> bool {
    matches!(state, RunState::Queued { .. } | RunState::Failed { .. } | RunState::Lost { .. })
}

/// What there is to say of a run that does not simply train or has not simply finished.
fn sentence(model: &Model, row: &RunRow) -> Option<(String, Tone)> {
    let known = &model.known;
    let at = |checkpoint: Option<u64>| match checkpoint {
        Some(_) => format!("epoch {:.0}/{}", row.summary.epoch.floor(), row.config.train.epochs),
        None => "its start".into(),
    };
    let resumable = |checkpoint: bool| match model.key_of(Action::Resume) {
        key if checkpoint && !key.is_empty() => format!(" · {key} resumes"),
        _ => String::new(),
    };
    Some(match &row.state {
        RunState::Queued { reason } => {
            (wording::wait_reason(reason, known.now_ms, |id| known.rows.get(&id)), Tone::Faint)
        }
        RunState::Starting { .. } => ("starting …".into(), Tone::Faint),
        RunState::Pausing { .. } => ("pausing: writes a checkpoint …".into(), Tone::Warn),
        RunState::Cancelling { now: false, .. } => ("stopping: writes a checkpoint …".into(), Tone::Faint),
        RunState::Cancelling { now: true, .. } => ("stopping at once …".into(), Tone::Faint),
        RunState::Paused { checkpoint } => (format!("paused at {}", at(*checkpoint)), Tone::Warn),
        RunState::Cancelled { checkpoint } => (format!("cancelled at {}", at(*checkpoint)), Tone::Faint),
        RunState::Failed { reason } => (format!("failed: {reason}{}", resumable(row.summary.step > 0)), Tone::Bad),
        RunState::Lost { reason } => (format!("lost: {reason}{}", resumable(row.summary.step > 0)), Tone::Bad),
        RunState::Running { .. } | RunState::Completed => return None,
    })
}

/// A bar of `width` cells, so much of it full.
pub fn bar(pen: &mut Pen<'_>, x: u16, y: u16, width: u16, share: f64, look: &Look) {
    let full = (share.clamp(0.0, 1.0) * f64::from(width)).round() as u16;
    for column in 0..width {
        let (symbol, tone) = if column < full { ("▰", Tone::Good) } else { ("▱", Tone::Faint) };
        pen.symbol(x + column, y, symbol, look.style(tone));
    }
}
