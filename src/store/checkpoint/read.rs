//! Reading a checkpoint, every byte checked against its hash.

use std::{collections::BTreeMap, path::Path};

use sqlx::{ConnectOptions, SqliteConnection};

use super::{
    CHECKPOINT, block_on,
    tensor::{Dtype, OwnedTensor, WholeHash},
};
use crate::store::{
    StoreError,
    database::{self, Found},
};

/// A checkpoint that was read and found to be what was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Steps done.
    pub step: u64,
    /// What the writer gave.
    pub meta_json: String,
    /// The tensors by name.
    pub tensors: BTreeMap<String, OwnedTensor>,
    /// BLAKE3 over all tensors, in hex.
    pub hash: String,
}

/// Reads a checkpoint. An error names the file, and the tensor where one is damaged.
pub fn read(path: &Path) -> Result<Loaded, StoreError> {
    block_on(path, load(path))
}

async fn load(path: &Path) -> Result<Loaded, StoreError> {
    let error = |source| CHECKPOINT.error(path, source);
    let damaged = |detail: String| StoreError::Damaged { path: path.to_owned(), detail, remedy: CHECKPOINT.remedy };
    if !path.exists() {
        return Err(damaged("the file is missing".into()));
    }
    database::check_magic(path, &CHECKPOINT)?;
    let options = database::options(path).read_only(true).immutable(true);
    let mut connection = options.connect().await.map_err(error)?;
    if let Found::Nothing = database::identify(&mut connection, path, &CHECKPOINT).await? {
        return Err(damaged("it is empty".into()));
    }
    let (step, meta_json, meta_hash, hash): (u64, String, String, String) =
        sqlx::query_as("SELECT step, json, json_blake3, blake3 FROM meta")
            .fetch_one(&mut connection)
            .await
            .map_err(error)?;
    if blake3::hash(meta_json.as_bytes()).to_hex().as_str() != meta_hash {
        return Err(damaged("its meta data differs from its hash".into()));
    }
    let rows: Vec<(i64, String, String, String, String)> =
        sqlx::query_as("SELECT id, name, dtype, shape, blake3 FROM tensor ORDER BY name")
            .fetch_all(&mut connection)
            .await
            .map_err(error)?;
    let mut whole = WholeHash::default();
    let mut tensors = BTreeMap::new();
    for (id, name, dtype, shape, expected) in rows {
        let damaged = |detail: &dyn std::fmt::Display| damaged(format!("tensor \"{name}\": {detail}"));
        let dtype = Dtype::from_name(&dtype).ok_or_else(|| damaged(&format!("\"{dtype}\" is no type of element")))?;
        let shape: Vec<usize> = serde_json::from_str(&shape).map_err(|error| damaged(&error))?;
        let elements = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let elements = elements.ok_or_else(|| damaged(&"its shape is too large"))?;
        let pieces: Vec<i64> = sqlx::query_scalar("SELECT id FROM piece WHERE tensor = ? ORDER BY part")
            .bind(id)
            .fetch_all(&mut connection)
            .await
            .map_err(|source| damaged(&source))?;
        let mut data = dtype.empty(0);
        let mut hasher = blake3::Hasher::new();
        for piece in pieces {
            let bytes = piece_data(&mut connection, piece).await.map_err(|source| damaged(&source))?;
            hasher.update(&bytes);
            data.append(&bytes);
        }
        let found = hasher.finalize();
        if found.to_hex().as_str() != expected {
            return Err(damaged(&"its bytes differ from its hash"));
        }
        if data.len() != elements {
            return Err(damaged(&format!("{} elements do not make the shape {shape:?}", data.len())));
        }
        whole.add(&name, dtype, &shape, &found);
        tensors.insert(name, OwnedTensor { shape, data });
    }
    if whole.finish() != hash {
        return Err(damaged("its list of tensors differs from its hash".into()));
    }
    Ok(Loaded { step, meta_json, tensors, hash })
}

/// One row at a time: the driver reads ahead, and rows are large.
async fn piece_data(connection: &mut SqliteConnection, piece: i64) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar("SELECT data FROM piece WHERE id = ?").bind(piece).fetch_one(connection).await
}
