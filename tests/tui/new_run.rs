//! A new run or a sweep of them: what is queued, and what is only looked at.

use linf::report::pace::Pace;
use linf::tui::message::{Effect, Msg};
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{NOW_MS, RICH, configs, fresh, press, screen};

#[test]
fn a_sweep_is_queued_as_one_group() {
    let mut model = fresh();
    let effects = press(&mut model, "aj<enter>loss.lam<tab>=0.02,0.05<enter>train.seed=1..3<enter><enter>");
    let runs = effects.iter().find_map(|effect| match effect {
        Effect::Add(runs) => Some(runs),
        _ => None,
    });
    let runs = runs.unwrap();
    assert_eq!(runs.len(), 6);
    // A group called mnist-cpu is in the store already.
    assert!(runs.iter().all(|run| run.group.as_deref() == Some("mnist-cpu-2")));
    assert_eq!(runs[5].variant, "loss.lambda=0.05 train.seed=3");
    assert_eq!((runs[5].config.loss.lambda, runs[5].config.train.seed), (0.05, 3));
    assert_eq!(linf::experiment::parse_with(&runs[5].config_text, "text", &[]).unwrap(), runs[5].config);
}

#[test]
fn a_config_that_is_wrong_is_not_queued() {
    let mut model = fresh();
    let effects = press(&mut model, "aj<enter>train.lr=fast<^s>");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Add(_))));
    assert!(screen(&model).contains("train.lr"), "{}", screen(&model));
    assert!(model.dialog.is_some());
}

#[test]
fn a_dry_run_lists_what_would_be_queued_and_queues_nothing() {
    let mut model = fresh();
    let effects = press(&mut model, "aj<enter>train.epochs=130,240<^d>");
    let shown = screen(&model);
    assert!(shown.contains("Dry run: nothing is queued"), "{shown}");
    assert!(shown.contains("2 runs would be queued, as the group mnist-cpu-2"), "{shown}");
    assert!(shown.contains("30 550 to 56 400 steps each · about ") && shown.contains("86 950 steps in all"), "{shown}");
    assert!(shown.contains("by the pace of 8 of this store's runs on CPU, avx512, 2 threads, their median"), "{shown}");
    assert!(shown.contains("before them: 2 running, 1 waiting") && shown.contains("train.epochs=240"), "{shown}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Add(_))));
    let effects = press(&mut model, "<esc>");
    assert!(effects.is_empty() && screen(&model).contains("train.epochs=130,240"), "back to where it was");
    let effects = press(&mut model, "<^d><enter>");
    assert!(matches!(&effects[..], [Effect::Add(runs)] if runs.len() == 2));
    // What cannot be queued has no dry run.
    press(&mut model, "aj<enter>train.lr=fast<^d>");
    assert!(!screen(&model).contains("Dry run") && screen(&model).contains("train.lr"));
}

#[test]
fn how_long_is_measured_where_no_run_tells() {
    let mut model = Model::new(RICH, jiff::tz::TimeZone::UTC, "new".into(), (120, 40));
    update(&mut model, Msg::Catalog { rows: Vec::new(), now_ms: NOW_MS });
    let effects = press(&mut model, "aj");
    assert!(matches!(&effects[..], [Effect::LoadConfigs, Effect::MeasurePace]), "{effects:?}");
    let shown = screen(&model);
    assert!(shown.contains("28 200 steps") && shown.contains("how long is not known yet"), "{shown}");
    let pace = Pace { device: "CPU, avx512, 2 threads".into(), runs: 0, pairs_per_second: 1e10 };
    update(&mut model, Msg::Pace(pace));
    let shown = screen(&model);
    assert!(
        shown.contains("about") && shown.contains("by the pace of a few steps on CPU, avx512, 2 threads"),
        "{shown}"
    );
    // Where runs tell, nothing is measured.
    let effects = press(&mut fresh(), "aj");
    assert!(matches!(&effects[..], [Effect::LoadConfigs]), "{effects:?}");
}

#[test]
fn a_config_is_opened_in_an_editor_and_stays_chosen() {
    let mut model = fresh();
    let effects = press(&mut model, "aje");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Edit(path) if path.ends_with("configs/mnist-cpu.toml")))
    );
    // It comes back broken, and another one has come before it.
    let mut files = configs();
    files[1].text = files[1].text.replace("width = 512", "width = \"wide\"");
    files[1].parsed = linf::experiment::parse_with(&files[1].text, &files[1].name, &[])
        .map(Box::new)
        .map_err(|error| error.to_string());
    assert!(files[1].parsed.is_err());
    files.insert(0, linf::tui::known::ConfigFile { name: "another.toml".into(), ..files[0].clone() });
    update(&mut model, Msg::Configs(files, "configs".into()));
    let shown = screen(&model);
    assert!(shown.contains("▸mnist-cpu") && shown.contains("mnist-cpu.toml:"), "{shown}");
    assert!(shown.contains("model.width"), "{shown}");
    // Where keys are typed, it is a letter.
    assert!(press(&mut model, "k<enter>e").is_empty());
}
