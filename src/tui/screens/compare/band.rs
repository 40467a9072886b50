//! Curves of several runs as one: their mean, how far they scatter about it, and the range they lie in. Pure.

use crate::tui::{chart::Points, wording::mean_deviation};

/// What several curves come to at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Together {
    /// The place on the x axis.
    pub x: f64,
    /// Their mean.
    pub mean: f64,
    /// The standard deviation of the sample.
    pub deviation: f64,
    /// The lowest of them.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// What curves come to wherever all of them have a value, so that no mean changes because a run drops out of it. Between its
/// points a curve is what is drawn: a straight line. `extra` places are added to those of the points, evenly over `visible`,
/// so that a band between them is filled.
pub fn together(curves: &[Points], visible: (f64, f64), extra: usize) -> Vec<Together> {
    let finite = |curve: &Points| -> Vec<(f64, f64)> {
        curve.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let curves: Vec<Vec<(f64, f64)>> = curves.iter().map(finite).collect();
    let ends: Option<Vec<(f64, f64)>> = curves.iter().map(|curve| Some((curve.first()?.0, curve.last()?.0))).collect();
    let Some(ends) = ends.filter(|ends| !ends.is_empty()) else { return Vec::new() };
    let from = ends.iter().map(|end| end.0).fold(f64::NEG_INFINITY, f64::max);
    let to = ends.iter().map(|end| end.1).fold(f64::INFINITY, f64::min);
    let (left, right) = (from.max(visible.0), to.min(visible.1));
    let even = (0..extra).map(|index| left + (right - left) * index as f64 / extra as f64);
    let mut places: Vec<f64> = curves.iter().flatten().map(|point| point.0).chain(even).collect();
    places.retain(|x| (from..=to).contains(x));
    places.sort_by(f64::total_cmp);
    places.dedup();
    let at = |x: f64| {
        let values: Vec<f64> = curves.iter().map(|curve| value(curve, x)).collect::<Option<_>>()?;
        let (mean, deviation) = mean_deviation(values.iter().copied())?;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Together { x, mean, deviation, low, high })
    };
    places.into_iter().filter_map(at).collect()
}

/// The height of a curve; none before its first point and after its last.
fn value(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let after = points.partition_point(|point| point.0 < x);
    let &(x1, y1) = points.get(after)?;
    if x1 <= x {
        return Some(y1);
    }
    let &(x0, y0) = points.get(after.checked_sub(1)?)?;
    Some(y0 + (y1 - y0) * ((x - x0) / (x1 - x0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    fn curves<const N: usize>(curves: [Vec<(f64, f64)>; N]) -> [Points; N] {
        curves.map(Points::from)
    }

    #[test]
    fn mean_spread_and_range_are_those_of_the_curves() {
        let curves = curves([vec![(0.0, 0.2), (10.0, 0.4)], vec![(0.0, 0.4), (5.0, 0.4), (20.0, 0.7)]]);
        let found = together(&curves, ALL, 0);
        assert_eq!(
            found.iter().map(|place| place.x).collect::<Vec<_>>(),
            [0.0, 5.0, 10.0],
            "as far as the shorter one"
        );
        let last = found[2];
        assert!((last.mean - 0.45).abs() < 1e-12 && (last.low, last.high) == (0.4, 0.5));
        assert!((last.deviation - 0.1 / 2f64.sqrt()).abs() < 1e-12);
        assert!((found[1].mean - 0.35).abs() < 1e-12, "between its points a curve is a line");
    }

    #[test]
    fn where_one_has_no_value_there_is_no_mean() {
        assert!(together(&curves([vec![(0.0, 1.0), (1.0, 1.0)], vec![(2.0, 1.0)]]), ALL, 8).is_empty());
        assert!(together(&curves([vec![(0.0, 1.0)], Vec::new()]), ALL, 8).is_empty());
        assert!(together(&[], ALL, 8).is_empty());
        let gap = curves([vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)], vec![(0.0, 1.0), (2.0, 3.0)]]);
        assert_eq!(together(&gap, ALL, 0).len(), 2);
    }

    #[test]
    fn what_is_visible_is_filled() {
        let curve = Points::from(vec![(0.0, 0.0), (100.0, 1.0)]);
        let found = together(&[curve.clone(), curve], (40.0, 60.0), 20);
        assert_eq!(found.iter().filter(|place| (40.0..60.0).contains(&place.x)).count(), 20);
    }

    proptest! {
        #[test]
        fn a_mean_lies_in_its_range(
            ys in prop::collection::vec(prop::collection::vec(-5.0f64..5.0, 1..40), 1..6), extra in 0usize..50
        ) {
            let curves: Vec<Points> = ys
                .iter()
                .enumerate()
                .map(|(n, ys)| ys.iter().enumerate().map(|(i, y)| (i as f64 * (1.0 + n as f64 / 7.0), *y)).collect())
                .collect();
            let found = together(&curves, (0.0, 40.0), extra);
            prop_assert!(!found.is_empty(), "all begin at 0");
            for place in &found {
                prop_assert!(place.low - 1e-9 <= place.mean && place.mean <= place.high + 1e-9 && place.deviation >= 0.0);
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].x < pair[1].x));
        }
    }
}
