//! Speed of the distance op: `cargo bench -p linf-dist --bench dist -- [FILTER]`, for example `-- p=8`.
//!
//! Items are triples (sample, output, input). Threads: `LINF_BENCH_THREADS`, 1 if unset. Trained tensors are there once
//! `benches/vs_pytorch` has made them. The table in `docs/benchmarks.md` is of the `fastest` column.

mod operands;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use divan::Bencher;
use divan::counter::ItemsCount;
use linf_dist::{Adam, CacheLines, DistOp, Pool, Shape, Simd, adam_step, decay_rows, interval, mean_shift_forward};
use operands::Operands;

#[global_allocator]
static ALLOCATOR: CacheLines = CacheLines;

const BIG: Shape = Shape { batch: 512, inputs: 1024, outputs: 1024 };
const SHAPES: [Shape; 4] = [
    BIG,
    Shape { batch: 256, inputs: 784, outputs: 512 },
    Shape { batch: 256, inputs: 512, outputs: 512 },
    Shape { batch: 256, inputs: 512, outputs: 10 },
];
const POWERS: [f64; 15] =
    [8.0, 8.5, 10.0, 12.0, 16.0, 17.3, 24.0, 32.0, 32.2, 48.0, 64.0, 64.6, 300.0, 1000.0, f64::INFINITY];

fn main() {
    divan::main();
}

#[derive(Clone, Copy, PartialEq)]
struct Case {
    p: f64,
    shape: Shape,
    simd: Simd,
    trained: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { batch, inputs, outputs } = self.shape;
        let data = if self.trained { "trained" } else { "fresh" };
        write!(f, "{batch}x{inputs}x{outputs} p={} {} {data}", self.p, self.simd.name())
    }
}

impl Case {
    fn operands(&self) -> Operands {
        if self.trained {
            match Operands::read(&trained_file(self.p), self.shape) {
                Ok(operands) => return operands,
                Err(error) => eprintln!("{error}: fresh tensors instead"),
            }
        }
        Operands::fresh(self.shape)
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for p in POWERS {
            for simd in Simd::available() {
                cases.push(Case { p, shape, simd, trained: false });
                if shape == BIG && trained_file(p).exists() {
                    cases.push(Case { p, shape, simd, trained: true });
                }
            }
        }
    }
    cases
}

/// Where `benches/vs_pytorch` leaves the tensors of the net it trained at p.
fn trained_file(p: f64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/trained/p{p}.f32"))
}

fn pool() -> Pool {
    Pool::new(std::env::var("LINF_BENCH_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(1))
}

fn triples(shape: Shape) -> ItemsCount {
    ItemsCount::new(shape.batch * shape.inputs * shape.outputs)
}

#[divan::bench(args = cases(), sample_count = 7, sample_size = 1)]
fn evaluate(bencher: Bencher, case: Case) {
    forward_pass(bencher, case, false);
}

#[divan::bench(args = cases(), sample_count = 7, sample_size = 1)]
fn forward(bencher: Bencher, case: Case) {
    forward_pass(bencher, case, true);
}

fn forward_pass(bencher: Bencher, case: Case, keep: bool) {
    let (pool, operands) = (pool(), case.operands());
    let Operands { shape, x, w, g } = &operands;
    let mut y = vec![0.0; g.len()];
    let mut op = DistOp::new(case.simd);
    bencher.counter(triples(*shape)).bench_local(|| op.forward(&pool, *shape, case.p, x, w, &mut y, keep));
}

#[divan::bench(args = cases(), sample_count = 7, sample_size = 1)]
fn backward(bencher: Bencher, case: Case) {
    let (pool, operands) = (pool(), case.operands());
    let Operands { shape, x, w, g } = &operands;
    let (mut y, mut dx, mut dw) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    let op = RefCell::new(DistOp::new(case.simd));
    bencher
        .counter(triples(*shape))
        .with_inputs(|| op.borrow_mut().forward(&pool, *shape, case.p, x, w, &mut y, true))
        .bench_local_values(|()| op.borrow_mut().backward(&pool, x, w, g, Some(&mut dx), Some(&mut dw)));
}

#[divan::bench(args = SHAPES.map(|shape| Case { p: f64::INFINITY, shape, simd: Simd::best(), trained: false }), sample_count = 7, sample_size = 1)]
fn bounds(bencher: Bencher, case: Case) {
    let (pool, Operands { shape, x, w, g }) = (pool(), case.operands());
    let hi: Vec<f32> = x.iter().map(|x| x + 0.1).collect();
    let (mut out_lo, mut out_hi) = (vec![0.0; g.len()], vec![0.0; g.len()]);
    bencher
        .counter(triples(shape))
        .bench_local(|| interval(&pool, case.simd, shape, &x, &hi, &w, &mut out_lo, &mut out_hi));
}

/// The parameters of 784-512×4-10.
const PARAMETERS: usize = 784 * 512 + 3 * 512 * 512;

#[divan::bench(args = Simd::available().map(Simd::name).collect::<Vec<_>>(), sample_count = 20, sample_size = 1)]
fn adam(bencher: Bencher, simd: &str) {
    let (pool, Some(simd)) = (pool(), Simd::available().find(|known| known.name() == simd)) else { return };
    let grad: Vec<f32> = (0..PARAMETERS).map(|k| (k % 97) as f32 - 48.0).collect();
    let (mut w, mut m, mut v) = (grad.clone(), vec![0.0; PARAMETERS], vec![0.0; PARAMETERS]);
    let constants = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 };
    let mut step = 0;
    bencher.counter(ItemsCount::new(PARAMETERS)).bench_local(|| {
        step += 1;
        adam_step(&pool, simd, &constants, 0.01, step, &mut w, &grad, &mut m, &mut v)
    });
}

/// Of the outputs of a hidden layer, [256, 512].
#[divan::bench(args = Simd::available().map(Simd::name).collect::<Vec<_>>(), sample_count = 100, sample_size = 10)]
fn mean_shift(bencher: Bencher, simd: &str) {
    let (pool, Some(simd)) = (pool(), Simd::available().find(|known| known.name() == simd)) else { return };
    let (mut y, mut means): (Vec<f32>, _) = ((0..256 * 512).map(|k| (k % 97) as f32).collect(), vec![0.0; 512]);
    bencher.counter(ItemsCount::new(y.len())).bench_local(|| mean_shift_forward(&pool, simd, 256, &mut y, &mut means));
}

#[divan::bench(args = [2.0, 8.5, f64::INFINITY], sample_count = 20, sample_size = 1)]
fn decay(bencher: Bencher, p: f64) {
    let pool = pool();
    let mut w: Vec<f32> = (0..PARAMETERS).map(|k| (k % 97) as f32 - 48.0).collect();
    bencher.counter(ItemsCount::new(PARAMETERS)).bench_local(|| decay_rows(&pool, Simd::best(), p, 1e-4, 512, &mut w));
}
