//! Which coordinates can matter to a weight row: bounds on |x − w| from the ends of a group.
//!
//! All bounds are computed with the f32 operations of the distances themselves. Rounding is monotone, so they hold for
//! what the program computes, to the bit.

use super::super::simd::Lanes;
use super::groups::{Ends, Groups, MOST_VECTORS, Packed};

/// Coordinates that pass a bound, and of those the vectors of samples that do.
pub(super) struct List {
    coordinates: Vec<u32>,
    count: usize,
    /// How far |x − w| can reach in each, where the list was asked to know.
    reach: Vec<f32>,
    /// Some of the coordinates.
    part: Vec<u32>,
    vectors: Vec<u32>,
}

/// A vector of samples of a coordinate, in one number: so a loop over those that count has no loop inside whose end the
/// processor would have to guess.
#[derive(Clone, Copy)]
pub(super) struct VectorOf(u32);

impl VectorOf {
    const BITS: u32 = MOST_VECTORS.ilog2();

    #[inline(always)]
    pub(super) fn coordinate(self) -> usize {
        (self.0 >> VectorOf::BITS) as usize
    }

    /// Its number in the group.
    #[inline(always)]
    pub(super) fn vector(self) -> usize {
        self.0 as usize % MOST_VECTORS
    }
}

impl List {
    /// With room for that many coordinates.
    pub(super) fn new(most: usize) -> List {
        assert!(most < 1 << (u32::BITS - VectorOf::BITS), "{most} inputs are too many");
        // Vectors are written whole, so one more than the last may be touched.
        List { coordinates: vec![0; most + 16], count: 0, reach: Vec::new(), part: Vec::new(), vectors: Vec::new() }
    }

    /// With room for their reach too.
    pub(super) fn reaching(most: usize) -> List {
        List { reach: vec![0.0; most + 16], part: vec![0; most + 16], ..List::new(most) }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn coordinates(&self) -> &[u32] {
        &self.coordinates[..self.count]
    }

    /// The vectors of the coordinates, coordinate by coordinate, once [`narrow`](Self::narrow)ed.
    #[inline(always)]
    pub(super) fn vectors(&self) -> impl DoubleEndedIterator<Item = VectorOf> {
        self.vectors.iter().map(|vector| VectorOf(*vector))
    }

    /// Takes the coordinates from `start` on (a multiple of N), as many as `w` has, for which max |x − w| over the ends
    /// is at least `threshold`.
    #[inline(always)]
    pub(super) fn collect<S: Lanes>(&mut self, s: S, ends: Ends, start: usize, w: &[f32], threshold: f32) {
        self.collect_with::<S, false>(s, ends, start, w, threshold);
    }

    /// The same of all coordinates, and how far each reaches. The list was made for [`reaching`](Self::reaching).
    #[inline(always)]
    pub(super) fn collect_reach<S: Lanes>(&mut self, s: S, ends: Ends, w: &[f32], threshold: f32) {
        self.collect_with::<S, true>(s, ends, 0, w, threshold);
        // SAFETY: there is room for 16 more than coordinates. Whole vectors are read later: these reach nothing.
        unsafe { s.store(self.reach.as_mut_ptr().add(self.count), s.splat(-1.0)) };
    }

    #[inline(always)]
    fn collect_with<S: Lanes, const REACH: bool>(&mut self, s: S, ends: Ends, start: usize, w: &[f32], threshold: f32) {
        let padded = w.len().next_multiple_of(S::N);
        let (highest, lowest) = (&ends.highest[start..start + padded], &ends.lowest[start..start + padded]);
        assert!(self.coordinates.len() >= w.len() + 16 && (!REACH || self.reach.len() >= self.coordinates.len()));
        let threshold = s.splat(threshold);
        let (to, reach) = (self.coordinates.as_mut_ptr(), self.reach.as_mut_ptr());
        let mut count = 0;
        let mut i = 0;
        while i < w.len() {
            // SAFETY: i + N ≤ padded and i + n ≤ the length of w; at most i coordinates were written before.
            unsafe {
                let (high, low) = (s.load(highest.as_ptr().add(i)), s.load(lowest.as_ptr().add(i)));
                let w = if i + S::N <= w.len() {
                    s.load(w.as_ptr().add(i))
                } else {
                    s.load_first(w.as_ptr().add(i), w.len() - i)
                };
                let farthest = s.max(s.sub(high, w), s.sub(w, low));
                let far = s.ge(farthest, threshold);
                if REACH {
                    s.push(far, farthest, reach.add(count));
                }
                count += s.push_set(far, (start + i) as u32, to.add(count));
            }
            i += S::N;
        }
        self.count = count;
    }

    /// The farthest that any of the coordinates reaches, of a list that knows.
    #[inline(always)]
    pub(super) fn farthest<S: Lanes>(&self, s: S) -> f32 {
        let mut farthest = s.splat(0.0);
        for place in (0..self.count).step_by(S::N) {
            // SAFETY: there are 16 places more than coordinates.
            farthest = s.max(farthest, unsafe { s.load(self.reach.as_ptr().add(place)) });
        }
        s.max4([farthest; 4])[0]
    }

    /// The coordinates that reach at least `from` ≥ 0, and less than `before` where that is given, of a list that knows.
    #[inline(always)]
    pub(super) fn part<S: Lanes>(&mut self, s: S, from: f32, before: Option<f32>) -> &[u32] {
        assert!(self.part.len() >= self.coordinates.len() && self.reach.len() >= self.coordinates.len());
        let to = self.part.as_mut_ptr();
        let mut count = 0;
        for place in (0..self.count).step_by(S::N) {
            // SAFETY: there are 16 places more than coordinates; at most `place` were written before.
            unsafe {
                let mut reach = s.load(self.reach.as_ptr().add(place));
                if let Some(before) = before {
                    reach = s.select(s.ge(reach, s.splat(before)), s.splat(-1.0), reach);
                }
                // Coordinates travel as floats of the same bits.
                let coordinates = s.load(self.coordinates.as_ptr().add(place).cast());
                count += s.push(s.ge(reach, s.splat(from)), coordinates, to.add(count).cast());
            }
        }
        &self.part[..count]
    }

    /// Drops the coordinates that reach less than `from` ≥ 0, of a list that knows. It forgets the reach of the others.
    #[inline(always)]
    pub(super) fn retain<S: Lanes>(&mut self, s: S, from: f32) {
        self.count = self.part(s, from, None).len();
        std::mem::swap(&mut self.coordinates, &mut self.part);
    }

    /// Finds the vectors of samples within which |x − w| can reach that vector's threshold, and drops the coordinates
    /// that have none. Returns the number of vectors found.
    #[inline(always)]
    pub(super) fn narrow<S: Lanes>(
        &mut self,
        s: S,
        packed: &Packed,
        group: usize,
        w: &[f32],
        thresholds: &[f32],
    ) -> usize {
        let (parts, stride) = (packed.parts(group), packed.groups.stride);
        assert!(w.len() == packed.inputs && thresholds.len() == stride && stride <= MOST_VECTORS);
        self.vectors.clear();
        self.vectors.reserve(self.count * stride + S::N);
        let to = self.vectors.as_mut_ptr();
        let (mut kept, mut vectors) = (0, 0);
        for place in 0..self.count {
            let i = self.coordinates[place] as usize;
            debug_assert!(i < packed.inputs);
            let before = vectors;
            // SAFETY: coordinates come from `collect`, so i is below the number of inputs; `parts` has 2·stride floats
            // for each, and stride is a multiple of N. At most `stride` vectors a coordinate were written before.
            unsafe {
                let w = s.splat(*w.get_unchecked(i));
                let ends = parts.as_ptr().add(i * 2 * stride);
                for k in (0..stride).step_by(S::N) {
                    let (high, low) = (s.load(ends.add(k)), s.load(ends.add(stride + k)));
                    let farthest = s.max(s.sub(high, w), s.sub(w, low));
                    let reach = s.ge(farthest, s.load(thresholds.as_ptr().add(k)));
                    vectors += s.push_set(reach, (i << VectorOf::BITS | k) as u32, to.add(vectors));
                }
            }
            // Without a branch: kept ≤ place.
            self.coordinates[kept] = i as u32;
            kept += usize::from(vectors != before);
        }
        self.count = kept;
        // SAFETY: as many were written, within the room that was made.
        unsafe { self.vectors.set_len(vectors) };
        vectors
    }
}

/// A lower bound on max_i |x_i − w_i| of every sample between the ends.
#[inline(always)]
pub(super) fn least_maximum<S: Lanes>(s: S, ends: Ends, w: &[f32]) -> f32 {
    assert!(ends.highest.len() >= w.len() && ends.lowest.len() >= w.len());
    // Two of each, so that no maximum waits for the one before.
    let mut most = [s.splat(0.0); 4];
    let mut i = 0;
    while i + 2 * S::N <= w.len() {
        for k in 0..2 {
            let at = i + k * S::N;
            // SAFETY: at + N is within all three.
            let [w, high, low] = unsafe { [w, ends.highest, ends.lowest].map(|from| s.load(from.as_ptr().add(at))) };
            most[2 * k] = s.max(most[2 * k], s.sub(w, high));
            most[2 * k + 1] = s.max(most[2 * k + 1], s.sub(low, w));
        }
        i += 2 * S::N;
    }
    while i < w.len() {
        let n = S::N.min(w.len() - i);
        // SAFETY: i + n is within all three. Lanes beyond n hold 0 and change nothing.
        let [w, high, low] =
            unsafe { [w, ends.highest, ends.lowest].map(|from| s.load_first(from.as_ptr().add(i), n)) };
        most[0] = s.max(most[0], s.sub(w, high));
        most[1] = s.max(most[1], s.sub(low, w));
        i += S::N;
    }
    s.max4(most).into_iter().fold(0.0, f32::max)
}

/// The least of `values`, whole vectors of numbers from 0 on.
#[inline(always)]
pub(super) fn least<S: Lanes>(s: S, values: &[f32]) -> f32 {
    assert_eq!(values.len() % S::N, 0);
    let mut negated = [s.splat(f32::NEG_INFINITY); 4];
    for (vector, at) in (0..values.len()).step_by(S::N).enumerate() {
        let greatest = &mut negated[vector % 4];
        // SAFETY: at + N ≤ the length.
        *greatest = s.max(*greatest, s.sub(s.splat(0.0), unsafe { s.load(values.as_ptr().add(at)) }));
    }
    -s.max4(negated).into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The least of each vector of `values` [lanes], times `factor`, to the first places of `out` [stride].
#[inline(always)]
pub(super) fn least_of_vectors<S: Lanes>(s: S, groups: Groups, values: &[f32], factor: f32, out: &mut [f32]) {
    assert!(values.len() == groups.lanes && out.len() == groups.stride);
    for vector in (0..groups.vectors).step_by(4) {
        let mut four = [s.splat(0.0); 4];
        for (k, negated) in four.iter_mut().enumerate() {
            let vector = (vector + k).min(groups.vectors - 1);
            // SAFETY: a vector of the group, N floats.
            *negated = s.sub(s.splat(0.0), unsafe { s.load(values.as_ptr().add(vector * S::N)) });
        }
        let greatest = s.max4(four);
        for (out, greatest) in out[vector..groups.vectors].iter_mut().zip(greatest) {
            *out = -greatest * factor;
        }
    }
}
