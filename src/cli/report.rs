//! `linf-tui report`: what runs came to, as a table to read, to paste or to print.

use anyhow::Result;
use clap::Args;

use super::{
    Exit, Place,
    place::{find, json, line},
};
use crate::report::results::{Format, latex, markdown, plain, results};

/// Report what runs came to: a line for each experiment, with mean ± σ over its seeds and the published row beside.
///
/// Complete runs whose configs differ in train.seed alone are one experiment; of several with one seed the first counts.
/// Accuracies are of the test set at p = ∞, in percent; σ is the standard deviation of the sample (n − 1). A published row
/// is clean / certified, or clean / under PGD / certified. Forks and runs that were steered are no seeds of their config:
/// they have rows of their own. Experiments of the same data, ε and net are told apart by the keys in which their configs
/// differ; values that most of them have are left out.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Which runs, or groups of runs; all that are complete where none is named.
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// How to write it.
    #[arg(long, short, value_enum, default_value_t)]
    format: Format,
    /// Print JSON: the same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

pub async fn run(args: ReportArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let rows = if args.runs.is_empty() { store.catalog().runs().await? } else { find(&store, &args.runs).await? };
    let results = results(&rows);
    let format = if args.json { Format::Json } else { args.format };
    let text = match format {
        Format::Json => {
            json(&results)?;
            return Ok(Exit::Done);
        }
        _ if results.is_empty() => "no run among them is complete".to_owned(),
        Format::Plain => plain(&results),
        Format::Markdown => markdown(&results),
        Format::Latex => latex(&results),
    };
    line(text.trim_end())?;
    Ok(Exit::Done)
}
