//! A run's summary from what its run file holds. Pure.

use super::{AttackRow, EpochRow, EvalRow, Summary, curve};
use crate::experiment::{Kernels, Phase, Schedules};

/// What the summary is made of.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub epochs: Vec<EpochRow>,
    pub evals: Vec<EvalRow>,
    pub attack: Option<AttackRow>,
    /// 0 where no worker has said yet.
    pub steps_per_epoch: u64,
    /// The last logged step and its fractional epoch.
    pub last_step: Option<(u64, f64)>,
    /// Means over the steps since the last whole epoch.
    pub mean_loss: Option<f64>,
    pub mean_accuracy: Option<f64>,
    /// Seconds of training since the last whole epoch.
    pub seconds_since_epoch: f64,
    /// Seconds of the last few hundred steps, newest first.
    pub recent_seconds: Vec<f64>,
    pub device: String,
    pub heartbeat_ms: Option<i64>,
    /// Whether an order changed the training.
    pub steered: bool,
}

/// Evaluations in a sparkline.
const HISTORY: usize = 32;

impl Facts {
    pub(super) fn summary(self, schedules: &Schedules) -> Summary {
        let last_epoch = self.epochs.last();
        let (step, epoch) = match (self.last_step, last_epoch) {
            (Some((step, epoch)), Some(row)) if row.step >= step => (row.step, epoch.max(f64::from(row.epoch) + 1.0)),
            (Some((step, epoch)), _) => (step, epoch),
            (None, Some(row)) => (row.step, f64::from(row.epoch) + 1.0),
            (None, None) => (0, 0.0),
        };
        let steps_per_epoch = self.steps_an_epoch(step, epoch);
        let kernels = Kernels::of(&self.device);
        let done = epoch.max(step as f64 / steps_per_epoch.max(1) as f64);
        let pace = (steps_per_epoch > 0).then(|| self.pace(schedules, kernels, steps_per_epoch, done)).flatten();
        let left = schedules.cost(kernels, done, schedules.epochs());
        let over = left <= 0.0 && steps_per_epoch > 0;
        let climbed = schedules.phase_start(Phase::End);
        let until_infinity = schedules.cost(kernels, done, climbed);
        let comes = until_infinity > 0.0 && schedules.at(climbed).p.is_infinite();
        let last_eval = self.evals.last();
        // One on the net of an earlier figure says nothing of this one.
        let attack = self.attack.as_ref().filter(|attack| last_eval.is_none_or(|eval| eval.step == attack.step));
        // Where images were held out, the best is by them: nothing is chosen on the test set.
        let of_curve: Vec<&EvalRow> = curve(&self.evals).collect();
        // Of equals the first: the trainer keeps that one.
        let best = of_curve.iter().rev().max_by(|a, b| a.certified.total_cmp(&b.certified));
        Summary {
            step,
            steps: steps_per_epoch * schedules.epochs() as u64,
            epoch,
            p: Some(schedules.at(epoch).p),
            phase: Some(schedules.phase(epoch)),
            loss: last_epoch.map(|row| row.loss).or(self.mean_loss),
            train_accuracy: last_epoch.map(|row| row.accuracy).or(self.mean_accuracy),
            clean: last_eval.map(|row| row.clean),
            certified: last_eval.map(|row| row.certified),
            attacked: attack.map(|row| (row.under_all, row.samples)),
            best_certified: best.map(|row| (row.certified, row.epoch)),
            certified_history: thin(&of_curve, HISTORY).map(|row| row.certified as f32).collect(),
            surrogate: last_epoch.map(|row| row.surrogate),
            steps_per_second: self.recent().map(|(seconds, steps)| steps / seconds),
            eta_seconds: if over { Some(0.0) } else { pace.map(|pace| left * pace) },
            infinity_seconds: pace.filter(|_| comes).map(|pace| until_infinity * pace),
            cost: schedules.cost(kernels, 0.0, epoch),
            train_seconds: self.epochs.iter().map(|row| row.seconds).sum::<f64>() + self.seconds_since_epoch,
            device: self.device,
            heartbeat_ms: self.heartbeat_ms,
            steered: self.steered,
        }
    }

    /// Seconds and steps of the last minute, or of what was read where that is less.
    fn recent(&self) -> Option<(f64, f64)> {
        let (mut sum, mut steps) = (0.0, 0.0);
        for seconds in self.recent_seconds.iter().take_while(|seconds| seconds.is_finite()) {
            if sum >= 60.0 {
                break;
            }
            sum += seconds;
            steps += 1.0;
        }
        (sum > 0.0).then_some((sum, steps))
    }

    /// As the worker said, or, where none has yet, as the steps of the run that it was forked from tell.
    fn steps_an_epoch(&self, step: u64, epoch: f64) -> u64 {
        match self.steps_per_epoch {
            0 if epoch > 0.0 => (step as f64 / epoch).round() as u64,
            said => said,
        }
    }

    /// Seconds of training for what an epoch at p = 8 costs, as the last steps took them; they ended at the epoch `done`.
    fn pace(&self, schedules: &Schedules, kernels: Kernels, steps_per_epoch: u64, done: f64) -> Option<f64> {
        let recent = self.recent().map(|(seconds, steps)| {
            let since = (done - steps / steps_per_epoch as f64).max(0.0);
            (seconds, schedules.cost(kernels, since, done))
        });
        let last_epoch = || {
            let row = self.epochs.last()?;
            Some((row.seconds, schedules.cost(kernels, f64::from(row.epoch), f64::from(row.epoch) + 1.0)))
        };
        let (seconds, paid) = recent.or_else(last_epoch)?;
        (seconds > 0.0 && paid > 0.0).then(|| seconds / paid)
    }
}

/// At most `most` of them, evenly spread, the last one among them.
fn thin<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let shown = all.len().min(most);
    (0..shown).map(move |i| &all[(i + 1) * all.len() / shown - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Epsilon, PNorm, Steered, parse};
    use crate::store::EvalSplit;

    fn schedules() -> Schedules {
        let text = r#"
            data.dataset = "synthetic"
            model = { depth = 2, width = 8 }
            train = { epochs = 10, batch_size = 8, lr = 0.03 }
            schedule = { ramp_start = 2, ramp_end = 8 }
            loss = { lambda = 0.1, eps_train = 0.4 }
            eval = { eps = 0.3 }
        "#;
        Schedules::new(&parse(text).unwrap())
    }

    fn epoch(epoch: u32, seconds: f64) -> EpochRow {
        EpochRow {
            epoch,
            step: u64::from(epoch + 1) * 10,
            p: PNorm::INFINITY,
            lr: 0.01,
            lambda: 0.1,
            loss: 0.5,
            accuracy: 0.9,
            surrogate: 0.4,
            scalar: 1.0,
            seconds,
            time_ms: 0,
        }
    }

    fn eval(epoch: f64, certified: f64) -> EvalRow {
        EvalRow {
            id: 1,
            epoch,
            step: 1,
            train_p: PNorm::INFINITY,
            eps: Epsilon::new(3, 10).unwrap(),
            split: EvalSplit::Test,
            samples: 10,
            clean: 0.95,
            certified,
            certified_margin: 0.5,
            surrogate_clean: None,
            surrogate_certified: None,
            seconds: 1.0,
            time_ms: 0,
        }
    }

    #[test]
    fn a_run_that_has_not_begun_has_no_figures() {
        let summary = Facts::default().summary(&schedules());
        assert_eq!((summary.step, summary.steps, summary.loss, summary.eta_seconds), (0, 0, None, None));
        assert_eq!(summary.phase, Some(Phase::Start));
    }

    #[test]
    fn what_is_left_is_expected_at_the_last_pace() {
        // Two epochs at p = 8 took 1 s each, the ramp's first took 3 s: 5 more of the ramp, 2 at p = ∞.
        let epochs = vec![epoch(0, 1.0), epoch(1, 1.0), epoch(2, 3.0)];
        let facts = Facts { epochs, steps_per_epoch: 10, ..Facts::default() };
        let summary = facts.summary(&schedules());
        assert_eq!((summary.step, summary.steps, summary.epoch), (30, 100, 3.0));
        assert_eq!(summary.phase, Some(Phase::Ramp));
        assert!((summary.eta_seconds.unwrap() - (5.0 * 3.0 + 2.0 * 3.0)).abs() < 1e-9, "{summary:?}");
        assert_eq!(summary.train_seconds, 5.0);
    }

    #[test]
    fn on_a_cpu_each_step_is_expected_to_take_what_its_p_takes() {
        let device = "CPU, avx512, 2 threads".to_owned();
        let at = |step: u64, epochs: Vec<EpochRow>| Facts {
            epochs,
            steps_per_epoch: 10,
            last_step: Some((step, step as f64 / 10.0)),
            recent_seconds: vec![0.1; 10],
            device: device.clone(),
            ..Facts::default()
        };
        // An epoch at p = 8 took 1 s; p = ∞ takes a third of that, and what lies between up to three times as much.
        let early = at(10, vec![epoch(0, 1.0)]).summary(&schedules()).eta_seconds.unwrap();
        let expected = schedules().cost(Kernels::Cpu, 1.0, 10.0);
        assert!((early - expected).abs() < 1e-9 && expected > 9.0, "{early} {expected}");
        // Held at the start of its climb, no integer, it is dearer by far than what it would have come to.
        let hold = Steered { key: String::new(), step: 25, epoch: 2.5, what: "p=hold".parse().unwrap() };
        let held = schedules().steered([&hold]);
        let seconds = |schedules: &Schedules| at(30, vec![epoch(2, 3.0)]).summary(schedules).eta_seconds.unwrap();
        assert!(seconds(&held) > 1.5 * seconds(&schedules()), "{} {}", seconds(&held), seconds(&schedules()));
        let until = |schedules: &Schedules| at(30, vec![epoch(2, 3.0)]).summary(schedules).infinity_seconds;
        let left = seconds(&schedules());
        assert!(until(&schedules()).is_some_and(|until| 0.8 * left < until && until < left), "two cheap epochs follow");
        assert_eq!(until(&held), None, "it never comes");
        // At p = ∞ nothing else is left.
        let late = at(90, vec![epoch(8, 1.0)]).summary(&schedules()).eta_seconds.unwrap();
        assert!((late - 1.0).abs() < 1e-9, "{late}");
        assert_eq!(at(90, vec![epoch(8, 1.0)]).summary(&schedules()).infinity_seconds, None, "it is there");
    }

    #[test]
    fn a_complete_run_has_nothing_left() {
        let epochs = (0..10).map(|e| epoch(e, 1.0)).collect();
        let facts = Facts { epochs, steps_per_epoch: 10, last_step: Some((100, 10.0)), ..Facts::default() };
        assert_eq!(facts.summary(&schedules()).eta_seconds, Some(0.0));
    }

    #[test]
    fn the_first_epoch_is_seen_by_its_steps() {
        let facts = Facts {
            steps_per_epoch: 10,
            last_step: Some((5, 0.5)),
            mean_loss: Some(0.7),
            recent_seconds: vec![0.1; 5],
            seconds_since_epoch: 0.5,
            ..Facts::default()
        };
        let summary = facts.summary(&schedules());
        assert_eq!((summary.step, summary.epoch, summary.loss), (5, 0.5, Some(0.7)));
        assert!((summary.steps_per_second.unwrap() - 10.0).abs() < 1e-9);
        assert!((summary.eta_seconds.unwrap() - 9.5).abs() < 1e-9);
    }

    #[test]
    fn before_its_worker_has_said_anything_a_fork_has_the_steps_of_its_parent() {
        let epochs = vec![epoch(0, 1.0), epoch(1, 1.0)];
        let summary = Facts { epochs, last_step: Some((25, 2.5)), ..Facts::default() }.summary(&schedules());
        assert_eq!((summary.step, summary.steps, summary.epoch), (25, 100, 2.5));
        assert!((summary.cost - 2.5).abs() < 1e-12, "no device, no weights");
    }

    #[test]
    fn the_best_and_the_last_evaluation_differ() {
        let evals = vec![eval(1.0, 0.2), eval(2.0, 0.8), eval(3.0, 0.7)];
        let summary = Facts { evals, ..Facts::default() }.summary(&schedules());
        assert_eq!(summary.certified, Some(0.7));
        assert_eq!(summary.best_certified, Some((0.8, 2.0)));
    }

    #[test]
    fn what_is_held_out_decides_what_is_best() {
        let held_out = |epoch, certified| EvalRow { split: EvalSplit::Validation, ..eval(epoch, certified) };
        let evals = vec![held_out(1.0, 0.2), held_out(2.0, 0.6), held_out(3.0, 0.5), eval(2.0, 0.9)];
        let summary = Facts { evals, ..Facts::default() }.summary(&schedules());
        assert_eq!(summary.certified, Some(0.9), "the last evaluation is of the test set");
        assert_eq!(summary.best_certified, Some((0.6, 2.0)));
    }

    #[test]
    fn a_long_history_is_thinned_and_keeps_its_end() {
        let all: Vec<usize> = (0..1000).collect();
        let thinned: Vec<usize> = thin(&all, 32).copied().collect();
        assert_eq!((thinned.len(), thinned.last()), (32, Some(&999)));
        assert_eq!(thin(&all[..3], 32).count(), 3);
        assert_eq!(thin(&all[..0], 32).count(), 0);
    }
}
