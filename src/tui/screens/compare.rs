//! Several runs in one chart, their figures in one table, and where their configs differ.

use std::collections::BTreeMap;

use crate::{
    experiment::RunId,
    store::RunRow,
    tui::{
        chart::{Chart, Curve, Figure, Line, Reference},
        columns::Column,
        curves::{self, Course, Kind, Lens},
        group::{Group, Mean},
        keys::Action,
        known::Known,
        look::{Look, Tone},
        model::Model,
        pen::Pen,
        screens::{charts::act_on_lens, records::flat},
        wording,
    },
};

/// What the comparison remembers.
#[derive(Clone, Debug)]
pub struct CompareScreen {
    /// The runs, in the order of their numbers.
    pub runs: Vec<RunId>,
    lens: Lens,
    measure: Measure,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Measure {
    #[default]
    Certified,
    Clean,
    Surrogate,
    Loss,
}

impl Measure {
    const ALL: [Measure; 4] = [Measure::Certified, Measure::Clean, Measure::Surrogate, Measure::Loss];

    fn word(self) -> &'static str {
        match self {
            Measure::Certified => "certified accuracy",
            Measure::Clean => "clean accuracy",
            Measure::Surrogate => "surrogate accuracy (finite p)",
            Measure::Loss => "loss",
        }
    }
}

impl CompareScreen {
    /// As many runs as one chart can tell apart.
    pub const MOST: usize = 14;

    /// Of these runs.
    pub fn new(runs: Vec<RunId>) -> CompareScreen {
        CompareScreen { runs, lens: Lens::default(), measure: Measure::default() }
    }

    /// Gives up the cursor, then the zoom; false where there is neither.
    pub fn back(&mut self) -> bool {
        self.lens.cursor.take().is_some() || self.lens.window.take().is_some()
    }

    fn rows<'a>(&self, known: &'a Known) -> Vec<&'a RunRow> {
        self.runs.iter().filter_map(|id| known.rows.get(id)).collect()
    }

    /// What a key does here.
    pub fn act(&mut self, action: Action, known: &Known) {
        let at = Measure::ALL.iter().position(|measure| *measure == self.measure).unwrap_or(0);
        let rows = self.rows(known);
        let epochs = rows.iter().map(|row| f64::from(row.config.train.epochs)).fold(1.0, f64::max);
        let epoch = rows.iter().map(|row| row.summary.epoch).fold(0.0, f64::max);
        match action {
            Action::Down => self.measure = Measure::ALL[(at + 1) % Measure::ALL.len()],
            Action::Up => self.measure = Measure::ALL[(at + Measure::ALL.len() - 1) % Measure::ALL.len()],
            other => act_on_lens(&mut self.lens, other, epochs, epoch),
        }
    }

    /// The table as Markdown.
    pub fn markdown(&self, known: &Known) -> String {
        let rows = self.rows(known);
        let mut text = String::from(
            "| run | variant | clean | attacked | certified | best | p |\n|---|---|---|---|---|---|---|\n",
        );
        for row in &rows {
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                row.name,
                row.variant,
                wording::accuracy(row.summary.clean),
                wording::accuracy(row.summary.attacked.map(|attacked| attacked.0)),
                wording::accuracy(row.summary.certified),
                wording::accuracy(row.summary.best_certified.map(|best| best.0)),
                row.summary.p.map_or_else(|| "–".into(), |p| p.to_string())
            ));
        }
        text
    }
}

/// Draws the comparison.
pub fn draw(model: &Model, screen: &CompareScreen, pen: &mut Pen<'_>) {
    let (look, known) = (&model.look, &model.known);
    let rows = screen.rows(known);
    let (width, height) = (pen.width(), pen.height());
    let mut x = pen.text(1, 0, &format!("{} runs", rows.len()), look.style(Tone::Strong));
    x = pen.text(x, 0, " · x ", look.style(Tone::Faint));
    x = pen.text(x, 0, screen.lens.x.word(), look.style(Tone::Key));
    let arrows = [Action::Down, Action::Up].map(|action| model.key_of(action)).join(" ");
    x = pen.text(x, 0, &format!(" · {}: ", arrows.trim()), look.style(Tone::Faint));
    x = pen.text(x, 0, screen.measure.word(), look.style(Tone::Key));
    if let Some(epoch) = screen.lens.cursor {
        pen.text(x, 0, &format!(" · epoch {epoch:.2}"), look.style(Tone::Strong));
    }
    let differing = differences(&rows);
    let table = (rows.len() as u16 + 2).min(height / 3);
    let diff = if differing.is_empty() { 0 } else { (differing.len() as u16 + 2).min(height / 4) };
    let chart = height.saturating_sub(1 + table + diff);
    overlay(screen, &rows, known, look).draw(look, pen.part(0, 1, width, chart));
    draw_table(&rows, look, pen.part(0, 1 + chart, width, table));
    draw_differences(&rows, &differing, look, pen.part(0, 1 + chart + table, width, diff));
}

fn overlay(screen: &CompareScreen, rows: &[&RunRow], known: &Known, look: &Look) -> Chart {
    let kind = if screen.measure == Measure::Loss { Kind::Loss } else { Kind::Accuracy };
    // The run of most epochs spans the axis; all others are laid along it.
    let longest = rows.iter().max_by_key(|row| row.config.train.epochs);
    let mut chart = match longest {
        Some(row) => curves::chart(kind, row, known, &screen.lens, look),
        None => return empty_chart(),
    };
    chart.curves = rows.iter().map(|row| curve(screen, row, known, look)).collect();
    if screen.lens.fit || kind == Kind::Loss {
        let values = chart.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        chart.y = crate::tui::chart::Axis::around(values, chart.y.scale);
    }
    // One band is for all of the curves, and what happened to one of the runs is not.
    let bands = |row: &&RunRow| Course::new(row, known.data(row.id)).bands(screen.lens.x, look);
    if rows.iter().any(|row| bands(row) != chart.bands) {
        chart.bands.clear();
    }
    chart.marks.clear();
    chart.title = screen.measure.word().into();
    let mut levels: Vec<Reference> = Vec::new();
    if screen.measure == Measure::Certified {
        for published in rows.iter().filter_map(|row| row.config.run.published.as_ref()) {
            if levels.iter().all(|level| (level.y - published.certified).abs() > 1e-9) {
                levels.push(Reference {
                    y: published.certified,
                    label: "published".into(),
                    style: look.style(Tone::Published),
                });
            }
        }
    }
    chart.references = levels;
    chart
}

fn empty_chart() -> Chart {
    Chart {
        title: String::new(),
        focused: false,
        curves: Vec::new(),
        x: crate::tui::chart::Axis::linear(0.0, 1.0),
        y: crate::tui::chart::Axis::linear(0.0, 1.0),
        bands: Vec::new(),
        marks: Vec::new(),
        references: Vec::new(),
        cursor: None,
        figure: Figure::Share,
    }
}

fn curve(screen: &CompareScreen, row: &RunRow, known: &Known, look: &Look) -> Curve {
    let data = known.data(row.id);
    let course = Course::new(row, data);
    let x = |epoch: f64| course.x(screen.lens.x, epoch);
    let epochs = data.map_or(&[][..], |data| &data.epochs);
    let evals = data.map_or(&[][..], |data| &data.evals);
    let of_epochs = |value: fn(&crate::store::EpochRow) -> f64| {
        epochs.iter().map(|epoch| (x(f64::from(epoch.epoch) + 1.0), value(epoch))).collect::<Vec<_>>()
    };
    let points = match screen.measure {
        Measure::Certified => crate::store::curve(evals).map(|eval| (x(eval.epoch), eval.certified)).collect(),
        Measure::Clean => crate::store::curve(evals).map(|eval| (x(eval.epoch), eval.clean)).collect(),
        Measure::Surrogate => of_epochs(|epoch| epoch.surrogate),
        Measure::Loss => of_epochs(|epoch| epoch.loss),
    };
    let points = if screen.lens.smooth > 0.0 { curves::smoothed(&points, screen.lens.smooth) } else { points };
    let name = if row.variant.is_empty() { row.name.clone() } else { wording::variant(&row.variant) };
    let line = if screen.measure == Measure::Surrogate { Line::Dashed } else { Line::Solid };
    Curve { name, points, style: look.run_style(row.id), line }
}

fn draw_table(rows: &[&RunRow], look: &Look, mut pen: Pen<'_>) {
    let faint = look.style(Tone::Faint);
    let width = pen.width();
    pen.text(3, 0, "run", faint);
    for (right, word) in [(34, "certified"), (43, "best"), (52, "clean"), (61, "attacked"), (69, "p"), (79, "epoch")] {
        pen.right(right, 0, word, faint);
    }
    pen.text(82, 0, "variant", faint);
    let best = rows.iter().filter_map(|row| row.summary.certified).fold(f64::NEG_INFINITY, f64::max);
    for (y, row) in (1..pen.height()).zip(rows) {
        let summary = &row.summary;
        let leads = summary.certified.is_some_and(|certified| certified >= best);
        pen.text(1, y, "━", look.run_style(row.id));
        pen.fit(3, y, 20, &row.name, look.style(if leads { Tone::Strong } else { Tone::Text }));
        pen.right(
            34,
            y,
            &wording::accuracy(summary.certified),
            look.style(if leads { Tone::Certified } else { Tone::Text }),
        );
        pen.right(43, y, &wording::accuracy(summary.best_certified.map(|best| best.0)), faint);
        pen.right(52, y, &wording::accuracy(summary.clean), look.style(Tone::Clean));
        if let Some((attacked, _)) = summary.attacked {
            pen.right(61, y, &wording::accuracy(Some(attacked)), look.style(Tone::Text));
        }
        pen.right(69, y, &summary.p.map_or_else(|| "–".into(), |p| look.exponent(p)), look.style(Tone::Exponent));
        pen.right(79, y, &format!("{:.0}/{}", summary.epoch.floor(), row.config.train.epochs), faint);
        pen.fit(82, y, width.saturating_sub(83), &row.variant, faint);
    }
    // A mean over different tasks would mean nothing.
    let task = |row: &RunRow| (row.config.data.dataset, row.config.eval.eps);
    if rows.iter().any(|row| task(row) != task(rows[0])) {
        return;
    }
    let group = Group::new(rows.to_vec());
    if let (Some(certified), Some(clean)) = (group.mean(Column::Certified), group.mean(Column::Clean)) {
        let words = |mean: Mean, column: Column| {
            let (mean, deviation) = mean.words(column);
            deviation.map_or(mean.clone(), |deviation| format!("{mean} {deviation}"))
        };
        let n = certified.n;
        let (certified, clean) = (words(certified, Column::Certified), words(clean, Column::Clean));
        let text = format!("mean of {n}: certified {certified} · clean {clean}");
        pen.text(3, rows.len() as u16 + 1, &text, look.style(Tone::Strong));
    }
}

/// The keys in which the configs differ, with the value of each run.
fn differences(rows: &[&RunRow]) -> Vec<(String, Vec<String>)> {
    let tables: Vec<BTreeMap<String, String>> = rows.iter().map(|row| flat(&row.config)).collect();
    let mut keys: Vec<&String> = tables.iter().flat_map(BTreeMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let values =
        |key: &String| tables.iter().map(|table| table.get(key).cloned().unwrap_or_else(|| "–".into())).collect();
    keys.into_iter()
        .map(|key| (key.clone(), values(key)))
        .filter(|(_, values): &(String, Vec<String>)| values.iter().any(|value| *value != values[0]))
        .collect()
}

fn draw_differences(rows: &[&RunRow], differing: &[(String, Vec<String>)], look: &Look, mut pen: Pen<'_>) {
    if pen.height() == 0 {
        return;
    }
    let faint = look.style(Tone::Faint);
    pen.text(3, 0, "config, where it differs", faint);
    let column = |index: usize| 30 + index as u16 * 14;
    for (index, row) in rows.iter().enumerate() {
        pen.fit(column(index), 0, 13, &row.name, look.run_style(row.id));
    }
    for (y, (key, values)) in (1..pen.height()).zip(differing) {
        pen.fit(3, y, 26, key, look.style(Tone::Text));
        for (index, value) in values.iter().enumerate() {
            pen.fit(column(index), y, 13, value, look.style(Tone::Text));
        }
    }
}
