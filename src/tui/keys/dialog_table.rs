//! The keys of the dialogs that hold unless the settings say otherwise. Where text is typed none of them is a letter.

use crossterm::event::KeyCode;

use super::{
    Action, Binding, Place,
    table::{bind, code, ctrl, key},
};

/// The table, in the order of the help.
pub static TABLE: &[Binding] = &{
    use Action as A;
    use KeyCode as K;
    use Place as P;
    [
        bind(P::Confirm, "yes", &[key('y'), key('Y')], A::Accept, "", "Yes: do it"),
        bind(P::Confirm, "no", &[key('n'), key('N')], A::Close, "", "No: leave things as they are"),
        bind(P::Add, "edit-config", &[key('e')], A::Edit, "", "Open the config in an editor"),
        bind(
            P::Add,
            "change-keys",
            &[code(K::Tab), code(K::BackTab)],
            A::Switch,
            "",
            "Change keys of the config, or go on where that was left",
        ),
        bind(P::Add, "queue", &[ctrl('s')], A::Queue, "", "Queue what would be queued"),
        bind(P::Add, "dry-run", &[ctrl('d')], A::DryRun, "", "List what would be queued, and queue nothing"),
        bind(
            P::Changes,
            "complete",
            &[code(K::Tab)],
            A::Complete,
            "",
            "Complete what is typed as far as is clear, or go through what may be meant",
        ),
        bind(P::Changes, "choose-config", &[code(K::BackTab)], A::Switch, "", "Back to the configs"),
        bind(P::Changes, "next-line", &[code(K::Down)], A::Down, "", "The next line, or what was typed later"),
        bind(P::Changes, "previous-line", &[code(K::Up)], A::Up, "", "The previous line, or what was typed earlier"),
        bind(P::Changes, "queue", &[ctrl('s')], A::Queue, "", "Queue what would be queued"),
        bind(P::Changes, "dry-run", &[ctrl('d')], A::DryRun, "", "List what would be queued, and queue nothing"),
        bind(P::DryRun, "queue", &[ctrl('s')], A::Queue, "", "Queue what would be queued"),
        bind(P::Columns, "show-column", &[key(' ')], A::Mark, "", "Show the column, or hide it"),
        bind(P::Columns, "column-back", &[key('J')], A::Later, "", "Move the column to the right"),
        bind(P::Columns, "column-forward", &[key('K')], A::Earlier, "", "Move the column to the left"),
        bind(P::Columns, "narrower", &[key('h'), code(K::Left)], A::Left, "", "Make the column narrower"),
        bind(P::Columns, "wider", &[key('l'), code(K::Right)], A::Right, "", "Make the column wider"),
        bind(P::Columns, "own-width", &[key('=')], A::OwnWidth, "", "Give the column the width of its contents"),
        bind(P::Columns, "sort-by-column", &[key('s')], A::Sort, "", "Sort by the column, or turn the order round"),
        bind(P::Columns, "default-columns", &[key('d')], A::Defaults, "", "Take the default columns"),
        bind(
            P::Prompt,
            "complete",
            &[code(K::Tab)],
            A::Complete,
            "",
            "Complete what is typed as far as is clear, or go through what may be meant",
        ),
        bind(P::Prompt, "complete-back", &[code(K::BackTab)], A::CompleteBack, "", "Go back through what may be meant"),
        bind(P::Prompt, "next-line", &[code(K::Down)], A::Down, "", "The next line, or what was typed later"),
        bind(P::Prompt, "previous-line", &[code(K::Up)], A::Up, "", "The previous line, or what was typed earlier"),
        bind(P::Find, "next-line", &[code(K::Down)], A::Down, "", "The next line, or what was typed later"),
        bind(P::Find, "previous-line", &[code(K::Up)], A::Up, "", "The previous line, or what was typed earlier"),
        bind(
            P::Dialog,
            "accept",
            &[code(K::Enter)],
            A::Accept,
            "",
            "Take it: agree, go on, do what is chosen, take what is typed",
        ),
        bind(
            P::Dialog,
            "close",
            &[code(K::Esc)],
            A::Close,
            "",
            "Go back in the dialog, and out of it; nothing is done",
        ),
        bind(P::Dialog, "leave", &[ctrl('c')], A::Leave, "", "Out of the dialog at once; nothing is done"),
    ]
};
