//! The worker of one run: trains it, measures it, writes everything into the run's own folder, and leaves.
//!
//! Started by the dispatcher, never by hand; its output goes to the run's `train.log`. It reads its orders from the
//! catalog and writes only its run file and checkpoints. It is the one program that links libtorch.

mod checkpoints;
mod device;
mod job;
mod torch_engine;
mod training;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use linf::experiment::RunId;

/// Trains one run of a store. Started by the dispatcher of linf-tui.
#[derive(Parser)]
#[command(name = "linf-train", version, about)]
struct Args {
    /// The store's folder.
    #[arg(long)]
    store: PathBuf,
    /// The run's number.
    #[arg(long)]
    run: RunId,
    /// What tells this attempt from every other one.
    #[arg(long)]
    nonce: String,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match training::work(&args.store, args.run, &args.nonce) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("linf-train: run {}: {error:#}", args.run);
            ExitCode::FAILURE
        }
    }
}
