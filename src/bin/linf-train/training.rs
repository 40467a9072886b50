//! The training loop: steps, epochs, evaluations, checkpoints, orders.

mod measuring;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use linf::dispatch::{Helm, Order, WorkerSession};
use linf::dist;
use linf::experiment::{Config, Desired, Device, FailReason, Phase, RunId, Schedules};
use linf::net::{Average, Batch, Engine, Evaluator, NetState, Sparsity, StepError};
use linf::store::{
    Attempt, CheckpointKind, CheckpointRow, EpochRow, Gauge, Outcome, RunWriter, StepPoint, StoreError, checkpoint,
    now_ms,
};

use crate::checkpoints::{Checkpoints, Stamp};
use crate::device::Machine;
use crate::feed::Feed;
use crate::images::Filled;
use crate::instruments::Instruments;
use crate::job::{Job, Position};
use crate::past::{Best, Past};
use crate::{alarm, say};

/// Trains one run until it is complete, or is told to stop; what became of it stands in its run file.
pub fn work(store: &Path, run: RunId, nonce: &str, given: Option<Device>) -> anyhow::Result<()> {
    let folder = store.join(run.to_string());
    let mut session = WorkerSession::begin(&folder, nonce).context("taking the run")?;
    let config = read_config(&folder)?;
    let prepared = prepare(&folder, &config, given, &session);
    let attempt = Attempt {
        nonce: nonce.to_owned(),
        identity: session.identity().clone(),
        device: prepared.as_ref().map_or("none".into(), |prepared| prepared.engine.device()),
        threads: config.resources.threads as u32,
        program: concat!("linf-train ", env!("LINF_VERSION")).into(),
        steps_per_epoch: prepared.as_ref().map_or(0, |prepared| prepared.job.images.epoch_steps),
    };
    let open = || RunWriter::open(&folder, &config, attempt.clone()).context("opening the run file");
    let writer = patiently(&session, open)?;
    let result = prepared.and_then(|prepared| prepared.begin(&folder, &mut session, &writer)?.run());
    let (outcome, result) = match result {
        Ok(outcome) => (outcome, Ok(())),
        // It was told to stop while the disk is full: it stands at its last checkpoint.
        Err(error) if is_passing(&error) && session.order().is_some() => {
            (Outcome::Stopped { checkpoint: None }, Err(error))
        }
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

/// Tries again while the disk is full or the file busy, until the run is told to stop.
fn patiently<T>(session: &WorkerSession, mut what: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut said = false;
    loop {
        match what() {
            Err(error) if is_passing(&error) && session.order().is_none() => {
                if !said {
                    say(&format!("waits: {error:#}"));
                    said = true;
                }
                sleep(RETRY);
            }
            result => return result,
        }
    }
}

/// As [`StoreError::is_passing`], of an error with its context.
pub fn is_passing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(StoreError::is_passing)
}

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
    /// Why no GPU is used, where one might have been.
    gpus: Option<String>,
    instruments: Instruments,
    average: Option<Average>,
    position: Position,
    /// Newer checkpoints that could not be used, and why.
    passed_over: Vec<checkpoint::Skipped>,
    helm: Helm,
    best: Option<Best>,
    /// Why the run file was given up, and the checkpoints that the new one must be told of.
    found: Option<(String, Vec<CheckpointRow>)>,
}

fn prepare(folder: &Path, config: &Config, given: Option<Device>, session: &WorkerSession) -> anyhow::Result<Prepared> {
    let mut job = Job::new(config.clone())?;
    let past = patiently(session, || Past::recover(folder))?;
    let (newest, passed_over) = checkpoint::newest_good(folder, &past.checkpoints);
    // They may only be out of reach. To start over would take them and all figures out of the run file.
    if let (None, Some(first)) = (&newest, passed_over.first()) {
        anyhow::bail!(
            "none of the {} checkpoints of this run can be read ({}). Nothing was changed: bring them back and \
             `linf-tui retry` the run, or begin it anew with `linf-tui add {}`",
            passed_over.len(),
            first.reason,
            folder.join("config.toml").display()
        );
    }
    let mut state = NetState::init(&job.shape, config.train.seed, config.model.identity_init);
    let mut average = config.train.ema.map(|decay| Average::new(&state, decay));
    let mut position = Position::default();
    if let Some(good) = newest {
        let path = checkpoint::file(folder, &good.row.file);
        position = Position::restore(&good.loaded, &path)?;
        let find = |name: &str| good.loaded.tensors.get(name).and_then(|tensor| tensor.f32());
        let foreign = || format!("{} is not of this net", path.display());
        state.restore(position.step, find).with_context(foreign)?;
        if let Some(average) = &mut average {
            // A fork of a run without an average begins one.
            if good.loaded.tensors.keys().any(|name| Average::is_part(name)) {
                average.restore(find).with_context(foreign)?;
            } else {
                *average = Average::new(&state, average.decay());
            }
        }
    }
    let best = past.best(&job, &position);
    let Machine { engine, evaluator, cuda, passed_over: gpus } = Machine::new(config, given, state)?;
    let helm = Helm::new(past.steering, position.step);
    job.schedules = Schedules::new(config).steered(helm.in_force());
    let found = past.lost.map(|why| (why, past.checkpoints));
    let instruments = Instruments::new(cuda);
    Ok(Prepared { job, engine, evaluator, gpus, instruments, average, position, passed_over, helm, best, found })
}

impl Prepared {
    /// Takes out of the run file what lies beyond the position, and says where training goes on.
    fn begin<'a>(
        self,
        folder: &Path,
        session: &'a mut WorkerSession,
        writer: &'a RunWriter,
    ) -> anyhow::Result<Training<'a>> {
        let Prepared { job, engine, evaluator, gpus, instruments, average, position, passed_over, helm, best, found } =
            self;
        let step = position.step;
        patiently(session, || writer.truncate_after(step).with_context(|| format!("going back to step {step}")))?;
        if let Some((why, checkpoints)) = found {
            alarm(writer, Some(step), why);
            checkpoints.into_iter().filter(|row| row.step <= step).for_each(|row| writer.checkpoint(row));
        }
        for skipped in passed_over {
            let text = format!("the checkpoint of step {} was passed over: {}", skipped.step, skipped.reason);
            alarm(writer, Some(step), text);
        }
        let begun = if step == 0 { "starts".to_owned() } else { format!("resumes from the checkpoint of step {step}") };
        let text = format!("{begun}: {} on {}, {} steps", job.shape, engine.device(), job.steps);
        say(&text);
        writer.event(Some(step), "attempt", text);
        if let Some(why) = gpus {
            alarm(writer, Some(step), format!("no GPU is used: {why}"));
        }
        let checkpoints = Checkpoints::new(folder.to_owned());
        let folder = folder.to_owned();
        let checkpointed = position.step;
        Ok(Training {
            job,
            engine,
            evaluator,
            instruments,
            average,
            checkpoints,
            session,
            writer,
            folder,
            position,
            helm,
            best,
            measured: None,
            checkpointed,
            sparsity: None,
            paths: Vec::new(),
        })
    }
}

pub struct Training<'a> {
    pub job: Job,
    engine: Box<dyn Engine>,
    evaluator: Evaluator,
    instruments: Instruments,
    average: Option<Average>,
    checkpoints: Checkpoints,
    pub session: &'a mut WorkerSession,
    pub writer: &'a RunWriter,
    /// The run's.
    folder: PathBuf,
    pub position: Position,
    pub helm: Helm,
    best: Option<Best>,
    /// The net as it was measured after the last step, if it was.
    measured: Option<NetState>,
    /// Steps done at the last checkpoint.
    checkpointed: u64,
    /// When it was looked at last how few inputs count, and how long that took.
    sparsity: Option<(Instant, Duration)>,
    /// How the layers' distances were computed when that was last written down.
    paths: Vec<dist::Path>,
}

impl Training<'_> {
    fn run(mut self) -> anyhow::Result<Outcome> {
        let held = self.hold_images();
        let mut feed = Feed::new(Arc::clone(&self.job.images), self.position.step, self.job.steps, !held)?;
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
            if self.position.step > 0 {
                let best = at_once.evaluate && self.evaluate(self.job.config.eval.mean_samples)?;
                if at_once.checkpoint {
                    self.checkpoint(CheckpointKind::Asked)?;
                } else if best {
                    self.checkpoint(CheckpointKind::Best)?;
                }
            }
            let started = Instant::now();
            let step = self.position.step;
            let mut batch = feed.next()?;
            self.step(&batch, held, started)?;
            if self.position.step.is_multiple_of(self.job.images.epoch_steps) {
                self.look_at_sparsity(&mut batch)?;
            }
            feed.give_back(batch);
            for (gauge, value) in self.instruments.read_when_due() {
                self.writer.gauge(self.position.step, gauge, value);
            }

            let why = self.reason_for_a_checkpoint(step, last_checkpoint)?;
            if let Some(kind) = why {
                self.checkpoint(kind)?;
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
        let epoch_ended = step.is_multiple_of(self.job.images.epoch_steps);
        let best = epoch_ended && self.end_epoch()?;
        if step == self.job.steps {
            return Ok(None);
        }
        let (phase_before, phase) = (self.phase(before), self.phase(step));
        if phase_before != phase {
            self.enter(phase);
            return Ok(Some(CheckpointKind::Phase));
        }
        let milestone =
            epoch_ended && every_epochs > 0 && (step / self.job.images.epoch_steps).is_multiple_of(every_epochs);
        let periodic = last.elapsed().as_secs() >= every_seconds && !self.checkpoints.is_busy();
        Ok(match () {
            () if milestone => Some(CheckpointKind::Milestone),
            () if best => Some(CheckpointKind::Best),
            () if periodic => Some(CheckpointKind::Periodic),
            () => None,
        })
    }

    /// Whether the engine has taken the training images to its device.
    fn hold_images(&mut self) -> bool {
        let images = &self.job.images;
        self.engine.hold(&images.train, images.view).unwrap_or_else(|error| {
            say(&format!("the training images stay here, and each batch is sent: {error}"));
            false
        })
    }

    fn step(&mut self, batch: &Filled, held: bool, started: Instant) -> anyhow::Result<()> {
        self.measured = None;
        let point = self.job.point(self.position.step);
        let Filled { drawn, images, labels } = batch;
        let done = if held {
            self.engine.step_held(drawn, labels, &point)
        } else {
            self.engine.step(Batch { images, labels }, &point)
        };
        let stats = done.map_err(|error| StepFault { step: self.position.step + 1, p: point.p, error })?;
        if let Some(average) = &mut self.average {
            average.update(self.engine.state()?);
        }
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
            lambda: point.objective.lambda(),
            loss: stats.loss,
            accuracy: f64::from(stats.correct) / size as f64,
            seconds,
        });
        Ok(())
    }

    /// Whether the net certified more of the held-out images than ever before.
    fn end_epoch(&mut self) -> anyhow::Result<bool> {
        let step = self.position.step;
        let done = step / self.job.images.epoch_steps;
        let point = self.job.point(step - 1);
        let scalar = self.engine.scalar()?;
        let samples = self.job.images.own as f64;
        let position = &mut self.position;
        self.writer.epoch(EpochRow {
            epoch: done as u32 - 1,
            step,
            p: point.p,
            lr: point.lr,
            lambda: point.objective.lambda(),
            loss: position.loss / samples,
            accuracy: position.correct as f64 / samples,
            surrogate: position.surrogate as f64 / samples,
            scalar: f64::from(scalar),
            seconds: position.epoch_seconds,
            time_ms: now_ms(),
        });
        *position = Position { step, train_seconds: position.train_seconds, ..Position::default() };
        self.note_kernels();
        let every = u64::from(self.job.config.eval.every);
        let due = done.is_multiple_of(every) && step < self.job.steps;
        Ok(due && self.evaluate(self.job.config.eval.mean_samples)?)
    }

    /// Writes down how few inputs count after this step, by its batch. Of a large net on a device that costs much beside an
    /// epoch: it may take a hundredth of the time.
    fn look_at_sparsity(&mut self, batch: &mut Filled) -> anyhow::Result<()> {
        if self.sparsity.is_some_and(|(when, took)| when.elapsed() < 100 * took) {
            return Ok(());
        }
        let started = Instant::now();
        let step = self.position.step;
        let p = self.job.point(step - 1).p;
        if batch.images.is_empty() {
            self.job.images.fill_pixels(&batch.drawn, &mut batch.images);
        }
        let found = self.evaluator.sparsity(self.engine.state()?, &batch.images, p);
        self.leave_device();
        if let Some(Sparsity { counting, candidates }) = found {
            self.writer.gauge(step, Gauge::Counting, counting);
            if let Some(candidates) = candidates {
                self.writer.gauge(step, Gauge::Candidates, candidates);
            }
        }
        self.sparsity = Some((Instant::now(), started.elapsed()));
        Ok(())
    }

    /// Writes down which kernels compute the layers, where that is no longer what it was.
    fn note_kernels(&mut self) {
        let stats = self.engine.op_stats();
        let paths: Vec<_> = stats.iter().map(|stats| stats.path).collect();
        if paths == self.paths {
            return;
        }
        self.paths = paths;
        let step = self.position.step;
        let p = self.job.point(step - 1).p;
        let layers: Vec<_> = (1..).zip(&stats).map(|(layer, stats)| format!("layer {layer} by {stats}")).collect();
        self.writer.event(Some(step), "kernels", format!("p = {p}: {}", layers.join("; ")));
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

    /// Starts writing a checkpoint, with the means of the net that was measured at this step.
    fn checkpoint(&mut self, kind: CheckpointKind) -> anyhow::Result<()> {
        self.checkpointed = self.position.step;
        let stamp = Stamp {
            epoch: self.job.epoch(self.position.step),
            p: self.job.point(self.position.step.saturating_sub(1)).p,
            kind,
        };
        let (average, means) = (self.average.as_ref(), self.measured.as_ref());
        self.checkpoints.start(self.writer, self.engine.state()?, average, means, &self.position, stamp)
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
        // One that was written at this step for another reason is as good.
        if self.checkpointed == step && self.checkpoints.wait(self.writer)? {
            return Ok(Some(step));
        }
        loop {
            self.checkpoint(CheckpointKind::Stop)?;
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
        self.evaluate(usize::MAX)?;
        loop {
            self.checkpoint(CheckpointKind::Final)?;
            if self.checkpoints.wait(self.writer)? {
                break;
            }
            sleep(RETRY);
        }
        let (step, net) = if self.job.images.validation.is_empty() {
            (self.position.step, self.measured.take().context("the last net was not measured")?)
        } else {
            self.measure_the_best()?
        };
        if let Some(plan) = self.job.config.eval.attack
            && let Some(order) = self.attack(&plan, step, &net)?
        {
            return self.stop(order);
        }
        Ok(Outcome::Completed)
    }
}
