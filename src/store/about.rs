//! `about.json` in a run's folder: what its user calls it. With it the folder is complete in itself, so that a lost
//! catalog can be rebuilt and a folder taken to another machine.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    filesystem::{io_error, replace},
    layout,
};
use crate::experiment::{Parent, Turn};

/// A key that a later version adds is ignored, one that an earlier version lacks is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub name: String,
    pub group: Option<String>,
    pub variant: String,
    pub tags: Vec<String>,
    pub note: String,
    /// Milliseconds since the Unix epoch.
    pub added_ms: i64,
    pub turn: Turn,
    pub parent: Option<Parent>,
}

impl About {
    /// `None` where the file is missing or holds something else: it is a help, not a need.
    pub(super) fn read(run_dir: &Path) -> Result<Option<About>, StoreError> {
        let path = layout::about_file(run_dir);
        match fs::read(&path) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Not synced to the disk: the catalog holds the same.
    pub(super) fn write(&self, run_dir: &Path) -> Result<(), StoreError> {
        let path = layout::about_file(run_dir);
        let json = serde_json::to_vec_pretty(self).map_err(|error| io_error("write", &path)(error.into()))?;
        replace(&path, &json)
    }
}
