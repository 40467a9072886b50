//! The queue: who may train, who trains, and what became of it.
//!
//! [`machine`] says what can happen to a run, as a pure function. The dispatcher (one process per store) applies it:
//! it starts workers, watches them and records what it sees. A client that asks something of a run writes down what is
//! desired, and makes sure that a dispatcher is alive.

pub mod identity;
pub mod machine;
mod narrate;
