//! Every screen as it is drawn, at three sizes, on a terminal with everything and on one with nothing.

use linf::tui::model::Model;
use ratatui::style::Color;

use crate::fixture::{BARE, RICH, drawn, model, press, screen};

/// Snapshots of what the keys lead to.
fn snapshots(name: &str, keys: &str) {
    for size in [(80, 24), (120, 40), (200, 60)] {
        for (look, kind) in [(RICH, "rich"), (BARE, "bare")] {
            let mut model = model(look, size);
            press(&mut model, keys);
            insta::assert_snapshot!(format!("{name}_{}x{}_{kind}", size.0, size.1), screen(&model));
            if kind == "bare" {
                assert_bare(&model);
            }
        }
    }
}

/// A terminal with nothing gets no colour and no character beyond ASCII.
fn assert_bare(model: &Model) {
    for cell in drawn(model).content() {
        assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
        assert!(matches!((cell.fg, cell.bg), (Color::Reset, Color::Reset)), "{cell:?}");
    }
}

#[test]
fn runs() {
    snapshots("runs", "");
}

#[test]
fn runs_group() {
    snapshots("runs_group", "jjjjjj ");
}

#[test]
fn runs_folded() {
    snapshots("runs_folded", "zjjjjjj");
}

#[test]
fn columns() {
    snapshots("columns", "Cjjjjjjj KKllG ");
}

#[test]
fn runs_filtered() {
    snapshots("runs_filtered", "/state:live or certified>0.9");
}

#[test]
fn runs_filter_completed() {
    snapshots("runs_filter_completed", "/-state:c<tab>");
}

#[test]
fn charts() {
    snapshots("charts", "<enter>");
}

#[test]
fn charts_along_p() {
    snapshots("charts_along_p", "<enter>xxx<left><left>");
}

#[test]
fn charts_maximised() {
    snapshots("charts_maximised", "<enter><enter>+m");
}

#[test]
fn certificates() {
    snapshots("certificates", "<enter>2lll");
}

#[test]
fn samples() {
    snapshots("samples", "<enter>3");
}

#[test]
fn checkpoints() {
    snapshots("checkpoints", "<enter>4");
}

#[test]
fn config() {
    snapshots("config", "<enter>5");
}

#[test]
fn log() {
    snapshots("log", "<enter>6");
}

#[test]
fn events() {
    snapshots("events", "<enter>7");
}

#[test]
fn compare() {
    snapshots("compare", "jjjjjjc");
}

#[test]
fn queue() {
    snapshots("queue", "m");
}

#[test]
fn add() {
    snapshots("add", "aj<enter>loss.lambda=0.02,0.05<enter>train.see<tab>1..3");
}

#[test]
fn help() {
    snapshots("help", "?");
}

#[test]
fn palette() {
    snapshots("palette", ":can");
}

#[test]
fn confirm_delete() {
    snapshots("confirm_delete", "jjjjjD");
}

#[test]
fn confirm() {
    snapshots("confirm", "x");
}
