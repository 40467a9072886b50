//! Speed of the distance op: `cargo bench --no-default-features --bench dist -- [--threads N] [--rounds N] [--json] [FILTER]`.
//!
//! Prints, for each case, the median time of a forward and of a forward + backward pass, per triple (sample, output,
//! input) and in core cycles per 16 triples, which is what one AVX-512 instruction treats ("c/vec").

use linf::dist::{Adam, DistOp, Pool, Shape, Simd, adam_step, interval};
use std::hint::black_box;
use std::time::{Duration, Instant};

struct Options {
    threads: usize,
    rounds: usize,
    json: bool,
    filter: String,
}

fn main() {
    let mut options = Options { threads: 1, rounds: 7, json: false, filter: String::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = |name: &str| match args.next().and_then(|n| n.parse().ok()) {
            Some(n) => n,
            None => {
                eprintln!("{name} needs a number");
                std::process::exit(2);
            }
        };
        match arg.as_str() {
            "--threads" => options.threads = number("--threads"),
            "--rounds" => options.rounds = number("--rounds"),
            "--json" => options.json = true,
            "--bench" => {} // cargo passes it
            filter => options.filter = filter.to_owned(),
        }
    }
    let simd = match Simd::detect() {
        Ok(simd) => simd,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let pool = Pool::new(options.threads);
    let ghz = clock_ghz();
    if !options.json {
        println!("{} threads, {}, {ghz:.2} GHz, medians of {} rounds", pool.threads(), simd.name(), options.rounds);
        println!("{:<28} {:>9} {:>9} {:>7} {:>7}  path", "case", "fwd ms", "f+b ms", "fwd c/v", "f+b c/v");
    }
    let shapes = [
        ("512x1024x1024", Shape { batch: 512, inputs: 1024, outputs: 1024 }),
        ("256x784x512", Shape { batch: 256, inputs: 784, outputs: 512 }),
        ("256x512x512", Shape { batch: 256, inputs: 512, outputs: 512 }),
        ("256x512x10", Shape { batch: 256, inputs: 512, outputs: 10 }),
    ];
    let powers =
        [8.0, 8.5, 10.0, 12.0, 16.0, 17.3, 24.0, 32.0, 32.2, 48.0, 64.0, 64.6, 128.0, 300.0, 1000.0, f64::INFINITY];
    for (name, shape) in shapes {
        for p in powers {
            let case = format!("{name} p={p}");
            if case.contains(&options.filter) {
                distance(&options, &pool, simd, ghz, &case, shape, p);
            }
        }
        let case = format!("{name} interval");
        if case.contains(&options.filter) {
            bounds(&options, &pool, simd, ghz, &case, shape);
        }
    }
    if "adam".contains(&options.filter) {
        adam(&options, &pool, simd);
    }
}

fn distance(options: &Options, pool: &Pool, simd: Simd, ghz: f64, case: &str, shape: Shape, p: f64) {
    let (x, w, g) = operands(shape);
    let (mut y, mut dx, mut dw) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    let mut op = DistOp::new(simd);
    let (mut forward, mut both) = (Vec::new(), Vec::new());
    op.forward(pool, shape, p, &x, &w, &mut y, true);
    for _ in 0..options.rounds {
        let start = Instant::now();
        op.forward(pool, shape, p, &x, &w, &mut y, true);
        forward.push(start.elapsed());
        op.backward(pool, &x, &w, &g, Some(&mut dx), Some(&mut dw));
        both.push(start.elapsed());
    }
    black_box((&y, &dx, &dw));
    let (forward, both) = (median(forward), median(both));
    let vectors = (shape.batch * shape.inputs * shape.outputs) as f64 / 16.0;
    let cycles = |t: Duration| t.as_secs_f64() * ghz * 1e9 * pool.threads() as f64 / vectors;
    let path = format!("{:?}", op.stats().path);
    if options.json {
        println!(
            r#"{{"case":"{case}","forward_ns":{},"both_ns":{},"threads":{},"simd":"{}","path":"{path}"}}"#,
            forward.as_nanos(),
            both.as_nanos(),
            pool.threads(),
            simd.name()
        );
    } else {
        let ms = |t: Duration| t.as_secs_f64() * 1e3;
        println!(
            "{case:<28} {:>9.2} {:>9.2} {:>7.2} {:>7.2}  {path}",
            ms(forward),
            ms(both),
            cycles(forward),
            cycles(both)
        );
    }
}

fn bounds(options: &Options, pool: &Pool, simd: Simd, ghz: f64, case: &str, shape: Shape) {
    let (x, w, g) = operands(shape);
    let hi: Vec<f32> = x.iter().map(|x| x + 0.1).collect();
    let (mut out_lo, mut out_hi) = (vec![0.0; g.len()], vec![0.0; g.len()]);
    let times = (0..options.rounds).map(|_| {
        let start = Instant::now();
        interval(pool, simd, shape, &x, &hi, &w, &mut out_lo, &mut out_hi);
        start.elapsed()
    });
    let time = median(times.collect());
    let vectors = (shape.batch * shape.inputs * shape.outputs) as f64 / 16.0;
    let cycles = time.as_secs_f64() * ghz * 1e9 * pool.threads() as f64 / vectors;
    if options.json {
        println!(
            r#"{{"case":"{case}","forward_ns":{},"threads":{},"simd":"{}"}}"#,
            time.as_nanos(),
            pool.threads(),
            simd.name()
        );
    } else {
        println!("{case:<28} {:>9.2} {:>9} {cycles:>7.2}", time.as_secs_f64() * 1e3, "");
    }
}

fn adam(options: &Options, pool: &Pool, simd: Simd) {
    const PARAMETERS: usize = 1_200_000;
    let mut random = Random(1);
    let grad: Vec<f32> = (0..PARAMETERS).map(|_| random.normal()).collect();
    let (mut w, mut m, mut v) = (grad.clone(), vec![0.0; PARAMETERS], vec![0.0; PARAMETERS]);
    let constants = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 };
    let times = (1..=options.rounds as u64).map(|step| {
        let start = Instant::now();
        black_box(adam_step(pool, simd, &constants, 0.01, step, &mut w, &grad, &mut m, &mut v));
        start.elapsed()
    });
    let time = median(times.collect());
    if options.json {
        println!(r#"{{"case":"adam","forward_ns":{},"threads":{}}}"#, time.as_nanos(), pool.threads());
    } else {
        println!("{:<28} {:>9.2}", "adam, 1.2 M parameters", time.as_secs_f64() * 1e3);
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// x uniform in [0, 1], w and g normal: a fresh net.
fn operands(shape: Shape) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut random = Random(7);
    let x = (0..shape.batch * shape.inputs).map(|_| random.uniform()).collect();
    let w = (0..shape.outputs * shape.inputs).map(|_| random.normal()).collect();
    let g = (0..shape.batch * shape.outputs).map(|_| random.normal()).collect();
    (x, w, g)
}

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
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
    let best = best.min().unwrap_or(Duration::from_secs(1));
    4.0 * STEPS as f64 / best.as_nanos() as f64
}
