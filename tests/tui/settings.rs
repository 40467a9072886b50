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
        assert!(Place::TOGETHER.iter().any(|screen| **screen == places[..]), "{places:?}");
    }
    for keys in ["?", ":", "/", "x", "C", "a", "aj<enter>", "aj<^d>"] {
        let mut model = model(RICH, (120, 40));
        press(&mut model, keys);
        let places = model.dialog.as_ref().unwrap().places();
        assert!(Place::TOGETHER.contains(&places), "{places:?}");
    }
}

#[test]
fn dialogs_have_the_keys_that_the_settings_give_them_and_show_those() {
    let keys = "[keys]\nyes = \"J\"\nno = \"N\"\naccept = \"f2\"\nclose = [\"f3\", \"esc\"]\nqueue = \"ctrl-q\"\nedit-config = \"o\"\n\
                show-column = \"v\"\ncomplete = \"f4\"\nnext-line = [\"ctrl-n\", \"down\"]\ndefault-columns = []\n";
    let mut model = set(keys);
    press(&mut model, "x");
    assert!(screen(&model).contains("J yes   N no"), "{}", screen(&model));
    assert!(press(&mut model, "y").is_empty() && model.dialog.is_some(), "it is no key any more");
    assert!(matches!(&press(&mut model, "J")[..], [Effect::Desire(..)]));
    press(&mut model, "Cj");
    let shown = screen(&model);
    assert!(shown.contains("v show   J K move   h l width   = auto   s sort   f2 keep   f3 back"), "{shown}");
    press(&mut model, "v");
    assert!(!screen(&model).lines().nth(2).unwrap().contains("data"));
    press(&mut model, "<esc>a");
    assert!(screen(&model).contains("f2 change keys   o editor   ^q queue   ^d dry run   f3 close"));
    assert!(press(&mut model, "jo").iter().any(|effect| matches!(effect, Effect::Edit(_))));
    press(&mut model, "<tab>vJNo");
    let shown = screen(&model);
    assert!(
        shown.contains("vJNo") && shown.contains("f4 complete   ^q queue"),
        "letters that are typed are text: {shown}"
    );
    press(&mut model, "<^c>?");
    assert!(model.dialog.is_some());
    press(&mut model, "would be queued");
    let shown = screen(&model);
    assert!(
        shown.contains("New run") && shown.contains("Dry run") && shown.contains("^q           Queue what would"),
        "{shown}"
    );
}

#[test]
fn a_key_of_a_dialog_does_nothing_from_the_help() {
    let mut model = model(RICH, (120, 40));
    let effects = press(&mut model, "?hide it<enter>");
    assert!(effects.is_empty() && model.dialog.is_none() && model.list.marked.is_empty());
}

#[test]
fn what_leaves_at_once_takes_back_what_was_not_kept() {
    let mut model = model(RICH, (120, 40));
    let before = model.list.columns.clone();
    press(&mut model, "Cj <^c>");
    assert!(model.dialog.is_none());
    assert_eq!(model.list.columns, before);
    press(&mut model, "/data:fash<^c>");
    assert!(!screen(&model).contains("of 10 runs"));
    press(&mut model, "aj<enter>x<^d><^c>");
    assert!(model.dialog.is_none());
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
