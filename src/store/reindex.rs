//! Rebuilding the catalog from the runs' folders.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Catalog, RunReader, Store, StoreError,
    clock::now_ms,
    database::beside,
    filesystem::{create_private_dir, io_error},
    folder,
    layout::{self, catalog_file, run_dir, run_folders},
};
use crate::experiment::{RunId, RunState, Schedules, WorkerIdentity};

/// What `reindex` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// Where the old catalog lies now, where it could not be read.
    pub kept: Option<PathBuf>,
    /// Runs that the catalog did not know.
    pub added: Vec<RunId>,
    /// Those of them that no worker had seen. They are paused: whether they were to wait, were on hold or were cancelled
    /// stood in the catalog alone.
    pub paused: Vec<RunId>,
    /// Runs whose figures were read again.
    pub refreshed: Vec<RunId>,
    /// Runs that were dropped from the catalog because their folder is gone.
    pub gone: Vec<RunId>,
    /// Runs that no worker had seen, whose folder was gone and was made anew from the catalog.
    pub mended: Vec<RunId>,
    /// Folders of runs that were removed before: what a kill or a power cut left of them.
    pub left_over: Vec<PathBuf>,
    /// Folders that could not be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Store {
    /// Makes the catalog say what the runs' folders say. A catalog that cannot be read is set aside first and made
    /// anew; one that can keeps all that only it knows (the queue, states, journals). `alive` tells whether a worker
    /// of this machine still runs. No dispatcher may be at work on the store.
    pub async fn reindex(
        root: impl AsRef<Path>,
        alive: &dyn Fn(&WorkerIdentity) -> bool,
    ) -> Result<(Store, Reindexed), StoreError> {
        let root = root.as_ref();
        let mut report = Reindexed::default();
        create_private_dir(root)?;
        let catalog = match open_sound(root).await {
            Ok(catalog) => catalog,
            Err(StoreError::Damaged { .. } | StoreError::Foreign { .. } | StoreError::Sql { .. }) => {
                report.kept = set_aside(&catalog_file(root))?;
                Catalog::create(root).await?
            }
            Err(error) => return Err(error),
        };
        let known = catalog.runs().await?;
        let removed = catalog.removed_since(0).await?;
        let mut found = Vec::new();
        for id in run_folders(root)? {
            let dir = run_dir(root, id);
            let read = match known.iter().find(|run| run.id == id) {
                Some(run) => {
                    refresh(&catalog, id, &dir, &Schedules::new(&run.config)).await.map(|()| report.refreshed.push(id))
                }
                None if removed.contains(&id) => {
                    report.left_over.push(dir);
                    continue;
                }
                None => folder::read(&dir, alive).await.map(|mut entry| {
                    if matches!(entry.state, RunState::Queued { .. }) {
                        let step = entry.summary.step;
                        entry.state = RunState::Paused { checkpoint: (step > 0).then_some(step) };
                        report.paused.push(id);
                    }
                    found.push((id, entry));
                }),
            };
            if let Err(error) = read {
                report.unreadable.push((dir, error.to_string()));
            }
        }
        report.added = found.iter().map(|(id, _)| *id).collect();
        catalog.adopt(found, "found in its folder by reindex").await?;
        for run in known.iter().filter(|run| !run_dir(root, run.id).exists() && !run.state.holds_a_slot()) {
            // Of a run that has not begun the catalog holds all there is, but for a fork, which begins with its parent's figures.
            let mended = if run.parent.is_none() { catalog.mend_folder(run).await } else { Ok(false) };
            match mended {
                Ok(true) => report.mended.push(run.id),
                Err(error) if error.is_passing() => report.unreadable.push((run_dir(root, run.id), error.to_string())),
                Ok(false) | Err(_) => {
                    catalog.drop_missing(run.id).await?;
                    report.gone.push(run.id);
                }
            }
        }
        Ok((Store::with(root, catalog), report))
    }
}

async fn open_sound(root: &Path) -> Result<Catalog, StoreError> {
    let catalog = Catalog::open(root).await?;
    match catalog.check().await {
        Ok(()) => Ok(catalog),
        Err(error) => {
            catalog.close().await;
            Err(error)
        }
    }
}

pub(super) async fn refresh(catalog: &Catalog, id: RunId, dir: &Path, schedules: &Schedules) -> Result<(), StoreError> {
    match RunReader::open(dir).await? {
        Some(reader) => catalog.set_summary(id, &reader.summary(schedules).await?).await,
        None => Ok(()),
    }
}

/// Renames a file and its log, so that nothing of it is lost; gives the new name where there was something.
pub(super) fn set_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let kept = beside(path, &format!(".damaged-{}", now_ms()));
    let mut moved = None;
    for suffix in ["", "-wal", "-journal"] {
        let (from, to) = (beside(path, suffix), beside(&kept, suffix));
        match fs::rename(&from, &to) {
            Ok(()) => moved = Some(kept.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("rename", &from)(error)),
        }
    }
    // The index of the log: made anew by whoever opens the file.
    let index = beside(path, "-shm");
    match fs::remove_file(&index) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &index)(error)),
        _ => Ok(moved),
    }
}

/// Where the newest file lies that was [`set_aside`] at this path; `None` where there is none.
pub(super) fn set_aside_before(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(None);
    };
    let prefix = format!("{name}.damaged-");
    let mut newest = None;
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let entry = entry.map_err(io_error("read", folder))?;
        let at = entry.file_name().to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<i64>().ok());
        newest = newest.max(at.map(|at| (at, entry.path())));
    }
    Ok(newest.map(|(_, path)| path))
}

/// Refuses a catalog that is missing or empty beside folders of runs: it was lost, and a new one would hide them.
pub(super) fn refuse_lost(root: &Path) -> Result<(), StoreError> {
    let path = catalog_file(root);
    let lost = || fs::metadata(&path).map_or(true, |file| file.len() == 0);
    // In this order, for another process may be creating store and runs at this moment. Cheap where all is well.
    if lost() && run_folders(root)?.iter().any(|id| layout::config_file(&run_dir(root, *id)).exists()) && lost() {
        let detail = "it is missing or empty, and yet there are folders of runs".into();
        return Err(StoreError::Damaged { path, detail, remedy: super::database::CATALOG.remedy });
    }
    Ok(())
}
