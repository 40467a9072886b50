//! Writing a checkpoint: whole under a temporary name, synced, then renamed.

use std::{
    fs::{self, File},
    path::Path,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    CHECKPOINT, block_on, file,
    tensor::{Tensor, WholeHash},
};
use crate::store::{
    StoreError,
    filesystem::{create_private_dir, create_private_file, io_error, sync},
    layout,
};

/// A checkpoint that lies whole in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file's name inside `checkpoints/`.
    pub file: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 over all tensors, in hex: equal hashes mean bit-equal tensors.
    pub hash: String,
}

/// Bytes in one row. SQLite and its driver each hold a row more than once while it is inserted, so this bounds what a
/// checkpoint needs beside the tensors: about 100 MB.
const PIECE: usize = 32 << 20;

/// Large pages make large blobs twice as fast.
const PAGE: u32 = 65536;

const TABLES: &str = "
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        step INTEGER NOT NULL,
        json TEXT NOT NULL,
        json_blake3 TEXT NOT NULL,
        blake3 TEXT NOT NULL         -- of all tensors
    ) STRICT;
    CREATE TABLE tensor (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        dtype TEXT NOT NULL,         -- f32, f64 or u64
        shape TEXT NOT NULL,         -- JSON
        blake3 TEXT NOT NULL         -- of its bytes
    ) STRICT;
    CREATE TABLE piece (
        id INTEGER PRIMARY KEY,
        tensor INTEGER NOT NULL REFERENCES tensor (id),
        part INTEGER NOT NULL,       -- from 0
        data BLOB NOT NULL,          -- little-endian, the last dimension fastest
        UNIQUE (tensor, part)
    ) STRICT;";

/// Writes a checkpoint of `tensors` at `step` into the run's folder. `meta_json` is the caller's own: the position in
/// schedules and data order, settings, whatever is no tensor. A file of the same step is replaced. When this returns,
/// the file is safe on the disk; tell the run file of it afterwards.
pub fn write(run_dir: &Path, step: u64, meta_json: &str, tensors: &[Tensor]) -> Result<Written, StoreError> {
    let folder = layout::checkpoint_dir(run_dir);
    create_private_dir(&folder)?;
    for Tensor { name, shape, data } in tensors {
        if shape.iter().product::<usize>() != data.len() {
            return Err(StoreError::BadTensor { name: (*name).to_owned(), elements: data.len(), shape: shape.clone() });
        }
    }
    remove_leftovers(&folder)?;
    let name = format!("{step:08}.db");
    let path = file(run_dir, &name);
    let part = folder.join(format!("{name}{PART}"));
    create_private_file(&part)?;
    let hash = block_on(&path, insert(&part, step, meta_json, tensors));
    let finished = hash.and_then(|hash| {
        let synced = File::open(&part).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
        let bytes = synced.map_err(io_error("sync", &part))?.len();
        fs::rename(&part, &path).map_err(io_error("rename", &part))?;
        sync(&folder)?;
        Ok(Written { file: name, bytes, hash })
    });
    if finished.is_err() {
        // Best effort: it may be the full disk that failed us. The next checkpoint removes it too.
        let _ = fs::remove_file(&part);
    }
    finished
}

/// The suffix of a file that is not whole yet.
const PART: &str = ".part";

/// Removes what killed workers left half-written. Only one worker at a time writes into the folder.
fn remove_leftovers(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let path = entry.map_err(io_error("read", folder))?.path();
        if path.as_os_str().as_encoded_bytes().ends_with(PART.as_bytes()) {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

/// Fills the file and gives the hash of all tensors. Without journal and syncs: until it is renamed, the file is
/// nobody's.
async fn insert(path: &Path, step: u64, meta_json: &str, tensors: &[Tensor<'_>]) -> Result<String, StoreError> {
    let error = |source| CHECKPOINT.error(path, source);
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .page_size(PAGE)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .pragma("application_id", CHECKPOINT.application_id.to_string())
        .pragma("user_version", CHECKPOINT.schema.to_string())
        .disable_statement_logging()
        .connect()
        .await
        .map_err(error)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    sqlx::raw_sql(AssertSqlSafe(TABLES)).execute(&mut *transaction).await.map_err(error)?;
    let mut ordered: Vec<&Tensor> = tensors.iter().collect();
    ordered.sort_by_key(|tensor| tensor.name);
    let mut whole = WholeHash::default();
    for tensor in ordered {
        let hash = insert_tensor(&mut transaction, tensor).await.map_err(error)?;
        whole.add(tensor.name, tensor.data.dtype(), &tensor.shape, &hash);
    }
    let whole = whole.finish();
    sqlx::query("INSERT INTO meta (id, step, json, json_blake3, blake3) VALUES (1, ?, ?, ?, ?)")
        .bind(step.cast_signed())
        .bind(meta_json.to_owned())
        .bind(blake3::hash(meta_json.as_bytes()).to_hex().to_string())
        .bind(&whole)
        .execute(&mut *transaction)
        .await
        .map_err(error)?;
    transaction.commit().await.map_err(error)?;
    connection.close().await.map_err(error)?;
    Ok(whole)
}

async fn insert_tensor(connection: &mut SqliteConnection, tensor: &Tensor<'_>) -> Result<blake3::Hash, sqlx::Error> {
    let id: i64 =
        sqlx::query_scalar("INSERT INTO tensor (name, dtype, shape, blake3) VALUES (?, ?, ?, '') RETURNING id")
            .bind(tensor.name.to_owned())
            .bind(tensor.data.dtype().name())
            .bind(serde_json::to_string(&tensor.shape).map_err(|error| sqlx::Error::Encode(error.into()))?)
            .fetch_one(&mut *connection)
            .await?;
    let mut hasher = blake3::Hasher::new();
    let elements = PIECE / tensor.data.dtype().size();
    for (part, from) in (0..tensor.data.len()).step_by(elements).enumerate() {
        let bytes = tensor.data.bytes(from, elements);
        hasher.update(&bytes);
        sqlx::query("INSERT INTO piece (tensor, part, data) VALUES (?, ?, ?)")
            .bind(id)
            .bind(part as i64)
            .bind(bytes)
            .execute(&mut *connection)
            .await?;
    }
    let hash = hasher.finalize();
    sqlx::query("UPDATE tensor SET blake3 = ? WHERE id = ?")
        .bind(hash.to_hex().to_string())
        .bind(id)
        .execute(&mut *connection)
        .await?;
    Ok(hash)
}
