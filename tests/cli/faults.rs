//! What is said when something is wrong, and the exit codes.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

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
    let mut child = place.linf(&["config", "keys"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
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
