//! `linf-tui rm`: removes runs with all they hold.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Result, bail};
use clap::Args;

use super::{
    Exit, Place,
    place::{find, line},
};
use crate::{
    dispatch::ask,
    experiment::{Desired, RunState},
};

/// Remove runs: their rows, figures, checkpoints and logs. This cannot be undone.
///
/// A run at work must be cancelled first. Asks before it removes; without a terminal it wants --yes.
#[derive(Debug, Args)]
pub struct RmArgs {
    /// The runs; a group's name means all of its runs.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(args: RmArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let rows = find(&store, &args.runs).await?;
    if let Some(row) = rows.iter().find(|row| row.state.holds_a_slot()) {
        bail!(
            "{} is {}: cancel it first (`linf-tui cancel {}`). Nothing was removed",
            row.name,
            row.state.word(),
            row.id
        );
    }
    if !args.yes {
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        if !confirmed(&format!("Remove {} with all figures and checkpoints?", names.join(", ")))? {
            return Ok(Exit::Stopped);
        }
    }
    for row in rows {
        if matches!(row.state, RunState::Queued { .. }) {
            // A dispatcher could start it at this very moment.
            ask(&store, row.id, Desired::Cancel).await?;
        }
        store.catalog().remove(row.id).await?;
        line(&format!("#{} {}: removed", row.id, row.name))?;
    }
    Ok(Exit::Done)
}

fn confirmed(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("{question} There is no terminal to answer on: say --yes. Nothing was removed");
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
