//! Gradients at finite p from the coordinates that count, found again by the bounds of the forward pass.
//!
//! A task owns some columns of x, w, dx and dw and walks all groups and weight rows. Every sum is in the order of the
//! outputs (dx) or of the groups, coordinates and vectors (dw), whatever the columns are cut into.

use super::super::Shape;
use super::super::cache_lines;
use super::super::finite::{lift, power_of_two};
use super::super::pool::Pool;
use super::super::shared::SharedMut;
use super::super::simd::{FlushSubnormals, Kernel, Lanes, Simd};
use super::candidates::List;
use super::forward::Saved;
use super::groups::{Packed, Rows};
use super::ratio_power::{Form, RatioPower, with_ratio_form};
use std::ops::Range;

/// Floats of a cache line: columns are cut between lines, so that no two tasks write to one.
const LINE: usize = cache_lines::LINE / size_of::<f32>();
/// The columns of a task: enough to spread what each pair costs whatever counts in it, few enough for x and dx of one group to
/// stay in the second-level cache.
const COLUMNS: Range<usize> = 2 * LINE..16 * LINE;

/// The operands of a backward pass.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub shape: Shape,
    /// The power p − 1.
    pub power: &'a RatioPower,
    pub packed: &'a Packed,
    pub saved: &'a Saved,
    pub w: &'a [f32],
    pub g: &'a [f32],
}

/// dx [B, I] and dw [O, I]. `coefficients` is working memory.
pub(super) fn backward(
    pool: &Pool,
    simd: Simd,
    operands: Operands,
    coefficients: &mut Vec<f32>,
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
) {
    let shape = operands.shape;
    let lift = lift(operands.g);
    pack_coefficients(pool, simd, operands, power_of_two(lift), coefficients);
    let (dx, dw) = (dx.map(SharedMut::new), dw.map(SharedMut::new));
    let each = shape.inputs.div_ceil(2 * pool.threads()).clamp(COLUMNS.start, COLUMNS.end).next_multiple_of(LINE);
    pool.run(shape.inputs.div_ceil(each), |task| {
        let _flush = FlushSubnormals::enter();
        let columns = task * each..((task + 1) * each).min(shape.inputs);
        let (dx, dw) = (dx.as_ref(), dw.as_ref());
        with_ratio_form!(operands.power.form, TERMS, SQUARINGS => {
            simd.run(Columns::<TERMS, SQUARINGS> { operands, columns, coefficients, unlift: power_of_two(-lift), dx, dw });
        });
    });
}

/// c = 2^lift·g·S^(1/p − 1) of each lane, [groups, O, lanes]; 0 where a lane repeats a sample.
fn pack_coefficients(pool: &Pool, simd: Simd, operands: Operands, factor: f32, coefficients: &mut Vec<f32>) {
    const OUTPUTS: usize = 64;
    let Operands { shape, packed, .. } = operands;
    coefficients.resize(packed.groups.count * shape.outputs * packed.groups.lanes, 0.0);
    let to = SharedMut::new(coefficients);
    let blocks = shape.outputs.div_ceil(OUTPUTS);
    pool.run(packed.groups.count * blocks, |task| {
        let _flush = FlushSubnormals::enter();
        let (group, first) = (task / blocks, task % blocks * OUTPUTS);
        let outputs = first..(first + OUTPUTS).min(shape.outputs);
        simd.run(PackCoefficients { operands, group, outputs, factor, to });
    });
}

struct PackCoefficients<'a> {
    operands: Operands<'a>,
    group: usize,
    outputs: Range<usize>,
    factor: f32,
    to: SharedMut<'a, f32>,
}

impl Kernel for PackCoefficients<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let PackCoefficients { operands: Operands { shape, packed, saved, g, .. }, group, outputs, factor, to } = self;
        let groups = packed.groups;
        let lanes = groups.lanes;
        let pairs = group * shape.outputs + outputs.start..group * shape.outputs + outputs.end;
        let places = pairs.start * lanes..pairs.end * lanes;
        let factors = &saved.factor[places.clone()];
        // SAFETY: each group and block of outputs belongs to one task.
        let to = unsafe { to.part(places) };
        let factor = s.splat(factor);
        assert_eq!(g.len(), shape.batch * shape.outputs);
        for at in (0..outputs.len()).step_by(S::N) {
            let n = S::N.min(outputs.len() - at);
            for vector in 0..groups.vectors {
                let rows = Rows { groups, group, vector };
                // SAFETY: g is [B, O], and the n outputs lie below O.
                let square = unsafe { rows.load(s, g.as_ptr(), shape.outputs, outputs.start + at, n) };
                let square = s.transpose(square);
                for row in 0..n {
                    let place = (at + row) * lanes + vector * S::N;
                    let (from, to) = (&factors[place..place + S::N], &mut to[place..place + S::N]);
                    // SAFETY: N floats each.
                    unsafe { s.store(to.as_mut_ptr(), s.mul(s.mul(square[row], factor), s.load(from.as_ptr()))) };
                }
            }
        }
        let samples = groups.samples(group).len();
        for row in to.chunks_exact_mut(lanes) {
            row[samples..].fill(0.0);
        }
    }
}

struct Columns<'a, const TERMS: usize, const SQUARINGS: u32> {
    operands: Operands<'a>,
    columns: Range<usize>,
    coefficients: &'a [f32],
    unlift: f32,
    dx: Option<&'a SharedMut<'a, f32>>,
    dw: Option<&'a SharedMut<'a, f32>>,
}

impl<const TERMS: usize, const SQUARINGS: u32> Kernel for Columns<'_, TERMS, SQUARINGS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Columns { operands, columns, coefficients, unlift, dx, dw } = self;
        let Operands { shape, power, packed, saved, w, .. } = operands;
        let Shape { inputs, outputs, .. } = shape;
        let groups = packed.groups;
        let (lanes, stride) = (groups.lanes, groups.stride);
        assert!(coefficients.len() == saved.m.len() && saved.m.len() == groups.count * outputs * lanes);
        assert!(saved.four_over_m.len() == saved.m.len() && w.len() == inputs * outputs);
        let zero = s.splat(0.0);
        let constants = power.constants(s);
        let mut list = List::new(columns.len());
        // dx of one group, [columns, lanes], and a vector of sums for each dw of one weight row.
        let mut dx_of_group = vec![0.0; columns.len().next_multiple_of(S::N) * lanes];
        let mut dw_of_row = vec![0.0; columns.len() * S::N];
        for group in 0..groups.count {
            let (ends, values) = (packed.ends(group), packed.values(group));
            assert_eq!(values.len(), inputs * lanes);
            dx_of_group.fill(0.0);
            let (dx_columns, dw_columns) = (dx_of_group.as_mut_ptr(), dw_of_row.as_mut_ptr());
            for o in 0..outputs {
                let pair = group * outputs + o;
                let w = &w[o * inputs..][..inputs];
                let place = o * inputs + columns.start;
                // SAFETY: this task owns these columns of dw.
                let mut dw = dw.map(|dw| unsafe { dw.part(place..place + columns.len()) });
                if let (0, Some(dw)) = (group, &mut dw) {
                    dw.fill(0.0);
                }
                let thresholds = &saved.thresholds[pair * stride..][..stride];
                let least = thresholds[..groups.vectors].iter().fold(f32::INFINITY, |least, t| least.min(*t));
                list.collect(s, ends, columns.start, &w[columns.clone()], least);
                list.narrow(s, packed, group, w, thresholds);
                let [m, four_over_m, c] =
                    [&saved.m, &saved.four_over_m, coefficients].map(|all| all[pair * lanes..][..lanes].as_ptr());
                for of in list.vectors() {
                    let (i, at) = (of.coordinate(), of.vector() * S::N);
                    let column = i - columns.start;
                    debug_assert!(column < columns.len() && at + S::N <= lanes);
                    // SAFETY: i is one of the columns and the vector one of the group, as all of the list are.
                    unsafe {
                        let d = s.sub(s.load(values.as_ptr().add(i * lanes + at)), s.splat(*w.get_unchecked(i)));
                        let (m, over, c) = (s.load(m.add(at)), s.load(four_over_m.add(at)), s.load(c.add(at)));
                        let (slope, counted) = constants.power::<TERMS, SQUARINGS>(s, s.abs(d), m, over);
                        let slope = s.select(counted, s.copysign(slope, d), zero);
                        for to in [dx_columns.add(column * lanes + at), dw_columns.add(column * S::N)] {
                            s.store(to, s.add_shared(c, slope, s.load(to)));
                        }
                    }
                }
                let Some(dw) = dw else { continue };
                for four in list.coordinates().chunks(4) {
                    let mut sums = [zero; 4];
                    for (sum, i) in sums.iter_mut().zip(four) {
                        // SAFETY: i is one of the columns.
                        unsafe {
                            let from = dw_columns.add((*i as usize - columns.start) * S::N);
                            *sum = s.load(from);
                            s.store(from, zero);
                        }
                    }
                    for (sum, i) in s.sum4(sums).into_iter().zip(four) {
                        dw[*i as usize - columns.start] -= sum * unlift;
                    }
                }
            }
            let Some(dx) = dx else { continue };
            let factor = s.splat(unlift);
            for at in (0..columns.len()).step_by(S::N) {
                let n = S::N.min(columns.len() - at);
                for vector in 0..groups.vectors {
                    let mut square = s.square();
                    for column in 0..S::N {
                        let from = &dx_of_group[(at + column) * lanes + vector * S::N..][..S::N];
                        // SAFETY: N floats.
                        square[column] = s.mul(unsafe { s.load(from.as_ptr()) }, factor);
                    }
                    let rows = Rows { groups, group, vector };
                    // SAFETY: dx is [B, I]; this task owns these columns of it.
                    unsafe { rows.store(s, s.transpose(square), dx.as_mut_ptr(), inputs, columns.start + at, n) };
                }
            }
        }
    }
}
