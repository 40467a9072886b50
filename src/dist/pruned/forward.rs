//! Finite p: distances from the coordinates that count.
//!
//! For each group and weight row: the exact largest coordinate m of every sample, as at p = ∞; then S = Σ (|x − w|/m)^p
//! over the coordinates within a factor t of m, and y = m·S^(1/p). What is left out is less than 2^−bits of S.

use super::super::Shape;
use super::super::norms::{LogExp, SplitExponent};
use super::super::pool::Pool;
use super::super::shared::SharedMut;
use super::super::simd::{FlushSubnormals, Kernel, Lanes, Simd};
use super::candidates::{List, least_of_vectors};
use super::choice::Counts;
use super::groups::{Groups, MOST_VECTORS, Packed, Rows};
use super::largest::{Bounds, Spans, seek, write_outputs};
use super::outputs::Outputs;
use super::ratio_power::{Form, RatioPower, with_ratio_form};

/// Weight rows one task treats.
const OUTPUTS: usize = 16;
/// Keeps the bounds on the safe side of their rounding.
const SLACK: f32 = 1.0 - 1e-6;

/// What a backward pass needs of the forward pass, for each group and weight row.
#[derive(Default)]
pub(super) struct Saved {
    /// m of each lane, [groups, O, lanes].
    pub m: Vec<f32>,
    /// 4/m of each lane.
    pub four_over_m: Vec<f32>,
    /// S^(1/p − 1) of each lane: the gradient is g·this·(|x − w|/m)^(p−1). 0 where m = 0.
    pub factor: Vec<f32>,
    /// What counts within each vector, [groups, O, stride].
    pub thresholds: Vec<f32>,
}

impl Saved {
    pub(super) fn resize(&mut self, packed: &Packed, outputs: usize) {
        let pairs = packed.groups.count * outputs;
        for lanes in [&mut self.m, &mut self.four_over_m, &mut self.factor] {
            lanes.resize(pairs * packed.groups.lanes, 0.0);
        }
        self.thresholds.resize(pairs * packed.groups.stride, 0.0);
    }

    /// Becomes what `from` is, for some samples of its groups alone, which lie in `packed`. `threshold` is t.
    #[allow(clippy::too_many_arguments)] // where from, and where to
    pub(super) fn select(
        &mut self,
        pool: &Pool,
        simd: Simd,
        threshold: f32,
        packed: &Packed,
        outputs: usize,
        (from, groups): (&Saved, Groups),
        samples: &[u32],
    ) {
        self.resize(packed, outputs);
        let Groups { count, lanes, stride, .. } = packed.groups;
        let [m, four_over_m, factor, thresholds] =
            [&mut self.m, &mut self.four_over_m, &mut self.factor, &mut self.thresholds].map(|all| SharedMut::new(all));
        let blocks = outputs.div_ceil(OUTPUTS);
        pool.run(count * blocks, |task| {
            let _flush = FlushSubnormals::enter();
            let (group, first) = (task / blocks, task % blocks * OUTPUTS);
            let theirs = packed.groups.samples(group);
            // The lanes that are left repeat the last sample, as its values do.
            let places: Vec<(usize, usize)> = (0..lanes)
                .map(|lane| groups.place(samples[(theirs.start + lane).min(theirs.end - 1)] as usize))
                .map(|(group, lane)| (group * outputs * groups.lanes, lane))
                .collect();
            for o in first..(first + OUTPUTS).min(outputs) {
                let pair = group * outputs + o;
                // SAFETY: each group and block of outputs belongs to one task.
                let [m, four_over_m, factor] =
                    unsafe { [&m, &four_over_m, &factor].map(|all| all.part(pair * lanes..(pair + 1) * lanes)) };
                for (from, to) in [(&from.m, &mut *m), (&from.four_over_m, four_over_m), (&from.factor, factor)] {
                    for (to, (start, lane)) in to.iter_mut().zip(&places) {
                        *to = from[start + o * groups.lanes + lane];
                    }
                }
                // SAFETY: as above.
                let thresholds = unsafe { thresholds.part(pair * stride..(pair + 1) * stride) };
                simd.run(Thresholds { groups: packed.groups, m, factor: threshold * SLACK, thresholds });
            }
        });
    }
}

/// [`least_of_vectors`]
struct Thresholds<'a> {
    groups: Groups,
    m: &'a [f32],
    factor: f32,
    thresholds: &'a mut [f32],
}

impl Kernel for Thresholds<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        least_of_vectors(s, self.groups, self.m, self.factor, self.thresholds);
    }
}

/// The operands of a forward pass.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub shape: Shape,
    pub p: f64,
    pub power: &'a RatioPower,
    /// t: terms below t·m are dropped.
    pub threshold: f32,
    pub packed: &'a Packed,
    pub w: &'a [f32],
}

/// y [B, O], and what the backward pass needs.
pub(super) fn forward(pool: &Pool, simd: Simd, operands: Operands, y: &mut [f32], saved: &mut Saved) {
    let Operands { shape, packed, .. } = operands;
    saved.resize(packed, shape.outputs);
    let [m, four_over_m, factor, thresholds] =
        [&mut saved.m, &mut saved.four_over_m, &mut saved.factor, &mut saved.thresholds].map(|all| SharedMut::new(all));
    let y = SharedMut::new(y);
    let blocks = shape.outputs.div_ceil(OUTPUTS);
    pool.run(packed.groups.count * blocks, |task| {
        let _flush = FlushSubnormals::enter();
        let (group, first) = (task / blocks, task % blocks * OUTPUTS);
        let outputs = Outputs::block(first, (first + OUTPUTS).min(shape.outputs));
        let pairs = group * shape.outputs + first..group * shape.outputs + first + outputs.len();
        let part = |each: usize| pairs.start * each..pairs.end * each;
        let (lanes, stride) = (packed.groups.lanes, packed.groups.stride);
        // SAFETY: each group and block of outputs belongs to one task.
        let to = unsafe {
            Pairs {
                m: m.part(part(lanes)),
                four_over_m: four_over_m.part(part(lanes)),
                factor: factor.part(part(lanes)),
                thresholds: thresholds.part(part(stride)),
            }
        };
        run(simd, operands, group, outputs, to, Some(&y));
    });
}

/// What the forward pass of a few pairs (group, output) meets, without its results.
pub(super) fn count(simd: Simd, operands: Operands, group: usize, outputs: Outputs) -> Counts {
    let _flush = FlushSubnormals::enter();
    let groups = operands.packed.groups;
    let mut places = vec![0.0; outputs.len() * (3 * groups.lanes + groups.stride)];
    let (m, rest) = places.split_at_mut(outputs.len() * groups.lanes);
    let (four_over_m, rest) = rest.split_at_mut(m.len());
    let (factor, thresholds) = rest.split_at_mut(m.len());
    run(simd, operands, group, outputs, Pairs { m, four_over_m, factor, thresholds }, None)
}

fn run(
    simd: Simd,
    operands: Operands,
    group: usize,
    outputs: Outputs,
    to: Pairs,
    y: Option<&SharedMut<f32>>,
) -> Counts {
    with_ratio_form!(operands.power.form, TERMS, SQUARINGS => {
        simd.run(Forward::<TERMS, SQUARINGS> { operands, group, outputs, to, y })
    })
}

/// The part of [`Saved`] that a task fills.
struct Pairs<'a> {
    m: &'a mut [f32],
    four_over_m: &'a mut [f32],
    factor: &'a mut [f32],
    thresholds: &'a mut [f32],
}

struct Forward<'a, const TERMS: usize, const SQUARINGS: u32> {
    operands: Operands<'a>,
    group: usize,
    outputs: Outputs,
    to: Pairs<'a>,
    /// Where distances go. Without, terms are counted.
    y: Option<&'a SharedMut<'a, f32>>,
}

impl<const TERMS: usize, const SQUARINGS: u32> Kernel for Forward<'_, TERMS, SQUARINGS> {
    type Output = Counts;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> Counts {
        let Forward { operands, group, outputs, to, y } = self;
        let Operands { shape, p, power, threshold, packed, w } = operands;
        let (groups, ends, values) = (packed.groups, packed.ends(group), packed.values(group));
        let spans = Spans { high: values, low: values };
        let (lanes, stride) = (groups.lanes, groups.stride);
        let constants = power.constants(s);
        let bounds = Bounds { inner: ends, outer: ends };
        let mut list = List::reaching(shape.inputs);
        let mut distances = vec![0.0; outputs.len() * lanes];
        let mut counts = Counts::default();
        for (row, o) in outputs.iter().enumerate() {
            let w = &w[o * shape.inputs..][..shape.inputs];
            let m = &mut to.m[row * lanes..][..lanes];
            let four_over_m = &mut to.four_over_m[row * lanes..][..lanes];
            let thresholds = &mut to.thresholds[row * stride..][..stride];
            counts.pairs += 1;
            counts.largest += seek::<S, true>(s, bounds, spans, w, &mut list, m);
            invert(s, m, four_over_m);
            least_of_vectors(s, groups, m, threshold * SLACK, thresholds);
            let least = thresholds[..groups.vectors].iter().fold(f32::INFINITY, |least, t| least.min(*t));
            list.collect(s, ends, 0, w, least);
            counts.candidates += list.len();
            counts.vectors += list.narrow(s, packed, group, w, thresholds);
            counts.narrowed += list.len();

            let mut sums = [s.splat(0.0); MOST_VECTORS];
            let zero = s.splat(0.0);
            for of in list.vectors() {
                let (i, vector) = (of.coordinate(), of.vector());
                let at = vector * S::N;
                debug_assert!(i < w.len() && at + S::N <= lanes);
                // SAFETY: i is below the number of inputs and the vector one of the group, as all of lists are.
                let (weight, x, m, over) = unsafe {
                    (
                        s.splat(*w.get_unchecked(i)),
                        s.load(values.as_ptr().add(i * lanes + at)),
                        s.load(m.as_ptr().add(at)),
                        s.load(four_over_m.as_ptr().add(at)),
                    )
                };
                let (term, counted) = constants.power::<TERMS, SQUARINGS>(s, s.abs(s.sub(x, weight)), m, over);
                let sum = &mut sums[vector];
                *sum = s.add(*sum, s.select(counted, term, zero));
                if y.is_none() {
                    counts.terms += s.bits(counted).count_ones() as usize;
                }
            }

            let log_exp = LogExp::new(s);
            let root = SplitExponent::new(1.0 / p);
            let (factor, distances) = (&mut to.factor[row * lanes..][..lanes], &mut distances[row * lanes..][..lanes]);
            for (vector, sum) in sums.iter().enumerate().take(groups.vectors) {
                // The largest term is 1, so a smaller sum is rounding.
                let sum = s.max(*sum, s.splat(1.0));
                let (fraction, exponent) = log_exp.power(s, sum, 0.0, root, 0.0);
                let root = s.scale(fraction, exponent);
                let place = vector * S::N;
                // SAFETY: a vector of the group.
                unsafe {
                    let m = s.load(m.as_ptr().add(place));
                    s.store(distances.as_mut_ptr().add(place), s.mul(m, root));
                    let factor_of = s.select(s.eq(m, zero), zero, s.div(root, sum));
                    s.store(factor.as_mut_ptr().add(place), factor_of);
                }
            }
        }
        if let Some(y) = y {
            // SAFETY: y is [B, O]; each group and block of outputs belongs to one task.
            unsafe {
                let rows = Rows { groups, group, vector: 0 };
                write_outputs(s, rows, outputs, shape.outputs, &distances, y.as_mut_ptr());
            }
        }
        counts
    }
}

/// 4/m, and 0 for m = 0, all of whose differences then count as terms of a sum that is multiplied by 0.
#[inline(always)]
fn invert<S: Lanes>(s: S, m: &[f32], four_over_m: &mut [f32]) {
    assert_eq!(m.len(), four_over_m.len());
    let zero = s.splat(0.0);
    for place in (0..m.len()).step_by(S::N) {
        // SAFETY: both are whole vectors of one length.
        unsafe {
            let m = s.load(m.as_ptr().add(place));
            let over = s.select(s.eq(m, zero), zero, s.div(s.splat(4.0), m));
            s.store(four_over_m.as_mut_ptr().add(place), over);
        }
    }
}
