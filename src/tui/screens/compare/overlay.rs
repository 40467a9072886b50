//! The curves of the compared runs in one chart, along an axis that is right for all of them.

use std::borrow::Cow;

use super::{
    CompareScreen, Measure,
    band::{Together, together},
    gather::{Bunch, bunches, name},
};
use crate::{
    store::RunRow,
    tui::{
        chart::{Axis, Band, Chart, Curve, Figure, Line, Points, Reference, Rule, Scale},
        course::Course,
        known::Known,
        lens::AxisX,
        look::{Look, Tone},
        memo::Memo,
        series, wording,
    },
};

/// Places that a band is drawn at, beside those of its points: as many as the widest terminal has columns of dots.
const PLACES: usize = 1024;

/// The runs along the x axis.
pub struct Along<'a> {
    axis: AxisX,
    courses: Vec<(&'a RunRow, Course<'a>)>,
    /// The place in `courses` of the run that cursor and zoom are epochs of: the one that reaches furthest.
    leads: usize,
}

impl<'a> Along<'a> {
    /// None where there is no run.
    pub fn new(rows: &[&'a RunRow], known: &'a Known, axis: AxisX) -> Option<Along<'a>> {
        let courses: Vec<(&'a RunRow, Course<'a>)> =
            rows.iter().map(|row| (*row, Course::new(row, known.data(row.id)))).collect();
        let reach = |(_, course): &(&RunRow, Course<'_>)| (course.span(axis).1, course.epochs());
        // Of equals the first.
        let leads = (0..courses.len()).rev().max_by(|a, b| {
            let (a, b) = (reach(&courses[*a]), reach(&courses[*b]));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        })?;
        Some(Along { axis, courses, leads })
    }

    /// The course of the run that reaches furthest.
    pub fn lead(&self) -> &Course<'a> {
        &self.courses[self.leads].1
    }

    /// Whether one figure of p lies at one place for all runs: where p climbs from and to the same.
    fn share_p(&self) -> bool {
        self.courses.iter().all(|(_, course)| course.climbs_like(self.lead()))
    }

    /// Whether one figure of ε_train lies at one place for all runs.
    fn share_eps(&self) -> bool {
        self.courses.iter().all(|(_, course)| course.eps_way().is_like(self.lead().eps_way()))
    }

    /// Whether ε_train moves in any of the runs.
    pub fn eps_moves(&self) -> bool {
        self.courses.iter().any(|(_, course)| course.eps_way().moves())
    }

    /// What the axis is called. Where p climbs differently, runs are aligned by how far it has climbed; and so with ε_train.
    pub fn word(&self) -> Cow<'static, str> {
        match self.axis {
            AxisX::Exponent if !self.share_p() => "phase, by the climb of p".into(),
            AxisX::Epsilon if !self.share_eps() => "phase, by the way of ε_train".into(),
            axis => self.lead().word(axis),
        }
    }

    /// What the cursor stands at, in the words of the axis.
    pub fn reading(&self, epoch: f64, look: &Look) -> String {
        let course = self.lead();
        let x = course.x(self.axis, epoch);
        match self.axis {
            AxisX::Epoch => format!("epoch {epoch:.2}"),
            AxisX::Step => format!("step {}", wording::count(x.max(0.0) as u64)),
            AxisX::Time => format!("{} of training", wording::duration(x)),
            AxisX::Wall => format!("{} after the start", wording::duration(x)),
            AxisX::Exponent if self.share_p() => format!("p = {}", look.exponent(course.schedules().at(epoch).p)),
            AxisX::Exponent if x < 0.0 => "before p climbs".into(),
            AxisX::Exponent if x > 1.0 => "p has climbed".into(),
            AxisX::Exponent => format!("{:.0} % of the climb of p", x * 100.0),
            AxisX::Epsilon if self.share_eps() => {
                format!("ε_train {}", course.eps_way().figure(course.schedules().at(epoch).eps_train))
            }
            AxisX::Epsilon => format!("{:.0} % of the way of ε_train", x.clamp(0.0, 1.0) * 100.0),
        }
    }

    /// The axis: all of every run, or what is zoomed in on.
    fn axis(&self, screen: &CompareScreen) -> Axis {
        let spans = self.courses.iter().map(|(_, course)| course.span(self.axis));
        let (from, to) = match screen.lens.window {
            Some((from, to)) => (self.lead().x(self.axis, from), self.lead().x(self.axis, to)),
            None => spans.fold((f64::INFINITY, f64::NEG_INFINITY), |all, span| (all.0.min(span.0), all.1.max(span.1))),
        };
        let mut axis = self.lead().axis_over(self.axis, from, to);
        if (self.axis == AxisX::Exponent && !self.share_p()) || (self.axis == AxisX::Epsilon && !self.share_eps()) {
            let share = |share: u32| (f64::from(share) / 100.0, format!("{share} %"));
            axis.ticks = Some([0, 20, 40, 60, 80, 100].map(share).into());
        }
        axis
    }

    /// The phases, where all runs have the same ones.
    fn bands(&self, look: &Look) -> Vec<Band> {
        if self.axis == AxisX::Exponent && !self.share_p() {
            let spans = self.courses.iter().map(|(_, course)| course.span(AxisX::Exponent));
            let (from, to) = spans.fold((0.0_f64, 1.0_f64), |all, span| (all.0.min(span.0), all.1.max(span.1)));
            let named = |from: f64, to: f64, words: &str, rule: Rule| {
                (to > from).then(|| Band { from, to, labels: vec![words.to_owned()], rule })
            };
            let bands = [
                named(from, 0.0, "before", Rule::Light),
                named(0.0, 1.0, "p climbs", Rule::Heavy),
                named(1.0, to, "after", Rule::Double),
            ];
            return bands.into_iter().flatten().collect();
        }
        let first = self.lead().bands(self.axis, look);
        let same = self.courses.iter().all(|(_, course)| course.bands(self.axis, look) == first);
        if same { first } else { Vec::new() }
    }

    /// The points of a run's curve.
    fn points(&self, screen: &CompareScreen, row: &RunRow, known: &Known) -> Points {
        let course = self.courses.iter().find(|(other, _)| other.id == row.id).map(|(_, course)| course);
        match (course, known.data(row.id)) {
            (Some(course), Some(data)) => {
                series::points(screen.measure.series(), row, data, course, self.axis, screen.lens.smooth)
            }
            _ => Vec::new().into(),
        }
    }
}

/// The chart of all runs.
pub fn overlay(screen: &CompareScreen, along: &Along<'_>, known: &Known, look: &Look) -> Chart {
    let rows: Vec<&RunRow> = along.courses.iter().map(|(row, _)| *row).collect();
    let loss = screen.measure == Measure::Loss;
    let x = along.axis(screen);
    let scale = if loss && screen.lens.log_y { Scale::Log } else { Scale::Linear };
    let drawn: Vec<Drawn> = bunches(&rows, screen.gather)
        .iter()
        .map(|bunch| drawn(screen, along, bunch, (x.from, x.to), scale, known, look))
        .collect();
    let y = if loss || screen.lens.fit {
        Axis::around(drawn.iter().flat_map(|drawn| &drawn.reach).copied(), scale)
    } else {
        Axis::linear(0.0, 1.0)
    };
    let (shades, lines): (Vec<Vec<Curve>>, Vec<Curve>) =
        drawn.into_iter().map(|drawn| (drawn.shades, drawn.line)).unzip();
    Chart {
        title: screen.measure.word().into(),
        focused: false,
        curves: shades.into_iter().flatten().chain(lines).collect(),
        x,
        y,
        bands: along.bands(look),
        // What happened to one of the runs is not for all of the curves.
        marks: Vec::new(),
        references: references(screen, &rows, look),
        cursor: screen.lens.cursor.map(|epoch| along.lead().x(along.axis, epoch)),
        figure: if loss { Figure::Short } else { Figure::Share },
    }
}

/// What is drawn of a bunch.
struct Drawn {
    /// The run's curve, or the mean.
    line: Curve,
    /// What a mean is of: the range, and denser its standard deviation to both sides.
    shades: Vec<Curve>,
    /// Values that reach as far as all that an axis must have room for.
    reach: Vec<f64>,
}

fn drawn(
    screen: &CompareScreen,
    along: &Along<'_>,
    bunch: &Bunch<'_>,
    visible: (f64, f64),
    scale: Scale,
    known: &Known,
    look: &Look,
) -> Drawn {
    let line = if screen.measure == Measure::Surrogate { Line::Dashed } else { Line::Solid };
    let style = bunch.rows.first().map(|row| look.run_style(row.id)).unwrap_or_default();
    if let [row] = bunch.rows[..] {
        let points = along.points(screen, row, known);
        let reach = points.extremes(visible.0, visible.1).collect();
        let name = format!("{}{}", name(row), whose(screen.measure, &bunch.rows));
        return Drawn { line: Curve { name, points, style, line }, shades: Vec::new(), reach };
    }
    let mut all: Vec<Points> = bunch.counted().into_iter().map(|row| along.points(screen, row, known)).collect();
    all.retain(|points| points.iter().any(|point| point.1.is_finite()));
    let n = match (all.len(), bunch.rows.len()) {
        (n, all) if n == all => format!("{n} runs"),
        (n, all) => format!("{n} of {all} runs"),
    };
    let spread = screen.spreads.get(all, visible, scale);
    let shade = |points, line| Curve { name: String::new(), points, style, line };
    Drawn {
        line: Curve {
            name: format!("{}, {n}{}", bunch.name, whose(screen.measure, &bunch.rows)),
            points: spread.mean,
            style,
            line,
        },
        shades: vec![shade(spread.range, Line::Haze), shade(spread.deviation, Line::Shade)],
        reach: spread.reach,
    }
}

/// Of which images a curve is, where it is not the test set: evaluations under way are of the held-out ones.
fn whose(measure: Measure, rows: &[&RunRow]) -> &'static str {
    let evaluated = matches!(measure, Measure::Certified | Measure::Clean);
    if evaluated && rows.iter().any(|row| row.config.data.validation > 0) { ", held out" } else { "" }
}

/// What was made of curves taken together, as long as they, what is visible and the scale are the same.
#[derive(Clone, Debug)]
pub struct Spreads(Memo<Taken, Spread>);

#[derive(Debug)]
struct Taken {
    curves: Vec<Points>,
    visible: (f64, f64),
    scale: Scale,
}

impl PartialEq for Taken {
    fn eq(&self, other: &Taken) -> bool {
        (self.visible, self.scale, self.curves.len()) == (other.visible, other.scale, other.curves.len())
            && self.curves.iter().zip(&other.curves).all(|(one, other)| one.are(other))
    }
}

/// A mean and the shades behind it.
#[derive(Clone, Debug)]
struct Spread {
    mean: Points,
    /// From the lowest to the highest.
    range: Points,
    /// The mean's standard deviation to both sides.
    deviation: Points,
    /// Values that reach as far as all of the range that is visible.
    reach: Vec<f64>,
}

impl Default for Spreads {
    fn default() -> Self {
        Spreads(Memo::new(CompareScreen::MOST))
    }
}

impl Spreads {
    fn get(&self, curves: Vec<Points>, visible: (f64, f64), scale: Scale) -> Spread {
        self.0.get(Taken { curves: curves.clone(), visible, scale }, || {
            let places = together(&curves, visible, PLACES);
            // Below every mean; on a logarithmic axis there is no lower place.
            let lowest = if scale == Scale::Log { f64::MIN_POSITIVE } else { f64::NEG_INFINITY };
            let shade = |ends: fn(&Together) -> (f64, f64)| {
                // To and fro, so that the line from one place to the next runs along the edge of the band.
                let to_and_fro = places.iter().enumerate().flat_map(|(index, place)| {
                    let (low, high) = ends(place);
                    let (first, second) = if index % 2 == 0 { (low, high) } else { (high, low) };
                    [(place.x, first.max(lowest)), (place.x, second.max(lowest))]
                });
                to_and_fro.collect()
            };
            let ends: Points = places.iter().flat_map(|place| [(place.x, place.low), (place.x, place.high)]).collect();
            Spread {
                reach: ends.extremes(visible.0, visible.1).collect(),
                mean: places.iter().map(|place| (place.x, place.mean)).collect(),
                range: shade(|place| (place.low, place.high)),
                deviation: shade(|place| (place.mean - place.deviation, place.mean + place.deviation)),
            }
        })
    }
}

/// What was published of what the runs repeat.
fn references(screen: &CompareScreen, rows: &[&RunRow], look: &Look) -> Vec<Reference> {
    let mut levels: Vec<Reference> = Vec::new();
    if screen.measure != Measure::Certified {
        return levels;
    }
    for published in rows.iter().filter_map(|row| row.config.run.published.as_ref()) {
        if levels.iter().all(|level| (level.y - published.certified).abs() > 1e-9) {
            let style = look.style(Tone::Published);
            levels.push(Reference { y: published.certified, label: "published".into(), style });
        }
    }
    levels
}
