//! How a verb ends.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::store::StoreError;

/// What the exit code of every verb means.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done; a run that was waited for is completed
  1  an error; a run that was waited for failed or was lost
  2  the command line is wrong
  3  a run that was waited for was paused or cancelled
  4  no such run, or no store here";

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well.
    Done = 0,
    /// An error, or a run that failed or was lost.
    Failed = 1,
    /// The command line cannot be meant.
    Usage = 2,
    /// A run that was waited for is paused or cancelled.
    Stopped = 3,
    /// No such run or store.
    NotFound = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Says on stderr what went wrong, and which exit code that is.
pub fn report(error: &anyhow::Error) -> Exit {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    // The reader of our output has seen enough (`linf-tui ls | head`).
    if error.chain().any(broken_pipe) {
        return Exit::Done;
    }
    let _ = writeln!(io::stderr(), "linf-tui: {error:#}");
    let missing = error.chain().filter_map(|cause| cause.downcast_ref::<StoreError>()).any(|error| {
        matches!(error, StoreError::NoStore(_) | StoreError::NoSuchRun { .. } | StoreError::Ambiguous { .. })
    });
    if missing { Exit::NotFound } else { Exit::Failed }
}
