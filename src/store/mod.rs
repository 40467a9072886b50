//! The catalog and the run files (SQLite, through sqlx), and the checkpoints.

mod records;

pub use records::{Bin, CheckpointKind, CheckpointRow, EpochRow, EvalRow, EventRow, Margins, Outcome, RunRow, Summary};
