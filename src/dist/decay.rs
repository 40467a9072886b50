//! Weight decay by a norm of each weight row (arXiv 2102.05363, the authors' variant of AdamW); at p = 2 that of AdamW.

use super::norms::LogExp;
use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{FlushSubnormals, Kernel, Lanes, Simd};

/// Added to every square, so that a weight of 0 has a logarithm.
const SMALL: f32 = 1e-10;

/// One step down the gradient of ½‖w_o‖_p² for each row of w [O, I], before a step of Adam:
/// w_oi ← w_oi − amount · (|w_oi| / ‖w_o‖_p)^(p−2) · w_oi, where `amount` is learning rate times decay.
///
/// At p = ∞ only the first entry of largest magnitude of a row decays. p = 2, and rows of one entry at any p, decay by
/// the same share everywhere: decoupled weight decay (arXiv 1711.05101).
///
/// # Panics
/// If `w` is not a whole number of rows, or p is not in [1, ∞].
pub fn decay_rows(pool: &Pool, simd: Simd, p: f64, amount: f32, inputs: usize, w: &mut [f32]) {
    const ROWS: usize = 16;
    assert!(p >= 1.0, "p must be at least 1, not {p}");
    assert!(inputs > 0 && w.len().is_multiple_of(inputs), "{} weights are not rows of {inputs}", w.len());
    let outputs = w.len() / inputs;
    let w = SharedMut::new(w);
    pool.run(outputs.div_ceil(ROWS), |task| {
        let _flush = FlushSubnormals::enter();
        let mut powers = vec![0.0; inputs];
        for output in task * ROWS..(task * ROWS + ROWS).min(outputs) {
            // SAFETY: each row belongs to one task.
            let row = unsafe { w.part(output * inputs..(output + 1) * inputs) };
            if p == 2.0 || inputs == 1 {
                row.iter_mut().for_each(|w| *w -= amount * *w);
            } else if p.is_infinite() {
                decay_largest(amount, row);
            } else {
                simd.run(DecayRow { p, amount, row, powers: &mut powers });
            }
        }
    });
}

fn decay_largest(amount: f32, row: &mut [f32]) {
    let mut largest = 0;
    for (i, w) in row.iter().enumerate() {
        if w.abs() > row[largest].abs() {
            largest = i;
        }
    }
    row[largest] -= amount * row[largest];
}

struct DecayRow<'a> {
    p: f64,
    amount: f32,
    row: &'a mut [f32],
    /// Room for (|w| / max |w|)^(p−2).
    powers: &'a mut [f32],
}

impl Kernel for DecayRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let DecayRow { p, amount, row, powers } = self;
        let inputs = row.len();
        let log_exp = LogExp::new(s);
        let largest = row.iter().fold(0f32, |m, w| m.max(w.abs()));
        let largest = (largest * largest + SMALL).sqrt();
        let (m, inverse, q) = (s.splat(largest), s.splat(1.0 / largest), s.splat((p - 2.0) as f32));
        let mut sums = s.splat(0.0);
        for start in (0..inputs).step_by(S::N) {
            let n = S::N.min(inputs - start);
            // SAFETY: n floats are left in the row.
            let w = unsafe { s.load_first(row.as_ptr().add(start), n) };
            // Rounding must not lift a magnitude above the largest.
            let a = s.min(s.sqrt(s.fma(w, w, s.splat(SMALL))), m);
            let power = log_exp.ratio_power(s, a, m, inverse, q);
            let ratio = s.mul(a, inverse);
            // SAFETY: `powers` has the length of the row. Read back so that the lanes beyond n are 0.
            let kept = unsafe {
                s.store_first(powers.as_mut_ptr().add(start), n, power);
                s.load_first(powers.as_ptr().add(start), n)
            };
            sums = s.fma(kept, s.mul(ratio, ratio), sums);
        }
        let sum: f32 = s.lanes(sums).iter().sum();
        let factor = amount * f64::from(sum).powf(2.0 / p - 1.0) as f32;
        for (w, power) in row.iter_mut().zip(powers) {
            *w -= factor * *power * *w;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POWERS: [f64; 7] = [1.0, 1.5, 2.0, 3.0, 8.5, 300.0, 1000.0];

    fn rows(inputs: usize) -> Vec<f32> {
        (0..3 * inputs).map(|k| if k == 4 { 0.0 } else { ((k * 37) % 41) as f32 * 0.11 - 2.1 }).collect()
    }

    /// ½‖w‖_p² in double precision.
    fn half_square(p: f64, w: &[f64]) -> f64 {
        let m = w.iter().fold(0f64, |m, w| m.max(w.abs()));
        0.5 * (m * w.iter().map(|w| (w.abs() / m).powf(p)).sum::<f64>().powf(1.0 / p)).powi(2)
    }

    #[test]
    fn a_step_is_down_the_gradient_of_half_the_squared_norm() {
        let (pool, h) = (Pool::new(2), 1e-6);
        for simd in Simd::available() {
            for p in POWERS {
                for inputs in [1, 2, 7, 16, 45] {
                    let before = rows(inputs);
                    let mut after = before.clone();
                    decay_rows(&pool, simd, p, 0.01, inputs, &mut after);
                    for (k, (after, &w)) in after.iter().zip(&before).enumerate() {
                        let row: Vec<f64> =
                            before[k / inputs * inputs..][..inputs].iter().map(|&w| f64::from(w)).collect();
                        let at = |change: f64| {
                            let mut row = row.clone();
                            row[k % inputs] += change;
                            half_square(p, &row)
                        };
                        // At p = 1 the norm has a corner at 0, where the step is 0.
                        let slope = if w == 0.0 { 0.0 } else { (at(h) - at(-h)) / (2.0 * h) };
                        let expected = f64::from(w) - 0.01 * slope;
                        assert!(
                            (f64::from(*after) - expected).abs() < 3e-6,
                            "{simd:?}, p = {p}, {inputs} inputs, {k}: {after} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn at_infinity_only_the_first_largest_entry_decays() {
        let mut w = [1.0, -2.0, 2.0, 0.5, 0.0, 0.0, 0.0, 0.0];
        decay_rows(&Pool::new(1), Simd::Portable, f64::INFINITY, 0.25, 4, &mut w);
        assert_eq!(w, [1.0, -1.5, 2.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn rows_of_zeros_stay() {
        let mut w = [0.0; 12];
        for p in POWERS.into_iter().chain([f64::INFINITY]) {
            decay_rows(&Pool::new(1), Simd::Portable, p, 0.25, 6, &mut w);
            assert_eq!(w, [0.0; 12], "p = {p}");
        }
    }
}
