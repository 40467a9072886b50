//! The sort neuron (Zhang et al., "Rethinking Lipschitz neural networks and certified robustness", NeurIPS 2022): a
//! weighted sum of the largest differences, y[b, o] = Σ_k c_k·|x_b − w_o|₍ₖ₎ with |·|₍₁₎ ≥ |·|₍₂₎ ≥ …
//!
//! The differences and their order are exact; the sum is s ← fl(s + fl(c_k·|·|₍ₖ₎)) for k = 1, 2, …, the same IEEE
//! operations on every machine. Each is monotone as c_k ≥ 0, so the same operations at the ends of a box enclose the
//! program's own results, rounding included.

use super::Shape;
use super::largest::NEGATIVE;
use super::pool::Pool;
use super::scatter::scatter;
use super::shared::SharedMut;
use super::simd::{Kernel, Lanes, Simd};
use super::tiles::{Block, for_blocks};
use std::hint::black_box;

/// The most differences that count: further ones would weigh less than ρ¹⁰ (the papers' truncation).
const MOST: usize = 10;

/// The weights c₁ ≥ c₂ ≥ … ≥ 0 of the largest differences.
#[derive(Debug, Clone, PartialEq)]
pub struct SortProfile {
    weights: Vec<f32>,
}

impl SortProfile {
    /// c_k = q·ρ^(k−1) / (1 − ρ^K) with ρ = 1 − q, for k = 1 … K = min(10, inputs): the mean of the maximum when every
    /// input is kept with probability q (arXiv 2210.01787 §4.2), cut off and scaled to Σ c_k = 1.
    ///
    /// # Panics
    /// If q is not in (0, 1], or there are no inputs.
    pub fn geometric(keep: f64, inputs: usize) -> SortProfile {
        assert!(keep > 0.0 && keep <= 1.0, "the share that is kept must be above 0 and up to 1, not {keep}");
        assert!(inputs > 0, "a neuron needs inputs");
        let (count, rho) = (inputs.min(MOST), 1.0 - keep);
        let norm = 1.0 - rho.powi(count as i32);
        SortProfile { weights: (0..count).map(|k| (keep * rho.powi(k as i32) / norm) as f32).collect() }
    }

    /// c₁, c₂, …: at most 10.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The program's sum, in its order.
    fn sum(&self, largest: &[f32]) -> f32 {
        self.weights.iter().zip(largest).fold(0.0, |sum, (weight, value)| sum + weight * value)
    }

    fn check(&self, shape: Shape) {
        assert!(self.weights.len() <= shape.inputs, "{} weights for {} inputs", self.weights.len(), shape.inputs);
    }
}

/// The sort neurons of one layer, with what their gradient needs.
pub struct SortOp {
    simd: Simd,
    shape: Shape,
    profile: SortProfile,
    /// [B, O, K]: the coordinates of the largest differences, first indices first where they are equal.
    index: Vec<u32>,
}

impl SortOp {
    /// An op without workspace yet.
    pub fn new(simd: Simd, profile: SortProfile) -> SortOp {
        SortOp { simd, shape: Shape { batch: 0, inputs: 0, outputs: 0 }, profile, index: Vec::new() }
    }

    /// y [B, O] of x [B, I] and w [O, I], all row-major, the exact result of the f32 program. `keep` says that a
    /// backward pass follows; it needs K numbers a pair.
    ///
    /// # Panics
    /// If a length does not fit `shape`, or the profile has more weights than there are inputs.
    pub fn forward(&mut self, pool: &Pool, shape: Shape, x: &[f32], w: &[f32], y: &mut [f32], keep: bool) {
        shape.check(x, w, y);
        self.profile.check(shape);
        self.shape = shape;
        self.index.resize(if keep { y.len() * self.profile.weights.len() } else { 0 }, 0);
        let index = keep.then(|| SharedMut::new(&mut self.index));
        let y = SharedMut::new(y);
        let (simd, profile) = (self.simd, &self.profile);
        for_blocks(pool, shape, |block| {
            let pass = Pass { shape, block, values: Point { x, inputs: shape.inputs }, w, profile, y, index };
            simd.run(pass);
        });
    }

    /// Gradients of the last `forward(keep = true)` for the upstream gradient g [B, O]: the k-th largest difference has
    /// c_k times its sign (+1 for a difference of 0). `dx` [B, I] and `dw` [O, I] are overwritten.
    ///
    /// # Panics
    /// If a length does not fit, or the last forward pass kept nothing.
    pub fn backward(&self, pool: &Pool, g: &[f32], dx: Option<&mut [f32]>, dw: Option<&mut [f32]>) {
        let Shape { batch, inputs, outputs } = self.shape;
        assert!(!self.index.is_empty(), "backward without a forward pass that keeps");
        assert_eq!(g.len(), batch * outputs, "g must be [B, O] of {:?}", self.shape);
        assert!(dx.as_ref().is_none_or(|dx| dx.len() == batch * inputs), "dx must be [B, I] of {:?}", self.shape);
        assert!(dw.as_ref().is_none_or(|dw| dw.len() == outputs * inputs), "dw must be [O, I] of {:?}", self.shape);
        scatter(pool, self.shape, &self.profile.weights, &self.index, g, dx, dw);
    }
}

/// Bounds of the sort neurons over all inputs with lo ≤ x ≤ hi, for the f32 program itself: the largest of
/// max(0, fl(lᵢ − wᵢ), fl(wᵢ − uᵢ)) and of max(|fl(lᵢ − wᵢ)|, |fl(uᵢ − wᵢ)|), summed as [`SortOp::forward`] sums.
///
/// `lo`, `hi` are [B, I], `w` is [O, I], `out_lo`, `out_hi` are [B, O].
///
/// # Panics
/// If a length does not fit `shape`, or the profile has more weights than there are inputs.
#[allow(clippy::too_many_arguments)] // two boxes in, two out
pub fn sort_interval(
    pool: &Pool,
    simd: Simd,
    profile: &SortProfile,
    shape: Shape,
    lo: &[f32],
    hi: &[f32],
    w: &[f32],
    out_lo: &mut [f32],
    out_hi: &mut [f32],
) {
    shape.check(lo, w, out_lo);
    shape.check(hi, w, out_hi);
    profile.check(shape);
    debug_assert!(lo.iter().zip(hi).all(|(lo, hi)| lo <= hi), "an interval is empty");
    let (out_lo, out_hi) = (SharedMut::new(out_lo), SharedMut::new(out_hi));
    let boxes = Boxes { lo, hi, inputs: shape.inputs };
    for_blocks(pool, shape, |block| {
        let near = Nearest(boxes);
        simd.run(Pass { shape, block: block.clone(), values: near, w, profile, y: out_lo, index: None });
        simd.run(Pass { shape, block, values: Farthest(boxes), w, profile, y: out_hi, index: None });
    });
}

/// What is sorted: a number ≥ 0 for every coordinate of a pair. Both functions give the same bits.
trait Values: Copy + Sync {
    /// # Safety
    /// n ≤ N coordinates are left from `i` in row `b`.
    unsafe fn lanes<S: Lanes>(&self, s: S, one: S::V, b: usize, i: usize, n: usize, w: S::V) -> S::V;
    fn one(&self, b: usize, i: usize, w: f32) -> f32;
    /// x − w < 0, where there is one x.
    fn is_negative(&self, b: usize, i: usize, w: f32) -> bool;
}

/// |x − w|.
#[derive(Clone, Copy)]
struct Point<'a> {
    x: &'a [f32],
    inputs: usize,
}

impl Values for Point<'_> {
    #[inline(always)]
    unsafe fn lanes<S: Lanes>(&self, s: S, one: S::V, b: usize, i: usize, n: usize, w: S::V) -> S::V {
        // SAFETY: the caller's promise.
        let x = unsafe { s.load_first(self.x.as_ptr().add(b * self.inputs + i), n) };
        s.abs(s.diff(one, x, w))
    }

    #[inline(always)]
    fn one(&self, b: usize, i: usize, w: f32) -> f32 {
        (self.x[b * self.inputs + i] - w).abs()
    }

    #[inline(always)]
    fn is_negative(&self, b: usize, i: usize, w: f32) -> bool {
        self.x[b * self.inputs + i] - w < 0.0
    }
}

/// The boxes lo ≤ x ≤ hi, [B, I].
#[derive(Clone, Copy)]
struct Boxes<'a> {
    lo: &'a [f32],
    hi: &'a [f32],
    inputs: usize,
}

impl Boxes<'_> {
    /// Both ends of the first n coordinates from `i` on in row `b`.
    ///
    /// # Safety
    /// n ≤ N coordinates are left there.
    #[inline(always)]
    unsafe fn load<S: Lanes>(&self, s: S, b: usize, i: usize, n: usize) -> (S::V, S::V) {
        let at = b * self.inputs + i;
        // SAFETY: the caller's promise; lo and hi have one length.
        unsafe { (s.load_first(self.lo.as_ptr().add(at), n), s.load_first(self.hi.as_ptr().add(at), n)) }
    }

    #[inline(always)]
    fn ends(&self, b: usize, i: usize) -> (f32, f32) {
        (self.lo[b * self.inputs + i], self.hi[b * self.inputs + i])
    }
}

/// The least |x − w| of the box.
#[derive(Clone, Copy)]
struct Nearest<'a>(Boxes<'a>);

impl Values for Nearest<'_> {
    #[inline(always)]
    unsafe fn lanes<S: Lanes>(&self, s: S, one: S::V, b: usize, i: usize, n: usize, w: S::V) -> S::V {
        // SAFETY: the caller's promise.
        let (l, u) = unsafe { self.0.load(s, b, i, n) };
        s.max(s.max(s.diff(one, l, w), s.diff(one, w, u)), s.splat(0.0))
    }

    #[inline(always)]
    fn one(&self, b: usize, i: usize, w: f32) -> f32 {
        let (lo, hi) = self.0.ends(b, i);
        (lo - w).max(w - hi).max(0.0)
    }

    #[inline(always)]
    fn is_negative(&self, _b: usize, _i: usize, _w: f32) -> bool {
        false
    }
}

/// The greatest |x − w| of the box.
#[derive(Clone, Copy)]
struct Farthest<'a>(Boxes<'a>);

impl Values for Farthest<'_> {
    #[inline(always)]
    unsafe fn lanes<S: Lanes>(&self, s: S, one: S::V, b: usize, i: usize, n: usize, w: S::V) -> S::V {
        // SAFETY: the caller's promise.
        let (l, u) = unsafe { self.0.load(s, b, i, n) };
        s.max(s.abs(s.diff(one, l, w)), s.abs(s.diff(one, u, w)))
    }

    #[inline(always)]
    fn one(&self, b: usize, i: usize, w: f32) -> f32 {
        let (lo, hi) = self.0.ends(b, i);
        (lo - w).abs().max((hi - w).abs())
    }

    #[inline(always)]
    fn is_negative(&self, _b: usize, _i: usize, _w: f32) -> bool {
        false
    }
}

struct Pass<'a, T> {
    shape: Shape,
    block: Block,
    values: T,
    w: &'a [f32],
    profile: &'a SortProfile,
    y: SharedMut<'a, f32>,
    index: Option<SharedMut<'a, u32>>,
}

/// Outputs that share the loads of a sample.
const COLUMNS: usize = 4;

impl<T: Values> Kernel for Pass<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Pass { shape, block, values, w, profile, y, index } = self;
        let count = profile.weights.len();
        let last_output = block.outputs.end - 1;
        for b in block.samples {
            for o in block.outputs.clone().step_by(COLUMNS) {
                let mut rows = [&w[..0]; COLUMNS];
                for (column, row) in rows.iter_mut().enumerate() {
                    *row = &w[(o + column).min(last_output) * shape.inputs..][..shape.inputs];
                }
                let maxima = lane_maxima(s, &values, b, rows);
                for (column, maxima) in maxima.iter().enumerate().take(block.outputs.end - o) {
                    let mut least = Best::new(count);
                    for &value in &maxima[..2 * S::N] {
                        least.offer(value, 0);
                    }
                    let best = at_least(s, &values, b, rows[column], least.last(), Best::new(count));
                    let pair = b * shape.outputs + o + column;
                    // SAFETY: tasks have disjoint blocks, so nobody else has this pair.
                    let y = unsafe { y.part(pair..pair + 1) };
                    y[0] = profile.sum(&best.value);
                    if let Some(index) = &index {
                        // SAFETY: as above.
                        let index = unsafe { index.part(pair * count..(pair + 1) * count) };
                        for (to, &i) in index.iter_mut().zip(&best.index) {
                            let negative = values.is_negative(b, i as usize, rows[column][i as usize]);
                            *to = i | if negative { NEGATIVE } else { 0 };
                        }
                    }
                }
            }
        }
    }
}

/// The largest value of each lane, of the even and of the odd vectors: the maxima of 2N disjoint sets of coordinates,
/// so that the K-th largest of them is no more than the K-th largest value.
#[inline(always)]
fn lane_maxima<S: Lanes, T: Values>(s: S, values: &T, b: usize, rows: [&[f32]; COLUMNS]) -> [[f32; 32]; COLUMNS] {
    let one = s.splat(black_box(1.0));
    let mut tile = [[s.splat(0.0); COLUMNS]; 2];
    let inputs = rows[0].len();
    let mut i = 0;
    while i < inputs {
        for largest in &mut tile {
            // Beyond the end nothing is loaded: all lanes are 0.
            let (at, n) = (i.min(inputs), S::N.min(inputs.saturating_sub(i)));
            for (largest, row) in largest.iter_mut().zip(rows) {
                // SAFETY: n floats are left from `at` in the row, and in row b of the values.
                let value = unsafe {
                    let w = s.load_first(row.as_ptr().add(at), n);
                    values.lanes(s, one, b, at, n, w)
                };
                *largest = s.max(*largest, value);
            }
            i += S::N;
        }
    }
    let mut maxima = [[0.0; 32]; COLUMNS];
    for (column, to) in maxima.iter_mut().enumerate() {
        to[..S::N].copy_from_slice(&s.lanes(tile[0][column])[..S::N]);
        to[S::N..2 * S::N].copy_from_slice(&s.lanes(tile[1][column])[..S::N]);
    }
    maxima
}

/// Offers every value ≥ `threshold` in the order of the coordinates.
#[inline(always)]
fn at_least<S: Lanes, T: Values>(s: S, values: &T, b: usize, w: &[f32], threshold: f32, mut best: Best) -> Best {
    const VECTORS: usize = 4;
    let one = s.splat(black_box(1.0));
    let limit = s.splat(threshold);
    let mut start = 0;
    while start < w.len() {
        let mut bits = 0u64;
        for v in 0..VECTORS {
            let at = (start + v * S::N).min(w.len());
            let n = S::N.min(w.len() - at);
            // SAFETY: n floats are left from `at` in the row, and in row b of the values.
            let value = unsafe { values.lanes(s, one, b, at, n, s.load_first(w.as_ptr().add(at), n)) };
            // Lanes beyond the end are 0 and may reach a threshold of 0: they do not exist.
            bits |= (u64::from(s.bits(s.ge(value, limit))) & ((1 << n) - 1)) << (v * S::N);
        }
        while bits != 0 {
            let i = start + bits.trailing_zeros() as usize;
            best.offer(values.one(b, i, w[i]), i as u32);
            bits &= bits - 1;
        }
        start += VECTORS * S::N;
    }
    best
}

/// The largest values offered so far, largest first; of equal ones the first offered.
struct Best {
    value: [f32; MOST],
    index: [u32; MOST],
    count: usize,
}

impl Best {
    #[inline(always)]
    fn new(count: usize) -> Best {
        Best { value: [-1.0; MOST], index: [0; MOST], count }
    }

    #[inline(always)]
    fn offer(&mut self, value: f32, index: u32) {
        let mut place = self.count;
        while place > 0 && value > self.value[place - 1] {
            place -= 1;
        }
        if place < self.count {
            self.value.copy_within(place..self.count - 1, place + 1);
            self.index.copy_within(place..self.count - 1, place + 1);
            (self.value[place], self.index[place]) = (value, index);
        }
    }

    #[inline(always)]
    fn last(&self) -> f32 {
        self.value[self.count - 1]
    }
}

#[cfg(test)]
mod tests;
