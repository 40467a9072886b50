//! The verbs that read and label runs, and what they say when something is wrong.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[path = "../support/mod.rs"]
mod support;

mod add;
mod config;
mod faults;
mod folders;
mod read;
mod report;
mod results;
mod settings;
mod shell;
