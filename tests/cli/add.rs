//! `linf-tui add`.

use linf::experiment::RunId;

use crate::support::Place;

#[test]
fn a_sweep_is_one_group() {
    let place = Place::new();
    let config = place.config("mnist-small.toml", 1, "");
    let config = config.to_str().unwrap();
    let sweep = ["add", config, "--hold", "--sweep", "train.seed=1..3", "--sweep", "loss.lambda=0.05,0.1"];
    assert_eq!(place.good(&sweep).lines().count(), 6);
    let last = place.row(RunId(6));
    assert_eq!(last.group.as_deref(), Some("mnist-small"));
    assert_eq!(last.variant, "train.seed=3 loss.lambda=0.1");
    assert_eq!((last.config.train.seed, last.config.loss.lambda), (3, 0.1));
    place.good(&sweep);
    assert_eq!(place.row(RunId(7)).group.as_deref(), Some("mnist-small-2"), "another sweep is another group");
}

#[test]
fn the_runs_folder_holds_the_config_with_its_overrides() {
    let place = Place::new();
    let id = place.add_with(1, "", &["--hold", "--set", "train.lr=0.5", "--set", "train.seed=9"]);
    let text = std::fs::read_to_string(place.run_dir(id).join("config.toml")).unwrap();
    assert!(text.starts_with("# ") && text.lines().next().unwrap().ends_with("--set train.lr=0.5 --set train.seed=9"));
    assert_eq!(linf::experiment::parse(&text).unwrap(), place.row(id).config);

    let plain = place.add_with(1, "", &["--hold"]);
    let text = std::fs::read_to_string(place.run_dir(plain).join("config.toml")).unwrap();
    let written = std::fs::read_to_string(place.dir().join("config.toml")).unwrap();
    assert_eq!(text, written, "without overrides the file is kept word for word");
}

#[test]
fn a_dry_run_adds_nothing() {
    let place = Place::new();
    let config = place.config("config.toml", 1, "");
    let said = place.good(&["add", config.to_str().unwrap(), "--sweep", "train.seed=1,2", "--dry-run"]);
    assert!(said.contains("train.seed=2") && said.ends_with("2 runs would be added; nothing was\n"), "{said}");
    assert!(!place.root().exists());
}

#[test]
fn a_dry_run_objects_to_what_adding_would_object_to() {
    let place = Place::new();
    let config = place.config("config.toml", 1, "");
    let path = config.to_str().unwrap();
    let dry = |more: &[&'static str]| [&["add", path, "--dry-run"], more].concat();
    assert!(place.bad(1, &dry(&["--name", "7"])).contains("is no name for a run"));
    assert!(place.bad(1, &dry(&["--start-at", "soon"])).contains("soon"));
    assert!(place.bad(4, &dry(&["--after", "brisk-otter"])).contains("holds no store"));
    assert!(!place.root().exists());
    place.add_with(1, "", &["--hold", "--name", "mine"]);
    place.good(&dry(&["--name", "yours", "--after", "mine"]));
    assert!(place.bad(1, &dry(&["--name", "mine"])).contains("a run called \"mine\" exists already"));
    assert!(place.bad(4, &dry(&["--after", "brisk-fox"])).contains("no run is called \"brisk-fox\""));
    assert_eq!(place.good(&["ls"]).lines().count(), 2, "nothing was added");
}

#[test]
fn one_bad_config_of_several_adds_none() {
    let place = Place::new();
    let good = place.config("good.toml", 1, "");
    let bad = place.config("bad.toml", 1, "");
    let text = std::fs::read_to_string(&bad).unwrap().replace("width = 16", "widht = 16");
    std::fs::write(&bad, text).unwrap();
    let said = place.bad(1, &["add", good.to_str().unwrap(), bad.to_str().unwrap()]);
    assert!(said.contains("bad.toml:3") && said.contains("widht"), "{said}");
    assert!(!place.root().exists());
}

#[test]
fn follow_reports_to_the_end() {
    let place = Place::new();
    let config = place.config("config.toml", 3, "");
    let said = place.good(&["add", config.to_str().unwrap(), "--follow", "--name", "mine"]);
    assert!(said.starts_with("#1 mine\n"), "{said}");
    assert!(said.lines().last().unwrap().starts_with("#1 mine: completed"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("epoch ")).count(), 3, "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("evaluation ")).count(), 3, "{said}");
}

#[test]
fn wait_gives_the_worst_end() {
    let place = Place::new();
    let config = place.config("config.toml", 3, "fail-once-at=5");
    let said = place.bad(1, &["add", config.to_str().unwrap(), "--wait"]);
    assert_eq!(said, "", "a failed run is told on stdout, by its exit code, and is no error of `add`");
}
