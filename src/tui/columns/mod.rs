//! The columns of the runs list: which there are, which are chosen, in which order and how wide.
//!
//! The name always comes first; everything after it is the user's choice, kept in the settings.

mod cell;
mod choice;
mod layout;

pub use cell::{Cell, SortValue};
pub use choice::{Chosen, Columns, NAME_WIDTHS};
pub use layout::Place;

/// A column after the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below explains each in words that the settings show")]
pub enum Column {
    Data,
    Net,
    Eps,
    Phase,
    Epoch,
    P,
    Certified,
    Trend,
    Clean,
    Attacked,
    Eta,
    Loss,
    Tags,
    Note,
    Best,
    Train,
    Surrogate,
    Trained,
    Speed,
    Lambda,
    Lr,
    Seed,
    Device,
    Added,
    Id,
}

/// What a column is about: it decides what a sentence, a variant or a group's figures may be written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What the runs of a sweep mostly have in common; the variant takes its place.
    Setting,
    /// What else tells runs apart.
    Identity,
    /// How far it has come; a sentence takes its place where the run does not simply train.
    Course,
    /// What came of it.
    Result,
}

/// How a column is shown.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Which.
    pub column: Column,
    /// What the settings call it.
    pub name: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// The heading where there is less room.
    pub short: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// Narrower than this it is not shown.
    pub least: u16,
    /// What it gets where there is room.
    pub good: u16,
    /// What it gets where there is room to spare.
    pub most: u16,
    /// Whether it ends at its right edge.
    pub right: bool,
    /// What it shows, in words.
    pub meaning: &'static str,
}

const fn spec(
    column: Column,
    [name, heading, short]: [&'static str; 3],
    subject: Subject,
    [least, good, most]: [u16; 3],
    right: bool,
    meaning: &'static str,
) -> Spec {
    Spec { column, name, heading, short, subject, least, good, most, right, meaning }
}

/// All columns, in the order in which they are given room.
pub static SPECS: &[Spec] = &{
    use Column as C;
    use Subject as S;
    [
        spec(
            C::Certified,
            ["certified", "certified", "cert"],
            S::Result,
            [6, 6, 6],
            true,
            "certified accuracy at p = ∞ and the config's ε, last evaluation",
        ),
        spec(C::Clean, ["clean"; 3], S::Result, [6, 6, 6], true, "clean accuracy at p = ∞, last evaluation"),
        spec(C::Epoch, ["epoch"; 3], S::Course, [8, 8, 10], true, "epochs done, of all"),
        spec(C::P, ["p"; 3], S::Course, [6, 6, 6], true, "the exponent in force"),
        spec(
            C::Eta,
            ["eta", "ETA", "ETA"],
            S::Course,
            [9, 9, 9],
            true,
            "training left; of a finished run, what it took",
        ),
        spec(
            C::Phase,
            ["phase"; 3],
            S::Course,
            [11, 14, 14],
            false,
            "the phase of the p-norm schedule, and a bar of the run",
        ),
        spec(
            C::Trend,
            ["trend", "", ""],
            S::Result,
            [8, 8, 16],
            false,
            "certified accuracy of the evaluations, as a line",
        ),
        spec(C::Eps, ["eps", "ε", "ε"], S::Setting, [6, 6, 6], true, "the radius ε that is certified"),
        spec(C::Data, ["data"; 3], S::Setting, [9, 9, 9], false, "the dataset"),
        spec(C::Net, ["net"; 3], S::Setting, [7, 7, 7], false, "depth × width of the net"),
        spec(
            C::Attacked,
            ["attacked", "attacked", "att"],
            S::Result,
            [8, 8, 8],
            true,
            "accuracy under all attacks at p = ∞, where the net was attacked",
        ),
        spec(C::Loss, ["loss"; 3], S::Result, [8, 8, 8], true, "the loss of the last epoch"),
        spec(
            C::Best,
            ["best"; 3],
            S::Result,
            [6, 6, 6],
            true,
            "the best certified accuracy of all evaluations; a choice, so no result",
        ),
        spec(C::Lambda, ["lambda", "λ", "λ"], S::Identity, [6, 6, 8], true, "the weight λ of the loss at the start"),
        spec(C::Lr, ["lr"; 3], S::Identity, [6, 6, 8], true, "the learning rate at the start"),
        spec(C::Seed, ["seed"; 3], S::Identity, [5, 5, 8], true, "the seed"),
        spec(C::Train, ["train"; 3], S::Result, [6, 6, 6], true, "accuracy on the training images, last epoch"),
        spec(
            C::Surrogate,
            ["surrogate", "surrogate", "surr"],
            S::Result,
            [6, 9, 9],
            true,
            "surrogate certified accuracy at finite p on training images: no certificate",
        ),
        spec(C::Trained, ["trained"; 3], S::Identity, [8, 8, 9], true, "time spent training"),
        spec(C::Speed, ["speed", "steps/s", "st/s"], S::Identity, [6, 7, 7], true, "steps a second, while it trains"),
        spec(C::Id, ["id", "#", "#"], S::Identity, [6, 6, 6], true, "the run's number"),
        spec(C::Added, ["added"; 3], S::Identity, [12, 12, 12], false, "when it was added"),
        spec(C::Tags, ["tags"; 3], S::Identity, [8, 14, 30], false, "its tags"),
        spec(C::Device, ["device"; 3], S::Identity, [8, 16, 30], false, "the device it trains on"),
        spec(C::Note, ["note"; 3], S::Identity, [10, 24, 200], false, "its note"),
    ]
};

impl Column {
    /// How it is shown.
    pub fn spec(self) -> &'static Spec {
        // Every column has its line in the table, which a test makes sure of; the first line stands in for none.
        SPECS.iter().find(|spec| spec.column == self).unwrap_or(&SPECS[0])
    }

    /// What the settings call it.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether the list can be sorted by it: the trend is a curve, and the phase follows from the epoch.
    pub fn sorts(self) -> bool {
        !matches!(self, Column::Trend | Column::Phase)
    }
}
