//! Matrix products of a net's head, in one fixed order, and their bounds.
//!
//! Each element is s ← fl(s + fl(a_k·b_k)) for k = 0, 1, …, never fused: the same bits on every machine. Each operation
//! is monotone in s and in a_k, so the same sequence with the end of a_k's interval that b_k's sign asks for encloses
//! what the program computes, rounding included.

use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{Kernel, Lanes, Simd};

/// Rows of one register tile.
const ROWS: usize = 4;

/// c [M, N] = a [M, K] · b [K, N], all row-major.
///
/// # Panics
/// If the lengths do not fit.
pub fn product(pool: &Pool, simd: Simd, inner: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let (rows, columns) = sizes(inner, a, b);
    assert_eq!(c.len(), rows * columns, "c must be [M, N]");
    let c = SharedMut::new(c);
    pool.run(rows.div_ceil(ROWS), |task| {
        simd.run(Tile { first: task * ROWS, rows, inner, columns, a, b, c });
    });
}

/// Bounds (lo, hi) of [`product`] over all a with a_lo ≤ a ≤ a_hi, for the f32 program itself.
///
/// # Panics
/// If the lengths do not fit.
#[allow(clippy::too_many_arguments)] // two boxes in, two out
pub fn product_interval(
    pool: &Pool,
    simd: Simd,
    inner: usize,
    a_lo: &[f32],
    a_hi: &[f32],
    b: &[f32],
    c_lo: &mut [f32],
    c_hi: &mut [f32],
) {
    let (rows, columns) = sizes(inner, a_lo, b);
    assert_eq!(a_lo.len(), a_hi.len(), "a's ends must have one length");
    assert!(c_lo.len() == rows * columns && c_hi.len() == rows * columns, "c must be [M, N]");
    let (c_lo, c_hi) = (SharedMut::new(c_lo), SharedMut::new(c_hi));
    pool.run(rows, |row| simd.run(IntervalRow { row, inner, columns, a_lo, a_hi, b, c_lo, c_hi }));
}

/// [columns, rows] of a [rows, columns].
///
/// # Panics
/// If `from` is not a whole number of rows.
pub fn transposed(from: &[f32], columns: usize) -> Vec<f32> {
    assert!(from.len().is_multiple_of(columns), "{} elements are not rows of {columns}", from.len());
    let rows = from.len() / columns;
    let mut to = vec![0.0; from.len()];
    for (row, from) in from.chunks_exact(columns).enumerate() {
        for (column, value) in from.iter().enumerate() {
            to[column * rows + row] = *value;
        }
    }
    to
}

fn sizes(inner: usize, a: &[f32], b: &[f32]) -> (usize, usize) {
    assert!(inner > 0 && a.len().is_multiple_of(inner), "a must be [M, {inner}]");
    assert!(b.len().is_multiple_of(inner), "b must be [{inner}, N]");
    (a.len() / inner, b.len() / inner)
}

struct Tile<'a> {
    first: usize,
    rows: usize,
    inner: usize,
    columns: usize,
    a: &'a [f32],
    b: &'a [f32],
    c: SharedMut<'a, f32>,
}

impl Kernel for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Tile { first, rows, inner, columns, a, b, c } = self;
        let row = |n: usize| &a[(first + n).min(rows - 1) * inner..][..inner];
        let a = [row(0), row(1), row(2), row(3)];
        for start in (0..columns).step_by(2 * S::N) {
            let n = [S::N.min(columns - start), S::N.min((columns - start).saturating_sub(S::N))];
            let mut sums = [[s.splat(0.0); 2]; ROWS];
            for k in 0..inner {
                let b = &b[k * columns + start..(k + 1) * columns];
                // SAFETY: n[0] and then n[1] floats are left in b.
                let b = unsafe { [s.load_first(b.as_ptr(), n[0]), s.load_first(b.as_ptr().add(n[0]), n[1])] };
                for (sums, a) in sums.iter_mut().zip(a) {
                    let a = s.splat(a[k]);
                    sums[0] = s.add(sums[0], s.mul(a, b[0]));
                    sums[1] = s.add(sums[1], s.mul(a, b[1]));
                }
            }
            for (row, sums) in (first..rows).zip(sums) {
                for half in 0..2 {
                    let at = row * columns + start + half * n[0];
                    // SAFETY: rows belong to one task each.
                    let to = unsafe { c.part(at..at + n[half]) };
                    to.copy_from_slice(&s.lanes(sums[half])[..n[half]]);
                }
            }
        }
    }
}

struct IntervalRow<'a> {
    row: usize,
    inner: usize,
    columns: usize,
    a_lo: &'a [f32],
    a_hi: &'a [f32],
    b: &'a [f32],
    c_lo: SharedMut<'a, f32>,
    c_hi: SharedMut<'a, f32>,
}

impl Kernel for IntervalRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let IntervalRow { row, inner, columns, a_lo, a_hi, b, c_lo, c_hi } = self;
        let (a_lo, a_hi) = (&a_lo[row * inner..][..inner], &a_hi[row * inner..][..inner]);
        for start in (0..columns).step_by(S::N) {
            let n = S::N.min(columns - start);
            let (mut lo, mut hi) = (s.splat(0.0), s.splat(0.0));
            for k in 0..inner {
                // SAFETY: n floats are left in row k.
                let b = unsafe { s.load_first(b[k * columns + start..(k + 1) * columns].as_ptr(), n) };
                // Whatever the sign of b, the lesser product is that of the end it asks for.
                let (low, high) = (s.mul(s.splat(a_lo[k]), b), s.mul(s.splat(a_hi[k]), b));
                lo = s.add(lo, s.min(low, high));
                hi = s.add(hi, s.max(low, high));
            }
            let at = row * columns + start;
            // SAFETY: rows belong to one task each.
            let (to_lo, to_hi) = unsafe { (c_lo.part(at..at + n), c_hi.part(at..at + n)) };
            to_lo.copy_from_slice(&s.lanes(lo)[..n]);
            to_hi.copy_from_slice(&s.lanes(hi)[..n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Random;
    use proptest::prelude::*;

    fn in_order(inner: usize, columns: usize, a: &[f32], b: &[f32]) -> Vec<f32> {
        let element = |a: &[f32], n: usize| (0..inner).fold(0f32, |sum, k| sum + a[k] * b[k * columns + n]);
        a.chunks(inner).flat_map(|a| (0..columns).map(move |n| element(a, n))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn products_are_sums_in_order_to_the_bit(rows in 1usize..=9, inner in 1usize..=40, columns in 1usize..=70, seed: u64) {
            let mut random = Random(seed);
            let (a, b) = (random.normals(rows * inner), random.normals(inner * columns));
            let expected = in_order(inner, columns, &a, &b);
            for simd in Simd::available() {
                for threads in [1, 3] {
                    let mut c = vec![f32::NAN; rows * columns];
                    product(&Pool::new(threads), simd, inner, &a, &b, &mut c);
                    prop_assert_eq!(&c, &expected);
                }
            }
        }

        #[test]
        fn bounds_enclose_the_program_and_are_attained(
            rows in 1usize..=3, inner in 1usize..=60, columns in 1usize..=40, epsilon in 0f32..0.5, seed: u64,
        ) {
            let mut random = Random(seed);
            let (a, b) = (random.normals(rows * inner), random.normals(inner * columns));
            let (a_lo, a_hi): (Vec<f32>, Vec<f32>) = a.iter().map(|a| (a - epsilon, a + epsilon)).unzip();
            for simd in Simd::available() {
                let (mut lo, mut hi) = (vec![f32::NAN; rows * columns], vec![f32::NAN; rows * columns]);
                product_interval(&Pool::new(2), simd, inner, &a_lo, &a_hi, &b, &mut lo, &mut hi);
                for _ in 0..5 {
                    let inside: Vec<f32> = a_lo.iter().zip(&a_hi).map(|(lo, hi)| {
                        (lo + random.uniform() * (hi - lo)).clamp(*lo, *hi)
                    }).collect();
                    for (n, c) in in_order(inner, columns, &inside, &b).into_iter().enumerate() {
                        prop_assert!(lo[n] <= c && c <= hi[n]);
                    }
                }
                // The corner that one element asks for attains its bounds: there is no slack.
                for n in [0, rows * columns - 1] {
                    let corner = |low: bool| -> Vec<f32> {
                        (0..rows * inner).map(|at| {
                            let positive = b[at % inner * columns + n % columns] >= 0.0;
                            if positive == low { a_lo[at] } else { a_hi[at] }
                        }).collect()
                    };
                    prop_assert_eq!(in_order(inner, columns, &corner(true), &b)[n], lo[n]);
                    prop_assert_eq!(in_order(inner, columns, &corner(false), &b)[n], hi[n]);
                }
            }
        }
    }
}
