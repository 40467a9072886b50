//! Copies of what a part of a layer uses, and their adjoints, which add what it computed to where that came from.
//!
//! Each element is written by one task, and sums run in a fixed order.

use super::part::Part;
use super::{Form, Planes};
use crate::pool::Pool;
use crate::shared::SharedMut;

/// Rows of one task.
const ROWS: usize = 16;

/// Splits a matrix [rows, width] into runs of rows, one a task.
fn for_rows(pool: &Pool, to: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = to.len() / width;
    let to = SharedMut::new(to);
    pool.run(rows.div_ceil(ROWS), |task| {
        for row in task * ROWS..(task * ROWS + ROWS).min(rows) {
            // SAFETY: each row belongs to one task.
            f(row, unsafe { to.part(row * width..(row + 1) * width) });
        }
    });
}

/// Calls `f(place in the square, input position)` for the places of an output position that lie on the planes.
#[inline(always)]
fn for_places(form: &Form, position: usize, mut f: impl FnMut(usize, usize)) {
    let (window, input) = (form.window, form.input);
    let (row, column) = (position / form.output.width * window.stride, position % form.output.width * window.stride);
    for down in 0..window.kernel {
        let Some(y) = (row + down * window.dilation).checked_sub(window.pad).filter(|&y| y < input.height) else {
            continue;
        };
        for across in 0..window.kernel {
            let x = (column + across * window.dilation).checked_sub(window.pad);
            if let Some(x) = x.filter(|&x| x < input.width) {
                f(down * window.kernel + across, y * input.width + x);
            }
        }
    }
}

/// The patches of a part, [rows, channels·k²] in the order (channel, row, column), from x [B·P, C]. Padding is 0.
pub(super) fn patches(pool: &Pool, form: &Form, part: &Part<'_>, x: &[f32], to: &mut Vec<f32>) {
    let (positions, square) = (form.output.positions(), form.window.kernel * form.window.kernel);
    let width = part.inputs.len() * square;
    to.resize(part.samples.len() * positions * width, 0.0);
    for_rows(pool, to, width, |row, patch| {
        let sample = part.samples.start + row / positions;
        patch.fill(0.0);
        for_places(form, row % positions, |place, from| {
            let from = &x[(sample * form.input.positions() + from) * form.input.channels..][..form.input.channels];
            for n in 0..part.inputs.len() {
                patch[n * square + place] = from[part.inputs.get(n)];
            }
        });
    });
}

/// Adds the gradient of a part's patches to dx [B·P, C]: the adjoint of [`patches`].
pub(super) fn add_patches(pool: &Pool, form: &Form, part: &Part<'_>, patches: &[f32], dx: &mut [f32]) {
    let (positions, square) = (form.output.positions(), form.window.kernel * form.window.kernel);
    let width = part.inputs.len() * square;
    let values = form.input.values();
    let dx = SharedMut::new(dx);
    pool.run(part.samples.len(), |n| {
        let sample = part.samples.start + n;
        // SAFETY: each sample belongs to one task.
        let dx = unsafe { dx.part(sample * values..(sample + 1) * values) };
        for position in 0..positions {
            let patch = &patches[(n * positions + position) * width..][..width];
            for_places(form, position, |place, to| {
                let to = &mut dx[to * form.input.channels..][..form.input.channels];
                for n in 0..part.inputs.len() {
                    to[part.inputs.get(n)] += patch[n * square + place];
                }
            });
        }
    });
}

/// The weights of a part, [its outputs, its channels·k²]. Only masks need it, and they exclude groups.
pub(super) fn weights(pool: &Pool, form: &Form, part: &Part<'_>, w: &[f32], to: &mut Vec<f32>) {
    let (patch, square) = (form.patch(), form.window.kernel * form.window.kernel);
    let width = part.inputs.len() * square;
    to.resize(part.outputs.len() * width, 0.0);
    for_rows(pool, to, width, |n, to| {
        let from = &w[part.outputs.get(n) * patch..][..patch];
        for (channel, to) in to.chunks_exact_mut(square).enumerate() {
            to.copy_from_slice(&from[part.inputs.get(channel) * square..][..square]);
        }
    });
}

/// Adds the gradient of a part's weights to dw: the adjoint of [`weights`], and of using whole rows as they stand.
pub(super) fn add_weights(pool: &Pool, form: &Form, part: &Part<'_>, weights: &[f32], dw: &mut [f32]) {
    let (patch, square) = (form.patch(), form.window.kernel * form.window.kernel);
    let width = part.inputs.len() * square;
    let whole = width == patch;
    let dw = SharedMut::new(dw);
    pool.run(part.outputs.len().div_ceil(ROWS), |task| {
        for n in task * ROWS..(task * ROWS + ROWS).min(part.outputs.len()) {
            let output = part.outputs.get(n);
            // SAFETY: outputs are distinct, and each belongs to one task.
            let to = unsafe { dw.part(output * patch..(output + 1) * patch) };
            let from = &weights[n * width..][..width];
            if whole {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                continue;
            }
            for (channel, from) in from.chunks_exact(square).enumerate() {
                let to = &mut to[part.inputs.get(channel) * square..][..square];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
    });
}

/// The columns of y [B·P, O] that a part computes, [rows, its outputs].
pub(super) fn take_outputs(pool: &Pool, form: &Form, part: &Part<'_>, y: &[f32], to: &mut Vec<f32>) {
    let (start, all) = (part.rows(form).start, form.output.channels);
    to.resize(part.rows(form).len() * part.outputs.len(), 0.0);
    for_rows(pool, to, part.outputs.len(), |row, to| {
        let from = &y[(start + row) * all..][..all];
        for (n, to) in to.iter_mut().enumerate() {
            *to = from[part.outputs.get(n)];
        }
    });
}

/// Puts what a part computed in its columns of y [B·P, O].
pub(super) fn place_outputs(pool: &Pool, form: &Form, part: &Part<'_>, from: &[f32], y: &mut [f32]) {
    let (rows, all, each) = (part.rows(form), form.output.channels, part.outputs.len());
    for_rows(pool, &mut y[rows.start * all..rows.end * all], all, |row, to| {
        for (n, from) in from[row * each..][..each].iter().enumerate() {
            to[part.outputs.get(n)] = *from;
        }
    });
}

/// [B, C, H·W], as images are read and flat layers count, to [B, H·W, C], as layers here compute.
///
/// # Panics
/// If `from` is not a whole number of samples.
pub fn channels_last(pool: &Pool, planes: Planes, from: &[f32], to: &mut Vec<f32>) {
    transpose(pool, planes.channels, planes.positions(), from, to);
}

/// [B, H·W, C] to [B, C, H·W].
///
/// # Panics
/// If `from` is not a whole number of samples.
pub fn channels_first(pool: &Pool, planes: Planes, from: &[f32], to: &mut Vec<f32>) {
    transpose(pool, planes.positions(), planes.channels, from, to);
}

/// Each sample from [rows, columns] to [columns, rows].
fn transpose(pool: &Pool, rows: usize, columns: usize, from: &[f32], to: &mut Vec<f32>) {
    let values = rows * columns;
    assert!(from.len().is_multiple_of(values), "{} values are no samples of {values}", from.len());
    to.resize(from.len(), 0.0);
    let shared = SharedMut::new(to);
    pool.run(from.len() / values, |sample| {
        // SAFETY: each sample belongs to one task.
        let to = unsafe { shared.part(sample * values..(sample + 1) * values) };
        let from = &from[sample * values..][..values];
        for (column, to) in to.chunks_exact_mut(rows).enumerate() {
            for (row, to) in to.iter_mut().enumerate() {
                *to = from[row * columns + column];
            }
        }
    });
}
