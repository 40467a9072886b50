//! The terminal program: obeys the command line, or opens the full-screen view.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use linf::cli::{self, Cli, Exit, Next};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Next::Leave(exit) => exit.into(),
        Next::Screen { store, .. } => {
            let store = store.display();
            let _ = writeln!(io::stderr(), "linf-tui: the full-screen view of {store} is not part of this build");
            Exit::Failed.into()
        }
    }
}
