//! The model as a state machine: keys and news in, effects out. Other subjects have files of their own.

use linf::experiment::RunId;
use linf::tui::message::{Effect, Interest};
use linf::tui::model::Screen;

use crate::fixture::{RICH, fresh, model, press, screen};

#[test]
fn what_is_looked_at_is_followed() {
    let mut model = fresh();
    assert_eq!(model.following.runs, [RunId(1)]);
    let effects = press(&mut model, "j");
    assert!(matches!(&effects[..], [Effect::Follow(interest)] if interest.runs == [RunId(2)]));
    press(&mut model, "<enter>6");
    assert_eq!(model.following, Interest { runs: vec![RunId(2)], log: Some(RunId(2)), ..Interest::default() });
    press(&mut model, "2");
    assert_eq!(model.following.certificates, Some(RunId(2)));
    press(&mut model, "<esc>m");
    assert!(model.following.machine);
    assert_eq!(model.following.runs, [RunId(1), RunId(2)], "those that hold a slot");
}

#[test]
fn a_zoom_asks_for_the_steps_in_sight() {
    let mut model = fresh();
    press(&mut model, "<enter>+");
    let (from, to) = model.following.steps.unwrap();
    assert!(from > 0 && to < 28_200, "{from}..{to}");
    press(&mut model, "<esc>");
    assert_eq!(model.following.steps, None);
    assert!(matches!(model.screen, Screen::Run(_)), "the first escape gave up the zoom only");
    press(&mut model, "<esc>");
    assert!(matches!(model.screen, Screen::Runs));
}

#[test]
fn the_palette_and_the_help_do_what_they_name() {
    let mut model = fresh();
    press(&mut model, ":queue and machine<enter>");
    assert!(matches!(model.screen, Screen::Queue(_)));
    press(&mut model, "<esc>?bottom<enter>");
    assert!(model.dialog.is_none());
    assert_eq!(model.list.selected_run(), Some(RunId(4)));
}

#[test]
fn a_typed_radius_moves_the_slider() {
    let mut model = fresh();
    press(&mut model, "<enter>2e8/255<enter>");
    assert!(screen(&model).contains("at ε = 0.0314"), "{}", screen(&model));
    press(&mut model, "e2<enter>");
    assert!(screen(&model).contains("is not a radius"));
}

#[test]
fn copying_the_comparison_gives_markdown() {
    let mut model = fresh();
    let effects = press(&mut model, "  cY");
    let text = effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text),
        _ => None,
    });
    assert!(text.unwrap().contains("| brisk-otter |  | 0.9642 | – | 0.7949 |"));
}

#[test]
fn quitting_and_stopping_are_effects() {
    assert!(matches!(press(&mut fresh(), "q")[..], [Effect::Quit]));
    assert!(matches!(press(&mut fresh(), "<^z>")[..], [Effect::Suspend]));
    assert!(matches!(press(&mut fresh(), "?<^c><^c>")[..], [Effect::Quit]));
}

#[test]
fn the_header_of_a_run_tells_its_figures_before_it_writes_words_out() {
    let header = |width: u16| {
        let mut model = model(RICH, (width, 30));
        press(&mut model, "/name:dove<enter><enter>");
        screen(&model).lines().nth(1).unwrap().to_owned()
    };
    let (narrow, middle, wide) = (header(80), header(120), header(160));
    assert!(wide.contains("completed") && wide.contains("Certificates"), "{wide}");
    for line in [wide, middle.clone()] {
        assert!(line.ends_with("attacked 0.9312  certified 0.9098"), "{line}");
    }
    assert!(middle.contains("2Certs") && !middle.contains("completed"), "{middle}");
    assert!(!narrow.contains("0.9312") && narrow.contains("7Events"), "{narrow}");
}
