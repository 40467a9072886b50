//! The x axes of the charts: which there are, and what the one of ε_train says.

use linf::experiment::RunId;
use linf::store::RunRow;
use linf::tui::look::Look;
use linf::tui::message::Msg;
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{BARE, NOW_MS, RICH, config, model, press, screen};

/// A model in which the config of some runs is another one.
fn with(look: Look, size: (u16, u16), changes: &[(i64, &[&str])]) -> Model {
    let mut model = model(look, size);
    let text = include_str!("mnist-cpu.toml");
    let change = |(id, overrides): &(i64, &[&str])| RunRow {
        config: config(text, overrides),
        ..model.known.rows[&RunId(*id)].clone()
    };
    let rows = changes.iter().map(change).collect();
    update(&mut model, Msg::Catalog { rows, now_ms: NOW_MS });
    model
}

/// What the axis is called below the charts.
fn axis(model: &Model) -> String {
    let shown = screen(model);
    let line = shown.lines().find(|line| line.starts_with(" x ")).unwrap_or_else(|| panic!("{shown}"));
    line[3..].split("  ").next().unwrap().split(" │").next().unwrap().trim().to_owned()
}

fn round(model: &mut Model) -> Vec<String> {
    (0..6)
        .map(|_| {
            press(model, "x");
            axis(model)
        })
        .collect()
}

#[test]
fn eps_is_among_the_axes_where_it_moves() {
    let mut still = model(RICH, (120, 40));
    press(&mut still, "<enter>");
    assert_eq!(round(&mut still), ["step", "training time", "p (log)", "wall time", "epoch", "step"]);
    let climbs: &[&str] = &["schedule.eps_start=0", "schedule.eps_end=40"];
    let mut moving = with(RICH, (120, 40), &[(1, climbs)]);
    press(&mut moving, "<enter>");
    assert_eq!(round(&mut moving), ["step", "training time", "p (log)", "ε_train", "wall time", "epoch"]);
    // The next run is looked at along the same axis, and what that is worth there is said.
    press(&mut moving, "xxxx]");
    assert_eq!(axis(&moving), "ε_train, which stands at 0.15");
    press(&mut moving, "x");
    assert_eq!(axis(&moving), "wall time");
}

#[test]
fn charts_along_eps() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        for (look, kind) in [(RICH, "rich"), (BARE, "bare")] {
            let mut model = with(look, size, &[(1, &["loss.eps_train=0.45", "loss.eps_train_end=0.3"])]);
            press(&mut model, "<enter>xxxx<left>");
            insta::assert_snapshot!(format!("charts_along_eps_{}x{}_{kind}", size.0, size.1), screen(&model));
        }
    }
}

#[test]
fn runs_are_compared_along_eps_itself_or_along_the_way_it_went() {
    let (one, other): (&[&str], &[&str]) = (&["loss.eps_train_end=0.45"], &["loss.eps_train_end=0.6"]);
    let mut same = with(RICH, (120, 40), &[(1, one), (9, one)]);
    let head = |model: &Model| screen(model).lines().nth(1).unwrap().to_owned();
    press(&mut same, "/name:brisk or name:lynx<enter>  cxxxx<left>");
    assert!(head(&same).contains("x ε_train ") && head(&same).contains("ε_train 0."), "{}", head(&same));
    let mut differing = with(RICH, (120, 40), &[(1, one), (9, other)]);
    press(&mut differing, "/name:brisk or name:lynx<enter>  cxxxx<left>");
    let shown = head(&differing);
    assert!(shown.contains("phase, by the way of ε_train") && shown.contains("% of the way"), "{shown}");
}
