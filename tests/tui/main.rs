//! The terminal UI: every screen as drawn, the model as a state machine, wild input, and the real program in a terminal.

#![allow(clippy::unwrap_used, reason = "test code that clippy does not recognise as such")]

mod attacked;
mod axes;
#[path = "../../examples/fill_store/believable.rs"]
mod believable;
mod checkpoints;
mod compare;
mod filter;
mod fixture;
mod list;
mod log;
mod mouse;
mod new_run;
mod news;
mod odd_terminals;
mod program;
mod queue;
mod screens;
mod settings;
mod stall;
#[path = "../support/terminal.rs"]
mod terminal;
mod themes;
mod undo;
mod update;
mod wild;
mod wishes;
