//! Backward passes over some of a batch's samples: one whose row of g is 0 adds nothing to dw, and its dx is 0.
//!
//! The rows that count are put together, the same kernels treat them as a smaller batch, and what they find is put back.

use super::finite::Exception;
use super::pool::Pool;
use super::shared::SharedMut;

/// Leaving samples out is worth the copies where so many of 8 remain, or fewer.
const WORTH: usize = 7;

/// Rows of one task.
const ROWS: usize = 16;

/// Some samples of a batch, in order.
#[derive(Default)]
pub(super) struct Selection {
    samples: Vec<u32>,
}

impl Selection {
    /// The samples with a gradient: those whose row of g [B, O] is not all 0.
    pub(super) fn with_gradient(&mut self, g: &[f32], outputs: usize) {
        self.samples.clear();
        let rows = g.chunks_exact(outputs).enumerate();
        self.samples.extend(rows.filter(|(_, row)| row.iter().any(|g| *g != 0.0)).map(|(sample, _)| sample as u32));
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn samples(&self) -> &[u32] {
        &self.samples
    }

    /// A sample's number among them, if it is one.
    pub(super) fn place(&self, sample: usize) -> Option<usize> {
        self.samples.binary_search(&(sample as u32)).ok()
    }

    /// Whether to leave the others of `batch` out is worth the copies.
    pub(super) fn pays(&self, batch: usize) -> bool {
        8 * self.samples.len() <= WORTH * batch
    }

    /// Their rows of a matrix [B, columns], in order.
    pub(super) fn gather(&self, pool: &Pool, columns: usize, from: &[f32], to: &mut Vec<f32>) {
        to.resize(self.samples.len() * columns, 0.0);
        let to = SharedMut::new(to);
        pool.run(self.samples.len().div_ceil(ROWS), |task| {
            let places = task * ROWS..(task * ROWS + ROWS).min(self.samples.len());
            // SAFETY: each row belongs to one task.
            let to = unsafe { to.part(places.start * columns..places.end * columns) };
            for (to, sample) in to.chunks_exact_mut(columns).zip(&self.samples[places]) {
                to.copy_from_slice(&from[*sample as usize * columns..][..columns]);
            }
        });
    }

    /// The inverse of [`gather`](Self::gather): the rows of all others become 0.
    pub(super) fn scatter(&self, pool: &Pool, columns: usize, from: &[f32], to: &mut [f32]) {
        let batch = to.len() / columns;
        let to = SharedMut::new(to);
        pool.run(batch.div_ceil(ROWS), |task| {
            let rows = task * ROWS..(task * ROWS + ROWS).min(batch);
            // SAFETY: each row belongs to one task.
            let to = unsafe { to.part(rows.start * columns..rows.end * columns) };
            for (sample, to) in rows.zip(to.chunks_exact_mut(columns)) {
                match self.place(sample) {
                    Some(place) => to.copy_from_slice(&from[place * columns..][..columns]),
                    None => to.fill(0.0),
                }
            }
        });
    }

    /// Those of the pairs that are theirs, numbered among them.
    pub(super) fn exceptions(&self, outputs: usize, all: &[Exception]) -> Vec<Exception> {
        let theirs = |exception: &Exception| {
            let place = self.place(exception.pair / outputs)?;
            Some(Exception { pair: place * outputs + exception.pair % outputs, ..*exception })
        };
        all.iter().filter_map(theirs).collect()
    }
}
