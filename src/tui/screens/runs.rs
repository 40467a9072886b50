//! The list of runs with the certified accuracy of the one under the cursor.

use std::collections::BTreeSet;

use crate::{
    experiment::{RunId, RunState},
    store::RunRow,
    tui::{
        chart::{Axis, Chart, Curve, Figure, Line},
        curves::{self, Course, Kind, Lens},
        filter::Filter,
        keys::Action,
        known::Known,
        look::{Look, Tone},
        model::Model,
        pen::Pen,
        run_list::{Arrangement, Entry, SortKey, progress},
        wording,
    },
};

/// What the list remembers.
#[derive(Clone, Debug, Default)]
pub struct RunsScreen {
    arrangement: Arrangement,
    /// The filter as it was typed.
    pub filter_text: String,
    entries: Vec<Entry>,
    selected: usize,
    offset: usize,
    /// Runs marked for what comes next.
    pub marked: BTreeSet<RunId>,
}

impl RunsScreen {
    /// Arranges the lines anew; the cursor stays on what it was on.
    pub fn arrange(&mut self, known: &Known) {
        let on = self.entries.get(self.selected).cloned();
        self.entries = self.arrangement.entries(&known.rows);
        let same = |entry: &Entry| match (&on, entry) {
            (Some(Entry::Run { id, .. }), Entry::Run { id: other, .. }) => id == other,
            (on, other) => on.as_ref() == Some(other),
        };
        let last = self.entries.len().saturating_sub(1);
        self.selected = self.entries.iter().position(same).unwrap_or(self.selected.min(last));
    }

    /// Shows only what passes.
    pub fn set_filter(&mut self, text: String, filter: Filter, known: &Known) {
        self.filter_text = text;
        self.arrangement.filter = filter;
        self.arrange(known);
    }

    /// The run under the cursor; none on a group's heading.
    pub fn selected_run(&self) -> Option<RunId> {
        match self.entries.get(self.selected)? {
            Entry::Run { id, .. } => Some(*id),
            Entry::Group(_) => None,
        }
    }

    /// The run under the cursor, or all of the group under it.
    pub fn selected_runs(&self, known: &Known) -> Vec<RunId> {
        match self.entries.get(self.selected) {
            Some(Entry::Run { id, .. }) => vec![*id],
            Some(Entry::Group(group)) => {
                self.arrangement.members(&known.rows, group).into_iter().map(|row| row.id).collect()
            }
            None => Vec::new(),
        }
    }

    /// Puts the cursor on a run, if it is shown.
    pub fn select(&mut self, run: RunId) {
        if let Some(index) = self.entries.iter().position(|entry| matches!(entry, Entry::Run { id, .. } if *id == run))
        {
            self.selected = index;
        }
    }

    /// The run so many lines further in the list.
    pub fn neighbour(&self, run: RunId, by: isize) -> Option<RunId> {
        let runs: Vec<RunId> = self
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Run { id, .. } => Some(*id),
                Entry::Group(_) => None,
            })
            .collect();
        let at = runs.iter().position(|id| *id == run)?;
        runs.get(at.checked_add_signed(by)?).copied()
    }

    /// Folds or unfolds the group under the cursor.
    pub fn toggle_group(&mut self, known: &Known) {
        if let Some(Entry::Group(group)) = self.entries.get(self.selected).cloned() {
            if !self.arrangement.folded.remove(&group) {
                self.arrangement.folded.insert(group);
            }
            self.arrange(known);
        }
    }

    /// What a key does here.
    pub fn act(&mut self, action: Action, known: &Known, size: (u16, u16)) {
        let page = (Rows::of(size, self.entries.len()).list / 2).max(1) as usize;
        let last = self.entries.len().saturating_sub(1);
        match action {
            Action::Down => self.selected = (self.selected + 1).min(last),
            Action::Up => self.selected = self.selected.saturating_sub(1),
            Action::PageDown => self.selected = (self.selected + page).min(last),
            Action::PageUp => self.selected = self.selected.saturating_sub(page),
            Action::Top => self.selected = 0,
            Action::Bottom => self.selected = last,
            Action::Mark => {
                let runs = self.selected_runs(known);
                if runs.iter().all(|id| self.marked.contains(id)) {
                    self.marked.retain(|id| !runs.contains(id));
                } else {
                    self.marked.extend(runs);
                }
                self.selected = (self.selected + 1).min(last);
            }
            Action::MarkAll if self.marked.is_empty() => {
                self.marked =
                    known.rows.values().filter(|row| self.arrangement.filter.passes(row)).map(|row| row.id).collect();
            }
            Action::MarkAll => self.marked.clear(),
            Action::Sort => {
                self.arrangement.sort = self.arrangement.sort.next();
                self.arrange(known);
            }
            Action::ReverseSort => {
                self.arrangement.reversed = !self.arrangement.reversed;
                self.arrange(known);
            }
            Action::Fold => {
                if self.arrangement.folded.is_empty() {
                    self.arrangement.folded = known.rows.values().filter_map(|row| row.group.clone()).collect();
                } else {
                    self.arrangement.folded.clear();
                }
                self.arrange(known);
            }
            Action::Back if !self.marked.is_empty() => self.marked.clear(),
            Action::Back => self.set_filter(String::new(), Filter::default(), known),
            _ => {}
        }
    }

    /// Scrolls so that the cursor is seen.
    pub fn keep_visible(&mut self, size: (u16, u16)) {
        let room = usize::from(Rows::of(size, self.entries.len()).list).max(1);
        self.offset = self.offset.min(self.entries.len().saturating_sub(room));
        self.offset = self.offset.min(self.selected).max((self.selected + 1).saturating_sub(room));
    }
}

/// How the rows of the terminal are shared out.
struct Rows {
    list: u16,
    chart: u16,
}

impl Rows {
    /// Header, filter line, column names and hint bar take four rows. The chart gets what the list leaves, and in any case
    /// two rows of five; on a low terminal all is left to the list.
    fn of((_, height): (u16, u16), entries: usize) -> Rows {
        let room = height.saturating_sub(4);
        if room < 14 {
            return Rows { list: room, chart: 0 };
        }
        let least = (room * 2 / 5).max(7);
        let lines = u16::try_from(entries).unwrap_or(u16::MAX).max(3);
        let list = lines.min(room - least - 1);
        Rows { list, chart: (room - list - 1).min(room * 3 / 5) }
    }
}

/// Where the columns of the table begin, and how wide they are; 0 where there is no room.
struct Columns {
    name: (u16, u16),
    data: (u16, u16),
    net: (u16, u16),
    eps: (u16, u16),
    phase: (u16, u16),
    epoch: (u16, u16),
    p: (u16, u16),
    certified: (u16, u16),
    spark: (u16, u16),
    clean: (u16, u16),
    eta: (u16, u16),
    loss: (u16, u16),
    words: (u16, u16),
}

impl Columns {
    /// The widest table that fits. What matters least goes first.
    fn of(width: u16) -> Columns {
        let wide = |from: u16, columns: u16| if width >= from { columns } else { 0 };
        let name = match width {
            0..60 => 13,
            60..100 => 15,
            100..140 => 18,
            _ => 22,
        };
        let mut x = 4;
        let mut place = |columns: u16| {
            let at = (x, columns);
            x += if columns > 0 { columns + 1 } else { 0 };
            at
        };
        Columns {
            name: place(name),
            data: place(wide(104, 9)),
            net: place(wide(104, 7)),
            eps: place(wide(100, 6)),
            phase: place(if width >= 110 { 14 } else { wide(70, 11) }),
            epoch: place(if width >= 130 { 10 } else { wide(50, 8) }),
            p: place(wide(58, 6)),
            certified: place(6),
            spark: place(if width >= 140 { 16 } else { wide(78, 8) }),
            clean: place(wide(40, 6)),
            eta: place(wide(66, 9)),
            loss: place(wide(132, 8)),
            words: place(width.saturating_sub(150)),
        }
    }
}

/// Draws the list.
pub fn draw(model: &Model, pen: &mut Pen<'_>) {
    let (look, known, list) = (&model.look, &model.known, &model.list);
    let rows = Rows::of(model.size, list.entries.len());
    let columns = Columns::of(pen.width());
    draw_filter(model, pen);
    if list.entries.is_empty() {
        draw_nothing(model, pen);
        return;
    }
    draw_names(list, &columns, look, pen);
    for (line, index) in (list.offset..list.entries.len()).take(usize::from(rows.list)).enumerate() {
        let y = 2 + line as u16;
        let chosen = index == list.selected;
        match &list.entries[index] {
            Entry::Group(group) => draw_group(model, group, &columns, y, pen),
            Entry::Run { id, indented } => {
                if let Some(row) = known.rows.get(id) {
                    draw_run(model, row, *indented, &columns, y, pen);
                }
            }
        }
        if chosen {
            pen.symbol(0, y, "▸", look.style(Tone::Key));
            pen.row_style(y, look.selection());
        }
    }
    if rows.chart > 0 {
        let top = 2 + rows.list;
        pen.rule(top, look.style(Tone::Faint));
        draw_preview(model, pen.rows(top + 1, top + 1 + rows.chart));
    }
}

fn draw_filter(model: &Model, pen: &mut Pen<'_>) {
    let (look, list) = (&model.look, &model.list);
    let faint = look.style(Tone::Faint);
    let width = pen.width();
    if !list.filter_text.is_empty() {
        let x = pen.text(1, 0, "filter ", faint);
        pen.text(x, 0, &list.filter_text, look.style(Tone::Key));
    }
    let shown = model.known.rows.values().filter(|row| list.arrangement.filter.passes(row)).count();
    let mut words = Vec::new();
    if !list.marked.is_empty() {
        words.push(format!("{} marked", list.marked.len()));
    }
    if !list.arrangement.filter.is_empty() {
        words.push(format!("{shown} of {} runs", model.known.rows.len()));
    }
    if list.arrangement.sort != SortKey::State || list.arrangement.reversed {
        let arrow = if list.arrangement.reversed { "▴" } else { "▾" };
        words.push(format!("by {} {arrow}", list.arrangement.sort.word()));
    }
    pen.right(width.saturating_sub(1), 0, &words.join(" · "), faint);
}

fn draw_nothing(model: &Model, pen: &mut Pen<'_>) {
    let look = &model.look;
    let by = |action: Action, with: &str, without: &str| match model.key_of(action) {
        key if key.is_empty() => without.to_owned(),
        key => with.replace("KEY", &key),
    };
    let command = "run: linf-tui add configs/mnist-cpu.toml";
    let (first, second) = match (model.known.loaded, model.known.rows.is_empty()) {
        (false, _) => ("reading the store …", String::new()),
        (true, true) => ("No runs yet.", by(Action::Add, "Press KEY to add one, or ", "To add one, ") + command),
        (true, false) => ("No run passes the filter.", by(Action::Back, "KEY shows all of them again", "")),
    };
    for (y, (line, tone)) in (3..).zip([(first, Tone::Strong), (&second, Tone::Faint)]) {
        pen.text(4, y, line, look.style(tone));
    }
}

fn draw_names(list: &RunsScreen, columns: &Columns, look: &Look, pen: &mut Pen<'_>) {
    let style = |key: Option<SortKey>| {
        let sorted = key.is_some_and(|key| key == list.arrangement.sort);
        look.style(if sorted { Tone::Strong } else { Tone::Faint })
    };
    let mut left = |(x, width): (u16, u16), name: &str, key: Option<SortKey>| {
        if width > 0 {
            pen.fit(x, 1, width, name, style(key));
        }
    };
    left(columns.name, "run", Some(SortKey::Name));
    left(columns.data, "data", None);
    left(columns.net, "net", None);
    left(columns.phase, "phase", None);
    left(columns.spark, "", None);
    left(columns.words, "tags and note", None);
    let mut right = |(x, width): (u16, u16), name: &str, key: Option<SortKey>| {
        if width > 0 {
            pen.right(x + width, 1, name, style(key));
        }
    };
    right(columns.eps, "ε", Some(SortKey::Eps));
    right(columns.epoch, "epoch", Some(SortKey::Progress));
    right(columns.p, "p", None);
    right(columns.clean, "clean", Some(SortKey::Clean));
    right(columns.eta, "ETA", None);
    right(columns.loss, "loss", None);
    // Longer than its figures, so it runs on over the sparkline.
    pen.text(
        columns.certified.0,
        1,
        if columns.spark.1 > 0 { "certified" } else { "cert" },
        style(Some(SortKey::Certified)),
    );
}

/// What differs inside a group, without the sections of its keys.
pub fn short_variant(variant: &str) -> String {
    let short = |pair: &str| match pair.split_once('=') {
        Some((key, value)) => format!("{}={value}", key.rsplit('.').next().unwrap_or(key)),
        None => pair.to_owned(),
    };
    variant.split_whitespace().map(short).collect::<Vec<_>>().join(" ")
}

fn draw_group(model: &Model, group: &str, columns: &Columns, y: u16, pen: &mut Pen<'_>) {
    let (look, list) = (&model.look, &model.list);
    let members = list.arrangement.members(&model.known.rows, group);
    let folded = list.arrangement.folded.contains(group);
    pen.text(2, y, if folded { "▸" } else { "▾" }, look.style(Tone::Key));
    let live = members.iter().filter(|row| row.state.holds_a_slot()).count();
    let over = members.iter().filter(|row| row.state.is_over()).count();
    let mut title = format!("{group} ({over}/{} over", members.len());
    if live > 0 {
        title.push_str(&format!(", {live} live"));
    }
    title.push(')');
    let room = columns.certified.0.saturating_sub(columns.name.0 + 1);
    pen.fit(columns.name.0, y, room, &title, look.style(Tone::Strong));
    // Half-trained runs say nothing about the group once others are complete.
    let complete = |row: &&&RunRow| matches!(row.state, RunState::Completed);
    let any_complete = members.iter().any(|row| complete(&row));
    let figures = |value: fn(&RunRow) -> Option<f64>| {
        let counted = members.iter().filter(|row| !any_complete || complete(row));
        wording::mean_deviation(counted.filter_map(|row| value(row)))
            .map(|(mean, deviation)| (format!("{mean:.4}"), format!("± {deviation:.4}")))
    };
    if let Some((mean, deviation)) = figures(|row| row.summary.certified) {
        pen.text(columns.certified.0, y, &mean, look.style(Tone::Certified));
        pen.text(columns.spark.0, y, if columns.spark.1 > 0 { &deviation } else { "" }, look.style(Tone::Faint));
    }
    if let Some((mean, deviation)) = figures(|row| row.summary.clean).filter(|_| columns.clean.1 > 0) {
        pen.text(columns.clean.0, y, &mean, look.style(Tone::Clean));
        pen.text(columns.eta.0, y, if columns.eta.1 > 0 { &deviation } else { "" }, look.style(Tone::Faint));
    }
}

fn draw_run(model: &Model, row: &RunRow, indented: bool, columns: &Columns, y: u16, pen: &mut Pen<'_>) {
    let look = &model.look;
    let faint = look.style(Tone::Faint);
    if model.list.marked.contains(&row.id) {
        pen.text(1, y, "◆", look.style(Tone::Warn));
    }
    let (glyph, glyph_style) = look.state_glyph(&row.state);
    pen.text(2 + u16::from(indented) * 2, y, glyph, glyph_style);
    let shift = u16::from(indented) * 2;
    let name_style = look.style(if row.state.holds_a_slot() { Tone::Strong } else { Tone::Text });
    let name_width = columns.name.1.saturating_sub(shift);
    let variant = short_variant(&row.variant);
    if indented && columns.data.1 == 0 && !variant.is_empty() {
        pen.fit(columns.name.0 + shift, y, name_width, &variant, name_style);
    } else {
        pen.fit(columns.name.0 + shift, y, name_width, &row.name, name_style);
    }
    if indented && !variant.is_empty() {
        let width = (columns.eps.0 + columns.eps.1).saturating_sub(columns.data.0);
        if columns.data.1 > 0 {
            pen.fit(columns.data.0, y, width, &variant, look.style(Tone::Text));
        }
    } else {
        if columns.data.1 > 0 {
            pen.fit(columns.data.0, y, columns.data.1, wording::dataset(row.config.data.dataset), faint);
            pen.fit(columns.net.0, y, columns.net.1, &wording::net(row), faint);
        }
        if columns.eps.1 > 0 {
            pen.right(columns.eps.0 + columns.eps.1, y, &row.config.eval.eps.to_string(), faint);
        }
    }
    let sentence = sentence(model, row);
    let start = [columns.phase, columns.epoch, columns.p, columns.certified].into_iter().find(|column| column.1 > 0);
    let start = start.map_or(0, |column| column.0);
    match &sentence {
        Some((text, tone)) if text_takes_the_line(&row.state) => {
            let room = pen.width().saturating_sub(start + 1);
            pen.fit(start, y, room, text, look.style(*tone));
            return;
        }
        Some((text, tone)) => {
            pen.fit(start, y, columns.certified.0.saturating_sub(start + 1), text, look.style(*tone));
        }
        None => draw_progress(row, columns, look, y, pen),
    }
    draw_figures(row, columns, look, y, pen);
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

fn draw_progress(row: &RunRow, columns: &Columns, look: &Look, y: u16, pen: &mut Pen<'_>) {
    let summary = &row.summary;
    let done = matches!(row.state, RunState::Completed);
    if columns.phase.1 > 0 {
        let (x, width) = columns.phase;
        if done {
            pen.text(x, y, "done", look.style(Tone::Good));
        } else if let Some(phase) = summary.phase {
            pen.fit(x, y, 4, &wording::phase(phase, row.config.schedule.p_start), look.style(Tone::Text));
            bar(pen, x + 5, y, width - 5, progress(row), look);
        }
    }
    if columns.epoch.1 > 0 {
        let text = format!("{:.0}/{}", summary.epoch.floor(), row.config.train.epochs);
        pen.right(columns.epoch.0 + columns.epoch.1, y, &text, look.style(Tone::Text));
    }
    if let Some(p) = summary.p.filter(|_| columns.p.1 > 0) {
        pen.right(columns.p.0 + columns.p.1, y, &look.exponent(p), look.style(Tone::Exponent));
    }
}

/// A bar of `width` cells, so much of it full.
pub fn bar(pen: &mut Pen<'_>, x: u16, y: u16, width: u16, share: f64, look: &Look) {
    let full = (share.clamp(0.0, 1.0) * f64::from(width)).round() as u16;
    for column in 0..width {
        let (symbol, tone) = if column < full { ("▰", Tone::Good) } else { ("▱", Tone::Faint) };
        pen.symbol(x + column, y, symbol, look.style(tone));
    }
}

fn draw_figures(row: &RunRow, columns: &Columns, look: &Look, y: u16, pen: &mut Pen<'_>) {
    let summary = &row.summary;
    let certified = wording::accuracy(summary.certified);
    let style = if summary.certified.is_some() { look.style(Tone::Certified) } else { look.style(Tone::Faint) };
    pen.right(columns.certified.0 + columns.certified.1, y, &certified, style);
    if columns.spark.1 > 0 && look.unicode {
        let spark = wording::sparkline(&summary.certified_history, usize::from(columns.spark.1));
        pen.text(columns.spark.0, y, &spark, look.style(Tone::Spark));
    }
    if columns.clean.1 > 0 {
        let tone = if summary.clean.is_some() { Tone::Clean } else { Tone::Faint };
        pen.right(columns.clean.0 + columns.clean.1, y, &wording::accuracy(summary.clean), look.style(tone));
    }
    if columns.eta.1 > 0 {
        let (text, tone) = match (&row.state, summary.eta_seconds) {
            (RunState::Running { .. }, Some(left)) => (wording::duration(left), Tone::Text),
            (RunState::Completed, _) => (wording::duration(summary.train_seconds), Tone::Faint),
            _ => (String::new(), Tone::Faint),
        };
        pen.right(columns.eta.0 + columns.eta.1, y, &text, look.style(tone));
    }
    if let Some(loss) = summary.loss.filter(|_| columns.loss.1 > 0) {
        pen.right(columns.loss.0 + columns.loss.1, y, &wording::figure(loss), look.style(Tone::Faint));
    }
    if columns.words.1 > 0 {
        let tags: String = row.tags.iter().map(|tag| format!("#{tag} ")).collect();
        pen.fit(columns.words.0, y, columns.words.1, &format!("{tags}{}", row.note), look.style(Tone::Faint));
    }
}

/// The chart below the list.
fn draw_preview(model: &Model, mut pen: Pen<'_>) {
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
        }
    }
}

/// The certified accuracy of several runs against the epoch.
fn group_chart(rows: &[&RunRow], known: &Known, look: &Look) -> Chart {
    let curve = |row: &&RunRow| Curve {
        name: if row.variant.is_empty() { row.name.clone() } else { short_variant(&row.variant) },
        points: known.data(row.id).map_or(Vec::new(), |data| {
            crate::store::curve(&data.evals).map(|eval| (eval.epoch, eval.certified)).collect()
        }),
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

fn draw_facts(model: &Model, row: &RunRow, mut pen: Pen<'_>) {
    let look = &model.look;
    let (text, faint) = (look.style(Tone::Text), look.style(Tone::Faint));
    let width = pen.width();
    let summary = &row.summary;
    let mut y = 0;
    let mut line = |pen: &mut Pen<'_>, words: &str, style| {
        if !words.is_empty() {
            pen.fit(0, y, width, words, style);
            y += 1;
        }
    };
    line(
        &mut pen,
        &format!("{} · {} · ε {}", row.name, row.config.data.dataset.title(), row.config.eval.eps),
        look.style(Tone::Strong),
    );
    line(&mut pen, &row.config.run.title, faint);
    if let Some((best, epoch)) = summary.best_certified {
        line(&mut pen, &format!("best {best:.4} at epoch {epoch:.0}"), look.style(Tone::Certified));
    }
    if let Some(surrogate) = summary.surrogate {
        line(&mut pen, &format!("surrogate {surrogate:.4} (training images, finite p)"), look.style(Tone::Surrogate));
    }
    if let Some(published) = &row.config.run.published {
        line(
            &mut pen,
            &format!("published {:.4} ({})", published.certified, published.source),
            look.style(Tone::Published),
        );
    }
    line(&mut pen, &pace(row), text);
    line(&mut pen, &until_infinity(row), text);
    line(&mut pen, &summary.device, faint);
    let tags: String = row.tags.iter().map(|tag| format!("#{tag} ")).collect();
    line(&mut pen, tags.trim_end(), faint);
    line(&mut pen, &row.note, faint);
}

/// `step 3 611/7 080 · 4.9 steps/s`.
pub fn pace(row: &RunRow) -> String {
    let summary = &row.summary;
    if summary.step == 0 {
        return String::new();
    }
    let mut words = format!("step {}", wording::count(summary.step));
    if summary.steps > 0 {
        words.push_str(&format!("/{}", wording::count(summary.steps)));
    }
    if let Some(rate) = summary.steps_per_second.filter(|_| row.state.holds_a_slot()) {
        words.push_str(&format!(" · {rate:.1} steps/s"));
    }
    words
}

/// `p 87.4, ∞ in 14 min`.
pub fn until_infinity(row: &RunRow) -> String {
    let Some(p) = row.summary.p else { return String::new() };
    let course = Course::new(row, None);
    let left = course.step_at(row.config.schedule.ramp_end).saturating_sub(row.summary.step);
    match row.summary.steps_per_second.filter(|rate| *rate > 0.0 && row.state.holds_a_slot()) {
        Some(rate) if !p.is_infinite() && row.summary.steps > 0 => {
            format!("p = {p}, ∞ in {}", wording::duration(left as f64 / rate))
        }
        _ => format!("p = {p}"),
    }
}
