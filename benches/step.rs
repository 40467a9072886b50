//! One training step of 784-512×4-10, B = 256 (`configs/mnist-cpu.toml`), and the share of it that is not the distance op:
//! `cargo bench --no-default-features --bench step -- [--threads N] [--rounds N] [P …]`.
//!
//! Synthetic digits, 60 steps at each p before it is measured. A step is batch building and `Engine::step`; the op is
//! timed alone on the same net and batch, and beside it the same net takes the same steps on one thread. Each takes four turns
//! in a row, of which the first is not counted: it finds the caches full of what the others had there, as training never does.
//! Medians over all turns; shares and ratios come from rounds taken alternately. "cores" is the ratio that the processor
//! itself gives then: multiply-adds in registers on all threads over those of one, as clocks differ between cores, and fall
//! where more of them work.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use linf::dataset::{self, Augmentation, DatasetId, Normalizer, Split};
use linf::dist::{DistOp, Pool, Shape, Simd, mean_shift_forward, multiply_adds};
use linf::experiment::{Label, PNorm, parse};
use linf::net::{Batch, CpuEngine, Engine, LayerState, NetShape, NetState, Objective, StepPoint};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BATCH: usize = 256;
const WARM: usize = 60;
/// In a row.
const TURNS: usize = 4;
const ID: DatasetId = DatasetId::Synthetic;

fn main() -> Result<()> {
    let (mut threads, mut rounds, mut powers) = (0, 15, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--threads" => threads = args.next().ok_or("--threads needs a number")?.parse()?,
            "--rounds" => rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
            "--bench" => {} // cargo passes it
            p => powers.push(p.parse()?),
        }
    }
    if powers.is_empty() {
        powers = vec![8.0, 16.0, 32.0, 48.0, 64.0, 300.0, f64::INFINITY];
    }
    let (pool, one_thread, simd) = (Pool::new(threads), Pool::new(1), Simd::detect()?);
    let config = parse(
        "data.dataset = 'synthetic'\nmodel = { depth = 5, width = 512 }\n\
         train = { epochs = 1, batch_size = 256, lr = 0.045 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
         loss = { lambda = 0.05, eps_train = 0.4 }\neval.eps = 0.3",
    )?;
    let data = dataset::load(ID, &dataset::default_root())?.train;
    let net = NetState::init(&NetShape::new(&config), 0, None);
    let mut engine = CpuEngine::new(net.clone(), config.train.adam, threads, simd);
    let mut lonely = CpuEngine::new(net, config.train.adam, 1, simd);
    println!("{} threads, {}, medians of {rounds} rounds", pool.threads(), simd.name());
    println!(
        "{:>7} {:>9} {:>9} {:>9} {:>8} {:>13} {:>7} {:>7}",
        "p", "step ms", "batch ms", "op ms", "outside", "one thread ms", "ratio", "cores"
    );
    let mut images = vec![0.0; BATCH * ID.pixels()];
    let mut labels = Vec::new();
    for p in powers {
        let p = PNorm::new(p).ok_or("p must be at least 1")?;
        let point = StepPoint {
            p,
            lr: 0.02,
            scalar_lr: 0.004,
            objective: Objective::Mixture { lambda: 0.05 },
            eps: config.loss.eps_train.to_f64() / ID.std(),
        };
        let (mut whole, mut building, mut alone, mut one) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut cores = Vec::new();
        let mut alone_of = DistanceOp::new(simd, engine.state()?);
        for step in 0..WARM {
            fill(&data, step, &mut images, &mut labels);
            engine.step(Batch { images: &images, labels: &labels }, &point)?;
            lonely.step(Batch { images: &images, labels: &labels }, &point)?;
        }
        for round in 0..rounds {
            let first = WARM + round * TURNS;
            whole.extend(turns(|turn| {
                let start = Instant::now();
                fill(&data, first + turn, &mut images, &mut labels);
                building.push(start.elapsed());
                engine.step(Batch { images: &images, labels: &labels }, &point)?;
                Ok(start.elapsed())
            })?);
            alone.extend(turns(|_| Ok(alone_of.time(&pool, simd, engine.state()?, p.get(), &images)))?);
            one.extend(turns(|turn| {
                let start = Instant::now();
                fill(&data, first + turn, &mut images, &mut labels);
                lonely.step(Batch { images: &images, labels: &labels }, &point)?;
                Ok(start.elapsed())
            })?);
            cores.push(rate(&pool, simd) / rate(&one_thread, simd));
        }
        // Of neighbouring steps: the machine may be faster a second later.
        let ratios: Vec<f64> = one.iter().zip(&whole).map(|(one, all)| one.as_secs_f64() / all.as_secs_f64()).collect();
        let (whole, building, alone, one) = (median(whole), median(building), median(alone), median(one));
        println!(
            "{p:>7} {:>9.2} {:>9.2} {:>9.2} {:>7.1}% {:>13.2} {:>7.2} {:>7.2}",
            ms(whole),
            ms(building),
            ms(alone),
            100.0 * (1.0 - alone.as_secs_f64() / whole.as_secs_f64()),
            ms(one),
            middle(ratios),
            middle(cores)
        );
    }
    Ok(())
}

/// The times of turns in a row, but for the first.
fn turns(mut turn: impl FnMut(usize) -> Result<Duration>) -> Result<Vec<Duration>> {
    let times = (0..TURNS).map(&mut turn).collect::<Result<Vec<_>>>()?;
    Ok(times[1..].to_vec())
}

fn fill(data: &Split, step: usize, images: &mut [f32], labels: &mut Vec<Label>) {
    let augment = Augmentation { pad: 1, ..Augmentation::default() };
    let start = step * BATCH % (data.len() - BATCH);
    let mut indices: Vec<u32> = (start..start + BATCH).map(|index| index as u32).collect();
    indices.sort_by_key(|&index| data.labels[index as usize]);
    dataset::fill_batch(data, ID, &Normalizer::new(ID), &indices, Some((&augment, 1, 0)), images, labels);
}

/// The forward and backward passes of all layers, and nothing else.
struct DistanceOp {
    layers: Vec<Layer>,
}

/// What one layer's passes write, kept so that no pass pays for fresh memory.
struct Layer {
    op: DistOp,
    shape: Shape,
    y: Vec<f32>,
    g: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

impl DistanceOp {
    fn new(simd: Simd, net: &NetState) -> DistanceOp {
        let layer = |layer: &LayerState| {
            let shape = Shape { batch: BATCH, inputs: layer.shape.inputs(), outputs: layer.shape.outputs() };
            Layer {
                op: DistOp::new(simd),
                shape,
                y: vec![1.0; BATCH * shape.outputs],
                g: (0..BATCH * shape.outputs).map(|k| (k % 13) as f32 - 6.0).collect(),
                dx: vec![1.0; BATCH * shape.inputs],
                dw: vec![1.0; shape.outputs * shape.inputs],
            }
        };
        DistanceOp { layers: net.layers.iter().map(layer).collect() }
    }

    fn time(&mut self, pool: &Pool, simd: Simd, net: &NetState, p: f64, images: &[f32]) -> Duration {
        let mut time = Duration::ZERO;
        for (index, of_net) in net.layers.iter().enumerate() {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { op, shape, y, .. } = &mut rest[0];
            let x = before.last().map_or(images, |layer| &layer.y);
            let start = Instant::now();
            op.forward(pool, *shape, p, x, &of_net.weight.value, y, true);
            time += start.elapsed();
            mean_shift_forward(pool, simd, BATCH, y, &mut vec![0.0; shape.outputs]);
        }
        for (index, of_net) in net.layers.iter().enumerate().rev() {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { op, g, dx, dw, .. } = &mut rest[0];
            let x = before.last().map_or(images, |layer| &layer.y);
            let dx_wanted = (index > 0).then_some(dx.as_mut_slice());
            let start = Instant::now();
            op.backward(pool, x, &of_net.weight.value, g, dx_wanted, Some(&mut *dw));
            time += start.elapsed();
            black_box((&dx, &dw));
        }
        time
    }
}

/// Multiply-adds a second, of all threads together.
fn rate(pool: &Pool, simd: Simd) -> f64 {
    const TASKS: usize = 24;
    const PASSES: u64 = 20_000;
    let start = Instant::now();
    pool.run(TASKS, |_| {
        multiply_adds(simd, PASSES);
    });
    (TASKS as u64 * PASSES) as f64 / start.elapsed().as_secs_f64()
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
