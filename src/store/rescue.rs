//! A store whose catalog cannot be read, shown as its runs' folders say. Nothing in it is changed but for a copy of the
//! catalog that is made first.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Catalog, Store, StoreError,
    database::beside,
    filesystem::{copy_private, io_error},
    folder,
    layout::{catalog_file, run_dir, run_folders},
};
use crate::experiment::WorkerIdentity;

/// What is to be said about a store that is shown from its folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// What is wrong with the catalog, and what to do.
    pub damage: String,
    /// Where a copy of it lies; `None` where there was nothing to copy, or no place for it.
    pub copy: Option<PathBuf>,
    /// Folders that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl StoreError {
    /// Whether the runs' folders may say what this file cannot.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged { .. } | StoreError::Foreign { .. })
    }
}

impl Store {
    /// Shows the store at `root` as its runs' folders say, after `damage` was found in its catalog. It can be looked at,
    /// not changed. `alive` tells whether a worker of this machine still runs.
    pub async fn rescue(
        root: impl AsRef<Path>,
        damage: &StoreError,
        alive: &dyn Fn(&WorkerIdentity) -> bool,
    ) -> Result<(Store, Rescue), StoreError> {
        let root = root.as_ref();
        let mut rescue =
            Rescue { damage: damage.to_string(), copy: back_up(root).unwrap_or(None), unreadable: Vec::new() };
        let mut found = Vec::new();
        for id in run_folders(root)? {
            let dir = run_dir(root, id);
            match folder::read(&dir, alive).await {
                Ok(entry) => found.push((id, entry)),
                Err(error) => rescue.unreadable.push((dir, error.to_string())),
            }
        }
        let catalog = Catalog::in_memory(root, found).await?;
        Ok((Store::with(root, catalog), rescue))
    }
}

/// Copies the catalog and its log, once: the copy is called by what is in it.
fn back_up(root: &Path) -> Result<Option<PathBuf>, StoreError> {
    let path = catalog_file(root);
    let bytes = match fs::read(&path) {
        Ok(bytes) if !bytes.is_empty() => bytes,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let name: String = blake3::hash(&bytes).to_hex().chars().take(12).collect();
    let copy = beside(&path, &format!(".rescued-{name}"));
    if !copy.exists() {
        match copy_private(&beside(&path, "-wal"), &beside(&copy, "-wal")) {
            // There is none, or whoever had the catalog open has closed it just now: then all of it is in the file.
            Err(StoreError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => copied?,
        }
        copy_private(&path, &copy)?;
    }
    Ok(Some(copy))
}
