//! How the chosen columns share the width of the terminal.

use super::{Column, Columns, NAME_WIDTHS, SPECS};

/// Where the first column begins: after the cursor, the mark and the state.
const START: u16 = 4;

/// A column on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which; none is the name.
    pub column: Option<Column>,
    /// Its first cell.
    pub x: u16,
    /// Its cells.
    pub width: u16,
}

impl Place {
    /// The cell after it.
    pub fn end(&self) -> u16 {
        self.x + self.width
    }
}

impl Columns {
    /// The columns that fit, in their order. What matters least goes first; what room is left goes to what matters most, up
    /// to what is of use to it.
    pub fn places(&self, width: u16) -> Vec<Place> {
        let fixed = |width: Option<u16>, by_itself: [u16; 3]| width.map_or(by_itself, |width| [width; 3]);
        let wishes = |column: Column| {
            let (width, spec) = (self.chosen().iter().find(|chosen| chosen.column == column)?.width, column.spec());
            Some(fixed(width, [spec.least, spec.good, spec.most]))
        };
        // The name, then what else has room at its least, in the order of importance.
        let name = fixed(self.name, NAME_WIDTHS);
        let mut left = width.saturating_sub(START + name[0]);
        let mut shown: Vec<(Option<Column>, u16, [u16; 3])> = vec![(None, name[0], name)];
        for column in SPECS.iter().map(|spec| spec.column) {
            if let Some(wish) = wishes(column).filter(|wish| wish[0] < left) {
                left -= wish[0] + 1;
                shown.push((Some(column), wish[0], wish));
            }
        }
        for step in 1..3 {
            for (_, width, wish) in &mut shown {
                let more = (wish[step] - *width).min(left);
                *width += more;
                left -= more;
            }
        }
        let order = std::iter::once(None).chain(self.chosen().iter().map(|chosen| Some(chosen.column)));
        let mut x = START;
        order
            .filter_map(|column| {
                let (_, width, _) = shown.iter().find(|(shown, ..)| *shown == column)?;
                let place = Place { column, x, width: *width };
                x += width + 1;
                Some(place)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_nothing_sticks_out() {
        let mut sized = Columns::default();
        sized.resize(Some(Column::Clean), Some(9));
        sized.shift(Column::Clean, -3);
        for columns in [Columns::default(), sized, Columns::read(&[]).unwrap()] {
            for width in 0..=500 {
                let places = columns.places(width);
                assert_eq!(places[0].column, None);
                for pair in places.windows(2) {
                    assert_eq!(pair[0].end() + 1, pair[1].x);
                }
                assert!(places.len() == 1 || places.last().unwrap().end() <= width, "{width}: {places:?}");
            }
        }
    }

    #[test]
    fn what_matters_least_goes_first() {
        let shown =
            |width| Columns::default().places(width).iter().filter_map(|place| place.column).collect::<Vec<_>>();
        assert_eq!(shown(30), [Column::Certified]);
        assert_eq!(
            shown(80),
            [Column::Phase, Column::Epoch, Column::P, Column::Certified, Column::Trend, Column::Clean, Column::Eta]
        );
        assert_eq!(shown(220).len(), Columns::default().chosen().len());
    }

    #[test]
    fn a_width_of_the_users_holds_whatever_the_room() {
        let mut columns = Columns::default();
        columns.resize(Some(Column::Trend), Some(12));
        for width in [120, 200, 300] {
            let trend = columns.places(width).into_iter().find(|place| place.column == Some(Column::Trend)).unwrap();
            assert_eq!(trend.width, 20);
        }
    }
}
