//! A worker for tests of the queue. Instead of training a net it counts; but it locks, logs, writes checkpoints, obeys
//! and ends just as the trainer does. How fast it is and what goes wrong is scripted in the config's title:
//! `step-ms=5 checkpoint-every=20 die-once-at=50`.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use linf::{
    dispatch::{Helm, Order, WorkerSession},
    experiment::{Config, Desired, FailReason, Schedules, parse},
    store::{
        Attempt, CheckpointKind, CheckpointRow, EpochRow, EvalRow, EvalSplit, Margins, Outcome, RunReader, RunWriter,
        StepPoint, StoreError,
        checkpoint::{self, OwnedData, Tensor, TensorData},
        now_ms,
    },
};

const STEPS_PER_EPOCH: u64 = 10;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    run: String,
    #[arg(long)]
    nonce: String,
}

#[derive(Default)]
struct Script {
    step_ms: u64,
    checkpoint_every: u64,
    /// Kills itself at this step, in one attempt only.
    die_once_at: u64,
    /// Leaves without a word at this step, in every attempt.
    exit_at: u64,
    /// Writes down a failure at this step, in one attempt only.
    fail_once_at: u64,
}

impl Script {
    fn read(title: &str) -> Result<Script> {
        let mut script = Script { checkpoint_every: 20, ..Script::default() };
        for word in title.split_whitespace() {
            let (key, value) = word.split_once('=').with_context(|| format!("no script: {word}"))?;
            let place = match key {
                "step-ms" => &mut script.step_ms,
                "checkpoint-every" => &mut script.checkpoint_every,
                "die-once-at" => &mut script.die_once_at,
                "exit-at" => &mut script.exit_at,
                "fail-once-at" => &mut script.fail_once_at,
                _ => bail!("no script: {word}"),
            };
            *place = value.parse()?;
        }
        Ok(script)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let dir = args.store.join(&args.run);
    let mut session = WorkerSession::begin(&dir, &args.nonce)?;
    let config = parse(&fs::read_to_string(dir.join("config.toml"))?)?;
    let attempt = Attempt {
        nonce: args.nonce,
        identity: session.identity().clone(),
        device: "none".into(),
        threads: 1,
        program: "scripted_worker".into(),
        steps_per_epoch: STEPS_PER_EPOCH,
    };
    let writer = RunWriter::open(&dir, &config, attempt)?;
    let (step, sum, helm) = resume(&dir, &writer)?;
    println!("begins at step {step}");
    let schedules = Schedules::new(&config).steered(helm.in_force());
    let mut counter = Counter { dir: &dir, writer: &writer, config: &config, schedules, helm, step, sum };
    let outcome = counter.count(&mut session)?;
    println!("leaves: {outcome:?}");
    Ok(writer.finish(outcome)?)
}

/// Step and sum of the newest good checkpoint, and the orders so far.
fn resume(dir: &Path, writer: &RunWriter) -> Result<(u64, u64, Helm)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (rows, steering) = runtime.block_on(async {
        match RunReader::open(dir).await? {
            Some(reader) => Ok((reader.checkpoints().await?, reader.steering().await?)),
            None => Ok::<_, StoreError>((Vec::new(), Vec::new())),
        }
    })?;
    let (good, _) = checkpoint::newest_good(dir, &rows);
    let begin = match good {
        Some(good) => match &good.loaded.tensors["sum"].data {
            OwnedData::U64(values) => (good.row.step, values[0]),
            other => bail!("the sum is {other:?}"),
        },
        None => (0, 0),
    };
    writer.truncate_after(begin.0)?;
    Ok((begin.0, begin.1, Helm::new(steering, begin.0)))
}

struct Counter<'a> {
    dir: &'a Path,
    writer: &'a RunWriter,
    config: &'a Config,
    schedules: Schedules,
    helm: Helm,
    step: u64,
    /// Depends on every step and on their order, as weights do.
    sum: u64,
}

impl Counter<'_> {
    fn count(&mut self, session: &mut WorkerSession) -> Result<Outcome> {
        let script = Script::read(&self.config.run.title)?;
        let last = u64::from(self.config.train.epochs) * STEPS_PER_EPOCH;
        while self.step < last {
            self.steer(session)?;
            self.step += 1;
            self.log_step(Duration::from_millis(script.step_ms));
            if self.step == script.exit_at {
                std::process::exit(7);
            }
            if self.step == script.die_once_at && self.first_time("died")? {
                // As `kill -9` does, at a moment of its own choice.
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
            }
            if self.step == script.fail_once_at && self.first_time("failed")? {
                let message = "the script says so".to_owned();
                return Ok(Outcome::Failed { reason: FailReason::Error { message } });
            }
            match session.order() {
                Some(Order::Stop(Desired::CancelNow)) => return Ok(Outcome::Stopped { checkpoint: None }),
                Some(_) => {
                    self.checkpoint(CheckpointKind::Stop)?;
                    return Ok(Outcome::Stopped { checkpoint: Some(self.step) });
                }
                None if session.time_is_up(self.config.resources.time_limit_seconds) => {
                    self.checkpoint(CheckpointKind::Stop)?;
                    let (seconds, checkpoint) = (self.config.resources.time_limit_seconds, Some(self.step));
                    return Ok(Outcome::Failed { reason: FailReason::TimeLimit { seconds, checkpoint } });
                }
                None if self.step.is_multiple_of(script.checkpoint_every) => {
                    self.checkpoint(CheckpointKind::Periodic)?
                }
                None => {}
            }
        }
        self.checkpoint(CheckpointKind::Final)?;
        Ok(Outcome::Completed)
    }

    fn steer(&mut self, session: &mut WorkerSession) -> Result<()> {
        self.helm.hear(session.changes());
        let due = self.helm.due(self.step, self.epoch());
        if !due.new.is_empty() || !due.again.is_empty() {
            self.writer.steered(due.new.clone())?;
            self.schedules = Schedules::new(self.config).steered(self.helm.obey(due));
        }
        Ok(())
    }

    fn first_time(&self, what: &str) -> Result<bool> {
        let marker = self.dir.join(what);
        let first = !marker.exists();
        fs::write(marker, "")?;
        Ok(first)
    }

    fn epoch(&self) -> f64 {
        self.step as f64 / STEPS_PER_EPOCH as f64
    }

    fn log_step(&mut self, pause: Duration) {
        let began = Instant::now();
        thread::sleep(pause);
        let point = self.schedules.at(self.epoch());
        let mixed = self.sum ^ self.step ^ point.lr.to_bits() ^ point.lambda.to_bits() ^ point.p.get().to_bits();
        self.sum = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
        let (epoch, p, lr, lambda) = (self.epoch(), point.p, point.lr, point.lambda);
        let loss = 1.0 / self.step as f64;
        let accuracy = 1.0 - loss;
        let seconds = began.elapsed().as_secs_f64();
        self.writer.steps(StepPoint { step: self.step, epoch, p, lr, lambda, loss, accuracy, seconds });
        if self.step.is_multiple_of(STEPS_PER_EPOCH) {
            let row = EpochRow {
                epoch: (self.step / STEPS_PER_EPOCH) as u32 - 1,
                step: self.step,
                p,
                lr,
                lambda,
                loss,
                accuracy,
                surrogate: accuracy / 2.0,
                scalar: 1.0,
                seconds,
                time_ms: now_ms(),
            };
            self.writer.epoch(row);
            self.evaluate(accuracy);
        }
    }

    fn evaluate(&self, clean: f64) {
        let eval = EvalRow {
            id: 0,
            epoch: self.epoch(),
            step: self.step,
            train_p: self.schedules.at(self.epoch()).p,
            eps: self.config.eval.eps,
            split: EvalSplit::Test,
            samples: 1,
            clean,
            certified: clean / 2.0,
            certified_margin: clean / 2.0,
            surrogate_clean: None,
            surrogate_certified: None,
            seconds: 0.0,
            time_ms: now_ms(),
        };
        let margins =
            Margins { margin: vec![0.1], label: vec![3], prediction: vec![3], certified: vec![true], radius: vec![] };
        self.writer.eval(eval, margins);
    }

    fn checkpoint(&self, kind: CheckpointKind) -> Result<()> {
        let sum = [self.sum];
        let tensors = [Tensor { name: "sum", shape: vec![1], data: TensorData::U64(&sum) }];
        let written = checkpoint::write(self.dir, self.step, "{}", &tensors)?;
        self.writer.checkpoint(CheckpointRow {
            step: self.step,
            epoch: self.epoch(),
            p: self.schedules.at(self.epoch()).p,
            kind,
            file: written.file,
            bytes: written.bytes,
            hash: written.hash,
            time_ms: now_ms(),
        });
        self.writer.flush()?;
        Ok(())
    }
}
