//! Scales and their ticks.

/// How values spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; values ≤ 0 have no place.
    Log,
}

/// One axis: what it spans, and where its ticks stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Value at the left or lower end.
    pub from: f64,
    /// Value at the right or upper end.
    pub to: f64,
    /// How values spread.
    pub scale: Scale,
    /// Ticks with their words; `None` chooses round numbers.
    pub ticks: Option<Vec<(f64, String)>>,
}

impl Axis {
    /// An even axis with round ticks.
    pub fn linear(from: f64, to: f64) -> Axis {
        Axis { from, to, scale: Scale::Linear, ticks: None }.sane()
    }

    /// A logarithmic axis with round ticks.
    pub fn log(from: f64, to: f64) -> Axis {
        Axis { from, to, scale: Scale::Log, ticks: None }.sane()
    }

    /// An axis wide enough for all finite values, with a little air.
    pub fn around(values: impl Iterator<Item = f64>, scale: Scale) -> Axis {
        let usable = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (from, to) = values
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if from > to {
            return if scale == Scale::Log { Axis::log(0.1, 1.0) } else { Axis::linear(0.0, 1.0) };
        }
        match scale {
            Scale::Linear => {
                let air = if to > from { (to - from) * 0.04 } else { from.abs().max(1e-9) * 0.1 };
                Axis::linear(from - air, to + air)
            }
            Scale::Log => Axis::log(from / 1.1, to * 1.1),
        }
    }

    /// Ends that can be divided by whatever they were given.
    fn sane(mut self) -> Axis {
        if self.scale == Scale::Log {
            self.from = if self.from > 0.0 { self.from.clamp(1e-300, 1e290) } else { 1e-12 };
            self.to = if self.to.is_finite() && self.to > self.from { self.to } else { self.from * 10.0 };
        } else {
            self.from = if self.from.is_finite() { self.from.clamp(-1e300, 1e300) } else { 0.0 };
            let span = (self.from.abs() * 1e-9).max(1.0);
            self.to = if self.to.is_finite() && self.to > self.from { self.to } else { self.from + span };
        }
        self
    }

    /// Where a value lies: 0 at `from`, 1 at `to`; not a number where it has no place.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log if value > 0.0 => (value / self.from).ln() / (self.to / self.from).ln(),
            Scale::Log => f64::NAN,
        }
    }

    /// The ticks inside the axis, about `most` of them: on a logarithmic axis up to 1.7 times as many, rather than one
    /// a decade where there are few decades.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if let Some(ticks) = &self.ticks {
            return ticks
                .iter()
                .filter(|(value, _)| (-1e-9..=1.0 + 1e-9).contains(&self.place(*value)))
                .cloned()
                .collect();
        }
        match self.scale {
            Scale::Linear => linear_ticks(self.from, self.to, most),
            Scale::Log => log_ticks(self.from, self.to, most),
        }
    }
}

fn linear_ticks(from: f64, to: f64, most: usize) -> Vec<(f64, String)> {
    let rough = (to - from) / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough * 0.999).unwrap_or(rough);
    if step <= 0.0 || !step.is_finite() || (to - from) / step > 1000.0 {
        return Vec::new();
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 1000.0) as usize;
    (0..=count).map(|index| (first + index as f64) * step).map(|value| (value, tick_text(value, decimals))).collect()
}

fn log_ticks(from: f64, to: f64, most: usize) -> Vec<(f64, String)> {
    let (low, high) = (from.log10().floor() as i32, to.log10().ceil() as i32);
    let decades = (to / from).log10();
    let factors: &[f64] = match decades * 3.0 {
        ticks if ticks <= 1.7 * most as f64 => &[1.0, 2.0, 5.0],
        ticks if ticks <= 2.5 * most as f64 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let every = ((decades / most.max(1) as f64).ceil() as i32).max(1);
    let mut ticks = Vec::new();
    for exponent in (low..=high).filter(|exponent| exponent.rem_euclid(every) == 0) {
        for factor in factors {
            let value = factor * 10f64.powi(exponent);
            if value >= from * 0.999_999 && value <= to * 1.000_001 {
                ticks.push((value, log_text(value)));
            }
        }
    }
    ticks
}

fn tick_text(value: f64, decimals: usize) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        _ if size >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        _ if size > 0.0 && size < 1e-4 => format!("{value:.0e}"),
        _ => format!("{value:.decimals$}"),
    }
}

fn log_text(value: f64) -> String {
    match value {
        v if !(1e-3..1e4).contains(&v) => format!("{v:.0e}"),
        v if v >= 1.0 => format!("{v:.0}"),
        v => trimmed(v),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(axis: &Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(words(&Axis::linear(0.0, 1.0), 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(words(&Axis::linear(0.0, 60.0), 6), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(words(&Axis::linear(0.0, 60_000.0), 3), ["0", "20k", "40k", "60k"]);
        assert_eq!(words(&Axis::log(1e-3, 1.0), 3), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(words(&Axis::log(1e-2, 1.0), 3), ["0.01", "0.03", "0.1", "0.3", "1"]);
        assert_eq!(words(&Axis::log(8.0, 1000.0), 8), ["10", "20", "50", "100", "200", "500", "1000"]);
    }

    #[test]
    fn a_log_axis_has_no_place_for_zero() {
        assert!(Axis::log(0.1, 1.0).place(0.0).is_nan());
        assert_eq!(Axis::log(1.0, 100.0).place(10.0), 0.5);
    }

    proptest! {
        #[test]
        fn any_ends_give_an_axis(from in any::<f64>(), to in any::<f64>(), most in 0usize..50, log in any::<bool>()) {
            let axis = if log { Axis::log(from, to) } else { Axis::linear(from, to) };
            prop_assert!(axis.to > axis.from);
            prop_assert!(axis.ticks(most).len() <= 4000);
        }
    }
}
