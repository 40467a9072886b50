//! The one table of keys: it decides what a key does, and the help, the palette and the hint bar are read from it.
//!
//! [`table`] has the keys that hold unless the settings say otherwise; a [`Keymap`] is that table with what they say.

mod chord;
mod keymap;
mod table;

pub use chord::{Chord, UnknownKey};
pub use keymap::{Conflict, Keymap};

use std::borrow::Cow;

/// Where a key means something. The innermost place that knows a key decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The list of runs.
    Runs,
    /// A run's screen, whatever the tab.
    Run,
    /// Charts of a run or of a comparison.
    Charts,
    /// A run's certificates.
    Certificates,
    /// A run's test images.
    Samples,
    /// A run's checkpoints.
    Checkpoints,
    /// A run's log.
    Log,
    /// The comparison of several runs.
    Compare,
    /// The queue and the machine.
    Machine,
    /// Everywhere.
    Everywhere,
}

impl Place {
    /// The places that hold at the same time, on each of the screens and tabs. [`super::model::Model::places`] answers one of
    /// these; a key may mean but one thing in each.
    pub const SCREENS: [&[Place]; 9] = [
        &[Place::Runs, Place::Everywhere],
        &[Place::Charts, Place::Run, Place::Everywhere],
        &[Place::Certificates, Place::Run, Place::Everywhere],
        &[Place::Samples, Place::Run, Place::Everywhere],
        &[Place::Checkpoints, Place::Run, Place::Everywhere],
        &[Place::Log, Place::Run, Place::Everywhere],
        &[Place::Run, Place::Everywhere],
        &[Place::Compare, Place::Charts, Place::Everywhere],
        &[Place::Machine, Place::Everywhere],
    ];

    /// Its heading in the help.
    pub fn heading(self) -> &'static str {
        match self {
            Place::Runs => "Runs",
            Place::Run => "One run",
            Place::Charts => "Charts",
            Place::Certificates => "Certificates",
            Place::Samples => "Samples",
            Place::Checkpoints => "Checkpoints",
            Place::Log => "Log",
            Place::Compare => "Compare",
            Place::Machine => "Queue and machine",
            Place::Everywhere => "Everywhere",
        }
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table explains each in words that the help shows")]
pub enum Action {
    Quit,
    Back,
    Help,
    Palette,
    Redraw,
    Suspend,
    Down,
    Up,
    Top,
    Bottom,
    PageDown,
    PageUp,
    Left,
    Right,
    FarLeft,
    FarRight,
    Open,
    Mark,
    MarkAll,
    Add,
    Pause,
    Resume,
    Cancel,
    Compare,
    Filter,
    Sort,
    ReverseSort,
    Fold,
    Columns,
    Archive,
    Delete,
    Undo,
    Tags,
    Note,
    Machine,
    Tab(u8),
    NextTab,
    PreviousTab,
    NextRun,
    PreviousRun,
    AxisX,
    LogY,
    Smooth,
    FitY,
    ZoomIn,
    ZoomOut,
    TypeRadius,
    Follow,
    Search,
    SearchNext,
    SearchPrevious,
    Wrap,
    SortSamples,
    Fork,
    Export,
    Certify,
    Earlier,
    Later,
    RaisePriority,
    LowerPriority,
    Copy,
    CopyLatex,
    Gather,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Where it holds.
    pub place: Place,
    /// What the settings call it. Lines with one name have the same keys and mean the same.
    pub name: &'static str,
    /// The keys, the most natural first; none where the settings took them away.
    pub keys: Cow<'static, [Chord]>,
    /// What they do.
    pub action: Action,
    /// One or two words for the hint bar; empty keeps it out.
    pub hint: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

impl Binding {
    /// Its first key as the screens write it; empty where it has none.
    pub fn key(&self) -> String {
        self.keys.first().map(ToString::to_string).unwrap_or_default()
    }
}
