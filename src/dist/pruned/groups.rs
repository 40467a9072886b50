//! A batch cut into groups of samples that are bounded together, laid out with the samples along the vectors.

use super::super::pool::Pool;
use super::super::shared::SharedMut;
use super::super::simd::{Kernel, Lanes, Simd};
use std::ops::Range;

/// The most samples in a group. Fewer make tighter bounds but share each sweep over the coordinates among fewer; 128
/// measured best.
const WIDEST: usize = 128;
/// Vectors in the widest group, of any instruction set.
pub(super) const MOST_VECTORS: usize = WIDEST / 8;
/// Columns one packing task treats; a multiple of every vector.
const COLUMNS: usize = 64;

/// How a batch is cut. A pure function of the batch and the width of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Groups {
    batch: usize,
    /// Number of groups.
    pub count: usize,
    /// Samples of a group; the last may have fewer.
    samples: usize,
    /// Lanes of a group: its samples, then repetitions of the last one up to a whole vector.
    pub lanes: usize,
    /// Vectors of a group.
    pub vectors: usize,
    /// Places kept for one number a vector: `vectors`, up to a whole vector of them.
    pub stride: usize,
}

impl Groups {
    pub(super) fn new(batch: usize, simd: Simd) -> Groups {
        let samples = batch.div_ceil(batch.div_ceil(WIDEST));
        let lanes = samples.next_multiple_of(simd.lanes());
        let vectors = lanes / simd.lanes();
        let stride = vectors.next_multiple_of(simd.lanes());
        Groups { batch, count: batch.div_ceil(samples), samples, lanes, vectors, stride }
    }

    /// The samples of a group.
    pub(super) fn samples(self, group: usize) -> Range<usize> {
        group * self.samples..((group + 1) * self.samples).min(self.batch)
    }

    /// The group of a sample, and its lane there.
    pub(super) fn place(self, sample: usize) -> (usize, usize) {
        (sample / self.samples, sample % self.samples)
    }
}

/// One vector of samples of a group.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub groups: Groups,
    pub group: usize,
    pub vector: usize,
}

impl Rows {
    /// The columns `first..first + n` of this vector's samples, one sample a row; the others of the N columns are 0.
    ///
    /// # Safety
    /// `matrix` is [B, columns], and `first + n ≤ columns`.
    #[inline(always)]
    pub(super) unsafe fn load<S: Lanes>(
        self,
        s: S,
        matrix: *const f32,
        columns: usize,
        first: usize,
        n: usize,
    ) -> S::Square {
        let samples = self.groups.samples(self.group);
        let mut rows = s.square();
        for row in 0..S::N {
            let sample = (samples.start + self.vector * S::N + row).min(samples.end - 1);
            // SAFETY: the caller's promise, and sample < B.
            rows[row] = unsafe { s.load_first(matrix.add(sample * columns + first), n) };
        }
        rows
    }

    /// The inverse of [`load`](Self::load), for the samples there are.
    ///
    /// # Safety
    /// As for `load`, and nobody else accesses these rows and columns.
    #[inline(always)]
    pub(super) unsafe fn store<S: Lanes>(
        self,
        s: S,
        rows: S::Square,
        matrix: *mut f32,
        columns: usize,
        first: usize,
        n: usize,
    ) {
        let samples = self.groups.samples(self.group);
        let start = samples.start + self.vector * S::N;
        for row in 0..S::N.min(samples.end.saturating_sub(start)) {
            // SAFETY: the caller's promise, and the sample is below B.
            unsafe { s.store_first(matrix.add((start + row) * columns + first), n, rows[row]) };
        }
    }
}

/// Where a coordinate of all samples of a group lies, [I] up to a whole vector; the places beyond I hold an empty
/// range (highest −∞, lowest ∞).
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub highest: &'a [f32],
    pub lowest: &'a [f32],
}

/// A matrix [B, I] in groups, with its ends.
#[derive(Default)]
pub(super) struct Packed {
    pub groups: Groups,
    pub inputs: usize,
    padded: usize,
    values: Vec<f32>,
    highest: Vec<f32>,
    lowest: Vec<f32>,
    parts: Vec<f32>,
}

impl Packed {
    /// Makes room for a matrix [B, inputs], and where wanted for the ends of each vector of samples. What it holds means nothing
    /// until its groups are packed.
    pub(super) fn reset(&mut self, simd: Simd, batch: usize, inputs: usize, parts: bool) {
        let groups = Groups::new(batch, simd);
        if (self.groups, self.inputs, !self.parts.is_empty()) == (groups, inputs, parts) {
            return;
        }
        let padded = inputs.next_multiple_of(simd.lanes());
        (self.groups, self.inputs, self.padded) = (groups, inputs, padded);
        self.values.resize(groups.count * inputs * groups.lanes, 0.0);
        for (ends, empty) in [(&mut self.highest, f32::NEG_INFINITY), (&mut self.lowest, f32::INFINITY)] {
            ends.clear();
            ends.resize(groups.count * padded, empty);
        }
        let empty = [f32::NEG_INFINITY, f32::INFINITY].map(|end| vec![end; groups.stride]).concat();
        self.parts.clear();
        self.parts.extend(std::iter::repeat_n(empty, if parts { groups.count * inputs } else { 0 }).flatten());
    }

    /// Lays out the groups `which` of x [B, I].
    pub(super) fn pack(&mut self, pool: &Pool, simd: Simd, x: &[f32], which: &[usize]) {
        let (groups, inputs) = (self.groups, self.inputs);
        assert_eq!(x.len(), groups.batch * inputs, "x must be [B, I]");
        assert!(which.is_sorted_by(|a, b| a < b) && which.iter().all(|group| *group < groups.count));
        let padded = self.padded;
        let [values, highest, lowest] =
            [&mut self.values, &mut self.highest, &mut self.lowest].map(|all| SharedMut::new(all));
        let parts = (!self.parts.is_empty()).then(|| SharedMut::new(&mut self.parts));
        let blocks = inputs.div_ceil(COLUMNS);
        pool.run(which.len() * blocks, |task| {
            let (group, start) = (which[task / blocks], task % blocks * COLUMNS);
            let columns = start..(start + COLUMNS).min(inputs);
            let parts = parts.as_ref();
            simd.run(Pack { groups, group, inputs, padded, columns, x, values, highest, lowest, parts });
        });
    }

    /// Values [I, lanes] of a group.
    #[inline(always)]
    pub(super) fn values(&self, group: usize) -> &[f32] {
        let size = self.inputs * self.groups.lanes;
        &self.values[group * size..][..size]
    }

    #[inline(always)]
    pub(super) fn ends(&self, group: usize) -> Ends<'_> {
        let range = group * self.padded..(group + 1) * self.padded;
        Ends { highest: &self.highest[range.clone()], lowest: &self.lowest[range] }
    }

    /// The ends of each vector of samples, [I, (highest, lowest), stride], of a matrix that was [`reset`](Self::reset) for them.
    #[inline(always)]
    pub(super) fn parts(&self, group: usize) -> &[f32] {
        let size = self.inputs * 2 * self.groups.stride;
        &self.parts[group * size..][..size]
    }
}

struct Pack<'a> {
    groups: Groups,
    group: usize,
    inputs: usize,
    padded: usize,
    columns: Range<usize>,
    x: &'a [f32],
    values: SharedMut<'a, f32>,
    highest: SharedMut<'a, f32>,
    lowest: SharedMut<'a, f32>,
    parts: Option<&'a SharedMut<'a, f32>>,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Pack { groups, group, inputs, padded, columns, x, values, highest, lowest, parts } = self;
        let (lanes, stride) = (groups.lanes, groups.stride);
        let place = group * inputs + columns.start;
        // SAFETY: each group, none of which is packed twice, and block of columns belongs to one task.
        let (values, mut parts, highest, lowest) = unsafe {
            (
                values.part(place * lanes..(place + columns.len()) * lanes),
                parts.map(|parts| parts.part(place * 2 * stride..(place + columns.len()) * 2 * stride)),
                highest.part(group * padded + columns.start..group * padded + columns.end),
                lowest.part(group * padded + columns.start..group * padded + columns.end),
            )
        };
        for at in (0..columns.len()).step_by(S::N) {
            let n = S::N.min(columns.len() - at);
            let (mut high, mut low) = (s.splat(f32::NEG_INFINITY), s.splat(f32::INFINITY));
            for vector in 0..groups.vectors {
                // SAFETY: x is [B, inputs], and the n columns lie below `inputs`.
                let rows = unsafe { Rows { groups, group, vector }.load(s, x.as_ptr(), inputs, columns.start + at, n) };
                let (mut part_high, mut part_low) = (rows[0], rows[0]);
                for row in 1..S::N {
                    part_high = s.max(part_high, rows[row]);
                    part_low = s.min(part_low, rows[row]);
                }
                (high, low) = (s.max(high, part_high), s.min(low, part_low));
                if let Some(parts) = &mut parts {
                    let (part_high, part_low) = (s.lanes(part_high), s.lanes(part_low));
                    for column in 0..n {
                        parts[(at + column) * 2 * stride + vector] = part_high[column];
                        parts[((at + column) * 2 + 1) * stride + vector] = part_low[column];
                    }
                }
                let square = s.transpose(rows);
                for column in 0..n {
                    let to = &mut values[(at + column) * lanes + vector * S::N..][..S::N];
                    // SAFETY: N floats.
                    unsafe { s.store(to.as_mut_ptr(), square[column]) };
                }
            }
            let (highest, lowest) = (&mut highest[at..at + n], &mut lowest[at..at + n]);
            // SAFETY: n floats each.
            unsafe {
                s.store_first(highest.as_mut_ptr(), n, high);
                s.store_first(lowest.as_mut_ptr(), n, low);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_one_group_and_within_its_ends() {
        for simd in Simd::available() {
            for (batch, inputs) in [(1, 1), (7, 19), (128, 8), (129, 33), (300, 70)] {
                let x: Vec<f32> = (0..batch * inputs).map(|k| ((k * 7919) % 1009) as f32 - 500.0).collect();
                let mut packed = Packed::default();
                // A second shape in the same buffers.
                packed.reset(simd, 2, 3, false);
                packed.pack(&Pool::new(1), simd, &[0.0; 6], &[0]);
                packed.reset(simd, batch, inputs, true);
                let groups = packed.groups;
                // In two goes, the last group first.
                packed.pack(&Pool::new(2), simd, &x, &[groups.count - 1]);
                packed.pack(&Pool::new(2), simd, &x, &(0..groups.count - 1).collect::<Vec<_>>());
                assert!(groups.vectors <= MOST_VECTORS && groups.lanes == groups.vectors * simd.lanes());
                let mut next = 0;
                for group in 0..groups.count {
                    let samples = groups.samples(group);
                    assert!(samples.start == next && !samples.is_empty());
                    next = samples.end;
                    let ends = packed.ends(group);
                    for i in 0..inputs {
                        let row = &packed.values(group)[i * groups.lanes..][..groups.lanes];
                        let expected: Vec<f32> = samples.clone().map(|b| x[b * inputs + i]).collect();
                        assert_eq!(row[..expected.len()], expected);
                        assert!(row[expected.len()..].iter().all(|v| v == &expected[expected.len() - 1]));
                        let range = |v: &[f32]| v.iter().fold((f32::MIN, f32::MAX), |(h, l), &v| (h.max(v), l.min(v)));
                        assert_eq!((ends.highest[i], ends.lowest[i]), range(&expected));
                        for (vector, part) in row.chunks(simd.lanes()).enumerate() {
                            let parts = &packed.parts(group)[i * 2 * groups.stride..][..2 * groups.stride];
                            assert_eq!((parts[vector], parts[groups.stride + vector]), range(part));
                        }
                    }
                    assert!(ends.highest[inputs..].iter().all(|end| *end == f32::NEG_INFINITY));
                    assert!(ends.lowest[inputs..].iter().all(|end| *end == f32::INFINITY));
                }
                assert_eq!(next, batch);
            }
        }
    }
}
