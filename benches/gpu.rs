//! The CUDA kernels on a device, layer by layer, beside what the device can do at most.
//!
//!     cargo bench -p linf-cuda --bench gpu -- [--device N] [--shapes 512x5120x5120,…] [--p 8,9.5,47,300,inf] [--rounds 9]
//!                                             [--once] [--json FILE]
//!
//! Fresh operands: x uniform in [0, 1], w and g normal. Times are medians of rounds, each of as many launches as take
//! 20 ms; a pair is one |x − w|. The limit is the time that the operations of the kernel's source need at the rates that
//! were measured on the same device just before (docs/gpu.md counts them); `--once` runs each kernel once, for profilers.

#![allow(clippy::unwrap_used)] // A bench has nobody to report to.

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Instant;

use linf_cuda::{
    AdamStep, Array, Cache, Decay, Device, DistanceOp, Form, FormOp, Gpu, Mask, Rates, Shape, SortProfile, bounds,
    mean_shift, product, sort_distances,
};
use linf_dist::{Adam, MASK_SAMPLES, Neuron};

struct Options {
    device: usize,
    shapes: Vec<Shape>,
    powers: Vec<f64>,
    rounds: usize,
    once: bool,
    json: Option<String>,
}

fn main() {
    let options = options();
    let (gpu, found) = Device::look(options.device, Cache::usual()).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1);
    });
    println!("{}, {}, {} multiprocessors", found.name, found.architecture, found.multiprocessors);
    let rates = Rates::measure(&gpu).unwrap();
    println!(
        "measured: {:.1} T fma/s, {:.1} T max/s, {:.1} T |a-b| with max/s, {:.2} T exp2/s, {:.0} GB/s copied",
        rates.fma / 1e12,
        rates.max / 1e12,
        rates.difference_max / 1e12,
        rates.exp2 / 1e12,
        rates.copy / 1e9
    );
    println!(
        "{:<16} {:>6} {:<10} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "shape", "p", "what", "ms", "min", "max", "T pair/s", "limit"
    );
    let mut bench = Bench { gpu, rates, options, json: String::new() };
    for shape in bench.options.shapes.clone() {
        let operands = Operands::new(shape);
        for p in bench.options.powers.clone() {
            bench.layer(shape, p, &operands);
        }
        bench.rest(shape, &operands);
    }
    if let Some(path) = &bench.options.json {
        std::fs::write(path, &bench.json).unwrap();
    }
}

struct Bench {
    gpu: Rc<dyn Gpu>,
    rates: Rates,
    options: Options,
    json: String,
}

/// What a layer works on.
struct Operands {
    x: Vec<f32>,
    w: Vec<f32>,
    g: Vec<f32>,
}

impl Operands {
    fn new(shape: Shape) -> Operands {
        let Shape { batch, inputs, outputs } = shape;
        Operands { x: uniform(1, batch * inputs), w: normal(2, outputs * inputs), g: normal(3, batch * outputs) }
    }
}

impl Bench {
    /// One layer at one p.
    fn layer(&mut self, shape: Shape, p: f64, operands: &Operands) {
        let Shape { batch, inputs, outputs } = shape;
        let gpu = Rc::clone(&self.gpu);
        let on = |values: &[f32]| Array::of(&gpu, values).unwrap();
        let (x, w, g) = (on(&operands.x), on(&operands.w), on(&operands.g));
        let zeros = |len| Array::<f32>::zeros(&gpu, len).unwrap();
        let (mut y, mut dx, mut dw) = (zeros(batch * outputs), zeros(batch * inputs), zeros(outputs * inputs));
        let mut op = DistanceOp::new(&gpu).unwrap();
        let pairs = (batch * inputs * outputs) as f64;
        let (forward, backward) = self.limits(p, shape);
        self.time(shape, p, "forward", pairs, forward, || op.forward(shape, p, &x, &w, &mut y, true).unwrap());
        let mut to = Some(&mut dx);
        self.time(shape, p, "backward", pairs, backward, || {
            op.backward(&x, &w, &g, to.as_deref_mut(), &mut dw).unwrap();
        });
        self.time(shape, p, "dw alone", pairs, backward, || op.backward(&x, &w, &g, None, &mut dw).unwrap());
        // SortNet's training: a dropout mask of 70 % of the channels on both sides for every 32 samples.
        let keep = |channels: usize, n: usize| {
            (0..channels as u32).filter(|c| (*c as usize * 7 + n) % 10 < 7 || channels < 10).collect::<Vec<u32>>()
        };
        let mask = |n| Mask { inputs: Some(keep(inputs, n)), outputs: Some(keep(outputs, n + 3)) };
        let masks: Vec<Mask> = (0..batch.div_ceil(MASK_SAMPLES)).map(mask).collect();
        let kept: usize =
            masks.iter().map(|m| m.inputs.as_ref().unwrap().len() * m.outputs.as_ref().unwrap().len()).sum();
        let share = (kept * MASK_SAMPLES) as f64 / pairs;
        let mut op = FormOp::new(&gpu, Form::dense(inputs, outputs).unwrap()).unwrap();
        let neuron = Neuron::Distance(p);
        self.time(shape, p, "dropout", share * pairs, share * forward, || {
            op.forward(batch, neuron, &masks, &x, &w, &mut y).unwrap();
        });
        self.time(shape, p, "its slopes", share * pairs, share * backward, || {
            op.backward(&x, &w, &g, Some(&mut dx), &mut dw).unwrap();
        });
        if p.is_infinite() {
            let profile = SortProfile::geometric(0.7, inputs);
            self.time(shape, p, "sort", pairs, forward, || {
                sort_distances(&*gpu, &profile, shape, &x, &w, &mut y).unwrap();
            });
            let mut op = DistanceOp::new(&gpu).unwrap();
            self.time(shape, p, "evaluation", pairs, forward, || op.forward(shape, p, &x, &w, &mut y, false).unwrap());
            let (mut low, mut high) = (zeros(batch * outputs), zeros(batch * outputs));
            // Four maxima.
            self.time(shape, p, "bounds", pairs, 4.0 * pairs / self.rates.max, || {
                bounds(&*gpu, shape, &x, &x, &w, &mut low, &mut high).unwrap();
            });
        }
    }

    /// Seconds that the operations of the kernels need at least, forward and backward.
    fn limits(&self, p: f64, shape: Shape) -> (f64, f64) {
        let pairs = (shape.batch * shape.inputs * shape.outputs) as f64;
        // Backward: index and gradient read twice, dx and dw written.
        let scattered = 16.0 * (shape.batch * shape.outputs) as f64
            + 4.0 * (shape.batch * shape.inputs + shape.outputs * shape.inputs) as f64;
        if p.is_infinite() {
            (pairs / self.rates.difference_max, scattered / self.rates.copy)
        } else if p == 8.0 {
            (pairs * 4.0 / self.rates.fma, pairs * 8.0 / self.rates.fma)
        } else {
            // A logarithm and a power of two, if every term counts.
            (pairs * 2.0 / self.rates.exp2, pairs * 2.0 / self.rates.exp2)
        }
    }

    /// What goes over parameters and outputs.
    fn rest(&mut self, shape: Shape, operands: &Operands) {
        let Shape { batch, inputs, outputs } = shape;
        let gpu = Rc::clone(&self.gpu);
        let on = |values: &[f32]| Array::of(&gpu, values).unwrap();
        let (count, squares) = (outputs * inputs, operands.w.iter().map(|w| w * w).collect::<Vec<_>>());
        let (mut w, g, mut m, mut v) = (on(&operands.w), on(&operands.w), on(&operands.w), on(&squares));
        let mut spoilt = Array::zeros(&gpu, 1).unwrap();
        let step = AdamStep { adam: Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 }, lr: 0.0, step: 3 };
        for (p, what, decay, bytes) in [
            (f64::NAN, "adam", Decay::All { kept: 1.0 }, 28.0),
            (8.0, "adam rows", Decay::Rows { inputs, p: 8.0, amount: 1e-9 }, 36.0),
            (f64::INFINITY, "adam rows", Decay::Rows { inputs, p: f64::INFINITY, amount: 1e-9 }, 32.0),
        ] {
            let limit = bytes * count as f64 / self.rates.copy;
            self.time(shape, p, what, count as f64, limit, || {
                step.apply(&*gpu, decay, &mut w, &g, &mut m, &mut v, (&mut spoilt, 0)).unwrap();
            });
        }
        let mut y = on(&operands.g);
        // The first layer of a head: one multiply-add a pair.
        let (x, mut parts, pairs) =
            (on(&operands.x), Array::zeros(&gpu, 0).unwrap(), (batch * inputs * outputs) as f64);
        self.time(shape, f64::NAN, "product", pairs, pairs / self.rates.fma, || {
            product(&*gpu, shape, 1.0, &x, &w, None, &mut parts, &mut y).unwrap();
        });
        let limit = 12.0 * (batch * outputs) as f64 / self.rates.copy;
        self.time(shape, f64::NAN, "mean shift", (batch * outputs) as f64, limit, || {
            mean_shift(&*gpu, batch, outputs, &mut y, None, None).unwrap();
        });
    }

    fn time(&mut self, shape: Shape, p: f64, what: &str, pairs: f64, limit: f64, mut work: impl FnMut()) {
        work();
        self.gpu.wait().unwrap();
        if self.options.once {
            return;
        }
        let mut round = |launches: usize| {
            let started = Instant::now();
            (0..launches).for_each(|_| work());
            self.gpu.wait().unwrap();
            started.elapsed().as_secs_f64() / launches as f64
        };
        let launches = (0.02 / round(1)).clamp(1.0, 500.0) as usize;
        let mut times: Vec<f64> = (0..self.options.rounds).map(|_| round(launches)).collect();
        times.sort_by(f64::total_cmp);
        let (median, least, most) = (times[times.len() / 2], times[0], times[times.len() - 1]);
        let name = format!("{}x{}x{}", shape.batch, shape.inputs, shape.outputs);
        let power = if p.is_nan() { String::new() } else { p.to_string() };
        println!(
            "{name:<16} {power:>6} {what:<10} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>5.0}%",
            median * 1e3,
            least * 1e3,
            most * 1e3,
            pairs / median / 1e12,
            100.0 * limit / median
        );
        let _ = writeln!(
            self.json,
            "{{\"shape\": \"{name}\", \"p\": \"{power}\", \"what\": \"{what}\", \"ms\": {}, \"limit_ms\": {}}}",
            median * 1e3,
            limit * 1e3
        );
    }
}

fn options() -> Options {
    let mut options = Options {
        device: 0,
        shapes: shapes("512x5120x5120,512x3072x5120,512x5120x10,512x1024x1024"),
        powers: powers("8,9.5,47,300,inf"),
        rounds: 9,
        once: false,
        json: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--device" => options.device = value().parse().unwrap(),
            "--shapes" => options.shapes = shapes(&value()),
            "--p" => options.powers = powers(&value()),
            "--rounds" => options.rounds = value().parse().unwrap(),
            "--json" => options.json = Some(value()),
            "--once" => options.once = true,
            "--bench" => {}
            _ => panic!("{word} is no option"),
        }
    }
    options
}

fn shapes(text: &str) -> Vec<Shape> {
    let shape = |text: &str| {
        let sizes: Vec<usize> = text.split('x').map(|size| size.parse().unwrap()).collect();
        Shape { batch: sizes[0], inputs: sizes[1], outputs: sizes[2] }
    };
    text.split(',').map(shape).collect()
}

fn powers(text: &str) -> Vec<f64> {
    text.split(',').map(|p| p.parse().unwrap()).collect()
}

fn uniform(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
        })
        .collect()
}

/// Box and Muller.
fn normal(seed: u64, count: usize) -> Vec<f32> {
    let u = uniform(seed, 2 * count);
    u.chunks_exact(2).map(|u| (-2.0 * (1.0 - u[0]).ln()).sqrt() * (std::f32::consts::TAU * u[1]).cos()).collect()
}
