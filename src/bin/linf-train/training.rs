//! The training loop: steps, epochs, evaluations, checkpoints, orders.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use linf::dispatch::{Helm, Order, WorkerSession};
use linf::dist::Simd;
use linf::experiment::{Config, Desired, Device, FailReason, Phase, RunId, Schedules, Steered};
use linf::net::{Batch, Engine, Evaluator, NetState, StepError};
use linf::store::{
    Attempt, CheckpointKind, CheckpointRow, EpochRow, EvalRow, Margins, Outcome, RunReader, RunWriter, StepPoint,
    StoreError, checkpoint, now_ms,
};

use crate::checkpoints::{Checkpoints, Stamp};
use crate::device;
use crate::job::{EpochOrder, Job, Position};
use crate::say;

/// Trains one run until it is complete, or is told to stop; what became of it stands in its run file.
pub fn work(store: &Path, run: RunId, nonce: &str, given: Option<Device>) -> anyhow::Result<()> {
    let folder = store.join(run.to_string());
    let mut session = WorkerSession::begin(&folder, nonce).context("taking the run")?;
    let config = read_config(&folder)?;
    let prepared = prepare(&folder, &config, given);
    let attempt = Attempt {
        nonce: nonce.to_owned(),
        identity: session.identity().clone(),
        device: prepared.as_ref().map_or("none".into(), |prepared| prepared.engine.device()),
        threads: config.resources.threads as u32,
        program: concat!("linf-train ", env!("CARGO_PKG_VERSION")).into(),
        steps_per_epoch: prepared.as_ref().map_or(0, |prepared| prepared.job.epoch_steps),
    };
    let writer = RunWriter::open(&folder, &config, attempt).context("opening the run file")?;
    let result = prepared.and_then(|prepared| prepared.begin(&folder, &mut session, &writer)?.run());
    let (outcome, result) = match result {
        Ok(outcome) => (outcome, Ok(())),
        Err(error) => (Outcome::Failed { reason: fail_reason(&error) }, Err(error)),
    };
    while let Err(error) = writer.finish(outcome.clone()) {
        if !error.is_passing() {
            return Err(error).context("writing down how the run ended");
        }
        // The disk is full. Nothing is lost as long as somebody keeps it.
        sleep(RETRY);
    }
    result
}

/// Between two tries while the disk is full.
const RETRY: Duration = Duration::from_secs(1);

/// How long a worker that the machine wants to leave tries to write its last checkpoint.
const LEAVING: Duration = Duration::from_secs(20);

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
    helm: Helm,
    /// The best certified accuracy up to the position.
    best: Option<f64>,
    /// Why the run file was given up, and the checkpoints that the new one must be told of.
    found: Option<(String, Vec<CheckpointRow>)>,
}

fn prepare(folder: &Path, config: &Config, given: Option<Device>) -> anyhow::Result<Prepared> {
    let mut job = Job::new(config.clone())?;
    let past = Past::recover(folder)?;
    let (newest, passed_over) = checkpoint::newest_good(folder, &past.checkpoints);
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
    let engine = device::engine(resources.device, given, resources.threads, config.train.adam, state)?;
    let simd = Simd::detect().context("choosing the kernels")?;
    let evaluator = Evaluator::new(config.data.dataset, resources.threads, simd);
    let evals = past.evals.iter().filter(|eval| eval.step <= position.step);
    let best = evals.map(|eval| eval.certified).max_by(f64::total_cmp);
    let helm = Helm::new(past.steering, position.step);
    job.schedules = Schedules::new(config).steered(helm.in_force());
    let found = past.lost.map(|why| (why, past.checkpoints));
    Ok(Prepared { job, engine, evaluator, position, passed_over, helm, best, found })
}

/// What the run file says of the attempts before; nothing at the first.
#[derive(Default)]
struct Past {
    checkpoints: Vec<CheckpointRow>,
    evals: Vec<EvalRow>,
    steering: Vec<Steered>,
    /// What is wrong with the run file that these came from, where it had to be given up.
    lost: Option<String>,
}

impl Past {
    fn read(folder: &Path) -> anyhow::Result<Past> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
        let read = async {
            let Some(reader) = RunReader::open(folder).await? else { return Ok(Past::default()) };
            Ok::<Past, StoreError>(Past {
                checkpoints: reader.checkpoints().await?,
                evals: reader.evals(0).await?,
                steering: reader.steering().await?,
                lost: None,
            })
        };
        runtime.block_on(read).context("reading the run file")
    }

    /// As [`Past::read`]; a run file that is damaged is set aside, and what is left of the past are the checkpoints.
    fn recover(folder: &Path) -> anyhow::Result<Past> {
        let damage = match Past::read(folder) {
            Err(error) if error.downcast_ref::<StoreError>().is_some_and(StoreError::is_damage) => format!("{error:#}"),
            other => return other,
        };
        let kept = RunWriter::set_aside(folder).context("setting the damaged run file aside")?;
        let kept = kept.map_or_else(String::new, |path| format!("; it lies in {}", path.display()));
        let lost = Some(format!("{damage}{kept}. Figures before this step are lost"));
        Ok(Past { checkpoints: checkpoint::found(folder)?, lost, ..Past::default() })
    }
}

impl Prepared {
    /// Takes out of the run file what lies beyond the position, and says where training goes on.
    fn begin<'a>(
        self,
        folder: &Path,
        session: &'a mut WorkerSession,
        writer: &'a RunWriter,
    ) -> anyhow::Result<Training<'a>> {
        let Prepared { job, engine, evaluator, position, passed_over, helm, best, found } = self;
        let step = position.step;
        writer.truncate_after(step).with_context(|| format!("going back to step {step}"))?;
        if let Some((why, checkpoints)) = found {
            say(&why);
            writer.event(Some(step), "alarm", why);
            checkpoints.into_iter().filter(|row| row.step <= step).for_each(|row| writer.checkpoint(row));
        }
        for skipped in passed_over {
            let text = format!("the checkpoint of step {} was passed over: {}", skipped.step, skipped.reason);
            say(&text);
            writer.event(Some(step), "alarm", text);
        }
        let begun = if step == 0 { "starts".to_owned() } else { format!("resumes from the checkpoint of step {step}") };
        let text = format!("{begun}: {} on {}, {} steps", job.shape, engine.device(), job.steps);
        say(&text);
        writer.event(Some(step), "attempt", text);
        let checkpoints = Checkpoints::new(folder.to_owned());
        Ok(Training { job, engine, evaluator, checkpoints, session, writer, position, helm, best })
    }
}

pub struct Training<'a> {
    pub job: Job,
    engine: Box<dyn Engine>,
    evaluator: Evaluator,
    checkpoints: Checkpoints,
    pub session: &'a mut WorkerSession,
    pub writer: &'a RunWriter,
    pub position: Position,
    pub helm: Helm,
    best: Option<f64>,
}

impl Training<'_> {
    fn run(mut self) -> anyhow::Result<Outcome> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        let mut order = None;
        let mut last_checkpoint = Instant::now();
        if self.position.step == 0 {
            self.enter(Phase::Start);
        }
        let limit = self.job.config.resources.time_limit_seconds;
        while self.position.step < self.job.steps {
            if let Some(order) = self.session.order() {
                return self.stop(order);
            }
            if self.session.time_is_up(limit) {
                let checkpoint = self.leave_at_checkpoint(None)?;
                return Ok(Outcome::Failed { reason: FailReason::TimeLimit { seconds: limit, checkpoint } });
            }
            let at_once = self.steer()?;
            if at_once.evaluate && self.position.step > 0 {
                self.evaluate(self.job.config.eval.mean_samples)?;
            }
            if at_once.checkpoint && self.position.step > 0 {
                self.checkpoint(CheckpointKind::Asked, None)?;
            }
            let started = Instant::now();
            let step = self.position.step;
            let this_order = EpochOrder::of(&self.job, step, order.take());
            self.job.batch(step, &this_order, &mut images, &mut labels);
            order = Some(this_order);
            self.step(&images, &labels, started)?;

            let why = self.reason_for_a_checkpoint(step, last_checkpoint)?;
            if let Some(kind) = why {
                self.checkpoint(kind, None)?;
                last_checkpoint = Instant::now();
            }
            self.checkpoints.poll(self.writer)?;
        }
        self.complete()
    }

    /// Ends the epoch and begins the phase where the step after `before` steps did so, and says why a checkpoint is due
    /// after it: for the reason that keeps it longest.
    fn reason_for_a_checkpoint(&mut self, before: u64, last: Instant) -> anyhow::Result<Option<CheckpointKind>> {
        let (step, resources) = (self.position.step, &self.job.config.resources);
        let (every_seconds, every_epochs) = (resources.checkpoint_seconds, u64::from(resources.milestone_epochs));
        let epoch_ended = step.is_multiple_of(self.job.epoch_steps);
        let best = epoch_ended && self.end_epoch()?;
        if step == self.job.steps {
            return Ok(None);
        }
        let (phase_before, phase) = (self.phase(before), self.phase(step));
        if phase_before != phase {
            self.enter(phase);
            return Ok(Some(CheckpointKind::Phase));
        }
        let milestone = epoch_ended && every_epochs > 0 && (step / self.job.epoch_steps).is_multiple_of(every_epochs);
        let periodic = last.elapsed().as_secs() >= every_seconds && !self.checkpoints.is_busy();
        Ok(match () {
            () if milestone => Some(CheckpointKind::Milestone),
            () if best => Some(CheckpointKind::Best),
            () if periodic => Some(CheckpointKind::Periodic),
            () => None,
        })
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

    /// Whether the net certified more of the test set than ever before.
    fn end_epoch(&mut self) -> anyhow::Result<bool> {
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
        let before = self.best;
        if done.is_multiple_of(every) && step < self.job.steps {
            self.evaluate(self.job.config.eval.mean_samples)?;
        }
        Ok(self.best > before)
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
        if self.best.is_none_or(|best| row.certified > best) {
            self.best = Some(row.certified);
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
        let checkpoint = match order {
            Order::Stop(Desired::CancelNow) => None,
            Order::Stop(_) => self.leave_at_checkpoint(None)?,
            Order::Leave => self.leave_at_checkpoint(Some(LEAVING))?,
        };
        self.writer.event(Some(step), "attempt", format!("stops as asked, after step {step}"));
        Ok(Outcome::Stopped { checkpoint })
    }

    /// Writes a checkpoint of this moment, trying again while the disk is full: for so long, or until the run is to be
    /// cancelled at once. Gives its step; `None` where there is none.
    fn leave_at_checkpoint(&mut self, patience: Option<Duration>) -> anyhow::Result<Option<u64>> {
        let started = Instant::now();
        let step = self.position.step;
        if step == 0 {
            return Ok(None);
        }
        loop {
            self.checkpoint(CheckpointKind::Stop, None)?;
            if self.checkpoints.wait(self.writer)? {
                return Ok(Some(step));
            }
            let hurry = self.session.order() == Some(Order::Stop(Desired::CancelNow));
            if hurry || patience.is_some_and(|patience| started.elapsed() > patience) {
                return Ok(None);
            }
            sleep(RETRY);
        }
    }

    fn complete(mut self) -> anyhow::Result<Outcome> {
        let settled = self.evaluate(usize::MAX)?;
        loop {
            self.checkpoint(CheckpointKind::Final, Some(&settled))?;
            if self.checkpoints.wait(self.writer)? {
                return Ok(Outcome::Completed);
            }
            sleep(RETRY);
        }
    }
}
