//! Gradients of layers whose outputs depend on a few coordinates each: scattered by the saved indices.

use super::Shape;
use super::largest::NEGATIVE;
use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::prefetch;

/// Scatters g [B, O] by `index` [B, O, K], the picked coordinates of each pair with the sign of x − w, the k-th of which
/// counts `weights[k]` times: dx gains ±g·weight, dw loses it, in the order of the outputs and of the samples.
pub(super) fn scatter(
    pool: &Pool,
    shape: Shape,
    weights: &[f32],
    index: &[u32],
    g: &[f32],
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
) {
    const SAMPLES: usize = 4;
    const OUTPUTS: usize = 16;
    const AHEAD: usize = 8;
    let picks = weights.len();
    assert_eq!(index.len(), g.len() * picks, "{picks} indices for each pair");
    let picked = |pair: usize| {
        index[pair * picks..][..picks].iter().zip(weights).map(move |(&index, weight)| {
            // By its bit: signs are as random as can be, and a branch on them would mostly be guessed wrong.
            let slope = f32::from_bits((g[pair] * weight).to_bits() ^ (index & NEGATIVE));
            ((index & !NEGATIVE) as usize, slope)
        })
    };
    if let Some(dx) = dx {
        let dx = SharedMut::new(dx);
        pool.run(shape.batch.div_ceil(SAMPLES), |task| {
            let samples = task * SAMPLES..(task * SAMPLES + SAMPLES).min(shape.batch);
            // SAFETY: each row belongs to one task.
            let rows = unsafe { dx.part(samples.start * shape.inputs..samples.end * shape.inputs) };
            rows.fill(0.0);
            // Samples innermost: outputs of one sample often share a coordinate, and would wait for each other.
            for o in 0..shape.outputs {
                for (row, b) in rows.chunks_exact_mut(shape.inputs).zip(samples.clone()) {
                    picked(b * shape.outputs + o).for_each(|(i, slope)| row[i] += slope);
                }
            }
        });
    }
    if let Some(dw) = dw {
        let dw = SharedMut::new(dw);
        pool.run(shape.outputs.div_ceil(OUTPUTS), |task| {
            let outputs = task * OUTPUTS..(task * OUTPUTS + OUTPUTS).min(shape.outputs);
            // SAFETY: each row belongs to one task.
            let rows = unsafe { dw.part(outputs.start * shape.inputs..outputs.end * shape.inputs) };
            rows.fill(0.0);
            for b in 0..shape.batch {
                // A line each of a few samples on: no hardware expects such steps, and another core may have written them.
                let ahead = (b + AHEAD) * shape.outputs + outputs.start;
                prefetch(index.as_ptr().wrapping_add(ahead * picks));
                prefetch(g.as_ptr().wrapping_add(ahead));
                for o in outputs.clone() {
                    let row = (o - outputs.start) * shape.inputs;
                    picked(b * shape.outputs + o).for_each(|(i, slope)| rows[row + i] -= slope);
                }
            }
        });
    }
}
