//! The store's folder: where each file lies.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{
    Catalog, StoreError,
    filesystem::{create_private_dir, io_error, is_ours},
    reindex::refuse_lost,
};
use crate::experiment::RunId;

/// A store: the folder `runs/` with the catalog and a folder for each run.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    catalog: Catalog,
}

impl Store {
    /// `$LINF_STORE`, else `runs` in the current folder.
    pub fn default_root() -> PathBuf {
        env::var_os("LINF_STORE").filter(|root| !root.is_empty()).map_or_else(|| PathBuf::from("runs"), PathBuf::from)
    }

    /// Opens the store at `root`, creating or upgrading it as needed. One that belongs to somebody else or that this user
    /// cannot write opens to be looked at: every call that would change it fails.
    pub async fn open(root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        create_private_dir(root)?;
        if !is_ours(root)? {
            return Store::open_read_only(root).await;
        }
        match Catalog::open(root).await {
            Err(StoreError::ReadOnly { .. }) => Store::open_read_only(root).await,
            catalog => Ok(Store::with(root, catalog?)),
        }
    }

    /// Opens the store at `root` to look at it; nothing in it is created, upgraded or changed.
    pub async fn open_read_only(root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        Ok(Store::with(root, Catalog::open_read_only(root).await?))
    }

    pub(super) fn with(root: &Path, catalog: Catalog) -> Store {
        Store { root: root.to_owned(), catalog }
    }

    /// Opens the store at `root`; an error where there is none.
    pub async fn open_existing(root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        if !catalog_file(root).exists() {
            // There was one where there are folders of runs.
            if root.is_dir() {
                refuse_lost(root)?;
            }
            return Err(StoreError::NoStore(root.to_owned()));
        }
        Store::open(root).await
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The queue and the summaries.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// A run's folder.
    pub fn run_dir(&self, id: RunId) -> PathBuf {
        run_dir(&self.root, id)
    }
}

/// The numbers of the folders that can be a run's, in order.
pub(super) fn run_folders(root: &Path) -> Result<Vec<RunId>, StoreError> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(root).map_err(io_error("read", root))? {
        let entry = entry.map_err(io_error("read", root))?;
        let name = entry.file_name();
        // "+7" and "007" would parse, and are nobody's.
        let id = name.to_str().and_then(|name| name.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == name));
        if let Some(id) = id
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            ids.push(RunId(id));
        }
    }
    ids.sort();
    Ok(ids)
}

pub(super) fn catalog_file(root: &Path) -> PathBuf {
    root.join("linf.db")
}

pub(super) fn run_dir(root: &Path, id: RunId) -> PathBuf {
    root.join(id.to_string())
}

pub(super) fn run_file(run_dir: &Path) -> PathBuf {
    run_dir.join("run.db")
}

pub(super) fn config_file(run_dir: &Path) -> PathBuf {
    run_dir.join("config.toml")
}

pub(super) fn about_file(run_dir: &Path) -> PathBuf {
    run_dir.join("about.json")
}

pub(super) fn checkpoint_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("checkpoints")
}
