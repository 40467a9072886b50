//! Taking in a run's folder from elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    RunReader, Store, StoreError,
    catalog::Entry,
    filesystem::{copy_private, create_private_dir, io_error},
    folder, layout,
};
use crate::experiment::RunId;

/// What makes a run, beside its run file and its checkpoints; locks, a worker's identity and whatever else lies in the
/// folder stays behind.
const FILES: [&str; 3] = ["config.toml", "about.json", "train.log"];

impl Store {
    /// Copies a run's folder from another store or another machine and gives the run a number, and a name of its own.
    /// Its worker is not taken to be alive. The folder is complete before the catalog knows of it.
    pub async fn import(&self, from: &Path) -> Result<RunId, StoreError> {
        if !["run.db", "config.toml"].iter().any(|name| from.join(name).exists()) {
            return Err(StoreError::NoRunThere(from.to_owned()));
        }
        let id = self.catalog().reserve().await?;
        let to = self.run_dir(id);
        // A name that no run's folder has: what a crash leaves half-copied is never taken for a run.
        let part = self.root().join(format!(".import-{id}"));
        let row = match copy(from, &part).await {
            Ok(row) => row,
            Err(error) => {
                // Best effort: the error that brought us here is what the user must hear of.
                let _ = fs::remove_dir_all(&part);
                return Err(error);
            }
        };
        fs::rename(&part, &to).map_err(io_error("rename", &part))?;
        let mut about = row.about.clone();
        let names = self.catalog().adopt(vec![(id, row)], &format!("imported from {}", from.display())).await?;
        about.name = names.concat();
        about.write(&to)?;
        Ok(id)
    }
}

async fn copy(from: &Path, to: &Path) -> Result<Entry, StoreError> {
    create_private_dir(to)?;
    for name in FILES {
        if from.join(name).is_file() {
            copy_private(&from.join(name), &to.join(name))?;
        }
    }
    if let Some(reader) = RunReader::open(from).await? {
        reader.copy_to(&layout::run_file(to)).await?;
    }
    let (checkpoints, copies) = (layout::checkpoint_dir(from), layout::checkpoint_dir(to));
    if checkpoints.is_dir() {
        create_private_dir(&copies)?;
        for path in files_in(&checkpoints)? {
            if let (Some(name), Some("db")) = (path.file_name(), path.extension().and_then(|suffix| suffix.to_str())) {
                copy_private(&path, &copies.join(name))?;
            }
        }
    }
    folder::read(to, &|_| false).await
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(dir).map_err(io_error("read", dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io_error("read", dir))).collect()
}
