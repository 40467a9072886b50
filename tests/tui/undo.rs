//! What can be taken back.

use linf::experiment::{Desired, RunId, RunState};
use linf::tui::message::{Effect, Msg};
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{NOW_MS, desires, fresh, press, screen};

/// Whose tags are set to what.
fn tags(effects: &[Effect]) -> Vec<(i64, Vec<String>)> {
    let tags = |effect: &Effect| match effect {
        Effect::SetTags(runs, _) => Some(runs.iter().map(|(id, tags)| (id.0, tags.clone())).collect::<Vec<_>>()),
        _ => None,
    };
    effects.iter().find_map(tags).unwrap_or_default()
}

/// The store answers that the tags are set.
fn answer(model: &mut Model, effects: &[Effect]) {
    let rows = tags(effects)
        .into_iter()
        .map(|(id, tags)| linf::store::RunRow { tags, ..model.known.rows[&RunId(id)].clone() });
    let rows = rows.collect();
    update(model, Msg::Catalog { rows, now_ms: NOW_MS });
}

#[test]
fn what_is_archived_is_out_of_sight_until_it_is_asked_for_or_taken_back() {
    let mut model = fresh();
    assert!(tags(&press(&mut model, "A")).is_empty(), "it trains");
    assert!(screen(&model).contains("nothing to archive"));
    // The heading of the group: its four runs are over.
    let effects = press(&mut model, "jjjjjjA");
    assert_eq!(tags(&effects).len(), 4);
    answer(&mut model, &effects);
    assert!(!screen(&model).contains("rapid-dove") && screen(&model).contains("4 archived"), "{}", screen(&model));
    press(&mut model, "/tag:archived name:dove<enter>");
    assert!(screen(&model).contains("rapid-dove"));
    let effects = press(&mut model, "A");
    assert_eq!(tags(&effects), [(5, vec!["cpu".to_owned()])], "again, and it is back");
    answer(&mut model, &effects);
    let effects = press(&mut model, "<esc>u");
    assert_eq!(tags(&effects), [(5, vec!["cpu".to_owned(), "archived".to_owned()])]);
    answer(&mut model, &effects);
    let effects = press(&mut model, "u");
    assert_eq!(tags(&effects).len(), 4);
    assert!(tags(&effects).iter().all(|(_, tags)| !tags.contains(&"archived".to_owned())));
    answer(&mut model, &effects);
    assert!(screen(&model).contains("rapid-dove"));
    press(&mut model, "u");
    assert!(screen(&model).contains("nothing to take back"));
}

#[test]
fn a_deleted_run_is_removed_when_its_time_is_over_and_not_before() {
    let removed =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Remove(runs) if runs == &[RunId(9)]));
    let mut model = fresh();
    press(&mut model, "D");
    assert!(model.dialog.is_none() && screen(&model).contains("nothing to delete"));
    let effects = press(&mut model, "jjjjjDy");
    let reminder = |effect: &Effect| match effect {
        Effect::RemindOfRemoval(number) => Some(*number),
        _ => None,
    };
    let number = effects.iter().find_map(reminder).unwrap();
    assert!(!removed(&effects) && !screen(&model).contains("⊘ kind-lynx"));
    assert!(screen(&model).contains("1 about to be deleted, u takes it back"));
    press(&mut model, "u");
    assert_eq!(model.list.selected_run(), Some(RunId(9)));
    assert!(update(&mut model, Msg::RemovalDue(number)).is_empty(), "it was taken back");
    // Once more, and for good.
    let number = press(&mut model, "Dy").iter().find_map(reminder).unwrap();
    assert!(removed(&update(&mut model, Msg::RemovalDue(number))));
    press(&mut model, "u");
    assert!(!screen(&model).contains("⊘ kind-lynx") && screen(&model).contains("nothing to take back"));
    // The store refuses: there it is again.
    update(&mut model, Msg::NotRemoved(RunId(9), "#9 was not deleted: it is at work".into()));
    assert!(screen(&model).contains("⊘ kind-lynx") && screen(&model).contains("was not deleted"));
    assert!(removed(&press(&mut model, "kDyDnq")), "who leaves has no second thoughts");
}

#[test]
fn a_queued_run_that_was_cancelled_waits_again() {
    let mut model = fresh();
    assert_eq!(desires(&press(&mut model, "jjxy")), [(vec![3], Desired::Cancel)]);
    let row =
        linf::store::RunRow { state: RunState::Cancelled { checkpoint: None }, ..model.known.rows[&RunId(3)].clone() };
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert_eq!(desires(&press(&mut model, "u")), [(vec![3], Desired::Run)]);
    assert_eq!(desires(&press(&mut model, "u")), []);
    // What trained stops at a checkpoint; that is not taken back.
    press(&mut model, "gxyu");
    assert!(screen(&model).contains("nothing to take back"));
}

#[test]
fn a_paused_run_about_to_be_deleted_is_on_no_screen() {
    let mut model = fresh();
    press(&mut model, "jjjDym");
    let shown = screen(&model);
    assert!(shown.contains("2 running · 1 waiting") && !shown.contains("on hold"), "{shown}");
    assert!(!shown.contains("sharp-bat") && !shown.contains("1 paused"), "{shown}");
    press(&mut model, "G");
    assert_eq!(desires(&press(&mut model, "r")), [], "the cursor is on what waits");
    press(&mut model, "u");
    assert!(screen(&model).contains("1 on hold") && screen(&model).contains("sharp-bat"));
}

#[test]
fn a_pinned_run_stands_on_top_until_it_is_let_go() {
    let mut model = fresh();
    let effects = press(&mut model, "j^");
    let [(id, given)] = &tags(&effects)[..] else { panic!("one run is pinned") };
    assert!(given.contains(&"pinned".to_owned()));
    let name = model.known.rows[&RunId(*id)].name.clone();
    answer(&mut model, &effects);
    // Whatever the list is sorted by.
    for keys in ["g", "Sg", "ssg"] {
        press(&mut model, keys);
        assert_eq!(model.list.selected_run(), Some(RunId(*id)), "{}", screen(&model));
    }
    assert!(screen(&model).lines().any(|line| line.contains('↑') && line.contains(&name)), "{}", screen(&model));
    let effects = press(&mut model, "^");
    assert!(!tags(&effects)[0].1.contains(&"pinned".to_owned()));
}
