//! `linf-tui fork`: begins a new run at a checkpoint of another one.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{
    Exit, Place,
    place::{json, line, present},
};
use crate::{
    dispatch::ensure_dispatcher,
    store::{CheckpointRow, EvalSplit, NewRun, RunReader},
};

/// Begin a new run at a checkpoint of another one, with a changed config.
///
/// The new run takes over weights, optimizer, position and the curves up to there, and remembers where it comes from.
/// It has the tags and the priority of the other. What decides the net's shape, its images and the steps of an epoch must stay:
/// model, train.batch_size, and of data the dataset, crop, train_limit and validation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  linf-tui fork brisk-otter --set loss.lambda_end=0.001
  linf-tui fork brisk-otter --step 4200 --set train.epochs=60 --set schedule.ramp_end=55
  linf-tui fork brisk-otter --best --name from-the-best")]
pub struct ForkArgs {
    /// The run to begin from.
    run: String,
    /// At the checkpoint of this step (`linf-tui checkpoints RUN` lists them); absent: the newest.
    #[arg(long)]
    step: Option<u64>,
    /// At the checkpoint that certified most of the held-out images.
    #[arg(long, conflicts_with = "step")]
    best: bool,
    /// Override one key of the config.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Name of the new run.
    #[arg(long)]
    name: Option<String>,
    /// A line about it.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// Add it paused; `linf-tui release` lets it start.
    #[arg(long)]
    hold: bool,
    /// Print the new run as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: ForkArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let row = store.catalog().find(&args.run).await?;
    let checkpoint = checkpoint(&row.name, &store.run_dir(row.id), &args).await?;
    let text = store.catalog().config_text(row.id).await?.context("the run was removed meanwhile")?;
    let run = NewRun {
        name: args.name.clone(),
        note: args.note.clone(),
        held: args.hold,
        ..NewRun::forked(&row, checkpoint.step, text, &args.overrides)?
    };
    let id = store.fork(row.id, &checkpoint, run).await?;
    if !args.hold {
        ensure_dispatcher(place.root())?;
    }
    let new = present(&store, id).await?;
    if args.json {
        json(&new)?;
    } else {
        line(&format!("#{id} {}: from {} at step {}", new.name, row.name, checkpoint.step))?;
    }
    Ok(Exit::Done)
}

async fn checkpoint(name: &str, dir: &Path, args: &ForkArgs) -> Result<CheckpointRow> {
    let reader = RunReader::open(dir).await?.with_context(|| format!("{name} has not trained yet"))?;
    let mut rows = reader.checkpoints().await?;
    let wanted = match args.step {
        Some(step) => Some(step),
        None if args.best => {
            let evals = reader.evals(0).await?;
            let held_out = evals.iter().filter(|eval| eval.split == EvalSplit::Validation);
            let on_disk = held_out.filter(|eval| rows.iter().any(|row| row.step == eval.step));
            // Of equals the first, as the trainer does.
            let best = on_disk.rev().max_by(|a, b| a.certified.total_cmp(&b.certified));
            let none = || {
                format!(
                    "no checkpoint of {name} was evaluated on held-out images (data.validation), and the test set chooses \
                     none: name one with --step"
                )
            };
            Some(best.with_context(none)?.step)
        }
        None => rows.last().map(|row| row.step),
    };
    match rows.iter().position(|row| Some(row.step) == wanted) {
        Some(index) => Ok(rows.swap_remove(index)),
        None if rows.is_empty() => {
            bail!("{name} has no checkpoint; while a run trains, `linf-tui steer {name} checkpoint` writes one")
        }
        None => {
            let steps: Vec<String> = rows.iter().map(|row| row.step.to_string()).collect();
            bail!("{name} has no checkpoint of that step; there are {}", steps.join(", "))
        }
    }
}
