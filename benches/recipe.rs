//! How long the training steps of a config take on this machine, evaluation and checkpoints apart:
//! `cargo bench --no-default-features --bench recipe -- [CONFIG] [--threads N] [--steps N] [--bits N] [--share X]`.
//!
//! Trains `configs/mnist-cpu.toml` or the config given. With `--steps` only so many steps of each epoch are taken, at the
//! schedule of the whole epoch, and their mean time stands for all: an estimate, on a net that is trained less. `--bits` and
//! `--share` are `train.bits` and `train.gradient_share` in place of the config's.

use std::error::Error;
use std::time::{Duration, Instant};

use linf::dataset::{self, Normalizer};
use linf::dist::{Precision, Simd};
use linf::experiment::{Config, Schedules, parse};
use linf::net::{Batch, CpuEngine, Engine, NetShape, NetState, Objective, StepPoint};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let (mut threads, mut limit, mut file) = (0, u64::MAX, "configs/mnist-cpu.toml".to_owned());
    let (mut bits, mut share) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--threads" => threads = args.next().ok_or("--threads needs a number")?.parse()?,
            "--steps" => limit = args.next().ok_or("--steps needs a number")?.parse()?,
            "--bits" => bits = Some(args.next().ok_or("--bits needs a number")?.parse()?),
            "--share" => share = Some(args.next().ok_or("--share needs a number")?.parse()?),
            "--bench" => {} // cargo passes it
            _ => file = arg,
        }
    }
    let mut config = parse(&std::fs::read_to_string(&file)?)?;
    config.train.bits = bits.unwrap_or(config.train.bits);
    config.train.gradient_share = share.unwrap_or(config.train.gradient_share);
    let mut run = Run::new(config, threads)?;
    let (epochs, steps) = (u64::from(run.config.train.epochs), run.steps);
    println!("{file}: {epochs} epochs of {steps} steps on {}", run.engine.device());
    println!("{:>6} {:>8} {:>8} {:>9}  kernels", "epoch", "p", "step ms", "accuracy");
    let mut total = Duration::ZERO;
    for epoch in 0..epochs {
        let taken = steps.min(limit);
        let (time, correct) = run.epoch(epoch, taken)?;
        total += time.mul_f64(steps as f64 / taken as f64);
        if epoch % 5 == 0 || epoch + 1 == epochs {
            let seen = taken * run.config.train.batch_size as u64;
            let kernels: Vec<_> = run.engine.op_stats().iter().map(ToString::to_string).collect();
            println!(
                "{epoch:>6} {:>8.4} {:>8.2} {:>9.4}  {}",
                run.point(epoch as f64).p.get(),
                time.as_secs_f64() * 1e3 / taken as f64,
                correct as f64 / seen as f64,
                kernels.join("; ")
            );
        }
    }
    let how = if limit < steps { format!(", from {limit} steps of each epoch") } else { String::new() };
    println!("{:.2} minutes of training{how}", total.as_secs_f64() / 60.0);
    Ok(())
}

struct Run {
    config: Config,
    schedules: Schedules,
    data: dataset::Dataset,
    /// Of one epoch.
    steps: u64,
    engine: CpuEngine,
}

impl Run {
    fn new(config: Config, threads: usize) -> Result<Run> {
        let data = dataset::load(config.data.dataset, &dataset::default_root())?;
        let net = NetState::init(&NetShape::new(&config), config.train.seed, None);
        let engine = CpuEngine::new(net, config.train.adam, threads, Simd::detect()?)
            .with_precision(Precision::of_bits(config.train.bits).ok_or("there are kernels of 4, 8, 16 and 24 bits")?)
            .with_gradient_share(config.train.gradient_share);
        let steps = data.train.len().div_ceil(config.train.batch_size) as u64;
        Ok(Run { schedules: Schedules::new(&config), data, steps, engine, config })
    }

    fn point(&self, epoch: f64) -> StepPoint {
        let point = self.schedules.at(epoch);
        let eps = point.eps_train / self.config.data.dataset.std();
        let objective = Objective::new(&self.config.loss, point.lambda);
        StepPoint { p: point.p, lr: point.lr, scalar_lr: point.scalar_lr, objective, eps }
    }

    /// The time of the first so many steps of an epoch, batches included, and how many samples were right.
    fn epoch(&mut self, epoch: u64, taken: u64) -> Result<(Duration, u64)> {
        let (view, seed) = (self.config.data.view(), self.config.train.seed);
        let augment = self.config.data.variation().map(|augmentation| (augmentation, seed, epoch));
        let start = Instant::now();
        let order = dataset::epoch_order(seed, epoch, self.data.train.len());
        let (mut images, mut labels, mut correct) = (Vec::new(), Vec::new(), 0);
        for (step, samples) in (0..taken).zip(order.chunks(self.config.train.batch_size)) {
            let mut indices = samples.to_vec();
            dataset::sort_by_class(&mut indices, &self.data.train.labels, self.config.model.keep.is_some());
            images.resize(indices.len() * view.pixels(), 0.0);
            dataset::fill_batch(
                &self.data.train,
                view,
                &Normalizer::new(view.id),
                &indices,
                augment,
                &mut images,
                &mut labels,
            );
            let point = self.point(epoch as f64 + step as f64 / taken as f64);
            correct += u64::from(self.engine.step(Batch { images: &images, labels: &labels }, &point)?.correct);
        }
        Ok((start.elapsed(), correct))
    }
}
