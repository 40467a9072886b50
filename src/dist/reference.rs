//! The op in plain f64 loops: what the kernels are tested against, and the definition for readers.
//!
//! d(b,o) = ‖x_b − w_o‖_p, after Zhang et al., "Boosting the certified robustness of L-infinity distance nets" (ICLR
//! 2022). x is [B, I], w is [O, I], all row-major.

use super::Shape;

/// Distances y [B, O]. At p = ∞ the differences are rounded to f32 first, as the program's kernels do, and the result
/// is theirs to the bit; at finite p nothing is rounded.
pub fn forward(shape: Shape, p: f64, x: &[f32], w: &[f32]) -> Vec<f64> {
    let mut y = Vec::with_capacity(shape.batch * shape.outputs);
    for_pairs(shape, x, w, |x, w| y.push(norm(p, x, w).0));
    y
}

/// First index that attains the maximum |x − w| of each pair, [B, O].
pub fn argmax(shape: Shape, x: &[f32], w: &[f32]) -> Vec<usize> {
    let mut index = Vec::with_capacity(shape.batch * shape.outputs);
    for_pairs(shape, x, w, |x, w| index.push(first_maximum(x, w)));
    index
}

/// Gradients (dx [B, I], dw [O, I]) for the upstream gradient g [B, O].
///
/// ∂d/∂x_i = (|x_i − w_i| / d)^(p−1) · sgn(x_i − w_i), ∂d/∂w_i = −∂d/∂x_i. At p = ∞ the first maximal coordinate alone
/// has a gradient, ±1 (+1 for a difference of 0). At finite p a difference of 0 has none.
pub fn backward(shape: Shape, p: f64, x: &[f32], w: &[f32], g: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
    for b in 0..shape.batch {
        let xb = &x[b * shape.inputs..][..shape.inputs];
        let dxb = &mut dx[b * shape.inputs..][..shape.inputs];
        for o in 0..shape.outputs {
            let wo = &w[o * shape.inputs..][..shape.inputs];
            let dwo = &mut dw[o * shape.inputs..][..shape.inputs];
            let upstream = f64::from(g[b * shape.outputs + o]);
            if p.is_infinite() {
                let i = first_maximum(xb, wo);
                let slope = if xb[i] - wo[i] < 0.0 { -upstream } else { upstream };
                dxb[i] += slope;
                dwo[i] -= slope;
                continue;
            }
            // d = m·S^(1/p): dividing by m first keeps every power within range.
            let (_, m, sum) = norm(p, xb, wo);
            for i in 0..shape.inputs {
                let d = f64::from(xb[i]) - f64::from(wo[i]);
                if d != 0.0 {
                    let slope = upstream * (d.abs() / m).powf(p - 1.0) * sum.powf(-(p - 1.0) / p) * d.signum();
                    dxb[i] += slope;
                    dwo[i] -= slope;
                }
            }
        }
    }
    (dx, dw)
}

/// Bounds (lowest, highest), each [B, O], of the distance at p = ∞ over all x with lo ≤ x ≤ hi, for the f32 program
/// itself: rounding is monotone, so the rounded differences at the ends enclose all others.
pub fn interval(shape: Shape, lo: &[f32], hi: &[f32], w: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut lowest, mut highest) = (Vec::new(), Vec::new());
    for b in 0..shape.batch {
        for o in 0..shape.outputs {
            let (mut low, mut high) = (0f32, 0f32);
            for i in 0..shape.inputs {
                let weight = w[o * shape.inputs + i];
                let (from, to) = (lo[b * shape.inputs + i] - weight, hi[b * shape.inputs + i] - weight);
                low = low.max(from).max(-to);
                high = high.max(from.abs()).max(to.abs());
            }
            lowest.push(low);
            highest.push(high);
        }
    }
    (lowest, highest)
}

/// (d, m, S) with d = m·S^(1/p), m the largest difference and S = Σ (|x − w| / m)^p.
fn norm(p: f64, x: &[f32], w: &[f32]) -> (f64, f64, f64) {
    if p.is_infinite() {
        let m = x.iter().zip(w).fold(0f32, |m, (x, w)| m.max((x - w).abs()));
        return (f64::from(m), f64::from(m), 1.0);
    }
    let differences = || x.iter().zip(w).map(|(&x, &w)| (f64::from(x) - f64::from(w)).abs());
    let m = differences().fold(0.0, f64::max);
    if m == 0.0 {
        return (0.0, 0.0, 1.0);
    }
    let sum: f64 = differences().map(|d| (d / m).powf(p)).sum();
    (m * sum.powf(1.0 / p), m, sum)
}

fn first_maximum(x: &[f32], w: &[f32]) -> usize {
    let (mut best, mut index) = (0f32, 0);
    for (i, (x, w)) in x.iter().zip(w).enumerate() {
        if (x - w).abs() > best {
            (best, index) = ((x - w).abs(), i);
        }
    }
    index
}

fn for_pairs(shape: Shape, x: &[f32], w: &[f32], mut f: impl FnMut(&[f32], &[f32])) {
    for b in 0..shape.batch {
        for o in 0..shape.outputs {
            f(&x[b * shape.inputs..][..shape.inputs], &w[o * shape.inputs..][..shape.inputs]);
        }
    }
}
