//! The screens: each file holds what one of them remembers, what its keys do, and how it is drawn.

pub mod certificates;
pub mod charts;
pub mod checkpoints;
pub mod compare;
pub mod header;
pub mod log;
pub mod queue;
pub mod records;
pub mod run;
pub mod runs;
pub mod samples;
