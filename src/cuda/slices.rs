//! Into how many blocks and slices a forward pass is cut, so that a device is busy to the end.

use linf_dist::Shape;

/// Samples and outputs of a block of a forward pass, and the inputs of a step of it: ROWS, COLUMNS and STEP of the
/// kernels.
const TILE: (usize, usize) = (128, 32);
pub(crate) const STEP: usize = 16;

/// What starting a block costs, in steps of its loop.
const START: usize = 2;
/// Slices at most: each has results of its own, which are joined.
const MOST: usize = 128;
/// Floats of all slices' results at most: 512 MB.
const ROOM: usize = 1 << 27;

/// The blocks that all pairs of so many samples and outputs take.
pub(crate) fn blocks(batch: usize, outputs: usize) -> usize {
    batch.div_ceil(TILE.0) * outputs.div_ceil(TILE.1)
}

/// The grid of a forward pass, blocks by slices of the inputs, and the inputs of a slice, where `at_once` blocks run at a
/// time.
pub(crate) fn grid(shape: Shape, at_once: usize) -> ([usize; 2], usize) {
    let Shape { batch, inputs, outputs } = shape;
    let (blocks, steps) = (blocks(batch, outputs), inputs.div_ceil(STEP));
    let slice = steps.div_ceil(slices(blocks, steps, at_once, batch * outputs)) * STEP;
    ([blocks, inputs.div_ceil(slice)], slice)
}

/// The number of slices of `steps` steps that ends first, of `blocks` blocks each, where `at_once` blocks run at a time
/// and a slice has `results` results. A function of its arguments alone: the order of sums depends on it.
pub(crate) fn slices(blocks: usize, steps: usize, at_once: usize, results: usize) -> usize {
    let most = steps.min(MOST).min(ROOM / results.max(1)).max(1);
    let time = |slices: usize| {
        let each = steps.div_ceil(slices) + START;
        // To write and read two million results takes about as long as a step of every block.
        (((blocks * slices).div_ceil(at_once.max(1)) * each) << 21) + slices * results
    };
    (1..=most).min_by_key(|&slices| time(slices)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_with_few_outputs_still_fills_the_device() {
        // 512x5120x10 on 132 multiprocessors, four blocks each.
        let count = slices(4, 320, 528, 5120);
        assert!(4 * count > 264, "{count}");
    }

    #[test]
    fn the_last_wave_is_not_left_half_empty() {
        // 640 blocks of 528 at a time would take two waves for the work of 1.2.
        let count = slices(640, 320, 528, 512 * 5120);
        let busy = (640 * count) as f64 / ((640 * count).div_ceil(528) * 528) as f64;
        assert!(busy > 0.9, "{count} slices: {busy}");
    }

    #[test]
    fn there_are_no_more_slices_than_steps_or_room() {
        assert_eq!(slices(1, 1, 1000, 1), 1);
        assert_eq!(slices(1, 64, 1000, 1 << 27), 1);
        assert!(slices(1, 7, 1000, 1) <= 7);
    }
}
