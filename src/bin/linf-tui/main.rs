//! The terminal program: obeys the command line, or opens the full-screen view.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use linf::{
    cli::{self, Cli, Exit, Next},
    tui::{self, Start},
};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Next::Leave(exit) => exit.into(),
        Next::Screen { store, run } => {
            let start = run.map_or(Start::Runs, Start::Run);
            match tui::run(&store, start) {
                Ok(()) => Exit::Done.into(),
                Err(error) => {
                    // With stderr gone there is nobody left to tell.
                    let _ = writeln!(io::stderr(), "linf-tui: {error:#}");
                    Exit::Failed.into()
                }
            }
        }
    }
}
