//! The schedules of p, learning rate, λ and ε, evaluated at every step with a fractional epoch
//! (arXiv 2102.05363 §5, arXiv 2110.06850 §5, arXiv 2210.01787 §5).

use std::f64::consts::PI;

use super::{Config, Kernels, PNorm, PSteps, Steered, Steering, cost::StepCost};

/// All schedules of one run, as pure functions of the fractional epoch.
#[derive(Clone, Debug)]
pub struct Schedules {
    epochs: f64,
    lr: f64,
    scalar_lr: f64,
    lr_hold: f64,
    p_start: f64,
    p_end: f64,
    ramp_start: f64,
    ramp_end: f64,
    p_steps: PSteps,
    lambda: (f64, f64),
    eps_train: (f64, f64),
    /// Where the clock stands when ε_train sets out from the first to the second.
    eps_from: f64,
    eps_window: Window,
    cost: StepCost,
    /// What its user changed on the way, oldest first.
    changes: Vec<Change>,
}

/// The climb of ε_train from 0.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: f64,
    end: f64,
    smooth: f64,
}

/// A state of the schedules that a user brought about, from an epoch on.
#[derive(Clone, Copy, Debug)]
struct Change {
    epoch: f64,
    clock: Clock,
    lr_factor: f64,
    /// In place of the schedule's.
    lambda: Option<f64>,
    /// Where on the clock it sets out, what ε_train was, its window aside, when its end was changed, and the new end.
    eps: Option<(f64, f64, f64)>,
}

/// The clock of p, λ and ε_train.
#[derive(Clone, Copy, Debug)]
enum Clock {
    /// As the config says.
    Scheduled,
    /// It stands at this ratio.
    Stands(f64),
    /// It went on from this epoch and ratio, so as to end with the ramp.
    GoesOn(f64, f64),
}

/// Everything that is scheduled, at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The exponent of every layer.
    pub p: PNorm,
    /// Learning rate of weights and bias.
    pub lr: f64,
    /// Learning rate of the scalar.
    pub scalar_lr: f64,
    /// Weight of the cross-entropy.
    pub lambda: f64,
    /// Half the hinge threshold, in pixels.
    pub eps_train: f64,
}

/// The three phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// p = p_start.
    Start,
    /// p climbs.
    Ramp,
    /// p = ∞ (or p_end, where that is below 100).
    End,
}

/// Whole exponents that few multiplications reach. Up to 40 each is at most 17 % above the one before; further up few
/// coordinates matter to a distance, and the steps may be wider.
const LADDER: [f64; 17] =
    [8.0, 9.0, 10.0, 11.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 28.0, 32.0, 36.0, 40.0, 48.0, 64.0];

impl Schedules {
    /// The schedules of a checked config.
    pub fn new(config: &Config) -> Schedules {
        let (schedule, loss) = (&config.schedule, &config.loss);
        let eps_train = loss.eps_train.to_f64();
        let climbed = loss.eps_train_hold - schedule.ramp_start;
        Schedules {
            epochs: f64::from(config.train.epochs),
            lr: config.train.lr,
            scalar_lr: config.train.scalar_lr(),
            lr_hold: config.train.lr_hold,
            p_start: schedule.p_start,
            p_end: schedule.p_end,
            ramp_start: schedule.ramp_start,
            ramp_end: schedule.ramp_end,
            p_steps: schedule.p_steps,
            lambda: (loss.lambda, loss.lambda_end.unwrap_or(loss.lambda)),
            eps_train: (eps_train, loss.eps_train_end.map_or(eps_train, |eps| eps.to_f64())),
            eps_from: if climbed > 0.0 { climbed / (schedule.ramp_end - schedule.ramp_start) } else { 0.0 },
            eps_window: Window { start: schedule.eps_start, end: schedule.eps_end, smooth: schedule.eps_smooth },
            cost: StepCost { bits: config.train.bits, gradient_share: config.train.gradient_share },
            changes: Vec::new(),
        }
    }

    /// The same schedules with what took force on the way, oldest first.
    pub fn steered<'a>(mut self, steered: impl IntoIterator<Item = &'a Steered>) -> Schedules {
        self.changes.clear();
        for Steered { epoch, what, .. } in steered {
            let ratio = self.ramp(*epoch);
            let mut change = Change { epoch: *epoch, ..self.change(*epoch) };
            match *what {
                Steering::LrFactor(factor) => change.lr_factor = factor,
                Steering::Lambda(lambda) => change.lambda = lambda,
                Steering::EpsEnd(end) => {
                    change.eps = Some((ratio.max(self.eps_from), self.whole_eps(*epoch), end.to_f64()));
                }
                Steering::HoldP(true) => change.clock = Clock::Stands(ratio),
                Steering::HoldP(false) => change.clock = Clock::GoesOn(*epoch, ratio),
                Steering::Checkpoint | Steering::Evaluate => continue,
            }
            self.changes.push(change);
        }
        self
    }

    /// What the user had changed at this epoch.
    fn change(&self, epoch: f64) -> Change {
        let untouched = Change { epoch: 0.0, clock: Clock::Scheduled, lr_factor: 1.0, lambda: None, eps: None };
        self.changes.iter().rev().find(|change| change.epoch <= epoch).copied().unwrap_or(untouched)
    }

    /// What is in force at `epoch` = epochs done + batches done / batches an epoch.
    pub fn at(&self, epoch: f64) -> Point {
        let ratio = self.ramp(epoch);
        let change = self.change(epoch);
        let done = (epoch - self.lr_hold).max(0.0) / (self.epochs - self.lr_hold);
        let cosine = 0.5 * (1.0 + (PI * done).cos()) * change.lr_factor;
        Point {
            p: self.p(ratio),
            lr: self.lr * cosine,
            scalar_lr: self.scalar_lr * cosine,
            lambda: change.lambda.unwrap_or_else(|| geometric(self.lambda.0, self.lambda.1, ratio)),
            eps_train: self.whole_eps(epoch) * self.eps_window.share(epoch),
        }
    }

    /// ε_train outside of its window.
    fn whole_eps(&self, epoch: f64) -> f64 {
        let ratio = self.ramp(epoch);
        match self.change(epoch).eps {
            None => between(self.eps_train, self.eps_from, ratio),
            Some((from, eps, end)) => between((eps, end), from, ratio),
        }
    }

    /// The phase at this epoch.
    pub fn phase(&self, epoch: f64) -> Phase {
        match self.ramp(epoch) {
            r if r <= 0.0 && epoch < self.ramp_start => Phase::Start,
            r if r < 1.0 => Phase::Ramp,
            _ => Phase::End,
        }
    }

    /// The fractional epoch at which the phase begins.
    pub fn phase_start(&self, phase: Phase) -> f64 {
        match phase {
            Phase::Start => 0.0,
            Phase::Ramp => self.ramp_start,
            Phase::End => self.ramp_end,
        }
    }

    /// Epochs of the whole run.
    pub fn epochs(&self) -> f64 {
        self.epochs
    }

    /// What training from one epoch to another costs, in epochs at p = 8 with all gradients: at some p a step takes up to
    /// three times as long as there, at p = ∞ a third. Good to a fifth, on a quiet machine.
    pub fn cost(&self, kernels: Kernels, from: f64, to: f64) -> f64 {
        // Enough for the jump to ∞ to fall where it should, to a thousandth of a run.
        const SLICES: u32 = 512;
        if kernels == Kernels::Other || to <= from {
            return (to - from).max(0.0);
        }
        let width = (to - from) / f64::from(SLICES);
        let p = |slice: u32| self.p(self.ramp(from + (f64::from(slice) + 0.5) * width));
        (0..SLICES).map(|slice| self.cost.at(kernels, p(slice))).sum::<f64>() * width
    }

    /// The clock of p, λ and ε_train: 0 before the ramp, 1 after it.
    fn ramp(&self, epoch: f64) -> f64 {
        let (from, ratio) = match self.change(epoch).clock {
            Clock::Stands(ratio) => return ratio,
            Clock::Scheduled => (self.ramp_start, 0.0),
            Clock::GoesOn(from, ratio) => (self.ramp_start.max(from), ratio),
        };
        if epoch >= self.ramp_end {
            1.0
        } else {
            ratio + (1.0 - ratio) * ((epoch - from) / (self.ramp_end - from)).clamp(0.0, 1.0)
        }
    }

    fn p(&self, ratio: f64) -> PNorm {
        if ratio >= 1.0 && self.p_end >= 100.0 {
            return PNorm::INFINITY;
        }
        let exact = geometric(self.p_start, self.p_end, ratio);
        let p = match self.p_steps {
            PSteps::Exact => exact,
            PSteps::Ladder => rung(exact),
        };
        PNorm::new(p).unwrap_or(PNorm::INFINITY)
    }
}

impl Window {
    /// The share of ε_train that is in force. The first `smooth` of the window goes with the fourth power, the rest is
    /// straight, and both value and slope are continuous where they meet.
    fn share(self, epoch: f64) -> f64 {
        if self.end <= self.start {
            return 1.0;
        }
        let done = ((epoch - self.start) / (self.end - self.start)).clamp(0.0, 1.0);
        // k·r⁴ at the joint r, slope 4k·r³, and the straight rest of length 1 − r reaches 1.
        let r = self.smooth;
        if done < r { done.powi(4) / ((4.0 - 3.0 * r) * r.powi(3)) } else { 1.0 - (1.0 - done) * 4.0 / (4.0 - 3.0 * r) }
    }
}

/// Stays at the first until the clock stands at `since`, and is the second once it stands at 1.
fn between(ends: (f64, f64), since: f64, ratio: f64) -> f64 {
    if ratio >= 1.0 { ends.1 } else { ends.0 + (ends.1 - ends.0) * ((ratio - since) / (1.0 - since)).max(0.0) }
}

fn geometric(from: f64, to: f64, ratio: f64) -> f64 {
    if from == to { from } else { from * (to / from).powf(ratio) }
}

/// The nearest rung in log space; outside the ladder p is left as it is.
fn rung(p: f64) -> f64 {
    let (first, last) = (LADDER[0], LADDER[LADDER.len() - 1]);
    if p < first || p > last * 1.06 {
        return p;
    }
    let distance = |rung: f64| (p / rung).ln().abs();
    LADDER.into_iter().fold(first, |best, rung| if distance(rung) < distance(best) { rung } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    /// The published CIFAR-10 8/255 recipe (ICLR 2022).
    const PUBLISHED: &str = r#"
        data.dataset = "cifar10"
        model = { depth = 6, width = 5120, identity_init = 10 }
        train = { epochs = 1300, batch_size = 512, lr = 0.03, scalar_lr = 0.006 }
        schedule = { ramp_start = 100, ramp_end = 1250 }
        loss = { lambda = 0.1, lambda_end = 0.0005, eps_train = "24/255" }
        eval = { eps = "8/255" }
    "#;

    fn published() -> Schedules {
        Schedules::new(&parse(PUBLISHED).unwrap())
    }

    #[test]
    fn anchors_of_the_published_log() {
        // Epoch 260 of the published run shows p = 15.66, lr = .0271, λ = .0478.
        let point = published().at(260.0);
        assert!((point.p.get() - 15.66).abs() < 5e-3, "{point:?}");
        assert!((point.lr - 0.0271).abs() < 5e-5, "{point:?}");
        assert!((point.lambda - 0.0478).abs() < 5e-5, "{point:?}");
        assert!((published().at(520.0).p.get() - 46.7).abs() < 0.05);
        assert!((published().at(910.0).p.get() - 240.0).abs() < 1.0);
    }

    #[test]
    fn phases_meet_where_the_config_says() {
        let s = published();
        assert_eq!(s.phase(0.0), Phase::Start);
        assert_eq!(s.phase(99.999), Phase::Start);
        assert_eq!(s.phase(100.0), Phase::Ramp);
        assert_eq!(s.at(100.0).p.get(), 8.0);
        assert_eq!(s.phase(1249.999), Phase::Ramp);
        assert!(s.at(1249.999).p.get() < 1000.0);
        assert_eq!(s.phase(1250.0), Phase::End);
        assert!(s.at(1250.0).p.is_infinite());
        assert_eq!(s.at(1300.0).lr, 0.0);
        assert!((s.at(1290.0).lambda - 0.0005).abs() < 1e-12);
    }

    #[test]
    fn an_empty_ramp_jumps() {
        let mut s = published();
        (s.ramp_start, s.ramp_end) = (5.0, 5.0);
        assert_eq!(s.at(4.9).p.get(), 8.0);
        assert!(s.at(5.0).p.is_infinite());
    }

    #[test]
    fn p_never_falls() {
        for p_steps in [PSteps::Exact, PSteps::Ladder] {
            let s = Schedules { p_steps, ..published() };
            let ps: Vec<f64> = (0..13_000).map(|tenth| s.at(f64::from(tenth) / 10.0).p.get()).collect();
            assert!(ps.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }

    fn steered(changes: &[(f64, &str)]) -> Schedules {
        let steered = |(epoch, what): &(f64, &str)| Steered {
            key: String::new(),
            step: 0,
            epoch: *epoch,
            what: what.parse().unwrap(),
        };
        published().steered(&changes.iter().map(steered).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_changes_before_an_order_and_what_it_does_not_name_never_does() {
        let changes = [(300.0, "lr-factor=0.5"), (400.0, "lambda=0.02"), (500.0, "checkpoint")];
        let (plain, s) = (published(), steered(&changes));
        for tenth in 0..13_000 {
            let epoch = f64::from(tenth) / 10.0;
            let (before, now) = (plain.at(epoch), s.at(epoch));
            assert_eq!((before.p, before.eps_train), (now.p, now.eps_train));
            let factor = if epoch < 300.0 { 1.0 } else { 0.5 };
            assert_eq!((before.lr * factor, before.scalar_lr * factor), (now.lr, now.scalar_lr));
            assert_eq!(now.lambda, if epoch < 400.0 { before.lambda } else { 0.02 });
        }
        let back = steered(&[(300.0, "lambda=0.02"), (400.0, "lambda=schedule"), (450.0, "lr-factor=1")]);
        assert_eq!((back.at(500.0).lambda, back.at(500.0).lr), (plain.at(500.0).lambda, plain.at(500.0).lr));
    }

    #[test]
    fn a_held_p_stands_and_then_climbs_to_the_same_end() {
        let s = steered(&[(400.0, "p=hold"), (700.0, "p=go")]);
        let held = published().at(400.0);
        for epoch in [400.0, 550.0, 699.9, 700.0] {
            assert!((s.at(epoch).p.get() / held.p.get() - 1.0).abs() < 1e-12, "{:?} at {epoch}", s.at(epoch));
            assert_eq!(s.phase(epoch), Phase::Ramp);
        }
        let ps: Vec<f64> = (7000..13_000).map(|tenth| s.at(f64::from(tenth) / 10.0).p.get()).collect();
        assert!(ps.windows(2).all(|pair| pair[0] <= pair[1]));
        // No jump but the last one, from p_end to ∞.
        let finite: Vec<f64> = ps.iter().copied().filter(|p| p.is_finite()).collect();
        assert!(finite.windows(2).all(|pair| pair[1] / pair[0] < 1.01) && *finite.last().unwrap() > 990.0);
        assert!(s.at(1250.0).p.is_infinite());
        // Held beyond the ramp, p is ∞ only once it may go.
        let late = steered(&[(1200.0, "p=hold"), (1260.0, "p=go")]);
        assert!(!late.at(1259.9).p.is_infinite() && late.at(1260.0).p.is_infinite());
        assert_eq!((late.phase(1255.0), late.phase(1260.0)), (Phase::Ramp, Phase::End));
    }

    #[test]
    fn a_new_end_of_eps_is_reached_with_the_ramp_and_without_a_jump() {
        let s = steered(&[(675.0, "eps-end=48/255")]);
        let (at, close) = (|epoch| s.at(epoch).eps_train * 255.0, |a: f64, b: f64| (a - b).abs() < 1e-9);
        assert!(close(at(674.9), 24.0) && close(at(675.0), 24.0) && close(at(1250.0), 48.0) && close(at(1300.0), 48.0));
        assert!(close(at(962.5), 36.0), "half-way in what was left of the ramp");
        assert!(close(steered(&[(1260.0, "eps-end=48/255")]).at(1260.0).eps_train * 255.0, 48.0));
    }

    #[test]
    fn a_held_eps_sets_out_late_and_is_at_its_end_with_the_ramp() {
        let held = |hold: f64| {
            let mut config = parse(PUBLISHED).unwrap();
            config.loss.eps_train_end = Some("12/255".parse().unwrap());
            config.loss.eps_train_hold = hold;
            config
        };
        let at = |s: &Schedules, epoch: f64| s.at(epoch).eps_train * 255.0;
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let s = Schedules::new(&held(1150.0));
        assert!([0.0, 100.0, 675.0, 1149.9, 1150.0].into_iter().all(|epoch| at(&s, epoch) == 24.0));
        assert!(close(at(&s, 1200.0), 18.0), "half-way in what was left of the ramp");
        assert!([1250.0, 1300.0].into_iter().all(|epoch| close(at(&s, epoch), 12.0)));
        // Held to before the ramp it is as without; to the ramp's end, it jumps there.
        let [plain, early, last] = [0.0, 50.0, 1250.0].map(|hold| Schedules::new(&held(hold)));
        assert!((0..1300).all(|epoch| plain.at(f64::from(epoch)) == early.at(f64::from(epoch))));
        assert!(close(at(&last, 1249.9), 24.0) && close(at(&last, 1250.0), 12.0));
        // An order for another end takes force when it would have set out.
        let order = Steered { key: String::new(), step: 0, epoch: 400.0, what: "eps-end=48/255".parse().unwrap() };
        let s = s.steered([&order]);
        assert!(close(at(&s, 1150.0), 24.0) && close(at(&s, 1200.0), 36.0) && close(at(&s, 1250.0), 48.0));
    }

    #[test]
    fn what_is_held_and_what_is_left_out_moves_the_cost() {
        let on_cpu = |s: &Schedules, from: f64, to: f64| s.cost(Kernels::Cpu, from, to);
        let s = published();
        assert!((on_cpu(&s, 0.0, 100.0) - 100.0).abs() < 1e-9, "p = 8 is the unit");
        let parts = on_cpu(&s, 0.0, 700.0) + on_cpu(&s, 700.0, 1300.0);
        assert!((on_cpu(&s, 0.0, 1300.0) - parts).abs() < 5.0, "it adds up");
        let ladder = Schedules { p_steps: PSteps::Ladder, ..published() };
        assert!(on_cpu(&ladder, 0.0, 1300.0) < 0.8 * on_cpu(&s, 0.0, 1300.0));
        let held = steered(&[(150.0, "p=hold")]);
        assert!(on_cpu(&held, 150.0, 1300.0) > 2.0 * on_cpu(&s, 150.0, 1300.0), "p = 10.2 for ever, no integer");
        assert_eq!((on_cpu(&s, 1300.0, 1300.0), s.cost(Kernels::Other, 100.0, 1300.0)), (0.0, 1200.0));
    }

    #[test]
    fn rungs_are_close_where_many_coordinates_matter() {
        let rungs: Vec<f64> = LADDER.into_iter().filter(|&rung| rung <= 40.0).collect();
        assert!(rungs.windows(2).all(|pair| pair[1] / pair[0] < 1.17));
        for p in [8.4, 17.1, 33.9, 39.0] {
            assert!((rung(p) / p).ln().abs() < 0.08, "{p} became {}", rung(p));
        }
        assert_eq!((rung(7.0), rung(68.0), rung(900.0)), (7.0, 68.0, 900.0));
    }

    #[test]
    fn the_ladder_has_only_integers_below_its_top() {
        let s = Schedules { p_steps: PSteps::Ladder, ..published() };
        for epoch in 0..520 {
            let p = s.at(f64::from(epoch)).p.get();
            assert!(p > 64.0 || LADDER.contains(&p), "p = {p} at epoch {epoch}");
        }
    }
}
