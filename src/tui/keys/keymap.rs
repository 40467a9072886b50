//! The table of keys as it holds now: the defaults, and what the settings changed.

use std::borrow::Cow;

use super::{Action, Binding, Chord, Place, dialog_table, table};

/// What each key does.
#[derive(Clone, Debug)]
pub struct Keymap {
    table: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Keymap { table: defaults().cloned().collect() }
    }
}

/// The keys that hold unless the settings say otherwise.
fn defaults() -> impl Iterator<Item = &'static Binding> {
    table::TABLE.iter().chain(dialog_table::TABLE)
}

/// One key for two things on one screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The key.
    pub key: Chord,
    /// The names of the two things.
    pub names: [&'static str; 2],
    /// Where the first of them holds.
    pub place: Place,
}

impl Keymap {
    /// The names that the settings may give keys to, in the order of the table.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for binding in defaults() {
            if !names.contains(&binding.name) {
                names.push(binding.name);
            }
        }
        names
    }

    /// Gives everything of this name other keys.
    pub fn set(&mut self, name: &str, keys: &[Chord]) {
        for binding in self.table.iter_mut().filter(|binding| binding.name == name) {
            binding.keys = Cow::Owned(keys.to_vec());
        }
    }

    /// All lines, in the order of the help.
    pub fn table(&self) -> &[Binding] {
        &self.table
    }

    /// Every key that means two things on one screen.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut found: Vec<Conflict> = Vec::new();
        for places in Place::TOGETHER {
            let here: Vec<&Binding> = self.table.iter().filter(|binding| places.contains(&binding.place)).collect();
            for (index, one) in here.iter().enumerate() {
                for other in &here[index + 1..] {
                    let shared = one.keys.iter().find(|key| other.keys.contains(key));
                    if let Some(key) = shared {
                        let conflict = Conflict { key: *key, names: [one.name, other.name], place: one.place };
                        if !found.contains(&conflict) {
                            found.push(conflict);
                        }
                    }
                }
            }
        }
        found
    }

    /// Whether text is typed where this name holds.
    pub fn takes_text(name: &str) -> bool {
        defaults().any(|binding| binding.name == name && binding.place.takes_text())
    }

    /// What a key does in the first of `places` that knows it.
    pub fn action(&self, places: &[Place], chord: Chord) -> Option<Action> {
        let at =
            |place: &Place| self.table.iter().find(|binding| binding.place == *place && binding.keys.contains(&chord));
        places.iter().find_map(at).map(|binding| binding.action)
    }

    /// What holds in `places`, innermost first.
    pub fn bindings(&self, places: &[Place]) -> impl Iterator<Item = &Binding> {
        places.iter().flat_map(|place| self.table.iter().filter(move |binding| binding.place == *place))
    }

    /// The first key of an action in `places`, as the screens write it; empty where it has none.
    pub fn key_of(&self, places: &[Place], action: Action) -> String {
        self.bindings(places).find(|binding| binding.action == action).map(Binding::key).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(word: &str) -> Chord {
        word.parse().unwrap()
    }

    #[test]
    fn no_key_means_two_things_on_one_screen() {
        assert_eq!(Keymap::default().conflicts(), []);
        for binding in defaults() {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty(), "{binding:?}");
        }
        let mut keymap = Keymap::default();
        keymap.set("quit", &[chord("r")]);
        let conflicts = keymap.conflicts();
        assert!(conflicts.iter().all(|conflict| conflict.names == ["resume", "quit"]), "{conflicts:?}");
        assert!(!conflicts.is_empty());
    }

    #[test]
    fn one_name_has_one_meaning_and_the_same_keys_everywhere() {
        for one in defaults() {
            for other in defaults().filter(|other| other.name == one.name) {
                assert_eq!((one.action, &one.keys, one.help.is_empty()), (other.action, &other.keys, false));
            }
            for key in one.keys.iter() {
                assert_eq!(chord(&key.spelling()), *key, "settings can spell every default");
            }
        }
    }

    #[test]
    fn where_text_is_typed_no_letter_is_a_command() {
        for binding in defaults().filter(|binding| binding.place.takes_text()) {
            assert!(!binding.keys.iter().any(Chord::is_text), "{binding:?}");
        }
        assert!(Keymap::takes_text("accept") && Keymap::takes_text("queue") && !Keymap::takes_text("yes"));
    }

    #[test]
    fn the_place_decides() {
        let keymap = Keymap::default();
        assert_eq!(keymap.action(&[Place::Charts, Place::Run, Place::Everywhere], chord("x")), Some(Action::AxisX));
        assert_eq!(keymap.action(&[Place::Runs, Place::Everywhere], chord("x")), Some(Action::Cancel));
        assert!(keymap.bindings(&[Place::Charts, Place::Everywhere]).all(|binding| binding.place != Place::Runs));
    }

    #[test]
    fn other_keys_hold_wherever_the_name_does() {
        let mut keymap = Keymap::default();
        keymap.set("pause", &[chord("P"), chord("f5")]);
        for place in [Place::Runs, Place::Run, Place::Machine] {
            assert_eq!(keymap.action(&[place], chord("P")), Some(Action::Pause));
            assert_eq!(keymap.action(&[place], chord("p")), None);
            assert_eq!(keymap.key_of(&[place], Action::Pause), "P");
        }
    }
}
