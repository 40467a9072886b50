//! What a run measures of its net at p = ∞, under way and at its end.

use std::time::{Duration, Instant};

use anyhow::Context;
use linf::dispatch::Order;
use linf::experiment::{Attack, Threat};
use linf::net::{NetState, StepError};
use linf::report::measured::{Moment, kept, kept_of_attack};
use linf::store::{EvalSplit, EventRow, checkpoint};

use super::{StepFault, Training, patiently};
use crate::past::{Best, Past};
use crate::{alarm, say};

/// Between two lines in the log about an attack under way.
const SAY_EVERY: Duration = Duration::from_secs(10);

impl Training<'_> {
    /// Evaluates the net as it stands on the images held out, else on the test set. Says whether it is the best so far, of
    /// which there is none without images held out: the test set chooses nothing.
    pub(super) fn evaluate(&mut self, mean_samples: usize) -> anyhow::Result<bool> {
        let settled = self.settled(mean_samples)?;
        let step = self.position.step;
        let certified = self.measure(&settled, self.job.images.deciding_split(), step)?;
        self.measured = Some(settled);
        let is_best = self.best.is_none_or(|best| certified > best.certified);
        if is_best {
            self.best = Some(Best { certified, step });
        }
        Ok(is_best && !self.job.images.validation.is_empty())
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

    /// Whether the net of this step is what the run comes to: the last one, or the one that held-out images chose.
    fn is_result(&self, step: u64) -> bool {
        !self.job.images.validation.is_empty() || step == self.job.steps
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
        let at = Moment { epoch: self.job.epoch(step), step, train_p, split };
        let (mut row, mut margins) = kept(&evaluation, at, eps, started.elapsed());
        row.surrogate_clean = surrogate.map(|(clean, _)| clean);
        row.surrogate_certified = surrogate.map(|(_, certified)| certified);
        if row.certified > row.clean {
            let text = format!(
                "certified accuracy {:.4} is above clean accuracy {:.4}: an error in the program",
                row.certified, row.clean
            );
            self.writer.event(Some(step), EventRow::UNSOUND, text);
        }
        if split == EvalSplit::Test && self.is_result(step) {
            // The one figure that takes long; what is asked for meanwhile comes first, and the figures do without it.
            let (writer, session) = (self.writer, &*self.session);
            let radii = self.evaluator.radii(settled, images, &evaluation, Threat::Real, &mut |_| {
                writer.heartbeat();
                session.order().is_none()
            });
            margins.radius = radii.map_or_else(Vec::new, |radii| Threat::Real.stored(&radii));
        }
        let certified = row.certified;
        self.writer.eval(row, margins);
        self.leave_device();
        Ok(certified)
    }

    /// Gives the device's memory back to the training, and says what failed there meanwhile.
    pub(super) fn leave_device(&self) {
        self.evaluator.release();
        if let Some(fault) = self.evaluator.take_fault() {
            let text = format!("some of what was measured was computed on the CPU: {fault}");
            alarm(self.writer, Some(self.position.step), text);
        }
    }

    /// Attacks the net of `step` on the test set; an order that comes while it does so is obeyed first.
    pub(super) fn attack(&mut self, plan: &Attack, step: u64, net: &NetState) -> anyhow::Result<Option<Order>> {
        let started = Instant::now();
        let (last, eps) = (self.position.step, self.job.config.eval.eps);
        let (train, test) = (&self.job.images.train, &self.job.images.test);
        let samples = plan.samples.unwrap_or(test.len()).min(test.len());
        say(&format!("attacks the net of step {step} on {samples} test images"));
        let (mut order, mut said, session, writer) = (None, Instant::now(), &mut *self.session, self.writer);
        let found = self.evaluator.attack(net, train, test, plan, eps.into(), &mut |done| {
            writer.heartbeat();
            if said.elapsed() > SAY_EVERY {
                say(&format!("attacked {done} of {samples}"));
                said = Instant::now();
            }
            order = session.order();
            order.is_none()
        });
        let Some(found) = found else {
            self.leave_device();
            return Ok(order);
        };
        let certified = self.evaluator.certify(net, test, samples, eps);
        let wrong = found.examples.iter().find(|(sample, _)| certified.samples[*sample as usize].certified);
        if let Some((sample, _)) = wrong {
            let text = format!("test image {sample} was certified and its class was changed: an error in the program");
            self.writer.event(Some(last), EventRow::UNSOUND, text);
        }
        let (row, found) = kept_of_attack(found, step, eps, started.elapsed());
        self.writer.attack(row, found);
        self.leave_device();
        Ok(None)
    }

    /// Measures on the test set the net that was best by the held-out images, the last one where that cannot be read, and
    /// gives it.
    pub(super) fn measure_the_best(&mut self) -> anyhow::Result<(u64, NetState)> {
        let last = self.position.step;
        let last_net = self.measured.take().context("the last net was not measured")?;
        let best_step = self.best.map_or(last, |best| best.step);
        let (step, net) = match (best_step != last).then(|| self.best_net(best_step)) {
            None => (last, last_net),
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                let next = self.next_best(best_step, last);
                let which = next
                    .as_ref()
                    .map_or("the last net".into(), |(step, _)| format!("the net of step {step}, the next best"));
                alarm(self.writer, Some(last), format!("{error:#}; the test set is measured with {which}"));
                next.unwrap_or((last, last_net))
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

    /// The best net by the held-out images of those whose checkpoints can be read, but for the best of all, whose cannot;
    /// `None` where that is the last. The checkpoint of a better one may have met a full disk.
    fn next_best(&mut self, unreadable: u64, last: u64) -> Option<(u64, NetState)> {
        let mut past = Past::read(&self.folder).ok()?;
        past.forget(unreadable);
        loop {
            let best = past.best(&self.job, &self.position)?;
            if past.certified(&self.job, last).is_some_and(|last| last >= best.certified) {
                return None;
            }
            if let Ok(found) = self.best_net(best.step) {
                return Some(found);
            }
            past.forget(best.step);
        }
    }

    /// The net of a checkpoint with the means it was measured with.
    fn best_net(&mut self, step: u64) -> anyhow::Result<(u64, NetState)> {
        patiently(self.session, || self.writer.flush().context("writing down the checkpoints"))?;
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
