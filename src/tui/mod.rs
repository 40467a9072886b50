//! The terminal UI: `model` → [`update`] → [`view`].
//!
//! [`update::update`] is pure: a message and the model in, the changed model and a list of effects out. [`view::view`]
//! only draws. The driver runs the effects and turns keys and news from the store into messages. So everything that the
//! screens do can be tested without a terminal, a store or a clock.

pub mod alert;
pub mod ansi;
pub mod attacked;
pub mod certificates;
pub mod chart;
mod checkpoint;
pub mod columns;
pub mod completion;
mod course;
mod curves;
mod dialogs;
pub mod drawing;
mod driver;
mod editor;
mod eps_way;
pub mod filter;
mod gauges;
pub mod graphics;
mod group;
mod history;
pub mod images;
pub mod keys;
pub mod known;
mod lens;
pub mod look;
pub mod machine;
mod marks;
pub mod measuring;
mod memo;
pub mod message;
pub mod model;
mod mouse;
mod orders;
pub mod panic_report;
mod pen;
mod picture;
mod read_run;
mod replace;
pub mod run_list;
mod screens;
mod series;
pub mod settings;
mod stall;
pub mod terminal;
pub mod theme;
pub mod undo;
pub mod update;
pub mod view;
mod watcher;
mod wording;

pub use driver::{Start, run};
pub use picture::picture;
