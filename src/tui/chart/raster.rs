//! Dots finer than a cell: braille, half blocks, or letters where the terminal has neither.

use ratatui::symbols::pixel::OCTANTS;

use super::decimate::Column;
use crate::tui::look::Plot;

/// What curves are drawn with where there are only letters.
const LETTERS: [char; 8] = ['*', 'o', '+', 'x', '#', '%', '@', '='];

/// A rectangle of cells with dots in them. Each cell has one owner (the curve drawn last), for a cell has one colour.
pub struct Raster {
    plot: Plot,
    columns: usize,
    rows: usize,
    cells: Vec<Dots>,
}

/// The dots of one cell.
#[derive(Clone, Copy, Default)]
struct Dots {
    mask: u8,
    owner: u8,
    shade: bool,
}

/// How a curve's line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Unbroken.
    Solid,
    /// With gaps, for what is no certificate.
    Dashed,
    /// Single dots, for values that stand alone.
    Dots,
    /// Small crosses, for the few values of something that is seldom measured.
    Crosses,
    /// Every other dot of its band, behind all others: raw values behind their mean.
    Shade,
    /// The same with every fourth dot.
    Haze,
}

impl Raster {
    /// No dots yet.
    pub fn new(plot: Plot, columns: u16, rows: u16) -> Raster {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        Raster { plot, columns, rows, cells: vec![Dots::default(); columns * rows] }
    }

    /// Dots of a cell, across and down.
    fn grain(&self) -> (usize, usize) {
        match self.plot {
            Plot::Braille | Plot::Octants => (2, 4),
            Plot::HalfBlock => (1, 2),
            Plot::Ascii => (1, 1),
        }
    }

    /// Dots across.
    pub fn width(&self) -> usize {
        self.columns * self.grain().0
    }

    /// Dots down.
    pub fn height(&self) -> usize {
        self.rows * self.grain().1
    }

    /// Sets one dot; y counts upwards. Outside is nowhere.
    pub fn dot(&mut self, x: i64, y: i64, owner: u8, shade: bool) {
        let (width, height) = (self.width() as i64, self.height() as i64);
        if x < 0 || y < 0 || x >= width || y >= height {
            return;
        }
        let (across, down) = self.grain();
        let (x, y) = (x as usize, (height - 1 - y) as usize);
        let bit = match self.plot {
            Plot::Braille => [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]][y % 4][x % 2],
            Plot::Octants => 1 << (y % 4 * 2 + x % 2),
            Plot::HalfBlock => 1 << (y % 2),
            Plot::Ascii => 1,
        };
        let cell = &mut self.cells[y / down * self.columns + x / across];
        // A line takes a cell from the shade behind it, for a cell has one colour.
        let mask = if cell.shade && !shade { 0 } else { cell.mask };
        *cell = Dots { mask: mask | bit, owner, shade };
    }

    /// Draws a decimated curve.
    pub fn curve(&mut self, columns: &[Column], line: Line, owner: u8) {
        let mut before: Option<&Column> = None;
        for column in columns {
            if matches!(line, Line::Dots | Line::Crosses) {
                let (x, y) = (column.last.0.round() as i64, column.last.1.round() as i64);
                self.dot(x, y, owner, false);
                // Without fine dots one cell is a mark that is large enough.
                if line == Line::Crosses && self.grain().0 > 1 {
                    for (across, up) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                        self.dot(x + across, y + up, owner, false);
                    }
                }
                continue;
            }
            if let Some(before) = before.filter(|_| column.joined) {
                self.segment(before.last, column.first, line, owner);
            }
            let x = column.first.0.round() as i64;
            self.upright(x, column.low, column.high, line, owner);
            before = Some(column);
        }
    }

    fn segment(&mut self, from: (f64, f64), to: (f64, f64), line: Line, owner: u8) {
        let (start, end) = (from.0.round(), to.0.round());
        let (first, last) = (start.max(0.0) as i64, end.min(self.width() as f64) as i64);
        let slope = if to.0 > from.0 { (to.1 - from.1) / (to.0 - from.0) } else { 0.0 };
        let at = |x: f64| from.1 + (x.clamp(from.0, to.0.max(from.0)) - from.0) * slope;
        for x in first..=last {
            let (left, right) = (at(x as f64 - 0.5), at(x as f64 + 0.5));
            // A little shorter than the column, so that a line touching the next row does not thicken.
            let (middle, half) = ((left + right) / 2.0, ((right - left).abs() / 2.0 - 0.01).max(0.0));
            self.upright(x, middle - half, middle + half, line, owner);
        }
    }

    fn upright(&mut self, x: i64, low: f64, high: f64, line: Line, owner: u8) {
        let (period, on) = if self.grain().0 > 1 { (6, 3) } else { (3, 2) };
        if line == Line::Dashed && x.rem_euclid(period) >= on {
            return;
        }
        let top = self.height() as f64;
        if high < -0.5 || low > top {
            return;
        }
        for y in low.max(0.0).round() as i64..=high.min(top).round() as i64 {
            let (on, shade) = match line {
                Line::Shade => ((x + y) % 2 == 0, true),
                Line::Haze => (x % 2 == 0 && (x / 2 + y) % 2 == 0, true),
                Line::Solid | Line::Dashed | Line::Dots | Line::Crosses => (true, false),
            };
            if on {
                self.dot(x, y, owner, shade);
            }
        }
    }

    /// What stands in a cell: its symbol and the curve it belongs to.
    pub fn cell(&self, column: u16, row: u16) -> Option<(char, u8)> {
        let index = usize::from(row) * self.columns + usize::from(column);
        let &Dots { mask, owner, shade } = self.cells.get(index).filter(|_| usize::from(column) < self.columns)?;
        let symbol = match (self.plot, mask) {
            (_, 0) => return None,
            (Plot::Braille, mask) => char::from_u32(0x2800 + u32::from(mask))?,
            (Plot::Octants, mask) => OCTANTS[usize::from(mask)],
            (Plot::HalfBlock, 1) => '▀',
            (Plot::HalfBlock, 2) => '▄',
            (Plot::HalfBlock, _) => '█',
            // No curve has this letter: a band is no line.
            (Plot::Ascii, _) if shade => '.',
            (Plot::Ascii, _) => LETTERS[usize::from(owner) % LETTERS.len()],
        };
        Some((symbol, owner))
    }

    /// The letter of a curve where curves are told apart by letters.
    pub fn letter(&self, owner: u8) -> Option<char> {
        (self.plot == Plot::Ascii).then_some(LETTERS[usize::from(owner) % LETTERS.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::chart::decimate::columns;

    fn drawn(plot: Plot, points: &[(f64, f64)]) -> Vec<String> {
        let mut raster = Raster::new(plot, 4, 2);
        let columns = columns(points.iter().copied(), raster.width());
        raster.curve(&columns, Line::Solid, 0);
        (0..2).map(|row| (0..4).map(|column| raster.cell(column, row).map_or(' ', |cell| cell.0)).collect()).collect()
    }

    #[test]
    fn a_rising_line() {
        assert_eq!(drawn(Plot::Braille, &[(0.0, 0.0), (7.0, 7.0)]), ["  ⡠⠊", "⡠⠊  "]);
        assert_eq!(drawn(Plot::Octants, &[(0.0, 0.0), (7.0, 7.0)]).concat().replace(' ', "").chars().count(), 4);
        assert_eq!(drawn(Plot::Octants, &[(0.0, 0.0), (0.0, 7.0)]), ["▌   ", "▌   "]);
        assert_eq!(drawn(Plot::Ascii, &[(0.0, 0.0), (3.0, 1.0)]), ["  **", "**  "]);
    }

    #[test]
    fn a_line_through_the_edges_keeps_its_slope() {
        // From far left below to far right above: the middle of the raster is crossed in the middle.
        let lines = drawn(Plot::Ascii, &[(-10.0, -3.0), (13.0, 4.0)]);
        assert_eq!(lines, ["  **", "**  "]);
    }

    #[test]
    fn a_value_of_its_own_is_a_cross() {
        let mut raster = Raster::new(Plot::Braille, 2, 1);
        raster.curve(&columns([(1.0, 2.0), (3.0, f64::NAN)].into_iter(), raster.width()), Line::Crosses, 3);
        assert_eq!((raster.cell(0, 0), raster.cell(1, 0)), (Some(('⠺', 3)), Some(('⠂', 3))));
    }

    #[test]
    fn dots_outside_are_nowhere() {
        let mut raster = Raster::new(Plot::Braille, 0, 0);
        raster.dot(0, 0, 0, false);
        raster.dot(i64::MAX, i64::MIN, 0, false);
        assert_eq!(raster.cell(0, 0), None);
    }
}
