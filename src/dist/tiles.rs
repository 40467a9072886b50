//! The forward sweep: every pair (sample, output) combines its coordinates, in register tiles of a few samples by four
//! outputs, lanes running over the inputs.

use super::Shape;
use super::pool::Pool;
use super::powers::Term;
use super::shared::SharedMut;
use super::simd::Lanes;
use std::ops::Range;

/// Samples × outputs of one task.
#[derive(Clone)]
pub(super) struct Block {
    pub samples: Range<usize>,
    pub outputs: Range<usize>,
}

/// The most samples in a tile, of any instruction set.
pub(super) const MOST_ROWS: usize = 6;

/// Runs `task` on all blocks of the [B, O] result. Blocks hold as many weight rows as stay in the second-level cache, and
/// are small and alike enough that threads end together.
pub(super) fn for_blocks(pool: &Pool, shape: Shape, task: impl Fn(Block) + Sync) {
    const WEIGHT_BYTES: usize = 400 << 10;
    const TASKS_PER_THREAD: usize = 12;
    let rows = (WEIGHT_BYTES / (4 * shape.inputs)).max(4);
    let outputs_each = shape.outputs.div_ceil(shape.outputs.div_ceil(rows)).next_multiple_of(4);
    let output_blocks = shape.outputs.div_ceil(outputs_each);
    let tasks = if pool.threads() == 1 { 1 } else { pool.threads() * TASKS_PER_THREAD };
    let sample_blocks = tasks.div_ceil(output_blocks);
    let samples_each = shape.batch.div_ceil(sample_blocks).next_multiple_of(MOST_ROWS);
    let sample_blocks = shape.batch.div_ceil(samples_each);
    pool.run(output_blocks * sample_blocks, |n| {
        let (o, b) = (n / sample_blocks * outputs_each, n % sample_blocks * samples_each);
        task(Block {
            samples: b..(b + samples_each).min(shape.batch),
            outputs: o..(o + outputs_each).min(shape.outputs),
        });
    });
}

/// Writes Σ (or max) over the inputs of `term` to `out` [B, O], for the pairs of `block`.
///
/// The result of a pair does not depend on the block it is in.
#[inline(always)]
pub(super) fn sweep<S: Lanes, T: Term>(
    s: S,
    term: T,
    shape: Shape,
    block: &Block,
    x: &[f32],
    w: &[f32],
    out: &SharedMut<f32>,
) {
    let constants = term.constants(s);
    let last_sample = block.samples.end - 1;
    let last_output = block.outputs.end - 1;
    for b in block.samples.clone().step_by(S::ROWS) {
        // Rows and columns beyond the edge repeat the last one; their results are not stored.
        let x_rows = rows(x, shape.inputs, b, last_sample);
        for o in block.outputs.clone().step_by(4) {
            let w_rows = rows(w, shape.inputs, o, last_output);
            // SAFETY: each pointer starts a row of `inputs` floats.
            let tile = unsafe { combine::<S, T>(s, &constants, x_rows, w_rows, shape.inputs) };
            let columns = 4.min(block.outputs.end - o);
            for row in 0..S::ROWS.min(block.samples.end - b) {
                let four = if T::MAXIMUM { s.max4(tile[row]) } else { s.sum4(tile[row]) };
                let start = (b + row) * shape.outputs + o;
                // SAFETY: tasks have disjoint blocks, so nobody else writes these pairs.
                unsafe { out.part(start..start + columns) }.copy_from_slice(&four[..columns]);
            }
        }
    }
}

/// Starts of the rows from `first` on, of `inputs` floats each; beyond `last` it is repeated.
#[inline(always)]
pub(super) fn rows<const N: usize>(data: &[f32], inputs: usize, first: usize, last: usize) -> [*const f32; N] {
    let mut rows = [std::ptr::null(); N];
    for (n, row) in rows.iter_mut().enumerate() {
        *row = data[(first + n).min(last) * inputs..][..inputs].as_ptr();
    }
    rows
}

/// A tile of sums (or maxima) of `term` over `inputs` coordinates.
///
/// # Safety
/// Each pointer starts `inputs` floats.
#[inline(always)]
pub(super) unsafe fn combine<S: Lanes, T: Term>(
    s: S,
    constants: &T::Constants<S>,
    x: [*const f32; MOST_ROWS],
    w: [*const f32; 4],
    inputs: usize,
) -> S::Tile {
    let mut tile = s.tile();
    let whole = inputs - inputs % S::N;
    let mut i = 0;
    while i < whole {
        // SAFETY: i + N ≤ inputs.
        let w = unsafe { [s.load(w[0].add(i)), s.load(w[1].add(i)), s.load(w[2].add(i)), s.load(w[3].add(i))] };
        for row in 0..S::ROWS {
            // SAFETY: as above.
            let x = unsafe { s.load(x[row].add(i)) };
            tile[row] = T::accumulate4(s, constants, tile[row], x, w);
        }
        i += S::N;
    }
    let rest = inputs - whole;
    if rest > 0 {
        // The lanes beyond the end hold x = w = 0, which adds nothing.
        // SAFETY: `rest` floats are left in each row.
        let w = unsafe {
            [
                s.load_first(w[0].add(whole), rest),
                s.load_first(w[1].add(whole), rest),
                s.load_first(w[2].add(whole), rest),
                s.load_first(w[3].add(whole), rest),
            ]
        };
        for row in 0..S::ROWS {
            // SAFETY: as above.
            let x = unsafe { s.load_first(x[row].add(whole), rest) };
            tile[row] = T::accumulate4(s, constants, tile[row], x, w);
        }
    }
    tile
}
