//! The store as its users see it: catalog, run files and checkpoints on a real disk, sound and damaged.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[path = "../support/half_written.rs"]
mod support;

mod catalog;
mod checkpoint;
mod damage;
mod disk_full;
mod example;
mod folders;
mod half_written;
mod killed;
mod memory;
mod run_file;
mod schemas;
