//! The queue with real processes: dispatchers and workers that live, are killed, stopped, paused and found again.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod kills;
mod wishes;
