//! What the word being typed in a filter may become: its fields and figures, and the values that the store holds.

use std::collections::BTreeSet;

use super::filter::{FIELDS, FIGURES, Field};
use crate::{
    experiment::{RunState, keys},
    store::RunRow,
};

/// The words that the last word of `text` can become, each with the whole text that it makes.
pub fn completions<'a>(text: &str, rows: impl Iterator<Item = &'a RunRow>) -> Vec<Completion> {
    let (before, last) = last_word(text);
    let (minus, word) = match last.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", last),
    };
    if word.starts_with('/') || word.contains(['<', '>', '=']) {
        return Vec::new();
    }
    let words: Vec<String> = match word.split_once(':') {
        Some((name, typed)) => {
            let typed = typed.to_lowercase();
            let field = FIELDS.iter().find(|(known, _)| *known == name);
            let values = field.map_or_else(BTreeSet::new, |(_, field)| values(*field, rows));
            let fitting =
                values.into_iter().filter(|value| value.to_lowercase().starts_with(&typed) && *value != typed);
            fitting.map(|value| format!("{name}:{value} ")).collect()
        }
        None => {
            let fields = FIELDS.iter().map(|(name, _)| format!("{name}:"));
            let figures = FIGURES.iter().map(|(name, _)| format!("{name}>"));
            fields.chain(figures).filter(|name| name.starts_with(word)).collect()
        }
    };
    let whole = |word: String| Completion { text: format!("{before}{minus}{word}"), word: word.trim_end().to_owned() };
    words.into_iter().map(whole).collect()
}

/// What stands before the last word of a text, and that word.
fn last_word(text: &str) -> (&str, &str) {
    let start =
        text.rfind(char::is_whitespace).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    text.split_at(start)
}

/// One of the words that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The whole text with it.
    pub text: String,
    /// The word alone.
    pub word: String,
}

/// The text as far as all completions agree; none where that is no more than is there.
pub fn agreed(text: &str, completions: &[Completion]) -> Option<String> {
    let (first, others) = completions.split_first()?;
    let agreed = others.iter().fold(first.text.clone(), |agreed, other| {
        agreed.chars().zip(other.text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    });
    (agreed.len() > text.len()).then_some(agreed)
}

/// The text with its last word, the beginning or a part of a config's key, completed as far as the keys agree; none where that
/// adds nothing.
pub fn config_key(text: &str) -> Option<String> {
    let (before, typed) = last_word(text);
    if typed.contains('=') {
        return None;
    }
    let matching: Vec<&str> = keys().iter().map(|doc| doc.key).filter(|key| key.contains(typed)).collect();
    let prefixed: Vec<&str> = matching.iter().copied().filter(|key| key.starts_with(typed)).collect();
    let candidates = if prefixed.is_empty() { matching } else { prefixed };
    let (first, others) = candidates.split_first()?;
    let agreed = others.iter().fold((*first).to_owned(), |agreed, key| {
        agreed.chars().zip(key.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    });
    match others {
        [] => Some(format!("{before}{first}=")),
        _ => (agreed.len() > typed.len()).then(|| format!("{before}{agreed}")),
    }
}

/// The values of a field in the store. What holds a blank cannot be typed as one word.
fn values<'a>(field: Field, rows: impl Iterator<Item = &'a RunRow>) -> BTreeSet<String> {
    let mut values: BTreeSet<String> = rows.flat_map(|row| field.values(row)).collect();
    if field == Field::State {
        values.extend(["live", "over", RunState::Completed.word()].map(str::to_owned));
    }
    values.retain(|value| !value.is_empty() && !value.contains(char::is_whitespace));
    values
}
