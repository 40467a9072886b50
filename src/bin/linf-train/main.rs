//! The worker of one run: trains it, measures it, writes everything into the run's own folder, and leaves.
//!
//! Started by the dispatcher, never by hand; its output goes to the run's `train.log`. It reads its orders from the
//! catalog and writes only its run file and checkpoints. It is the one program that links libtorch, where it is built with
//! it.

mod checkpoints;
mod device;
mod feed;
mod images;
mod instruments;
mod job;
mod past;
mod steering;
#[cfg(feature = "torch")]
mod torch_engine;
mod training;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use linf::experiment::{Device, RunId};
use linf::store::RunWriter;

/// Trains one run of a store. Started by the dispatcher of linf-tui.
#[derive(Parser)]
#[command(name = "linf-train", version = env!("LINF_VERSION"), about)]
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
    /// The device that the dispatcher found for it, where the config leaves the choice.
    #[arg(long, env = "LINF_DEVICE")]
    device: Option<Device>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match training::work(&args.store, args.run, &args.nonce, args.device) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("linf-train: run {}: {error:#}", args.run));
            ExitCode::FAILURE
        }
    }
}

/// A line for the run's `train.log`. On a full disk it is lost, which is no reason to stop training.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The same, and an alarm in the run's history.
fn alarm(writer: &RunWriter, step: Option<u64>, text: String) {
    say(&text);
    writer.event(step, "alarm", text);
}
