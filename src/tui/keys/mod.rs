//! The one table of keys: it decides what a key does, and the help, the palette and the hint bar are read from it.
//!
//! [`table`] and [`dialog_table`] have the keys that hold unless the settings say otherwise; a [`Keymap`] is those tables with what
//! they say. Text fields take what is no command: letters, and the keys that edit a line.

mod chord;
mod dialog_table;
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
    /// Up and down, wherever there are lines that no text is typed beside.
    Move,
    /// The same by pages.
    Pages,
    /// On every screen.
    Everywhere,
    /// A question.
    Confirm,
    /// The configs of a new run.
    Add,
    /// What is changed of one.
    Changes,
    /// What would be queued.
    DryRun,
    /// The columns of the list.
    Columns,
    /// A line of text.
    Prompt,
    /// Words that find a line of the help, or a command.
    Find,
    /// Every dialog.
    Dialog,
}

impl Place {
    /// The places that hold at the same time, on each of the screens and tabs and in each of the dialogs.
    /// [`super::model::Model::places`] and `Dialog::places` answer one of these; a key may mean but one thing in each.
    pub const TOGETHER: [&[Place]; 16] = [
        &[Place::Runs, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Charts, Place::Run, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Certificates, Place::Run, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Samples, Place::Run, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Checkpoints, Place::Run, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Log, Place::Run, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Run, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Compare, Place::Charts, Place::Move, Place::Pages, Place::Everywhere],
        &[Place::Machine, Place::Move, Place::Pages, Place::Everywhere],
        Place::IN_CONFIRM,
        Place::IN_ADD,
        Place::IN_CHANGES,
        Place::IN_DRY_RUN,
        Place::IN_COLUMNS,
        Place::IN_PROMPT,
        Place::IN_FIND,
    ];
    /// The places that hold before a question.
    pub const IN_CONFIRM: &[Place] = &[Place::Confirm, Place::Dialog];
    /// Where a config is chosen.
    pub const IN_ADD: &[Place] = &[Place::Add, Place::Move, Place::Dialog];
    /// Where its keys are changed.
    pub const IN_CHANGES: &[Place] = &[Place::Changes, Place::Dialog];
    /// Where a dry run is shown.
    pub const IN_DRY_RUN: &[Place] = &[Place::DryRun, Place::Move, Place::Pages, Place::Dialog];
    /// Where columns are chosen.
    pub const IN_COLUMNS: &[Place] = &[Place::Columns, Place::Move, Place::Dialog];
    /// Where a line is typed.
    pub const IN_PROMPT: &[Place] = &[Place::Prompt, Place::Dialog];
    /// Where words are typed that find a line.
    pub const IN_FIND: &[Place] = &[Place::Find, Place::Dialog];

    /// Whether it is one of the dialogs'.
    pub fn is_of_a_dialog(self) -> bool {
        !matches!(
            self,
            Place::Runs
                | Place::Run
                | Place::Charts
                | Place::Certificates
                | Place::Samples
                | Place::Checkpoints
                | Place::Log
                | Place::Compare
                | Place::Machine
                | Place::Move
                | Place::Pages
                | Place::Everywhere
        )
    }

    /// Whether text is typed there, so that a letter means itself.
    pub fn takes_text(self) -> bool {
        matches!(self, Place::Changes | Place::Prompt | Place::Find | Place::Dialog)
    }

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
            Place::Move | Place::Pages => "Moving",
            Place::Everywhere => "Everywhere",
            Place::Confirm => "Questions",
            Place::Add => "New run",
            Place::Changes => "Changes to a new run",
            Place::DryRun => "Dry run",
            Place::Columns => "Columns",
            Place::Prompt => "A line of text",
            Place::Find => "Help and commands",
            Place::Dialog => "Every dialog",
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
    Pin,
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
    Accept,
    Close,
    Leave,
    Complete,
    CompleteBack,
    Switch,
    Queue,
    DryRun,
    Edit,
    OwnWidth,
    Defaults,
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
