//! What the store tells: runs that end, alarms, trouble.

use std::sync::Arc;

use linf::experiment::{RunId, RunState};
use linf::store::EventRow;
use linf::tui::alert::Alert;
use linf::tui::known::RunData;
use linf::tui::message::{Effect, Msg};
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{NOW_MS, RICH, fresh, press, screen, store};

#[test]
fn the_cursor_stays_on_its_run() {
    let mut model = fresh();
    press(&mut model, "j");
    let mut row = store().swap_remove(0).0;
    row.state = RunState::Completed;
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert_eq!(model.list.selected_run(), Some(RunId(2)));
    update(&mut model, Msg::Removed(vec![RunId(2)]));
    assert!(model.list.selected_run().is_some());
}

#[test]
fn a_run_that_ends_is_announced() {
    let mut model = fresh();
    let mut row = store().swap_remove(0).0;
    row.state = RunState::Completed;
    let effects = update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    let number = effects.iter().find_map(|effect| match effect {
        Effect::ExpireNotice(number) => Some(*number),
        _ => None,
    });
    assert!(screen(&model).contains("brisk-otter is complete: certified 0.7949"));
    update(&mut model, Msg::NoticeOver(number.unwrap()));
    assert!(!screen(&model).contains("brisk-otter is complete"));
}

#[test]
fn a_certified_accuracy_above_the_clean_one_is_an_alarm() {
    let mut model = fresh();
    let mut data = RunData { evals: store()[0].1.evals(), ..RunData::default() };
    data.evals[3].certified = data.evals[3].clean + 0.01;
    update(&mut model, Msg::Run(RunId(1), Arc::new(data)));
    press(&mut model, "<enter>");
    assert!(screen(&model).contains("ALARM at epoch 20.0"));
}

#[test]
fn a_false_certificate_is_an_alarm_on_every_tab() {
    let mut model = fresh();
    let event = EventRow { time_ms: 1, step: None, kind: EventRow::UNSOUND.into(), text: "image 7 changed".into() };
    update(&mut model, Msg::Run(RunId(1), Arc::new(RunData { events: vec![event], ..RunData::default() })));
    press(&mut model, "<enter>");
    for tab in 1..=7 {
        press(&mut model, &tab.to_string());
        assert!(screen(&model).contains("ALARM image 7 changed"), "tab {tab}: {}", screen(&model));
    }
}

#[test]
fn a_lost_store_is_a_banner() {
    let mut model = fresh();
    update(&mut model, Msg::Trouble("the catalog cannot be read".into()));
    assert!(screen(&model).contains("the catalog cannot be read"));
    update(&mut model, Msg::Catalog { rows: Vec::new(), now_ms: NOW_MS });
    assert!(!screen(&model).contains("the catalog cannot be read"));
    assert!(screen(&model).contains("brisk-otter"));
}

#[test]
fn a_full_disk_is_said_above_everything_until_there_is_room() {
    let mut model = fresh();
    update(&mut model, Msg::FullDisk(true));
    assert!(screen(&model).contains("the disk is full: training goes on"));
    // News do not take it away.
    update(&mut model, Msg::Catalog { rows: Vec::new(), now_ms: NOW_MS });
    assert!(screen(&model).contains("the disk is full"));
    update(&mut model, Msg::FullDisk(false));
    assert!(!screen(&model).contains("the disk is full"));
}

#[test]
fn a_p_held_beyond_its_ramp_promises_no_infinity() {
    let mut model = fresh();
    assert!(screen(&model).contains("∞ in 3 min"));
    let mut row = model.known.rows[&RunId(1)].clone();
    (row.summary.step, row.summary.epoch) = (row.summary.steps - 100, 119.5);
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert!(screen(&model).contains("p = 180.8, held beyond its ramp"), "{}", screen(&model));
}

#[test]
fn the_end_of_a_run_is_an_alert_where_the_settings_ask_for_one() {
    let ended = |ids: &[i64]| {
        let rows = store().into_iter().map(|(row, _)| row).filter(|row| ids.contains(&row.id.0));
        let rows = rows.map(|row| linf::store::RunRow { state: RunState::Completed, ..row }).collect();
        Msg::Catalog { rows, now_ms: NOW_MS }
    };
    let alerts = |effects: Vec<Effect>| {
        let alert = |effect: Effect| if let Effect::Alert(text) = effect { Some(text) } else { None };
        effects.into_iter().filter_map(alert).collect::<Vec<String>>()
    };
    assert!(alerts(update(&mut fresh(), ended(&[1]))).is_empty(), "off by default");
    let mut model = fresh();
    model.alert = Alert::Bell;
    assert_eq!(alerts(update(&mut model, ended(&[1]))), ["brisk-otter is complete: certified 0.7949"]);
    assert!(alerts(update(&mut model, ended(&[1]))).is_empty(), "it ends once");
    let mut model = fresh();
    model.alert = Alert::Both;
    assert_eq!(alerts(update(&mut model, ended(&[1, 2, 5]))), ["2 runs have ended"]);
    let mut new = Model::new(RICH, jiff::tz::TimeZone::UTC, "new".into(), (120, 40));
    new.alert = Alert::Bell;
    assert!(alerts(update(&mut new, ended(&[1]))).is_empty(), "what had ended before is no news");
}
