//! The training loop: steps, epochs, evaluations, checkpoints, orders.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use linf::dispatch::{Helm, Order, WorkerSession};
use linf::dist::{self, Simd};
use linf::experiment::{Attack, Config, Desired, Device, FailReason, Phase, RunId, Schedules, Steered};
use linf::net::{Average, Batch, Engine, Evaluator, NetState, StepError};
use linf::store::{
    AttackRow, Attempt, CheckpointKind, CheckpointRow, EpochRow, EvalRow, EvalSplit, Findings, Margins, Outcome,
    RunReader, RunWriter, StepPoint, StoreError, checkpoint, now_ms,
};

use crate::checkpoints::{Checkpoints, Stamp};
use crate::device;
use crate::feed::Feed;
use crate::job::{Job, Position};
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
        steps_per_epoch: prepared.as_ref().map_or(0, |prepared| prepared.job.images.epoch_steps),
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

/// Between two lines in the log about an attack under way.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Adversarial images that a run file keeps of one attack: 12 MB of CIFAR-10's.
const KEPT_EXAMPLES: usize = 1000;

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
    average: Option<Average>,
    position: Position,
    /// Newer checkpoints that could not be used, and why.
    passed_over: Vec<checkpoint::Skipped>,
    helm: Helm,
    best: Option<Best>,
    /// Why the run file was given up, and the checkpoints that the new one must be told of.
    found: Option<(String, Vec<CheckpointRow>)>,
}

fn prepare(folder: &Path, config: &Config, given: Option<Device>) -> anyhow::Result<Prepared> {
    let mut job = Job::new(config.clone())?;
    let past = Past::recover(folder)?;
    let (newest, passed_over) = checkpoint::newest_good(folder, &past.checkpoints);
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
            average.restore(find).with_context(foreign)?;
        }
    }
    let best = past.best(&job, &position);
    let resources = &config.resources;
    let engine = device::engine(resources.device, given, resources.threads, config.train.adam, state)?;
    let simd = Simd::detect().context("choosing the kernels")?;
    let evaluator = Evaluator::new(config.data.dataset, resources.threads, simd);
    let helm = Helm::new(past.steering, position.step);
    job.schedules = Schedules::new(config).steered(helm.in_force());
    let found = past.lost.map(|why| (why, past.checkpoints));
    Ok(Prepared { job, engine, evaluator, average, position, passed_over, helm, best, found })
}

/// The net that certified most so far of the images that decide.
#[derive(Clone, Copy, Debug)]
struct Best {
    certified: f64,
    /// Its steps; a checkpoint holds it.
    step: u64,
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
    /// The best net by the images that decide, up to the position, as far as its checkpoint is known. The last evaluation
    /// is made again where the run was killed after it.
    fn best(&self, job: &Job, position: &Position) -> Option<Best> {
        let counts = |row: &&EvalRow| {
            row.split == job.images.deciding_split()
                && row.step <= position.step
                && row.step < job.steps
                && self.checkpoints.iter().any(|checkpoint| checkpoint.step == row.step)
        };
        // Of equals the first.
        let best = self.evals.iter().rev().filter(counts).max_by(|a, b| a.certified.total_cmp(&b.certified));
        best.map(|row| Best { certified: row.certified, step: row.step })
    }

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
        let Prepared { job, engine, evaluator, average, position, passed_over, helm, best, found } = self;
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
        let folder = folder.to_owned();
        let checkpointed = position.step;
        Ok(Training {
            job,
            engine,
            evaluator,
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
            paths: Vec::new(),
        })
    }
}

pub struct Training<'a> {
    pub job: Job,
    engine: Box<dyn Engine>,
    evaluator: Evaluator,
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
    /// How the layers' distances were computed when that was last written down.
    paths: Vec<dist::Path>,
}

impl Training<'_> {
    fn run(mut self) -> anyhow::Result<Outcome> {
        let mut feed = Feed::new(Arc::clone(&self.job.images), self.position.step, self.job.steps)?;
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
            let batch = feed.next()?;
            self.step(&batch.images, &batch.labels, started)?;
            feed.give_back(batch);

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

    fn step(&mut self, images: &[f32], labels: &[u8], started: Instant) -> anyhow::Result<()> {
        self.measured = None;
        let point = self.job.point(self.position.step);
        let stats = self.engine.step(Batch { images, labels }, &point).map_err(|error| StepFault {
            step: self.position.step + 1,
            p: point.p,
            error,
        })?;
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

    /// Whether the net certified more than ever before.
    fn end_epoch(&mut self) -> anyhow::Result<bool> {
        let step = self.position.step;
        let done = step / self.job.images.epoch_steps;
        let point = self.job.point(step - 1);
        let scalar = self.engine.state()?.scalar.value[0];
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

    /// Evaluates the net as it stands on the images that decide which is the best: those held out, else the test set.
    /// Says whether it is the best so far.
    fn evaluate(&mut self, mean_samples: usize) -> anyhow::Result<bool> {
        let settled = self.settled(mean_samples)?;
        let step = self.position.step;
        let certified = self.measure(&settled, self.job.images.deciding_split(), step)?;
        self.measured = Some(settled);
        let is_best = self.best.is_none_or(|best| certified > best.certified);
        if is_best {
            self.best = Some(Best { certified, step });
        }
        Ok(is_best)
    }

    /// The net, or the average of its past, with running means re-estimated at p = ∞.
    fn settled(&mut self, mean_samples: usize) -> anyhow::Result<NetState> {
        let (step, p) = (self.position.step, self.job.point(self.position.step - 1).p);
        let net = self.engine.state()?;
        if let Some(what) = net.not_finite() {
            return Err(StepFault { step, p, error: StepError::NotFinite { what } }.into());
        }
        let averaged = self.average.as_ref().map(|average| average.net(net)).transpose()?;
        let samples = mean_samples.min(self.job.images.own);
        Ok(self.evaluator.with_means_at_infinity(averaged.as_ref().unwrap_or(net), &self.job.images.train, samples))
    }

    /// Measures at p = ∞ a net of `step` steps whose means are settled; returns its certified accuracy.
    fn measure(&mut self, settled: &NetState, split: EvalSplit, step: u64) -> anyhow::Result<f64> {
        let started = Instant::now();
        let eps = self.job.config.eval.eps;
        let train_p = self.job.point(step - 1).p;
        let images = self.job.images.of(split);
        let evaluation = self.evaluator.certify(settled, images, images.len(), eps);
        // Only the net as it stands has the running means of its p.
        let surrogate = if train_p.is_infinite() || step != self.position.step {
            None
        } else {
            let net = self.engine.state()?;
            self.evaluator.surrogate(net, images, images.len(), train_p, eps)
        };
        let row = EvalRow {
            id: 0,
            epoch: self.job.epoch(step),
            step,
            train_p,
            eps,
            split,
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
        let certified = row.certified;
        self.writer.eval(row, margins);
        Ok(certified)
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

    /// Attacks the net of `step` on the test set; an order that comes while it does so is obeyed first.
    fn attack(&mut self, plan: &Attack, step: u64, net: &NetState) -> anyhow::Result<Option<Order>> {
        let started = Instant::now();
        let (last, eps) = (self.position.step, self.job.config.eval.eps);
        let (train, test) = (&self.job.images.train, &self.job.images.test);
        let samples = plan.samples.unwrap_or(test.len()).min(test.len());
        say(&format!("attacks the net of step {step} on {samples} test images"));
        let (mut order, mut said, session, writer) = (None, Instant::now(), &mut *self.session, self.writer);
        let found = self.evaluator.attack(net, train, test, plan, eps, &mut |done| {
            writer.heartbeat();
            if said.elapsed() > SAY_EVERY {
                say(&format!("attacked {done} of {samples}"));
                said = Instant::now();
            }
            order = session.order();
            order.is_none()
        });
        let Some(mut found) = found else { return Ok(order) };
        let certified = self.evaluator.certify(net, test, samples, eps);
        let wrong = found.examples.iter().find(|(sample, _)| certified.samples[*sample as usize].certified);
        if let Some((sample, _)) = wrong {
            let text = format!("test image {sample} was certified and its class was changed: an error in the program");
            self.writer.event(Some(last), "alarm", text);
        }
        let row = AttackRow {
            step,
            eps,
            samples: samples as u32,
            under_pgd: found.under_pgd(),
            under_all: found.under_all(),
            seconds: started.elapsed().as_secs_f64(),
            time_ms: now_ms(),
        };
        found.examples.truncate(KEPT_EXAMPLES);
        self.writer.attack(row, Findings { fates: found.fates, examples: found.examples });
        Ok(None)
    }

    /// Measures on the test set the net that was best by the held-out images, the last one where that cannot be read, and
    /// gives it.
    fn measure_the_best(&mut self) -> anyhow::Result<(u64, NetState)> {
        let last = self.position.step;
        let last_net = self.measured.take().context("the last net was not measured")?;
        let (step, net) = match self.best.filter(|best| best.step != last).map(|best| self.best_net(best.step)) {
            None => (last, last_net),
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                let text = format!("{error:#}; the test set is measured with the last net");
                say(&text);
                self.writer.event(Some(last), "alarm", text);
                (last, last_net)
            }
        };
        self.measure(&net, EvalSplit::Test, step)?;
        if self.best.is_some_and(|best| best.step == step) {
            let text =
                format!("the net of step {step} is the best by the held-out images; the test set is measured with it");
            self.writer.event(Some(last), "eval", text);
        }
        Ok((step, net))
    }

    /// The net of a checkpoint with the means it was measured with.
    fn best_net(&mut self, step: u64) -> anyhow::Result<(u64, NetState)> {
        self.writer.flush().context("writing down the checkpoints")?;
        let rows = Past::read(&self.folder)?.checkpoints;
        let row = rows.iter().find(|row| row.step == step).context("the checkpoint of the best net is not there")?;
        let path = checkpoint::file(&self.folder, &row.file);
        let loaded = checkpoint::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut net = self.engine.state()?.clone();
        net.restore_measured(step, |name| loaded.tensors.get(name).and_then(|tensor| tensor.f32()))
            .with_context(|| format!("{} is not of this net", path.display()))?;
        Ok((step, net))
    }
}
