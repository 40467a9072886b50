//! Bounds of an interval at p = ∞, from the coordinates that can decide them.

use super::super::Shape;
use super::super::pool::Pool;
use super::super::shared::SharedMut;
use super::super::simd::{Kernel, Lanes, Simd};
use super::candidates::List;
use super::choice::Counts;
use super::groups::{Ends, Packed, Rows};
use super::largest::{Bounds, Spans, seek, write_outputs};
use super::outputs::Outputs;

/// Weight rows one task treats.
const OUTPUTS: usize = 32;

/// out_lo and out_hi [B, O] of boxes packed from lo and hi, equal to what the dense kernel gives (zeros may differ in sign).
///
/// Both are maxima over the coordinates, of max(lo − w, w − hi) and of max(hi − w, w − lo); the ends of the group bound
/// each.
#[allow(clippy::too_many_arguments)] // two boxes in, two out
pub(super) fn interval(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    lo: &Packed,
    hi: &Packed,
    w: &[f32],
    out_lo: &mut [f32],
    out_hi: &mut [f32],
) {
    let (out_lo, out_hi) = (SharedMut::new(out_lo), SharedMut::new(out_hi));
    let blocks = shape.outputs.div_ceil(OUTPUTS);
    pool.run(lo.groups.count * blocks, |task| {
        let (group, first) = (task / blocks, task % blocks * OUTPUTS);
        let outputs = Outputs::block(first, (first + OUTPUTS).min(shape.outputs));
        simd.run(Interval { shape, lo, hi, group, outputs, w, to: Some([&out_lo, &out_hi]) });
    });
}

/// Coordinates that can decide either bound, over a few pairs (group, output).
pub(super) fn count(
    simd: Simd,
    shape: Shape,
    lo: &Packed,
    hi: &Packed,
    group: usize,
    outputs: Outputs,
    w: &[f32],
) -> Counts {
    let largest = simd.run(Interval { shape, lo, hi, group, outputs, w, to: None });
    Counts { pairs: 2 * outputs.len(), largest, candidates: largest, ..Counts::default() }
}

struct Interval<'a> {
    shape: Shape,
    lo: &'a Packed,
    hi: &'a Packed,
    group: usize,
    outputs: Outputs,
    w: &'a [f32],
    /// Where the bounds go.
    to: Option<[&'a SharedMut<'a, f32>; 2]>,
}

impl Kernel for Interval<'_> {
    /// The number of coordinates looked at.
    type Output = usize;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> usize {
        let Interval { shape, lo, hi, group, outputs, w, to } = self;
        let groups = lo.groups;
        let (lo_ends, hi_ends) = (lo.ends(group), hi.ends(group));
        let (lo, hi) = (lo.values(group), hi.values(group));
        let mut list = List::reaching(shape.inputs);
        // The maximum of max(high − w, w − low) is at least that of max(min high − w, w − max low).
        let nearest = (
            Ends { highest: hi_ends.highest, lowest: lo_ends.lowest },
            Ends { highest: lo_ends.highest, lowest: hi_ends.lowest },
            Spans { high: lo, low: hi },
        );
        let farthest = (nearest.1, nearest.0, Spans { high: hi, low: lo });
        let mut looked_at = 0;
        for (side, (inner, outer, spans)) in [nearest, farthest].into_iter().enumerate() {
            let mut largest = vec![0.0; outputs.len() * groups.lanes];
            for (row, o) in outputs.iter().enumerate() {
                let w = &w[o * shape.inputs..][..shape.inputs];
                let largest = &mut largest[row * groups.lanes..][..groups.lanes];
                looked_at += seek::<S, false>(s, Bounds { inner, outer }, spans, w, &mut list, largest);
            }
            let Some(to) = to else { continue };
            // SAFETY: both results are [B, O]; each group and block of outputs belongs to one task.
            unsafe {
                let rows = Rows { groups, group, vector: 0 };
                write_outputs(s, rows, outputs, shape.outputs, &largest, to[side].as_mut_ptr());
            }
        }
        looked_at
    }
}
