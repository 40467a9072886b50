//! When a run is said to make no progress, and when standing still is as it should be.

use std::sync::Arc;

use linf::experiment::{PNorm, RunId, RunState};
use linf::store::RunRow;
use linf::tui::known::RunData;
use linf::tui::look::Look;
use linf::tui::message::Msg;
use linf::tui::update::update;

use crate::fixture::{BARE, NOW_MS, RICH, config, data, model, press, screen, store};

/// The charts of a run that stands still for 40 epochs at p = 8, after a change to it.
fn charts(look: Look, size: (u16, u16), change: impl Fn(&mut RunRow, &mut RunData)) -> String {
    let (mut row, mut story) = store().swap_remove(0);
    let text = include_str!("mnist-cpu.toml");
    (story.config, story.epochs) = (config(text, &["schedule.ramp_start=60"]), 40);
    (row.config, row.summary) = (story.config.clone(), story.summary());
    let mut known = data(&story);
    for epoch in &mut known.epochs {
        (epoch.loss, epoch.accuracy, epoch.surrogate, epoch.lr) = (2.3, 0.11, 0.1, 0.045);
    }
    for eval in &mut known.evals {
        (eval.clean, eval.certified) = (0.1, 0.02);
    }
    known.epochs[4].accuracy = 0.12;
    change(&mut row, &mut known);
    let mut model = model(look, size);
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    update(&mut model, Msg::Run(RunId(1), Arc::new(known)));
    press(&mut model, "<enter>");
    screen(&model)
}

/// What they say of its progress.
fn said(change: impl Fn(&mut RunRow, &mut RunData)) -> Option<String> {
    let shown = charts(RICH, (240, 40), change);
    let line = shown.lines().find(|line| line.contains("no progress for"));
    assert_eq!(line.is_some(), shown.contains('▼'), "the chart marks where it began:\n{shown}");
    line.map(|line| line.trim().to_owned())
}

#[test]
fn a_run_that_gets_nowhere_says_what_that_rests_on() {
    assert_eq!(
        said(|_, _| {}).unwrap(),
        "no progress for 35 epochs at p = 8.00: no accuracy is better than at epoch 5; mean loss of the last 10 epochs 2.3000, \
         of the 10 before 2.3000; learning rate at 100 % of its highest"
    );
    // A loss that rises has not fallen.
    assert!(said(|_, data| data.epochs[35].loss = 9.0).unwrap().contains("epochs 2.9700, of the 10 before 2.3000"));
}

#[test]
fn standing_still_is_no_fault_where_the_schedules_say_so() {
    assert_eq!(said(|row, _| row.state = RunState::Paused { checkpoint: None }), None, "it does not train");
    assert_eq!(said(|_, data| data.epochs.truncate(15)), None, "not for long");
    let climbs = |data: &mut RunData| {
        for epoch in &mut data.epochs {
            epoch.p = PNorm::new(8.0 + f64::from(epoch.epoch) / 10.0).unwrap();
        }
    };
    assert_eq!(said(|_, data| climbs(data)), None, "p climbs");
    assert_eq!(said(|_, data| data.epochs[39].lr = 0.004), None, "the learning rate is used up");
}

#[test]
fn what_gets_on_is_not_warned_of() {
    let falls = |data: &mut RunData| data.epochs.iter_mut().for_each(|row| row.loss -= f64::from(row.epoch) * 0.01);
    assert_eq!(said(|_, data| falls(data)), None);
    assert_eq!(said(|_, data| data.epochs[36].surrogate = 0.13), None, "a new best");
    assert_eq!(said(|_, data| data.evals.last_mut().unwrap().certified = 0.05), None, "and of the certificate, too");
    assert_eq!(said(|_, data| data.epochs[36].loss = f64::NAN), None, "nothing can be said of it");
    assert_eq!(said(|_, data| data.epochs.clear()), None);
}

#[test]
fn the_whole_reason_is_read_on_a_terminal_of_common_size() {
    for size in [(80, 24), (120, 40)] {
        for (look, kind) in [(RICH, "rich"), (BARE, "bare")] {
            let shown = charts(look, size, |_, _| {});
            assert!(shown.contains("of its highest"), "{shown}");
            insta::assert_snapshot!(format!("stalled_{}x{}_{kind}", size.0, size.1), shown);
        }
    }
}
