//! From a run's rows to the curves of its charts, along any of the x axes.
//!
//! Every x axis is a rising function of the fractional epoch. So cursor, zoom and pan are kept in epochs, hold when the
//! axis is switched, and are the same in all charts.

use super::{
    chart::{Axis, Band, Chart, Curve, Figure, Line, Reference, Rule, Scale},
    known::{Known, RunData},
    look::{Look, Tone},
    marks::marks,
    wording,
};
use crate::{
    experiment::{PNorm, Phase, Schedules},
    store::RunRow,
};

/// What the x axis shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AxisX {
    /// Epochs.
    #[default]
    Epoch,
    /// Steps.
    Step,
    /// Time spent training.
    Time,
    /// The exponent p on a logarithmic axis; where p stands still (before and after its ramp) a strip of its own.
    Exponent,
}

impl AxisX {
    /// The next one; `x` goes round.
    pub fn next(self) -> AxisX {
        match self {
            AxisX::Epoch => AxisX::Step,
            AxisX::Step => AxisX::Time,
            AxisX::Time => AxisX::Exponent,
            AxisX::Exponent => AxisX::Epoch,
        }
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            AxisX::Epoch => "epoch",
            AxisX::Step => "step",
            AxisX::Time => "time",
            AxisX::Exponent => "p (log)",
        }
    }
}

/// Which chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Certified, clean, training and surrogate accuracy.
    Accuracy,
    /// The loss of epochs, over the loss of steps.
    Loss,
    /// The exponent, done and planned.
    Exponent,
    /// Learning rate and λ.
    Rates,
}

impl Kind {
    /// All of them, in the order of the screen.
    pub const ALL: [Kind; 4] = [Kind::Accuracy, Kind::Loss, Kind::Exponent, Kind::Rates];
}

/// How charts are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// The x axis.
    pub x: AxisX,
    /// The cursor, as an epoch.
    pub cursor: Option<f64>,
    /// What is visible, in epochs; all where none is set.
    pub window: Option<(f64, f64)>,
    /// Whether losses stand on a logarithmic axis.
    pub log_y: bool,
    /// Weight of the past in the moving average; 0 is none.
    pub smooth: f64,
    /// Whether the accuracy axis spans the curves only.
    pub fit: bool,
}

impl Default for Lens {
    fn default() -> Self {
        Lens { x: AxisX::Epoch, cursor: None, window: None, log_y: true, smooth: 0.0, fit: false }
    }
}

impl Lens {
    /// The visible epochs of a run of so many.
    pub fn visible(&self, epochs: f64) -> (f64, f64) {
        self.window.unwrap_or((0.0, epochs.max(1e-9)))
    }

    /// Moves the cursor by a part of what is visible.
    pub fn move_cursor(&mut self, part: f64, start: f64, epochs: f64) {
        let (from, to) = self.visible(epochs);
        let at = self.cursor.unwrap_or(start.clamp(from, to)) + part * (to - from);
        self.cursor = Some(at.clamp(from, to));
    }

    /// Makes the visible part `factor` times as long, around the cursor or the middle.
    pub fn zoom(&mut self, factor: f64, epochs: f64) {
        let (from, to) = self.visible(epochs);
        let centre = self.cursor.unwrap_or(f64::midpoint(from, to));
        let length = ((to - from) * factor).max(epochs * 1e-4);
        if length >= epochs {
            self.window = None;
            return;
        }
        let start = (centre - (centre - from) / (to - from) * length).clamp(0.0, epochs - length);
        self.window = Some((start, start + length));
    }

    /// Moves the visible part by a part of its length.
    pub fn pan(&mut self, part: f64, epochs: f64) {
        if let Some((from, to)) = self.window {
            let start = (from + part * (to - from)).clamp(0.0, (epochs - (to - from)).max(0.0));
            self.window = Some((start, start + (to - from)));
        }
    }
}

/// The way of one run along the x axes.
pub struct Course {
    schedules: Schedules,
    p_start: f64,
    p_end: f64,
    ends_at_infinity: bool,
    epochs: f64,
    steps: f64,
    /// Seconds of training done at the end of each epoch.
    seconds: Vec<f64>,
}

/// How much of the p axis a phase takes in which p stands still, beside a ramp of 1.
const STRIP: f64 = 0.15;

impl Course {
    /// Of a run whose run file has been read, or has not.
    pub fn new(row: &RunRow, data: Option<&RunData>) -> Course {
        let mut total = 0.0;
        let seconds = data.map_or(&[][..], |data| &data.epochs).iter().map(|epoch| {
            total += epoch.seconds.max(0.0);
            total
        });
        let seconds: Vec<f64> = seconds.collect();
        let schedule = &row.config.schedule;
        let epochs = f64::from(row.config.train.epochs.max(1));
        let per_epoch =
            data.and_then(|data| data.epochs.last()).map(|last| last.step as f64 / f64::from(last.epoch + 1));
        let steps = match (row.summary.steps, per_epoch) {
            (0, Some(per_epoch)) => per_epoch * epochs,
            (0, None) => epochs,
            (steps, _) => steps as f64,
        };
        let schedules = Schedules::new(&row.config);
        let ends_at_infinity = schedules.at(epochs.max(schedule.ramp_end)).p.is_infinite();
        Course { schedules, p_start: schedule.p_start, p_end: schedule.p_end, ends_at_infinity, epochs, steps, seconds }
    }

    /// Epochs of the whole run.
    pub fn epochs(&self) -> f64 {
        self.epochs
    }

    /// Where an epoch lies on the x axis.
    pub fn x(&self, axis: AxisX, epoch: f64) -> f64 {
        match axis {
            AxisX::Epoch => epoch,
            AxisX::Step => epoch / self.epochs * self.steps,
            AxisX::Time => self.time(epoch),
            AxisX::Exponent => {
                let (start, end) = (self.schedules.phase_start(Phase::Ramp), self.schedules.phase_start(Phase::End));
                if epoch < start {
                    -STRIP * (1.0 - epoch / start)
                } else if epoch < end {
                    (epoch - start) / (end - start)
                } else {
                    1.0 + STRIP * ((epoch - end) / (self.epochs - end).max(1e-9)).min(1.0)
                }
            }
        }
    }

    /// The epoch in which a step is done.
    pub fn epoch_of_step(&self, step: u64) -> f64 {
        step as f64 / self.steps.max(1.0) * self.epochs
    }

    /// The step at an epoch.
    pub fn step_at(&self, epoch: f64) -> u64 {
        (epoch / self.epochs * self.steps).max(0.0) as u64
    }

    /// The schedules.
    pub fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// Seconds of training at an epoch: measured where it is done, at the last epoch's pace where it is not.
    fn time(&self, epoch: f64) -> f64 {
        let whole = epoch.max(0.0).floor() as usize;
        let at = |index: usize| if index == 0 { 0.0 } else { self.seconds[index - 1] };
        let done = self.seconds.len();
        if whole < done {
            return at(whole) + (at(whole + 1) - at(whole)) * (epoch.max(0.0) - whole as f64);
        }
        let pace = if done == 0 { 1.0 } else { at(done) - at(done - 1) };
        at(done) + (epoch - done as f64) * pace
    }

    /// The x axis of what a lens shows.
    pub fn axis(&self, lens: &Lens) -> Axis {
        let (from, to) = lens.visible(self.epochs);
        let (from, to) = (self.x(lens.x, from), self.x(lens.x, to));
        let mut axis = Axis::linear(from, to);
        match lens.x {
            AxisX::Epoch | AxisX::Step => {}
            AxisX::Time => axis.ticks = Some(time_ticks(from, to)),
            AxisX::Exponent => axis.ticks = Some(self.exponent_ticks()),
        }
        axis
    }

    fn exponent_ticks(&self) -> Vec<(f64, String)> {
        let ratio = |p: f64| (p / self.p_start).ln() / (self.p_end / self.p_start).ln();
        let mut ticks = vec![(0.0, format!("{:.0}", self.p_start))];
        let mut p = 2f64.powf(self.p_start.max(1.0).log2().floor() + 1.0);
        while p < self.p_end * 0.8 && ticks.len() < 40 {
            ticks.push((ratio(p), format!("{p:.0}")));
            p *= 2.0;
        }
        ticks.push((1.0, format!("{:.0}", self.p_end)));
        if self.ends_at_infinity {
            ticks.push((1.0 + STRIP / 2.0, "∞".into()));
        }
        ticks.retain(|(x, _)| x.is_finite());
        ticks
    }

    /// The phases as bands: where p stands at its first value, where it climbs, where it is ∞.
    pub fn bands(&self, axis: AxisX, look: &Look) -> Vec<Band> {
        let starts = [Phase::Start, Phase::Ramp, Phase::End].map(|phase| self.schedules.phase_start(phase));
        let last = match self.ends_at_infinity {
            true => look.exponent(PNorm::INFINITY),
            false => format!("{:.0}", self.p_end),
        };
        let stands = |p: &str| vec![format!("p = {p}"), format!("p {p}")];
        let mut labels =
            [stands(&format!("{:.0}", self.p_start)), vec!["p climbs".into(), "ramp".into()], stands(&last)];
        if self.ends_at_infinity {
            labels[2].push(last);
        }
        let ends = [starts[1], starts[2], self.epochs];
        let rules = [Rule::Light, Rule::Heavy, Rule::Double];
        let bands = starts.into_iter().zip(ends).zip(labels.into_iter().zip(rules));
        bands
            .filter(|((from, to), _)| to > from)
            .map(|((from, to), (labels, rule))| Band { from: self.x(axis, from), to: self.x(axis, to), labels, rule })
            .collect()
    }
}

fn time_ticks(from: f64, to: f64) -> Vec<(f64, String)> {
    const STEPS: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0,
        43_200.0, 86_400.0, 604_800.0,
    ];
    let span = to - from;
    let step = STEPS.into_iter().find(|step| span / step <= 7.0).unwrap_or(span / 7.0);
    if !(step > 0.0 && step.is_finite()) {
        return Vec::new();
    }
    let first = (from / step).ceil();
    (0..8)
        .map(|index| (first + f64::from(index)) * step)
        .filter(|value| *value <= to)
        .map(|value| (value, wording::clock(value)))
        .collect()
}

/// A moving average that starts at the first value (weight corrected), so that it does not lag at the beginning.
pub fn smoothed(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let (mut sum, mut mass) = (0.0, 0.0);
    let point = |&(x, y): &(f64, f64)| {
        if !y.is_finite() {
            return (x, y);
        }
        sum = sum * weight + y * (1.0 - weight);
        mass = mass * weight + (1.0 - weight);
        (x, sum / mass)
    };
    points.iter().map(point).collect()
}

/// One of a run's charts.
pub fn chart(kind: Kind, row: &RunRow, known: &Known, lens: &Lens, look: &Look) -> Chart {
    let empty = RunData::default();
    let data = known.data(row.id).unwrap_or(&empty);
    let course = Course::new(row, Some(data));
    let build = Build { row, data, course: &course, lens, look };
    let (title, curves, y, figure) = match kind {
        Kind::Accuracy => build.accuracy(),
        Kind::Loss => build.loss(),
        Kind::Exponent => build.exponent(),
        Kind::Rates => build.rates(),
    };
    let references = match (&row.config.run.published, kind) {
        (Some(published), Kind::Accuracy) => {
            vec![Reference { y: published.certified, label: "published".into(), style: look.style(Tone::Published) }]
        }
        _ => Vec::new(),
    };
    Chart {
        title,
        focused: false,
        curves,
        x: course.axis(lens),
        y,
        bands: course.bands(lens.x, look),
        marks: marks(&data.events, look, |step| course.x(lens.x, course.epoch_of_step(step))),
        references,
        cursor: lens.cursor.map(|epoch| course.x(lens.x, epoch)),
        figure,
    }
}

type Parts = (String, Vec<Curve>, Axis, Figure);

struct Build<'a> {
    row: &'a RunRow,
    data: &'a RunData,
    course: &'a Course,
    lens: &'a Lens,
    look: &'a Look,
}

impl Build<'_> {
    /// A curve with one point an epoch.
    fn epochs(&self, name: &str, tone: Tone, line: Line, value: impl Fn(&crate::store::EpochRow) -> f64) -> Curve {
        let x = |epoch: f64| self.course.x(self.lens.x, epoch);
        let points = self.data.epochs.iter().map(|row| (x(f64::from(row.epoch) + 1.0), value(row))).collect();
        Curve { name: name.into(), points, style: self.look.style(tone), line }
    }

    /// A curve with one point an evaluation.
    fn evals(
        &self,
        name: &str,
        tone: Tone,
        line: Line,
        value: impl Fn(&crate::store::EvalRow) -> Option<f64>,
    ) -> Curve {
        let x = |epoch: f64| self.course.x(self.lens.x, epoch);
        let points =
            crate::store::curve(&self.data.evals).filter_map(|row| Some((x(row.epoch), value(row)?))).collect();
        Curve { name: name.into(), points, style: self.look.style(tone), line }
    }

    /// The curve smoothed, over the raw one without a name.
    fn with_smoothing(&self, curves: Vec<Curve>) -> Vec<Curve> {
        if self.lens.smooth <= 0.0 {
            return curves;
        }
        let raw = curves.iter().map(|curve| Curve {
            name: String::new(),
            line: Line::Shade,
            style: self.look.style(Tone::Faint),
            points: curve.points.clone(),
        });
        let raw: Vec<Curve> = raw.collect();
        let smooth =
            curves.into_iter().map(|curve| Curve { points: smoothed(&curve.points, self.lens.smooth), ..curve });
        raw.into_iter().chain(smooth).collect()
    }

    fn accuracy(&self) -> Parts {
        let curves = self.with_smoothing(vec![
            self.epochs("train", Tone::Train, Line::Solid, |row| row.accuracy),
            self.epochs("surrogate", Tone::Surrogate, Line::Dashed, |row| row.surrogate),
            self.evals("clean", Tone::Clean, Line::Solid, |row| Some(row.clean)),
            self.evals("certified", Tone::Certified, Line::Solid, |row| Some(row.certified)),
        ]);
        let y = if self.lens.fit {
            let visible = self.course.axis(self.lens);
            let inside = |x: f64| (visible.from..=visible.to).contains(&x);
            let points = curves.iter().flat_map(|curve| &curve.points).filter(|point| inside(point.0));
            Axis::around(
                points.map(|point| point.1).chain(self.row.config.run.published.iter().map(|p| p.certified)),
                Scale::Linear,
            )
        } else {
            Axis::linear(0.0, 1.0)
        };
        (format!("accuracy, ε = {}", self.row.config.eval.eps), curves, y, Figure::Share)
    }

    fn loss(&self) -> Parts {
        let x = |step: u64| self.course.x(self.lens.x, self.course.epoch_of_step(step));
        let bins = self.data.loss.iter().flat_map(|bin| [(x(bin.step), bin.min), (x(bin.step), bin.max)]).collect();
        let steps = Curve { name: String::new(), points: bins, style: self.look.style(Tone::Faint), line: Line::Shade };
        let mut curves = vec![steps];
        curves.extend(self.with_smoothing(vec![self.epochs("loss", Tone::Loss, Line::Solid, |row| row.loss)]));
        let scale = if self.lens.log_y { Scale::Log } else { Scale::Linear };
        let visible = self.course.axis(self.lens);
        let points =
            curves.iter().flat_map(|curve| &curve.points).filter(|p| (visible.from..=visible.to).contains(&p.0));
        let y = Axis::around(points.map(|point| point.1), scale);
        (if self.lens.log_y { "loss (log)".into() } else { "loss".into() }, curves, y, Figure::Short)
    }

    fn exponent(&self) -> Parts {
        let (p_start, p_end) = (self.row.config.schedule.p_start, self.row.config.schedule.p_end);
        // ∞ has no place on a logarithmic axis, so it gets a level of its own above the last finite exponent.
        let above = p_end * 2.0;
        let level = move |p: PNorm| if p.is_infinite() { above } else { p.get() };
        let epochs = self.course.epochs();
        let plan = (0..=256).map(|index| {
            let epoch = epochs * f64::from(index) / 256.0;
            (self.course.x(self.lens.x, epoch), level(self.course.schedules().at(epoch).p))
        });
        let planned = Curve {
            name: String::new(),
            points: plan.collect(),
            style: self.look.style(Tone::Faint),
            line: Line::Dashed,
        };
        let done = self.epochs("p", Tone::Exponent, Line::Solid, |row| level(row.p));
        let mut y = Axis::log(p_start / 1.1, above * 1.1);
        let mut ticks: Vec<(f64, String)> = [1.0, 10.0, 100.0, 1e3, 1e4]
            .into_iter()
            .filter(|p| *p > p_start && *p <= p_end)
            .map(|p| (p, format!("{p:.0}")))
            .collect();
        ticks.insert(0, (p_start, format!("{p_start:.0}")));
        ticks.push((above, "∞".into()));
        y.ticks = Some(ticks);
        ("exponent p".into(), vec![planned, done], y, Figure::Exponent(p_end))
    }

    fn rates(&self) -> Parts {
        let curves = vec![
            self.epochs("λ", Tone::Surrogate, Line::Solid, |row| row.lambda),
            self.epochs("lr", Tone::Rate, Line::Solid, |row| row.lr),
        ];
        let largest = self.row.config.train.lr.max(self.row.config.loss.lambda);
        // The learning rate ends at 0; four decades tell all there is.
        let values =
            curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).filter(|value| *value > largest * 1e-4);
        let y = Axis::around(values.chain([largest]), Scale::Log);
        ("rates (log)".into(), curves, y, Figure::Short)
    }
}
