//! The checkpoints of a run: which one is chosen, what is known of it, and what can be done with it.

use std::path::Path;
use std::sync::Arc;

use linf::experiment::{Desired, Epsilon, RunId};
use linf::store::{CheckpointRow, EvalSplit};
use linf::tui::known::RunData;
use linf::tui::measuring::{Figures, Measurement};
use linf::tui::message::{Effect, Msg};
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{RICH, data, model, press, screen, store};

/// The checkpoints of a run that trains: steps 12925, 8225 and 3525, newest first.
fn fresh() -> Model {
    let mut model = model(RICH, (120, 40));
    press(&mut model, "<enter>4");
    model
}

/// The line of the chosen one.
fn chosen(model: &Model) -> String {
    screen(model).lines().find(|line| line.starts_with('▸')).unwrap_or_default().to_owned()
}

#[test]
fn one_is_chosen_and_stays_so_when_another_is_written() {
    let mut model = fresh();
    assert!(chosen(&model).contains("12 925"), "{}", screen(&model));
    press(&mut model, "j");
    assert!(chosen(&model).contains("8 225"));
    let mut more = data(&store()[0].1);
    let newest = more.checkpoints.last().unwrap().clone();
    more.checkpoints.push(CheckpointRow { step: 16_000, ..newest });
    update(&mut model, Msg::Run(RunId(1), Arc::new(more.clone())));
    assert!(chosen(&model).contains("8 225"));
    // It was thinned out: the one before it takes its place.
    more.checkpoints.retain(|checkpoint| checkpoint.step != 8225);
    update(&mut model, Msg::Run(RunId(1), Arc::new(more)));
    assert!(chosen(&model).contains("3 525"));
    press(&mut model, "g");
    assert!(chosen(&model).contains("16 000"));
    press(&mut model, "G");
    assert!(chosen(&model).contains("3 525"));
}

#[test]
fn figures_stand_beside_the_checkpoints_that_were_evaluated() {
    let mut model = fresh();
    let story = store().swap_remove(0).1;
    let mut known = data(&story);
    let newest = known.checkpoints.last().unwrap().step;
    let eval = known.evals.iter().find(|eval| eval.step == newest).unwrap().clone();
    assert!(chosen(&model).contains(&format!("{:.4}", eval.certified)), "{}", screen(&model));
    assert!(screen(&model).contains("at ε = 0.3, of 500 test images"));
    for eval in &mut known.evals {
        eval.split = EvalSplit::Validation;
    }
    known.evals.retain(|eval| eval.step == newest);
    update(&mut model, Msg::Run(RunId(1), Arc::new(known)));
    assert!(screen(&model).contains("of 500 held-out training images"));
    press(&mut model, "j");
    assert!(screen(&model).contains("step 8 225: not evaluated; c certifies it"), "{}", screen(&model));
}

#[test]
fn a_certification_is_asked_for_once_and_its_figures_stay() {
    let mut model = fresh();
    update(&mut model, Msg::Run(RunId(1), Arc::new(RunData { evals: Vec::new(), ..data(&store()[0].1) })));
    let effects = press(&mut model, "jc");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Measure(RunId(1), 8225, Measurement::Certify))),
        "{effects:?}"
    );
    assert!(chosen(&model).contains('…') && screen(&model).contains("step 8 225: is being certified"));
    assert!(!press(&mut model, "c").iter().any(|effect| matches!(effect, Effect::Measure(..))));
    let eps = Epsilon::new(3, 10).unwrap();
    let found = Figures { eps, samples: 10_000, clean: 0.9712, certified: 0.8841 };
    update(&mut model, Msg::Certified(RunId(1), 8225, Ok(found)));
    let shown = screen(&model);
    assert!(
        shown.contains("✓ brisk-otter, step 8 225: clean 0.9712, certified 0.8841 at ε = 0.3, of 10 000"),
        "{shown}"
    );
    assert!(chosen(&model).contains("0.9712") && chosen(&model).contains("0.8841"));
    press(&mut model, "kc");
    update(&mut model, Msg::Certified(RunId(1), 12_925, Err("certify: no images".into())));
    assert!(screen(&model).contains("! brisk-otter, step 12 925: certify: no images"));
    assert!(press(&mut model, "c").iter().any(|effect| matches!(effect, Effect::Measure(..))), "it may be tried again");
}

#[test]
fn a_fork_is_checked_before_it_is_queued() {
    let mut model = fresh();
    press(&mut model, "jfloss.lambda_e<tab>");
    let prompt = |model: &Model| screen(model).lines().last().unwrap().to_owned();
    assert!(prompt(&model).contains("fork at step 8 225 loss.lambda_end="), "{}", prompt(&model));
    for (typed, fault) in [("fast<enter>", "loss.lambda_end"), ("<^u>model.width=7<enter>", "cannot change model")] {
        let effects = press(&mut model, typed);
        assert!(effects.is_empty() && model.dialog.is_some() && prompt(&model).contains(fault), "{}", prompt(&model));
    }
    let effects = press(&mut model, "<^u>loss.lambda_end=0.001  train.epochs=130<enter>");
    let Some(Effect::Fork { run, step, overrides }) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((*run, *step), (RunId(1), 8225));
    assert_eq!(overrides[..], ["loss.lambda_end=0.001", "train.epochs=130"]);
    let effects = press(&mut model, "f<enter>");
    assert!(matches!(&effects[..], [Effect::Fork { overrides, .. }] if overrides.is_empty()), "nothing changed");
    assert!(press(&mut model, "f<esc>").is_empty());
}

#[test]
fn an_export_asks_for_a_file() {
    let mut model = fresh();
    let effects = press(&mut model, "e<enter>");
    let file = effects.iter().find_map(|effect| match effect {
        Effect::Measure(RunId(1), 12_925, Measurement::Export(file)) => Some(file.as_path()),
        _ => None,
    });
    assert_eq!(file, Some(Path::new("brisk-otter-12925.safetensors")));
    let effects = press(&mut model, "e<^u>nets/<enter>");
    assert!(effects.is_empty() && screen(&model).contains("name the file"));
}

#[test]
fn a_run_goes_on_from_its_last_checkpoint_only() {
    let mut model = model(RICH, (120, 40));
    // A run that is paused.
    press(&mut model, "jjj<enter>4");
    let resumes = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Desire(_, Desired::Run)));
    assert!(!resumes(&press(&mut model, "jr")));
    assert!(screen(&model).contains("on a fork does (f)"), "{}", screen(&model));
    assert!(resumes(&press(&mut model, "gr")));
    // On the other tabs no checkpoint is meant.
    assert!(resumes(&press(&mut model, "j5r")));
}

#[test]
fn the_hash_is_copied() {
    let effects = press(&mut fresh(), "y");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Copy(hash) if hash.starts_with("b3c1a0f2"))));
}

#[test]
fn without_a_checkpoint_nothing_is_done() {
    let mut model = model(RICH, (120, 40));
    press(&mut model, "jj<enter>4");
    assert!(screen(&model).contains("No checkpoint has been written yet"));
    for key in ["f", "e", "c", "y"] {
        let effects = press(&mut model, key);
        assert!(matches!(&effects[..], [Effect::ExpireNotice(_)]) && model.dialog.is_none(), "{key}: {effects:?}");
    }
}
