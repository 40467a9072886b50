//! How fast this machine trains, found by a few steps, for a store whose runs do not tell yet.

use std::time::Instant;

use super::pace::Pace;
use crate::dataset::Normalizer;
use crate::dist::Simd;
use crate::experiment::{Config, Label, PNorm, parse};
use crate::net::{Batch, CpuEngine, Engine, NetShape, NetState, Objective, StepPoint};

/// The small nets' own size: wider ones take as long for a pair.
const NET: &str = "
    data.dataset = 'mnist'
    model = { depth = 5, width = 512 }
    train = { epochs = 1, batch_size = 256, lr = 0.03 }
    schedule = { ramp_start = 1, ramp_end = 1 }
    loss = { lambda = 0.1, eps_train = 0.4 }
    eval.eps = 0.3
";
/// The first steps find cold caches and threads.
const WARM_UP: usize = 2;
const STEPS: usize = 7;

/// The pace of all cores with our kernels: a quarter of a second of training at p = 8. `None` where the CPU cannot.
pub fn trial() -> Option<Pace> {
    let config = parse(NET).ok()?;
    let mut engine = engine(&config)?;
    let (images, labels) = noise(&config);
    let point = StepPoint {
        p: PNorm::new(8.0)?,
        lr: config.train.lr,
        scalar_lr: config.train.scalar_lr(),
        objective: Objective::new(&config.loss, config.loss.lambda),
        eps: config.loss.eps_train.to_f64() / config.data.dataset.std(),
    };
    let mut seconds = Vec::with_capacity(STEPS);
    for step in 0..WARM_UP + STEPS {
        let start = Instant::now();
        engine.step(Batch { images: &images, labels: &labels }, &point).ok()?;
        if step >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let pairs = NetShape::new(&config).pairs() as f64 * config.train.batch_size as f64;
    Some(Pace { device: engine.device(), runs: 0, pairs_per_second: pairs / seconds[STEPS / 2] })
}

fn engine(config: &Config) -> Option<CpuEngine> {
    let net = NetState::init(&NetShape::new(config), config.train.seed, None);
    Some(CpuEngine::new(net, config.train.adam, 0, Simd::detect().ok()?))
}

/// Images and labels of one batch. What they show does not matter to dense kernels.
fn noise(config: &Config) -> (Vec<f32>, Vec<Label>) {
    let (batch, view) = (config.train.batch_size, config.data.view());
    let normalizer = Normalizer::new(view.id);
    let images = (0..batch * view.pixels()).map(|i| normalizer.table(0)[i * 89 % 251]).collect();
    (images, (0..batch).map(|i| (i % view.id.classes()) as Label).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_steps_tell_a_pace() {
        let pace = trial().unwrap();
        assert!(pace.device.starts_with("CPU") && pace.runs == 0);
        assert!(pace.pairs_per_second.is_finite() && pace.pairs_per_second > 0.0);
        assert!(pace.source().starts_with("a few steps on CPU"), "{}", pace.source());
    }
}
