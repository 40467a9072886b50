//! The reliability battery: what happens to the queue and the store when anything dies, stops, crowds or fills up at any
//! moment. `make test` runs a short form of it, `make battery` the full one (`LINF_BATTERY=full`), which ends with one
//! line of counts. A failure prints its seed; `LINF_SEED=N` repeats the same choices.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod crowd;
mod dice;
mod scale;
mod signals;
mod storm;
mod torn;

/// Whether the full form was asked for.
fn full() -> bool {
    std::env::var("LINF_BATTERY").is_ok_and(|form| form == "full")
}
