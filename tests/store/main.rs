//! The store as its users see it: catalog, run files and checkpoints on a real disk.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

mod catalog;
mod checkpoint;
mod example;
mod run_file;
