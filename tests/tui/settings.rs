//! The screens under settings of one's own.

use std::sync::Arc;

use linf::tui::keys::Place;
use linf::tui::message::Effect;
use linf::tui::model::Model;
use linf::tui::settings::parse;

use crate::fixture::{RICH, model, press, screen};

fn set(text: &str) -> Model {
    let mut model = model(RICH, (120, 40));
    model.keys = Arc::new(parse(text, "config.toml").unwrap().keys);
    model
}

#[test]
fn other_keys_do_it_and_are_the_ones_shown() {
    let keys = "[keys]\npause = [\"P\", \"f5\"]\nquit = \"ctrl-q\"\nhelp = \"f1\"\nmark = \"v\"\nmachine = []\nshow-log = \"0\"\n\
                cursor-left = \"a\"\ncursor-right = \"d\"\nresume = \"R\"\ndown = \"n\"\nnote = []\nsearch-next = []\n";
    let mut model = set(keys);
    assert!(screen(&model).contains("· R resumes"));
    insta::assert_snapshot!("remapped_hints", screen(&model).lines().last().unwrap());
    assert!(press(&mut model, "qp?m").is_empty());
    assert!(matches!(&press(&mut model, "P")[..], [Effect::Desire(..)]));
    press(&mut model, ":paus");
    let found = screen(&model);
    assert!(found.contains("P          Pause: checkpoint"), "{found}");
    press(&mut model, "<esc>c");
    assert!(screen(&model).contains("mark two runs or more with v"));
    // What has lost its key is still a command.
    press(&mut model, ":slots<enter>");
    assert!(screen(&model).contains("earlier"));
    press(&mut model, "<esc>:this help<enter>");
    insta::assert_snapshot!("remapped_help", screen(&model));
    press(&mut model, "<esc><enter>");
    let run = screen(&model);
    assert!(run.contains("0 Log") && run.contains("a d cursor"), "{run}");
    press(&mut model, "0");
    assert!(screen(&model).contains("following"));
    assert!(matches!(&press(&mut model, "<^q>")[..], [Effect::Quit]));
}

#[test]
fn every_screen_is_among_those_that_conflicts_are_looked_for_on() {
    for keys in ["", "<enter>", "<enter>2", "<enter>3", "<enter>4", "<enter>5", "<enter>6", "<enter>7", "m", "jjjjjjc"]
    {
        let mut model = model(RICH, (120, 40));
        press(&mut model, keys);
        let places = model.places();
        assert!(Place::SCREENS.iter().any(|screen| **screen == places[..]), "{places:?}");
    }
}

#[test]
fn a_dialog_obeys_the_keys_that_opened_it() {
    let mut model = set("[keys]\nhelp = \"i\"\nquit = \"Q\"\ndown = \"v\"\n");
    press(&mut model, "i");
    assert!(screen(&model).contains("Add a run or a sweep"));
    press(&mut model, "i");
    assert!(!screen(&model).contains("Add a run or a sweep"));
    press(&mut model, "av");
    let dialog = screen(&model);
    assert!(dialog.contains("v k choose") && dialog.contains("▸mnist-cpu"), "{dialog}");
    press(&mut model, "Q");
    assert!(!screen(&model).contains("v k choose"));
}
