//! The settings of the full-screen view: its colours, its columns, and which key does what.
//!
//! They belong to the person at the terminal, not to a store: one file for all stores, read once, when the view opens. What
//! it leaves out is as it is without a file.

mod keep;
mod parse;
mod print;
pub(super) mod words;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use keep::keep_columns;
pub use parse::parse;
pub use print::print;

use super::{alert::Alert, columns::Columns, graphics::Wish, keys::Keymap, look::Dots, theme::Theme};

/// What the settings say.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which colours there are to be.
    pub theme: Theme,
    /// How the terminal is told that a run has ended.
    pub alert: Alert,
    /// The dots of curves.
    pub dots: Dots,
    /// How images are shown.
    pub images: Wish,
    /// Whether the mouse is listened to.
    pub mouse: bool,
    /// The columns of the runs list.
    pub columns: Columns,
    /// What each key does.
    pub keys: Keymap,
}

/// Settings, and where they come from.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where the file is, or would be; none where the environment names no home.
    pub path: Option<PathBuf>,
    /// Whether there is a file.
    pub exists: bool,
    /// What holds.
    pub settings: Settings,
}

/// Where the file is, by the variables of the environment: `$XDG_CONFIG_HOME/linf-tui/config.toml`, else in `~/.config`.
pub fn path(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // By the XDG rules a relative path counts as none.
    let absolute = |name| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("linf-tui").join("config.toml"))
}

/// Reads the settings of whoever runs this process.
pub fn read() -> Result<Found> {
    let path = path(|name| std::env::var_os(name));
    let text = match &path {
        Some(path) => text(path)?,
        None => None,
    };
    let settings = match (&path, &text) {
        (Some(path), Some(text)) => parse(text, &path.display().to_string())?,
        _ => Settings::default(),
    };
    Ok(Found { path, exists: text.is_some(), settings })
}

/// The file's text; none where there is no file.
fn text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        // A `~/.config` that is a file holds no settings either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| {
            format!("cannot read the settings {}; put the file right, or take it away", path.display())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_lies_where_such_files_lie() {
        let at = |config: &str, home: &str| {
            let vars = [("XDG_CONFIG_HOME", config), ("HOME", home)];
            let var = |name: &str| vars.iter().find(|(key, value)| *key == name && !value.is_empty());
            path(|name| var(name).map(|(_, value)| value.into())).map(|path| path.display().to_string())
        };
        assert_eq!(at("/c", "/h").unwrap(), "/c/linf-tui/config.toml");
        assert_eq!(at("", "/h").unwrap(), "/h/.config/linf-tui/config.toml");
        assert_eq!(at("relative", "/h").unwrap(), "/h/.config/linf-tui/config.toml");
        assert_eq!(at("", ""), None);
    }
}
