//! Mean shift of a hidden layer: each output loses its mean over the batch, and so does its gradient.

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
    const COLUMNS: usize = 32;
    assert!(batch > 0 && y.len().is_multiple_of(batch), "{} elements are not {batch} rows", y.len());
    let outputs = y.len() / batch;
    assert!(means.as_ref().is_none_or(|means| means.len() == outputs), "a mean for each of the {outputs} outputs");
    assert!(counts.is_none_or(|counts| counts.len() == outputs), "a count for each of the {outputs} outputs");
    let (y, means) = (SharedMut::new(y), means.map(SharedMut::new));
    pool.run(outputs.div_ceil(COLUMNS), |task| {
        for start in (task * COLUMNS..(task * COLUMNS + COLUMNS).min(outputs)).step_by(simd.lanes()) {
            simd.run(Columns { batch, outputs, start, y, counts, means });
        }
    });
}

struct Columns<'a> {
    batch: usize,
    outputs: usize,
    start: usize,
    y: SharedMut<'a, f32>,
    counts: Option<&'a [f32]>,
    means: Option<SharedMut<'a, f32>>,
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        // Sums of some rows first, so that rounding grows with the square root of the batch's length at most.
        const ROWS: usize = 16;
        let Columns { batch, outputs, start, y, counts, means } = self;
        let n = S::N.min(outputs - start);
        let place = |b: usize| y.as_mut_ptr().wrapping_add(b * outputs + start);
        let mut total = s.splat(0.0);
        for first in (0..batch).step_by(ROWS) {
            let mut sum = s.splat(0.0);
            for b in first..(first + ROWS).min(batch) {
                // SAFETY: n floats are left in row b, and this task owns these columns.
                sum = s.add(sum, unsafe { s.load_first(place(b), n) });
            }
            total = s.add(total, sum);
        }
        let count = match counts {
            // SAFETY: n counts are left.
            Some(counts) => s.max(unsafe { s.load_first(counts.as_ptr().add(start), n) }, s.splat(1.0)),
            None => s.splat(batch as f32),
        };
        let mean = s.div(total, count);
        if let Some(means) = means {
            // SAFETY: each column belongs to one task.
            unsafe { means.part(start..start + n) }.copy_from_slice(&s.lanes(mean)[..n]);
        }
        for b in 0..batch {
            // SAFETY: as above.
            unsafe { s.store_first(place(b), n, s.sub(s.load_first(place(b), n), mean)) };
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
            for (batch, outputs) in [(1, 1), (3, 5), (33, 16), (50, 70)] {
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
