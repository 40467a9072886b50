//! What a run is: its config, the schedules that follow from it, its identity and its state.
//!
//! Pure: no I/O, no clock, no knowledge of the other modules.

mod check;
mod config;
mod cost;
mod dataset_id;
mod epsilon;
mod explain;
mod fate;
mod flat;
mod label;
mod parse;
mod pnorm;
mod run_id;
mod run_state;
mod schedule;
mod steering;
mod sweep;
mod threat;
mod turn;
mod view;

pub use config::{
    Adam, Attack, Augmentation, Config, Conv, Data, Device, Eval, Extra, Loss, LossKind, Model, ModelKind, PSteps,
    PadMode, Published, Resources, Run, Schedule, Train,
};
pub use cost::Kernels;
pub use dataset_id::{DatasetId, UnknownDataset};
pub use epsilon::Epsilon;
pub use explain::{KeyDoc, explain, keys, nearest_of};
pub use fate::Fate;
pub use flat::{differences, flat};
pub use label::{Label, LabelWidth};
pub use parse::{ConfigError, parse, parse_with, resolved};
pub use pnorm::PNorm;
pub use run_id::{RunId, run_name};
pub use run_state::{Desired, FailReason, LostReason, Progress, RunState, WaitReason, WorkerIdentity};
pub use schedule::{Phase, Point, Schedules};
pub use steering::{Order, Steered, Steering};
pub use sweep::{SweepError, expand};
pub use threat::{Neighbourhood, Radius, Threat, UnknownThreat};
pub use turn::{After, Need, Parent, Turn};
pub use view::View;

#[cfg(test)]
mod schedule_tests;
