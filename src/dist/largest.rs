//! p = ∞: distance and index of the largest coordinate, the scatter of its gradient, and the bounds of an interval.
//!
//! Every value is the exact IEEE result of the f32 operations x − w, |·|, max; nothing here flushes subnormals.

use super::Shape;
use super::pool::Pool;
use super::powers::{Largest, Term};
use super::scatter::scatter;
use super::shared::SharedMut;
use super::simd::{Kernel, Lanes, Simd};
use super::tiles::{Block, MOST_ROWS, combine, for_blocks, rows, sweep};
use std::hint::black_box;

/// Vectors of inputs in a section: the largest coordinate is looked for in the one section that holds it.
const SECTION: usize = 8;

/// Set in a saved index where x − w is negative.
pub(super) const NEGATIVE: u32 = 1 << 31;

/// y [B, O], and where wanted the first index of the largest coordinate with its sign.
pub(super) fn forward(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    index: Option<&mut [u32]>,
) {
    let y = SharedMut::new(y);
    let index = index.map(SharedMut::new);
    for_blocks(pool, shape, |block| simd.run(Forward { shape, block, x, w, y: &y, index: index.as_ref() }));
}

struct Forward<'a> {
    shape: Shape,
    block: Block,
    x: &'a [f32],
    w: &'a [f32],
    y: &'a SharedMut<'a, f32>,
    index: Option<&'a SharedMut<'a, u32>>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Forward { shape, block, x, w, y, index } = self;
        match index {
            None => sweep(s, Largest, shape, &block, x, w, y),
            Some(index) => sweep_with_index(s, shape, &block, x, w, y, index),
        }
    }
}

/// The sweep of the maxima, in sections of the inputs. A pair remembers the first section that attains its maximum, and
/// when its tile is done and still in the first-level cache, the first index is found there.
#[inline(always)]
fn sweep_with_index<S: Lanes>(
    s: S,
    shape: Shape,
    block: &Block,
    x: &[f32],
    w: &[f32],
    y: &SharedMut<f32>,
    index: &SharedMut<u32>,
) {
    let inputs = shape.inputs;
    let one = Largest.constants(s);
    let (last_sample, last_output) = (block.samples.end - 1, block.outputs.end - 1);
    for b in block.samples.clone().step_by(S::ROWS) {
        let x_rows: [_; MOST_ROWS] = rows(x, inputs, b, last_sample);
        for o in block.outputs.clone().step_by(4) {
            let w_rows: [_; 4] = rows(w, inputs, o, last_output);
            let (mut largest, mut section) = ([[0f32; 4]; MOST_ROWS], [[0u32; 4]; MOST_ROWS]);
            let mut start = 0;
            while start < inputs {
                let len = (SECTION * S::N).min(inputs - start);
                // SAFETY: `inputs − start` ≥ `len` floats are left in each row.
                let tile = unsafe {
                    combine::<S, Largest>(s, &one, x_rows.map(|x| x.add(start)), w_rows.map(|w| w.add(start)), len)
                };
                for row in 0..S::ROWS {
                    let four = s.max4(tile[row]);
                    let (largest, section) = (&mut largest[row], &mut section[row]);
                    for column in 0..4 {
                        // Only where it is exceeded: of equal maxima the first counts.
                        let higher = four[column] > largest[column];
                        section[column] = if higher { start as u32 } else { section[column] };
                        largest[column] = if higher { four[column] } else { largest[column] };
                    }
                }
                start += len;
            }
            let columns = 4.min(block.outputs.end - o);
            for row in 0..S::ROWS.min(block.samples.end - b) {
                let pairs = (b + row) * shape.outputs + o..(b + row) * shape.outputs + o + columns;
                // SAFETY: tasks have disjoint blocks, so nobody else has these pairs.
                let (y, index) = unsafe { (y.part(pairs.clone()), index.part(pairs)) };
                let x = &x[(b + row) * inputs..][..inputs];
                for column in 0..columns {
                    let w = &w[(o + column) * inputs..][..inputs];
                    y[column] = largest[row][column];
                    index[column] = first_index(s, x, w, section[row][column] as usize, largest[row][column]);
                }
            }
        }
    }
}

/// The first index from `start` on, in one section, where |x − w| is `largest`, with the sign of x − w; `start` where
/// there is none (a NaN row).
#[inline(always)]
fn first_index<S: Lanes>(s: S, x: &[f32], w: &[f32], start: usize, largest: f32) -> u32 {
    let (left, target) = (x.len() - start, s.splat(largest));
    let mut bits = 0u128;
    if left >= SECTION * S::N {
        for v in 0..SECTION {
            let at = start + v * S::N;
            // SAFETY: at + N ≤ start + SECTION · N ≤ the length of both rows.
            let (x, w) = unsafe { (s.load(x.as_ptr().add(at)), s.load(w.as_ptr().add(at))) };
            bits |= u128::from(s.bits(s.eq(s.abs(s.sub(x, w)), target))) << (v * S::N);
        }
    } else {
        for first in (0..left).step_by(S::N) {
            let n = S::N.min(left - first);
            let at = start + first;
            // SAFETY: n floats are left in both rows.
            let (x, w) = unsafe { (s.load_first(x.as_ptr().add(at), n), s.load_first(w.as_ptr().add(at), n)) };
            let equal = s.bits(s.eq(s.abs(s.sub(x, w)), target)) & ((1 << n) - 1);
            bits |= u128::from(equal) << first;
        }
    }
    let found = start + if bits == 0 { 0 } else { bits.trailing_zeros() as usize };
    let sign = if x[found] - w[found] < 0.0 { NEGATIVE } else { 0 };
    found as u32 | sign
}

/// Scatters g [B, O] by the saved indices: dx gains ±g, dw loses it.
pub(super) fn backward(
    pool: &Pool,
    shape: Shape,
    index: &[u32],
    g: &[f32],
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
) {
    scatter(pool, shape, &[1.0], index, g, dx, dw);
}

/// Bounds [B, O] of intervals lo, hi [B, I], as [`super::interval`] defines them.
#[allow(clippy::too_many_arguments)] // two boxes in, two out
pub(super) fn interval(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    lo: &[f32],
    hi: &[f32],
    w: &[f32],
    out_lo: &mut [f32],
    out_hi: &mut [f32],
) {
    let (out_lo, out_hi) = (SharedMut::new(out_lo), SharedMut::new(out_hi));
    for_blocks(pool, shape, |block| simd.run(Interval { shape, block, lo, hi, w, out_lo: &out_lo, out_hi: &out_hi }));
}

struct Interval<'a> {
    shape: Shape,
    block: Block,
    lo: &'a [f32],
    hi: &'a [f32],
    w: &'a [f32],
    out_lo: &'a SharedMut<'a, f32>,
    out_hi: &'a SharedMut<'a, f32>,
}

impl Kernel for Interval<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Interval { shape, block, lo, hi, w, out_lo, out_hi } = self;
        let one = s.splat(black_box(1.0));
        let last_output = block.outputs.end - 1;
        for b in block.samples {
            let (lo, hi) = (&lo[b * shape.inputs..][..shape.inputs], &hi[b * shape.inputs..][..shape.inputs]);
            for o in block.outputs.clone().step_by(4) {
                let mut rows = [std::ptr::null(); 4];
                for (column, row) in rows.iter_mut().enumerate() {
                    *row = w[(o + column).min(last_output) * shape.inputs..][..shape.inputs].as_ptr();
                }
                let (mut nearest, mut farthest) = ([s.splat(0.0); 4], [s.splat(0.0); 4]);
                let mut i = 0;
                while i < shape.inputs {
                    let n = S::N.min(shape.inputs - i);
                    // SAFETY: n floats are left in each row.
                    let (l, u) = unsafe { (s.load_first(lo.as_ptr().add(i), n), s.load_first(hi.as_ptr().add(i), n)) };
                    for column in 0..4 {
                        // SAFETY: as above.
                        let w = unsafe { s.load_first(rows[column].add(i), n) };
                        // w − u is −fl(u − w) to the bit: rounding to nearest is symmetric.
                        let (above, below) = (s.diff(one, l, w), s.diff(one, w, u));
                        nearest[column] = s.max(nearest[column], s.max(above, below));
                        farthest[column] = s.max_abs(s.max_abs(farthest[column], above), below);
                    }
                    i += n;
                }
                let columns = 4.min(block.outputs.end - o);
                let start = b * shape.outputs + o;
                // SAFETY: tasks have disjoint blocks, so nobody else has these pairs.
                let (lowest, highest) =
                    unsafe { (out_lo.part(start..start + columns), out_hi.part(start..start + columns)) };
                lowest.copy_from_slice(&s.max4(nearest)[..columns]);
                highest.copy_from_slice(&s.max4(farthest)[..columns]);
            }
        }
    }
}
