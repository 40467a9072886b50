//! `linf-tui dispatch`: works on the queue.

use std::{
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

use super::{Exit, Place, place::line};
use crate::dispatch::{Left, dispatch, keep_open_files_here, plan::Slots, stage, start_dispatcher};

/// Work on the queue: start, watch and record runs until nothing is left to do.
///
/// There is one dispatcher to a store; every verb that queues something starts one by itself. Ending it ends no run: the
/// workers go on, and the next dispatcher finds them.
#[derive(Debug, Args)]
pub struct DispatchArgs {
    /// How many runs may train at once on the CPU.
    #[arg(long, env = "LINF_SLOTS", default_value = "1", value_name = "N")]
    slots: NonZeroUsize,
    /// Work in the background, detached from this terminal; its log is dispatcher.log in the store.
    #[arg(long)]
    detach: bool,
    /// Internal: the middle of a detached start.
    #[arg(long, hide = true, conflicts_with = "detach")]
    stage: bool,
}

pub async fn run(args: DispatchArgs, place: &Place) -> Result<Exit> {
    if args.stage {
        stage(place.root())?;
        return Ok(Exit::Done);
    }
    if args.detach {
        start_dispatcher(place.root(), Some(args.slots))?;
        return Ok(Exit::Done);
    }
    keep_open_files_here()?;
    let leave = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&leave)).context("cannot listen for signals")?;
    }
    // The terminal may go; the queue stays. (A handler, because workers would inherit an ignored signal.)
    // At a limit on the size of files, writing fails as on a full disk.
    for signal in [SIGHUP, SIGXFSZ] {
        signal_hook::flag::register(signal, Arc::default()).context("cannot listen for signals")?;
    }
    let store = place.existing().await?;
    let left = dispatch(&store, Slots { cpu: args.slots.get() }, &leave).await?;
    if left == Left::NotNeeded {
        line("another dispatcher works on this store already")?;
    }
    Ok(Exit::Done)
}
