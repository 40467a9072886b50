//! What there is to say of the run or the group under the cursor: its curve, and the facts beside it.

use ratatui::style::Style;

use crate::{
    store::RunRow,
    tui::{
        chart::{Axis, Chart, Curve, Figure, Line},
        columns::Column,
        course::Course,
        curves::{self, Kind},
        group::Group,
        known::Known,
        lens::{AxisX, Lens},
        look::{Look, Tone},
        model::Model,
        pen::Pen,
        series::{self, Series},
        wording,
    },
};

/// Draws it.
pub fn draw(model: &Model, mut pen: Pen<'_>) {
    let (look, known) = (&model.look, &model.known);
    let runs = model.list.selected_runs(known);
    let rows: Vec<&RunRow> = runs.iter().filter_map(|id| known.rows.get(id)).collect();
    let facts = if pen.width() >= 100 { (pen.width() * 3 / 8).clamp(42, 60) } else { 0 };
    let chart_width = pen.width() - facts;
    match rows.as_slice() {
        [] => {}
        [row] => {
            let mut chart = curves::chart(Kind::Accuracy, row, known, &Lens::default(), look);
            chart.title = if facts > 0 { "certified accuracy".into() } else { row.name.clone() };
            // The training curves are one key away; here the eye shall find two.
            chart.curves.drain(..2);
            chart.draw(look, pen.part(0, 0, chart_width, pen.height()));
            draw_facts(model, row, pen.columns(chart_width + 2, chart_width + facts));
        }
        several => {
            let chart = group_chart(several, known, look);
            chart.draw(look, pen.part(0, 0, chart_width, pen.height()));
            draw_group_facts(several, look, pen.columns(chart_width + 2, chart_width + facts));
        }
    }
}

/// The certified accuracy of several runs against the epoch.
fn group_chart(rows: &[&RunRow], known: &Known, look: &Look) -> Chart {
    let curve = |row: &&RunRow| Curve {
        name: if row.variant.is_empty() { row.name.clone() } else { wording::variant(&row.variant) },
        points: known.data(row.id).map_or_else(
            || Vec::new().into(),
            |data| series::points(Series::Certified, row, data, &Course::new(row, Some(data)), AxisX::Epoch, 0.0),
        ),
        style: look.run_style(row.id),
        line: Line::Solid,
    };
    let curves: Vec<Curve> = rows.iter().map(curve).collect();
    let epochs = rows.iter().map(|row| f64::from(row.config.train.epochs)).fold(1.0, f64::max);
    Chart {
        title: "certified accuracy".into(),
        focused: false,
        y: Axis::linear(0.0, 1.0),
        curves,
        x: Axis::linear(0.0, epochs),
        bands: Vec::new(),
        marks: Vec::new(),
        references: Vec::new(),
        cursor: None,
        figure: Figure::Share,
    }
}

/// Lines of facts, one below the other; what is empty takes no line.
struct Facts<'p> {
    pen: Pen<'p>,
    y: u16,
}

impl Facts<'_> {
    fn line(&mut self, words: &str, style: Style) {
        if !words.is_empty() {
            let width = self.pen.width();
            self.pen.fit(0, self.y, width, words, style);
            self.y += 1;
        }
    }
}

fn draw_facts(model: &Model, row: &RunRow, pen: Pen<'_>) {
    let look = &model.look;
    let (text, faint) = (look.style(Tone::Text), look.style(Tone::Faint));
    let summary = &row.summary;
    let mut facts = Facts { pen, y: 0 };
    let title = format!("{} · {} · ε {}", row.name, row.config.data.dataset.title(), row.config.eval.eps);
    facts.line(&title, look.style(Tone::Strong));
    facts.line(&row.config.run.title, faint);
    if let Some((best, epoch)) = summary.best_certified {
        facts.line(&format!("best {best:.4} at epoch {epoch:.0}"), look.style(Tone::Certified));
    }
    if let Some((accuracy, samples)) = summary.attacked {
        facts.line(&format!("attacked {accuracy:.4} ({} test images)", wording::count(samples.into())), text);
    }
    if let Some(surrogate) = summary.surrogate {
        facts.line(&format!("surrogate {surrogate:.4} (training images, finite p)"), look.style(Tone::Surrogate));
    }
    if let Some(published) = &row.config.run.published {
        let words = format!("published {:.4} ({})", published.certified, published.source);
        facts.line(&words, look.style(Tone::Published));
    }
    facts.line(&wording::pace(row), text);
    facts.line(&until_infinity(row), text);
    facts.line(&summary.device, faint);
    let tags: String = row.tags.iter().map(|tag| format!("#{tag} ")).collect();
    facts.line(tags.trim_end(), faint);
    facts.line(&row.note, faint);
}

fn draw_group_facts(rows: &[&RunRow], look: &Look, pen: Pen<'_>) {
    let group = Group::new(rows.to_vec());
    let name = rows.first().and_then(|row| row.group.clone()).unwrap_or_default();
    let mut facts = Facts { pen, y: 0 };
    facts.line(&format!("{name} · {} runs", rows.len()), look.style(Tone::Strong));
    facts.line(&group.states(), look.style(Tone::Faint));
    let rows = [
        (Column::Certified, Tone::Certified),
        (Column::Attacked, Tone::Text),
        (Column::Clean, Tone::Clean),
        (Column::Best, Tone::Text),
    ];
    for (column, tone) in rows {
        if let Some(mean) = group.mean(column) {
            let (value, spread) = mean.words(column);
            let spread = spread.map(|spread| format!(" {spread}")).unwrap_or_default();
            facts.line(&format!("{:9} {value}{spread} (n = {})", column.name(), mean.n), look.style(tone));
        }
    }
    if let Some((row, certified)) = group.best() {
        let words = format!("highest   {certified:.4} {} {}", row.name, wording::variant(&row.variant));
        facts.line(words.trim_end(), look.style(Tone::Text));
    }
    if let Some(published) = group.members.iter().find_map(|row| row.config.run.published.as_ref()) {
        let words = format!("published {:.4} ({})", published.certified, published.source);
        facts.line(&words, look.style(Tone::Published));
    }
}

/// `p 87.4, ∞ in 14 min`.
pub fn until_infinity(row: &RunRow) -> String {
    let Some(p) = row.summary.p else { return String::new() };
    let course = Course::new(row, None);
    // Held beyond the end of its ramp: the schedule leaves such a run in the phase of the ramp.
    let beyond = row.summary.step > course.step_at(row.config.schedule.ramp_end).saturating_add(1);
    if beyond && row.summary.steps > 0 && !p.is_infinite() && row.config.schedule.p_end >= 100.0 {
        return format!("p = {p}, held beyond its ramp: ∞ only after p=go");
    }
    match row.summary.infinity_seconds.filter(|_| row.state.holds_a_slot()) {
        Some(left) => format!("p = {p}, ∞ in {}", wording::duration(left)),
        None => format!("p = {p}"),
    }
}
