//! A read-only view of a run file.

use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;
use tokio::sync::Mutex;

use super::{
    AttackRow, AttemptRow, Bin, CheckpointRow, EpochRow, EvalRow, EventRow, Findings, Margins, Outcome, StoreError,
    Summary, database,
    filesystem::create_private_file,
    layout,
    margins::MarginBlobs,
    series::{self, Source},
    summary::Facts,
};
use crate::experiment::{Config, Fate, Schedules, Steered};

/// The first schema that holds attacks; an older file is read as it is.
const ATTACKS_SINCE: i64 = 4;

/// The first schema that says which attempt wrote a checkpoint, and how far each sample is certified.
const WRITERS_AND_RADII_SINCE: i64 = 5;

/// A run file, open for reading beside the worker that writes it.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    schema: i64,
    connection: Mutex<SqliteConnection>,
}

impl RunReader {
    /// Opens the file of the run whose folder is `run_dir`; `None` where no worker has written one yet.
    pub async fn open(run_dir: &Path) -> Result<Option<RunReader>, StoreError> {
        let path = layout::run_file(run_dir);
        let Some((mut connection, schema)) = database::open_for_reading(&path, &database::RUN).await? else {
            return Ok(None);
        };
        // The schema is a transaction before the first attempt's: a reader, or a power cut, may come in between.
        let begun: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM config)")
            .fetch_one(&mut connection)
            .await
            .map_err(|source| database::RUN.error(&path, source))?;
        Ok(begun.then(|| RunReader { path, schema, connection: Mutex::new(connection) }))
    }

    /// Changes whenever the worker wrote something since the last call; costs microseconds.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar("PRAGMA data_version");
        query.fetch_one(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// The config with all defaults filled in, as the last worker took it.
    pub async fn config(&self) -> Result<Config, StoreError> {
        let json: String = sqlx::query_scalar("SELECT json FROM config")
            .fetch_one(&mut *self.connection.lock().await)
            .await
            .map_err(self.error())?;
        serde_json::from_str(&json).map_err(|error| self.unreadable("its config", &error))
    }

    /// The config as it was written, overrides applied.
    pub async fn config_text(&self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar("SELECT text FROM config");
        query.fetch_one(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// The epochs from number `from` on.
    pub async fn epochs(&self, from: u32) -> Result<Vec<EpochRow>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM epoch WHERE epoch >= ? ORDER BY epoch").bind(from);
        query.fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// The evaluations from number `from` on.
    pub async fn evals(&self, from: i64) -> Result<Vec<EvalRow>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM eval WHERE id >= ? ORDER BY id").bind(from);
        query.fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// What an evaluation found of each test sample.
    pub async fn margins(&self, eval: i64) -> Result<Option<Margins>, StoreError> {
        let query = if self.schema < WRITERS_AND_RADII_SINCE {
            "SELECT margin, label, prediction, certified, NULL AS radius FROM margins WHERE eval = ?"
        } else {
            "SELECT margin, label, prediction, certified, radius FROM margins WHERE eval = ?"
        };
        let query = sqlx::query_as(query).bind(eval);
        let blobs: Option<MarginBlobs> =
            query.fetch_optional(&mut *self.connection.lock().await).await.map_err(self.error())?;
        let unpack = |blobs: MarginBlobs| {
            blobs.unpack().map_err(|error| self.unreadable(&format!("the margins of evaluation {eval}"), &error))
        };
        blobs.map(unpack).transpose()
    }

    /// The attack on the net with the most steps, where one was attacked.
    pub async fn attack(&self) -> Result<Option<AttackRow>, StoreError> {
        Ok(self.attacks().await?.pop())
    }

    /// The attacks, one a net, in the order of their steps.
    pub async fn attacks(&self) -> Result<Vec<AttackRow>, StoreError> {
        if self.schema < ATTACKS_SINCE {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(
            "SELECT step, eps, samples, under_pgd, under_all, seconds, time_ms FROM attack ORDER BY step",
        );
        query.fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// What the attack on the net of this step found of each sample.
    pub async fn findings(&self, step: u64) -> Result<Option<Findings>, StoreError> {
        if self.schema < ATTACKS_SINCE {
            return Ok(None);
        }
        let step = step.cast_signed();
        let mut connection = self.connection.lock().await;
        let fates: Option<Vec<u8>> = sqlx::query_scalar("SELECT fates FROM attack WHERE step = ?")
            .bind(step)
            .fetch_optional(&mut *connection)
            .await
            .map_err(self.error())?;
        let Some(fates) = fates else { return Ok(None) };
        let images: Vec<(u32, Vec<u8>)> =
            sqlx::query_as("SELECT sample, image FROM adversarial WHERE step = ? ORDER BY sample")
                .bind(step)
                .fetch_all(&mut *connection)
                .await
                .map_err(self.error())?;
        let unreadable = |what: &str| self.unreadable("what an attack found", &what);
        let fates = fates.into_iter().map(|code| Fate::of_code(code).ok_or_else(|| unreadable("an unknown fate")));
        let mut examples = Vec::with_capacity(images.len());
        for (sample, bytes) in images {
            let (values, []) = bytes.as_chunks::<4>() else { return Err(unreadable("an image cut short")) };
            examples.push((sample, values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()));
        }
        Ok(Some(Findings { fates: fates.collect::<Result<_, _>>()?, examples }))
    }

    /// The curves that are logged at every step.
    pub async fn series_names(&self) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT name FROM metric ORDER BY id");
        query.fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// A curve from one step to another, both included, in at most `max_bins` bins of equal width. Long ones are read
    /// from the roll-ups, and then begin and end at a multiple of 100 steps. No such curve is an empty one.
    pub async fn series(
        &self,
        name: &str,
        from_step: u64,
        to_step: u64,
        max_bins: usize,
    ) -> Result<Vec<Bin>, StoreError> {
        let mut connection = self.connection.lock().await;
        // i64::MAX is "to the end": no run has more steps than SQLite can count.
        let steps = from_step.min(i64::MAX as u64).cast_signed()..=to_step.min(i64::MAX as u64).cast_signed();
        let extent: Option<(i64, Option<u64>, Option<u64>)> = sqlx::query_as(
            "SELECT id,
                    (SELECT step FROM series WHERE metric = id AND step BETWEEN ?2 AND ?3 ORDER BY step LIMIT 1),
                    (SELECT step FROM series WHERE metric = id AND step BETWEEN ?2 AND ?3 ORDER BY step DESC LIMIT 1)
             FROM metric WHERE name = ?1",
        )
        .bind(name)
        .bind(*steps.start())
        .bind(*steps.end())
        .fetch_optional(&mut *connection)
        .await
        .map_err(self.error())?;
        let Some((metric, Some(first), Some(last))) = extent else { return Ok(Vec::new()) };
        let plan = series::plan(first, last, max_bins);
        let (sql, from, to) = match plan.source {
            Source::Points => (
                "SELECT min(step), min(value), max(value), total(value) / count(*) FROM series
                 WHERE metric = ? AND step BETWEEN ? AND ? GROUP BY step / ? ORDER BY 1",
                first,
                last,
            ),
            Source::Rollups => (
                "SELECT min(bin) * 100, min(min), max(max), total(sum) / total(n) FROM rollup
                 WHERE metric = ? AND bin BETWEEN ? AND ? GROUP BY bin / ? ORDER BY 1",
                first / series::ROLLUP,
                last / series::ROLLUP,
            ),
        };
        let bins: Vec<(u64, f64, f64, f64)> = sqlx::query_as(sql)
            .bind(metric)
            .bind(from.cast_signed())
            .bind(to.cast_signed())
            .bind(plan.width.cast_signed())
            .fetch_all(&mut *connection)
            .await
            .map_err(self.error())?;
        Ok(bins.into_iter().map(|(step, min, max, mean)| Bin { step, min, max, mean }).collect())
    }

    /// The events from number `from` on (0 is the beginning), and the number to ask with next time.
    pub async fn events(&self, from: i64) -> Result<(Vec<EventRow>, i64), StoreError> {
        let mut connection = self.connection.lock().await;
        let query = sqlx::query_as::<_, NumberedEvent>("SELECT * FROM event WHERE id >= ? ORDER BY id").bind(from);
        let rows = query.fetch_all(&mut *connection).await.map_err(self.error())?;
        let next = rows.last().map_or(from, |row| row.id + 1);
        Ok((rows.into_iter().map(|row| row.event).collect(), next))
    }

    /// The checkpoints, oldest first.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointRow>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM checkpoint ORDER BY step");
        query.fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// What was changed while it trained, in the order in which it took force.
    pub async fn steering(&self) -> Result<Vec<Steered>, StoreError> {
        if self.schema < 2 {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as("SELECT key, step, epoch, what FROM steering ORDER BY step, id");
        let rows: Vec<(String, u64, f64, String)> =
            query.fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())?;
        let read = |(key, step, epoch, what): (String, u64, f64, String)| {
            let what = serde_json::from_str(&what).map_err(|error| self.unreadable("an order", &error))?;
            Ok(Steered { key, step, epoch, what })
        };
        rows.into_iter().map(read).collect()
    }

    /// The workers that took the run, first to last.
    pub async fn attempts(&self) -> Result<Vec<AttemptRow>, StoreError> {
        type Columns = (String, String, u32, String, i64, i64, Option<String>);
        let query =
            "SELECT identity, device, threads, program, started_ms, heartbeat_ms, outcome FROM attempt ORDER BY id";
        let rows: Vec<Columns> =
            sqlx::query_as(query).fetch_all(&mut *self.connection.lock().await).await.map_err(self.error())?;
        let unreadable = |error: serde_json::Error| self.unreadable("an attempt", &error);
        rows.into_iter()
            .map(|(identity, device, threads, program, started_ms, heartbeat_ms, outcome)| {
                let identity = serde_json::from_str(&identity).map_err(unreadable)?;
                let outcome = outcome.map(|json| serde_json::from_str(&json)).transpose().map_err(unreadable)?;
                Ok(AttemptRow { identity, device, threads, program, started_ms, heartbeat_ms, outcome })
            })
            .collect()
    }

    /// How the attempt with this nonce ended; `None` while it works and where it was killed.
    pub async fn outcome(&self, nonce: &str) -> Result<Option<Outcome>, StoreError> {
        let query = sqlx::query_scalar("SELECT outcome FROM attempt WHERE nonce = ?").bind(nonce);
        let json: Option<Option<String>> =
            query.fetch_optional(&mut *self.connection.lock().await).await.map_err(self.error())?;
        let parse = |json: String| serde_json::from_str(&json).map_err(|error| self.unreadable("an outcome", &error));
        json.flatten().map(parse).transpose()
    }

    /// Whether the attempt with this nonce wrote one of the checkpoints that are there. One of an older program says nothing.
    pub async fn wrote_a_checkpoint(&self, nonce: &str) -> Result<bool, StoreError> {
        if self.schema < WRITERS_AND_RADII_SINCE {
            return Ok(false);
        }
        let query = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM checkpoint JOIN attempt ON attempt.id = checkpoint.attempt WHERE nonce = ?)",
        );
        query.bind(nonce).fetch_one(&mut *self.connection.lock().await).await.map_err(self.error())
    }

    /// The figures that a list shows. `schedules` are those of the config; what was changed on the way is heeded.
    pub async fn summary(&self, schedules: &Schedules) -> Result<Summary, StoreError> {
        let steering = self.steering().await?;
        let (epochs, evals, attack) = (self.epochs(0).await?, self.evals(0).await?, self.attack().await?);
        let mut connection = self.connection.lock().await;
        let last_epoch_step = epochs.last().map_or(0, |epoch| epoch.step.cast_signed());
        let (device, steps_per_epoch, heartbeat_ms) =
            sqlx::query_as("SELECT device, steps_per_epoch, heartbeat_ms FROM attempt ORDER BY id DESC LIMIT 1")
                .fetch_optional(&mut *connection)
                .await
                .map_err(self.error())?
                .map_or((String::new(), 0, None), |(device, steps, heartbeat)| (device, steps, Some(heartbeat)));
        let last_step = sqlx::query_as(
            "SELECT step, value FROM series WHERE metric = (SELECT id FROM metric WHERE name = 'epoch')
             ORDER BY step DESC LIMIT 1",
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(self.error())?;
        let since_epoch: Vec<(String, f64, i64)> = sqlx::query_as(
            "SELECT name, total(value), count(*) FROM series JOIN metric ON metric.id = metric
             WHERE name IN ('loss', 'accuracy', 'seconds') AND step > ? GROUP BY name",
        )
        .bind(last_epoch_step)
        .fetch_all(&mut *connection)
        .await
        .map_err(self.error())?;
        let recent_seconds = sqlx::query_scalar(
            "SELECT value FROM series WHERE metric = (SELECT id FROM metric WHERE name = 'seconds')
             ORDER BY step DESC LIMIT 300",
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(self.error())?;
        let sum = |name: &str| since_epoch.iter().find(|row| row.0 == name).map(|row| (row.1, row.2 as f64));
        let facts = Facts {
            mean_loss: sum("loss").map(|(total, n)| total / n),
            mean_accuracy: sum("accuracy").map(|(total, n)| total / n),
            seconds_since_epoch: sum("seconds").map_or(0.0, |(total, _)| total),
            epochs,
            evals,
            attack,
            steps_per_epoch,
            last_step,
            recent_seconds,
            device,
            heartbeat_ms,
            steered: steering.iter().any(|steered| steered.what.changes_training()),
        };
        if steering.is_empty() {
            return Ok(facts.summary(schedules));
        }
        Ok(facts.summary(&schedules.clone().steered(&steering)))
    }

    /// Copies the file as it stands at this moment, be its worker at work or not, into a new file.
    pub(super) async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        create_private_file(path)?;
        // SQLite takes the name as text; a path that is none cannot be a store's, which is opened by text too.
        sqlx::query("VACUUM INTO ?")
            .bind(path.to_string_lossy().into_owned())
            .execute(&mut *self.connection.lock().await)
            .await
            .map(drop)
            .map_err(self.error())
    }

    fn error(&self) -> impl Fn(sqlx::Error) -> StoreError {
        |source| database::RUN.error(&self.path, source)
    }

    fn unreadable(&self, what: &str, error: &dyn std::fmt::Display) -> StoreError {
        database::RUN.unreadable(&self.path, what, error)
    }
}

#[derive(sqlx::FromRow)]
struct NumberedEvent {
    id: i64,
    #[sqlx(flatten)]
    event: EventRow,
}
