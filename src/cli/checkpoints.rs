//! `linf-tui checkpoints`: lists the checkpoints of a run.

use anyhow::Result;
use clap::Args;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    report::{
        figures::{bytes, time},
        table::{Side, Table},
    },
    store::{CheckpointKind, RunReader},
};

/// List a run's checkpoints, oldest first. Equal hashes mean bit-equal nets.
#[derive(Debug, Args)]
pub struct CheckpointsArgs {
    /// The run.
    run: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: CheckpointsArgs, place: &Place) -> Result<Exit> {
    let store = place.look().await?;
    let row = store.catalog().find(&args.run).await?;
    let rows = match RunReader::open(&store.run_dir(row.id)).await? {
        Some(reader) => reader.checkpoints().await?,
        None => Vec::new(),
    };
    if args.json {
        json(&rows)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new([
        ("step", Side::Right),
        ("epoch", Side::Right),
        ("p", Side::Right),
        ("kind", Side::Left),
        ("size", Side::Right),
        ("written", Side::Left),
        ("hash", Side::Left),
        ("file", Side::Left),
    ]);
    for checkpoint in rows {
        table.row([
            checkpoint.step.to_string(),
            format!("{:.2}", checkpoint.epoch),
            checkpoint.p.to_string(),
            why(checkpoint.kind).to_owned(),
            bytes(checkpoint.bytes),
            time(checkpoint.time_ms),
            checkpoint.hash.chars().take(16).collect(),
            checkpoint.file,
        ]);
    }
    line(table.to_string().trim_end())?;
    Ok(Exit::Done)
}

fn why(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Periodic => "periodic",
        CheckpointKind::Phase => "phase",
        CheckpointKind::Milestone => "milestone",
        CheckpointKind::Best => "best",
        CheckpointKind::Asked => "asked for",
        CheckpointKind::Stop => "stop",
        CheckpointKind::Final => "final",
    }
}
