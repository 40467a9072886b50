//! What reaches the model, and what it asks for in return.

use std::{path::PathBuf, sync::Arc};

use crossterm::event::{KeyEvent, MouseEvent};

use super::certificates::Certificates;
use super::columns::Columns;
use super::images::Images;
use super::known::{ConfigFile, LogTail, RunData};
use super::machine::Machine;
use super::measuring::{Figures, Measurement};
use crate::{
    experiment::{DatasetId, Desired, RunId, Turn},
    report::pace::Pace,
    store::{NewRun, RunRow},
};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Something the mouse did, where the settings switch it on.
    Mouse(MouseEvent),
    /// Text pasted in one piece.
    Paste(String),
    /// The terminal has this size now.
    Resize(u16, u16),
    /// Rows of the catalog that are new or have changed.
    Catalog {
        /// The rows.
        rows: Vec<RunRow>,
        /// Milliseconds since the Unix epoch.
        now_ms: i64,
    },
    /// Runs that are no longer in the catalog.
    Removed(Vec<RunId>),
    /// The time in which a removal can be taken back is over.
    RemovalDue(u64),
    /// A run could not be removed; the text says why.
    NotRemoved(RunId, String),
    /// The store cannot be read; the text says why.
    Trouble(String),
    /// Whether the disk of the store is full, or almost.
    FullDisk(bool),
    /// What a run file holds.
    Run(RunId, Arc<RunData>),
    /// The last evaluation, sample by sample.
    Certificates(RunId, Arc<Certificates>),
    /// What the net of a run's checkpoint, by its step, provably withstands, or why that could not be found.
    Certified(RunId, u64, Result<Figures, String>),
    /// The end of a run's log.
    Log(RunId, Arc<LogTail>),
    /// The config files found, with the folder they were looked for in.
    Configs(Vec<ConfigFile>, String),
    /// How fast the machine trains, found by a few steps.
    Pace(Pace),
    /// The machine's load.
    Machine(Machine),
    /// The test images of a dataset, or why there are none.
    Images(DatasetId, Arc<Result<Images, String>>),
    /// Something was done.
    Done(String),
    /// Something could not be done.
    Failed(String),
    /// This notice has been shown long enough.
    NoticeOver(u64),
}

/// Something to do, outside of the model.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Give the terminal back until the shell brings us to the front again.
    Suspend,
    /// Draw all cells anew.
    Redraw,
    /// From now on keep this, and nothing else, up to date.
    Follow(Interest),
    /// Write what the user wants of these runs, and see that a dispatcher looks at it.
    Desire(Vec<RunId>, Desired),
    /// Give a run this turn in the queue; the text says what that is, for its events.
    SetTurn(RunId, Turn, String),
    /// Queue these runs.
    Add(Vec<NewRun>),
    /// Queue a run that begins at a checkpoint of another one.
    Fork {
        /// The other one.
        run: RunId,
        /// The step of the checkpoint.
        step: u64,
        /// What is changed of its config, each as `key=value`.
        overrides: Vec<String>,
    },
    /// Measure the net of a run's checkpoint, by its step, which takes minutes.
    Measure(RunId, u64, Measurement),
    /// Set the tags of runs; the text says what that means.
    SetTags(Vec<(RunId, Vec<String>)>, String),
    /// Send [`Msg::RemovalDue`] after a while.
    RemindOfRemoval(u64),
    /// Remove runs and all they hold from the store.
    Remove(Vec<RunId>),
    /// Set the note of a run.
    SetNote(RunId, String),
    /// Write the columns of the runs list into the settings.
    KeepColumns(Columns),
    /// Remember a filter for the next time.
    KeepFilter(String),
    /// Read the config files.
    LoadConfigs,
    /// Measure how fast the machine trains.
    MeasurePace,
    /// Let the user change a config file in an editor, then read the config files again.
    Edit(PathBuf),
    /// Tell whoever looks elsewhere, as the settings say.
    Alert(String),
    /// Put text on the clipboard of the user's terminal (OSC 52).
    Copy(String),
    /// Send [`Msg::NoticeOver`] after a while.
    ExpireNotice(u64),
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interest {
    /// Runs whose curves are shown.
    pub runs: Vec<RunId>,
    /// The steps that are visible, where that is not all of them.
    pub steps: Option<(u64, u64)>,
    /// The run whose margins are shown.
    pub certificates: Option<RunId>,
    /// The run whose log is shown.
    pub log: Option<RunId>,
    /// Whether the machine's load is shown.
    pub machine: bool,
    /// The dataset whose test images are shown.
    pub images: Option<DatasetId>,
}
