//! The way of one run along the x axes: where an epoch lies on each of them, and what stands on the axis there.

use std::{borrow::Cow, cell::OnceCell, sync::Arc};

use super::{
    chart::{Axis, Band, Rule},
    eps_way::EpsWay,
    known::RunData,
    lens::{AxisX, Lens},
    look::Look,
    wording,
};
use crate::{
    experiment::{Config, PNorm, Phase, Schedules},
    store::RunRow,
};

/// The way of one run along the x axes.
pub struct Course<'a> {
    config: &'a Config,
    schedules: Schedules,
    p_start: f64,
    p_end: f64,
    ends_at_infinity: bool,
    epochs: f64,
    steps: f64,
    /// What was read of it.
    data: Option<&'a RunData>,
    // The rest is made when it is asked for: most charts are along another axis.
    /// Seconds of training done at the end of each epoch.
    seconds: OnceCell<Arc<[f64]>>,
    /// The same by the clock, from the beginning of the first epoch.
    wall: OnceCell<Arc<[f64]>>,
    eps_way: OnceCell<EpsWay>,
}

/// How much of the p axis a phase takes in which p stands still, beside a ramp of 1.
const STRIP: f64 = 0.15;

impl<'a> Course<'a> {
    /// Of a run whose run file has been read, or has not.
    pub fn new(row: &'a RunRow, data: Option<&'a RunData>) -> Course<'a> {
        Course::of(&row.config, row.summary.steps, data)
    }

    /// Of a run of this config; `steps` is 0 where they are not known yet.
    fn of(config: &'a Config, steps: u64, data: Option<&'a RunData>) -> Course<'a> {
        let done = data.map_or(&[][..], |data| &data.epochs);
        let schedule = &config.schedule;
        let epochs = f64::from(config.train.epochs.max(1));
        let per_epoch = done.last().map(|last| last.step as f64 / f64::from(last.epoch + 1));
        let steps = match (steps, per_epoch) {
            (0, Some(per_epoch)) => per_epoch * epochs,
            (0, None) => epochs,
            (steps, _) => steps as f64,
        };
        let schedules = Schedules::new(config);
        let ends_at_infinity = schedules.at(epochs.max(schedule.ramp_end)).p.is_infinite();
        Course {
            config,
            schedules,
            p_start: schedule.p_start,
            p_end: schedule.p_end,
            ends_at_infinity,
            epochs,
            steps,
            data,
            seconds: OnceCell::new(),
            wall: OnceCell::new(),
            eps_way: OnceCell::new(),
        }
    }

    fn times(&self, of: fn(&RunData) -> Arc<[f64]>) -> Arc<[f64]> {
        self.data.map_or_else(Arc::default, of)
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
            AxisX::Time => along(self.seconds.get_or_init(|| self.times(RunData::trained)), epoch),
            AxisX::Wall => along(self.wall.get_or_init(|| self.times(RunData::wall)), epoch),
            AxisX::Epsilon => self.eps_way().x(epoch),
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

    /// The x axis of what a lens shows.
    pub fn axis(&self, lens: &Lens) -> Axis {
        let (from, to) = lens.visible(self.epochs);
        self.axis_over(lens.x, self.x(lens.x, from), self.x(lens.x, to))
    }

    /// An x axis from here to there, in its own unit.
    pub fn axis_over(&self, axis: AxisX, from: f64, to: f64) -> Axis {
        let ticks = match axis {
            AxisX::Epoch | AxisX::Step => None,
            AxisX::Time | AxisX::Wall => Some(time_ticks(from, to)),
            AxisX::Exponent => Some(self.exponent_ticks()),
            AxisX::Epsilon => Some(self.eps_way().ticks()),
        };
        Axis { ticks, ..Axis::linear(from, to) }
    }

    /// Where the run begins and ends on an axis.
    pub fn span(&self, axis: AxisX) -> (f64, f64) {
        (self.x(axis, 0.0), self.x(axis, self.epochs))
    }

    /// Whether p climbs from and to the same as in another run, so that a place on the p axis is the same p in both.
    pub fn climbs_like(&self, other: &Course<'_>) -> bool {
        (self.p_start, self.p_end, self.ends_at_infinity) == (other.p_start, other.p_end, other.ends_at_infinity)
    }

    /// The way of ε_train.
    pub fn eps_way(&self) -> &EpsWay {
        self.eps_way.get_or_init(|| EpsWay::new(self.config, &self.schedules))
    }

    /// What an axis is called.
    pub fn word(&self, axis: AxisX) -> Cow<'static, str> {
        match axis {
            AxisX::Epoch => "epoch".into(),
            AxisX::Step => "step".into(),
            AxisX::Time => "training time".into(),
            AxisX::Wall => "wall time".into(),
            AxisX::Exponent => "p (log)".into(),
            AxisX::Epsilon => self.eps_way().word(self.schedules.at(0.0).eps_train).into(),
        }
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

/// Seconds at an epoch, given those at the end of each: measured where it is done, at the last epoch's pace where it is not.
fn along(ends: &[f64], epoch: f64) -> f64 {
    let whole = epoch.max(0.0).floor() as usize;
    let at = |index: usize| if index == 0 { 0.0 } else { ends[index - 1] };
    let done = ends.len();
    if whole < done {
        return at(whole) + (at(whole + 1) - at(whole)) * (epoch.max(0.0) - whole as f64);
    }
    let pace = if done == 0 { 1.0 } else { at(done) - at(done - 1) };
    at(done) + (epoch - done as f64) * pace
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::experiment::parse;

    proptest! {
        #[test]
        fn every_axis_rises_with_the_epoch(
            epochs in 1_u32..60,
            ramp in (0.0..=1.0_f64, 0.0..=1.0_f64),
            window in (0.0..=1.0_f64, 0.0..=1.0_f64),
            eps in (0_u32..=80, 0_u32..=80),
            smooth in 0.0..0.9_f64,
        ) {
            let part = |share: f64| (share * f64::from(epochs) * 4.0).round() / 4.0;
            let order = |(a, b): (f64, f64)| (part(a.min(b)), part(a.max(b)));
            let (ramp, window) = (order(ramp), order(window));
            let text = format!(
                "data.dataset = 'mnist'\nmodel = {{ depth = 2, width = 5 }}\n\
                 train = {{ epochs = {epochs}, batch_size = 8, lr = 0.1 }}\n\
                 schedule = {{ ramp_start = {:?}, ramp_end = {:?}, eps_start = {:?}, eps_end = {:?}, eps_smooth = {smooth:?} }}\n\
                 loss = {{ lambda = 0.1, eps_train = '{}/100', eps_train_end = '{}/100' }}\neval.eps = 0.1",
                ramp.0, ramp.1, window.0, window.1, eps.0 + 1, eps.1 + 1,
            );
            let config = parse(&text).unwrap();
            let course = Course::of(&config, 1000, None);
            let moves = course.eps_way().moves();
            let differ = eps.0 != eps.1 && ramp.1 > 0.0;
            prop_assert_eq!(moves, differ || window.1 > window.0, "{}", text);
            for axis in AxisX::ALL {
                let xs: Vec<f64> =
                    (0..=1000).map(|part| course.x(axis, f64::from(epochs) * f64::from(part) / 1000.0)).collect();
                prop_assert!(xs.iter().all(|x| x.is_finite()) && xs.last() > xs.first(), "{:?} {} {:?}", axis, text, xs);
                prop_assert!(xs.windows(2).all(|pair| pair[0] <= pair[1]), "{:?} {} {:?}", axis, text, xs);
            }
            let ticks = course.eps_way().ticks();
            prop_assert!(ticks.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{:?}", ticks);
        }
    }
}
