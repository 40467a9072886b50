//! Adam (Kingma & Ba, 2015) in one pass over weight, gradient and both moments.

use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{FlushSubnormals, Kernel, Lanes, Simd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The constants of Adam; ε is added outside of the square root, after the correction of the bias.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
}

/// One step, counted from 1: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²,
/// w ← w − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε).
///
/// Returns whether all weights and second moments are finite afterwards, which says that they and all gradients were
/// before. If not, w, m and v are spoilt, and the run has to stop.
///
/// # Panics
/// If the lengths differ.
#[allow(clippy::too_many_arguments)] // the state of an optimizer
pub fn adam_step(
    pool: &Pool,
    simd: Simd,
    adam: &Adam,
    lr: f32,
    step: u64,
    w: &mut [f32],
    grad: &[f32],
    m: &mut [f32],
    v: &mut [f32],
) -> bool {
    const CHUNK: usize = 1 << 15;
    let len = w.len();
    assert!(grad.len() == len && m.len() == len && v.len() == len, "Adam's operands must have one length");
    let correction = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
    let rate = (f64::from(lr) / correction(adam.beta1)) as f32;
    let root = (1.0 / correction(adam.beta2).sqrt()) as f32;
    let finite = AtomicBool::new(true);
    let (w, m, v) = (SharedMut::new(w), SharedMut::new(m), SharedMut::new(v));
    pool.run(len.div_ceil(CHUNK), |task| {
        let _flush = FlushSubnormals::enter();
        let range = task * CHUNK..(task * CHUNK + CHUNK).min(len);
        // SAFETY: chunks are disjoint.
        let (w, m, v) = unsafe { (w.part(range.clone()), m.part(range.clone()), v.part(range.clone())) };
        if !simd.run(Step { adam: *adam, rate, root, w, grad: &grad[range], m, v }) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

/// Floats of each operand that are asked for ahead: a page, where hardware that foresees the way through memory stops.
const AHEAD: usize = 1024;

struct Step<'a> {
    adam: Adam,
    rate: f32,
    root: f32,
    w: &'a mut [f32],
    grad: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> bool {
        let Step { adam, rate, root, w, grad, m, v } = self;
        let (beta1, rest1) = (s.splat(adam.beta1), s.splat(1.0 - adam.beta1));
        let (beta2, rest2) = (s.splat(adam.beta2), s.splat(1.0 - adam.beta2));
        let (rate, root, eps) = (s.splat(-rate), s.splat(root), s.splat(adam.eps));
        let zero = s.splat(0.0);
        // Stays 0 unless a weight or its second moment becomes NaN or infinite; a gradient that is so makes both so. With an
        // infinite moment a weight would never move again.
        let mut poison = zero;
        let mut i = 0;
        while i < grad.len() {
            let n = S::N.min(grad.len() - i);
            for of in [w.as_ptr(), m.as_ptr(), v.as_ptr(), grad.as_ptr()] {
                s.prefetch(of.wrapping_add(i + AHEAD));
            }
            // SAFETY: n floats are left in each operand, all of one length.
            unsafe {
                let g = s.load_first(grad.as_ptr().add(i), n);
                let first = s.fma(rest1, g, s.mul(beta1, s.load_first(m.as_ptr().add(i), n)));
                let second = s.fma(s.mul(rest2, g), g, s.mul(beta2, s.load_first(v.as_ptr().add(i), n)));
                let divisor = s.fma(s.sqrt(second), root, eps);
                let moved = s.fma(rate, s.div(first, divisor), s.load_first(w.as_ptr().add(i), n));
                s.store_first(m.as_mut_ptr().add(i), n, first);
                s.store_first(v.as_mut_ptr().add(i), n, second);
                s.store_first(w.as_mut_ptr().add(i), n, moved);
                poison = s.fma(moved, zero, s.fma(second, zero, poison));
            }
            i += n;
        }
        s.lanes(poison).iter().all(|lane| *lane == 0.0)
    }
}

/// Whether no element is NaN or infinite.
pub fn all_finite(pool: &Pool, values: &[f32]) -> bool {
    const CHUNK: usize = 1 << 16;
    let finite = AtomicBool::new(true);
    pool.run(values.len().div_ceil(CHUNK), |task| {
        let chunk = &values[task * CHUNK..(task * CHUNK + CHUNK).min(values.len())];
        // Not short-circuiting, so that the compiler vectorises it.
        if !chunk.iter().fold(true, |all, value| all & value.is_finite()) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 };

    #[test]
    fn follows_the_formula() {
        let pool = Pool::new(2);
        for simd in Simd::available() {
            let n = 77;
            let grads: Vec<Vec<f32>> = (0..5)
                .map(|t| (0..n).map(|i| if i % 11 == 3 { 0.0 } else { ((i * 7 + t * 3) % 19) as f32 - 9.3 }).collect())
                .collect();
            let (mut w, mut m, mut v) = (vec![1f32; n], vec![0f32; n], vec![0f32; n]);
            let (mut w64, mut m64, mut v64) = (vec![1f64; n], vec![0f64; n], vec![0f64; n]);
            let (b1, b2) = (f64::from(ADAM.beta1), f64::from(ADAM.beta2));
            for (t, grad) in (1..).zip(&grads) {
                assert!(adam_step(&pool, simd, &ADAM, 0.03, t, &mut w, grad, &mut m, &mut v));
                for i in 0..n {
                    let g = f64::from(grad[i]);
                    m64[i] = b1 * m64[i] + (1.0 - b1) * g;
                    v64[i] = b2 * v64[i] + (1.0 - b2) * g * g;
                    let t = t as i32;
                    let root = (v64[i] / (1.0 - b2.powi(t))).sqrt();
                    w64[i] -= 0.03 / (1.0 - b1.powi(t)) * m64[i] / (root + f64::from(ADAM.eps));
                    assert!((f64::from(w[i]) - w64[i]).abs() < 2e-6, "{simd:?} step {t}, {i}: {} {}", w[i], w64[i]);
                }
            }
            assert_eq!(w[3], 1.0, "a parameter without gradient stays");
        }
    }

    #[test]
    fn reports_what_is_not_finite() {
        let pool = Pool::new(2);
        for simd in Simd::available() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let (mut w, mut m, mut v) = (vec![0f32; 40], vec![0f32; 40], vec![0f32; 40]);
                let mut grad = vec![0.5; 40];
                grad[37] = bad;
                assert!(!all_finite(&pool, &grad));
                assert!(!adam_step(&pool, simd, &ADAM, 0.1, 1, &mut w, &grad, &mut m, &mut v));
                for (great, bears) in [(1e19, true), (f32::MAX, false)] {
                    grad[37] = great;
                    assert!(all_finite(&pool, &grad));
                    (w, m, v) = (vec![0f32; 40], vec![0f32; 40], vec![0f32; 40]);
                    let step = adam_step(&pool, simd, &ADAM, 0.1, 1, &mut w, &grad, &mut m, &mut v);
                    assert_eq!(step, bears, "a gradient of {great}");
                }
                grad[37] = 0.5;
                (w, m, v) = (vec![0f32; 40], vec![0f32; 40], vec![0f32; 40]);
                w[3] = bad;
                assert!(!adam_step(&pool, simd, &ADAM, 0.1, 2, &mut w, &grad, &mut m, &mut v));
            }
        }
    }
}
