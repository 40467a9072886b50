//! The checkpoints that lie in a run's folder, whatever its run file says or no longer can say.

use std::{
    fs, io,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use serde::Deserialize;
use sqlx::ConnectOptions;

use super::{CHECKPOINT, block_on, file};
use crate::{
    experiment::PNorm,
    store::{CheckpointKind, CheckpointRow, StoreError, database, filesystem::io_error, layout},
};

/// What a trainer writes into a checkpoint about it.
#[derive(Deserialize)]
struct Said {
    epoch: f64,
    p: PNorm,
    kind: CheckpointKind,
}

/// Rows for all checkpoints in the folder of a run, oldest first, made from the files themselves. One that cannot be
/// read is left out; the tensors are not looked at, so check what is used.
///
/// # Errors
/// There is a folder of checkpoints, and it cannot be read: it may be a link to a disk that is not mounted now.
pub fn found(run_dir: &Path) -> Result<Vec<CheckpointRow>, StoreError> {
    let folder = layout::checkpoint_dir(run_dir);
    if fs::symlink_metadata(&folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io_error("read", &folder))? {
        let name = entry.map_err(io_error("read", &folder))?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.ends_with(".db")) {
            rows.extend(row(run_dir, name));
        }
    }
    rows.sort_by_key(|row| row.step);
    Ok(rows)
}

fn row(run_dir: &Path, name: &str) -> Option<CheckpointRow> {
    let path = file(run_dir, name);
    let about = fs::metadata(&path).ok()?;
    let (step, json, hash) = block_on(&path, meta(&path)).ok()?;
    let Said { epoch, p, kind } = serde_json::from_str(&json).ok()?;
    let written = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let time_ms = i64::try_from(written.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(i64::MAX);
    Some(CheckpointRow { step, epoch, p, kind, file: name.to_owned(), bytes: about.len(), hash, time_ms })
}

async fn meta(path: &Path) -> Result<(u64, String, String), StoreError> {
    let error = |source| CHECKPOINT.error(path, source);
    database::check_magic(path, &CHECKPOINT)?;
    let options = database::options(path).read_only(true).immutable(true);
    let mut connection = options.connect().await.map_err(error)?;
    database::identify(&mut connection, path, &CHECKPOINT).await?;
    sqlx::query_as("SELECT step, json, blake3 FROM meta").fetch_one(&mut connection).await.map_err(error)
}
