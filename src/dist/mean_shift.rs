//! Mean shift of a hidden layer: each output loses its mean over the batch, and so does its gradient.

use std::ops::Range;

use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{Kernel, Lanes, Simd};

/// Subtracts from each column of y [B, O] its mean over the batch, in place, and returns the means [O].
///
/// The caller owns the running means. The order of the additions depends on the shape alone.
///
/// # Panics
/// If a length does not fit.
pub fn mean_shift_forward(pool: &Pool, simd: Simd, batch: usize, y: &mut [f32], means: &mut [f32]) {
    subtract_means(pool, simd, batch, y, None, Some(means));
}

/// The gradient of [`mean_shift_forward`], through the means: g [B, O] loses its own column means, in place.
///
/// # Panics
/// If `g` is not a whole number of rows.
pub fn mean_shift_backward(pool: &Pool, simd: Simd, batch: usize, g: &mut [f32]) {
    subtract_means(pool, simd, batch, g, None, None);
}

/// [`mean_shift_forward`] under dropout (arXiv 2210.01787, appendix): the mean of each output is over the `counts[o]`
/// rows that keep it. The others must hold 0, and hold nonsense afterwards. The mean of an output that no row keeps is 0.
///
/// # Panics
/// If a length does not fit.
pub fn mean_shift_masked_forward(
    pool: &Pool,
    simd: Simd,
    batch: usize,
    counts: &[f32],
    y: &mut [f32],
    means: &mut [f32],
) {
    subtract_means(pool, simd, batch, y, Some(counts), Some(means));
}

/// The gradient of [`mean_shift_masked_forward`]: each output loses its mean over the rows that keep it. The others must
/// hold 0, and hold nonsense afterwards.
///
/// # Panics
/// If a length does not fit.
pub fn mean_shift_masked_backward(pool: &Pool, simd: Simd, batch: usize, counts: &[f32], g: &mut [f32]) {
    subtract_means(pool, simd, batch, g, Some(counts), None);
}

fn subtract_means(
    pool: &Pool,
    simd: Simd,
    batch: usize,
    y: &mut [f32],
    counts: Option<&[f32]>,
    means: Option<&mut [f32]>,
) {
    assert!(batch > 0 && y.len().is_multiple_of(batch), "{} elements are not {batch} rows", y.len());
    let outputs = y.len() / batch;
    assert!(means.as_ref().is_none_or(|means| means.len() == outputs), "a mean for each of the {outputs} outputs");
    assert!(counts.is_none_or(|counts| counts.len() == outputs), "a count for each of the {outputs} outputs");
    let (y, means) = (SharedMut::new(y), means.map(SharedMut::new));
    let columns = VECTORS * simd.lanes();
    pool.run(outputs.div_ceil(columns), |task| {
        let start = task * columns;
        simd.run(Columns { batch, outputs, columns: start..(start + columns).min(outputs), y, counts, means });
    });
}

/// Vectors of a row side by side: rows are often a power of two apart, which puts their columns into few sets of a cache,
/// so that one vector of each row would come from farther away than several.
const VECTORS: usize = 4;

struct Columns<'a> {
    batch: usize,
    outputs: usize,
    columns: Range<usize>,
    y: SharedMut<'a, f32>,
    counts: Option<&'a [f32]>,
    means: Option<SharedMut<'a, f32>>,
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Range { start, end } = self.columns;
        if end - start == VECTORS * S::N {
            return self.subtract::<S, VECTORS>(s, start, S::N);
        }
        for start in (start..end).step_by(S::N) {
            self.subtract::<S, 1>(s, start, S::N.min(end - start));
        }
    }
}

impl Columns<'_> {
    /// Of V vectors of `n` columns each.
    #[inline(always)]
    fn subtract<S: Lanes, const V: usize>(&self, s: S, start: usize, n: usize) {
        // Sums of some rows first, so that rounding grows with the square root of the batch's length at most.
        const ROWS: usize = 16;
        let place = |b: usize, v: usize| self.y.as_mut_ptr().wrapping_add(b * self.outputs + start + v * S::N);
        // SAFETY: n floats are left in each vector of row b, and this task owns these columns.
        let load = |b: usize, v: usize| unsafe { s.load_first(place(b, v), n) };
        let mut totals = [s.splat(0.0); V];
        for first in (0..self.batch).step_by(ROWS) {
            let mut sums = [s.splat(0.0); V];
            for b in first..(first + ROWS).min(self.batch) {
                sums = std::array::from_fn(|v| s.add(sums[v], load(b, v)));
            }
            totals = std::array::from_fn(|v| s.add(totals[v], sums[v]));
        }
        let means: [S::V; V] = std::array::from_fn(|v| {
            let count = match self.counts {
                // SAFETY: n counts are left.
                Some(counts) => s.max(unsafe { s.load_first(counts.as_ptr().add(start + v * S::N), n) }, s.splat(1.0)),
                None => s.splat(self.batch as f32),
            };
            s.div(totals[v], count)
        });
        if let Some(to) = self.means {
            for (v, &mean) in means.iter().enumerate() {
                let first = start + v * S::N;
                // SAFETY: each column belongs to one task.
                unsafe { to.part(first..first + n) }.copy_from_slice(&s.lanes(mean)[..n]);
            }
        }
        for b in 0..self.batch {
            for (v, &mean) in means.iter().enumerate() {
                // SAFETY: as of `load`.
                unsafe { s.store_first(place(b, v), n, s.sub(load(b, v), mean)) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_taken_off() {
        let pool = Pool::new(3);
        for simd in Simd::available() {
            for (batch, outputs) in [(1, 1), (3, 5), (33, 16), (50, 70), (40, 300)] {
                let y: Vec<f32> = (0..batch * outputs).map(|k| ((k * 31) % 23) as f32 * 0.37 - 2.0).collect();
                let (mut shifted, mut means) = (y.clone(), vec![0.0; outputs]);
                mean_shift_forward(&pool, simd, batch, &mut shifted, &mut means);
                for o in 0..outputs {
                    let mean = (0..batch).map(|b| f64::from(y[b * outputs + o])).sum::<f64>() / batch as f64;
                    assert!((f64::from(means[o]) - mean).abs() < 1e-6);
                    for b in 0..batch {
                        assert_eq!(shifted[b * outputs + o], y[b * outputs + o] - means[o]);
                    }
                }
                let mut gradient = y.clone();
                mean_shift_backward(&pool, simd, batch, &mut gradient);
                assert_eq!(gradient, shifted);
            }
        }
    }

    #[test]
    fn masked_means_are_over_the_rows_that_keep_an_output() {
        let (pool, batch, outputs) = (Pool::new(2), 50, 37);
        // Output 5 is kept by no row, output 6 by all.
        let kept = |b: usize, o: usize| o == 6 || o != 5 && (b * 7 + o * 3) % 5 < 3;
        let at = |k: usize| (k / outputs, k % outputs);
        let y: Vec<f32> = (0..batch * outputs)
            .map(|k| if kept(at(k).0, at(k).1) { ((k * 31) % 23) as f32 * 0.37 - 2.0 } else { 0.0 })
            .collect();
        let counts: Vec<f32> = (0..outputs).map(|o| (0..batch).filter(|&b| kept(b, o)).count() as f32).collect();
        for simd in Simd::available() {
            let (mut shifted, mut means, mut gradient) = (y.clone(), vec![7.0; outputs], y.clone());
            mean_shift_masked_forward(&pool, simd, batch, &counts, &mut shifted, &mut means);
            mean_shift_masked_backward(&pool, simd, batch, &counts, &mut gradient);
            assert_eq!(means[5], 0.0);
            for k in (0..batch * outputs).filter(|&k| kept(at(k).0, at(k).1)) {
                let o = at(k).1;
                let sum: f64 = (0..batch).filter(|&b| kept(b, o)).map(|b| f64::from(y[b * outputs + o])).sum();
                assert!((f64::from(means[o]) - sum / f64::from(counts[o])).abs() < 1e-6);
                assert_eq!(shifted[k], y[k] - means[o]);
                assert_eq!(gradient[k], shifted[k]);
            }
        }
    }
}
