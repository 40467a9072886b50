//! The library behind `linf-tui` and `linf-train`: ℓ∞-distance nets, the queue that runs them, and the screens that
//! show them.
//!
//! Dependencies run downwards: `bin → cli, tui → dispatch, report → store → experiment`, and `net → dist`;
//! [`dist`] and [`experiment`] know nobody. libtorch is linked by the binary `linf-train` alone.

pub mod certificate;
pub mod cli;
pub mod dataset;
pub mod dispatch;
pub mod experiment;
pub mod import_torch;
pub mod net;
pub mod report;
pub mod store;
pub mod tui;

pub use linf_dist as dist;

/// The kernels want their operands to start with a cache line.
#[global_allocator]
static ALLOCATOR: dist::CacheLines = dist::CacheLines;
