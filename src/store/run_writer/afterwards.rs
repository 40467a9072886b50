//! What is measured of a run when no worker writes its file any more.

use std::path::Path;

use sqlx::Connection;

use super::pen::insert_attack;
use crate::store::{AttackRow, Findings, StoreError, database};

/// Writes an attack into the run file at `path`, in the place of an earlier one on the same net.
pub(in crate::store) async fn add_attack(path: &Path, row: &AttackRow, found: &Findings) -> Result<(), StoreError> {
    let error = |source| database::RUN.error(path, source);
    let mut connection = database::open_for_writing(path, &database::RUN, &database::RUN_MIGRATIONS).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    insert_attack(&mut transaction, row, found).await.map_err(error)?;
    transaction.commit().await.map_err(error)?;
    connection.close().await.map_err(error)
}
