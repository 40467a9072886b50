//! How far the kernels are off, against f64: `cargo bench -p linf-dist --bench error -- [P …]`.
//!
//! The 512×1024×1024 operands of `benches/vs_pytorch`: fresh, and trained where it has made them. y: the greatest
//! relative error of 8 samples. dx, dw: the greatest error of 8 samples and of 8 weight rows, over the greatest gradient
//! of the same row.

mod operands;

use std::path::Path;

use linf_dist::{DistOp, Kernels, Pool, Precision, Shape, Simd, reference};
use operands::Operands;

const SHAPE: Shape = Shape { batch: 512, inputs: 1024, outputs: 1024 };
const ROWS: usize = 8;
const KERNELS: [(&str, Kernels, Precision); 5] = [
    ("dense", Kernels::Dense, Precision::Bits16),
    ("pruned, 4 bits", Kernels::Pruned, Precision::Bits4),
    ("pruned, 8 bits", Kernels::Pruned, Precision::Bits8),
    ("pruned, 16 bits", Kernels::Pruned, Precision::Bits16),
    ("pruned, 24 bits", Kernels::Pruned, Precision::Bits24),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut powers = Vec::new();
    for arg in std::env::args().skip(1).filter(|arg| arg != "--bench") {
        powers.push(arg.parse::<f64>()?);
    }
    if powers.is_empty() {
        powers = vec![8.0, 8.5, 16.0, 32.2, 64.6, 1000.0];
    }
    let (simd, pool) = (Simd::detect()?, Pool::new(0));
    println!("{}, 512x1024x1024", simd.name());
    println!("{:<8} {:>7}  {:<16} {:>8} {:>8} {:>8}", "operands", "p", "kernels", "y", "dx", "dw");
    for p in powers {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/trained/p{p}.f32"));
        let trained = Operands::read(&file, SHAPE).ok().map(|operands| ("trained", operands));
        for (name, operands) in std::iter::once(("fresh", Operands::fresh(SHAPE))).chain(trained) {
            let exact = Exact::new(p, &operands);
            for (kernels, which, precision) in KERNELS {
                if which == Kernels::Pruned && p < precision.least_p() {
                    continue;
                }
                let [y, dx, dw] = exact.errors(&pool, DistOp::with(simd, which, precision), p, &operands);
                println!("{name:<8} {p:>7}  {kernels:<16} {y:>8.1e} {dx:>8.1e} {dw:>8.1e}");
            }
        }
    }
    Ok(())
}

/// The first `ROWS` rows of each result.
struct Exact {
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

impl Exact {
    fn new(p: f64, operands: &Operands) -> Exact {
        let Operands { shape, x, w, g } = operands;
        let Shape { inputs, outputs, .. } = *shape;
        let few = Shape { batch: ROWS, ..*shape };
        let (x_rows, g_rows) = (&x[..ROWS * inputs], &g[..ROWS * outputs]);
        let y = reference::forward(few, p, x_rows, w);
        let (dx, _) = reference::backward(few, p, x_rows, w, g_rows);
        let few = Shape { outputs: ROWS, ..*shape };
        let g_columns: Vec<f32> = g.chunks(outputs).flat_map(|row| &row[..ROWS]).copied().collect();
        let (_, dw) = reference::backward(few, p, x, &w[..ROWS * inputs], &g_columns);
        Exact { y, dx, dw }
    }

    fn errors(&self, pool: &Pool, mut op: DistOp, p: f64, operands: &Operands) -> [f64; 3] {
        let Operands { shape, x, w, g } = operands;
        let (mut y, mut dx, mut dw) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        op.forward(pool, *shape, p, x, w, &mut y, true);
        op.backward(pool, x, w, g, Some(&mut dx), Some(&mut dw));
        let of_rows = |got: &[f32], exact: &[f64]| worst(got, exact, shape.inputs);
        [worst(&y, &self.y, 1), of_rows(&dx, &self.dx), of_rows(&dw, &self.dw)]
    }
}

/// The greatest error over the greatest magnitude of its row.
fn worst(got: &[f32], exact: &[f64], row: usize) -> f64 {
    let of_row = |(got, exact): (&[f32], &[f64])| {
        let scale = exact.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let off = got.iter().zip(exact).fold(0.0, |m: f64, (got, exact)| m.max((f64::from(*got) - exact).abs()));
        off / scale
    };
    got.chunks(row).zip(exact.chunks(row)).map(of_row).fold(0.0, f64::max)
}
