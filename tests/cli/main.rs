//! The verbs that read and label runs, and what they say when something is wrong.

#[path = "../support/mod.rs"]
mod support;

mod add;
mod config;
mod faults;
mod read;
mod report;
