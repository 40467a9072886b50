//! The mouse: whatever stands where it clicks is chosen, on every screen, whatever its size.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use linf::experiment::RunId;
use linf::tui::machine::Machine;
use linf::tui::message::{Effect, Msg};
use linf::tui::model::{Model, Screen};
use linf::tui::update::update;

use crate::fixture::{RICH, model, press, screen};

fn send(model: &mut Model, kind: MouseEventKind, column: u16, row: u16) -> Vec<Effect> {
    update(model, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
}

/// Clicks on the first place of the screen where `text` stands.
fn click_on(model: &mut Model, text: &str) -> Vec<Effect> {
    let shown = screen(model);
    let place = |(row, line): (usize, &str)| Some((line[..line.find(text)?].chars().count() as u16, row as u16));
    let (column, row) = shown.lines().enumerate().find_map(place).unwrap_or_else(|| panic!("no {text} in\n{shown}"));
    send(model, MouseEventKind::Down(MouseButton::Left), column, row)
}

fn chosen(model: &Model) -> String {
    screen(model).lines().skip(1).find(|line| line.contains('▸')).unwrap_or_default().to_owned()
}

#[test]
fn a_click_chooses_a_run() {
    let mut model = model(RICH, (120, 40));
    click_on(&mut model, "sharp-bat");
    assert_eq!(model.list.selected_run(), Some(RunId(8)));
    assert_eq!(model.following.runs, [RunId(8)], "and it is followed");
    // The lines above the list and below it choose nothing.
    for row in [0, 1, 2, 30, 39] {
        send(&mut model, MouseEventKind::Down(MouseButton::Left), 5, row);
        assert_eq!(model.list.selected_run(), Some(RunId(8)), "row {row}");
    }
    send(&mut model, MouseEventKind::Down(MouseButton::Right), 5, 3);
    send(&mut model, MouseEventKind::Moved, 5, 3);
    assert_eq!(model.list.selected_run(), Some(RunId(8)));
    // In a list that is scrolled, too.
    let mut low = crate::fixture::model(RICH, (120, 9));
    press(&mut low, "G");
    let first = screen(&low).lines().nth(5).unwrap().to_owned();
    send(&mut low, MouseEventKind::Down(MouseButton::Left), 5, 5);
    assert!(first.contains(&low.known.rows[&low.list.selected_run().unwrap()].name), "{first}");
}

#[test]
fn a_click_on_a_tab_switches_to_it() {
    for width in [80, 120, 200] {
        let mut model = model(RICH, (width, 30));
        press(&mut model, "<enter>");
        for (name, shown) in [("Log", "following"), ("Config", "784-512×4-10"), ("Events", "p begins to climb")] {
            click_on(&mut model, name);
            assert!(screen(&model).contains(shown), "{name} at {width}: {}", screen(&model));
        }
        send(&mut model, MouseEventKind::Down(MouseButton::Left), 1, 1);
        assert!(screen(&model).contains("p begins to climb"), "its name is no tab");
    }
}

#[test]
fn a_click_chooses_in_the_queue_and_among_the_images() {
    let mut model = model(RICH, (120, 30));
    press(&mut model, "m");
    for machine in [None, Some(Machine { cores: vec![0.5; 4], ..Machine::default() })] {
        machine.map(|machine| update(&mut model, Msg::Machine(machine)));
        for name in ["hardy-auk", "brisk-otter", "sharp-bat"] {
            click_on(&mut model, name);
            assert!(chosen(&model).contains(name), "{}", screen(&model));
        }
    }
    press(&mut model, "<esc><enter>3");
    let line = screen(&model).lines().nth(9).unwrap().to_owned();
    send(&mut model, MouseEventKind::Down(MouseButton::Left), 12, 9);
    assert_eq!(chosen(&model).split_whitespace().nth(1), line.split_whitespace().next(), "{line}");
    let before = chosen(&model);
    send(&mut model, MouseEventKind::Down(MouseButton::Left), 80, 12);
    assert_eq!(chosen(&model), before, "the picture is no list");
}

#[test]
fn the_wheel_scrolls_what_is_in_front() {
    let mut model = model(RICH, (120, 40));
    send(&mut model, MouseEventKind::ScrollDown, 0, 0);
    assert_eq!(model.list.selected_run(), Some(RunId(8)));
    send(&mut model, MouseEventKind::ScrollUp, 0, 0);
    assert_eq!(model.list.selected_run(), Some(RunId(1)));
    press(&mut model, "?");
    let help = screen(&model);
    send(&mut model, MouseEventKind::ScrollDown, 0, 0);
    assert!(model.dialog.is_some());
    press(&mut model, "<up><up><up>");
    assert_eq!(screen(&model), help);
    // Behind a dialog nothing is clicked, and a question is not answered.
    press(&mut model, "<esc>x");
    click_on(&mut model, "yes");
    send(&mut model, MouseEventKind::ScrollDown, 0, 0);
    assert!(screen(&model).contains("Cancel brisk-otter?"));
    // Charts are zoomed.
    press(&mut model, "n<enter>");
    send(&mut model, MouseEventKind::ScrollUp, 0, 0);
    assert!(matches!(&model.screen, Screen::Run(run) if run.charts.lens.window.is_some()));
    send(&mut model, MouseEventKind::ScrollDown, 0, 0);
    assert!(matches!(&model.screen, Screen::Run(run) if run.charts.lens.window.is_none()));
}
