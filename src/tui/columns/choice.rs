//! The columns that the user has chosen.

use super::{Column, SPECS};

/// A column that is shown where there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub column: Column,
    /// How wide, where the user has said.
    pub width: Option<u16>,
}

/// The columns of the list, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// How wide the name is, where the user has said.
    pub name: Option<u16>,
    chosen: Vec<Chosen>,
}

/// How wide the name's column is: at the least, where there is room, and where there is room to spare.
pub const NAME_WIDTHS: [u16; 3] = [15, 18, 22];

/// What a column may be made.
const WIDTHS: std::ops::RangeInclusive<u16> = 3..=200;

/// The name's column in the settings.
const NAME: &str = "run";

/// Without a choice of the user's.
const DEFAULT: [Column; 14] = [
    Column::Data,
    Column::Net,
    Column::Eps,
    Column::Phase,
    Column::Epoch,
    Column::P,
    Column::Certified,
    Column::Trend,
    Column::Clean,
    Column::Eta,
    Column::Attacked,
    Column::Loss,
    Column::Tags,
    Column::Note,
];

impl Default for Columns {
    fn default() -> Self {
        Columns { name: None, chosen: DEFAULT.map(|column| Chosen { column, width: None }).to_vec() }
    }
}

/// Why a list of words is no list of columns: which word, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The word's place in the list.
    pub at: usize,
    /// What is wrong with it.
    pub message: String,
}

impl Columns {
    /// The chosen columns.
    pub fn chosen(&self) -> &[Chosen] {
        &self.chosen
    }

    /// Whether a column is among them.
    pub fn has(&self, column: Column) -> bool {
        self.chosen.iter().any(|chosen| chosen.column == column)
    }

    /// The columns that are not chosen, in the order of the table.
    pub fn others(&self) -> Vec<Column> {
        SPECS.iter().map(|spec| spec.column).filter(|column| !self.has(*column)).collect()
    }

    /// Shows a column at the end, or no longer.
    pub fn toggle(&mut self, column: Column) {
        if self.has(column) {
            self.chosen.retain(|chosen| chosen.column != column);
        } else {
            self.chosen.push(Chosen { column, width: None });
        }
    }

    /// Moves a column so many places; answers whether it moved.
    pub fn shift(&mut self, column: Column, by: isize) -> bool {
        let from = self.chosen.iter().position(|chosen| chosen.column == column);
        let to = from.and_then(|from| from.checked_add_signed(by)).filter(|to| *to < self.chosen.len());
        if let (Some(from), Some(to)) = (from, to) {
            self.chosen.swap(from, to);
        }
        to.is_some()
    }

    /// Makes a column, or the name's where none is given, wider or narrower; `None` leaves the width to the program.
    pub fn resize(&mut self, column: Option<Column>, by: Option<i16>) {
        let good = column.map_or(NAME_WIDTHS[1], |column| column.spec().good);
        let width = match column {
            None => Some(&mut self.name),
            Some(column) => {
                self.chosen.iter_mut().find(|chosen| chosen.column == column).map(|chosen| &mut chosen.width)
            }
        };
        if let Some(width) = width {
            *width = by.map(|by| width.unwrap_or(good).saturating_add_signed(by).clamp(*WIDTHS.start(), *WIDTHS.end()));
        }
    }

    /// As the settings write them: `["run", "certified:9", …]`.
    pub fn words(&self) -> Vec<String> {
        let word = |name: &str, width: Option<u16>| match width {
            Some(width) => format!("{name}:{width}"),
            None => name.to_owned(),
        };
        let others = self.chosen.iter().map(|chosen| word(chosen.column.name(), chosen.width));
        std::iter::once(word(NAME, self.name)).chain(others).collect()
    }

    /// Reads what [`Columns::words`] writes. The name may be left out: it is shown all the same, and first.
    pub fn read(words: &[&str]) -> Result<Columns, Fault> {
        let mut columns = Columns { name: None, chosen: Vec::new() };
        for (at, word) in words.iter().enumerate() {
            let fault = |message: String| Fault { at, message };
            let (name, width) = match word.split_once(':') {
                Some((name, digits)) => {
                    let width = digits.parse().ok().filter(|width| WIDTHS.contains(width));
                    let width = width.ok_or_else(|| {
                        fault(format!(
                            "\"{digits}\" is no width; allowed: {} to {}, as in \"{name}:9\"",
                            WIDTHS.start(),
                            WIDTHS.end()
                        ))
                    })?;
                    (name, Some(width))
                }
                None => (*word, None),
            };
            if name == NAME {
                if at > 0 {
                    return Err(fault(format!("\"{NAME}\" is always the first column; allowed: to write it there")));
                }
                columns.name = width;
                continue;
            }
            let spec = SPECS.iter().find(|spec| spec.name == name);
            let spec = spec.ok_or_else(|| {
                let names: Vec<&str> = std::iter::once(NAME).chain(SPECS.iter().map(|spec| spec.name)).collect();
                fault(format!("\"{name}\" is no column; allowed: {}", names.join(", ")))
            })?;
            if columns.has(spec.column) {
                return Err(fault(format!("\"{name}\" stands there already; allowed: each column once")));
            }
            columns.chosen.push(Chosen { column: spec.column, width });
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_line_and_a_name_of_its_own() {
        for spec in SPECS {
            assert_eq!(SPECS.iter().filter(|other| other.column == spec.column || other.name == spec.name).count(), 1);
            assert!(spec.least <= spec.good && spec.good <= spec.most && !spec.meaning.is_empty(), "{spec:?}");
            assert_ne!(spec.name, NAME);
        }
        assert!(DEFAULT.iter().all(|column| column.spec().column == *column), "none stands in for another");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let mut columns = Columns::default();
        columns.resize(None, Some(4));
        columns.resize(Some(Column::Certified), Some(-2));
        columns.toggle(Column::Phase);
        columns.toggle(Column::Seed);
        assert!(columns.shift(Column::Seed, -1) && !columns.shift(Column::Data, -1));
        let words = columns.words();
        assert_eq!((words[0].as_str(), words[6].as_str()), ("run:22", "certified:4"));
        assert_eq!(&words[words.len() - 2..], ["seed", "note"]);
        assert_eq!(Columns::read(&words.iter().map(String::as_str).collect::<Vec<_>>()), Ok(columns));
        assert_eq!(Columns::read(&[]).unwrap().words(), ["run"]);
    }

    #[test]
    fn a_width_goes_back_to_the_programs() {
        let mut columns = Columns::default();
        columns.resize(Some(Column::Note), Some(-100));
        assert_eq!(columns.chosen().last().unwrap().width, Some(3), "never narrower than can be read");
        columns.resize(Some(Column::Note), None);
        assert_eq!(columns, Columns::default());
    }

    #[test]
    fn what_is_no_column_is_named() {
        let fault = |words: &[&str]| Columns::read(words).unwrap_err();
        assert_eq!(fault(&["run", "colour"]).at, 1);
        assert!(fault(&["colour"]).message.contains("allowed: run, certified, clean"));
        assert!(fault(&["p:2"]).message.contains("3 to 200") && fault(&["p:x"]).message.contains("no width"));
        assert!(fault(&["p", "p"]).message.contains("already") && fault(&["p", "run"]).message.contains("first"));
    }
}
