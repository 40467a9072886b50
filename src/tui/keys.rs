//! The one table of keys: it decides what a key does, and the help, the palette and the hint bar are read from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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
    /// Its heading in the help.
    pub fn heading(self) -> &'static str {
        match self {
            Place::Runs => "Runs",
            Place::Run => "One run",
            Place::Charts => "Charts",
            Place::Certificates => "Certificates",
            Place::Samples => "Samples",
            Place::Log => "Log",
            Place::Compare => "Compare",
            Place::Machine => "Queue and machine",
            Place::Everywhere => "Everywhere",
        }
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below explains each in words that the help shows")]
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
    Earlier,
    Later,
    RaisePriority,
    LowerPriority,
    Copy,
}

/// A key with its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    code: KeyCode,
    control: bool,
}

impl Chord {
    /// The chord of a key event. Shift is already in the letter.
    pub fn of(event: &KeyEvent) -> Chord {
        Chord { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) }
    }
}

impl std::fmt::Display for Chord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.code {
            KeyCode::Char(' ') => "space".into(),
            KeyCode::Char(letter) if self.control => format!("^{letter}"),
            KeyCode::Char(letter) => letter.to_string(),
            KeyCode::Enter => "enter".into(),
            KeyCode::Esc => "esc".into(),
            KeyCode::Tab => "tab".into(),
            KeyCode::BackTab => "shift-tab".into(),
            KeyCode::Up => "↑".into(),
            KeyCode::Down => "↓".into(),
            KeyCode::Left => "←".into(),
            KeyCode::Right => "→".into(),
            KeyCode::Home => "home".into(),
            KeyCode::End => "end".into(),
            KeyCode::PageUp => "page up".into(),
            KeyCode::PageDown => "page down".into(),
            other => format!("{other:?}").to_lowercase(),
        };
        f.pad(&name)
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    /// Where it holds.
    pub place: Place,
    /// The keys, the most natural first.
    pub keys: &'static [Chord],
    /// What they do.
    pub action: Action,
    /// One or two words for the hint bar; empty keeps it out.
    pub hint: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

const fn key(letter: char) -> Chord {
    Chord { code: KeyCode::Char(letter), control: false }
}

const fn ctrl(letter: char) -> Chord {
    Chord { code: KeyCode::Char(letter), control: true }
}

const fn code(code: KeyCode) -> Chord {
    Chord { code, control: false }
}

const fn bind(place: Place, keys: &'static [Chord], action: Action, hint: &'static str, help: &'static str) -> Binding {
    Binding { place, keys, action, hint, help }
}

/// The table. Its order is the order of the help and of the hint bar.
pub static TABLE: &[Binding] = &{
    use Action as A;
    use KeyCode as K;
    use Place as P;
    [
        bind(P::Runs, &[key('a')], A::Add, "add", "Add a run or a sweep"),
        bind(P::Runs, &[code(K::Enter)], A::Open, "open", "Open the run, or fold the group"),
        bind(P::Runs, &[key(' ')], A::Mark, "mark", "Mark the run; what follows is done to all marked ones"),
        bind(P::Runs, &[key('p')], A::Pause, "pause", "Pause: checkpoint, leave the device free"),
        bind(P::Runs, &[key('r')], A::Resume, "resume", "Resume from the last checkpoint; retry a failed run"),
        bind(P::Runs, &[key('x')], A::Cancel, "cancel", "Cancel: checkpoint and stop; it can still be resumed"),
        bind(P::Runs, &[key('c')], A::Compare, "compare", "Compare the marked runs, or the runs of the group"),
        bind(
            P::Runs,
            &[key('/')],
            A::Filter,
            "filter",
            "Filter: words, state:live, tag:paper, certified>0.9, -not, or",
        ),
        bind(P::Runs, &[key('s')], A::Sort, "sort", "Sort by the next column"),
        bind(P::Runs, &[key('S')], A::ReverseSort, "", "Turn the order round"),
        bind(P::Runs, &[key('z')], A::Fold, "", "Fold or unfold all groups"),
        bind(P::Runs, &[key('m')], A::Machine, "machine", "Queue and machine: slots, devices, why each run waits"),
        bind(P::Runs, &[key('t')], A::Tags, "", "Set the run's tags"),
        bind(P::Runs, &[key('n')], A::Note, "", "Write a note on the run"),
        bind(P::Runs, &[key('*')], A::MarkAll, "", "Mark all runs shown, or none"),
        bind(P::Runs, &[key('y')], A::Copy, "", "Copy the run's name to the clipboard of your terminal"),
        bind(P::Charts, &[key('x')], A::AxisX, "x axis", "The x axis: epoch, step, time or p"),
        bind(P::Charts, &[key('y')], A::LogY, "log y", "The losses on a logarithmic or an even axis"),
        bind(
            P::Charts,
            &[code(K::Left), key('h')],
            A::Left,
            "cursor",
            "Move the cursor that reads all curves to the left",
        ),
        bind(P::Charts, &[code(K::Right), key('l')], A::Right, "", "Move the cursor to the right"),
        bind(P::Charts, &[key('+'), key('=')], A::ZoomIn, "zoom", "Zoom in around the cursor"),
        bind(P::Charts, &[key('-')], A::ZoomOut, "", "Zoom out"),
        bind(P::Charts, &[key('H')], A::FarLeft, "", "Pan to the left"),
        bind(P::Charts, &[key('L')], A::FarRight, "", "Pan to the right"),
        bind(P::Charts, &[key('m')], A::Smooth, "smooth", "Smooth more, less or not; the raw curve stays visible"),
        bind(P::Charts, &[key('f')], A::FitY, "fit", "Fit the accuracy axis to the curves, or show 0 to 1"),
        bind(P::Charts, &[code(K::Enter)], A::Open, "maximise", "Maximise the chart, or show all of them"),
        bind(P::Certificates, &[code(K::Left), key('h')], A::Left, "ε", "Smaller ε"),
        bind(P::Certificates, &[code(K::Right), key('l')], A::Right, "", "Larger ε"),
        bind(P::Certificates, &[key('H')], A::FarLeft, "", "Much smaller ε"),
        bind(P::Certificates, &[key('L')], A::FarRight, "", "Much larger ε"),
        bind(P::Certificates, &[key('e')], A::TypeRadius, "type ε", "Type an ε such as 0.3 or 8/255"),
        bind(P::Samples, &[key('s')], A::SortSamples, "order", "Order: weakest, nearest to ε, strongest, by number"),
        bind(
            P::Samples,
            &[key('f')],
            A::FitY,
            "which",
            "Show all images, the correct, the wrong or the uncertified ones",
        ),
        bind(P::Log, &[key('f')], A::Follow, "follow", "Follow the end of the log"),
        bind(P::Log, &[key('/')], A::Search, "search", "Search the log"),
        bind(P::Log, &[key('n')], A::SearchNext, "next", "The next place that matches"),
        bind(P::Log, &[key('N')], A::SearchPrevious, "", "The previous place that matches"),
        bind(P::Log, &[key('w')], A::Wrap, "wrap", "Wrap long lines, or cut them"),
        bind(P::Run, &[code(K::Tab)], A::NextTab, "next tab", "The next tab"),
        bind(P::Run, &[code(K::BackTab)], A::PreviousTab, "", "The previous tab"),
        bind(P::Run, &[key('1')], A::Tab(0), "", "Charts"),
        bind(P::Run, &[key('2')], A::Tab(1), "", "Certificates"),
        bind(P::Run, &[key('3')], A::Tab(2), "", "Samples"),
        bind(P::Run, &[key('4')], A::Tab(3), "", "Checkpoints"),
        bind(P::Run, &[key('5')], A::Tab(4), "", "Config"),
        bind(P::Run, &[key('6')], A::Tab(5), "", "Log"),
        bind(P::Run, &[key('7')], A::Tab(6), "", "Events"),
        bind(P::Run, &[key('p')], A::Pause, "pause", "Pause: checkpoint, leave the device free"),
        bind(P::Run, &[key('r')], A::Resume, "resume", "Resume from the last checkpoint; retry a failed run"),
        bind(P::Run, &[key('X')], A::Cancel, "cancel", "Cancel: checkpoint and stop; it can still be resumed"),
        bind(P::Run, &[key(']')], A::NextRun, "", "The next run of the list"),
        bind(P::Run, &[key('[')], A::PreviousRun, "", "The previous run of the list"),
        bind(
            P::Compare,
            &[key('Y')],
            A::Copy,
            "copy table",
            "Copy the table as Markdown to the clipboard of your terminal",
        ),
        bind(P::Machine, &[code(K::Enter)], A::Open, "open", "Open the run"),
        bind(P::Machine, &[key('p')], A::Pause, "pause", "Pause: checkpoint, leave the device free"),
        bind(P::Machine, &[key('r')], A::Resume, "resume", "Resume from the last checkpoint; retry a failed run"),
        bind(P::Machine, &[key('x')], A::Cancel, "cancel", "Cancel: checkpoint and stop; it can still be resumed"),
        bind(P::Machine, &[key('K')], A::Earlier, "earlier", "Move the run up in the queue"),
        bind(P::Machine, &[key('J')], A::Later, "later", "Move the run down in the queue"),
        bind(P::Machine, &[key('+'), key('=')], A::RaisePriority, "priority", "Raise the run's priority"),
        bind(P::Machine, &[key('-')], A::LowerPriority, "", "Lower the run's priority"),
        bind(P::Everywhere, &[key('j'), code(K::Down)], A::Down, "", "Down; in charts: the next chart"),
        bind(P::Everywhere, &[key('k'), code(K::Up)], A::Up, "", "Up; in charts: the previous chart"),
        bind(P::Everywhere, &[key('g'), code(K::Home)], A::Top, "", "To the top"),
        bind(P::Everywhere, &[key('G'), code(K::End)], A::Bottom, "", "To the bottom"),
        bind(P::Everywhere, &[ctrl('d'), code(K::PageDown)], A::PageDown, "", "Half a page down"),
        bind(P::Everywhere, &[ctrl('u'), code(K::PageUp)], A::PageUp, "", "Half a page up"),
        bind(
            P::Everywhere,
            &[code(K::Esc), code(K::Backspace)],
            A::Back,
            "",
            "Back: out of a cursor, a zoom, a filter, a screen",
        ),
        bind(P::Everywhere, &[key(':')], A::Palette, "", "Find a command by its name"),
        bind(P::Everywhere, &[key('?')], A::Help, "", "This help"),
        bind(P::Everywhere, &[ctrl('l')], A::Redraw, "", "Draw the screen anew"),
        bind(P::Everywhere, &[ctrl('z')], A::Suspend, "", "Suspend; fg comes back"),
        bind(P::Everywhere, &[key('q'), ctrl('c')], A::Quit, "", "Quit; what runs and waits goes on"),
    ]
};

/// What a key does in the first of `places` that knows it.
pub fn action(places: &[Place], chord: Chord) -> Option<Action> {
    places
        .iter()
        .find_map(|place| TABLE.iter().find(|binding| binding.place == *place && binding.keys.contains(&chord)))
        .map(|binding| binding.action)
}

/// The bindings that hold in `places`, innermost first; those hidden by an inner place are left out.
pub fn bindings(places: &[Place]) -> impl Iterator<Item = &'static Binding> {
    places
        .iter()
        .flat_map(|place| TABLE.iter().filter(move |binding| binding.place == *place))
        .filter(|binding| action(places, binding.keys[0]) == Some(binding.action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (index, one) in TABLE.iter().enumerate() {
            assert!(!one.keys.is_empty() && !one.help.is_empty(), "{one:?}");
            for other in TABLE[index + 1..].iter().filter(|other| other.place == one.place) {
                assert!(!one.keys.iter().any(|key| other.keys.contains(key)), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn the_innermost_place_decides() {
        let x = Chord { code: KeyCode::Char('x'), control: false };
        assert_eq!(action(&[Place::Charts, Place::Run, Place::Everywhere], x), Some(Action::AxisX));
        assert_eq!(action(&[Place::Runs, Place::Everywhere], x), Some(Action::Cancel));
        assert!(bindings(&[Place::Charts, Place::Everywhere]).all(|binding| binding.place != Place::Runs));
    }
}
