//! The figures of the compared runs: on the screen, and as a table for a paper.

use super::{
    CompareScreen,
    gather::{Bunch, Gather, bunches},
};
use crate::{
    report::results::escaped,
    store::RunRow,
    tui::{
        columns::Column,
        group::Mean,
        known::Known,
        look::{Look, Tone},
        pen::Pen,
        wording,
    },
};

/// Runs of different tasks have no mean that would mean anything.
fn one_task(rows: &[&RunRow]) -> bool {
    let task = |row: &RunRow| (row.config.data.dataset, row.config.eval.eps);
    rows.iter().all(|row| task(row) == task(rows[0]))
}

/// A mean in words: `0.9076 ± 0.0076`.
fn words(mean: Mean, column: Column) -> String {
    let (mean, deviation) = mean.words(column);
    deviation.map_or(mean.clone(), |deviation| format!("{mean} {deviation}"))
}

const HEADINGS: [&str; 7] = ["run", "variant", "clean", "attacked", "certified", "best", "p"];

/// The lines of the table for a paper: one a run, or one for those that are taken together.
fn lines(screen: &CompareScreen, known: &Known) -> Vec<[String; 7]> {
    let rows = screen.rows(known);
    let line = |bunch: &Bunch<'_>| {
        let group = bunch.group();
        let figure = |column| group.mean(column).map_or_else(|| "–".into(), |mean| words(mean, column));
        let p: Vec<String> = group.counted().iter().filter_map(|row| Some(row.summary.p?.to_string())).collect();
        let p = p.first().filter(|first| p.iter().all(|p| p == *first)).cloned().unwrap_or_else(|| "–".into());
        let (name, variant) = match bunch.rows[..] {
            [row] => (row.name.clone(), row.variant.clone()),
            _ => (format!("{}, {} runs", bunch.name, group.counted().len()), String::new()),
        };
        let [clean, attacked, certified, best] =
            [Column::Clean, Column::Attacked, Column::Certified, Column::Best].map(figure);
        [name, variant, clean, attacked, certified, best, p]
    };
    bunches(&rows, screen.gather).iter().map(line).collect()
}

/// The table as Markdown.
pub fn markdown(screen: &CompareScreen, known: &Known) -> String {
    let line = |cells: &[String]| {
        format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
    };
    let mut text = line(&HEADINGS.map(str::to_owned));
    text.push_str("|---|---|---|---|---|---|---|\n");
    text.extend(lines(screen, known).iter().map(|cells| line(cells)));
    text
}

/// The table in LaTeX; needs the package booktabs.
pub fn latex(screen: &CompareScreen, known: &Known) -> String {
    let line =
        |cells: &[String]| format!("{} \\\\\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" & "));
    let mut text = String::from("\\begin{tabular}{llrrrrr}\n\\toprule\n");
    text.push_str(&line(&HEADINGS.map(str::to_owned)));
    text.push_str("\\midrule\n");
    text.extend(lines(screen, known).iter().map(|cells| line(cells)));
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    text
}

/// The means below the runs: of each of those taken together, else of those that differ in their seed alone. A mean ± σ over
/// anything else would be read as one over seeds.
pub fn means(rows: &[&RunRow], gather: Gather) -> Vec<String> {
    let mean = |bunch: &Bunch<'_>| {
        let group = bunch.group();
        let (certified, clean) = (group.mean(Column::Certified)?, group.mean(Column::Clean)?);
        let n = certified.n;
        let (certified, clean) = (words(certified, Column::Certified), words(clean, Column::Clean));
        let name =
            if gather == Gather::Runs && bunch.rows.len() == rows.len() { "" } else { &format!("{}: ", bunch.name) };
        Some(format!("{name}mean of {n}: certified {certified} · clean {clean}"))
    };
    let by = if gather == Gather::Runs { Gather::Seeds } else { gather };
    let together = bunches(rows, by).into_iter().filter(|bunch| bunch.rows.len() > 1 && one_task(&bunch.rows));
    together.filter_map(|bunch| mean(&bunch)).collect()
}

/// Draws the runs' figures, and their means below.
pub fn draw_table(rows: &[&RunRow], means: &[String], look: &Look, mut pen: Pen<'_>) {
    let faint = look.style(Tone::Faint);
    let width = pen.width();
    pen.text(3, 0, "run", faint);
    for (right, word) in [(34, "certified"), (43, "best"), (52, "clean"), (61, "attacked"), (69, "p"), (79, "epoch")] {
        pen.right(right, 0, word, faint);
    }
    pen.text(82, 0, "variant", faint);
    let best = rows.iter().filter_map(|row| row.summary.certified).fold(f64::NEG_INFINITY, f64::max);
    let room = usize::from(pen.height().saturating_sub(1));
    let (shown, shown_means) = fitting(rows.len(), means.len(), room);
    for (y, row) in (1..).zip(&rows[..shown]) {
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
    for (y, text) in (shown as u16 + 1..).zip(&means[..shown_means]) {
        pen.fit(3, y, width.saturating_sub(3), text, look.style(Tone::Strong));
    }
    let hidden = rows.len() + means.len() - shown - shown_means;
    if hidden > 0 && room > 0 {
        pen.text(3, room as u16, &format!("… {hidden} more lines on a higher screen"), faint);
    }
}

/// How many runs and how many means are shown in so many lines, of which what is left out takes one.
fn fitting(runs: usize, means: usize, room: usize) -> (usize, usize) {
    if runs + means <= room {
        return (runs, means);
    }
    let room = room.saturating_sub(1);
    let means = means.min(room / 2);
    (runs.min(room - means), means)
}

/// Draws the keys in which the configs differ, with the value of each run.
pub fn draw_differences(rows: &[&RunRow], differing: &[(String, Vec<String>)], look: &Look, mut pen: Pen<'_>) {
    if pen.height() == 0 {
        return;
    }
    let faint = look.style(Tone::Faint);
    pen.text(3, 0, "config, where it differs", faint);
    let column = |index: usize| 30 + index as u16 * 14;
    for (index, row) in rows.iter().enumerate() {
        pen.fit(column(index), 0, 13, &row.name, look.run_style(row.id));
    }
    let room = usize::from(pen.height() - 1);
    let shown = if differing.len() <= room { room } else { room.saturating_sub(1) };
    if differing.len() > shown && room > 0 {
        pen.text(3, room as u16, &format!("… {} more keys on a higher screen", differing.len() - shown), faint);
    }
    for (y, (key, values)) in (1..).zip(differing.iter().take(shown)) {
        pen.fit(3, y, 26, key, look.style(Tone::Text));
        for (index, value) in values.iter().enumerate() {
            pen.fit(column(index), y, 13, value, look.style(Tone::Text));
        }
    }
}
