//! A copy of a run file cut back to a checkpoint: what a forked run begins with.

use std::path::Path;

use sqlx::{Connection, Sqlite, Transaction};

use super::pen::truncate_after;
use crate::store::{CheckpointRow, NewRun, StoreError, clock::now_ms, database};

/// Takes out of the run file at `path` all that is not the past of a run forked at `at`: later rows, other checkpoints,
/// and the workers of the run that it is a copy of.
pub(in crate::store) async fn cut(
    path: &Path,
    at: &CheckpointRow,
    run: &NewRun,
    parent: &str,
) -> Result<(), StoreError> {
    let error = |source| database::RUN.error(path, source);
    let json =
        serde_json::to_string(&run.config).map_err(|error| database::RUN.unreadable(path, "its config", &error))?;
    let mut connection = database::open_for_writing(path, &database::RUN, &database::RUN_MIGRATIONS).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    rewrite(&mut transaction, at, run, &json, parent).await.map_err(error)?;
    transaction.commit().await.map_err(error)?;
    connection.close().await.map_err(error)
}

async fn rewrite(
    transaction: &mut Transaction<'_, Sqlite>,
    at: &CheckpointRow,
    run: &NewRun,
    config_json: &str,
    parent: &str,
) -> Result<(), sqlx::Error> {
    truncate_after(transaction, at.step).await?;
    let step = at.step.cast_signed();
    sqlx::query("DELETE FROM steering WHERE step > ?").bind(step).execute(&mut **transaction).await?;
    sqlx::query("DELETE FROM checkpoint WHERE step <> ?").bind(step).execute(&mut **transaction).await?;
    // Kept for ever: it is the run's beginning.
    sqlx::query("UPDATE checkpoint SET kind = 'asked'").execute(&mut **transaction).await?;
    // Figures at another ε are not of this run.
    for query in ["DELETE FROM eval WHERE eps <> ?", "DELETE FROM attack WHERE eps <> ?"] {
        sqlx::query(query).bind(run.config.eval.eps).execute(&mut **transaction).await?;
    }
    sqlx::query("DELETE FROM attempt").execute(&mut **transaction).await?;
    sqlx::query("INSERT OR REPLACE INTO config (id, text, json) VALUES (1, ?, ?)")
        .bind(run.config_text.clone())
        .bind(config_json.to_owned())
        .execute(&mut **transaction)
        .await?;
    sqlx::query("INSERT INTO event (time_ms, step, kind, text) VALUES (?, ?, 'state', ?)")
        .bind(now_ms())
        .bind(step)
        .bind(format!("forked from {parent}"))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
