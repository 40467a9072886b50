//! p = ∞: the largest coordinate among those that can be it, to the bit what the dense kernels find.

use super::super::Shape;
use super::super::largest::NEGATIVE;
use super::super::pool::Pool;
use super::super::shared::SharedMut;
use super::super::simd::{Kernel, Lanes, Simd};
use super::candidates::{List, least, least_maximum, least_of_vectors};
use super::choice::Counts;
use super::groups::{Ends, Groups, Packed, Rows};
use super::outputs::Outputs;

/// Weight rows one task treats.
const OUTPUTS: usize = 32;

/// The values [I, lanes] of a group whose maximum is sought: max(high − w, w − low) in each coordinate.
#[derive(Clone, Copy)]
pub(super) struct Spans<'a> {
    pub high: &'a [f32],
    pub low: &'a [f32],
}

/// Where the first go begins between the bounds of the maximum: 0.3 to 0.4 leave the fewest coordinates to both.
const FIRST: f32 = 0.35;
/// Fewer coordinates are not worth a second go.
const FEW: usize = 16;

/// The ends of a group: the inner ones bound its maxima from below, the outer ones from above. Of points both are the same.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub inner: Ends<'a>,
    pub outer: Ends<'a>,
}

/// Writes max_i max(high − w, w − low, 0) over all coordinates to `out` [lanes], and leaves those that may be it in the list, with
/// their reach. Returns at how many it looked.
///
/// Those that reach farthest come first; what they attain in every lane spares most of the others.
#[inline(always)]
pub(super) fn seek<S: Lanes, const POINT: bool>(
    s: S,
    bounds: Bounds,
    spans: Spans,
    w: &[f32],
    list: &mut List,
    out: &mut [f32],
) -> usize {
    let least_maximum = least_maximum(s, bounds.inner, w);
    list.collect_reach(s, bounds.outer, w, least_maximum);
    out.fill(0.0);
    if list.len() < FEW {
        maxima::<S, POINT>(s, spans, w, list.coordinates(), out);
        return list.len();
    }
    let far = least_maximum + FIRST * (list.farthest(s) - least_maximum);
    let first = list.part(s, far, None);
    let looked_at = first.len();
    maxima::<S, POINT>(s, spans, w, first, out);
    let rest = list.part(s, least(s, out), Some(far));
    maxima::<S, POINT>(s, spans, w, rest, out);
    looked_at + rest.len()
}

/// Raises `out` [lanes] to max_i max(high − w, w − low, 0) over the coordinates in the list. With `POINT`, high and low
/// are one.
#[inline(always)]
fn maxima<S: Lanes, const POINT: bool>(s: S, spans: Spans, w: &[f32], list: &[u32], out: &mut [f32]) {
    let vectors = out.len() / S::N;
    let mut vector = 0;
    while vector + 8 <= vectors {
        maxima_of::<S, POINT, 8>(s, spans, w, list, vector, out);
        vector += 8;
    }
    while vector + 2 <= vectors {
        maxima_of::<S, POINT, 2>(s, spans, w, list, vector, out);
        vector += 2;
    }
    if vector < vectors {
        maxima_of::<S, POINT, 1>(s, spans, w, list, vector, out);
    }
}

#[inline(always)]
fn maxima_of<S: Lanes, const POINT: bool, const VECTORS: usize>(
    s: S,
    spans: Spans,
    w: &[f32],
    list: &[u32],
    vector: usize,
    out: &mut [f32],
) {
    let lanes = out.len();
    let Spans { high, low } = spans;
    assert!(high.len() == w.len() * lanes && low.len() == w.len() * lanes && (vector + VECTORS) * S::N <= lanes);
    let mut largest = [s.splat(0.0); VECTORS];
    for (k, largest) in largest.iter_mut().enumerate() {
        // SAFETY: a vector below `lanes`.
        *largest = unsafe { s.load(out.as_ptr().add((vector + k) * S::N)) };
    }
    for &i in list {
        let i = i as usize;
        debug_assert!(i < w.len());
        // SAFETY: i is below the number of inputs, as all coordinates of lists are, and the vectors below `lanes`.
        unsafe {
            let weight = s.splat(*w.get_unchecked(i));
            let place = i * lanes + vector * S::N;
            for (k, largest) in largest.iter_mut().enumerate() {
                let above = s.sub(s.load(high.as_ptr().add(place + k * S::N)), weight);
                *largest = if POINT {
                    s.max_abs(*largest, above)
                } else {
                    let below = s.sub(weight, s.load(low.as_ptr().add(place + k * S::N)));
                    s.max(*largest, s.max(above, below))
                };
            }
        }
    }
    for (k, largest) in largest.into_iter().enumerate() {
        // SAFETY: a vector below `lanes`. The magnitude, so that no −0 is returned.
        unsafe { s.store(out.as_mut_ptr().add((vector + k) * S::N), s.abs(largest)) };
    }
}

/// y [B, O], and where wanted the first index of the largest coordinate with its sign, both as the dense kernels give
/// them.
pub(super) fn forward(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    packed: &Packed,
    w: &[f32],
    y: &mut [f32],
    index: Option<&mut [u32]>,
) {
    let y = SharedMut::new(y);
    let index = index.map(SharedMut::new);
    let blocks = shape.outputs.div_ceil(OUTPUTS);
    pool.run(packed.groups.count * blocks, |task| {
        let (group, first) = (task / blocks, task % blocks * OUTPUTS);
        let outputs = Outputs::block(first, (first + OUTPUTS).min(shape.outputs));
        let index = index.as_ref();
        simd.run(Forward {
            shape,
            packed,
            group,
            outputs,
            w,
            wanted: Some(Wanted { y: &y, index }),
            keep: index.is_some(),
        });
    });
}

/// What the forward pass of a few pairs (group, output) meets, without its results.
pub(super) fn count(
    simd: Simd,
    shape: Shape,
    packed: &Packed,
    group: usize,
    outputs: Outputs,
    w: &[f32],
    keep: bool,
) -> Counts {
    simd.run(Forward { shape, packed, group, outputs, w, wanted: None, keep })
}

struct Wanted<'a> {
    y: &'a SharedMut<'a, f32>,
    index: Option<&'a SharedMut<'a, u32>>,
}

struct Forward<'a> {
    shape: Shape,
    packed: &'a Packed,
    group: usize,
    outputs: Outputs,
    w: &'a [f32],
    wanted: Option<Wanted<'a>>,
    /// Whether indices are found.
    keep: bool,
}

impl Kernel for Forward<'_> {
    type Output = Counts;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> Counts {
        let Forward { shape, packed, group, outputs, w, wanted, keep } = self;
        let (groups, ends, values) = (packed.groups, packed.ends(group), packed.values(group));
        let spans = Spans { high: values, low: values };
        let bounds = Bounds { inner: ends, outer: ends };
        let mut list = List::reaching(shape.inputs);
        let mut thresholds = vec![0.0; groups.stride];
        let mut largest = vec![0.0; outputs.len() * groups.lanes];
        let mut index = vec![0.0; if keep { largest.len() } else { 0 }];
        let mut counts = Counts::default();
        for (row, o) in outputs.iter().enumerate() {
            let w = &w[o * shape.inputs..][..shape.inputs];
            let largest = &mut largest[row * groups.lanes..][..groups.lanes];
            let looked_at = seek::<S, true>(s, bounds, spans, w, &mut list, largest);
            counts.pairs += 1;
            counts.largest += looked_at;
            counts.candidates += list.len();
            if keep {
                list.retain(s, least(s, largest));
                least_of_vectors(s, groups, largest, 1.0, &mut thresholds);
                counts.vectors += list.narrow(s, packed, group, w, &thresholds);
                counts.narrowed += list.len();
                first_indices(s, values, w, &list, largest, &mut index[row * groups.lanes..][..groups.lanes]);
            }
        }
        let Some(Wanted { y, index: to }) = wanted else { return counts };
        let rows = Rows { groups, group, vector: 0 };
        // SAFETY: y and index are [B, O]; each group and block of outputs belongs to one task.
        unsafe {
            write_outputs(s, rows, outputs, shape.outputs, &largest, y.as_mut_ptr());
            if let Some(to) = to {
                // Indices travel as floats of the same bits.
                write_outputs(s, rows, outputs, shape.outputs, &index, to.as_mut_ptr().cast());
            }
        }
        counts
    }
}

/// Writes the first listed coordinate that attains the largest |x − w| to `index` [lanes], with the sign of x − w.
#[inline(always)]
fn first_indices<S: Lanes>(s: S, values: &[f32], w: &[f32], list: &List, largest: &[f32], index: &mut [f32]) {
    let lanes = largest.len();
    assert!(values.len() == w.len() * lanes && index.len() == lanes);
    let zero = s.splat(0.0);
    index.fill(0.0);
    // The last written is the first in order.
    for of in list.vectors().rev() {
        let (i, at) = (of.coordinate(), of.vector() * S::N);
        debug_assert!(i < w.len() && at + S::N <= lanes);
        // SAFETY: i is below the number of inputs and the vector one of the group, as all of lists are.
        unsafe {
            let d = s.sub(s.load(values.as_ptr().add(i * lanes + at)), s.splat(*w.get_unchecked(i)));
            let hit = s.eq(s.abs(d), s.load(largest.as_ptr().add(at)));
            let place = index.as_mut_ptr().add(at);
            let bits = s.splat(f32::from_bits(i as u32));
            // Plus 0, because −0 counts as positive.
            s.store(place, s.select(hit, s.copysign(bits, s.add(d, zero)), s.load(place)));
        }
    }
    debug_assert!(index.iter().all(|index| ((index.to_bits() & !NEGATIVE) as usize) < w.len()));
}

/// Writes rows [outputs, lanes] to the columns of a [B, columns] matrix.
///
/// # Safety
/// The matrix is that large, and nobody else accesses these rows and columns of it.
#[inline(always)]
pub(super) unsafe fn write_outputs<S: Lanes>(
    s: S,
    rows: Rows,
    outputs: Outputs,
    columns: usize,
    from: &[f32],
    to: *mut f32,
) {
    let Groups { lanes, vectors, .. } = rows.groups;
    let first = outputs.iter().next().unwrap_or(0);
    assert!(from.len() == outputs.len() * lanes && first + outputs.len() <= columns);
    for at in (0..outputs.len()).step_by(S::N) {
        let n = S::N.min(outputs.len() - at);
        for vector in 0..vectors {
            let mut square = s.square();
            for row in 0..n {
                // SAFETY: a vector of row at + row.
                square[row] = unsafe { s.load(from.as_ptr().add((at + row) * lanes + vector * S::N)) };
            }
            // SAFETY: the caller's promise.
            unsafe { Rows { vector, ..rows }.store(s, s.transpose(square), to, columns, first + at, n) };
        }
    }
}
