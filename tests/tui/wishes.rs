//! What is asked of runs: pause, resume, cancel, and of which.

use linf::experiment::{Desired, RunId, RunState};
use linf::tui::message::{Effect, Msg};
use linf::tui::model::{Model, Screen};
use linf::tui::update::update;

use crate::fixture::{NOW_MS, desires, fresh, press, screen, store};

#[test]
fn pause_is_for_what_runs_or_waits() {
    assert_eq!(desires(&press(&mut fresh(), "p")), [(vec![1], Desired::Pause)]);
    assert_eq!(desires(&press(&mut fresh(), "jjp")), [(vec![3], Desired::Pause)]);
    let mut paused = fresh();
    assert_eq!(desires(&press(&mut paused, "jjjp")), []);
    assert!(screen(&paused).contains("nothing to pause"));
}

#[test]
fn resume_is_for_what_stands_still() {
    assert_eq!(desires(&press(&mut fresh(), "jjjr")), [(vec![8], Desired::Run)]);
    assert_eq!(desires(&press(&mut fresh(), "r")), []);
}

#[test]
fn cancel_asks_first() {
    let mut model = fresh();
    assert_eq!(desires(&press(&mut model, "x")), []);
    assert!(screen(&model).contains("Cancel brisk-otter?"));
    assert_eq!(desires(&press(&mut model, "n")), []);
    assert!(!screen(&model).contains("Cancel brisk-otter?"));
    assert_eq!(desires(&press(&mut model, "xy")), [(vec![1], Desired::Cancel)]);
}

#[test]
fn a_second_cancel_is_now() {
    let mut model = fresh();
    let mut row = store().swap_remove(0).0;
    let identity = row.state.identity().unwrap().clone();
    row.state = RunState::Cancelling { identity, now: false };
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert_eq!(desires(&press(&mut model, "gx<enter>")), [(vec![1], Desired::CancelNow)]);
}

#[test]
fn marks_decide_what_is_meant() {
    let mut model = fresh();
    assert_eq!(desires(&press(&mut model, "  p")), [(vec![1, 2], Desired::Pause)]);
    assert!(model.list.marked.is_empty(), "what was done is no longer marked");
    press(&mut model, "*");
    assert_eq!(model.list.marked.len(), 10);
    press(&mut model, "<esc>");
    assert!(model.list.marked.is_empty());
}

#[test]
fn a_groups_heading_means_all_of_it() {
    let mut model = fresh();
    press(&mut model, "jjjjjjc");
    assert!(matches!(&model.screen, Screen::Compare(screen) if screen.runs.len() == 4));
}

#[test]
fn tags_and_notes_are_written() {
    let mut model = fresh();
    let effects = press(&mut model, "t paper<enter>");
    assert!(
        matches!(&effects[..], [Effect::SetTags(runs, _)] if runs == &[(RunId(1), vec!["cpu".to_owned(), "paper".to_owned()])])
    );
    let effects = press(&mut model, "nfine<enter>");
    assert!(matches!(&effects[..], [Effect::SetNote(RunId(1), note)] if note == "fine"));
}

#[test]
fn tags_of_marked_runs_are_those_they_have_in_common_and_each_keeps_its_own() {
    let mut model = fresh();
    let tagged = |model: &mut Model, id: i64, tags: &[&str]| {
        let row = model.known.rows.get_mut(&RunId(id)).unwrap();
        row.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    };
    tagged(&mut model, 1, &["cpu", "mine"]);
    tagged(&mut model, 2, &["cpu", "yours"]);
    model.list.marked = [RunId(1), RunId(2)].into();
    press(&mut model, "t");
    let shown = screen(&model);
    assert!(shown.contains("tags of all 2") && !shown.contains("cpu mine"), "{shown}");
    let effects = press(&mut model, " paper paper<enter>");
    let expected = [(1, ["mine", "cpu", "paper"]), (2, ["yours", "cpu", "paper"])];
    let expected = expected.map(|(id, tags)| (RunId(id), tags.map(str::to_owned).to_vec()));
    assert!(matches!(&effects[..], [Effect::SetTags(runs, _)] if *runs == expected), "{effects:?}");
    model.list.marked = [RunId(1), RunId(2)].into();
    press(&mut model, "n");
    assert!(screen(&model).contains("a note is of one run"));
}
