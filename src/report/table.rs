//! A plain table: columns under their headings, aligned by what the terminal shows and not by bytes.

use std::fmt;

use unicode_width::UnicodeWidthStr;

/// On which side a column is flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table, built row by row.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    columns: [(&'static str, Side); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these headings and no rows.
    pub fn new(columns: [(&'static str, Side); N]) -> Table<N> {
        Table { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    /// One line a row, the headings first; no line ends in blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self.columns.map(|(heading, _)| heading.to_owned());
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let widths: [usize; N] =
            std::array::from_fn(|column| lines().map(|cells| cells[column].width()).max().unwrap_or(0));
        for cells in lines() {
            let mut line = String::new();
            for (column, cell) in cells.iter().enumerate() {
                let gap = " ".repeat(widths[column] - cell.width());
                match self.columns[column].1 {
                    Side::Left => line.extend([cell, gap.as_str()]),
                    Side::Right => line.extend([gap.as_str(), cell]),
                }
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([("run", Side::Left), ("p", Side::Right), ("state", Side::Left)]);
        table.row(["brisk-otter".into(), "∞".into(), "completed".into()]);
        table.row(["shy-ibex".into(), "35.1".into(), String::new()]);
        assert_eq!(
            table.to_string(),
            "run             p  state\n\
             brisk-otter     ∞  completed\n\
             shy-ibex     35.1\n"
        );
    }
}
