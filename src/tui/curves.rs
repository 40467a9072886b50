//! From a run's rows to the curves of its charts, along any of the x axes.

use super::{
    chart::{Axis, Chart, Curve, Figure, Line, Mark, Reference, Scale},
    course::Course,
    known::{Known, RunData},
    lens::Lens,
    look::{Look, Tone},
    marks::marks,
    series::{self, Series},
    stall::stall,
};
use crate::store::{Gauge, RunRow};

/// Which chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Certified, attacked, clean, training and surrogate accuracy.
    Accuracy,
    /// The loss of epochs, over the loss of steps.
    Loss,
    /// The exponent, done and planned.
    Exponent,
    /// Learning rate and λ.
    Rates,
    /// How few inputs of a neuron count.
    Sparsity,
    /// How busy the worker keeps its cores and its device, and how hot that is.
    Load,
    /// The memory they take.
    Memory,
}

impl Kind {
    /// All of them, in the order of the screen.
    pub const ALL: [Kind; 7] =
        [Kind::Accuracy, Kind::Loss, Kind::Exponent, Kind::Sparsity, Kind::Rates, Kind::Load, Kind::Memory];
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
        Kind::Sparsity => build.sparsity(),
        Kind::Load => build.load(),
        Kind::Memory => build.memory(),
    };
    let references = match (&row.config.run.published, kind) {
        (Some(published), Kind::Accuracy) => {
            vec![Reference { y: published.certified, label: "published".into(), style: look.style(Tone::Published) }]
        }
        _ => Vec::new(),
    };
    let mut marks = marks(&data.events, look, |step| course.x(lens.x, course.epoch_of_step(step)));
    let stalled = stall(row, data).map(|stall| course.x(lens.x, stall.since));
    marks.extend(stalled.map(|x| Mark { x, symbol: "▼", label: "no progress".into(), style: look.style(Tone::Warn) }));
    Chart {
        title,
        focused: false,
        curves,
        x: course.axis(lens),
        y,
        bands: course.bands(lens.x, look),
        marks,
        references,
        cursor: lens.cursor.map(|epoch| course.x(lens.x, epoch)),
        figure,
    }
}

type Parts = (String, Vec<Curve>, Axis, Figure);

struct Build<'a> {
    row: &'a RunRow,
    data: &'a RunData,
    course: &'a Course<'a>,
    lens: &'a Lens,
    look: &'a Look,
}

impl Build<'_> {
    /// Curves of what was measured; smoothed, if so, over the raw ones without a name.
    fn series<const N: usize>(&self, wanted: [(&str, Tone, Line, Series); N]) -> Vec<Curve> {
        let points = |series, smooth| series::points(series, self.row, self.data, self.course, self.lens.x, smooth);
        let smooth = self.lens.smooth;
        let raw = wanted.iter().filter(|_| smooth > 0.0).map(|&(_, _, _, series)| Curve {
            name: String::new(),
            line: Line::Shade,
            style: self.look.style(Tone::Faint),
            points: points(series, 0.0),
        });
        let curves = wanted.iter().map(|&(name, tone, line, series)| Curve {
            name: name.into(),
            line,
            style: self.look.style(tone),
            points: points(series, smooth),
        });
        raw.chain(curves).collect()
    }

    /// A curve with one point an epoch, never smoothed.
    fn scheduled(&self, name: &str, tone: Tone, series: Series) -> Curve {
        let points = series::points(series, self.row, self.data, self.course, self.lens.x, 0.0);
        Curve { name: name.into(), points, style: self.look.style(tone), line: Line::Solid }
    }

    /// What attacks left of nets, each at the epoch of its net.
    fn attacks(&self) -> Curve {
        let x = |step: u64| self.course.x(self.lens.x, self.course.epoch_of_step(step));
        let points = self.data.attacks.iter().map(|attacked| (x(attacked.row.step), attacked.row.under_all)).collect();
        Curve { name: "attacked".into(), points, style: self.look.style(Tone::Text), line: Line::Crosses }
    }

    /// A curve of what a gauge said, in units of `unit`.
    fn gauge(&self, gauge: Gauge, name: &str, tone: Tone, line: Line, unit: f64) -> Curve {
        let x = |step: u64| self.course.x(self.lens.x, self.course.epoch_of_step(step));
        let bins = self.data.gauges.get(&gauge).into_iter().flatten();
        let points = bins.map(|bin| (x(bin.step), bin.mean / unit)).collect();
        Curve { name: name.into(), points, style: self.look.style(tone), line }
    }

    fn accuracy(&self) -> Parts {
        // Evaluations under way are of the held-out images, where there are some; the header has those of the test set.
        let [clean, certified] = match self.row.config.data.validation {
            0 => ["clean", "certified"],
            _ => ["clean, held out", "certified, held out"],
        };
        let mut curves = self.series([
            ("train", Tone::Train, Line::Solid, Series::Train),
            ("surrogate", Tone::Surrogate, Line::Dashed, Series::Surrogate),
            (clean, Tone::Clean, Line::Solid, Series::Clean),
            (certified, Tone::Certified, Line::Solid, Series::Certified),
        ]);
        // Of few nets, and seldom of as many images as the others: no line leads from one to the next.
        if !self.data.attacks.is_empty() {
            curves.insert(curves.len() - 1, self.attacks());
        }
        let y = if self.lens.fit {
            let visible = self.course.axis(self.lens);
            let measured = curves.iter().flat_map(|curve| curve.points.extremes(visible.from, visible.to));
            Axis::around(measured.chain(self.row.config.run.published.iter().map(|p| p.certified)), Scale::Linear)
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
        curves.extend(self.series([("loss", Tone::Loss, Line::Solid, Series::Loss)]));
        let scale = if self.lens.log_y { Scale::Log } else { Scale::Linear };
        let visible = self.course.axis(self.lens);
        let measured = curves.iter().flat_map(|curve| curve.points.extremes(visible.from, visible.to));
        let y = Axis::around(measured, scale);
        (if self.lens.log_y { "loss (log)".into() } else { "loss".into() }, curves, y, Figure::Short)
    }

    fn exponent(&self) -> Parts {
        let (p_start, p_end) = (self.row.config.schedule.p_start, self.row.config.schedule.p_end);
        let above = series::above(p_end);
        let epochs = self.course.epochs();
        let plan = (0..=256).map(|index| {
            let epoch = epochs * f64::from(index) / 256.0;
            (self.course.x(self.lens.x, epoch), series::level(self.course.schedules().at(epoch).p.get(), p_end))
        });
        let planned = Curve {
            name: String::new(),
            points: plan.collect(),
            style: self.look.style(Tone::Faint),
            line: Line::Dashed,
        };
        let done = self.scheduled("p", Tone::Exponent, Series::Exponent);
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
        let curves =
            vec![self.scheduled("λ", Tone::Surrogate, Series::Lambda), self.scheduled("lr", Tone::Rate, Series::Rate)];
        let largest = self.row.config.train.lr.max(self.row.config.loss.lambda);
        // The learning rate ends at 0; four decades tell all there is.
        let values = curves
            .iter()
            .flat_map(|curve| curve.points.iter())
            .map(|point| point.1)
            .filter(|value| *value > largest * 1e-4);
        let y = Axis::around(values.chain([largest]), Scale::Log);
        ("rates (log)".into(), curves, y, Figure::Short)
    }

    fn sparsity(&self) -> Parts {
        let curves = vec![
            self.gauge(Gauge::Candidates, "bounds", Tone::Surrogate, Line::Dashed, 0.01),
            self.gauge(Gauge::Counting, "count", Tone::Certified, Line::Solid, 0.01),
        ];
        let least = curves.iter().flat_map(|curve| curve.points.iter()).map(|point| point.1).fold(10.0, f64::min);
        let y = Axis::log(least / 1.2, 110.0);
        ("inputs that count, %".into(), curves, y, Figure::Short)
    }

    fn load(&self) -> Parts {
        let most = self.data.gauges.get(&Gauge::Cores).into_iter().flatten().map(|bin| bin.mean).fold(0.0, f64::max);
        let cores = (self.row.config.resources.threads as f64).max(most.ceil()).max(1.0);
        let curves = vec![
            self.gauge(Gauge::Celsius, "°C / 100", Tone::Loss, Line::Dashed, 100.0),
            self.gauge(Gauge::DeviceLoad, "gpu", Tone::Clean, Line::Solid, 1.0),
            self.gauge(Gauge::Cores, "cpu", Tone::Rate, Line::Solid, cores),
        ];
        (format!("load, cpu 1 = {cores} cores"), curves, Axis::linear(0.0, 1.0), Figure::Short)
    }

    fn memory(&self) -> Parts {
        const GIB: f64 = (1u64 << 30) as f64;
        let curves = vec![
            self.gauge(Gauge::DeviceMemory, "gpu", Tone::Clean, Line::Solid, GIB),
            self.gauge(Gauge::Memory, "worker", Tone::Rate, Line::Solid, GIB),
        ];
        let most = curves.iter().flat_map(|curve| curve.points.iter()).map(|point| point.1).fold(0.0, f64::max);
        ("memory, GiB".into(), curves, Axis::linear(0.0, most * 1.1), Figure::Short)
    }
}
