//! The queue: who may train, who trains, and what became of it.
//!
//! [`machine`] says what can happen to a run, as a pure function; [`plan`] says who is next. The dispatcher (one process
//! per store) applies both: it starts workers, watches them and records what it sees. A client that asks something of a
//! run writes down what is desired, and makes sure that a dispatcher is alive.

mod ask;
mod dispatcher;
pub mod gpu;
mod helm;
pub mod identity;
pub mod lock;
pub mod logout;
pub mod machine;
mod narrate;
mod orders;
pub mod plan;
mod run_file;
mod sight;
mod spawn;
mod worker;
mod worker_file;

pub use ask::{AskError, ask, cancel, needs_a_dispatcher};
pub use dispatcher::{DispatchError, Left, dispatch, nonce};
pub use helm::{Due, Helm};
pub use lock::dispatcher_alive;
pub use orders::{ListenError, Order};
pub use spawn::{
    SpawnError, data_root, ensure_dispatcher, find_trainer, keep_open_files_here, stage, start_dispatcher, this_program,
};
pub use worker::{SessionError, WorkerSession};
