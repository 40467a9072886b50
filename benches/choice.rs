//! What the choice between dense and pruned kernels costs, and the constants it is made by:
//! `cargo bench --no-default-features --bench choice -- [--epochs N] [--rounds N] [--threads N] [--bits N]
//! [--data DIR]`.
//!
//! Takes the operands of every layer of a 784-512×4-10 net, fresh and, with `--epochs N`, while N epochs of
//! `configs/mnist-cpu.toml` take p from 8 to ∞; and, at p = ∞, the boxes of ε = 0.3 that certification takes through the
//! net. For each: the share of coordinates that bounds leave and that count, the time of forward + backward with dense,
//! pruned and chosen kernels, in core cycles per 16 triples (sample, output, input), and the regret: how much longer the
//! choice takes than the better of the two, its own cost included. Times are minima over rounds that run the three in
//! turn. The constants of `src/dist/pruned/choice.rs` are fitted to the columns.

use linf::dataset::{self, Dataset, DatasetId, Normalizer};
use linf::dist::{DistOp, Kernels, Path, Pool, Precision, Shape, Simd, interval_by, mean_shift_forward};
use linf::experiment::{Config, Label, Schedules, parse_with};
use linf::net::{Batch, CpuEngine, Engine, NetShape, NetState, Objective, StepPoint};
use std::hint::black_box;
use std::time::Instant;

const BATCH: usize = 256;

struct Options {
    epochs: u32,
    rounds: usize,
    threads: usize,
    bits: u32,
    data: std::path::PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options { epochs: 0, rounds: 5, threads: 1, bits: 16, data: dataset::default_root() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--epochs" => options.epochs = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--threads" => options.threads = value()?.parse()?,
            "--bits" => options.bits = value()?.parse()?,
            "--data" => options.data = value()?.into(),
            "--bench" => {} // cargo passes it
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let simd = Simd::detect()?;
    let precision = Precision::of_bits(options.bits).ok_or("there are kernels of 4, 8, 16 and 24 bits")?;
    let (pool, rounds) = (Pool::new(options.threads), options.rounds);
    let mut bench = Bench { pool, simd, precision, ghz: clock_ghz(), rounds, rows: Vec::new() };
    println!(
        "{} threads, {}, {} bits, {:.2} GHz, minima of {rounds} rounds",
        options.threads,
        simd.name(),
        options.bits,
        bench.ghz
    );
    println!("{HEADER}");
    let overrides = [
        format!("train.epochs={}", options.epochs.max(1)),
        format!("schedule.ramp_start={}", 0.12 * f64::from(options.epochs)),
        format!("schedule.ramp_end={}", 0.89 * f64::from(options.epochs.max(1))),
        "schedule.p_steps=\"exact\"".to_owned(),
    ];
    let config = parse_with(include_str!("../configs/mnist-cpu.toml"), "mnist-cpu.toml", &overrides)?;
    let state = NetState::init(&NetShape::new(&config), 0, None);
    let images = dataset::load(if options.epochs > 0 { DatasetId::Mnist } else { DatasetId::Synthetic }, &options.data);
    let fresh = match &images {
        Ok(images) if options.epochs > 0 => Some(Batches::new(images, &config)),
        _ => None,
    };
    if let Some(batches) = &fresh {
        for p in [20.0, 32.0, 48.5, 64.0, 100.0, 1000.0, f64::INFINITY] {
            bench.net("fresh", &state, &batches.images(0), p);
        }
        bench.train(&config, state, batches, options.threads)?;
    } else {
        for p in [20.0, 32.0, 48.5, 64.0, 100.0, 1000.0, f64::INFINITY] {
            bench.net("fresh", &state, &noise(BATCH * 784), p);
        }
    }
    bench.summary();
    Ok(())
}

/// Uniform in [0, 1], normalised as MNIST is.
fn noise(n: usize) -> Vec<f32> {
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..n).map(|_| (uniform() - 0.1307) / 0.3081).collect()
}

/// The batches of training, as the trainer makes them: shuffled, sorted by label, cropped.
struct Batches<'a> {
    images: &'a Dataset,
    config: &'a Config,
    normalizer: Normalizer,
}

impl<'a> Batches<'a> {
    fn new(images: &'a Dataset, config: &'a Config) -> Batches<'a> {
        Batches { images, config, normalizer: Normalizer::new(config.data.dataset) }
    }

    fn steps(&self) -> u64 {
        (self.images.train.len() / BATCH) as u64
    }

    fn batch(&self, step: u64) -> (Vec<f32>, Vec<Label>) {
        let epoch = step / self.steps();
        let order = dataset::epoch_order(0, epoch, self.images.train.len());
        let mut indices = order[(step % self.steps()) as usize * BATCH..][..BATCH].to_vec();
        indices.sort_by_key(|&index| self.images.train.labels[index as usize]);
        let (mut out, mut labels) = (vec![0.0; BATCH * 784], Vec::new());
        let augment = Some((&self.config.data.augment, 0, epoch));
        let id = self.config.data.dataset;
        dataset::fill_batch(&self.images.train, id, &self.normalizer, &indices, augment, &mut out, &mut labels);
        (out, labels)
    }

    fn images(&self, step: u64) -> Vec<f32> {
        self.batch(step).0
    }
}

struct Bench {
    pool: Pool,
    simd: Simd,
    precision: Precision,
    ghz: f64,
    rounds: usize,
    rows: Vec<Row>,
}

struct Row {
    /// With dense, pruned, chosen kernels.
    seconds: [f64; 3],
}

const HEADER: &str = "net      layer      p      B x I x O    keep  large   cand narrow vector   terms  d.fwd  d.f+b  p.fwd  p.f+b chosen  dense   path    regret";

impl Bench {
    fn train(
        &mut self,
        config: &Config,
        state: NetState,
        batches: &Batches,
        threads: usize,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut marks = [16.0, 20.0, 24.0, 32.0, 40.0, 48.0, 64.0, 100.0, 160.0, 300.0, 950.0, f64::INFINITY]
            .into_iter()
            .peekable();
        let schedules = Schedules::new(config);
        let mut engine = CpuEngine::new(state, config.train.adam, threads.max(2), self.simd);
        let steps = batches.steps() * u64::from(config.train.epochs);
        for step in 0..steps {
            let point = schedules.at(step as f64 / batches.steps() as f64);
            let std = config.data.dataset.std();
            let point = StepPoint {
                p: point.p,
                lr: point.lr,
                scalar_lr: point.scalar_lr,
                objective: Objective::new(&config.loss, point.lambda),
                eps: point.eps_train / std,
            };
            let (images, labels) = batches.batch(step);
            engine.step(Batch { images: &images, labels: &labels }, &point)?;
            let last = step + 1 == steps;
            if marks.peek().is_some_and(|mark| point.p.get() >= *mark && (last || mark.is_finite())) {
                let p = marks.next().unwrap_or(f64::INFINITY);
                // At the nearest whole p, and at one that is not.
                self.net("trained", engine.state()?, &images, p);
                if p < 70.0 {
                    self.net("trained", engine.state()?, &images, p + 0.3);
                }
            }
        }
        Ok(())
    }

    /// All layers of a net on a batch of images.
    fn net(&mut self, name: &str, net: &NetState, images: &[f32], p: f64) {
        let mut input = images.to_vec();
        // MNIST's black and white, normalised.
        let (black, white, eps) = (-0.1307 / 0.3081, (1.0 - 0.1307) / 0.3081, 0.3 / 0.3081);
        let end = |by: f32| images.iter().map(|x| (x + by).clamp(black, white)).collect::<Vec<f32>>();
        let (mut low, mut high) = (end(-eps), end(eps));
        for (index, layer) in net.layers.iter().enumerate() {
            let shape = Shape { batch: BATCH, inputs: layer.shape.inputs(), outputs: layer.shape.outputs() };
            let shown = index < 3 || index + 1 == net.layers.len();
            if p.is_infinite() {
                let name = format!("{name:<8} {:>5}", index + 1);
                let [to_low, to_high] = self.boxes(&name, shape, &low, &high, &layer.weight.value, shown);
                (low, high) = (to_low, to_high);
            }
            if shown {
                self.case(&format!("{name:<8} {:>5}", index + 1), shape, p, &input, &layer.weight.value, true);
                if p.is_infinite() {
                    self.case(&format!("{name:<8} {:>5}", index + 1), shape, p, &input, &layer.weight.value, false);
                }
            }
            let mut output = vec![0.0; shape.batch * shape.outputs];
            DistOp::new(self.simd).forward(&self.pool, shape, p, &input, &layer.weight.value, &mut output, false);
            let mut mean = vec![0.0; shape.outputs];
            mean_shift_forward(&self.pool, self.simd, BATCH, &mut output, &mut mean);
            input = output;
            for end in [&mut low, &mut high].into_iter().filter(|end| end.len() == input.len()) {
                end.chunks_exact_mut(shape.outputs)
                    .for_each(|row| row.iter_mut().zip(&mean).for_each(|(y, m)| *y -= m));
            }
        }
    }

    /// The bounds of one layer's boxes.
    fn boxes(&mut self, name: &str, shape: Shape, low: &[f32], high: &[f32], w: &[f32], shown: bool) -> [Vec<f32>; 2] {
        let (mut to_low, mut to_high) =
            (vec![0.0; shape.batch * shape.outputs], vec![0.0; shape.batch * shape.outputs]);
        let (mut seconds, mut path) = ([f64::INFINITY; 3], Path::None);
        for _ in 0..self.rounds + 1 {
            for (k, kernels) in [Kernels::Dense, Kernels::Pruned, Kernels::Auto].into_iter().enumerate() {
                let start = Instant::now();
                path = interval_by(kernels, &self.pool, self.simd, shape, low, high, w, &mut to_low, &mut to_high);
                seconds[k] = seconds[k].min(start.elapsed().as_secs_f64());
            }
        }
        if shown {
            let row = Row { seconds };
            let [dense, pruned, chosen] = seconds.map(|seconds| self.cycles(shape, seconds));
            println!(
                "{name}    inf {:>4}x{:>4}x{:>4}   box {:>35}{dense:>6.2}        {pruned:>6.2}        {chosen:>6.2}  Largest {:<7} {:>6.1} %",
                shape.batch,
                shape.inputs,
                shape.outputs,
                "",
                format!("{path:?}"),
                100.0 * row.regret(),
            );
            self.rows.push(row);
        }
        [to_low, to_high]
    }

    fn case(&mut self, name: &str, shape: Shape, p: f64, x: &[f32], w: &[f32], keep: bool) {
        let pairs = shape.batch * shape.outputs;
        let g: Vec<f32> = noise(pairs).iter().map(|g| g * 1e-3).collect();
        let mut ops = [Kernels::Dense, Kernels::Pruned, Kernels::Auto]
            .map(|kernels| DistOp::with(self.simd, kernels, self.precision));
        let (mut y, mut dx, mut dw) = (vec![0.0; pairs], vec![0.0; x.len()], vec![0.0; w.len()]);
        let (mut both, mut forward) = ([f64::INFINITY; 3], [f64::INFINITY; 3]);
        for _ in 0..self.rounds + 1 {
            for (k, op) in ops.iter_mut().enumerate() {
                let start = Instant::now();
                op.forward(&self.pool, shape, p, x, w, &mut y, keep);
                forward[k] = forward[k].min(start.elapsed().as_secs_f64());
                if keep {
                    op.backward(&self.pool, x, w, &g, Some(&mut dx), Some(&mut dw));
                }
                both[k] = both[k].min(start.elapsed().as_secs_f64());
            }
        }
        black_box((&y, &dx, &dw));
        let [dense, pruned, auto] = [0, 1, 2].map(|k| ops[k].stats());
        let Some(pruning) = pruned.pruning else { return };
        let row = Row { seconds: both };
        let cycles = |seconds: f64| self.cycles(shape, seconds);
        println!(
            "{name} {p:>6.1} {:>4}x{:>4}x{:>4} {:>5} {:>6.3} {:>6.3} {:>6.3} {:>6.3} {:>7.4} {:>6.2} {:>6.2} {:>6.2} {:>6.2} {:>6.2}  {:<7} {:<7} {:>6.1} %",
            shape.batch,
            shape.inputs,
            shape.outputs,
            keep,
            pruning.largest,
            pruning.candidates,
            pruning.narrowed,
            pruning.vectors,
            pruning.terms,
            cycles(forward[0]),
            cycles(both[0]),
            cycles(forward[1]),
            cycles(both[1]),
            cycles(both[2]),
            format!("{:?}", dense.path),
            format!("{:?}", auto.path),
            100.0 * row.regret(),
        );
        self.rows.push(row);
    }

    fn cycles(&self, shape: Shape, seconds: f64) -> f64 {
        let vectors = (shape.batch * shape.inputs * shape.outputs) as f64 / 16.0;
        seconds * self.ghz * 1e9 * self.pool.threads() as f64 / vectors
    }

    fn summary(&self) {
        let mut regrets: Vec<f64> = self.rows.iter().map(Row::regret).collect();
        regrets.sort_by(f64::total_cmp);
        let at = |share: f64| 100.0 * regrets[((regrets.len() - 1) as f64 * share) as usize];
        let above = regrets.iter().filter(|regret| **regret > 0.1).count();
        println!(
            "{} cases, regret: median {:.1} %, 90 % below {:.1} %, worst {:.1} %; {above} above 10 %",
            regrets.len(),
            at(0.5),
            at(0.9),
            at(1.0)
        );
        let total = |k: usize| self.rows.iter().map(|row| row.seconds[k]).sum::<f64>();
        let best: f64 = self.rows.iter().map(|row| row.seconds[0].min(row.seconds[1])).sum();
        println!(
            "time of all: dense {:.3} s, pruned {:.3} s, chosen {:.3} s, best {best:.3} s",
            total(0),
            total(1),
            total(2)
        );
    }
}

impl Row {
    fn regret(&self) -> f64 {
        self.seconds[2] / self.seconds[0].min(self.seconds[1]) - 1.0
    }
}

/// From a chain of dependent steps of a 64-bit multiplication (3 cycles) and an exclusive or (1), as on every x86-64
/// core of the last decade.
fn clock_ghz() -> f64 {
    const STEPS: u64 = 2_000_000;
    let factor = black_box(3u64);
    let best = (0..10).map(|_| {
        let start = Instant::now();
        let mut x = black_box(1u64);
        for _ in 0..STEPS {
            x = x.wrapping_mul(factor) ^ (x >> 31);
        }
        black_box(x);
        start.elapsed()
    });
    let best = best.min().unwrap_or_default();
    4.0 * STEPS as f64 / best.as_nanos() as f64
}
