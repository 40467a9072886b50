//! The comparison: what is taken together, what is copied, and whether its axis is right for all runs.

use std::sync::Arc;

use linf::experiment::RunId;
use linf::store::RunRow;
use linf::tui::message::{Effect, Msg};
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{NOW_MS, RICH, data, model, press, screen, store};

fn copied(effects: &[Effect]) -> String {
    let text = |effect: &Effect| match effect {
        Effect::Copy(text) => Some(text.clone()),
        _ => None,
    };
    effects.iter().find_map(text).unwrap()
}

/// The comparison of the sweep.
fn sweep() -> Model {
    let mut model = model(RICH, (140, 40));
    press(&mut model, "jjjjjjc");
    model
}

/// The first two runs compared, after a change to the second.
fn two(change: impl Fn(&mut RunRow)) -> Model {
    let mut model = model(RICH, (140, 40));
    let (mut row, mut story) = store().swap_remove(1);
    change(&mut row);
    story.config = row.config.clone();
    story.epochs = row.config.train.epochs / 2;
    row.summary = story.summary();
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    update(&mut model, Msg::Run(RunId(2), Arc::new(data(&story))));
    press(&mut model, "  c");
    model
}

fn labels(model: &Model) -> String {
    let shown = screen(model);
    let axis = shown.lines().position(|line| line.trim_start().starts_with('└')).unwrap();
    shown.lines().nth(axis + 1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_sweep_is_one_band_of_the_runs_that_count() {
    let mut model = sweep();
    press(&mut model, "b");
    assert!(screen(&model).contains("seeds together") && screen(&model).contains("lambda=0.05 0.9098"));
    press(&mut model, "b");
    let shown = screen(&model);
    // Of the four one has failed.
    assert!(shown.contains("mnist-cpu, 3 of 4 runs 0.9076"), "{shown}");
    assert!(shown.contains("mnist-cpu: mean of 3: certified 0.9076 ± 0.0076"), "{shown}");
    assert!(shown.contains("sweeps together: mean, ± σ dense"), "{shown}");
    press(&mut model, "b");
    assert!(!screen(&model).contains("3 of 4 runs"));
}

#[test]
fn seeds_of_one_setting_are_together_and_the_settings_apart() {
    let mut model = sweep();
    let mut rows: Vec<RunRow> = (4..=6).map(|id| model.known.rows[&RunId(id)].clone()).collect();
    for (row, (lambda, seed)) in rows.iter_mut().zip([(0.02, 1), (0.02, 2), (0.1, 1)]) {
        (row.config.loss.lambda, row.config.train.seed) = (lambda, seed);
        row.variant = format!("loss.lambda={lambda} train.seed={seed}");
    }
    assert!(!screen(&model).contains("mean of"), "four settings have no mean");
    update(&mut model, Msg::Catalog { rows: rows.clone(), now_ms: NOW_MS });
    let shown = screen(&model);
    assert!(shown.contains(" lambda=0.02: mean of 2: certified 0.9118 ±"), "{shown}");
    press(&mut model, "b");
    let shown = screen(&model);
    assert!(shown.contains("lambda=0.02, 2 runs 0.9118"), "{shown}");
    assert!(shown.contains("lambda=0.1 seed=1 0.8991"), "{shown}");

    let mut model = two(|_| {});
    let mut same = rows.swap_remove(0);
    (same.id, same.config.train.seed) = (RunId(1), 7);
    let mut other = same.clone();
    (other.id, other.config.train.seed) = (RunId(2), 8);
    update(&mut model, Msg::Catalog { rows: vec![same, other], now_ms: NOW_MS });
    let shown = screen(&model);
    assert!(shown.contains("   mean of 2: certified"), "seeds alone need no name: {shown}");
}

#[test]
fn the_table_is_copied_as_latex_and_with_means_of_what_is_together() {
    let mut model = sweep();
    let latex = copied(&press(&mut model, "T"));
    assert!(latex.starts_with("\\begin{tabular}{llrrrrr}\n\\toprule\nrun & variant & clean"), "{latex}");
    assert!(
        latex.contains("rapid-dove & loss.lambda=0.05 & 0.9765 & 0.9312 & 0.9098 & 0.9120 & $\\infty$ \\\\\n"),
        "{latex}"
    );
    assert!(screen(&model).contains("copied the table as LaTeX"));
    let latex = copied(&press(&mut model, "bbT"));
    assert!(latex.contains("mnist-cpu, 3 runs &  & 0.9751 $\\pm$ 0.0031 & 0.9312 & 0.9076 $\\pm$ 0.0076"), "{latex}");
    let markdown = copied(&press(&mut model, "Y"));
    assert!(markdown.contains("| mnist-cpu, 3 runs |  | 0.9751 ± 0.0031 | 0.9312 | 0.9076 ± 0.0076 |"), "{markdown}");
}

#[test]
fn where_p_climbs_alike_the_axis_is_p_and_elsewhere_how_far_it_has_climbed() {
    let mut alike = two(|_| {});
    press(&mut alike, "xxx<left>");
    assert!(screen(&alike).contains("x p (log)") && screen(&alike).contains(" · p = "), "{}", screen(&alike));
    assert!(labels(&alike).starts_with("8 16 32 64 128"), "{}", labels(&alike));
    let mut other = two(|row| row.config.schedule.p_end = 200.0);
    press(&mut other, "xxx<left>");
    let shown = screen(&other);
    assert!(shown.contains("x phase, by the climb of p") && shown.contains("% of the climb of p"), "{shown}");
    assert_eq!(labels(&other), "0 % 20 % 40 % 60 % 80 % 100 %");
    assert!(shown.contains("before") && shown.contains("after"), "{shown}");
}

#[test]
fn the_axis_holds_the_run_that_reaches_furthest_on_it() {
    // Fewer epochs than the first run, and many more steps.
    let mut model = two(|row| {
        row.config.train.batch_size = 16;
        row.config.train.epochs = 50;
    });
    assert!(labels(&model).ends_with("110 120"), "{}", labels(&model));
    press(&mut model, "x");
    assert!(labels(&model).ends_with("180k"), "50 epochs of 3 750 steps each: {}", labels(&model));
    press(&mut model, "G");
    assert!(screen(&model).contains("step 187 500"), "{}", screen(&model));
}
