//! Learning curves as ℓ∞-distance nets have them, made up from a seed: for demonstrations, benches and tests of the
//! screens. Nothing here was measured.

use linf::experiment::{Config, Kernels, PNorm, Phase, Schedules};
use linf::store::{Bin, EpochRow, EvalRow, EvalSplit, Gauge, Margins, Summary};

/// When the made-up store was filled: 22 November 2026, 09:00 UTC.
pub const START_MS: i64 = 1_795_338_000_000;

/// A run that was trained for a while.
#[derive(Clone)]
pub struct Story {
    /// Its config.
    pub config: Config,
    /// Decides its noise.
    pub seed: u64,
    /// Epochs done.
    pub epochs: u32,
    /// Certified accuracy it would reach at the end.
    pub reaches: f64,
    /// Test images measured at each evaluation.
    pub samples: u32,
}

/// Numbers between -1 and 1 that depend on a seed and an index only.
fn noise(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

impl Story {
    /// Steps of an epoch of MNIST's size.
    pub fn steps_per_epoch(&self) -> u64 {
        60_000_u64.div_ceil(self.config.train.batch_size as u64)
    }

    fn schedules(&self) -> Schedules {
        Schedules::new(&self.config)
    }

    /// How far p has climbed at an epoch, from 0 to 1.
    fn ramp(&self, epoch: f64) -> f64 {
        let schedule = &self.config.schedule;
        ((epoch - schedule.ramp_start) / (schedule.ramp_end - schedule.ramp_start).max(1e-9)).clamp(0.0, 1.0)
    }

    /// Certified accuracy at p = ∞: next to nothing while p is small, then an S-curve.
    fn certified(&self, epoch: f64, index: u64) -> f64 {
        let ramp = self.ramp(epoch);
        let rise = 1.0 / (1.0 + (-(ramp - 0.42) * 11.0).exp());
        let late = 1.0 + 0.012 * (ramp - 1.0) + 0.006 * (epoch / f64::from(self.config.train.epochs) - 1.0);
        (self.reaches * rise * late + 0.006 * noise(self.seed, index)).clamp(0.0, 0.9999)
    }

    fn clean(&self, epoch: f64, index: u64) -> f64 {
        let ramp = self.ramp(epoch);
        let rise = 1.0 / (1.0 + (-(ramp - 0.22) * 12.0).exp());
        let top = self.reaches + (1.0 - self.reaches) * 0.72;
        (0.1 + (top - 0.1) * rise + 0.004 * noise(self.seed ^ 1, index)).clamp(0.05, 0.9999)
    }

    fn loss(&self, epoch: f64, index: u64) -> f64 {
        let progress = epoch / f64::from(self.config.train.epochs);
        (0.62 * (-5.5 * progress).exp() + 0.055 + 0.05 * self.ramp(epoch)) * (1.0 + 0.12 * noise(self.seed ^ 2, index))
    }

    /// The loss of one step.
    #[allow(dead_code, reason = "for stores")]
    pub fn step_loss(&self, epoch: f64, step: u64) -> f64 {
        self.loss(epoch, step) * (1.0 + 0.25 * noise(self.seed ^ 9, step))
    }

    /// Its epochs.
    pub fn epochs(&self) -> Vec<EpochRow> {
        let (schedules, per_epoch) = (self.schedules(), self.steps_per_epoch());
        let mut time_ms = START_MS;
        (0..self.epochs)
            .map(|epoch| {
                let end = f64::from(epoch + 1);
                let point = schedules.at(end);
                let index = u64::from(epoch) + 1_000_000;
                let accuracy =
                    (0.975 - 0.5 * (-0.9 * end).exp() - 0.02 * self.ramp(end)) + 0.002 * noise(self.seed, index);
                let seconds = if point.p.get() > 50.0 { 4.4 } else { 6.3 } + 0.3 * noise(self.seed ^ 3, index);
                time_ms += (seconds * 1000.0) as i64;
                EpochRow {
                    epoch,
                    step: u64::from(epoch + 1) * per_epoch,
                    p: point.p,
                    lr: point.lr,
                    lambda: point.lambda,
                    loss: self.loss(end, index),
                    accuracy,
                    surrogate: (accuracy - 0.07 - 0.4 * (-0.5 * end).exp()).max(0.0),
                    scalar: 1.0 + 0.02 * end,
                    seconds,
                    time_ms,
                }
            })
            .collect()
    }

    /// What its gauges said at the end of each epoch.
    pub fn gauges(&self) -> Vec<(u64, Gauge, f64)> {
        let at_epoch = |epoch: EpochRow| {
            let (step, index) = (epoch.step, u64::from(epoch.epoch));
            // Of 512 inputs all count at first and one in the end.
            let counting = (8.0 / epoch.p.get()).max(1.0 / 512.0);
            [
                (step, Gauge::Counting, counting),
                (step, Gauge::Candidates, counting.sqrt()),
                (step, Gauge::Cores, 1.9 + 0.1 * noise(self.seed ^ 11, index)),
                (step, Gauge::Memory, 412e6 + 6e6 * (index.min(20) as f64)),
            ]
        };
        self.epochs().into_iter().flat_map(at_epoch).collect()
    }

    /// Its evaluations.
    pub fn evals(&self) -> Vec<EvalRow> {
        let schedules = self.schedules();
        let every = self.config.eval.every.max(1);
        let last = self.config.train.epochs;
        (1..=self.epochs)
            .filter(|epoch| epoch % every == 0 || *epoch == last)
            .zip(1..)
            .map(|(epoch, id)| {
                let at = f64::from(epoch);
                let clean = self.clean(at, u64::from(epoch));
                let certified = self.certified(at, u64::from(epoch)).min(clean);
                EvalRow {
                    id,
                    epoch: at,
                    step: u64::from(epoch) * self.steps_per_epoch(),
                    train_p: schedules.at(at).p,
                    eps: self.config.eval.eps,
                    split: EvalSplit::Test,
                    samples: self.samples,
                    clean,
                    certified,
                    certified_margin: certified * 0.998,
                    surrogate_clean: None,
                    surrogate_certified: None,
                    seconds: 1.1,
                    time_ms: START_MS + i64::from(epoch) * 6_000,
                }
            })
            .collect()
    }

    /// The margins of an evaluation.
    pub fn margins(&self, eval: &EvalRow) -> Margins {
        let eps = eval.eps.to_f64();
        let mut margins = Margins::default();
        for sample in 0..self.samples {
            let draw = (noise(self.seed ^ 5, u64::from(sample)) + 1.0) / 2.0;
            let label = ((noise(self.seed ^ 6, u64::from(sample)) + 1.0) * 4.999) as u16;
            let wrong = 1.0 - eval.clean;
            let near = 1.0 - eval.certified_margin;
            let radius = if draw < wrong {
                -eps * 0.5 * (1.0 - draw / wrong.max(1e-9))
            } else if draw < near {
                eps * (draw - wrong) / (near - wrong).max(1e-9)
            } else {
                eps * (1.0 + 0.9 * ((draw - near) / (1.0 - near).max(1e-9)).powf(0.7))
            };
            let right = radius > 0.0;
            margins.margin.push((radius * 2.0) as f32);
            margins.label.push(label);
            margins.prediction.push(if right { label } else { (label + 3 + label % 4) % 10 });
            margins.certified.push(radius > eps);
        }
        margins
    }

    /// The loss of every step, gathered into bins.
    #[allow(dead_code, reason = "for models without a store")]
    pub fn loss_bins(&self, bins: u64) -> Vec<Bin> {
        let steps = u64::from(self.epochs) * self.steps_per_epoch();
        let width = steps.div_ceil(bins.max(1)).max(1);
        (0..steps / width)
            .map(|index| {
                let epoch = (index * width) as f64 / self.steps_per_epoch() as f64;
                let mean = self.loss(epoch, index);
                Bin { step: index * width, min: mean * 0.72, max: mean * 1.31, mean }
            })
            .collect()
    }

    /// What a list shows of it.
    pub fn summary(&self) -> Summary {
        let (epochs, evals, schedules) = (self.epochs(), self.evals(), self.schedules());
        let Some(last) = epochs.last() else { return Summary::default() };
        let steps = u64::from(self.config.train.epochs) * self.steps_per_epoch();
        let done = f64::from(self.epochs) >= f64::from(self.config.train.epochs);
        let eval = evals.last();
        let best = evals.iter().max_by(|a, b| a.certified.total_cmp(&b.certified));
        Summary {
            step: last.step,
            steps,
            epoch: f64::from(self.epochs),
            p: Some(if done { PNorm::INFINITY } else { last.p }),
            phase: Some(if done { Phase::End } else { schedules.phase(f64::from(self.epochs)) }),
            loss: Some(last.loss),
            train_accuracy: Some(last.accuracy),
            clean: eval.map(|eval| eval.clean),
            certified: eval.map(|eval| eval.certified),
            attacked: None,
            best_certified: best.map(|eval| (eval.certified, eval.epoch)),
            certified_history: evals.iter().map(|eval| eval.certified as f32).collect(),
            surrogate: Some(last.surrogate),
            steps_per_second: Some(48.7),
            eta_seconds: (!done).then(|| (steps - last.step) as f64 / 48.7),
            infinity_seconds: {
                let left = schedules.phase_start(Phase::End) - f64::from(self.epochs);
                (left > 0.0).then(|| left * self.steps_per_epoch() as f64 / 48.7)
            },
            train_seconds: epochs.iter().map(|epoch| epoch.seconds).sum(),
            cost: schedules.cost(Kernels::Cpu, 0.0, f64::from(self.epochs)),
            device: "CPU, avx512, 2 threads".into(),
            heartbeat_ms: Some(last.time_ms),
            steered: false,
        }
    }
}
