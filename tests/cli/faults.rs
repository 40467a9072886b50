//! What is said when something is wrong, and the exit codes.

use crate::support::Place;

#[test]
fn every_exit_code_is_as_documented() {
    let place = Place::new();
    assert!(place.good(&["--help"]).contains("Exit codes:"));
    place.bad(2, &["ls", "--no-such-option"]);
    let said = place.bad(4, &["ls"]);
    assert!(said.contains("holds no store") && said.contains("--store or LINF_STORE"), "{said}");
    assert!(!place.root().exists(), "looking makes no store");
    let said = place.bad(1, &["add", "no-such.toml"]);
    assert!(said.contains("cannot read the config no-such.toml"), "{said}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let place = Place::new();
    place.add_with(1, "", &["--hold"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.linf(&["ls"]).stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_cause_is_said_once() {
    let place = Place::new();
    std::fs::write(place.root(), "a file where the store's folder should be").unwrap();
    let config = place.config("config.toml", 1, "");
    let said = place.bad(1, &["add", config.to_str().unwrap()]);
    let cause = said.rsplit_once(": ").unwrap().1.trim_end();
    assert_eq!(said.matches(cause).count(), 1, "{said}");
}

#[test]
fn doctor_finds_variables_that_say_nothing() {
    let place = Place::new();
    let mut command = place.linf(&["doctor"]);
    let output = command.env("LINF_SLOTS", "many").env("LINF_THEME", "neon").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG  variable     LINF_SLOTS: \"many\" is no number of slots"), "{said}");
    assert!(said.contains("note   variable     LINF_THEME: ") && said.contains("neon"), "{said}");
}

#[test]
fn doctor_finds_what_is_missing() {
    let place = Place::new();
    let output = place.linf(&["doctor"]).env("LINF_TRAIN", "/no/such/trainer").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG  trainer      LINF_TRAIN names /no/such/trainer"), "{said}");
    assert!(!place.root().exists(), "doctor changes nothing");
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&place.say(&["doctor", "--json"]).stdout).unwrap();
    assert!(findings.iter().any(|finding| finding["what"] == "store" && finding["verdict"] == "note"));
}
