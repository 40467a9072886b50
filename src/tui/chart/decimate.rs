//! Many points in few columns: of each column of dots only what can be seen is kept.

/// What a column of dots shows of the points that fall into it. `x` and `y` are in dots, as fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// The first point in it.
    pub first: (f64, f64),
    /// The last.
    pub last: (f64, f64),
    /// The lowest y.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// Whether a line comes in from the column before; not so after a gap.
    pub joined: bool,
}

/// Gathers points (in dots, x not falling) into columns `0..width`, one before and one behind, so that lines still
/// enter and leave. A point that is no number makes a gap.
pub fn columns(points: impl Iterator<Item = (f64, f64)>, width: usize) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut current = i64::MIN;
    let mut joined = false;
    for (x, y) in points {
        if !x.is_finite() || !y.is_finite() {
            joined = false;
            current = i64::MIN;
            continue;
        }
        let index = (x.round() as i64).clamp(-1, i64::try_from(width).unwrap_or(i64::MAX));
        match columns.last_mut() {
            // Before the left edge only the last point matters; from there the line enters.
            Some(column) if index == current && index == -1 => {
                *column = Column { first: (x, y), last: (x, y), low: y, high: y, joined: column.joined };
            }
            // Behind the right edge only the first.
            Some(_) if index == current && index == width as i64 => {}
            Some(column) if index == current => {
                column.last = (x, y);
                column.low = column.low.min(y);
                column.high = column.high.max(y);
            }
            _ => columns.push(Column { first: (x, y), last: (x, y), low: y, high: y, joined }),
        }
        current = index;
        joined = true;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_not_bridged() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 4.0)];
        let joined: Vec<bool> = columns(points.into_iter(), 10).iter().map(|column| column.joined).collect();
        assert_eq!(joined, [false, false, true]);
    }

    proptest! {
        #[test]
        fn extremes_survive(ys in prop::collection::vec(-5.0f64..5.0, 1..3000), width in 1usize..64) {
            let scale = width as f64 / ys.len() as f64;
            let points = ys.iter().enumerate().map(|(index, y)| ((index as f64 * scale).min(width as f64 - 1.0), *y));
            let columns = columns(points, width);
            prop_assert!(columns.len() <= width + 2);
            let low = ys.iter().copied().fold(f64::INFINITY, f64::min);
            let high = ys.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(columns.iter().map(|c| c.low).fold(f64::INFINITY, f64::min), low);
            prop_assert_eq!(columns.iter().map(|c| c.high).fold(f64::NEG_INFINITY, f64::max), high);
        }
    }
}
