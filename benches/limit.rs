//! How near dense kernels come to what the processor's arithmetic can do: `cargo bench -p linf-dist --bench limit --
//! [--rounds N]`. One thread.
//!
//! A kernel's limit is the number of its vector operations at the rate of independent multiply-adds, which is taken right
//! before and after: clocks and neighbours on a machine change from minute to minute, shares do not. Layers of the CPU
//! recipe and of the comparison with PyTorch; medians over the rounds.

mod operands;

use std::time::Instant;

use linf_dist::{CacheLines, DistOp, Kernels, Pool, Precision, Shape, Simd, multiply_adds};
use operands::Operands;

#[global_allocator]
static ALLOCATOR: CacheLines = CacheLines;

const SHAPES: [Shape; 3] = [
    Shape { batch: 512, inputs: 1024, outputs: 1024 },
    Shape { batch: 256, inputs: 784, outputs: 512 },
    Shape { batch: 256, inputs: 512, outputs: 512 },
];
/// p, and vector operations of a term and of a slope with both its sums, in the source; of the latter one more where they share
/// a product instead of fusing it.
const CASES: [(f64, f64, Option<f64>); 2] = [(8.0, 4.0, Some(7.0)), (f64::INFINITY, 2.0, None)];
/// Passes over the chains for one rate: about a millisecond.
const PASSES: u64 = 200_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rounds = words.iter().position(|word| word == "--rounds").and_then(|at| words.get(at + 1)?.parse().ok());
    let rounds: usize = rounds.unwrap_or(15);
    println!(
        "{:<9} {:<14} {:>4} {:<9} {:>9} {:>14} {:>9}",
        "", "shape", "p", "direction", "ms", "operations/ns", "of limit"
    );
    for simd in Simd::available().filter(|simd| *simd != Simd::Portable) {
        for shape in SHAPES {
            for (p, forward, backward) in CASES {
                let shared = f64::from(u8::from(simd != Simd::Avx512));
                measure(simd, shape, p, (forward, backward.map(|slope| slope + shared)), rounds);
            }
        }
    }
}

fn measure(simd: Simd, shape: Shape, p: f64, (of_term, of_slope): (f64, Option<f64>), rounds: usize) {
    let Operands { x, w, g, .. } = Operands::fresh(shape);
    let Shape { batch, inputs, outputs } = shape;
    let pool = Pool::new(1);
    let mut op = DistOp::with(simd, Kernels::Dense, Precision::default());
    let mut y = vec![0.0; batch * outputs];
    let (mut dx, mut dw) = (x.clone(), w.clone());
    let vectors = (batch * outputs * inputs.div_ceil(multiply_adds(simd, 1).1)) as f64;
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    let mut before = rate(simd);
    for _ in 0..rounds {
        let mut take = |seconds: f64, operations: f64, to: &mut Vec<[f64; 3]>| {
            let after = rate(simd);
            let reached = vectors * operations / seconds;
            to.push([seconds * 1e3, reached * 1e-9, reached / (0.5 * (before + after))]);
            before = after;
        };
        // Values alone: at p = ∞ a pass that keeps the index does more.
        let keep = p.is_finite();
        let started = Instant::now();
        op.forward(&pool, shape, p, &x, &w, &mut y, keep);
        take(started.elapsed().as_secs_f64(), of_term, &mut forward);
        if let Some(of_slope) = of_slope {
            let started = Instant::now();
            op.backward(&pool, &x, &w, &g, Some(&mut dx), Some(&mut dw));
            take(started.elapsed().as_secs_f64(), of_slope, &mut backward);
        }
    }
    for (direction, mut figures) in [("forward", forward), ("backward", backward)] {
        if figures.is_empty() {
            continue;
        }
        let mut median = |which: usize| {
            figures.sort_by(|a, b| a[which].total_cmp(&b[which]));
            figures[figures.len() / 2][which]
        };
        let (ms, reached, share) = (median(0), median(1), 100.0 * median(2));
        let (size, p) = (format!("{batch}x{inputs}x{outputs}"), if p.is_finite() { p.to_string() } else { "∞".into() });
        println!("{:<9} {size:<14} {p:>4} {direction:<9} {ms:>9.2} {reached:>14.2} {share:>7.0} %", simd.name());
    }
}

/// Vector operations a second.
fn rate(simd: Simd) -> f64 {
    let started = Instant::now();
    let (operations, _) = multiply_adds(simd, PASSES);
    operations as f64 / started.elapsed().as_secs_f64()
}
