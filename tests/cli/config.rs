//! `linf-tui config`.

use crate::support::Place;

#[test]
fn a_good_config_is_shown_with_its_defaults() {
    let place = Place::new();
    let config = place.config("config.toml", 3, "");
    let config = config.to_str().unwrap();
    assert_eq!(place.good(&["config", "check", config]), format!("{config}: good\n"));
    let shown = place.good(&["config", "show", config, "--set", "train.seed=7"]);
    let resolved = linf::experiment::parse(&shown).unwrap();
    assert_eq!((resolved.train.seed, resolved.train.epochs), (7, 3));
    assert!(shown.contains("checkpoint_seconds = 60"), "{shown}");
}

#[test]
fn the_layers_of_a_net_are_shown() {
    let place = Place::new();
    let config = place.config("config.toml", 3, "");
    let config = config.to_str().unwrap();
    let overrides = ["--set", "model.hidden=6", "--set", "model.conv=[{ outputs = 4, kernel = 5, stride = 4 }]"];
    let shown = place.good(&[&["config", "show", config, "--model"][..], &overrides].concat());
    for part in ["distance, 5×5, stride 4", "1×28×28", "4×6×6", "tanh", "pairs an image"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let too_large = ["--set", "model.conv=[{ outputs = 4, kernel = 29 }]"];
    let said = place.bad(1, &[&["config", "check", config][..], &too_large].concat());
    assert!(said.contains("model.conv") && said.contains("a window that does not fit"), "{said}");
}

#[test]
fn a_bad_value_is_named_with_what_is_allowed() {
    let place = Place::new();
    let config = place.config("config.toml", 3, "");
    let said = place.bad(1, &["config", "check", config.to_str().unwrap(), "--set", "train.epoch=3"]);
    assert!(said.contains("did you mean train.epochs?"), "{said}");
    let said = place.bad(1, &["config", "check", "no-such.toml"]);
    assert!(said.contains("cannot read the config no-such.toml"), "{said}");
}

#[test]
fn configs_are_listed_with_what_they_cost() {
    let place = Place::new();
    let folder = place.dir().join("configs");
    std::fs::create_dir(&folder).unwrap();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/iclr2022-cifar10-eps8-255.toml");
    std::fs::copy(shipped, folder.join("published.toml")).unwrap();
    std::fs::write(folder.join("broken.toml"), "x = 1").unwrap();
    std::fs::write(folder.join("no-text.toml"), [0xff, 0xfe, 0]).unwrap();
    let folder = folder.to_str().unwrap();
    let text = place.good(&["config", "list", folder]);
    for said in [
        "120637451",
        "6.0e12",
        "0.4006",
        "0.5430",
        "8/255",
        "time: at the pace of a few steps on CPU",
        "broken.toml:1",
        "no-text.toml: ",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
    let json: Vec<serde_json::Value> =
        serde_json::from_str(&place.good(&["config", "list", folder, "--json"])).unwrap();
    assert_eq!((&json[2]["parameters"], json[2]["estimates"].as_array().unwrap().len()), (&120_637_451.into(), 1));
    // Two million steps of 31 billion pairs: a day at the very least.
    assert!(json[2]["estimates"][0]["seconds"].as_f64().unwrap() > 86_400.0, "{}", json[2]["estimates"]);
}

#[test]
fn keys_are_explained() {
    let place = Place::new();
    assert!(place.good(&["config", "explain", "resources.retries"]).contains("0 to 1000 (default: 5)"));
    assert!(place.good(&["config", "keys"]).contains("schedule.ramp_end"));
    assert!(place.bad(1, &["config", "explain", "nonsense"]).contains("config keys"));
}
