//! The queue: whose turn comes when, and what waits outside of it.

use linf::experiment::{Desired, RunId, RunState};
use linf::tui::message::{Effect, Msg};
use linf::tui::update::update;

use crate::fixture::{NOW_MS, desires, fresh, press, screen, store};

/// Whose turn changed, with priority and place.
fn turns(effects: &[Effect]) -> Vec<(i64, i32, Option<f64>)> {
    let turn = |effect: &Effect| match effect {
        Effect::SetTurn(id, turn, _) => Some((id.0, turn.priority, turn.place)),
        _ => None,
    };
    effects.iter().filter_map(turn).collect()
}

#[test]
fn the_queue_stands_in_its_order_and_is_reordered_by_keys() {
    let mut model = fresh();
    let queued = store().into_iter().find(|(row, _)| matches!(row.state, RunState::Queued { .. })).unwrap().0;
    let rows: Vec<_> = (101..=103)
        .map(|id| linf::store::RunRow { id: RunId(id), name: format!("late-{id}"), ..queued.clone() })
        .collect();
    update(&mut model, Msg::Catalog { rows, now_ms: NOW_MS });
    // Below them stands what is paused.
    press(&mut model, "mGk");
    assert_eq!(turns(&press(&mut model, "J")), [], "the last one cannot go further");
    assert!(screen(&model).contains("stands there already"));
    assert_eq!(turns(&press(&mut model, "+")), [(103, 1, None)]);
    let effects = press(&mut model, "K");
    assert_eq!(turns(&effects), [(103, 0, Some(101.5))]);
    // The store answers; the cursor is on the run still.
    let Some(Effect::SetTurn(_, turn, _)) = effects.into_iter().next() else { panic!() };
    let mut moved = model.known.rows[&RunId(103)].clone();
    moved.turn = turn;
    update(&mut model, Msg::Catalog { rows: vec![moved], now_ms: NOW_MS });
    let shown = screen(&model);
    let at = |name: &str| shown.lines().position(|line| line.contains(name)).unwrap();
    assert!(at("late-101") < at("late-103") && at("late-103") < at("late-102"), "{shown}");
    assert!(shown.lines().nth(at("late-103")).unwrap().contains('▸'), "{shown}");
    press(&mut model, "g");
    assert_eq!(turns(&press(&mut model, "K")), [], "what trains has no place in the queue");
}

#[test]
fn what_is_on_hold_stands_in_the_queue_and_has_no_place_in_it() {
    let mut model = fresh();
    press(&mut model, "mG");
    let shown = screen(&model);
    assert!(shown.contains("2 running · 1 waiting · 1 on hold"), "{shown}");
    assert!(shown.contains("paused at epoch 488/1300: waits until r lets it go on"), "{shown}");
    assert_eq!(turns(&press(&mut model, "K")), [], "it is not in the queue");
    assert_eq!(desires(&press(&mut model, "r")), [(vec![8], Desired::Run)]);
    let held =
        linf::store::RunRow { state: RunState::Paused { checkpoint: None }, ..model.known.rows[&RunId(8)].clone() };
    update(&mut model, Msg::Catalog { rows: vec![held], now_ms: NOW_MS });
    assert!(screen(&model).contains("on hold: waits until r"));
}
