//! The filters that were used before, newest last. They are the user's, whatever the store, and lie in the folder for such
//! things: `$XDG_STATE_HOME/linf-tui/filters`, without that variable `~/.local/state/linf-tui/filters`, one a line.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::replace::replace;

/// How many are kept.
const MOST: usize = 100;

/// Where they are, by the variables of the environment.
fn path(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // By the XDG rules a relative path counts as none.
    let absolute = |name| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(folder.join("linf-tui").join("filters"))
}

/// Reads them. Where they cannot be read there are none: nothing depends on them.
pub fn read() -> Vec<String> {
    path(|name| std::env::var_os(name)).map(|path| read_at(&path)).unwrap_or_default()
}

/// Adds one to those of whoever runs this process.
pub fn keep(filter: &str) -> Result<()> {
    let path = path(|name| std::env::var_os(name)).context("neither XDG_STATE_HOME nor HOME names a folder")?;
    // Read anew: another window may have added some.
    let mut filters = read_at(&path);
    add(&mut filters, filter);
    replace(&path, &(filters.join("\n") + "\n")).with_context(|| format!("cannot write {}", path.display()))
}

/// Adds a filter as the newest; the same one further back goes away.
pub fn add(filters: &mut Vec<String>, filter: &str) {
    filters.retain(|other| other != filter);
    filters.push(filter.to_owned());
    filters.drain(..filters.len().saturating_sub(MOST));
}

fn read_at(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_lie_where_such_things_lie() {
        let at = |state: &str, home: &str| {
            let vars = [("XDG_STATE_HOME", state), ("HOME", home)];
            let var = |name: &str| vars.iter().find(|(key, value)| *key == name && !value.is_empty());
            path(|name| var(name).map(|(_, value)| value.into())).map(|path| path.display().to_string())
        };
        assert_eq!(at("/s", "/h").unwrap(), "/s/linf-tui/filters");
        assert_eq!(at("relative", "/h").unwrap(), "/h/.local/state/linf-tui/filters");
        assert_eq!(at("", ""), None);
    }

    #[test]
    fn the_newest_comes_last_and_each_stands_once() {
        let mut filters = vec!["a".to_owned(), "b".to_owned()];
        add(&mut filters, "a");
        assert_eq!(filters, ["b", "a"]);
        (0..200).for_each(|number| add(&mut filters, &number.to_string()));
        assert_eq!((filters.len(), filters.last().map(String::as_str)), (MOST, Some("199")));
    }
}
