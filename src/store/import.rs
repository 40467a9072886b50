//! Taking in a run's folder from elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    NewRun, RunReader, Store, StoreError,
    about::About,
    catalog::Entry,
    clock::now_ms,
    filesystem::{copy_private, create_private_dir, io_error, replace, sync},
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
        let (id, part) = self.begin().await?;
        let filled = copy(from, &part).await;
        self.settle(id, &part, filled, from).await
    }

    /// Adds a run whose folder `fill` writes: one that was trained `from` elsewhere, by another program. The config is
    /// there already; the run's state is what the run file that `fill` writes says.
    pub async fn import_made<E: From<StoreError>>(
        &self,
        run: NewRun,
        from: &Path,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<RunId, E> {
        if let Some(name) = &run.name {
            self.catalog().check_free(name).await?;
        }
        let (id, part) = self.begin().await?;
        let about = About {
            name: run.name.unwrap_or_default(),
            tags: run.tags,
            note: run.note,
            added_ms: now_ms(),
            ..About::default()
        };
        let prepare = || -> Result<(), StoreError> {
            create_private_dir(&layout::checkpoint_dir(&part))?;
            replace(&layout::config_file(&part), run.config_text.as_bytes())?;
            about.write(&part)
        };
        let filled = match prepare().map_err(E::from).and_then(|()| fill(&part)) {
            Ok(()) => folder::read(&part, &|_| false).await.map_err(E::from),
            Err(error) => Err(error),
        };
        self.settle(id, &part, filled, from).await
    }

    /// A number, and a folder of a name that no run's folder has: what a crash leaves half-made is never taken for a run.
    async fn begin(&self) -> Result<(RunId, PathBuf), StoreError> {
        let id = self.catalog().reserve().await?;
        Ok((id, self.root().join(format!(".import-{id}"))))
    }

    /// Gives a folder its place, and then the catalog its run.
    async fn settle<E: From<StoreError>>(
        &self,
        id: RunId,
        part: &Path,
        filled: Result<Entry, E>,
        from: &Path,
    ) -> Result<RunId, E> {
        let row = match filled {
            Ok(row) => row,
            Err(error) => {
                // Best effort: the error that brought us here is what the user must hear of.
                let _ = fs::remove_dir_all(part);
                return Err(error);
            }
        };
        let to = self.run_dir(id);
        fs::rename(part, &to).map_err(io_error("rename", part))?;
        // Whoever hears that a run was imported may delete the original.
        sync(self.root())?;
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
    for written in [layout::run_file(to), copies, to.to_owned()].iter().filter(|path| path.exists()) {
        sync(written)?;
    }
    let mut entry = folder::read(to, &|_| false).await?;
    // The numbers of the runs it waited for are another store's.
    entry.about.turn.after.clear();
    Ok(entry)
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(dir).map_err(io_error("read", dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io_error("read", dir))).collect()
}
