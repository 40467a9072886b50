//! The store's folder: where each file lies.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{Catalog, StoreError, filesystem::create_private_dir};
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

    /// Opens the store at `root`, creating or upgrading it as needed.
    pub async fn open(root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        create_private_dir(root)?;
        Ok(Store { root: root.to_owned(), catalog: Catalog::open(root).await? })
    }

    /// Opens the store at `root`; an error where there is none.
    pub async fn open_existing(root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        if !catalog_file(root).exists() {
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

pub(super) fn checkpoint_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("checkpoints")
}
