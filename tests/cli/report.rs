//! Completions and manual pages.

use crate::support::Place;

#[test]
fn completions_know_the_verbs() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = place.good(&["completions", shell]);
        assert!(text.contains("checkpoints") && text.contains("dry-run"), "{shell}");
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let place = Place::new();
    assert!(place.good(&["man"]).starts_with(".ie"));
    place.good(&["man", "--folder", "."]);
    for page in ["linf-tui.1", "linf-tui-add.1", "linf-tui-wait.1"] {
        assert!(place.dir().join(page).is_file(), "{page}");
    }
}
