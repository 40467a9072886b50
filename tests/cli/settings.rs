//! `linf-tui settings`.

use crate::support::Place;

#[test]
fn the_printed_settings_are_a_settings_file() {
    let place = Place::new();
    let defaults = place.good(&["settings"]);
    assert!(defaults.starts_with("# The defaults, for there is no file "), "{defaults}");
    assert!(defaults.contains("\nquit = [\"q\", \"ctrl-c\"] # Quit"), "{defaults}");
    place.settings("[keys]\npause = [\"P\", \"f5\"]\n");
    let changed = place.good(&["settings"]);
    assert!(changed.starts_with("# Read from ") && changed.contains("\npause = [\"P\", \"f5\"] # Pause"), "{changed}");
    place.settings(&changed);
    assert_eq!(place.good(&["settings"]), changed);
}

#[test]
fn a_wrong_file_is_one_line_and_hinders_no_other_verb() {
    let place = Place::new();
    place.settings("[keys]\npause = \"r\"\n");
    let said = place.bad(1, &["settings"]);
    assert!(said.contains("config.toml:2: keys.pause: \"r\" is already the key of resume"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    // The view itself, which would need a terminal, does not get that far.
    assert!(place.bad(1, &[]).contains("config.toml:2: keys.pause"));
    assert!(place.good(&["config", "keys"]).contains("schedule.ramp_end"));
}

#[test]
fn what_is_no_text_is_said() {
    let place = Place::new();
    std::fs::write(place.settings(""), [0xFF, 0xFE]).unwrap();
    assert!(place.bad(1, &["settings"]).contains("cannot read the settings"));
}
