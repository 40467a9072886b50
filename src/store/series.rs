//! How a curve is cut into bins, and how its roll-ups are kept. Pure.

use std::collections::BTreeMap;

/// Steps in one roll-up: bin b holds the steps from 100 b to 100 b + 99. The schema says the same.
pub(super) const ROLLUP: u64 = 100;

/// Where the bins of a chart are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Points,
    Rollups,
}

/// How a curve is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub source: Source,
    /// Points or roll-ups in one bin. Bins begin at multiples of it, so that they stand still while the curve grows.
    pub width: u64,
}

/// The finest plan that cuts the steps from `first` to `last` into at most `max_bins` bins, taking roll-ups as soon as
/// they give at least half as many bins as points would.
pub(super) fn plan(first: u64, last: u64, max_bins: usize) -> Plan {
    let points = narrowest(first, last, max_bins);
    if 2 * points >= ROLLUP {
        Plan { source: Source::Rollups, width: narrowest(first / ROLLUP, last / ROLLUP, max_bins) }
    } else {
        Plan { source: Source::Points, width: points }
    }
}

fn narrowest(first: u64, last: u64, max_bins: usize) -> u64 {
    let most = (max_bins as u64).max(1);
    let mut width = ((last - first) / most).max(1);
    while last / width - first / width >= most {
        width += width.div_ceil(16);
    }
    width
}

/// What one roll-up holds of the points inserted by one transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rollup {
    pub n: i64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
}

/// Roll-ups of `(metric, step, value)`, by metric and bin.
pub(super) fn roll_up(points: impl IntoIterator<Item = (i64, u64, f64)>) -> BTreeMap<(i64, u64), Rollup> {
    let mut rollups = BTreeMap::new();
    for (metric, step, value) in points {
        let empty = Rollup { n: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0 };
        let rollup: &mut Rollup = rollups.entry((metric, step / ROLLUP)).or_insert(empty);
        rollup.n += 1;
        rollup.min = rollup.min.min(value);
        rollup.max = rollup.max.max(value);
        rollup.sum = storable(rollup.sum + value);
    }
    rollups
}

/// SQLite turns NaN into NULL; a figure that is no number is kept as infinity, which no chart overlooks.
pub(super) fn storable(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_bins_than_asked(first in 0u64..10_000_000, span in 0u64..10_000_000, max_bins in 1usize..2000) {
            let last = first + span;
            let plan = plan(first, last, max_bins);
            let unit = match plan.source { Source::Points => 1, Source::Rollups => ROLLUP };
            let bins = last / unit / plan.width - first / unit / plan.width + 1;
            prop_assert!(bins <= max_bins as u64, "{plan:?}");
            // Nor far fewer, where there are as many steps. (The first and last bin may be nearly empty.)
            if span >= 4 * max_bins as u64 && max_bins >= 8 {
                prop_assert!(bins >= max_bins as u64 / 4, "{bins} of {max_bins} with {plan:?}");
            }
        }
    }

    #[test]
    fn a_short_curve_is_shown_as_it_is() {
        assert_eq!(plan(1, 500, 500), Plan { source: Source::Points, width: 1 });
        assert_eq!(plan(0, 999_999, 1000).source, Source::Rollups);
    }

    #[test]
    fn rollups_hold_the_extremes() {
        let points = [(1, 99, 3.0), (1, 100, 1.0), (1, 101, 5.0), (2, 100, f64::INFINITY)];
        let rollups = roll_up(points);
        assert_eq!(rollups[&(1, 0)], Rollup { n: 1, min: 3.0, max: 3.0, sum: 3.0 });
        assert_eq!(rollups[&(1, 1)], Rollup { n: 2, min: 1.0, max: 5.0, sum: 6.0 });
        assert!(rollups[&(2, 1)].sum.is_infinite());
    }
}
