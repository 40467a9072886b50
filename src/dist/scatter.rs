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
    let Shape { batch, inputs, outputs } = shape;
    let mut selection = Selection::default();
    selection.with_gradient(g, outputs);
    let pair = |sample: usize, o: usize| sample * outputs + o;
    if let Some(dx) = dx {
        let dx = SharedMut::new(dx);
        pool.run(batch.div_ceil(SAMPLES), |task| {
            let of_task = task * SAMPLES..(task * SAMPLES + SAMPLES).min(batch);
            // SAFETY: each row belongs to one task.
            let rows = unsafe { dx.part(of_task.start * inputs..of_task.end * inputs) };
            rows.fill(0.0);
            let rows = rows.chunks_exact_mut(inputs).zip(of_task);
            let rows: Vec<_> = rows.filter(|(_, sample)| selection.place(*sample).is_some()).collect();
            match <[_; SAMPLES]>::try_from(rows) {
                Ok(rows) => add(rows, outputs, &picked_of),
                Err(rows) => rows.into_iter().for_each(|row| add([row], outputs, &picked_of)),
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
            let samples = selection.samples();
            for (place, &sample) in samples.iter().enumerate() {
                let sample = sample as usize;
                // A line each of a few samples on: no hardware expects such steps, and another core may have written them.
                if let Some(&sample) = samples.get(place + AHEAD) {
                    let ahead = pair(sample as usize, of_task.start);
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

/// Adds to rows of dx, each beside its sample's number, what the sample's pairs picked. Samples innermost: outputs of one
/// sample often share a coordinate, and would wait for each other.
#[inline(always)]
fn add<const N: usize, I: Iterator<Item = (usize, f32)>>(
    mut rows: [(&mut [f32], usize); N],
    outputs: usize,
    picked_of: impl Fn(usize) -> I,
) {
    for o in 0..outputs {
        for (row, sample) in &mut rows {
            picked_of(*sample * outputs + o).for_each(|(i, slope)| row[i] += slope);
        }
    }
}
