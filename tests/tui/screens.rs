//! Every screen as it is drawn, at three sizes, on a terminal with everything and on one with nothing.

use std::sync::Arc;

use linf::dataset::Normalizer;
use linf::experiment::{DatasetId, Fate, RunId};
use linf::store::Findings;
use linf::tui::certificates::{Attack, Certificates};
use linf::tui::images::Images;
use linf::tui::look::Look;
use linf::tui::message::Msg;
use linf::tui::model::Model;
use linf::tui::update::update;
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

/// The images, what an attack made of the first run's, and one of each end among the first of the list.
fn attacked(look: Look, size: (u16, u16)) -> Model {
    let mut model = model(look, size);
    let (run, id) = (RunId(1), DatasetId::Mnist);
    let mut certificates = Certificates::clone(&model.known.certificates[&run]);
    let weakest: Vec<u32> =
        certificates.by_radius.iter().copied().filter(|&sample| certificates.radius(sample) > 0.0).collect();
    let mut fates = vec![Fate::Survived; certificates.len()];
    fates[weakest[0] as usize] = Fate::Relaxed;
    fates[weakest[2] as usize] = Fate::Greedy;
    // A dark square on a light one, and one pixel of it moved by ε.
    let square =
        |index: usize| if (8..20).contains(&(index / 28)) && (8..20).contains(&(index % 28)) { 230 } else { 20 };
    let pixels: Vec<u8> = (0..certificates.len() * id.pixels()).map(|index| square(index % id.pixels())).collect();
    let mut image: Vec<f32> =
        pixels[..id.pixels()].iter().map(|&pixel| Normalizer::new(id).table(0)[usize::from(pixel)]).collect();
    image[14 * 28 + 14] = Normalizer::new(id).normalize(0, 154.0 / 255.0);
    let found = Findings { fates, examples: vec![(weakest[0], image)] };
    certificates.attack = Some(Attack { eps: certificates.eval.eps, found });
    update(&mut model, Msg::Certificates(run, Arc::new(certificates)));
    let images = Images { channels: 1, height: 28, width: 28, pixels };
    update(&mut model, Msg::Images(id, Arc::new(Ok(images))));
    model
}

#[test]
fn samples_attacked() {
    for (look, kind) in [(RICH, "rich"), (BARE, "bare")] {
        for size in [(80, 24), (160, 40)] {
            let mut model = attacked(look, size);
            press(&mut model, "<enter>3");
            insta::assert_snapshot!(format!("samples_attacked_{}x{}_{kind}", size.0, size.1), screen(&model));
        }
    }
    let mut model = attacked(RICH, (120, 40));
    press(&mut model, "<enter>3j");
    assert!(screen(&model).contains("attack at ε = 0.3: withstood"), "{}", screen(&model));
    press(&mut model, "jf");
    assert!(screen(&model).contains("broken by the attack: 2 of 500"), "{}", screen(&model));
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
fn compare_bands() {
    snapshots("compare_bands", "jjjjjjcbbG+++f");
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
fn dry_run() {
    snapshots("dry_run", "aj<enter>loss.lambda=0.02,0.05<enter>train.seed=1..3<^d>j");
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
