//! Gradients of layers whose outputs depend on a few coordinates each: scattered by the saved indices.

use super::Shape;
use super::largest::NEGATIVE;
use super::pool::Pool;
use super::selection::Selection;
use super::shared::SharedMut;
use super::simd::prefetch;

/// Scatters g [B, O] by `index` [B, O, K], the picked coordinates of each pair with the sign of x − w, the k-th of which
/// counts `weights[k]` times: dx gains ±g·weight, dw loses it, in the order of the outputs and of the samples. Those whose row of
/// g is 0 are passed over.
pub(super) fn scatter(
    pool: &Pool,
    shape: Shape,
    weights: &[f32],
    index: &[u32],
    g: &[f32],
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
) {
    let picks = weights.len();
    assert_eq!(index.len(), g.len() * picks, "{picks} indices for each pair");
    match weights {
        // Distances: what a loop over one pick costs is more than the pick.
        [1.0] => {
            scatter_picked(pool, shape, (index, g, 1), dx, dw, |pair| std::iter::once(picked(index[pair], g[pair])))
        }
        _ => scatter_picked(pool, shape, (index, g, picks), dx, dw, |pair| {
            let indices = &index[pair * picks..][..picks];
            indices.iter().zip(weights).map(move |(&index, weight)| picked(index, g[pair] * weight))
        }),
    }
}

/// The coordinate, and what its x gains. The sign by its bit: signs are as random as can be, and a branch on them would
/// mostly be guessed wrong.
#[inline(always)]
fn picked(index: u32, g: f32) -> (usize, f32) {
    ((index & !NEGATIVE) as usize, f32::from_bits(g.to_bits() ^ (index & NEGATIVE)))
}

/// [`scatter`] of what `picked_of` gives for each pair; `index` and `g` are those that it reads, with `picks` indices a pair.
fn scatter_picked<I: Iterator<Item = (usize, f32)>>(
    pool: &Pool,
    shape: Shape,
    (index, g, picks): (&[u32], &[f32], usize),
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
    picked_of: impl Fn(usize) -> I + Sync,
) {
    const SAMPLES: usize = 4;
    const OUTPUTS: usize = 16;
    const AHEAD: usize = 8;
    let Shape { inputs, outputs, .. } = shape;
    let mut selection = Selection::default();
    selection.with_gradient(g, outputs);
    let samples = selection.samples();
    let pair = |sample: u32, o: usize| sample as usize * outputs + o;
    if let Some(dx) = dx {
        pool.for_parts(dx, SAMPLES * inputs, |_, rows| rows.fill(0.0));
        let dx = SharedMut::new(dx);
        pool.run(samples.len().div_ceil(SAMPLES), |task| {
            let samples = &samples[task * SAMPLES..(task * SAMPLES + SAMPLES).min(samples.len())];
            let row = |&sample: &u32| sample as usize * inputs..(sample as usize + 1) * inputs;
            // SAFETY: each sample belongs to one task.
            let mut rows: Vec<&mut [f32]> = samples.iter().map(|sample| unsafe { dx.part(row(sample)) }).collect();
            // Samples innermost: outputs of one sample often share a coordinate, and would wait for each other.
            for o in 0..outputs {
                for (row, &sample) in rows.iter_mut().zip(samples) {
                    picked_of(pair(sample, o)).for_each(|(i, slope)| row[i] += slope);
                }
            }
        });
    }
    if let Some(dw) = dw {
        let dw = SharedMut::new(dw);
        pool.run(outputs.div_ceil(OUTPUTS), |task| {
            let of_task = task * OUTPUTS..(task * OUTPUTS + OUTPUTS).min(outputs);
            // SAFETY: each row belongs to one task.
            let rows = unsafe { dw.part(of_task.start * inputs..of_task.end * inputs) };
            rows.fill(0.0);
            for (place, &sample) in samples.iter().enumerate() {
                // A line each of a few samples on: no hardware expects such steps, and another core may have written them.
                if let Some(&sample) = samples.get(place + AHEAD) {
                    let ahead = pair(sample, of_task.start);
                    prefetch(index.as_ptr().wrapping_add(ahead * picks));
                    prefetch(g.as_ptr().wrapping_add(ahead));
                }
                for (row, o) in rows.chunks_exact_mut(inputs).zip(of_task.clone()) {
                    picked_of(pair(sample, o)).for_each(|(i, slope)| row[i] -= slope);
                }
            }
        });
    }
}
