//! The log of a run.

use std::sync::Arc;

use linf::experiment::RunId;
use linf::tui::message::Msg;
use linf::tui::model::Model;
use linf::tui::update::update;
use ratatui::style::Color;

use crate::fixture::{fresh, press, screen};

#[test]
fn the_log_is_searched() {
    let mut model = fresh();
    let log =
        linf::tui::known::LogTail::from_bytes("line\n".repeat(200).replacen("line", "needle", 1).as_bytes(), false);
    update(&mut model, Msg::Log(RunId(1), Arc::new(log)));
    press(&mut model, "<enter>6/needle<enter>");
    assert!(screen(&model).contains("line 1 of 200"), "{}", screen(&model));
    press(&mut model, "/haystack<enter>");
    assert!(screen(&model).contains("nothing in the log matches"));
}

#[test]
fn the_log_is_as_coloured_as_it_was_printed_and_does_nothing_else() {
    let mut model = fresh();
    let raw = b"plain \x1b[31mred\x1b[0m \x1b]52;c;AAAA\x07\x1b[2J\x1b[?1049lnothing\nfound here\n";
    let log = linf::tui::known::LogTail::from_bytes(raw, false);
    update(&mut model, Msg::Log(RunId(1), Arc::new(log)));
    press(&mut model, "<enter>6");
    assert!(screen(&model).contains("\n plain red nothing\n found here\n"), "{}", screen(&model));
    let cell = |model: &Model, x: u16, y: u16| crate::fixture::drawn(model)[(x, y)].clone();
    assert_eq!((cell(&model, 7, 3).symbol(), cell(&model, 7, 3).fg), ("r", Color::Red));
    assert_eq!(cell(&model, 1, 3).fg, Color::Reset);
    // What is found is laid on the selection, and keeps its colour.
    press(&mut model, "/red<enter>");
    assert_eq!(cell(&model, 7, 3).fg, Color::Red);
    assert_ne!(cell(&model, 7, 3).bg, Color::Reset);
}
