//! Several runs in one chart, their figures in one table, and where their configs differ.

mod band;
mod gather;
mod overlay;
mod table;

use crate::{
    experiment::{RunId, differences},
    store::RunRow,
    tui::{
        chart::Chart,
        filter::is_pinned,
        keys::Action,
        known::Known,
        lens::Lens,
        look::{Look, Tone},
        model::Model,
        pen::Pen,
        screens::charts::act_on_lens,
        series::Series,
    },
};
pub use gather::Gather;
use overlay::{Along, Spreads};

pub use table::{latex, markdown};

/// What the comparison remembers.
#[derive(Clone, Debug)]
pub struct CompareScreen {
    /// The runs, in the order of their numbers.
    pub runs: Vec<RunId>,
    lens: Lens,
    measure: Measure,
    gather: Gather,
    spreads: Spreads,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Certified accuracy.
    #[default]
    Certified,
    /// Clean accuracy.
    Clean,
    /// The share of margins above 2ε at finite p.
    Surrogate,
    /// The loss of epochs.
    Loss,
}

impl Measure {
    const ALL: [Measure; 4] = [Measure::Certified, Measure::Clean, Measure::Surrogate, Measure::Loss];

    fn series(self) -> Series {
        match self {
            Measure::Certified => Series::Certified,
            Measure::Clean => Series::Clean,
            Measure::Surrogate => Series::Surrogate,
            Measure::Loss => Series::Loss,
        }
    }

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
        CompareScreen {
            runs,
            lens: Lens::default(),
            measure: Measure::default(),
            gather: Gather::default(),
            spreads: Spreads::default(),
        }
    }

    /// The same, of this measure, with these runs taken together.
    pub fn looking(runs: Vec<RunId>, measure: Measure, gather: Gather, lens: Lens) -> CompareScreen {
        CompareScreen { lens, measure, gather, ..CompareScreen::new(runs) }
    }

    /// Gives up the cursor, then the zoom; false where there is neither.
    pub fn back(&mut self) -> bool {
        self.lens.cursor.take().is_some() || self.lens.window.take().is_some()
    }

    fn rows<'a>(&self, known: &'a Known) -> Vec<&'a RunRow> {
        let mut rows: Vec<&RunRow> = self.runs.iter().filter_map(|id| known.rows.get(id)).collect();
        // Drawn last, so above the others, and named first in the legend.
        rows.sort_by_key(|row| is_pinned(row));
        rows
    }

    /// What a key does here.
    pub fn act(&mut self, action: Action, known: &Known) {
        let at = Measure::ALL.iter().position(|measure| *measure == self.measure).unwrap_or(0);
        let rows = self.rows(known);
        let along = Along::new(&rows, known, self.lens.x);
        let epoch = rows.iter().map(|row| row.summary.epoch).fold(0.0, f64::max);
        match action {
            Action::Down => self.measure = Measure::ALL[(at + 1) % Measure::ALL.len()],
            Action::Up => self.measure = Measure::ALL[(at + Measure::ALL.len() - 1) % Measure::ALL.len()],
            Action::Gather => self.gather = self.gather.next(),
            Action::AxisX => self.lens.x = self.lens.x.next(along.is_some_and(|along| along.eps_moves())),
            other => act_on_lens(&mut self.lens, other, along.map_or(1.0, |along| along.lead().epochs()), epoch),
        }
    }
}

/// The chart alone, and what its x axis is called; `None` where none of the runs is known.
pub fn chart(screen: &CompareScreen, known: &Known, look: &Look) -> Option<(Chart, String)> {
    let rows = screen.rows(known);
    let along = Along::new(&rows, known, screen.lens.x)?;
    Some((overlay::overlay(screen, &along, known, look), along.word().into_owned()))
}

/// Draws the comparison.
pub fn draw(model: &Model, screen: &CompareScreen, pen: &mut Pen<'_>) {
    let (look, known) = (&model.look, &model.known);
    let rows = screen.rows(known);
    let (width, height) = (pen.width(), pen.height());
    let (faint, key) = (look.style(Tone::Faint), look.style(Tone::Key));
    let Some(along) = Along::new(&rows, known, screen.lens.x) else {
        pen.text(2, 1, "These runs are no longer in the store.", look.style(Tone::Text));
        return;
    };
    let mut x = pen.text(1, 0, &format!("{} runs", rows.len()), look.style(Tone::Strong));
    x = pen.text(x, 0, " · x ", faint);
    x = pen.text(x, 0, &along.word(), key);
    let arrows = [Action::Down, Action::Up].map(|action| model.key_of(action)).join(" ");
    x = pen.text(x, 0, &format!(" · {}: ", arrows.trim()), faint);
    x = pen.text(x, 0, screen.measure.word(), key);
    if let Some(epoch) = screen.lens.cursor {
        x = pen.text(x, 0, &format!(" · {}", along.reading(epoch, look)), look.style(Tone::Strong));
    }
    if screen.gather != Gather::Runs {
        x = pen.text(x, 0, " · ", faint);
        x = pen.text(x, 0, screen.gather.word(), key);
        pen.text(x, 0, ": mean, ± σ dense, lowest to highest thin", faint);
    }
    let means = table::means(&rows, screen.gather);
    let differing = differences(&rows.iter().map(|row| &row.config).collect::<Vec<_>>());
    let table = ((rows.len() + 1 + means.len().max(1)) as u16).min(height / 3);
    let diff = if differing.is_empty() { 0 } else { (differing.len() as u16 + 2).min(height / 4) };
    let chart = height.saturating_sub(1 + table + diff);
    overlay::overlay(screen, &along, known, look).draw(look, pen.part(0, 1, width, chart));
    table::draw_table(&rows, &means, look, pen.part(0, 1 + chart, width, table));
    table::draw_differences(&rows, &differing, look, pen.part(0, 1 + chart + table, width, diff));
}
