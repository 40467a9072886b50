//! The terminal program: obeys the command line, or opens the full-screen view.

use std::process::ExitCode;

use clap::Parser;
use linf::cli::{self, Cli, Next};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Next::Leave(exit) => exit.into(),
        Next::Screen { .. } => todo!(),
    }
}
