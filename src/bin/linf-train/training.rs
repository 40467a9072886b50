//! The training loop: steps, epochs, evaluations, checkpoints, orders.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use linf::dispatch::{Order, WorkerSession};
use linf::dist::Simd;
use linf::experiment::{Config, Desired, FailReason, Phase, RunId};
use linf::net::{Batch, Engine, Evaluator, NetState, StepError};
use linf::store::{
    Attempt, CheckpointKind, CheckpointRow, EpochRow, EvalRow, Margins, Outcome, RunReader, RunWriter, StepPoint,
    checkpoint, now_ms,
};

use crate::checkpoints::{Checkpoints, Stamp};
use crate::device;
use crate::job::{EpochOrder, Job, Position};

/// Trains one run until it is complete, or is told to stop; what became of it stands in its run file.
pub fn work(store: &Path, run: RunId, nonce: &str) -> anyhow::Result<()> {
    let folder = store.join(run.to_string());
    let session = WorkerSession::begin(&folder, nonce).context("taking the run")?;
    let config = read_config(&folder)?;
    let prepared = prepare(&folder, &config);
    let attempt = Attempt {
        nonce: nonce.to_owned(),
        identity: session.identity().clone(),
        device: prepared.as_ref().map_or("none".into(), |prepared| prepared.engine.device()),
        threads: config.resources.threads as u32,
        program: concat!("linf-train ", env!("CARGO_PKG_VERSION")).into(),
        steps_per_epoch: prepared.as_ref().map_or(0, |prepared| prepared.job.epoch_steps),
    };
    let writer = RunWriter::open(&folder, &config, attempt).context("opening the run file")?;
    let result = prepared.and_then(|prepared| prepared.begin(&folder, &session, &writer)?.run());
    let (outcome, result) = match result {
        Ok(outcome) => (outcome, Ok(())),
        Err(error) => (Outcome::Failed { reason: fail_reason(&error) }, Err(error)),
    };
    writer.finish(outcome).context("writing down how the run ended")?;
    result
}

fn read_config(folder: &Path) -> anyhow::Result<Config> {
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(linf::experiment::parse_with(&text, &path.display().to_string(), &[])?)
}

/// A step's fault with the step and p it happened at.
#[derive(Debug, thiserror::Error)]
#[error("step {step}: {error}")]
struct StepFault {
    step: u64,
    p: linf::experiment::PNorm,
    error: StepError,
}

fn fail_reason(error: &anyhow::Error) -> FailReason {
    match error.downcast_ref() {
        Some(StepFault { step, p, error: StepError::NotFinite { what } }) => {
            FailReason::NotFinite { step: *step, p: *p, what: what.clone() }
        }
        _ => FailReason::Error { message: format!("{error:#}") },
    }
}

/// All that a run needs before its first step: read and computed, nothing written.
struct Prepared {
    job: Job,
    engine: Box<dyn Engine>,
    evaluator: Evaluator,
    position: Position,
    /// Newer checkpoints that could not be used, and why.
    passed_over: Vec<checkpoint::Skipped>,
}

fn prepare(folder: &Path, config: &Config) -> anyhow::Result<Prepared> {
    let job = Job::new(config.clone())?;
    let (newest, passed_over) = checkpoint::newest_good(folder, &checkpoint_rows(folder)?);
    let mut state = NetState::init(&job.shape, config.train.seed, config.model.identity_init);
    let mut position = Position::default();
    if let Some(good) = newest {
        let path = checkpoint::file(folder, &good.row.file);
        position = Position::restore(&good.loaded, &path)?;
        state
            .restore(position.step, |name| good.loaded.tensors.get(name).and_then(|tensor| tensor.f32()))
            .with_context(|| format!("{} is not of this net", path.display()))?;
    }
    let resources = &config.resources;
    let engine = device::engine(resources.device, resources.threads, config.train.adam, state)?;
    let simd = Simd::detect().context("choosing the kernels")?;
    let evaluator = Evaluator::new(config.data.dataset, resources.threads, simd);
    Ok(Prepared { job, engine, evaluator, position, passed_over })
}

/// The checkpoints that the run file speaks of; none before the first attempt.
fn checkpoint_rows(folder: &Path) -> anyhow::Result<Vec<CheckpointRow>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        match RunReader::open(folder).await.context("opening the run file")? {
            Some(reader) => reader.checkpoints().await.context("listing the checkpoints"),
            None => Ok(Vec::new()),
        }
    })
}

impl Prepared {
    /// Takes out of the run file what lies beyond the position, and says where training goes on.
    fn begin<'a>(
        self,
        folder: &Path,
        session: &'a WorkerSession,
        writer: &'a RunWriter,
    ) -> anyhow::Result<Training<'a>> {
        let Prepared { job, engine, evaluator, position, passed_over } = self;
        let step = position.step;
        writer.truncate_after(step).with_context(|| format!("going back to step {step}"))?;
        for skipped in passed_over {
            let text = format!("the checkpoint of step {} was passed over: {}", skipped.step, skipped.reason);
            eprintln!("{text}");
            writer.event(Some(step), "alarm", text);
        }
        let begun = if step == 0 { "starts".to_owned() } else { format!("resumes from the checkpoint of step {step}") };
        let text = format!("{begun}: {} on {}, {} steps", job.shape, engine.device(), job.steps);
        eprintln!("{text}");
        writer.event(Some(step), "attempt", text);
        let checkpoints = Checkpoints::new(folder.to_owned());
        Ok(Training { job, engine, evaluator, checkpoints, session, writer, position })
    }
}

struct Training<'a> {
    job: Job,
    engine: Box<dyn Engine>,
    evaluator: Evaluator,
    checkpoints: Checkpoints,
    session: &'a WorkerSession,
    writer: &'a RunWriter,
    position: Position,
}

impl Training<'_> {
    fn run(mut self) -> anyhow::Result<Outcome> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        let mut order = None;
        let mut last_checkpoint = Instant::now();
        if self.position.step == 0 {
            self.enter(Phase::Start);
        }
        while self.position.step < self.job.steps {
            if let Some(order) = self.session.order() {
                return self.stop(order);
            }
            let started = Instant::now();
            let step = self.position.step;
            let this_order = EpochOrder::of(&self.job, step, order.take());
            self.job.batch(step, &this_order, &mut images, &mut labels);
            order = Some(this_order);
            self.step(&images, &labels, started)?;

            let epoch_ended = self.position.step.is_multiple_of(self.job.epoch_steps);
            if epoch_ended {
                self.end_epoch()?;
            }
            let done = self.position.step == self.job.steps;
            let (before, after) = (self.phase(step), self.phase(self.position.step));
            if before != after && !done {
                self.enter(after);
                self.checkpoint(CheckpointKind::Phase, None)?;
                last_checkpoint = Instant::now();
            } else if last_checkpoint.elapsed().as_secs() >= self.job.config.resources.checkpoint_seconds
                && !self.checkpoints.is_busy()
                && !done
            {
                self.checkpoint(CheckpointKind::Periodic, None)?;
                last_checkpoint = Instant::now();
            }
            self.checkpoints.poll(self.writer)?;
        }
        self.complete()
    }

    fn step(&mut self, images: &[f32], labels: &[u8], started: Instant) -> anyhow::Result<()> {
        let point = self.job.point(self.position.step);
        let stats = self.engine.step(Batch { images, labels }, &point).map_err(|error| StepFault {
            step: self.position.step + 1,
            p: point.p,
            error,
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let size = labels.len();
        let position = &mut self.position;
        position.step += 1;
        position.loss += stats.loss * size as f64;
        position.correct += u64::from(stats.correct);
        position.surrogate += u64::from(stats.surrogate);
        position.epoch_seconds += seconds;
        position.train_seconds += seconds;
        self.writer.steps(StepPoint {
            step: position.step,
            epoch: self.job.epoch(position.step),
            p: point.p,
            lr: point.lr,
            lambda: point.lambda,
            loss: stats.loss,
            accuracy: f64::from(stats.correct) / size as f64,
            seconds,
        });
        Ok(())
    }

    fn end_epoch(&mut self) -> anyhow::Result<()> {
        let step = self.position.step;
        let done = step / self.job.epoch_steps;
        let point = self.job.point(step - 1);
        let scalar = self.engine.state()?.scalar.value[0];
        let samples = self.job.dataset.train.len() as f64;
        let position = &mut self.position;
        self.writer.epoch(EpochRow {
            epoch: done as u32 - 1,
            step,
            p: point.p,
            lr: point.lr,
            lambda: point.lambda,
            loss: position.loss / samples,
            accuracy: position.correct as f64 / samples,
            surrogate: position.surrogate as f64 / samples,
            scalar: f64::from(scalar),
            seconds: position.epoch_seconds,
            time_ms: now_ms(),
        });
        *position = Position { step, train_seconds: position.train_seconds, ..Position::default() };
        let every = u64::from(self.job.config.eval.every);
        if done.is_multiple_of(every) && step < self.job.steps {
            self.evaluate(self.job.config.eval.mean_samples)?;
        }
        Ok(())
    }

    /// Measures the net at p = ∞ on the test set; returns it with the means it was measured with.
    fn evaluate(&mut self, mean_samples: usize) -> anyhow::Result<NetState> {
        let started = Instant::now();
        let step = self.position.step;
        let eps = self.job.config.eval.eps;
        let train_p = self.job.point(step - 1).p;
        let (train, test) = (&self.job.dataset.train, &self.job.dataset.test);
        let net = self.engine.state()?;
        if let Some(what) = net.not_finite() {
            return Err(StepFault { step, p: train_p, error: StepError::NotFinite { what } }.into());
        }
        let settled = self.evaluator.with_means_at_infinity(net, train, mean_samples);
        let evaluation = self.evaluator.certify(&settled, test, test.len(), eps);
        let surrogate =
            if train_p.is_infinite() { None } else { self.evaluator.surrogate(net, test, test.len(), train_p, eps) };
        let row = EvalRow {
            id: 0,
            epoch: self.job.epoch(step),
            step,
            train_p,
            eps,
            samples: evaluation.samples.len() as u32,
            clean: evaluation.clean(),
            certified: evaluation.certified(),
            certified_margin: evaluation.certified_by_margin(eps),
            surrogate_clean: surrogate.map(|(clean, _)| clean),
            surrogate_certified: surrogate.map(|(_, certified)| certified),
            seconds: started.elapsed().as_secs_f64(),
            time_ms: now_ms(),
        };
        if row.certified > row.clean {
            let text = format!(
                "certified accuracy {:.4} is above clean accuracy {:.4}: an error in the program",
                row.certified, row.clean
            );
            self.writer.event(Some(step), "alarm", text);
        }
        let mut margins = Margins::default();
        for sample in &evaluation.samples {
            margins.margin.push(sample.margin);
            margins.label.push(sample.label);
            margins.prediction.push(sample.prediction);
            margins.certified.push(sample.certified);
        }
        self.writer.eval(row, margins);
        Ok(settled)
    }

    fn phase(&self, step: u64) -> Phase {
        self.job.schedules.phase(self.job.epoch(step))
    }

    fn enter(&mut self, phase: Phase) {
        let p = self.job.point(self.position.step).p;
        let text = match phase {
            Phase::Start => format!("p stays at {p}"),
            Phase::Ramp => format!("p climbs from {p}"),
            Phase::End => format!("p is {p} from here on"),
        };
        self.writer.event(Some(self.position.step), "phase", text);
    }

    fn checkpoint(&mut self, kind: CheckpointKind, means: Option<&NetState>) -> anyhow::Result<()> {
        let stamp = Stamp {
            epoch: self.job.epoch(self.position.step),
            p: self.job.point(self.position.step.saturating_sub(1)).p,
            kind,
        };
        self.checkpoints.start(self.writer, self.engine.state()?, means, &self.position, stamp)
    }

    /// Asked to stop. The step is finished, so that training resumes from its checkpoint bit by bit.
    fn stop(mut self, order: Order) -> anyhow::Result<Outcome> {
        let step = self.position.step;
        let in_a_hurry = order == Order::Stop(Desired::CancelNow);
        if step > 0 && !in_a_hurry {
            self.checkpoint(CheckpointKind::Stop, None)?;
        }
        self.checkpoints.wait(self.writer)?;
        self.writer.event(Some(step), "attempt", format!("stops as asked, after step {step}"));
        Ok(Outcome::Stopped { checkpoint: (step > 0 && !in_a_hurry).then_some(step) })
    }

    fn complete(mut self) -> anyhow::Result<Outcome> {
        let settled = self.evaluate(usize::MAX)?;
        self.checkpoint(CheckpointKind::Final, Some(&settled))?;
        self.checkpoints.wait(self.writer)?;
        Ok(Outcome::Completed)
    }
}
