//! All that the terminal UI remembers between two messages.

use std::collections::BTreeMap;

use super::{
    alert::Alert,
    dialogs::Dialog,
    graphics::Graphics,
    images::Images,
    keys::{Action, Keymap, Place},
    known::Known,
    look::Look,
    machine::{self, Machine},
    message::Interest,
    screens::{compare::CompareScreen, queue::QueueScreen, run::RunScreen, run::Tab, runs::RunsScreen},
    undo::{Removal, Undo},
};
use crate::{
    experiment::{DatasetId, RunId},
    store::RunRow,
};
use std::sync::Arc;

/// All that the terminal UI remembers.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the terminal can show.
    pub look: Look,
    /// What each key does.
    pub keys: Arc<Keymap>,
    /// How the terminal is told that a run has ended.
    pub alert: Alert,
    /// The time zone that moments are shown in.
    pub zone: jiff::tz::TimeZone,
    /// The store's name, for the header.
    pub store_name: String,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What is known of the store.
    pub known: Known,
    /// The list of runs: what every other screen goes back to.
    pub list: RunsScreen,
    /// The screen in front of the list, if any.
    pub screen: Screen,
    /// The dialog in front of the screen, if any.
    pub dialog: Option<Dialog>,
    /// The filters used before, newest last.
    pub filters: Vec<String>,
    /// What can be taken back, newest last.
    pub undo: Vec<Undo>,
    /// Runs that are about to be removed.
    pub removals: Vec<Removal>,
    /// How many removals there were.
    pub removal_count: u64,
    /// Notices at the bottom, oldest first.
    pub notices: Vec<Notice>,
    /// How many notices there were.
    pub notice_count: u64,
    /// The machine's load, while it is looked at.
    pub machine: Option<Machine>,
    /// What it was since somebody first looked.
    pub machine_past: machine::Past,
    /// Test images, or why there are none.
    pub images: BTreeMap<DatasetId, Arc<Result<Images, String>>>,
    /// What pictures the terminal shows, if any.
    pub graphics: Option<Graphics>,
    /// What the driver was last told to follow.
    pub following: Interest,
}

/// What fills the terminal.
#[derive(Clone, Debug)]
pub enum Screen {
    /// The list of runs.
    Runs,
    /// One run.
    Run(RunScreen),
    /// Several runs in one chart.
    Compare(CompareScreen),
    /// Slots, devices and the queue.
    Queue(QueueScreen),
}

/// A notice that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub number: u64,
    /// What it says.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
}

impl Model {
    /// Nothing is known yet; the settings are the default ones.
    pub fn new(look: Look, zone: jiff::tz::TimeZone, store_name: String, size: (u16, u16)) -> Model {
        Model {
            look,
            keys: Arc::default(),
            alert: Alert::default(),
            zone,
            store_name,
            size,
            known: Known::default(),
            list: RunsScreen::default(),
            screen: Screen::Runs,
            dialog: None,
            filters: Vec::new(),
            undo: Vec::new(),
            removals: Vec::new(),
            removal_count: 0,
            notices: Vec::new(),
            notice_count: 0,
            machine: None,
            machine_past: machine::Past::default(),
            images: BTreeMap::new(),
            graphics: None,
            following: Interest::default(),
        }
    }

    /// Where a key is looked up, innermost first.
    pub fn places(&self) -> Vec<Place> {
        let mut places = match &self.screen {
            Screen::Runs => vec![Place::Runs],
            Screen::Compare(_) => vec![Place::Compare, Place::Charts],
            Screen::Queue(_) => vec![Place::Machine],
            Screen::Run(screen) => match screen.tab {
                Tab::Charts => vec![Place::Charts, Place::Run],
                Tab::Certificates => vec![Place::Certificates, Place::Run],
                Tab::Samples => vec![Place::Samples, Place::Run],
                Tab::Log => vec![Place::Log, Place::Run],
                Tab::Checkpoints => vec![Place::Checkpoints, Place::Run],
                Tab::Config | Tab::Events => vec![Place::Run],
            },
        };
        places.extend([Place::Move, Place::Pages, Place::Everywhere]);
        places
    }

    /// The first key of an action where the user is, as the screens write it; empty where it has none.
    pub fn key_of(&self, action: Action) -> String {
        self.keys.key_of(&self.places(), action)
    }

    /// The run that a command without marks is meant for.
    pub fn current(&self) -> Option<&RunRow> {
        let id = match &self.screen {
            Screen::Runs => self.list.selected_run(),
            Screen::Run(screen) => Some(screen.run),
            Screen::Compare(_) => None,
            Screen::Queue(screen) => screen.selected(&self.known),
        };
        self.known.rows.get(&id?)
    }

    /// The runs that a command is meant for: the marked ones, else the group or the run under the cursor.
    pub fn meant(&self) -> Vec<RunId> {
        match &self.screen {
            Screen::Runs if !self.list.marked.is_empty() => self.list.marked.iter().copied().collect(),
            Screen::Runs => self.list.selected_runs(&self.known),
            _ => self.current().map(|row| row.id).into_iter().collect(),
        }
    }

    /// What must be kept up to date for what is shown.
    pub fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        match &self.screen {
            Screen::Runs => {
                interest.runs = self.list.selected_runs(&self.known);
                interest.runs.truncate(CompareScreen::MOST);
            }
            Screen::Run(screen) => {
                interest.runs = vec![screen.run];
                interest.steps = screen.visible_steps(&self.known);
                interest.log = (screen.tab == Tab::Log).then_some(screen.run);
                let samples = matches!(screen.tab, Tab::Certificates | Tab::Samples);
                interest.certificates = samples.then_some(screen.run);
                if screen.tab == Tab::Samples {
                    interest.images = self.known.rows.get(&screen.run).map(|row| row.config.data.dataset);
                }
            }
            Screen::Compare(screen) => interest.runs = screen.runs.clone(),
            Screen::Queue(screen) => {
                interest.machine = true;
                interest.runs = screen.shown(&self.known);
                interest.runs.truncate(CompareScreen::MOST);
            }
        }
        interest
    }
}
