//! Reads settings. Every error names the file, the line and the key, and what is allowed.

use std::{ops::Range, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Settings, words::quoted};
use crate::{
    experiment::{ConfigError, nearest_of},
    tui::{
        alert::Alert,
        columns::Columns,
        graphics::Wish,
        keys::{Chord, Keymap},
        look::Dots,
        theme::Theme,
    },
};

/// The keys of the file.
const KEYS: [&str; 7] = ["theme", "dots", "alert", "images", "mouse", "columns", "keys"];

/// Reads the settings in `text`, which errors call `name`.
pub fn parse(text: &str, name: &str) -> Result<Settings, ConfigError> {
    let source = Source { text, name };
    let table = DeTable::parse(text).map_err(|error| {
        let message = format!("not TOML: {}", error.message().lines().next().unwrap_or_default());
        source.error(&error.span().unwrap_or_default(), None, message)
    })?;
    let mut settings = Settings::default();
    for (key, value) in in_order(table.get_ref()) {
        match key.get_ref().as_ref() {
            "theme" => settings.theme = theme(value, &source)?,
            "dots" => settings.dots = word(value, &source, "dots", &Dots::ALL)?,
            "alert" => settings.alert = word(value, &source, "alert", &Alert::ALL)?,
            "images" => settings.images = word(value, &source, "images", &Wish::ALL)?,
            "mouse" => settings.mouse = mouse(value, &source)?,
            "columns" => settings.columns = columns(value, &source)?,
            "keys" => settings.keys = keys(value, &source)?,
            other => return Err(source.error(&key.span(), Some(other), unknown(other, &KEYS, "key"))),
        }
    }
    Ok(settings)
}

fn theme(value: &Spanned<DeValue<'_>>, source: &Source<'_>) -> Result<Theme, ConfigError> {
    let fault = |message: String| source.error(&value.span(), Some("theme"), message);
    match value.get_ref() {
        DeValue::String(word) => word.parse().map_err(fault),
        other => {
            let names = quoted(Theme::ALL.iter().map(|(name, _)| *name));
            let found = if matches!(other, DeValue::Integer(_)) { "a number" } else { "no text" };
            Err(fault(format!("{found} is no theme; allowed: {names}, with the quotation marks")))
        }
    }
}

/// One of a few words.
fn word<T: FromStr<Err = String>>(
    value: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
    key: &str,
    all: &[(&str, T)],
) -> Result<T, ConfigError> {
    let fault = |message: String| source.error(&value.span(), Some(key), message);
    match value.get_ref() {
        DeValue::String(word) => word.parse().map_err(fault),
        _ => {
            let names = quoted(all.iter().map(|(name, _)| *name));
            Err(fault(format!("must be text; allowed: {names}, with the quotation marks")))
        }
    }
}

fn mouse(value: &Spanned<DeValue<'_>>, source: &Source<'_>) -> Result<bool, ConfigError> {
    let fault = || source.error(&value.span(), Some("mouse"), "must be true or false, without quotation marks".into());
    value.get_ref().as_bool().ok_or_else(fault)
}

fn columns(value: &Spanned<DeValue<'_>>, source: &Source<'_>) -> Result<Columns, ConfigError> {
    let fault = |span: Range<usize>, message: String| source.error(&span, Some("columns"), message);
    let allowed = "must be a list of names; allowed: columns = [\"run\", \"certified\", \"clean\"]";
    let DeValue::Array(list) = value.get_ref() else { return Err(fault(value.span(), allowed.into())) };
    let word = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(word) => Ok(word.to_string()),
        _ => Err(fault(item.span(), allowed.into())),
    };
    let words = list.iter().map(word).collect::<Result<Vec<String>, _>>()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Columns::read(&words).map_err(|wrong| fault(list.get(wrong.at).map_or(value.span(), Spanned::span), wrong.message))
}

fn keys(value: &Spanned<DeValue<'_>>, source: &Source<'_>) -> Result<Keymap, ConfigError> {
    let DeValue::Table(table) = value.get_ref() else {
        let message = "must be a table; allowed: [keys], and below it lines such as pause = \"p\"".into();
        return Err(source.error(&value.span(), Some("keys"), message));
    };
    let names = Keymap::names();
    let mut keymap = Keymap::default();
    let mut given: Vec<(&str, Range<usize>)> = Vec::new();
    for (key, value) in in_order(table) {
        let word = key.get_ref().as_ref();
        let path = format!("keys.{word}");
        let name = names.iter().find(|name| **name == word);
        let name = *name.ok_or_else(|| source.error(&key.span(), Some(&path), unknown(word, &names, "action")))?;
        let chords = chords(value).map_err(|(span, message)| source.error(&span, Some(&path), message))?;
        if let Some(text) = chords.iter().find(|chord| chord.is_text()).filter(|_| Keymap::takes_text(name)) {
            let message = format!(
                "\"{}\" is typed there as text; allowed: \"ctrl-\" and a letter, or a key with a name such as \"tab\" or \"f2\"",
                text.spelling()
            );
            return Err(source.error(&value.span(), Some(&path), message));
        }
        if chords.is_empty() && ["quit", "close"].contains(&name) {
            let message = "must keep a key; allowed: a key, or a list of at least one".into();
            return Err(source.error(&value.span(), Some(&path), message));
        }
        keymap.set(name, &chords);
        given.push((name, key.span()));
    }
    // Of two that clash the later line is named. The defaults clash with nothing, so at least one of them was given.
    let clash = keymap.conflicts().into_iter().filter_map(|conflict| {
        let lines = given.iter().filter(|(name, _)| conflict.names.contains(name));
        lines.max_by_key(|(_, span)| span.start).map(|(name, span)| (*name, span.clone(), conflict))
    });
    if let Some((name, span, conflict)) = clash.min_by_key(|(_, span, _)| span.start) {
        let [one, two] = conflict.names;
        let other = if one == name { two } else { one };
        let message = format!(
            "\"{}\" is already the key of {other} on the screen \"{}\"; allowed: a key that is free there, or another one \
             for {other} too",
            conflict.key.spelling(),
            conflict.place.heading()
        );
        return Err(source.error(&span, Some(&format!("keys.{name}")), message));
    }
    Ok(keymap)
}

/// A key, or a list of keys.
fn chords(value: &Spanned<DeValue<'_>>) -> Result<Vec<Chord>, (Range<usize>, String)> {
    let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(word) => word.parse::<Chord>().map_err(|error| (value.span(), error.to_string())),
        _ => Err((
            value.span(),
            "must be text; allowed: a key such as \"p\", or a list such as [\"q\", \"ctrl-q\"]".into(),
        )),
    };
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(one).collect(),
        _ => one(value).map(|chord| vec![chord]),
    }
}

fn unknown(word: &str, known: &[&str], what: &str) -> String {
    let meant = nearest_of(word, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("no {what} is called so{meant}; allowed: {}", known.join(", "))
}

type Entry<'t, 'de> = (&'t Spanned<toml::de::DeString<'de>>, &'t Spanned<DeValue<'de>>);

/// A table as it stands in the file, so that the first fault is the one that is named.
fn in_order<'t, 'de>(table: &'t DeTable<'de>) -> Vec<Entry<'t, 'de>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

struct Source<'a> {
    text: &'a str,
    name: &'a str,
}

impl Source<'_> {
    fn error(&self, span: &Range<usize>, key: Option<&str>, message: String) -> ConfigError {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError { place: format!("{}:{line}", self.name), key: key.map(str::to_owned), message }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::{
        keys::{Action, Place},
        settings::print,
    };

    fn fault(text: &str) -> String {
        let error = parse(text, "config.toml").unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn keys_are_given_one_by_one_or_as_a_list() {
        let text = "[keys]\npause = \"P\"\nquit = [\"ctrl-q\", \"f10\"]\nnote = []\n";
        let keys = parse(text, "").unwrap().keys;
        let action = |word: &str| keys.action(&[Place::Runs, Place::Everywhere], word.parse().unwrap());
        assert_eq!([action("P"), action("p")], [Some(Action::Pause), None]);
        assert_eq!([action("f10"), action("ctrl-q"), action("q")], [Some(Action::Quit), Some(Action::Quit), None]);
        assert_eq!([action("n"), action("r")], [None, Some(Action::Resume)]);
        assert!(parse("", "").is_ok());
    }

    #[test]
    fn two_may_change_places() {
        let keys = parse("[keys]\npause = \"r\"\nresume = \"p\"", "").unwrap().keys;
        assert_eq!(keys.key_of(&[Place::Machine], Action::Resume), "p");
    }

    #[test]
    fn a_fault_is_named_with_its_line_its_key_and_what_is_allowed() {
        insta::assert_snapshot!(
            [
                "keys = 3",
                "theme = 16",
                "\ntheme = 'neon'",
                "color = 'dark'",
                "alert = 'ring'",
                "alert = true",
                "mouse = 'on'",
                "[key]\npause = 'p'",
                "[keys]\n\npuase = 'p'",
                "[keys]\npause = 3",
                "[keys]\npause = [\n 'p',\n 'alt-p']",
                "[keys]\npause = 'ctrl-m'",
                "[keys]\npause = 'r'",
                "[keys]\nquit = 'F'\nfit = 'q'\n\nnext-tab = 'F'",
                "[keys]\nquit = []",
                "[keys]\nclose = []",
                "[keys]\naccept = ['enter', 'x']",
                "[keys]\nqueue = 'space'",
                "[keys]\nyes = 'ctrl-c'",
                "[keys]\npause = 'p'\npause = 'q'",
                "columns = 'run'",
                "columns = [\n'run', 3]",
                "columns = ['run',\n 'colour']",
                "columns = ['p:1000']",
                "[keys\n",
            ]
            .map(fault)
            .join("\n")
        );
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same() {
        for text in [
            "",
            "theme = '16'",
            "alert = 'both'\nmouse = true",
            "columns = ['run:30', 'seed', 'certified:9']",
            "theme = 'none'\n[keys]\npause = ['\"', '\\', \"'\"]\nquit = 'ctrl-q'\nnote = []\n",
        ] {
            let settings = parse(text, "").unwrap();
            let printed = print(&settings);
            let again = parse(&printed, "printed").unwrap();
            for (one, other) in settings.keys.table().iter().zip(again.keys.table()) {
                assert_eq!(one.keys, other.keys, "{}", one.name);
            }
            assert_eq!((again.theme, &again.columns), (settings.theme, &settings.columns));
            assert_eq!((again.alert, again.mouse), (settings.alert, settings.mouse));
            assert_eq!(print(&again), printed);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_wild(text in "(\\[keys\\]\n)?(([a-z-]{1,9}|quit|pause|theme) = ('[a-z+-]{0,7}'|[0-9]|\\[('p',)*)\n?){0,4}.{0,9}") {
            // What is wrong is said in one line.
            if let Err(error) = parse(&text, "config.toml") {
                prop_assert!(error.place.starts_with("config.toml:"));
            }
        }
    }
}
