//! Puts messages into the run file: one transaction a batch.

use std::{collections::BTreeMap, fs, path::PathBuf};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, QueryBuilder, Sqlite, SqliteConnection, Transaction};

use super::{Attempt, StepPoint, mailbox::Message, retention};
use crate::{
    experiment::{Config, Steered},
    store::{
        AttackRow, CheckpointRow, EpochRow, EvalRow, EventRow, Findings, Gauge, Margins, Outcome, StoreError,
        checkpoint,
        clock::now_ms,
        database, filesystem, layout,
        margins::MarginBlobs,
        series::{ROLLUP, Rollup, roll_up, storable},
    },
};

/// What is needed to begin.
pub(super) struct Opening {
    pub run_dir: PathBuf,
    pub config: Config,
    pub attempt: Attempt,
}

pub(super) struct Pen {
    run_dir: PathBuf,
    path: PathBuf,
    connection: SqliteConnection,
    attempt: i64,
    /// Numbers of the curves, in the order of [`StepPoint::NAMES`].
    metrics: [i64; StepPoint::NAMES.len()],
    /// The last step in the file.
    last_step: u64,
    /// How many checkpoints under way are kept.
    keep: usize,
}

impl Pen {
    pub(super) async fn open(opening: Opening) -> Result<Pen, StoreError> {
        let Opening { run_dir, config, attempt } = opening;
        let path = layout::run_file(&run_dir);
        filesystem::create_private_dir(&run_dir)?;
        let connection = database::open_for_writing(&path, &database::RUN, &database::RUN_MIGRATIONS).await?;
        filesystem::sync(&run_dir)?;
        let keep = config.resources.keep_checkpoints;
        let metrics = [0; StepPoint::NAMES.len()];
        let mut pen = Pen { run_dir, path, connection, attempt: 0, metrics, last_step: 0, keep };
        pen.begin(&config, &attempt).await?;
        Ok(pen)
    }

    /// Writes the attempt down, durably, and learns where the file stands.
    async fn begin(&mut self, config: &Config, attempt: &Attempt) -> Result<(), StoreError> {
        let error = |source| database::RUN.error(&self.path, source);
        let unreadable = |what: &str, error: &dyn std::fmt::Display| database::RUN.unreadable(&self.path, what, error);
        let json = serde_json::to_string(config).map_err(|error| unreadable("its config", &error))?;
        let identity = serde_json::to_string(&attempt.identity).map_err(|error| unreadable("an identity", &error))?;
        let text = match fs::read_to_string(layout::config_file(&self.run_dir)) {
            Ok(text) => text,
            Err(_) => toml::to_string(config).map_err(|error| unreadable("its config", &error))?,
        };
        set_synchronous(&mut self.connection, true).await.map_err(error)?;
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
        sqlx::query("INSERT OR REPLACE INTO config (id, text, json) VALUES (1, ?, ?)")
            .bind(text)
            .bind(json)
            .execute(&mut *transaction)
            .await
            .map_err(error)?;
        let now = now_ms();
        self.attempt = sqlx::query_scalar(
            "INSERT INTO attempt (nonce, identity, device, threads, program, steps_per_epoch, started_ms, heartbeat_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(&attempt.nonce)
        .bind(identity)
        .bind(&attempt.device)
        .bind(attempt.threads)
        .bind(&attempt.program)
        .bind(attempt.steps_per_epoch.cast_signed())
        .bind(now)
        .bind(now)
        .fetch_one(&mut *transaction)
        .await
        .map_err(error)?;
        for (metric, name) in self.metrics.iter_mut().zip(StepPoint::NAMES) {
            *metric = number_of_curve(&mut transaction, name).await.map_err(error)?;
        }
        self.last_step = sqlx::query_scalar("SELECT coalesce(max(step), 0) FROM series WHERE metric = ?")
            .bind(self.metrics[0])
            .fetch_one(&mut *transaction)
            .await
            .map_err(error)?;
        transaction.commit().await.map_err(error)?;
        set_synchronous(&mut self.connection, false).await.map_err(error)
    }

    /// Writes messages in one transaction, and says how many steps it ignored because they were there already. A
    /// question can only be the last of them; it is answered once the disk has everything. It has so too once the row of a
    /// checkpoint is written, before those files are removed that the row supersedes.
    pub(super) async fn write(&mut self, messages: &[Message]) -> Result<u64, StoreError> {
        let durable = messages.iter().any(|message| message.is_question() || matches!(message, Message::Checkpoint(_)));
        let written = self.write_with(messages, durable).await;
        written.map_err(|source| database::RUN.error(&self.path, source))
    }

    async fn write_with(&mut self, messages: &[Message], durable: bool) -> Result<u64, sqlx::Error> {
        let attempt = self.attempt;
        if self.connection.is_in_transaction() {
            // The last try failed, and where SQLite itself rolled back (a full disk) the connection does not know.
            self.connection = database::options(&self.path).connect().await?;
        }
        // A commit that is synced also makes those before it durable: they lie before it in the same log.
        set_synchronous(&mut self.connection, durable).await?;
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut steps: Vec<StepPoint> = Vec::with_capacity(messages.len());
        let mut last_step = self.last_step;
        let mut ignored = 0;
        let mut removed = Vec::new();
        for message in messages {
            match message {
                Message::Step(point) if point.step > last_step => {
                    last_step = point.step;
                    steps.push(*point);
                }
                Message::Step(_) => ignored += 1,
                Message::Gauge(step, gauge, value) => insert_gauge(&mut transaction, *step, *gauge, *value).await?,
                Message::Epoch(row) => insert_epoch(&mut transaction, row).await?,
                Message::Eval(eval) => insert_eval(&mut transaction, &eval.0, &eval.1).await?,
                Message::Attack(attack) => insert_attack(&mut transaction, &attack.0, &attack.1).await?,
                Message::Event(row) => insert_event(&mut transaction, row).await?,
                Message::Checkpoint(row) => {
                    removed.extend(insert_checkpoint(&mut transaction, row, attempt, self.keep).await?);
                }
                Message::Finish(outcome, _) => set_outcome(&mut transaction, attempt, outcome).await?,
                Message::TruncateAfter(step, _) => {
                    insert_steps(&mut transaction, &self.metrics, &steps).await?;
                    steps.clear();
                    truncate_after(&mut transaction, *step).await?;
                    last_step = last_step.min(*step);
                }
                Message::Steered(orders, _) => {
                    for order in orders {
                        insert_steered(&mut transaction, order).await?;
                    }
                }
                Message::Heartbeat | Message::Flush(_) => {}
            }
        }
        insert_steps(&mut transaction, &self.metrics, &steps).await?;
        sqlx::query("UPDATE attempt SET heartbeat_ms = ? WHERE id = ?")
            .bind(now_ms())
            .bind(attempt)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.last_step = last_step;
        for row in removed {
            // A file that stays is found by nobody and costs only space; training shall not stop for it.
            let _ = fs::remove_file(checkpoint::file(&self.run_dir, &row.file));
        }
        Ok(ignored)
    }

    /// Closes the file, which copies the log into it: from then on it is one file.
    pub(super) async fn close(self) {
        // Nothing is lost where this fails: the next who opens the file does it.
        let _ = self.connection.close().await;
    }
}

async fn set_synchronous(connection: &mut SqliteConnection, durable: bool) -> Result<(), sqlx::Error> {
    let pragma = if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
    sqlx::query(pragma).execute(connection).await?;
    Ok(())
}

type Tx<'c> = Transaction<'c, Sqlite>;

/// Inserts steps that are not in the file yet, and their roll-ups.
async fn insert_steps(
    transaction: &mut Tx<'_>,
    metrics: &[i64; StepPoint::NAMES.len()],
    steps: &[StepPoint],
) -> Result<(), sqlx::Error> {
    if steps.is_empty() {
        return Ok(());
    }
    // By curve and step: the order of the table, which makes each insert an append.
    let curves = metrics.iter().enumerate();
    let points: Vec<(i64, u64, f64)> = curves
        .flat_map(|(index, &metric)| steps.iter().map(move |p| (metric, p.step, storable(p.values()[index]))))
        .collect();
    for points in points.chunks(MOST_POINTS) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO series (metric, step, value) ");
        insert.push_values(points, |mut row, &(metric, step, value)| {
            row.push_bind(metric).push_bind(step.cast_signed()).push_bind(value);
        });
        insert.build().persistent(points.len() == MOST_POINTS).execute(&mut **transaction).await?;
    }
    add_to_rollups(transaction, roll_up(points)).await
}

async fn add_to_rollups(transaction: &mut Tx<'_>, rollups: BTreeMap<(i64, u64), Rollup>) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO rollup (metric, bin, n, min, max, sum) ");
    insert.push_values(rollups, |mut row, ((metric, bin), rollup)| {
        row.push_bind(metric).push_bind(bin.cast_signed()).push_bind(rollup.n);
        row.push_bind(rollup.min).push_bind(rollup.max).push_bind(rollup.sum);
    });
    // ∞ − ∞ is no number, which the column cannot hold; 9e999 is how SQL writes infinity.
    insert.push(
        " ON CONFLICT (metric, bin) DO UPDATE SET n = n + excluded.n, min = min(min, excluded.min),
          max = max(max, excluded.max), sum = coalesce(sum + excluded.sum, 9e999)",
    );
    insert.build().persistent(false).execute(&mut **transaction).await?;
    Ok(())
}

/// Inserts what a gauge said, unless it spoke at this step before.
async fn insert_gauge(transaction: &mut Tx<'_>, step: u64, gauge: Gauge, value: f64) -> Result<(), sqlx::Error> {
    let metric: i64 = number_of_curve(transaction, gauge.name()).await?;
    let point = (metric, step, storable(value));
    let inserted = sqlx::query("INSERT INTO series (metric, step, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(point.0)
        .bind(point.1.cast_signed())
        .bind(point.2)
        .execute(&mut **transaction)
        .await?;
    if inserted.rows_affected() == 0 { Ok(()) } else { add_to_rollups(transaction, roll_up([point])).await }
}

/// The number of a curve, which it is given the first time.
async fn number_of_curve(transaction: &mut Tx<'_>, name: &str) -> Result<i64, sqlx::Error> {
    // The update changes nothing; it makes RETURNING give the number of a name that is there already.
    sqlx::query_scalar("INSERT INTO metric (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name RETURNING id")
        .bind(name.to_owned())
        .fetch_one(&mut **transaction)
        .await
}

/// Points in one statement: a full batch of steps fills it just so.
const MOST_POINTS: usize = 7 * 144;

async fn insert_epoch(transaction: &mut Tx<'_>, row: &EpochRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO epoch
            (epoch, step, p, lr, lambda, loss, accuracy, surrogate, scalar, seconds, time_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.epoch)
    .bind(row.step.cast_signed())
    .bind(row.p)
    .bind(storable(row.lr))
    .bind(storable(row.lambda))
    .bind(storable(row.loss))
    .bind(storable(row.accuracy))
    .bind(storable(row.surrogate))
    .bind(storable(row.scalar))
    .bind(storable(row.seconds))
    .bind(row.time_ms)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn insert_eval(transaction: &mut Tx<'_>, row: &EvalRow, margins: &Margins) -> Result<(), sqlx::Error> {
    // One that was killed after it is made again.
    sqlx::query("DELETE FROM eval WHERE step = ? AND split = ?")
        .bind(row.step.cast_signed())
        .bind(row.split)
        .execute(&mut **transaction)
        .await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO eval (epoch, step, train_p, eps, samples, clean, certified, certified_margin, surrogate_clean,
                           surrogate_certified, seconds, time_ms, split)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(storable(row.epoch))
    .bind(row.step.cast_signed())
    .bind(row.train_p)
    .bind(row.eps)
    .bind(row.samples)
    .bind(storable(row.clean))
    .bind(storable(row.certified))
    .bind(storable(row.certified_margin))
    .bind(row.surrogate_clean)
    .bind(row.surrogate_certified)
    .bind(storable(row.seconds))
    .bind(row.time_ms)
    .bind(row.split)
    .fetch_one(&mut **transaction)
    .await?;
    let blobs = MarginBlobs::pack(margins.clone());
    sqlx::query("INSERT INTO margins (eval, margin, label, prediction, certified, radius) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(blobs.margin)
        .bind(blobs.label)
        .bind(blobs.prediction)
        .bind(blobs.certified)
        .bind(blobs.radius)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(super) async fn insert_attack(
    transaction: &mut Tx<'_>,
    row: &AttackRow,
    findings: &Findings,
) -> Result<(), sqlx::Error> {
    let step = row.step.cast_signed();
    // In two steps, so that the images of an earlier attack go too.
    sqlx::query("DELETE FROM attack WHERE step = ?").bind(step).execute(&mut **transaction).await?;
    sqlx::query(
        "INSERT INTO attack (step, eps, samples, under_pgd, under_all, fates, seconds, time_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(step)
    .bind(row.eps)
    .bind(row.samples)
    .bind(storable(row.under_pgd))
    .bind(storable(row.under_all))
    .bind(findings.fates.iter().map(|fate| fate.code()).collect::<Vec<u8>>())
    .bind(storable(row.seconds))
    .bind(row.time_ms)
    .execute(&mut **transaction)
    .await?;
    for (sample, image) in findings.examples.iter().take(AttackRow::KEPT_EXAMPLES) {
        sqlx::query("INSERT INTO adversarial (step, sample, image) VALUES (?, ?, ?)")
            .bind(step)
            .bind(sample)
            .bind(image.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

async fn insert_event(transaction: &mut Tx<'_>, row: &EventRow) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO event (time_ms, step, kind, text) VALUES (?, ?, ?, ?)")
        .bind(row.time_ms)
        .bind(row.step.map(u64::cast_signed))
        .bind(&row.kind)
        .bind(&row.text)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Inserts a checkpoint and removes the rows of those that it supersedes; their files are for the caller to remove
/// after the commit, so that no row ever names a file that was removed.
async fn insert_checkpoint(
    transaction: &mut Tx<'_>,
    row: &CheckpointRow,
    attempt: i64,
    keep: usize,
) -> Result<Vec<CheckpointRow>, sqlx::Error> {
    // One that is written again stays the work of the attempt that got so far first: to come to a step that was reached
    // before is no progress, and a worker that always dies right behind it would be retried for ever.
    sqlx::query(
        "INSERT INTO checkpoint (step, epoch, p, kind, file, bytes, hash, time_ms, attempt)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (step) DO UPDATE SET epoch = excluded.epoch, p = excluded.p, kind = excluded.kind,
             file = excluded.file, bytes = excluded.bytes, hash = excluded.hash, time_ms = excluded.time_ms",
    )
    .bind(row.step.cast_signed())
    .bind(storable(row.epoch))
    .bind(row.p)
    .bind(row.kind)
    .bind(&row.file)
    .bind(row.bytes.cast_signed())
    .bind(&row.hash)
    .bind(row.time_ms)
    .bind(attempt)
    .execute(&mut **transaction)
    .await?;
    let rows: Vec<CheckpointRow> = sqlx::query_as("SELECT * FROM checkpoint").fetch_all(&mut **transaction).await?;
    // By the held-out images: the test set chooses none. A better net is the best only once its checkpoint is there.
    let best = sqlx::query_scalar(
        "SELECT step FROM eval JOIN checkpoint USING (step)
         WHERE split = 'validation' ORDER BY certified DESC, step LIMIT 1",
    );
    let best: Option<u64> = best.fetch_optional(&mut **transaction).await?;
    let removed = retention::superseded(&rows, keep, best);
    for row in &removed {
        sqlx::query("DELETE FROM checkpoint WHERE step = ?")
            .bind(row.step.cast_signed())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(removed)
}

async fn insert_steered(transaction: &mut Tx<'_>, order: &Steered) -> Result<(), sqlx::Error> {
    let what = serde_json::to_string(&order.what).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("INSERT OR IGNORE INTO steering (key, step, epoch, what, time_ms) VALUES (?, ?, ?, ?, ?)")
        .bind(&order.key)
        .bind(order.step.cast_signed())
        .bind(order.epoch)
        .bind(what)
        .bind(now_ms())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn set_outcome(transaction: &mut Tx<'_>, attempt: i64, outcome: &Outcome) -> Result<(), sqlx::Error> {
    let json = serde_json::to_string(outcome).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("UPDATE attempt SET outcome = ? WHERE id = ?")
        .bind(json)
        .bind(attempt)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Removes all rows of later steps but orders, and rebuilds the one roll-up bin that the step cuts.
pub(in crate::store) async fn truncate_after(
    transaction: &mut Transaction<'_, Sqlite>,
    step: u64,
) -> Result<(), sqlx::Error> {
    for table in ["series", "epoch", "eval", "attack", "event", "checkpoint"] {
        // For the series, a range of the primary key for each curve.
        let metrics = if table == "series" { "metric IN (SELECT id FROM metric) AND" } else { "" };
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE {metrics} step > ?")))
            .bind(step.cast_signed())
            .execute(&mut **transaction)
            .await?;
    }
    let bin = (step / ROLLUP).cast_signed();
    sqlx::query("DELETE FROM rollup WHERE metric IN (SELECT id FROM metric) AND bin >= ?")
        .bind(bin)
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "INSERT INTO rollup (metric, bin, n, min, max, sum)
         SELECT metric, step / 100, count(*), min(value), max(value), coalesce(total(value), 9e999)
         FROM series WHERE metric IN (SELECT id FROM metric) AND step >= 100 * ? GROUP BY metric, step / 100",
    )
    .bind(bin)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
