//! `linf-tui ls`: lists runs.

use std::collections::HashMap;

use anyhow::Result;
use clap::Args;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    dispatch::dispatcher_alive,
    experiment::{RunId, RunState},
    report::{
        figures::accuracy,
        standing::standing,
        table::{Side, Table},
    },
    store::{RunRow, now_ms},
    tui::filter::{Filter, FilterError},
};

/// List runs, newest last: all that wait, train or are paused, and the latest that have ended.
#[derive(Debug, Args)]
#[command(after_help = "Filters (the same as in the full-screen view; all must hold, `or` separates alternatives):
  state:WORD     queued starting running pausing paused cancelling completed failed cancelled lost; live: has a worker
  tag:WORD  group:NAME  data:DATASET  name:WORD  note:WORD  net:5x512  model:sort-net
  certified>0.9  clean<0.5  attacked>0.9  best>=0.9  loss<0.1  epoch>10  p>100  eps=0.3  lambda=0.05  seed=1  id>7
  tag:archived   what was put away (a tag like any other): listed only when it is asked for
  /PATTERN/      a regular expression for what WORD looks through; \\s for a blank
  WORD           part of the name, group, variant, note, title or a tag
Quote < and > from the shell: 'certified>0.9'. A condition is turned round by -, after --: ls -- -state:failed")]
pub struct LsArgs {
    /// Which runs; see below.
    #[arg(value_name = "FILTER", value_parser = checked)]
    filters: Vec<String>,
    /// Every run, however long ago it ended, and archived ones too.
    #[arg(long, short)]
    all: bool,
    /// Print JSON: an array with everything that is known of each run.
    #[arg(long)]
    json: bool,
}

/// How many runs that have ended are listed without --all.
const ENDED: usize = 20;

pub async fn run(args: LsArgs, place: &Place) -> Result<Exit> {
    let store = place.look().await?;
    place.warn_of_a_full_disk();
    let runs = store.catalog().runs().await?;
    let filter = Filter::parse(&args.filters.join(" "))?;
    let mut shown: Vec<&RunRow> =
        runs.iter().filter(|row| if args.all { filter.passes_archived_too(row) } else { filter.passes(row) }).collect();
    let ended = shown.iter().filter(|row| row.state.is_over()).count();
    let mut hidden = if args.all { 0 } else { ended.saturating_sub(ENDED) };
    let left_out = hidden;
    shown.retain(|row| {
        let hide = row.state.is_over() && hidden > 0;
        hidden -= usize::from(hide);
        !hide
    });
    if args.json {
        json(&shown)?;
        return Ok(Exit::Done);
    }
    if shown.is_empty() {
        line(if runs.is_empty() { "no runs yet: `linf-tui add CONFIG` queues one" } else { "no run matches" })?;
        return Ok(Exit::Done);
    }
    line(table(&shown, &runs).to_string().trim_end())?;
    if left_out > 0 {
        line(&format!("… and {left_out} more that ended earlier: --all lists them"))?;
    }
    let waiting = runs.iter().any(|row| matches!(row.state, RunState::Queued { .. }));
    if waiting && !dispatcher_alive(place.root())? {
        line("no dispatcher is alive: `linf-tui dispatch --detach` starts one (so do add, resume and wait)")?;
    }
    Ok(Exit::Done)
}

/// Every word must be a filter of its own, so that the command line is refused before the store is opened.
fn checked(word: &str) -> Result<String, FilterError> {
    Filter::parse(word).map(|_| word.to_owned())
}

fn table(shown: &[&RunRow], all: &[RunRow]) -> Table<9> {
    let by_id: HashMap<RunId, &RunRow> = all.iter().map(|row| (row.id, row)).collect();
    let mut table = Table::new([
        ("#", Side::Right),
        ("run", Side::Left),
        ("data", Side::Left),
        ("net", Side::Left),
        ("ε", Side::Right),
        ("epoch", Side::Right),
        ("certified", Side::Right),
        ("clean", Side::Right),
        ("state", Side::Left),
    ]);
    for row in shown {
        let variant = if row.variant.is_empty() { String::new() } else { format!(" ({})", row.variant) };
        table.row([
            row.id.to_string(),
            row.name.clone() + &variant,
            row.config.data.dataset.name().to_owned(),
            row.config.model.label(),
            row.config.eval.eps.to_string(),
            format!("{:.0}/{}", row.summary.epoch.floor(), row.config.train.epochs),
            accuracy(row.summary.certified),
            accuracy(row.summary.clean),
            standing(row, now_ms(), |id| by_id.get(&id).copied()),
        ]);
    }
    table
}
