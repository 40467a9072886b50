//! Putting a small file of the user's in the place of another.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result};

/// Writes a file so that whoever reads it sees the old one or the new one, never a part. Its folder is made where there is
/// none.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("it has no folder")?;
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().context("it has no name")?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = folder.join(name);
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    written.inspect_err(|_| {
        // Nothing better can be done for it than to leave it.
        let _ = fs::remove_file(&beside);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_nothing_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("linf-tui/config.toml");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(replace(&path.join("below a file"), "three").is_err());
    }
}
