//! Gradients by importance: some of a batch's rows, drawn in proportion to their size, in place of all.
//!
//! In training few samples have a margin that the loss still wants wider; what the others have of a gradient is little more
//! than the mean that mean shift takes off every row. A backward pass over all rows spends most of its time on these.

use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{Kernel, Lanes, Simd};

/// Rows of one task.
const ROWS: usize = 16;

/// Draws `share` of the rows of g [B, O], in place: row b stays with probability q_b = min(1, ‖g_b‖₁/τ) and is multiplied by
/// 1/q_b, the others become 0; τ is such that Σ q_b is `share`·B. So the mean of every gradient that is linear in g stays what
/// it is. The rows that stay are as many as that, rounded up or down.
///
/// One `offset` in (0, 1) decides the whole draw, and spreads it over the batch as evenly as it can (systematic sampling):
/// where rows are sorted by class, every class is drawn. What is not finite is left as it is, for others to find.
///
/// # Panics
/// If `g` is not `batch` rows, or `share` is not in (0, 1].
pub fn draw_rows(pool: &Pool, simd: Simd, share: f64, offset: f64, batch: usize, g: &mut [f32]) {
    assert!(batch > 0 && g.len().is_multiple_of(batch), "{} elements are not {batch} rows", g.len());
    assert!(share > 0.0 && share <= 1.0, "a share of {share}");
    let outputs = g.len() / batch;
    let sizes = row_sizes(pool, simd, batch, g);
    let Some(threshold) = threshold(&sizes, share * batch as f64) else { return };
    // Of the line on which all q_b lie end to end, the rows that hold one of the points offset, offset + 1, … stay.
    let mut place = offset;
    let factors: Vec<f32> = (sizes.iter())
        .map(|size| {
            let probability = size / threshold;
            if probability >= 1.0 {
                return 1.0;
            }
            place += probability;
            if place < 1.0 {
                return 0.0;
            }
            place -= 1.0;
            probability.recip() as f32
        })
        .collect();
    let g = SharedMut::new(g);
    pool.run(batch.div_ceil(ROWS), |task| {
        let rows = task * ROWS..(task * ROWS + ROWS).min(batch);
        // SAFETY: each row belongs to one task.
        let g = unsafe { g.part(rows.start * outputs..rows.end * outputs) };
        for (row, factor) in g.chunks_exact_mut(outputs).zip(&factors[rows]) {
            match *factor {
                0.0 => row.fill(0.0),
                1.0 => {}
                factor => row.iter_mut().for_each(|g| *g *= factor),
            }
        }
    });
}

/// τ with Σ min(1, size/τ) = `count`; none where all rows would stay, or a size is not finite.
fn threshold(sizes: &[f64], count: f64) -> Option<f64> {
    let mut rest: f64 = sizes.iter().sum();
    if !rest.is_finite() || count >= sizes.iter().filter(|size| **size > 0.0).count() as f64 {
        return None;
    }
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut left = count;
    for size in sorted {
        // The largest of what is left is certain to stay if it is more than its even part.
        if size * left <= rest {
            return Some(rest / left);
        }
        rest -= size;
        left -= 1.0;
    }
    None
}

/// ‖g_b‖₁ of every row. The order of the additions depends on the shape alone.
fn row_sizes(pool: &Pool, simd: Simd, batch: usize, g: &[f32]) -> Vec<f64> {
    let outputs = g.len() / batch;
    let mut sizes = vec![0.0; batch];
    let to = SharedMut::new(&mut sizes);
    pool.run(batch.div_ceil(ROWS), |task| {
        let rows = task * ROWS..(task * ROWS + ROWS).min(batch);
        // SAFETY: each row belongs to one task.
        let to = unsafe { to.part(rows.clone()) };
        for (row, to) in rows.zip(to) {
            *to = f64::from(simd.run(Size { row: &g[row * outputs..][..outputs] }));
        }
    });
    sizes
}

struct Size<'a> {
    row: &'a [f32],
}

impl Kernel for Size<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> f32 {
        let mut sums = [s.splat(0.0); 4];
        for (k, at) in (0..self.row.len()).step_by(S::N).enumerate() {
            let n = S::N.min(self.row.len() - at);
            // SAFETY: n floats are left in the row.
            let g = unsafe { s.load_first(self.row.as_ptr().add(at), n) };
            sums[k % 4] = s.add(sums[k % 4], s.abs(g));
        }
        s.sum4(sums).iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Random;
    use proptest::prelude::*;

    /// Rows of sizes that differ a lot; some are 0.
    fn gradients(batch: usize, outputs: usize, seed: u64) -> Vec<f32> {
        let mut random = Random(seed);
        let mut g = random.normals(batch * outputs);
        for row in g.chunks_mut(outputs) {
            let scale = [0.0, 0.03, 0.3, 1.0, 1.0][(5.0 * random.uniform()) as usize];
            row.iter_mut().for_each(|g| *g *= scale);
        }
        g
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_mean_over_all_draws_is_the_gradient(
            batch in 1usize..=70, outputs in 1usize..=40, share in 0.05f64..=1.0, seed: u64,
        ) {
            // Offsets on a fine grid: each row is drawn for a part of them that is off by a grid step at most.
            const OFFSETS: usize = 4096;
            let pool = Pool::new(2);
            let g = gradients(batch, outputs, seed);
            let sizes: Vec<f64> = g.chunks(outputs).map(|row| row.iter().map(|g| f64::from(g.abs())).sum()).collect();
            let present = sizes.iter().filter(|size| **size > 0.0).count() as f64;
            let wanted = (share * batch as f64).min(present);
            for simd in Simd::available() {
                let (mut mean, mut largest) = (vec![0f64; g.len()], vec![0f64; batch]);
                for k in 0..OFFSETS {
                    let mut drawn = g.clone();
                    draw_rows(&pool, simd, share, (k as f64 + 0.5) / OFFSETS as f64, batch, &mut drawn);
                    let rows = drawn.chunks(outputs).filter(|row| row.iter().any(|g| *g != 0.0)).count() as f64;
                    prop_assert!((rows - wanted).abs() < 1.0 + 1e-6, "{rows} rows for {wanted}");
                    for (n, drawn) in drawn.iter().enumerate() {
                        mean[n] += f64::from(*drawn) / OFFSETS as f64;
                        if g[n] != 0.0 {
                            largest[n / outputs] = largest[n / outputs].max(f64::from((*drawn / g[n]).abs()));
                        }
                    }
                }
                let greatest = sizes.iter().fold(0.0, |m: f64, size| m.max(*size));
                for (n, (mean, g)) in mean.iter().zip(&g).enumerate() {
                    let largest = largest[n / outputs];
                    if largest == 0.0 {
                        // So small that it falls between two offsets.
                        prop_assert!(sizes[n / outputs] < 4e-3 * greatest || greatest == 0.0);
                        continue;
                    }
                    // A row that is drawn once in `largest` offsets is met as often, but for one.
                    let allowed = f64::from(g.abs()) * (1e-5 + 2.0 * largest / OFFSETS as f64);
                    prop_assert!((mean - f64::from(*g)).abs() <= allowed, "{mean} for {g}");
                }
            }
        }
    }

    #[test]
    fn large_rows_stay_as_they_are_and_what_is_not_finite_is_left() {
        let pool = Pool::new(1);
        for simd in Simd::available() {
            let mut g = vec![0.25f32; 8 * 3];
            g[6..9].fill(100.0);
            let before = g.clone();
            draw_rows(&pool, simd, 1.0, 0.5, 8, &mut g);
            assert_eq!(g, before);
            draw_rows(&pool, simd, 0.5, 0.5, 8, &mut g);
            assert_eq!(g[6..9], before[6..9]);
            let drawn = g.chunks(3).filter(|row| row[0] > 0.25 && row[0] < 1.0);
            // Three of the seven others, for all of them.
            assert_eq!(drawn.map(|row| row[0] * 3.0 / 7.0).map(|g| (g * 1e4).round()).collect::<Vec<_>>(), [2500.0; 3]);
            let mut spoilt = vec![1.0, f32::NAN, 2.0, 3.0];
            draw_rows(&pool, simd, 0.5, 0.5, 4, &mut spoilt);
            assert_eq!(spoilt.iter().filter(|g| g.is_finite()).sum::<f32>(), 6.0);
        }
    }
}
