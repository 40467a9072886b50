//! The queue with real processes: dispatchers and workers that live, are killed, stopped, paused and found again.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod kills;
mod logout;
mod steering;
mod turns;
mod wishes;
