//! Writes what was chosen on the screen into the settings, and leaves all else in them as it stands.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml_edit::{Array, DocumentMut, Item, Value};

use super::text;
use crate::tui::{columns::Columns, replace::replace};

/// Writes the columns into the settings of whoever runs this process; answers where they are.
pub fn keep_columns(columns: &Columns) -> Result<PathBuf> {
    let path = super::path(|name| std::env::var_os(name));
    let path = path.context("neither XDG_CONFIG_HOME nor HOME names a folder for settings")?;
    // Often a link into a folder of such files: the link stays.
    let path = fs::canonicalize(&path).unwrap_or(path);
    let written = with_columns(&text(&path)?.unwrap_or_default(), columns, &path)?;
    replace(&path, &written).with_context(|| format!("cannot write the settings {}", path.display()))?;
    Ok(path)
}

/// The text of the settings at `path` with these columns.
fn with_columns(text: &str, columns: &Columns, path: &Path) -> Result<String> {
    let mut document: DocumentMut = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let mut list: Array = columns.words().into_iter().collect();
    list.fmt();
    let entry = document.entry("columns").or_insert(Item::None);
    // What stands around the old list, such as a comment behind it, stands around the new one.
    if let Some(old) = entry.as_array() {
        *list.decor_mut() = old.decor().clone();
    }
    *entry = Item::Value(Value::Array(list));
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::settings::parse;

    #[test]
    fn everything_else_stays_as_it_stands() {
        let mine = "# mine\ntheme = 'light'   # by day\ncolumns = ['run'] # for now\n\n[keys]\n# loud\npause = 'P'\n";
        let columns = Columns::read(&["run:30", "certified", "seed:9"]).unwrap();
        let kept = with_columns(mine, &columns, Path::new("config.toml")).unwrap();
        assert_eq!(
            kept,
            mine.replace("['run']", "[\"run:30\", \"certified\", \"seed:9\"]"),
            "the columns alone have changed"
        );
        assert_eq!(parse(&kept, "").unwrap().columns, columns);
        let without = with_columns("[keys]\npause = 'P'\n", &columns, Path::new("config.toml")).unwrap();
        let read = parse(&without, "").unwrap();
        assert_eq!(read.columns, columns);
        assert!(without.contains("pause = 'P'"), "{without}");
    }

    #[test]
    fn a_broken_file_is_not_written_over() {
        let error = with_columns("[keys\n", &Columns::default(), Path::new("/c/config.toml")).unwrap_err();
        assert!(format!("{error:#}").contains("/c/config.toml is not TOML"));
    }
}
