//! Gradients at finite p: dx and dw in one pass.
//!
//! A task owns one vector of input columns of x, w, dx and dw, and walks all pairs (sample, output): each slope is
//! computed once, where additions are fused up to its last product, and added to dx and to −dw. The order of the
//! additions is fixed by the shape alone.

use super::Shape;
use super::norms::NormSlope;
use super::pool::Pool;
use super::powers::Slope;
use super::shared::SharedMut;
use super::simd::{FlushSubnormals, Kernel, Lanes, Simd};

/// Samples whose columns of x and dx stay in the first-level cache.
const SAMPLES: usize = 256;

/// A pair whose slopes are computed by logarithm, apart from the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SlowPair {
    pub sample: usize,
    pub output: usize,
    /// g·S^(−(p−1)/p), m and 1/m of the pair.
    pub values: [f32; 3],
}

/// What a backward pass multiplies its slopes by: up to three values a pair, packed in the order the pass reads them.
#[derive(Debug, Default)]
pub(super) struct PairValues {
    data: Vec<f32>,
    /// Length of each of the value arrays.
    each: usize,
    group: usize,
    batch: usize,
}

impl PairValues {
    /// Makes room, all zero, for `values` numbers a pair, read in groups of `group` outputs.
    pub(super) fn reset(&mut self, shape: Shape, values: usize, group: usize) {
        self.each = shape.outputs.div_ceil(group) * group * shape.batch;
        self.group = group;
        self.batch = shape.batch;
        self.data.clear();
        self.data.resize(self.each * values, 0.0);
    }

    /// One mutable view for all tasks of a loop.
    pub(super) fn writer(&mut self) -> PairWriter<'_> {
        PairWriter { each: self.each, group: self.group, batch: self.batch, data: SharedMut::new(&mut self.data) }
    }
}

/// Writes the values of pairs from several tasks.
pub(super) struct PairWriter<'a> {
    data: SharedMut<'a, f32>,
    each: usize,
    group: usize,
    batch: usize,
}

impl PairWriter<'_> {
    /// Writes one value of each of a few outputs of a sample, all in one group.
    ///
    /// # Safety
    /// No two tasks write values of the same pair.
    #[inline(always)]
    pub(super) unsafe fn set(&self, sample: usize, first: usize, value: usize, to: &[f32]) {
        let within = first % self.group;
        assert!(within + to.len() <= self.group, "{} outputs from {first} on are not in one group", to.len());
        let place = value * self.each + (first / self.group * self.batch + sample) * self.group + within;
        // SAFETY: the caller's promise; the bounds are checked.
        unsafe { self.data.part(place..place + to.len()) }.copy_from_slice(to);
    }
}

/// A backward pass of any slope.
pub(super) struct Backward<'a, T> {
    pub shape: Shape,
    pub slope: T,
    /// p − 1, for the slow pairs.
    pub q: f32,
    pub x: &'a [f32],
    pub w: &'a [f32],
    pub values: &'a PairValues,
    /// Factor of x and w, a power of two.
    pub prescale: f32,
    /// Factor of the results, a power of two.
    pub unscale: f32,
    /// Sorted by sample, then output.
    pub slow: &'a [SlowPair],
}

/// The outputs a pass of this instruction set holds in registers.
pub(super) fn group_size(simd: Simd) -> usize {
    struct Size;
    impl Kernel for Size {
        type Output = usize;
        #[inline(always)]
        fn run<S: Lanes>(self, _s: S) -> usize {
            S::GROUP
        }
    }
    simd.run(Size)
}

impl<T: Slope> Backward<'_, T> {
    pub(super) fn run(&self, pool: &Pool, simd: Simd, dx: Option<&mut [f32]>, dw: Option<&mut [f32]>) {
        let (dx, dw) = (dx.map(SharedMut::new), dw.map(SharedMut::new));
        let columns = self.shape.inputs.div_ceil(simd.lanes());
        pool.run(columns, |column| {
            let _flush = FlushSubnormals::enter();
            match &dx {
                Some(_) => simd.run(Columns::<T, true> { pass: self, column, dx: dx.as_ref(), dw: dw.as_ref() }),
                None => simd.run(Columns::<T, false> { pass: self, column, dx: None, dw: dw.as_ref() }),
            }
        });
    }
}

struct Columns<'a, T, const DX: bool> {
    pass: &'a Backward<'a, T>,
    column: usize,
    dx: Option<&'a SharedMut<'a, f32>>,
    dw: Option<&'a SharedMut<'a, f32>>,
}

impl<T: Slope, const DX: bool> Kernel for Columns<'_, T, DX> {
    type Output = ();
    const SHARES: bool = true;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Columns { pass, column, dx, dw } = self;
        let Shape { batch, inputs, outputs } = pass.shape;
        let start = column * S::N;
        let n = S::N.min(inputs - start);
        let zero = s.splat(0.0);
        let prescale = s.splat(pass.prescale);
        let (unscale, minus_unscale) = (s.splat(pass.unscale), s.splat(-pass.unscale));
        let constants = pass.slope.constants(s);
        let x = pass.x[..batch * inputs].as_ptr();
        let w = pass.w[..outputs * inputs].as_ptr();
        assert!(pass.values.data.len() >= T::VALUES * pass.values.each && pass.values.group == S::GROUP);
        assert!(pass.values.each == outputs.div_ceil(S::GROUP) * S::GROUP * batch);
        let mut x_columns = [zero; SAMPLES];
        let mut dx_columns = [zero; SAMPLES];
        for first in (0..batch).step_by(SAMPLES) {
            let samples = SAMPLES.min(batch - first);
            for q in 0..samples {
                // SAFETY: n floats are left in row first + q < batch.
                x_columns[q] = s.mul(unsafe { s.load_first(x.add((first + q) * inputs + start), n) }, prescale);
                dx_columns[q] = zero;
            }
            for group in 0..outputs.div_ceil(S::GROUP) {
                let row = |j: usize| (group * S::GROUP + j).min(outputs - 1) * inputs + start;
                let mut weights = s.group();
                for j in 0..S::GROUP {
                    // SAFETY: n floats are left in a row below `outputs`.
                    weights[j] = s.mul(unsafe { s.load_first(w.add(row(j)), n) }, prescale);
                    s.prefetch(w.wrapping_add(row(S::GROUP + j)));
                }
                let values = pass.values.data[(group * batch + first) * S::GROUP..].as_ptr();
                let mut sums = s.group();
                for q in 0..samples {
                    let (mut even, mut odd) = (if DX { dx_columns[q] } else { zero }, zero);
                    for four in (0..S::GROUP).step_by(4) {
                        let (mut d, mut pairs) = ([zero; 4], [[zero; 3]; 4]);
                        for k in 0..4 {
                            let j = four + k;
                            for (value, pair) in pairs[k].iter_mut().enumerate().take(T::VALUES) {
                                // SAFETY: (group, first + q, j) is one of `each` places of each value.
                                *pair = s.splat(unsafe { *values.add(value * pass.values.each + q * S::GROUP + j) });
                            }
                            d[k] = s.sub(x_columns[q], weights[j]);
                        }
                        let slopes = T::slope4(s, &constants, d, pairs);
                        for (k, [a, b]) in slopes.into_iter().enumerate() {
                            if DX {
                                if k % 2 == 0 { even = s.add_shared(a, b, even) } else { odd = s.add_shared(a, b, odd) }
                            }
                            sums[four + k] = s.add_shared(a, b, sums[four + k]);
                        }
                    }
                    if DX {
                        dx_columns[q] = s.add(even, odd);
                    }
                }
                let Some(dw) = dw else { continue };
                for j in 0..S::GROUP.min(outputs - group * S::GROUP) {
                    let place = dw.as_mut_ptr().wrapping_add(row(j));
                    // SAFETY: this task owns these columns of dw, n floats in a row below `outputs`.
                    unsafe {
                        let before = if first == 0 { zero } else { s.load_first(place, n) };
                        s.store_first(place, n, s.fma(sums[j], minus_unscale, before));
                    }
                }
            }
            let from = pass.slow.partition_point(|pair| pair.sample < first);
            let to = pass.slow.partition_point(|pair| pair.sample < first + samples);
            if from < to {
                let constants = NormSlope { q: pass.q }.constants(s);
                for pair in &pass.slow[from..to] {
                    let q = pair.sample - first;
                    let place = pair.output * inputs + start;
                    // SAFETY: n floats are left in both rows.
                    let (x, w) = unsafe {
                        (s.load_first(x.add(pair.sample * inputs + start), n), s.load_first(w.add(place), n))
                    };
                    let values = [s.splat(pair.values[0]), s.splat(pair.values[1]), s.splat(pair.values[2])];
                    let [a, b] = NormSlope::slope(s, &constants, s.sub(x, w), values);
                    dx_columns[q] = s.fma(a, b, dx_columns[q]);
                    if let Some(dw) = dw {
                        let place = dw.as_mut_ptr().wrapping_add(place);
                        // SAFETY: this task owns these columns of dw; they were written above.
                        unsafe {
                            let before = s.load_first(place, n);
                            s.store_first(place, n, s.fma(s.mul(a, minus_unscale), b, before));
                        }
                    }
                }
            }
            let Some(dx) = dx else { continue };
            for (q, sum) in dx_columns.iter().enumerate().take(samples) {
                let place = dx.as_mut_ptr().wrapping_add((first + q) * inputs + start);
                // SAFETY: this task owns these columns of dx, n floats in row first + q < batch.
                unsafe { s.store_first(place, n, s.mul(*sum, unscale)) };
            }
        }
    }
}
