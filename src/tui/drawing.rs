//! A chart of runs as a picture for papers and pages: the charts of the screens, drawn with lines in place of dots.

use std::sync::Arc;

use anyhow::{Result, bail};

pub use super::{
    chart::{LARGEST, SMALLEST},
    lens::AxisX,
    screens::compare::Gather,
};
use super::{
    course::Course,
    curves::{self, Kind},
    known::Known,
    lens::Lens,
    look::{Depth, Look, Plot},
    read_run::read_run,
    screens::compare::{CompareScreen, Measure, chart},
};
use crate::{
    experiment::RunId,
    store::{RunReader, RunRow, Store},
};

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Which chart; by default accuracy of one run, certified accuracy of several.
    pub shows: Option<Shows>,
    /// The x axis.
    pub along: AxisX,
    /// Which runs are drawn as one.
    pub gather: Gather,
    /// What runs that are drawn by themselves are called, in their order; by their own names where there is none.
    pub labels: Vec<String>,
    /// The epochs to be seen; all where there are none.
    pub epochs: Option<(f64, f64)>,
    /// Weight of the past in the moving average, 0 to 1; 0 is none.
    pub smooth: f64,
    /// Whether the axis of accuracies spans the curves only.
    pub fit: bool,
    /// Whether losses stand on an even axis and not on a logarithmic one.
    pub even: bool,
    /// Whether the ground is dark.
    pub dark: bool,
    /// Width and height in pixels.
    pub size: [f64; 2],
}

/// A chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shows {
    /// Certified, clean, attacked, training and surrogate accuracy of one run.
    Accuracy,
    /// Certified accuracy.
    Certified,
    /// Clean accuracy.
    Clean,
    /// The share of margins above 2ε at finite p: no certificate.
    Surrogate,
    /// The loss; of one run with the range of its steps.
    Loss,
    /// The exponent p of one run, done and planned.
    P,
    /// Learning rate and λ of one run.
    Rates,
    /// How few inputs of a neuron count, of one run.
    Inputs,
    /// How busy the worker of one run kept its cores and its device.
    Load,
    /// The memory it took.
    Memory,
}

/// How a chart is made.
enum Made {
    OfOne(Kind),
    OfSeveral(Measure),
}

impl Shows {
    /// The chart of so many runs; `None` where there is none.
    fn of(self, runs: usize) -> Option<Made> {
        let alone = |kind| (runs == 1).then_some(Made::OfOne(kind));
        match self {
            Shows::Accuracy => alone(Kind::Accuracy),
            Shows::Certified => Some(Made::OfSeveral(Measure::Certified)),
            Shows::Clean => Some(Made::OfSeveral(Measure::Clean)),
            Shows::Surrogate => Some(Made::OfSeveral(Measure::Surrogate)),
            Shows::Loss => Some(alone(Kind::Loss).unwrap_or(Made::OfSeveral(Measure::Loss))),
            Shows::P => alone(Kind::Exponent),
            Shows::Rates => alone(Kind::Rates),
            Shows::Inputs => alone(Kind::Sparsity),
            Shows::Load => alone(Kind::Load),
            Shows::Memory => alone(Kind::Memory),
        }
    }
}

impl Drawing {
    /// The picture of these runs, as SVG.
    ///
    /// # Errors
    /// A run has measured nothing yet or cannot be read; there are more than one chart can tell apart; several have no such
    /// chart in common; there are not as many labels as runs; no run has the epochs.
    pub async fn draw(&self, store: &Store, rows: Vec<RunRow>) -> Result<String> {
        if rows.len() > CompareScreen::MOST {
            bail!("one chart tells {} runs apart, and {} were named: name fewer", CompareScreen::MOST, rows.len());
        }
        let shows = self.shows.unwrap_or(if rows.len() == 1 { Shows::Accuracy } else { Shows::Certified });
        let Some(made) = shows.of(rows.len()) else {
            bail!("this chart is of one run: of several there are certified, clean, surrogate and loss");
        };
        if !self.labels.is_empty() && (self.labels.len() != rows.len() || self.gather != Gather::Runs) {
            bail!(
                "labels are of runs that are drawn one by one, one label a run: {} for {}",
                self.labels.len(),
                rows.len()
            );
        }
        let mut known = Known::default();
        let mut ids = Vec::new();
        for (index, mut row) in rows.into_iter().enumerate() {
            let reader = RunReader::open(&store.run_dir(row.id)).await?;
            let data = read_run(store, row.id, reader.as_ref(), (0, u64::MAX)).await?;
            if data.epochs.is_empty() {
                bail!("{} has not finished an epoch: there is nothing to draw yet", row.name);
            }
            if let Some(label) = self.labels.get(index) {
                // A variant would be named in its place.
                (row.name, row.variant) = (label.clone(), String::new());
            }
            // Colours go by number: as many runs as there are colours shall have one each.
            row.id = RunId(index as i64);
            known.data.insert(row.id, Arc::new(data));
            ids.push(row.id);
            known.rows.insert(row.id, row);
        }
        let last = known.rows.values().map(|row| row.config.train.epochs).max().unwrap_or(0);
        if let Some((from, _)) = self.epochs.filter(|(from, _)| *from >= f64::from(last)) {
            bail!("there is nothing from epoch {from} on: the longest run has {last}");
        }
        let look = Look { plot: Plot::Braille, unicode: true, depth: Depth::True, light: !self.dark };
        let lens = Lens {
            x: self.along,
            window: self.epochs,
            log_y: !self.even,
            smooth: self.smooth,
            fit: self.fit,
            ..Lens::default()
        };
        let drawn = match made {
            Made::OfOne(kind) => known.rows.values().next().map(|row| {
                let word = Course::new(row, known.data(row.id)).word(lens.x).into_owned();
                (curves::chart(kind, row, &known, &lens, &look), word)
            }),
            Made::OfSeveral(measure) => chart(&CompareScreen::looking(ids, measure, self.gather, lens), &known, &look),
        };
        let Some((chart, across)) = drawn else { bail!("there is no run to draw") };
        Ok(chart.svg(&look, self.size, &across))
    }
}
