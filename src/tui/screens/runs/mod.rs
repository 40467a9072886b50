//! The list of runs, with what there is to say of the one under the cursor below it.

mod detail;
mod table;

use std::collections::BTreeSet;

pub use detail::until_infinity;
pub use table::bar;

use crate::{
    experiment::RunId,
    tui::{
        columns::{Column, Columns},
        filter::{Filter, is_archived},
        keys::Action,
        known::Known,
        look::Tone,
        model::Model,
        pen::Pen,
        run_list::{Arrangement, Entry, Sort},
    },
};

/// What the list remembers.
#[derive(Clone, Debug, Default)]
pub struct RunsScreen {
    /// How its lines are arranged.
    pub arrangement: Arrangement,
    /// What it shows of each run.
    pub columns: Columns,
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
        self.entries = self.arrangement.entries(known);
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
            Some(Entry::Group(group)) => self.arrangement.members(known, group).into_iter().map(|row| row.id).collect(),
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

    /// Sorts by a column, or by the name; again, and the order turns round.
    pub fn sort_by(&mut self, column: Option<Column>) {
        let sort = column.map_or(Sort::Name, Sort::By);
        if column.is_some_and(|column| !column.sorts()) {
            return;
        }
        self.arrangement.reversed = self.arrangement.sort == sort && !self.arrangement.reversed;
        self.arrangement.sort = sort;
    }

    /// Whether it is sorted by this column, or by the name.
    pub fn is_sorted_by(&self, column: Option<Column>) -> bool {
        self.arrangement.sort == column.map_or(Sort::Name, Sort::By)
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
                self.marked = self.arrangement.shown(known).map(|row| row.id).collect();
            }
            Action::MarkAll => self.marked.clear(),
            Action::Sort => {
                self.arrangement.sort = self.arrangement.sort.next(&self.columns);
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

    /// A click into line `line` below the header of the program chooses what stands there.
    pub fn click(&mut self, line: u16, size: (u16, u16)) {
        // Below the filter and the names of the columns.
        let Some(line) = line.checked_sub(2).filter(|line| *line < Rows::of(size, self.entries.len()).list) else {
            return;
        };
        let index = self.offset + usize::from(line);
        if index < self.entries.len() {
            self.selected = index;
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

/// Draws the list.
pub fn draw(model: &Model, pen: &mut Pen<'_>) {
    let (look, known, list) = (&model.look, &model.known, &model.list);
    let rows = Rows::of(model.size, list.entries.len());
    let places = list.columns.places(pen.width());
    draw_filter(model, pen);
    if list.entries.is_empty() {
        draw_nothing(model, pen);
        return;
    }
    table::draw_names(list, &places, look, pen);
    for (line, index) in (list.offset..list.entries.len()).take(usize::from(rows.list)).enumerate() {
        let y = 2 + line as u16;
        let chosen = index == list.selected;
        match &list.entries[index] {
            Entry::Group(group) => table::draw_group(model, group, &places, y, pen),
            Entry::Run { id, indented } => {
                if let Some(row) = known.rows.get(id) {
                    table::draw_run(model, row, *indented, &places, y, pen);
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
        detail::draw(model, pen.rows(top + 1, top + 1 + rows.chart));
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
    let shown = list.arrangement.shown(&model.known).count();
    let mut words = Vec::new();
    if !list.marked.is_empty() {
        words.push(format!("{} marked", list.marked.len()));
    }
    if !list.arrangement.filter.is_empty() {
        words.push(format!("{shown} of {} runs", model.known.rows.len()));
    }
    let archived = model.known.staying().filter(|row| is_archived(row)).count();
    if archived > 0 && list.arrangement.filter.is_empty() {
        words.push(format!("{archived} archived"));
    }
    let leaving: usize = model.removals.iter().map(|removal| removal.runs.len()).sum();
    if leaving > 0 {
        let key = model.key_of(Action::Undo);
        let back = if key.is_empty() { String::new() } else { format!(", {key} takes it back") };
        words.push(format!("{leaving} about to be deleted{back}"));
    }
    if list.arrangement.sort != Sort::State || list.arrangement.reversed {
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
