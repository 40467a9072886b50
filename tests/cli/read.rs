//! `ls`, `show`, `logs`, `checkpoints`, and the labels they show.

use serde_json::Value;

use crate::support::Place;

#[test]
fn json_is_all_there_is_on_stdout() {
    let place = Place::new();
    let id = place.add(2, "");
    place.until_word(id, "completed");
    let list: Vec<Value> = serde_json::from_str(&place.good(&["ls", "--json"])).unwrap();
    assert_eq!(list[0]["state"]["state"], "completed");
    let shown: Value = serde_json::from_str(&place.good(&["show", "1", "--json"])).unwrap();
    assert_eq!(shown["standing"].as_str().unwrap().split(' ').next(), Some("completed"));
    assert_eq!(shown["summary"]["step"], 20);
    assert!(shown["events"].as_array().unwrap().iter().any(|event| event["text"] == "trained to the end"));
    let checkpoints: Vec<Value> = serde_json::from_str(&place.good(&["checkpoints", "1", "--json"])).unwrap();
    assert_eq!(checkpoints.last().unwrap()["step"], 20);
    assert_eq!(checkpoints.last().unwrap()["kind"], "final");
}

#[test]
fn figures_come_as_a_table_for_other_programs() {
    let place = Place::new();
    let id = place.add(2, "");
    place.until_word(id, "completed");
    let table = place.good(&["metrics", "1"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0][..4], ["run", "epoch", "step", "p"]);
    assert!(lines.iter().all(|line| line.len() <= lines[0].len()), "{table}");
    let steps = place.good(&["metrics", "--steps", "--json", "1"]);
    let steps: Vec<Value> = steps.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        steps.iter().map(|line| line["step"].as_f64().unwrap()).collect::<Vec<_>>(),
        (1..=20).map(f64::from).collect::<Vec<_>>()
    );
    assert!(steps.iter().all(|line| line["loss"].is_number() && line["run"].is_string()));
    place.add_with(1, "", &["--hold", "--name", "later"]);
    let said = place.bad(1, &["metrics", "later"]);
    assert!(said.contains("later has not begun"), "{said}");
}

#[test]
fn charts_come_as_pictures() {
    let place = Place::new();
    let config = place.config("config.toml", 2, "");
    place.good(&["add", config.to_str().unwrap(), "--sweep", "train.seed=1,2"]);
    for id in [1, 2] {
        place.until_word(linf::experiment::RunId(id), "completed");
    }
    let texts = |svg: &str| -> Vec<String> {
        let picture = roxmltree::Document::parse(svg).unwrap();
        picture
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| Some(node.text()?.to_owned()))
            .collect()
    };
    let has = |svg: &str, begin: &str| texts(svg).iter().any(|text| text.starts_with(begin));
    let one = place.good(&["chart", "1"]);
    assert!(["accuracy", "epoch", "certified", "clean"].iter().all(|word| has(&one, word)), "{:?}", texts(&one));
    let file = place.dir().join("both.svg");
    assert_eq!(place.good(&["chart", "1", "2", "--along", "step", "-o", file.to_str().unwrap()]), "");
    let both = std::fs::read_to_string(&file).unwrap();
    assert!(
        ["certified accuracy", "step", "seed=1", "seed=2"].iter().all(|word| has(&both, word)),
        "{:?}",
        texts(&both)
    );
    let named = place.good(&["chart", "1", "2", "--labels", "plain,with warps"]);
    assert!(has(&named, "plain ") && has(&named, "with warps "), "{:?}", texts(&named));
    let seeds = place.good(&["chart", "1", "2", "--together", "seeds", "--show", "loss"]);
    assert!(texts(&seeds).iter().any(|text| text.contains(", 2 runs ")), "{:?}", texts(&seeds));

    let said = place.bad(1, &["chart", "1", "2", "--show", "rates"]);
    assert!(said.contains("this chart is of one run"), "{said}");
    let said = place.bad(1, &["chart", "1", "2", "--labels", "plain"]);
    assert!(said.contains("one label a run: 1 for 2"), "{said}");
    place.add_with(1, "", &["--hold", "--name", "later"]);
    let said = place.bad(1, &["chart", "later"]);
    assert!(said.contains("later has not finished an epoch"), "{said}");
    let said = place.bad(1, &["chart", "1", "-o", "a.png"]);
    assert!(said.contains("the picture is SVG"), "{said}");
    let said = place.bad(1, &["chart", "1", "--epochs", "2..3"]);
    assert!(said.contains("nothing from epoch 2 on: the longest run has 2"), "{said}");
    let said = place.bad(1, &["chart", "1", "-o", "/nowhere/a.svg"]);
    assert!(said.contains("cannot write /nowhere/a.svg"), "{said}");
}

#[test]
fn a_run_is_found_by_number_name_and_beginning() {
    let place = Place::new();
    place.add_with(1, "", &["--hold", "--name", "first-otter"]);
    place.add_with(1, "", &["--hold", "--name", "first-wren"]);
    for word in ["1", "#1", "first-otter", "first-o"] {
        assert!(place.good(&["show", word]).starts_with("#1 first-otter: paused"), "{word}");
    }
    let said = place.bad(4, &["show", "first"]);
    assert!(said.contains("first-otter") && said.contains("first-wren"), "{said}");
    let said = place.bad(4, &["show", "otter"]);
    assert!(said.contains("did you mean first-otter?"), "{said}");
    let said = place.bad(4, &["show", "99"]);
    assert!(said.contains("no run is called \"99\""), "{said}");
}

#[test]
fn lists_are_filtered() {
    let place = Place::new();
    let done = place.add(1, "");
    place.until_word(done, "completed");
    place.add_with(1, "", &["--hold", "--name", "later", "--tag", "mine"]);
    let names = |filters: &[&str]| -> Vec<i64> {
        let list: Vec<Value> = serde_json::from_str(&place.good(&[&["ls", "--json"], filters].concat())).unwrap();
        list.iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(names(&[]), [1, 2]);
    assert_eq!(names(&["state:paused"]), [2]);
    assert_eq!(names(&["tag:mine"]), [2]);
    assert_eq!(names(&["lat"]), [2]);
    assert_eq!(names(&["data:synthetic"]), [1, 2]);
    assert_eq!(names(&["certified>0.4"]), [1]);
    assert_eq!(names(&["certified>0.4", "state:paused"]), [0; 0]);
    assert!(place.bad(2, &["ls", "colour:red"]).contains("no field \"colour\""));
    assert_eq!(names(&["state:paused", "or", "certified>0.4"]), [1, 2]);
    assert_eq!(names(&["--", "-state:paused"]), [1]);
    assert!(place.good(&["ls", "state:lost"]).contains("no run matches"));
}

#[test]
fn labels_are_put_on_and_taken_off() {
    let place = Place::new();
    let id = place.add_with(1, "", &["--hold", "--tag", "a", "--note", "first words"]);
    assert_eq!(place.row(id).note, "first words");
    place.good(&["tag", "1", "b", "c"]);
    place.good(&["tag", "1", "--remove", "a", "c"]);
    assert_eq!(place.row(id).tags, ["b"]);
    place.good(&["note", "1", "other", "words"]);
    assert_eq!(place.row(id).note, "other words");
    assert!(place.good(&["note", "1"]).ends_with(": other words\n"));
    assert_eq!(place.row(id).note, "other words", "to look at it takes nothing off");
    place.good(&["note", "1", "--remove"]);
    assert_eq!(place.row(id).note, "");
}

#[test]
fn logs_of_all_attempts_are_kept() {
    let place = Place::new();
    let id = place.add_with(3, "die-once-at=15 checkpoint-every=10", &[]);
    // Following ends by itself with the run.
    let followed = place.good(&["logs", "--follow", "1"]);
    place.until_word(id, "completed");
    let said = place.good(&["logs", "1"]);
    assert_eq!(said, followed);
    assert_eq!(said.matches("begins at step").count(), 2, "{said}");
    assert_eq!(place.good(&["logs", "-n", "1", "1"]), "leaves: Completed\n");
}

#[test]
fn a_run_is_removed_only_on_a_clear_word() {
    let place = Place::new();
    let id = place.add_with(1, "", &["--hold"]);
    let said = place.bad(1, &["rm", "1"]);
    assert!(said.contains("--yes") && said.contains("Nothing was removed"), "{said}");
    assert!(place.run_dir(id).is_dir());
    place.good(&["rm", "--yes", "1"]);
    assert!(!place.run_dir(id).exists());
    place.bad(4, &["show", "1"]);

    let live = place.add(200, "step-ms=10");
    place.until_step(live, 1);
    let said = place.bad(1, &["rm", "--yes", &live.to_string()]);
    assert!(said.contains("cancel it first"), "{said}");
    place.good(&["cancel", "--now", &live.to_string()]);
}
