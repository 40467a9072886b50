//! The newest checkpoint that can be used.

use std::path::Path;

use super::{Loaded, file, read};
use crate::store::CheckpointRow;

/// The checkpoint that training resumes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Good {
    /// Its row in the run file.
    pub row: CheckpointRow,
    /// What it holds.
    pub loaded: Loaded,
}

/// A checkpoint that is newer and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its step.
    pub step: u64,
    /// Why, with the name of the file.
    pub reason: String,
}

/// Reads checkpoints from the newest row backwards until one is whole, and says which ones it passed over and why.
pub fn newest_good(run_dir: &Path, rows: &[CheckpointRow]) -> (Option<Good>, Vec<Skipped>) {
    let mut newest_first: Vec<&CheckpointRow> = rows.iter().collect();
    newest_first.sort_by_key(|row| std::cmp::Reverse(row.step));
    let mut skipped = Vec::new();
    for row in newest_first {
        let path = file(run_dir, &row.file);
        let reason = match read(&path) {
            Ok(loaded) if loaded.hash == row.hash => return (Some(Good { row: row.clone(), loaded }), skipped),
            Ok(_) => format!("{} is whole, but not the one that the run file speaks of", path.display()),
            Err(error) => error.to_string(),
        };
        skipped.push(Skipped { step: row.step, reason });
    }
    (None, skipped)
}
