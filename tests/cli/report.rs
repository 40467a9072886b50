//! `linf-tui report`.

use serde_json::Value;

use crate::support::Place;

#[test]
fn seeds_are_one_line_with_mean_and_deviation() {
    let place = Place::new();
    let config = place.config("config.toml", 2, "");
    place.good(&["add", config.to_str().unwrap(), "--sweep", "train.seed=1..3"]);
    for id in 1..=3 {
        place.until_word(linf::experiment::RunId(id), "completed");
    }
    let held = place.add_with(2, "", &["--hold"]);
    let json: Vec<Value> = serde_json::from_str(&place.good(&["report", "--json"])).unwrap();
    assert_eq!(json.len(), 1, "what is not complete is not reported: {json:?}");
    assert_eq!(json[0]["runs"].as_array().unwrap().len(), 3);
    let mean = json[0]["clean"]["mean"].as_f64().unwrap();
    assert!((json[0]["certified"]["mean"].as_f64().unwrap() - mean / 2.0).abs() < 1e-12);
    // The same seed once more is no further one.
    place.good(&["add", config.to_str().unwrap(), "--set", "train.seed=2"]);
    place.until_word(linf::experiment::RunId(5), "completed");
    let again: Vec<Value> = serde_json::from_str(&place.good(&["report", "--json"])).unwrap();
    assert_eq!(again[0]["runs"], json[0]["runs"]);
    for (format, mark) in [("plain", " ± "), ("markdown", "| 3 |"), ("latex", "\\toprule")] {
        assert!(place.good(&["report", "--format", format]).contains(mark), "{format}");
    }
    assert_eq!(place.good(&["report", &held.to_string()]), "no run among them is complete\n");
}
