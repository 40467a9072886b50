//! Finite p: from sums of powers to distances, and from saved sums to the coefficients of the gradients.
//!
//! The sweep computes S = 2^height · Σ (2^shift · |x − w|)^p for all pairs with one shift for the layer. Pairs whose S
//! comes near the ends of the f32 range are done over by logarithm ("slow pairs"): always right, rarely needed.

use super::Shape;
use super::backward::{PairValues, PairWriter, SlowPair};
use super::norms::{LogExp, SplitExponent, norms4};
use super::pool::Pool;
use super::powers::Largest;
use super::shared::SharedMut;
use super::simd::{FlushSubnormals, Kernel, Lanes, Simd};
use super::tiles::{Block, sweep};
use std::sync::{Mutex, PoisonError};

/// Greatest exponent of a sum that is used; the f32 range ends at 127.
const HIGHEST: i32 = 120;
/// Least exponent of a sum that is used: terms below 2⁻¹²⁶ are flushed, and must not be missed in the sum.
const LOWEST: i32 = -90;
/// Where the largest sum of the sampled rows is put.
const TARGET: i32 = 100;
/// Greatest and least exponent of (2^shift·y)^(p−1) in a backward pass.
const STEEPEST: i32 = 110;
const FLATTEST: i32 = -100;
/// Doublings of |d| that a table of powers covers.
const TABLE_OCTAVES: f64 = 16.0;
/// Rows looked at to choose the shift.
const SAMPLED_ROWS: usize = 4;

/// How sums relate to distances: S = 2^height · Σ (2^shift · |x − w|)^p.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaling {
    pub shift: i32,
    pub height: i32,
    /// S outside of this range is not to be trusted.
    pub trusted: [f32; 2],
}

/// Least and greatest of the largest differences, 0 aside, between a few rows of the batch and all weights. A pure
/// function of x and w.
pub(super) fn sample_range(pool: &Pool, simd: Simd, shape: Shape, x: &[f32], w: &[f32]) -> (f32, f32) {
    struct Sample<'a> {
        shape: Shape,
        x: &'a [f32],
        w: &'a [f32],
        out: SharedMut<'a, f32>,
        block: Block,
    }
    impl Kernel for Sample<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Lanes>(self, s: S) {
            sweep(s, Largest, self.shape, &self.block, self.x, self.w, &self.out);
        }
    }
    const OUTPUTS: usize = 64;
    let rows = SAMPLED_ROWS.min(shape.batch);
    let mut sampled = Vec::with_capacity(rows * shape.inputs);
    for row in 0..rows {
        sampled.extend_from_slice(&x[row * shape.batch / rows * shape.inputs..][..shape.inputs]);
    }
    let mut largest = vec![0.0; rows * shape.outputs];
    let out = SharedMut::new(&mut largest);
    let shape = Shape { batch: rows, ..shape };
    pool.run(shape.outputs.div_ceil(OUTPUTS), |task| {
        let outputs = task * OUTPUTS..(task * OUTPUTS + OUTPUTS).min(shape.outputs);
        simd.run(Sample { shape, x: &sampled, w, out, block: Block { samples: 0..rows, outputs } });
    });
    largest
        .iter()
        .filter(|m| m.is_finite() && **m > 0.0)
        .fold((f32::MAX, 0.0), |(least, greatest), &m| (m.min(least), m.max(greatest)))
}

impl Scaling {
    /// For products of whole powers: no shift where the sampled sums are well inside the range without.
    pub(super) fn whole(p: u32, inputs: usize, (least, greatest): (f32, f32)) -> Scaling {
        let p = f64::from(p);
        let inputs = (inputs as f64).log2();
        let trusted = [f64::from(LOWEST).exp2() as f32, f64::from(HIGHEST).exp2() as f32];
        let exponent = |d: f32| p * f64::from(d).log2();
        let fits = exponent(greatest) + inputs <= f64::from(TARGET) && exponent(least) >= f64::from(LOWEST + 20);
        let shift = if fits || greatest == 0.0 {
            0
        } else {
            ((f64::from(TARGET) - inputs) / p - f64::from(greatest).log2()).floor().clamp(-60.0, 60.0) as i32
        };
        Scaling { shift, height: 0, trusted }
    }

    /// For a table of powers that ends a little above the sampled differences.
    pub(super) fn table(p: f64, inputs: usize, (_, greatest): (f32, f32)) -> Scaling {
        const MARGIN: f64 = 1.25;
        let end = 1 + (f64::from(greatest.max(f32::MIN_POSITIVE)) * MARGIN).log2().floor().clamp(-100.0, 120.0) as i32;
        let inputs = (inputs as f64).log2().ceil();
        let height = TARGET - inputs as i32;
        // Differences below the table count as its smallest; all of them together must vanish in the sum.
        let floor = f64::from(height) - TABLE_OCTAVES * p + inputs + 24.0;
        let lowest = floor.max(f64::from(LOWEST)).exp2() as f32;
        Scaling { shift: -end, height, trusted: [lowest, 0.99 * f64::from(height).exp2() as f32] }
    }
}

/// A pair that was done by logarithm: d = m·S^(1/p).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exception {
    pub pair: usize,
    pub m: f32,
    pub sum: f32,
}

/// Turns the sums [B, O] into distances y, doing over what is out of range. Returns the pairs done over, in order,
/// and the greatest distance. Their sums become 0.
#[allow(clippy::too_many_arguments)] // the operands of a layer
pub(super) fn finish(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    p: f64,
    scaling: Scaling,
    x: &[f32],
    w: &[f32],
    sums: &mut [f32],
    y: &mut [f32],
) -> (Vec<Exception>, f32) {
    const ROWS: usize = 16;
    let found = Mutex::new((Vec::new(), 0f32));
    let (sums, y) = (SharedMut::new(sums), SharedMut::new(y));
    pool.run(shape.batch.div_ceil(ROWS), |task| {
        let _flush = FlushSubnormals::enter();
        let mut mine = (Vec::new(), 0f32);
        for sample in task * ROWS..(task * ROWS + ROWS).min(shape.batch) {
            let row = sample * shape.outputs..(sample + 1) * shape.outputs;
            // SAFETY: each row belongs to one task.
            let (sums, y) = unsafe { (sums.part(row.clone()), y.part(row)) };
            let x = &x[sample * shape.inputs..][..shape.inputs];
            simd.run(FinishRow {
                shape,
                p,
                scaling,
                sample,
                x,
                w,
                sums,
                y,
                exceptions: &mut mine.0,
                greatest: &mut mine.1,
            });
        }
        let mut all = found.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.append(&mut mine.0);
        all.1 = all.1.max(mine.1);
    });
    let (mut exceptions, greatest) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    exceptions.sort_unstable_by_key(|exception| exception.pair);
    (exceptions, greatest)
}

struct FinishRow<'a> {
    shape: Shape,
    p: f64,
    scaling: Scaling,
    sample: usize,
    x: &'a [f32],
    w: &'a [f32],
    sums: &'a mut [f32],
    y: &'a mut [f32],
    exceptions: &'a mut Vec<Exception>,
    greatest: &'a mut f32,
}

impl Kernel for FinishRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let FinishRow { shape, p, scaling, sample, x, w, sums, y, exceptions, greatest } = self;
        let log_exp = LogExp::new(s);
        let root = SplitExponent::new(1.0 / p);
        let (lowest, highest) = (s.splat(scaling.trusted[0]), s.splat(scaling.trusted[1]));
        let offset = -scaling.height as f32;
        let mut largest = s.splat(0.0);
        for o in (0..shape.outputs).step_by(S::N) {
            let n = S::N.min(shape.outputs - o);
            // SAFETY: n floats are left in the row.
            let sum = unsafe { s.load_first(sums.as_ptr().add(o), n) };
            let trusted = s.bits(s.ge(sum, lowest)) & s.bits(s.ge(highest, sum));
            let (factor, exponent) = log_exp.power(s, sum, offset, root, -f64::from(scaling.shift));
            let distance = s.scale(factor, exponent);
            // SAFETY: as above.
            unsafe { s.store_first(y.as_mut_ptr().add(o), n, distance) };
            let doubtful = !trusted & ((1 << n) - 1);
            if doubtful == 0 {
                // SAFETY: as above. Read back so that the lanes beyond n are 0.
                largest = s.max(largest, unsafe { s.load_first(y.as_ptr().add(o), n) });
                continue;
            }
            for group in (0..n).step_by(4) {
                let outputs: [usize; 4] = std::array::from_fn(|k| (o + group + k).min(shape.outputs - 1));
                let wanted = doubtful >> group & 15;
                if wanted == 0 {
                    continue;
                }
                let rows = outputs.map(|o| w[o * shape.inputs..][..shape.inputs].as_ptr());
                // SAFETY: each pointer starts a row of `inputs` floats.
                let (m, sum) = unsafe { norms4(s, &log_exp, p as f32, x.as_ptr(), rows, shape.inputs) };
                for k in (0..4).filter(|k| wanted >> k & 1 == 1) {
                    y[outputs[k]] = distance_of(s, &log_exp, m[k], sum[k], root);
                    sums[outputs[k]] = 0.0;
                    exceptions.push(Exception { pair: sample * shape.outputs + outputs[k], m: m[k], sum: sum[k] });
                }
            }
            // SAFETY: as above.
            largest = s.max(largest, unsafe { s.load_first(y.as_ptr().add(o), n) });
        }
        *greatest = greatest.max(s.max4([largest; 4])[0]);
    }
}

/// m·S^(1/p)
#[inline(always)]
fn distance_of<S: Lanes>(s: S, log_exp: &LogExp<S>, m: f32, sum: f32, root: SplitExponent) -> f32 {
    let (factor, exponent) = log_exp.power(s, s.splat(sum), 0.0, root, 0.0);
    m * s.lanes(s.scale(factor, exponent))[0]
}

/// Distances of all pairs by logarithm; keeps m and S [B, O].
#[allow(clippy::too_many_arguments)] // the operands of a layer
pub(super) fn forward_by_norms(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    p: f64,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    m: &mut [f32],
    sums: &mut [f32],
) {
    let (y, m, sums) = (SharedMut::new(y), SharedMut::new(m), SharedMut::new(sums));
    super::tiles::for_blocks(pool, shape, |block| {
        let _flush = FlushSubnormals::enter();
        simd.run(NormBlock { shape, p, x, w, y, m, sums, block });
    });
}

struct NormBlock<'a> {
    shape: Shape,
    p: f64,
    x: &'a [f32],
    w: &'a [f32],
    y: SharedMut<'a, f32>,
    m: SharedMut<'a, f32>,
    sums: SharedMut<'a, f32>,
    block: Block,
}

impl Kernel for NormBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let NormBlock { shape, p, x, w, y, m, sums, block } = self;
        let log_exp = LogExp::new(s);
        let root = SplitExponent::new(1.0 / p);
        for sample in block.samples {
            let x = x[sample * shape.inputs..][..shape.inputs].as_ptr();
            for o in block.outputs.clone().step_by(4) {
                let outputs: [usize; 4] = std::array::from_fn(|k| (o + k).min(block.outputs.end - 1));
                let rows = outputs.map(|o| w[o * shape.inputs..][..shape.inputs].as_ptr());
                // SAFETY: each pointer starts a row of `inputs` floats.
                let (largest, sum) = unsafe { norms4(s, &log_exp, p as f32, x, rows, shape.inputs) };
                let count = 4.min(block.outputs.end - o);
                let pairs = sample * shape.outputs + o..sample * shape.outputs + o + count;
                // SAFETY: tasks have disjoint blocks, so nobody else has these pairs.
                let (y, m, sums) = unsafe { (y.part(pairs.clone()), m.part(pairs.clone()), sums.part(pairs)) };
                for k in 0..count {
                    (m[k], sums[k]) = (largest[k], sum[k]);
                    y[k] = distance_of(s, &log_exp, largest[k], sum[k], root);
                }
            }
        }
    }
}

/// What a layer's upstream gradient and saved sums become before a backward pass.
pub(super) struct Coefficients<'a> {
    pub shape: Shape,
    pub p: f64,
    pub g: &'a [f32],
    pub sums: &'a [f32],
    pub scaling: Scaling,
    pub exceptions: &'a [Exception],
}

/// How a backward pass scales differences and results.
#[derive(Debug, Clone, Copy)]
pub(super) struct BackwardScaling {
    /// Slopes are 2^height · (2^shift · |x − w|)^(p−1).
    pub shift: i32,
    pub height: i32,
    /// g is multiplied by 2^this, the results by its inverse.
    pub lift: i32,
}

impl BackwardScaling {
    /// For products of whole powers.
    pub(super) fn whole(p: f64, greatest: f32, g: &[f32]) -> BackwardScaling {
        let room = if p > 1.0 { f64::from(STEEPEST) / (p - 1.0) } else { 0.0 };
        // Down as far as the greatest difference asks for: pairs that are left out here are raised to the power as well, and
        // 0 times what overflows would be no number. Where there is no difference, nothing asks for a shift.
        let shift = match greatest {
            0.0 => 0,
            greatest => (room - f64::from(greatest).log2()).floor().clamp(-126.0, 60.0) as i32,
        };
        // Small powers have room to spare: no shift if none is needed.
        let exponent = (p - 1.0) * f64::from(greatest.max(f32::MIN_POSITIVE)).log2();
        let shift = if exponent.abs() < 40.0 && p <= 12.0 { 0 } else { shift };
        BackwardScaling { shift, height: 0, lift: lift(g) }
    }

    /// For a table of powers that ends above the greatest distance.
    pub(super) fn table(greatest: f32, g: &[f32]) -> BackwardScaling {
        let log = f64::from(greatest.max(f32::MIN_POSITIVE)).log2() + 1e-5;
        BackwardScaling { shift: -(1 + log.floor().clamp(-100.0, 120.0) as i32), height: STEEPEST, lift: lift(g) }
    }
}

/// The exponent that brings the greatest |g| near 1.
pub(super) fn lift(g: &[f32]) -> i32 {
    // By their bits, which the compiler vectorises.
    let greatest = f32::from_bits(g.iter().fold(0, |m, g| m.max(g.to_bits() & !(1 << 31))));
    if greatest > 0.0 { -f64::from(greatest).log2().floor().clamp(-100.0, 100.0) as i32 } else { 0 }
}

impl Coefficients<'_> {
    /// Packs c = 2^lift · g · y^(1−p) in the units of `to`, and returns the pairs that do not fit those, in order.
    pub(super) fn pack(
        &self,
        pool: &Pool,
        simd: Simd,
        to: BackwardScaling,
        table: bool,
        values: &mut PairValues,
    ) -> Vec<SlowPair> {
        const ROWS: usize = 16;
        let q = self.p - 1.0;
        // c = g·2^(−height)·(2^shift·y)^(1−p), where S^(1/p) is y in units of the forward pass's shift.
        let extra = q * f64::from(self.scaling.shift - to.shift) - f64::from(to.height);
        let mut flattest = FLATTEST;
        if table {
            // Differences below the table count as its smallest: nothing beside this power.
            flattest = flattest.max(to.height - (TABLE_OCTAVES * q) as i32 + 22);
        }
        let slow = Mutex::new(Vec::new());
        let writer = values.writer();
        pool.run(self.shape.batch.div_ceil(ROWS), |task| {
            let _flush = FlushSubnormals::enter();
            let mut mine = Vec::new();
            for sample in task * ROWS..(task * ROWS + ROWS).min(self.shape.batch) {
                simd.run(PackRow {
                    of: self,
                    sample,
                    extra,
                    lift: to.lift,
                    flattest,
                    writer: &writer,
                    slow: &mut mine,
                });
            }
            slow.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
        });
        let mut slow = slow.into_inner().unwrap_or_else(PoisonError::into_inner);
        slow.extend(self.exceptions.iter().map(|exception| {
            let scale = f64::from(exception.sum).powf(-q / self.p) as f32;
            let g = self.g[exception.pair] * power_of_two(to.lift);
            self.slow_pair(exception.pair, g * scale, exception.m)
        }));
        slow.retain(|pair| pair.values[1] > 0.0);
        slow.sort_unstable_by_key(|pair| (pair.sample, pair.output));
        slow
    }

    fn slow_pair(&self, pair: usize, c: f32, m: f32) -> SlowPair {
        let (sample, output) = (pair / self.shape.outputs, pair % self.shape.outputs);
        SlowPair { sample, output, values: [c, m, 1.0 / m] }
    }
}

/// 2^n for |n| ≤ 126.
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

struct PackRow<'a> {
    of: &'a Coefficients<'a>,
    sample: usize,
    extra: f64,
    lift: i32,
    flattest: i32,
    writer: &'a PairWriter<'a>,
    slow: &'a mut Vec<SlowPair>,
}

impl Kernel for PackRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let PackRow { of, sample, extra, lift, flattest, writer, slow } = self;
        let Shape { outputs, .. } = of.shape;
        let log_exp = LogExp::new(s);
        let exponent = SplitExponent::new(-(of.p - 1.0) / of.p);
        let root = SplitExponent::new(1.0 / of.p);
        let height = -of.scaling.height as f32;
        let row = sample * outputs;
        let (sums, g) = (&of.sums[row..row + outputs], &of.g[row..row + outputs]);
        for o in (0..outputs).step_by(S::N) {
            let n = S::N.min(outputs - o);
            // SAFETY: n floats are left in both rows.
            let (sum, g) = unsafe { (s.load_first(sums.as_ptr().add(o), n), s.load_first(g.as_ptr().add(o), n)) };
            let g = s.mul(g, s.splat(power_of_two(lift)));
            let (factor, scale) = log_exp.power(s, sum, height, exponent, extra);
            let flat = s.bits(s.ge(scale, s.splat(-flattest as f32)));
            let mut c = s.lanes(s.mul(g, s.scale(factor, s.min(scale, s.splat(120.0)))));
            for (lane, c) in c.iter_mut().enumerate().take(n) {
                let pair = row + o + lane;
                if of.sums[pair] == 0.0 {
                    // Done by logarithm in the forward pass, and again now.
                    *c = 0.0;
                } else if flat >> lane & 1 == 1 {
                    let (factor, scale) = log_exp.power(s, sum, height, root, -f64::from(of.scaling.shift));
                    slow.push(of.slow_pair(pair, s.lanes(g)[lane], s.lanes(s.scale(factor, scale))[lane]));
                    *c = 0.0;
                }
            }
            for first in (0..n).step_by(S::GROUP) {
                // SAFETY: each row belongs to one task.
                unsafe { writer.set(sample, o + first, 0, &c[first..n.min(first + S::GROUP)]) };
            }
        }
    }
}

/// Packs (c, m, 1/m) of all pairs for slopes by logarithm.
pub(super) fn pack_norms(
    pool: &Pool,
    shape: Shape,
    p: f64,
    g: &[f32],
    m: &[f32],
    sums: &[f32],
    values: &mut PairValues,
) {
    const ROWS: usize = 16;
    let exponent = -(p - 1.0) / p;
    let writer = values.writer();
    pool.run(shape.batch.div_ceil(ROWS), |task| {
        for sample in task * ROWS..(task * ROWS + ROWS).min(shape.batch) {
            for output in 0..shape.outputs {
                let pair = sample * shape.outputs + output;
                if m[pair] > 0.0 {
                    let c = g[pair] * f64::from(sums[pair]).powf(exponent) as f32;
                    for (value, to) in [c, m[pair], 1.0 / m[pair]].into_iter().enumerate() {
                        // SAFETY: each row belongs to one task.
                        unsafe { writer.set(sample, output, value, &[to]) };
                    }
                }
            }
        }
    });
}
