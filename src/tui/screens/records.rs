//! The tabs that are plain tables: config and events.

use std::collections::BTreeMap;

use crate::{
    experiment::{Config, flat, keys},
    store::{EventRow, RunRow},
    tui::{look::Tone, model::Model, pen::Pen, screens::run::draw_waiting, wording},
};

/// Draws the whole config; what was set stands out from what was left at its default.
pub fn draw_config(model: &Model, row: &RunRow, scroll: usize, pen: &mut Pen<'_>) {
    let look = &model.look;
    let mut lines = Vec::new();
    let mut section = "";
    let table = flat(&row.config);
    let defaults = defaults(&row.config);
    for doc in keys() {
        let Some(value) = table.get(doc.key) else { continue };
        let (head, key) = doc.key.split_once('.').unwrap_or(("", doc.key));
        if head != section {
            lines.push((format!("[{head}]"), String::new(), String::new(), Tone::Strong));
            section = head;
        }
        let set = defaults.get(doc.key) != Some(value);
        lines.push((
            format!("  {key}"),
            value.clone(),
            doc.text.to_owned(),
            if set { Tone::Text } else { Tone::Faint },
        ));
    }
    let faint = look.style(Tone::Faint);
    pen.text(1, 0, "bright: set in this run's config · dim: default", faint);
    let width = pen.width();
    for (y, (key, value, text, tone)) in (1..pen.height()).zip(lines.iter().skip(scroll)) {
        pen.fit(1, y, 26, key, look.style(*tone));
        let style = look.style(if *tone == Tone::Text { Tone::Key } else { *tone });
        let rest = width.saturating_sub(29);
        // A value longer than its column takes the place of the explanation.
        if value.chars().count() > 22 {
            pen.fit(28, y, rest, value, style);
        } else {
            pen.text(28, y, value, style);
            pen.fit(52, y, width.saturating_sub(53), text, faint);
        }
    }
}

/// What the config would be with every key left out that has a default.
fn defaults(config: &Config) -> BTreeMap<String, String> {
    let Ok(mut table) = toml::Table::try_from(config) else { return BTreeMap::new() };
    for doc in keys().iter().filter(|doc| doc.default.is_some()) {
        remove(&mut table, doc.key);
    }
    match table.try_into::<Config>() {
        Ok(bare) => {
            let mut flat = flat(&bare);
            // Keys that must be given are always set.
            flat.retain(|key, _| keys().iter().any(|doc| doc.key == key && doc.default.is_some()));
            flat
        }
        Err(_) => BTreeMap::new(),
    }
}

fn remove(table: &mut toml::Table, path: &str) {
    match path.split_once('.') {
        None => {
            table.remove(path);
        }
        Some((head, rest)) => {
            if let Some(toml::Value::Table(inner)) = table.get_mut(head) {
                remove(inner, rest);
            }
        }
    }
}

/// Draws what happened to the run, newest first.
pub fn draw_events(model: &Model, row: &RunRow, scroll: usize, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(data) = model.known.data(row.id).filter(|data| !data.events.is_empty()) else {
        draw_waiting(row, "Nothing has happened to this run yet.", look, pen);
        return;
    };
    let faint = look.style(Tone::Faint);
    let width = pen.width();
    pen.text(1, 0, "time", faint);
    pen.right(24, 0, "step", faint);
    pen.text(26, 0, "kind", faint);
    for (y, event) in (1..pen.height()).zip(data.events.iter().rev().skip(scroll)) {
        let tone = match event.kind.as_str() {
            "alarm" | EventRow::UNSOUND => Tone::Bad,
            "phase" => Tone::Exponent,
            "eval" => Tone::Certified,
            "state" | "attempt" => Tone::Strong,
            _ => Tone::Text,
        };
        pen.text(1, y, &wording::moment(event.time_ms, &model.zone), faint);
        pen.right(24, y, &event.step.map(wording::count).unwrap_or_default(), faint);
        pen.fit(26, y, 11, &event.kind, look.style(tone));
        pen.fit(38, y, width.saturating_sub(39), &event.text, look.style(Tone::Text));
    }
}
