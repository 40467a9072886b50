//! One run: its header, its tabs, and which of them is in front.

use super::{certificates, charts, checkpoints, header, log, records, samples};

use crate::{
    experiment::RunId,
    store::RunRow,
    tui::{
        course::Course,
        keys::Action,
        known::{Known, RunData},
        look::{Look, Tone},
        model::Model,
        pen::Pen,
        wording,
    },
};

/// The tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Curves.
    #[default]
    Charts,
    /// Certified accuracy at any ε.
    Certificates,
    /// Test images.
    Samples,
    /// Checkpoints.
    Checkpoints,
    /// The config.
    Config,
    /// What the worker printed.
    Log,
    /// What happened.
    Events,
}

impl Tab {
    /// All of them, in their order.
    pub const ALL: [Tab; 7] =
        [Tab::Charts, Tab::Certificates, Tab::Samples, Tab::Checkpoints, Tab::Config, Tab::Log, Tab::Events];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Tab::Charts => "Charts",
            Tab::Certificates => "Certificates",
            Tab::Samples => "Samples",
            Tab::Checkpoints => "Checkpoints",
            Tab::Config => "Config",
            Tab::Log => "Log",
            Tab::Events => "Events",
        }
    }

    /// Its name where there is little room.
    pub fn short(self) -> &'static str {
        match self {
            Tab::Certificates => "Certs",
            Tab::Checkpoints => "Ckpts",
            other => other.name(),
        }
    }

    /// Its place among them.
    pub fn index(self) -> usize {
        Tab::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }
}

/// What the screen of one run remembers.
#[derive(Clone, Debug)]
pub struct RunScreen {
    /// Which run.
    pub run: RunId,
    /// The tab in front.
    pub tab: Tab,
    /// How the charts are looked at.
    pub charts: charts::ChartsTab,
    /// At which ε the certificates are read.
    pub certificates: certificates::CertificatesTab,
    /// Which image is looked at.
    pub samples: samples::SamplesTab,
    /// Which checkpoint is chosen.
    pub checkpoints: checkpoints::CheckpointsTab,
    /// Where the log stands.
    pub log: log::LogTab,
    /// The first line of the tables.
    pub scroll: usize,
}

impl RunScreen {
    /// Opens at the charts.
    pub fn new(run: RunId) -> RunScreen {
        RunScreen {
            run,
            tab: Tab::default(),
            charts: charts::ChartsTab::default(),
            certificates: certificates::CertificatesTab::default(),
            samples: samples::SamplesTab::default(),
            checkpoints: checkpoints::CheckpointsTab::default(),
            log: log::LogTab::default(),
            scroll: 0,
        }
    }

    /// Goes one step back inside the screen; false where there is none.
    pub fn back(&mut self) -> bool {
        self.tab == Tab::Charts && self.charts.back()
    }

    /// The steps that are visible in the charts, where that is not all of them.
    pub fn visible_steps(&self, known: &Known) -> Option<(u64, u64)> {
        let (from, to) = self.charts.lens.window?;
        let course = Course::new(known.rows.get(&self.run)?, known.data(self.run));
        Some((course.step_at(from), course.step_at(to).saturating_add(1)))
    }

    /// What a key does here.
    pub fn act(&mut self, action: Action, known: &Known, size: (u16, u16)) {
        match action {
            Action::Tab(index) => self.go_to(usize::from(index)),
            Action::NextTab => self.go_to((self.tab.index() + 1) % Tab::ALL.len()),
            Action::PreviousTab => self.go_to((self.tab.index() + Tab::ALL.len() - 1) % Tab::ALL.len()),
            other => match self.tab {
                Tab::Charts => {
                    if let Some(row) = known.rows.get(&self.run) {
                        self.charts.act(other, &Course::new(row, None), row.summary.epoch);
                    }
                }
                Tab::Certificates => self.certificates.act(other, self.run, known),
                Tab::Samples => self.samples.act(other, self.run, known),
                Tab::Log if matches!(other, Action::SearchNext | Action::SearchPrevious) => {
                    if let Some(log) = known.logs.get(&self.run).filter(|_| !self.log.search.is_empty()) {
                        self.log.find(&log.lines, page(size), other == Action::SearchPrevious);
                    }
                }
                Tab::Log => self.log.act(other, self.lines(known), page(size)),
                Tab::Checkpoints => self.checkpoints.act(other, self.run, known, page(size)),
                Tab::Config | Tab::Events => self.scroll_by(other, known, page(size)),
            },
        }
    }

    /// A click into line `line` below the header of the program: it chooses an image, or a checkpoint.
    pub fn click(&mut self, column: u16, line: u16, known: &Known, (_, height): (u16, u16)) {
        let alarm = known.data(self.run).is_some_and(|data| data.alarm().is_some());
        let above = 1 + u16::from(alarm);
        // Without the header of the program and the hint bar.
        let body = height.saturating_sub(2 + above);
        match (self.tab, line.checked_sub(above)) {
            (Tab::Samples, Some(line)) => self.samples.click(column, line, body, self.run, known),
            (Tab::Checkpoints, Some(line)) => self.checkpoints.click(line, body, self.run, known),
            _ => {}
        }
    }

    fn go_to(&mut self, index: usize) {
        if let Some(tab) = Tab::ALL.get(index) {
            self.tab = *tab;
            self.scroll = 0;
        }
    }

    fn lines(&self, known: &Known) -> usize {
        match self.tab {
            Tab::Log => known.logs.get(&self.run).map_or(0, |log| log.lines.len()),
            Tab::Events => known.data(self.run).map_or(0, |data| data.events.len()),
            Tab::Config => crate::experiment::keys().len() + 8,
            Tab::Charts | Tab::Certificates | Tab::Samples | Tab::Checkpoints => 0,
        }
    }

    fn scroll_by(&mut self, action: Action, known: &Known, page: usize) {
        let last = self.lines(known).saturating_sub(page);
        self.scroll = match action {
            Action::Down => self.scroll + 1,
            Action::Up => self.scroll.saturating_sub(1),
            Action::PageDown => self.scroll + page / 2,
            Action::PageUp => self.scroll.saturating_sub(page / 2),
            Action::Top => 0,
            Action::Bottom => last,
            _ => self.scroll,
        }
        .min(last);
    }

    /// Finds words in the log; false where nothing matches.
    pub fn search(&mut self, words: String, known: &Known, size: (u16, u16)) -> bool {
        self.log.search = words;
        let empty = Vec::new();
        let lines = known.logs.get(&self.run).map_or(&empty, |log| &log.lines);
        self.log.search.is_empty() || self.log.find(lines, page(size), false)
    }
}

/// Rows of a tab: all but the two headers, the hint bar and the names of columns.
fn page((_, height): (u16, u16)) -> usize {
    usize::from(height.saturating_sub(5)).max(1)
}

/// Draws the run's screen.
pub fn draw(model: &Model, screen: &RunScreen, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(row) = model.known.rows.get(&screen.run) else {
        pen.text(2, 1, "This run is no longer in the store.", look.style(Tone::Text));
        return;
    };
    header::draw(model, row, screen.tab, pen);
    let (width, height) = (pen.width(), pen.height());
    let alarm = model.known.data(row.id).and_then(RunData::alarm);
    if let Some(alarm) = &alarm {
        pen.fit(0, 1, width, &format!(" ALARM {alarm}"), look.style(Tone::Bad));
    }
    let mut body = pen.rows(if alarm.is_some() { 2 } else { 1 }, height);
    match screen.tab {
        Tab::Charts => charts::draw(model, row, &screen.charts, &mut body),
        Tab::Certificates => certificates::draw(model, row, &screen.certificates, &mut body),
        Tab::Samples => samples::draw(model, row, &screen.samples, &mut body),
        Tab::Checkpoints => checkpoints::draw(model, row, &screen.checkpoints, &mut body),
        Tab::Config => records::draw_config(model, row, screen.scroll, &mut body),
        Tab::Log => log::draw(model, row, &screen.log, &mut body),
        Tab::Events => records::draw_events(model, row, screen.scroll, &mut body),
    }
}

/// Says that there is nothing to show yet, and why.
pub fn draw_waiting(row: &RunRow, what: &str, look: &Look, pen: &mut Pen<'_>) {
    pen.text(2, 1, what, look.style(Tone::Text));
    let why = match &row.state {
        crate::experiment::RunState::Queued { .. } => "The run has not started.".to_owned(),
        _ => wording::net(row) + " on " + row.config.data.dataset.title(),
    };
    pen.text(2, 2, &why, look.style(Tone::Faint));
}
