//! The points of a curve, with what was made of them last.

use std::{ops::Deref, sync::Arc};

use super::{
    axis::{Axis, Scale},
    decimate::{self, Column},
};
use crate::tui::memo::Memo;

/// The points of a curve, x not falling; one that is no number makes a gap. Copies share them and what was made of them, so
/// whoever keeps them from frame to frame has them decimated once for each view and size.
#[derive(Clone, Debug)]
pub struct Points(Arc<Held>);

#[derive(Debug)]
struct Held {
    points: Vec<(f64, f64)>,
    columns: Memo<View, Arc<[Column]>>,
    extremes: Memo<(f64, f64), Extremes>,
}

/// What decides how points become dots: what both axes span and by which scale, and the size in dots.
#[derive(Clone, Copy, Debug, PartialEq)]
struct View {
    x: (f64, f64, Scale),
    y: (f64, f64, Scale),
    size: (usize, usize),
}

/// The lowest and the highest y, and the lowest above 0.
type Extremes = [f64; 3];

/// Views of one curve that are held: a run is drawn in the list, by itself and in a comparison.
const VIEWS: usize = 3;

impl Points {
    /// What the columns of a raster of this size in dots show of them.
    pub fn columns(&self, x: &Axis, y: &Axis, size: (usize, usize)) -> Arc<[Column]> {
        let (across, up) = (size.0.saturating_sub(1) as f64, size.1.saturating_sub(1) as f64);
        let view = View { x: (x.from, x.to, x.scale), y: (y.from, y.to, y.scale), size };
        self.0.columns.get(view, || {
            let dots = self.iter().map(|point| (x.place(point.0) * across, y.place(point.1) * up));
            decimate::columns(dots, size.0).into()
        })
    }

    /// Values that reach as far as all those at `from..=to`: the lowest, the highest, and the lowest above 0, as far as there
    /// are such.
    pub fn extremes(&self, from: f64, to: f64) -> impl Iterator<Item = f64> + use<> {
        let extremes = self.0.extremes.get((from, to), || {
            let inside = self.iter().filter(|(x, y)| (from..=to).contains(x) && y.is_finite());
            inside.fold([f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY], |[low, high, above], &(_, y)| {
                [low.min(y), high.max(y), if y > 0.0 { above.min(y) } else { above }]
            })
        });
        extremes.into_iter().filter(|value| value.is_finite())
    }

    /// Whether these are the very same points, not merely equal ones.
    pub fn are(&self, other: &Points) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Vec<(f64, f64)>> for Points {
    fn from(points: Vec<(f64, f64)>) -> Points {
        Points(Arc::new(Held { points, columns: Memo::new(VIEWS), extremes: Memo::new(VIEWS) }))
    }
}

impl FromIterator<(f64, f64)> for Points {
    fn from_iter<T: IntoIterator<Item = (f64, f64)>>(points: T) -> Points {
        Vec::from_iter(points).into()
    }
}

impl Deref for Points {
    type Target = [(f64, f64)];

    fn deref(&self) -> &[(f64, f64)] {
        &self.0.points
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_view_is_decimated_once_and_another_one_anew() {
        let points: Points = (0..1000).map(|i| (f64::from(i), f64::from(i).sin())).collect();
        let (x, y) = (Axis::linear(0.0, 999.0), Axis::linear(-1.0, 1.0));
        let first = points.columns(&x, &y, (40, 20));
        assert!(Arc::ptr_eq(&first, &points.clone().columns(&x, &y, (40, 20))), "a copy shares it");
        for other in [
            points.columns(&x, &y, (41, 20)),
            points.columns(&x, &y, (40, 24)),
            points.columns(&Axis::linear(0.0, 500.0), &y, (40, 20)),
            points.columns(&x, &Axis::linear(-1.0, 2.0), (40, 20)),
            points.columns(&Axis::log(1.0, 999.0), &y, (40, 20)),
        ] {
            assert_ne!(first[..], other[..]);
        }
    }

    proptest! {
        #[test]
        fn extremes_make_the_axis_of_all_values(
            ys in prop::collection::vec(prop_oneof![-5.0f64..5.0, Just(f64::NAN), Just(0.0)], 0..60),
            from in -2.0f64..60.0,
            length in 0.0f64..60.0,
        ) {
            let points: Points = ys.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect();
            let to = from + length;
            let inside = || points.iter().filter(|(x, _)| (from..=to).contains(x)).map(|point| point.1);
            for scale in [Scale::Linear, Scale::Log] {
                prop_assert_eq!(Axis::around(points.extremes(from, to), scale), Axis::around(inside(), scale));
            }
        }
    }
}
