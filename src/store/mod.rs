//! The catalog and the run files (SQLite, through sqlx), and the checkpoints.
//!
//! Everything lies in one folder, `runs/`: the catalog `linf.db` (queue and summaries, written by clients and the
//! dispatcher in short transactions), and for each run a folder `<id>/` with `config.toml`, `run.db` (written by its
//! worker alone), `checkpoints/<step>.db` and `train.log`. The folders are the truth; the catalog can be rebuilt.

pub mod checkpoint;

mod about;
mod attacked;
mod catalog;
mod clock;
mod database;
mod error;
mod filesystem;
mod folder;
mod fork;
mod forked;
mod gauge;
mod import;
mod layout;
mod margins;
mod records;
mod reindex;
mod rescue;
mod run_reader;
mod run_writer;
mod series;
mod space;
mod summary;
mod values;

pub use catalog::{Catalog, NewRun, check_name};
pub use clock::now_ms;
pub use error::StoreError;
pub(crate) use filesystem::is_full;
pub use filesystem::network_file_system;
pub use forked::ForkError;
pub use gauge::Gauge;
pub use layout::Store;
pub use records::{
    AttackRow, AttemptRow, Bin, CheckpointKind, CheckpointRow, EpochRow, EvalRow, EvalSplit, EventRow, Findings,
    Margins, Outcome, RunRow, Summary, curve,
};
pub use reindex::Reindexed;
pub use rescue::Rescue;
pub use run_reader::RunReader;
pub use run_writer::{Attempt, RunWriter, StepPoint, WriterStatus};
pub use space::Space;
