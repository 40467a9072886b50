//! The keys that hold unless the settings say otherwise.

use std::borrow::Cow;

use crossterm::event::KeyCode;

use super::{Action, Binding, Chord, Place};

const fn key(letter: char) -> Chord {
    Chord { code: KeyCode::Char(letter), control: false }
}

const fn ctrl(letter: char) -> Chord {
    Chord { code: KeyCode::Char(letter), control: true }
}

const fn code(code: KeyCode) -> Chord {
    Chord { code, control: false }
}

const fn bind(
    place: Place,
    name: &'static str,
    keys: &'static [Chord],
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { place, name, keys: Cow::Borrowed(keys), action, hint, help }
}

/// The table. Its order is the order of the help and of the hint bar.
pub static TABLE: &[Binding] = &{
    use Action as A;
    use KeyCode as K;
    use Place as P;
    [
        bind(P::Runs, "add", &[key('a')], A::Add, "add", "Add a run or a sweep"),
        bind(P::Runs, "open", &[code(K::Enter)], A::Open, "open", "Open the run, or fold the group"),
        bind(P::Runs, "mark", &[key(' ')], A::Mark, "mark", "Mark the run; what follows is done to all marked ones"),
        bind(P::Runs, "pause", &[key('p')], A::Pause, "pause", "Pause: checkpoint, leave the device free"),
        bind(
            P::Runs,
            "resume",
            &[key('r')],
            A::Resume,
            "resume",
            "Resume from the last checkpoint; retry a failed run",
        ),
        bind(
            P::Runs,
            "cancel",
            &[key('x')],
            A::Cancel,
            "cancel",
            "Cancel: checkpoint and stop; it can still be resumed",
        ),
        bind(
            P::Runs,
            "compare",
            &[key('c')],
            A::Compare,
            "compare",
            "Compare the marked runs, or the runs of the group",
        ),
        bind(
            P::Runs,
            "filter",
            &[key('/')],
            A::Filter,
            "filter",
            "Filter: words, state:live, tag:paper, certified>0.9, -not, or, /regex/",
        ),
        bind(P::Runs, "sort", &[key('s')], A::Sort, "sort", "Sort by the next column"),
        bind(P::Runs, "reverse-sort", &[key('S')], A::ReverseSort, "", "Turn the order round"),
        bind(P::Runs, "fold", &[key('z')], A::Fold, "", "Fold or unfold all groups"),
        bind(
            P::Runs,
            "columns",
            &[key('C')],
            A::Columns,
            "",
            "Choose the columns, their order, their widths, and which one sorts",
        ),
        bind(
            P::Runs,
            "machine",
            &[key('m')],
            A::Machine,
            "machine",
            "Queue and machine: slots, devices, why each run waits",
        ),
        bind(P::Runs, "tags", &[key('t')], A::Tags, "", "Set the run's tags"),
        bind(P::Runs, "note", &[key('n')], A::Note, "", "Write a note on the run"),
        bind(
            P::Runs,
            "archive",
            &[key('A')],
            A::Archive,
            "",
            "Put the run away, or bring it back; the filter tag:archived shows what was put away",
        ),
        bind(
            P::Runs,
            "delete",
            &[key('D')],
            A::Delete,
            "",
            "Delete the run with all it holds; nothing is gone for a quarter of a minute",
        ),
        bind(P::Runs, "mark-all", &[key('*')], A::MarkAll, "", "Mark all runs shown, or none"),
        bind(P::Runs, "copy-name", &[key('y')], A::Copy, "", "Copy the run's name to the clipboard of your terminal"),
        bind(P::Charts, "x-axis", &[key('x')], A::AxisX, "x axis", "The x axis: epoch, step, time or p"),
        bind(P::Charts, "log-y", &[key('y')], A::LogY, "log y", "The losses on a logarithmic or an even axis"),
        bind(
            P::Charts,
            "cursor-left",
            &[code(K::Left), key('h')],
            A::Left,
            "cursor",
            "Move the cursor that reads all curves to the left",
        ),
        bind(P::Charts, "cursor-right", &[code(K::Right), key('l')], A::Right, "", "Move the cursor to the right"),
        bind(P::Charts, "zoom-in", &[key('+'), key('=')], A::ZoomIn, "zoom", "Zoom in around the cursor"),
        bind(P::Charts, "zoom-out", &[key('-')], A::ZoomOut, "", "Zoom out"),
        bind(P::Charts, "pan-left", &[key('H')], A::FarLeft, "", "Pan to the left"),
        bind(P::Charts, "pan-right", &[key('L')], A::FarRight, "", "Pan to the right"),
        bind(
            P::Charts,
            "smooth",
            &[key('m')],
            A::Smooth,
            "smooth",
            "Smooth more, less or not; the raw curve stays visible",
        ),
        bind(P::Charts, "fit", &[key('f')], A::FitY, "fit", "Fit the accuracy axis to the curves, or show 0 to 1"),
        bind(P::Charts, "maximise", &[code(K::Enter)], A::Open, "maximise", "Maximise the chart, or show all of them"),
        bind(P::Certificates, "smaller-radius", &[code(K::Left), key('h')], A::Left, "ε", "Smaller ε"),
        bind(P::Certificates, "larger-radius", &[code(K::Right), key('l')], A::Right, "", "Larger ε"),
        bind(P::Certificates, "much-smaller-radius", &[key('H')], A::FarLeft, "", "Much smaller ε"),
        bind(P::Certificates, "much-larger-radius", &[key('L')], A::FarRight, "", "Much larger ε"),
        bind(P::Certificates, "type-radius", &[key('e')], A::TypeRadius, "type ε", "Type an ε such as 0.3 or 8/255"),
        bind(
            P::Samples,
            "sort-samples",
            &[key('s')],
            A::SortSamples,
            "order",
            "Order: weakest, nearest to ε, strongest, by number",
        ),
        bind(
            P::Samples,
            "choose-samples",
            &[key('f')],
            A::FitY,
            "which",
            "Show all images, the uncertified, the broken, the wrong or the certified ones",
        ),
        bind(
            P::Checkpoints,
            "fork",
            &[key('f')],
            A::Fork,
            "fork",
            "Fork: queue a new run that goes on from the checkpoint, with a changed config",
        ),
        bind(
            P::Checkpoints,
            "certify",
            &[key('c')],
            A::Certify,
            "certify",
            "Certify the net of the checkpoint at the config's ε, at low priority",
        ),
        bind(
            P::Checkpoints,
            "export",
            &[key('e')],
            A::Export,
            "export",
            "Export the net of the checkpoint and what is proved of it into one file",
        ),
        bind(
            P::Checkpoints,
            "copy-hash",
            &[key('y')],
            A::Copy,
            "",
            "Copy the hash of the checkpoint to the clipboard of your terminal",
        ),
        bind(P::Log, "follow", &[key('f')], A::Follow, "follow", "Follow the end of the log"),
        bind(P::Log, "search", &[key('/')], A::Search, "search", "Search the log"),
        bind(P::Log, "search-next", &[key('n')], A::SearchNext, "next", "The next place that matches"),
        bind(P::Log, "search-previous", &[key('N')], A::SearchPrevious, "", "The previous place that matches"),
        bind(P::Log, "wrap", &[key('w')], A::Wrap, "wrap", "Wrap long lines, or cut them"),
        bind(P::Run, "next-tab", &[code(K::Tab)], A::NextTab, "next tab", "The next tab"),
        bind(P::Run, "previous-tab", &[code(K::BackTab)], A::PreviousTab, "", "The previous tab"),
        bind(P::Run, "show-charts", &[key('1')], A::Tab(0), "", "Charts"),
        bind(P::Run, "show-certificates", &[key('2')], A::Tab(1), "", "Certificates"),
        bind(P::Run, "show-samples", &[key('3')], A::Tab(2), "", "Samples"),
        bind(P::Run, "show-checkpoints", &[key('4')], A::Tab(3), "", "Checkpoints"),
        bind(P::Run, "show-config", &[key('5')], A::Tab(4), "", "Config"),
        bind(P::Run, "show-log", &[key('6')], A::Tab(5), "", "Log"),
        bind(P::Run, "show-events", &[key('7')], A::Tab(6), "", "Events"),
        bind(P::Run, "pause", &[key('p')], A::Pause, "pause", "Pause: checkpoint, leave the device free"),
        bind(P::Run, "resume", &[key('r')], A::Resume, "resume", "Resume from the last checkpoint; retry a failed run"),
        bind(
            P::Run,
            "cancel-run",
            &[key('X')],
            A::Cancel,
            "cancel",
            "Cancel: checkpoint and stop; it can still be resumed",
        ),
        bind(P::Run, "next-run", &[key(']')], A::NextRun, "", "The next run of the list"),
        bind(P::Run, "previous-run", &[key('[')], A::PreviousRun, "", "The previous run of the list"),
        bind(
            P::Compare,
            "copy-table",
            &[key('Y')],
            A::Copy,
            "copy table",
            "Copy the table as Markdown to the clipboard of your terminal",
        ),
        bind(P::Compare, "copy-latex", &[key('T')], A::CopyLatex, "", "Copy the table as LaTeX (booktabs)"),
        bind(
            P::Compare,
            "bands",
            &[key('b')],
            A::Gather,
            "bands",
            "Draw each run, or as one band the runs that differ in their seed alone, or those of a sweep",
        ),
        bind(P::Machine, "open", &[code(K::Enter)], A::Open, "open", "Open the run"),
        bind(P::Machine, "pause", &[key('p')], A::Pause, "pause", "Pause: checkpoint, leave the device free"),
        bind(
            P::Machine,
            "resume",
            &[key('r')],
            A::Resume,
            "resume",
            "Resume from the last checkpoint; retry a failed run",
        ),
        bind(
            P::Machine,
            "cancel",
            &[key('x')],
            A::Cancel,
            "cancel",
            "Cancel: checkpoint and stop; it can still be resumed",
        ),
        bind(P::Machine, "earlier", &[key('K')], A::Earlier, "earlier", "Move the run up in the queue"),
        bind(P::Machine, "later", &[key('J')], A::Later, "later", "Move the run down in the queue"),
        bind(
            P::Machine,
            "raise-priority",
            &[key('+'), key('=')],
            A::RaisePriority,
            "priority",
            "Raise the run's priority",
        ),
        bind(P::Machine, "lower-priority", &[key('-')], A::LowerPriority, "", "Lower the run's priority"),
        bind(P::Everywhere, "down", &[key('j'), code(K::Down)], A::Down, "", "Down; in charts: the next chart"),
        bind(P::Everywhere, "up", &[key('k'), code(K::Up)], A::Up, "", "Up; in charts: the previous chart"),
        bind(P::Everywhere, "top", &[key('g'), code(K::Home)], A::Top, "", "To the top"),
        bind(P::Everywhere, "bottom", &[key('G'), code(K::End)], A::Bottom, "", "To the bottom"),
        bind(P::Everywhere, "page-down", &[ctrl('d'), code(K::PageDown)], A::PageDown, "", "Half a page down"),
        bind(P::Everywhere, "page-up", &[ctrl('u'), code(K::PageUp)], A::PageUp, "", "Half a page up"),
        bind(
            P::Everywhere,
            "back",
            &[code(K::Esc), code(K::Backspace)],
            A::Back,
            "",
            "Back: out of a cursor, a zoom, a filter, a screen",
        ),
        bind(P::Everywhere, "undo", &[key('u')], A::Undo, "", "Take back: archive, delete, cancel of a queued run"),
        bind(P::Everywhere, "palette", &[key(':')], A::Palette, "", "Find a command by its name"),
        bind(P::Everywhere, "help", &[key('?')], A::Help, "", "This help"),
        bind(P::Everywhere, "redraw", &[ctrl('l')], A::Redraw, "", "Draw the screen anew"),
        bind(P::Everywhere, "suspend", &[ctrl('z')], A::Suspend, "", "Suspend; fg comes back"),
        bind(P::Everywhere, "quit", &[key('q'), ctrl('c')], A::Quit, "", "Quit; what runs and waits goes on"),
    ]
};
