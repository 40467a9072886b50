//! Settings that are one of a few words.

/// What a word stands for, or what is allowed in its place; `what` says what it is not.
pub fn of_name<T: Copy>(all: &[(&str, T)], text: &str, what: &str) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| format!("\"{text}\" is no {what}; allowed: {}", quoted(all.iter().map(|(name, _)| *name))))
}

/// The word for a value; empty where it has none.
pub fn name_of<T: PartialEq>(all: &[(&'static str, T)], value: &T) -> &'static str {
    all.iter().find(|(_, other)| other == value).map_or("", |(name, _)| name)
}

/// Words as a file has them.
pub fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
