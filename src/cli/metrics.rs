//! `linf-tui metrics`: the figures of runs as a table for other programs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value};

use super::{Exit, Place, place::line};
use crate::store::{EpochRow, EvalRow, EvalSplit, RunReader};

/// Print what runs measured, as CSV for pandas, R or a spreadsheet: a line for each epoch, with the evaluation at its end
/// where there was one, and a second line where both held-out and test images were measured.
///
/// `surrogate` is measured at finite p and is no certificate; `clean` and `certified` are at p = ∞ and the run's ε, on the
/// test set unless `split` says otherwise. What was not measured is left empty; p = ∞ is written inf.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// The runs.
    #[arg(required = true)]
    runs: Vec<String>,
    /// A line for each step instead, with every curve of the run file: loss, accuracy, p, rates, seconds, and what is
    /// measured now and then.
    #[arg(long)]
    steps: bool,
    /// Print a JSON object a line.
    #[arg(long)]
    json: bool,
}

/// A figure, or a word.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Empty,
    Number(f64),
    Word(&'static str),
}

/// Lines of one run: columns, and what stands in them.
struct Figures {
    columns: Vec<String>,
    lines: Vec<Vec<Cell>>,
}

pub async fn run(args: MetricsArgs, place: &Place) -> Result<Exit> {
    let store = place.look().await?;
    let mut found: Vec<(String, Figures)> = Vec::new();
    for run in &args.runs {
        let row = store.catalog().find(run).await?;
        let reader = RunReader::open(&store.run_dir(row.id)).await?;
        let reader = reader.with_context(|| format!("{} has not begun: it has measured nothing yet", row.name))?;
        found.push((row.name, if args.steps { steps(&reader).await? } else { epochs(&reader).await? }));
    }
    // Runs of different kinds have different curves; one table has all of them.
    let mut columns: Vec<String> = Vec::new();
    for (_, figures) in &found {
        columns.extend(figures.columns.iter().filter(|name| !columns.contains(name)).cloned().collect::<Vec<_>>());
    }
    if !args.json {
        line(&format!("run,{}", columns.join(",")))?;
    }
    for (name, figures) in &found {
        let places: Vec<Option<usize>> =
            columns.iter().map(|column| figures.columns.iter().position(|other| other == column)).collect();
        for cells in &figures.lines {
            let cell = |place: &Option<usize>| place.and_then(|place| cells.get(place)).unwrap_or(&Cell::Empty);
            let cells = places.iter().map(cell);
            line(&if args.json { object(name, &columns, cells) } else { csv(name, cells) })?;
        }
    }
    Ok(Exit::Done)
}

/// Run names hold letters, digits, hyphens, underscores and dots alone, so nothing has to be quoted.
fn csv<'a>(name: &str, cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut text = name.to_owned();
    for cell in cells {
        text.push(',');
        match cell {
            Cell::Empty => {}
            Cell::Number(value) => text.push_str(&value.to_string()),
            Cell::Word(word) => text.push_str(word),
        }
    }
    text
}

/// JSON knows no infinity: p = ∞ is the text "inf" there, as in configs.
fn object<'a>(name: &str, columns: &[String], cells: impl Iterator<Item = &'a Cell>) -> String {
    let value = |cell: &Cell| match cell {
        Cell::Empty => None,
        Cell::Number(number) => {
            Some(serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), Value::Number))
        }
        Cell::Word(word) => Some((*word).into()),
    };
    let cells = columns.iter().zip(cells).filter_map(|(column, cell)| Some((column.clone(), value(cell)?)));
    let object: Map<String, Value> = [("run".to_owned(), name.into())].into_iter().chain(cells).collect();
    Value::Object(object).to_string()
}

async fn epochs(reader: &RunReader) -> Result<Figures> {
    const COLUMNS: [&str; 14] = [
        "epoch",
        "step",
        "p",
        "lr",
        "lambda",
        "loss",
        "accuracy",
        "surrogate",
        "scalar",
        "seconds",
        "split",
        "clean",
        "certified",
        "certified_by_margin",
    ];
    let mut evals = reader.evals(0).await?;
    evals.sort_by_key(|eval| (eval.step, eval.split == EvalSplit::Test));
    let lines = reader.epochs(0).await?.iter().flat_map(|row| of_epoch(row, &evals)).collect();
    Ok(Figures { columns: COLUMNS.map(str::to_owned).into(), lines })
}

/// The lines of one epoch: one for each evaluation at its end, or one without.
fn of_epoch(row: &EpochRow, evals: &[EvalRow]) -> Vec<Vec<Cell>> {
    let trained: Vec<Cell> = [
        f64::from(row.epoch) + 1.0,
        row.step as f64,
        row.p.get(),
        row.lr,
        row.lambda,
        row.loss,
        row.accuracy,
        row.surrogate,
        row.scalar,
        row.seconds,
    ]
    .map(Cell::Number)
    .into();
    let with = |eval: &EvalRow| {
        let split = if eval.split == EvalSplit::Test { "test" } else { "validation" };
        let figures = [eval.clean, eval.certified, eval.certified_margin].map(Cell::Number);
        trained.iter().cloned().chain([Cell::Word(split)]).chain(figures).collect()
    };
    let lines: Vec<Vec<Cell>> = evals.iter().filter(|eval| eval.step == row.step).map(with).collect();
    if lines.is_empty() { vec![trained] } else { lines }
}

async fn steps(reader: &RunReader) -> Result<Figures> {
    let names = reader.series_names().await?;
    let mut lines: BTreeMap<u64, Vec<Cell>> = BTreeMap::new();
    for (column, name) in names.iter().enumerate() {
        for bin in reader.series(name, 0, u64::MAX, usize::MAX).await? {
            let line = lines.entry(bin.step).or_insert_with(|| vec![Cell::Empty; names.len() + 1]);
            line[column + 1] = Cell::Number(bin.mean);
        }
    }
    for (step, line) in &mut lines {
        line[0] = Cell::Number(*step as f64);
    }
    let columns = std::iter::once("step".to_owned()).chain(names).collect();
    Ok(Figures { columns, lines: lines.into_values().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::PNorm;

    #[test]
    fn an_epoch_that_was_measured_twice_has_two_lines() {
        let p = PNorm::new(8.0).unwrap();
        let row = EpochRow {
            epoch: 4,
            step: 50,
            p,
            lr: 0.02,
            lambda: 0.1,
            loss: 0.5,
            accuracy: 0.9,
            surrogate: 0.8,
            scalar: 1.0,
            seconds: 3.0,
            time_ms: 0,
        };
        let eval = |step, split, clean| EvalRow {
            id: 1,
            epoch: 5.0,
            step,
            train_p: p,
            eps: "0.1".parse().unwrap(),
            split,
            samples: 10,
            clean,
            certified: 0.5,
            certified_margin: 0.5,
            surrogate_clean: None,
            surrogate_certified: None,
            seconds: 1.0,
            time_ms: 0,
        };
        let evals =
            [eval(40, EvalSplit::Test, 0.1), eval(50, EvalSplit::Validation, 0.2), eval(50, EvalSplit::Test, 0.3)];
        let figures = |evals: &[EvalRow]| -> Vec<Vec<Cell>> {
            of_epoch(&row, evals).iter().map(|line| line.iter().skip(10).take(2).cloned().collect()).collect()
        };
        let line = |split, clean| vec![Cell::Word(split), Cell::Number(clean)];
        assert_eq!(figures(&evals), [line("validation", 0.2), line("test", 0.3)]);
        assert_eq!(figures(&evals[..1]), [vec![]], "of another epoch");
    }

    #[test]
    fn what_was_not_measured_stays_empty_and_infinity_can_be_read_again() {
        let cells = [Cell::Number(3.0), Cell::Empty, Cell::Number(f64::INFINITY), Cell::Word("test")];
        assert_eq!(csv("brisk-otter", cells.iter()), "brisk-otter,3,,inf,test");
        assert_eq!("inf".parse(), Ok(f64::INFINITY));
        let columns = ["step", "loss", "p", "split"].map(str::to_owned);
        let object: Value = serde_json::from_str(&object("brisk-otter", &columns, cells.iter())).unwrap();
        assert_eq!(object, serde_json::json!({"run": "brisk-otter", "step": 3.0, "p": "inf", "split": "test"}));
    }
}
