//! The queue and the machine: what holds the slots, what waits for what, and how busy cores and devices are.

use crate::{
    experiment::{RunId, RunState, Turn},
    store::{Gauge, RunRow},
    tui::{
        course::Course,
        curves::{self, Kind},
        keys::Action,
        known::Known,
        lens::{AxisX, Lens},
        look::{Look, Tone},
        machine::{Machine, Past},
        model::Model,
        pen::Pen,
        run_list::progress,
        screens::runs::bar,
        wording,
    },
};

/// What the screen remembers.
#[derive(Clone, Debug, Default)]
pub struct QueueScreen {
    selected: usize,
}

impl QueueScreen {
    /// What runs, what waits, in its order, and what waits for its user alone.
    fn rows(known: &Known) -> Vec<&RunRow> {
        let rank = |row: &RunRow| match row.state {
            RunState::Queued { .. } => 1,
            RunState::Paused { .. } => 2,
            _ if row.state.holds_a_slot() => 0,
            _ => 3,
        };
        let mut rows: Vec<&RunRow> = known.staying().filter(|row| rank(row) < 3).collect();
        rows.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.turn.compare(a.id, &b.turn, b.id)));
        rows
    }

    /// The runs of which more is shown than their rows: those that hold a slot, and the one under the cursor.
    pub fn shown(&self, known: &Known) -> Vec<RunId> {
        let live = QueueScreen::rows(known).into_iter().filter(|row| row.state.holds_a_slot()).map(|row| row.id);
        let mut shown: Vec<RunId> = self.selected(known).into_iter().collect();
        shown.extend(live.filter(|id| Some(*id) != self.selected(known)));
        shown
    }

    /// The line below the list in a screen of `height` lines: under it the past of the run under the cursor is drawn,
    /// where there is one and room for it.
    fn end_of_list(&self, known: &Known, height: u16) -> u16 {
        let data = self.selected(known).and_then(|id| known.data(id));
        let told = data.is_some_and(|data| data.gauges.contains_key(&Gauge::Cores));
        if told && height >= 3 * PAST { height - PAST } else { height }
    }

    /// The run under the cursor.
    pub fn selected(&self, known: &Known) -> Option<RunId> {
        let rows = QueueScreen::rows(known);
        rows.get(self.selected.min(rows.len().saturating_sub(1))).map(|row| row.id)
    }

    /// The turn of the run under the cursor after an order to change it, in words too; the cursor goes with it. `None`
    /// where the run does not wait, or stands there already.
    pub fn turn(&mut self, action: Action, known: &Known) -> Option<(RunId, Turn, String)> {
        let id = self.selected(known)?;
        let rows = QueueScreen::rows(known);
        let queued = |row: &&RunRow| matches!(row.state, RunState::Queued { .. });
        let first = rows.iter().position(queued)?;
        let last = rows.iter().rposition(queued)?;
        let waiting = &rows[first..=last];
        let from = waiting.iter().position(|row| row.id == id)?;
        let row = waiting[from];
        let (to, beside) = match action {
            Action::Earlier => (from.checked_sub(1)?, from.checked_sub(1)?),
            Action::Later => (from + 1, from),
            Action::RaisePriority | Action::LowerPriority => {
                let by = if action == Action::RaisePriority { 1 } else { -1 };
                let priority = row.turn.priority.saturating_add(by);
                let turn = Turn { priority, ..row.turn.clone() };
                return Some((id, turn, format!("{}: priority is {priority}", row.name)));
            }
            _ => return None,
        };
        let others: Vec<(RunId, &Turn)> =
            waiting.iter().filter(|other| other.id != id).map(|other| (other.id, &other.turn)).collect();
        let turn = row.turn.put(id, &others, to, beside)?;
        self.selected = first + to;
        Some((id, turn, format!("{}: now number {} of {} that wait", row.name, to + 1, waiting.len())))
    }

    /// A click into line `line` below the header of the program chooses the run that stands there.
    pub fn click(&mut self, line: u16, known: &Known, machine: Option<&Machine>, (_, height): (u16, u16)) {
        let rows = QueueScreen::rows(known).len();
        // Without the header of the program and the hint bar.
        let (first, height) = (first_line(machine), self.end_of_list(known, height.saturating_sub(2)));
        let selected = self.selected.min(rows.saturating_sub(1));
        let index = line.checked_sub(first).map(|line| skipped(selected, first, height) + usize::from(line));
        if let Some(index) = index.filter(|index| *index < rows && line < height) {
            self.selected = index;
        }
    }

    /// What a key does here.
    pub fn act(&mut self, action: Action, known: &Known) {
        let last = QueueScreen::rows(known).len().saturating_sub(1);
        self.selected = match action {
            Action::Down => self.selected + 1,
            Action::Up => self.selected.saturating_sub(1),
            Action::PageDown => self.selected + 10,
            Action::PageUp => self.selected.saturating_sub(10),
            Action::Top => 0,
            Action::Bottom => last,
            _ => self.selected,
        }
        .min(last);
    }
}

/// Lines of the charts of one run's past.
const PAST: u16 = 9;

/// The line of the first run: below the machine, which has a line for each device, and the heading of the queue.
fn first_line(machine: Option<&Machine>) -> u16 {
    let gauges = machine.map_or(1, |machine| 2 + machine.devices.len() as u16);
    1 + gauges + 2
}

/// How many runs are scrolled out of sight above, in a screen of `height` lines.
fn skipped(selected: usize, first: u16, height: u16) -> usize {
    (selected + 1).saturating_sub(usize::from(height.saturating_sub(first)).max(1))
}

/// Draws the screen.
pub fn draw(model: &Model, screen: &QueueScreen, pen: &mut Pen<'_>) {
    let look = &model.look;
    let machine = model.machine.as_ref();
    pen.text(1, 0, "Machine", look.style(Tone::Strong));
    match machine {
        Some(machine) => draw_machine(machine, &model.machine_past, look, pen, 1),
        None => drop(pen.text(1, 1, "reading …", look.style(Tone::Faint))),
    }
    let first = first_line(machine);
    let y = first - 1;
    let rows = QueueScreen::rows(&model.known);
    let live = rows.iter().filter(|row| row.state.holds_a_slot()).count();
    let mut x = pen.text(1, y, "Queue", look.style(Tone::Strong));
    let held = rows.iter().filter(|row| matches!(row.state, RunState::Paused { .. })).count();
    let waiting = rows.len() - live - held;
    let mut words = format!("  {live} running · {waiting} waiting");
    if held > 0 {
        words.push_str(&format!(" · {held} on hold"));
    }
    x = pen.text(x, y, &words, look.style(Tone::Faint));
    if machine.is_some_and(|machine| !machine.dispatcher) && live + waiting > 0 {
        pen.text(x, y, "  no dispatcher looks after it: r on a run starts one", look.style(Tone::Warn));
    }
    let height = screen.end_of_list(&model.known, pen.height());
    let selected = screen.selected.min(rows.len().saturating_sub(1));
    let skip = skipped(selected, first, height);
    for (y, (index, row)) in (first..height).zip(rows.iter().enumerate().skip(skip)) {
        draw_row(model, row, machine, pen, y);
        if index == selected {
            pen.symbol(0, y, "▸", look.style(Tone::Key));
            pen.row_style(y, look.selection());
        }
    }
    if rows.is_empty() {
        pen.text(3, first, "nothing runs and nothing waits", look.style(Tone::Faint));
    }
    if let Some(row) = rows.get(selected).filter(|_| height < pen.height()) {
        draw_past(model, row, pen.rows(height, height + PAST));
    }
}

/// Draws what a run took of the machine since it began.
fn draw_past(model: &Model, row: &RunRow, mut pen: Pen<'_>) {
    let look = &model.look;
    let (width, height) = (pen.width(), pen.height());
    pen.rule(0, look.style(Tone::Faint));
    pen.text(1, 0, &format!(" {} over time ", row.name), look.style(Tone::Strong));
    let lens = Lens { x: AxisX::Time, ..Lens::default() };
    for (index, kind) in (0..).zip([Kind::Load, Kind::Memory]) {
        let mut chart = curves::chart(kind, row, &model.known, &lens, look);
        // What is to come is of no interest here.
        let past = chart.curves.iter().flat_map(|curve| curve.points.iter()).map(|point| point.0).fold(0.0, f64::max);
        chart.x = Course::new(row, model.known.data(row.id)).axis_over(AxisX::Time, 0.0, past.max(1.0));
        (chart.bands, chart.marks) = (Vec::new(), Vec::new());
        let half = width / 2;
        chart.draw(look, pen.part(index * half, 1, half, height.saturating_sub(1)));
    }
}

/// Draws cores, memory and devices, and what they were of late.
fn draw_machine(machine: &Machine, past: &Past, look: &Look, pen: &mut Pen<'_>, y: u16) {
    let memory = |used: u64, total: u64| format!("{} of {}", wording::bytes(used), wording::bytes(total));
    let load = machine.load();
    let cores = machine.cores.len();
    let mut lines = vec![
        ("cpu".to_owned(), load, format!("{:.1} of {cores} cores", load * cores as f64), &past.load),
        ("memory".to_owned(), machine.memory(), memory(machine.memory_used, machine.memory_total), &past.memory),
    ];
    for (device, past) in machine.devices.iter().zip(&past.devices) {
        let load = device.load.unwrap_or_default();
        let busy = device.load.map(|load| format!("{:.0} % · ", load * 100.0)).unwrap_or_default();
        let celsius = device.celsius.map(|celsius| format!(" · {celsius} °C")).unwrap_or_default();
        let words = match device.fault {
            Some(_) => format!("cannot be used, linf-tui doctor says why · {}", device.name),
            None if device.total == 0 => device.name.clone(),
            None => format!("{busy}{}{celsius} · {}", memory(device.used, device.total), device.name),
        };
        lines.push((format!("gpu{}", device.index), load, words, past));
    }
    let width = pen.width();
    let taken = 32 + lines.iter().map(|line| line.2.chars().count() as u16).max().unwrap_or(0) + 2;
    for (y, (name, share, words, past)) in (y..).zip(lines) {
        pen.text(3, y, &name, look.style(Tone::Faint));
        bar(pen, 10, y, 20, share, look);
        pen.text(32, y, &words, look.style(Tone::Text));
        if width > taken + 10 {
            let past = wording::shares(past.iter().copied(), usize::from(width - taken - 1).min(Past::MOST));
            pen.text(taken, y, &past, look.style(Tone::Spark));
        }
    }
}

fn draw_row(model: &Model, row: &RunRow, machine: Option<&Machine>, pen: &mut Pen<'_>, y: u16) {
    let look = &model.look;
    let (glyph, style) = look.state_glyph(&row.state);
    let width = pen.width();
    pen.text(2, y, glyph, style);
    pen.fit(4, y, 16, &row.name, look.style(Tone::Text));
    if let RunState::Queued { reason } = &row.state {
        let why = wording::wait_reason(reason, model.known.now_ms, |id| model.known.rows.get(&id));
        let why = match row.turn.priority {
            0 => why,
            priority => format!("priority {priority} · {why}"),
        };
        pen.fit(21, y, width.saturating_sub(22), &why, look.style(Tone::Faint));
        return;
    }
    if let RunState::Paused { checkpoint } = row.state {
        let at = match checkpoint {
            Some(_) => format!("paused at epoch {:.0}/{}", row.summary.epoch.floor(), row.config.train.epochs),
            None => "on hold".to_owned(),
        };
        let words = match model.key_of(Action::Resume) {
            key if key.is_empty() => at,
            key => format!("{at}: waits until {key} lets it go on"),
        };
        pen.fit(21, y, width.saturating_sub(22), &words, look.style(Tone::Warn));
        return;
    }
    pen.fit(21, y, 10, row.state.word(), style);
    bar(pen, 32, y, 10, progress(row), look);
    let mut words = Vec::new();
    if let Some(left) = row.summary.eta_seconds {
        words.push(format!("{} left", wording::duration(left)));
    }
    let worker = row.state.identity().and_then(|identity| {
        let workers = &machine?.workers;
        workers.iter().find(|(pid, ..)| *pid == identity.pid)
    });
    if let Some((pid, load, memory)) = worker {
        words.push(format!("pid {pid}: {load:.1} cores {}, {}", of_late(model, row), wording::bytes(*memory)));
    }
    words.push(row.summary.device.clone());
    words.push(wording::pace(row));
    words.retain(|word| !word.is_empty());
    pen.fit(44, y, width.saturating_sub(45), &words.join(" · "), look.style(Tone::Faint));
}

/// How many cores a run kept busy of late.
fn of_late(model: &Model, row: &RunRow) -> String {
    let bins = model.known.data(row.id).and_then(|data| data.gauges.get(&Gauge::Cores));
    let cores: Vec<f64> = bins.into_iter().flatten().map(|bin| bin.mean).collect();
    let most = cores.iter().copied().fold(1.0, f64::max);
    wording::shares(cores.iter().map(|cores| cores / most), 8)
}
