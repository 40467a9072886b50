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

/// The first of `all` lines of a list that is shown in room for some, the selected one in the middle where it can be.
fn first_shown(selected: usize, all: usize, room: usize) -> usize {
    selected.saturating_sub(room / 2).min(all.saturating_sub(room))
}
