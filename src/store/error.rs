//! What can go wrong in the store. Every error names the file and says what to do.

use std::{io, path::PathBuf};

use crate::experiment::RunId;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No store where one was expected.
    #[error("{0} holds no store: add a run first, or name another place with --store or LINF_STORE")]
    NoStore(PathBuf),
    /// The file is not one of ours.
    #[error("{path} is not {expected}: {found}. Move it away, or name another store")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Written by a later version of the program.
    #[error(
        "{path} has schema {found}; this program knows schemas up to {known}. Use the newer linf-tui that wrote it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A record with a key or a word that this program does not have: no damage, but of a later version.
    #[error("{path} was written by a newer linf-tui: use that one ({detail})")]
    NewerRecord {
        /// The file.
        path: PathBuf,
        /// Which record, and what of it.
        detail: String,
    },
    /// The file is broken: cut short, overwritten, or holding what no version of the program writes.
    #[error("{path} is damaged ({detail}). {remedy}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No space, or a quota is used up.
    #[error(
        "{path} cannot grow: the disk is full or a quota is used up. Free some space; nothing written so far is lost"
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be written by this user.
    #[error("{path} cannot be written: the file, its folder or its disk is read-only for this user")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A process was killed while it wrote, and this user may not undo the half it wrote.
    #[error(
        "{path} was left half-written by a process that was killed. Whoever owns it puts it right by opening the store"
    )]
    HalfWritten {
        /// The file.
        path: PathBuf,
    },
    /// Another process held the file for longer than anybody should.
    #[error("{path} was locked by another process for over {seconds} s. Look for a stopped linf-tui or linf-train", seconds = super::database::BUSY.as_secs())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Any other error of SQLite.
    #[error("{path}: {error}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: sqlx::Error,
    },
    /// An error of the operating system.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// A verb: `read`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The store was opened for reading only.
    #[error("{0} belongs to somebody else or lies on a read-only disk: it can be looked at, not changed")]
    NotOurs(PathBuf),
    /// The catalog cannot be read, and the store is shown as its runs' folders say.
    #[error("the catalog {0} is damaged, so nothing can be changed: run `linf-tui reindex` first")]
    Rescued(PathBuf),
    /// No run of this number or name.
    #[error("no run is called \"{asked}\"{}", candidates(.like))]
    NoSuchRun {
        /// What was asked for.
        asked: String,
        /// Names that come near.
        like: Vec<String>,
    },
    /// A prefix that several names share.
    #[error("\"{asked}\" could be {}: write more of the name, or its number", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// The names it could mean.
        candidates: Vec<String>,
    },
    /// The name is in use.
    #[error("a run called \"{0}\" exists already: choose another name")]
    NameTaken(String),
    /// A name that could be mistaken for a number, or does not fit in a line.
    #[error("\"{0}\" is no name for a run: use 1 to 64 letters, digits, '-', '_' or '.', with at least one letter")]
    BadName(String),
    /// The run is at work.
    #[error("run {id} is {word}: cancel it first")]
    AtWork {
        /// The run.
        id: RunId,
        /// Its state.
        word: &'static str,
    },
    /// A config in a run's folder that this program does not accept.
    #[error("{error}")]
    BadConfig {
        /// File, key, what was found and what is allowed.
        error: String,
    },
    /// A folder that is no run's.
    #[error("{0} holds no run: neither run.db nor config.toml lies in it")]
    NoRunThere(PathBuf),
    /// A tensor whose elements do not make its shape.
    #[error("tensor \"{name}\" has {elements} elements, which do not make the shape {shape:?}")]
    BadTensor {
        /// Its name.
        name: String,
        /// How many elements were given.
        elements: usize,
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// The thread that writes the run file has ended.
    #[error("{path} is no longer being written: its writer has ended")]
    WriterGone {
        /// The run file.
        path: PathBuf,
    },
}

fn candidates(like: &[String]) -> String {
    if like.is_empty() { "; see `linf-tui ls`".to_owned() } else { format!("; did you mean {}?", like.join(", ")) }
}

impl StoreError {
    /// Whether the same call may succeed later with nothing but the machine's state changed.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::DiskFull { .. } | StoreError::ReadOnly { .. } | StoreError::Busy { .. })
            || matches!(self, StoreError::Sql { error, .. } if sqlite_code(error).is_some_and(|code| code & 0xff == 10))
    }
}

/// SQLite's extended result code, where the error came from SQLite.
pub(super) fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
