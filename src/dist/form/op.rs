//! The op of one layer of any form: parts of it, one after another, through the dense kernels.

use super::Form;
use super::gather;
use super::part::{Mask, Part, parts};
use crate::{DistOp, Kernels, Pool, Precision, Pruning, Simd, SortOp, SortProfile, interval, sort_interval, sparsity};

/// Floats of gathered patches at a time: 16 MB. A single sample may need more.
pub(super) const PATCH_FLOATS: usize = 1 << 22;

/// What a neuron makes of its differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Neuron<'a> {
    /// Their ℓp norm, p from 1 to ∞.
    Distance(f64),
    /// The weighted sum of the largest.
    Sort(&'a SortProfile),
}

impl<'a> Neuron<'a> {
    /// Outside training: one that sorts where there is a profile, else the distance.
    pub fn evaluated(profile: Option<&'a SortProfile>, p: f64) -> Neuron<'a> {
        profile.map_or(Neuron::Distance(p), Neuron::Sort)
    }
}

/// The op of one layer, with its workspace.
///
/// A dense layer or a 1×1 convolution uses its operands as they stand. Otherwise at most 16 MB of patches exist at a time
/// (one sample's, if those are more; under masks those of the samples that share one), and a gradient of the weights beside the caller's; what each part's gradient needs
/// is kept: three numbers a pair (row, output) at most, as in a dense layer. Parts are computed in a fixed order, so
/// the result does not depend on the number of threads.
pub struct FormOp {
    simd: Simd,
    form: Form,
    precision: Precision,
    kept: Kept,
    batch: usize,
    distances: Vec<DistOp>,
    sorts: Vec<SortOp>,
    scratch: Scratch,
}

/// What the last forward pass left for the gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Nothing,
    Distances,
    Sorts,
}

#[derive(Default)]
struct Scratch {
    x: Vec<f32>,
    high: Vec<f32>,
    w: Vec<f32>,
    y: Vec<f32>,
    y_high: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

impl FormOp {
    /// An op without workspace yet.
    pub fn new(simd: Simd, form: Form) -> FormOp {
        FormOp::with(simd, form, Precision::default())
    }

    /// An op without workspace yet, whose sums at finite p may leave that much out.
    pub fn with(simd: Simd, form: Form, precision: Precision) -> FormOp {
        FormOp {
            simd,
            form,
            precision,
            kept: Kept::Nothing,
            batch: 0,
            distances: Vec::new(),
            sorts: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// The layer's form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The op that computed the first part of the last pass, for its statistics.
    pub fn first(&self) -> Option<&DistOp> {
        self.distances.first()
    }

    /// y [B·P', O] of x [B·P, C] and w [O, C/G·k²]. Outputs that `masks` (none, or one for every 32 samples) drop are 0.
    /// `keep` says that a backward pass follows.
    ///
    /// # Panics
    /// If a length does not fit, or masks do not fit the form or come with sort neurons.
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub fn forward(
        &mut self,
        pool: &Pool,
        batch: usize,
        neuron: Neuron<'_>,
        masks: &[Mask],
        x: &[f32],
        w: &[f32],
        y: &mut [f32],
        keep: bool,
    ) {
        let form = self.form;
        self.check(batch, x, w, y);
        let parts = parts(&form, batch, masks, PATCH_FLOATS);
        self.batch = batch;
        self.kept = match neuron {
            _ if !keep => Kept::Nothing,
            Neuron::Distance(_) => Kept::Distances,
            Neuron::Sort(_) => Kept::Sorts,
        };
        // Without a backward pass one op serves all parts.
        let ops = if keep { parts.len() } else { 1 };
        match neuron {
            Neuron::Distance(_) => {
                let op = || DistOp::with(self.simd, Kernels::default(), self.precision);
                self.distances.resize_with(ops, op);
            }
            Neuron::Sort(profile) => {
                assert!(masks.is_empty(), "sort neurons are the mean of dropout: they take no masks");
                self.sorts.clear();
                self.sorts.resize_with(ops, || SortOp::new(self.simd, profile.clone()));
            }
        }
        if !masks.is_empty() {
            y.fill(0.0);
        }
        let Scratch { x: x_part, w: w_part, y: y_part, .. } = &mut self.scratch;
        for (index, part) in parts.iter().enumerate() {
            let shape = part.shape(&form);
            let x = rows(pool, &form, part, x, x_part);
            let w = weights(pool, &form, part, w, w_part);
            let whole = part.gives_rows(&form);
            let to = if whole {
                let rows = part.rows(&form);
                &mut y[rows.start * shape.outputs..rows.end * shape.outputs]
            } else {
                y_part.resize(shape.batch * shape.outputs, 0.0);
                y_part.as_mut_slice()
            };
            let op = index.min(ops - 1);
            match neuron {
                Neuron::Distance(p) => {
                    self.distances[op].forward(pool, shape, p, x, w, to, keep);
                    if ops > 1 {
                        self.distances[op].release();
                    }
                }
                Neuron::Sort(_) => self.sorts[op].forward(pool, shape, x, w, to, keep),
            }
            if !whole {
                gather::place_outputs(pool, &form, part, y_part, y);
            }
        }
    }

    /// Gradients of the last `forward(keep = true)`, given the same x, w and masks and the upstream gradient g [B·P', O]
    /// (dropped outputs are not read). `dx` [B·P, C] and `dw` [O, C/G·k²] are overwritten; what was dropped has gradient 0.
    ///
    /// # Panics
    /// If a length does not fit, or the last forward pass kept nothing.
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub fn backward(
        &mut self,
        pool: &Pool,
        masks: &[Mask],
        x: &[f32],
        w: &[f32],
        g: &[f32],
        mut dx: Option<&mut [f32]>,
        mut dw: Option<&mut [f32]>,
    ) {
        let form = self.form;
        assert!(self.kept != Kept::Nothing, "backward without a forward pass that keeps");
        self.check(self.batch, x, w, g);
        assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "dx must have the length of x");
        assert!(dw.as_ref().is_none_or(|dw| dw.len() == w.len()), "dw must have the length of w");
        let parts = parts(&form, self.batch, masks, PATCH_FLOATS);
        // Where no two parts share an element they write it directly; else they add to it.
        let direct_x = parts.iter().all(|part| part.takes_rows(&form));
        let direct_w = parts.iter().all(|part| part.samples.len() == self.batch && part.weight_rows(&form).is_some());
        if let Some(dx) = dx.as_deref_mut().filter(|_| !direct_x) {
            dx.fill(0.0);
        }
        if let Some(dw) = dw.as_deref_mut().filter(|_| !direct_w) {
            dw.fill(0.0);
        }
        let Scratch { x: x_part, w: w_part, y: g_part, dx: dx_part, dw: dw_part, .. } = &mut self.scratch;
        for (index, part) in parts.iter().enumerate() {
            let shape = part.shape(&form);
            let x = rows(pool, &form, part, x, x_part);
            let w = weights(pool, &form, part, w, w_part);
            let g = if part.gives_rows(&form) {
                let rows = part.rows(&form);
                &g[rows.start * shape.outputs..rows.end * shape.outputs]
            } else {
                gather::take_outputs(pool, &form, part, g, g_part);
                g_part.as_slice()
            };
            let to_x = match dx.as_deref_mut() {
                None => None,
                Some(dx) if direct_x => {
                    let rows = part.rows(&form);
                    Some(&mut dx[rows.start * shape.inputs..rows.end * shape.inputs])
                }
                Some(_) => {
                    dx_part.resize(shape.batch * shape.inputs, 0.0);
                    Some(dx_part.as_mut_slice())
                }
            };
            let to_w = match (dw.as_deref_mut(), part.weight_rows(&form)) {
                (None, _) => None,
                (Some(dw), Some(rows)) if direct_w => Some(&mut dw[rows.start * shape.inputs..rows.end * shape.inputs]),
                (Some(_), _) => {
                    dw_part.resize(shape.outputs * shape.inputs, 0.0);
                    Some(dw_part.as_mut_slice())
                }
            };
            match self.kept {
                Kept::Sorts => self.sorts[index].backward(pool, g, to_x, to_w),
                _ => {
                    self.distances[index].backward(pool, x, w, g, to_x, to_w);
                    if parts.len() > 1 {
                        self.distances[index].release();
                    }
                }
            }
            if let Some(dx) = dx.as_deref_mut().filter(|_| !direct_x) {
                gather::add_patches(pool, &form, part, dx_part, dx);
            }
            if let Some(dw) = dw.as_deref_mut().filter(|_| !direct_w) {
                gather::add_weights(pool, &form, part, dw_part, dw);
            }
        }
    }

    /// Bounds [B·P', O] at p = ∞ over all inputs with lo ≤ x ≤ hi, [B·P, C] each, for the f32 program itself: patches hold
    /// the ends of the box, padding is 0 at both ends. `profile` says that the neurons sort.
    ///
    /// # Panics
    /// If a length does not fit.
    #[allow(clippy::too_many_arguments)] // two boxes in, two out
    pub fn interval(
        &mut self,
        pool: &Pool,
        batch: usize,
        profile: Option<&SortProfile>,
        lo: &[f32],
        hi: &[f32],
        w: &[f32],
        out_lo: &mut [f32],
        out_hi: &mut [f32],
    ) {
        let (form, simd) = (self.form, self.simd);
        self.check(batch, lo, w, out_lo);
        self.check(batch, hi, w, out_hi);
        let Scratch { x: lo_part, high: hi_part, w: w_part, y, y_high, .. } = &mut self.scratch;
        for part in &parts(&form, batch, &[], PATCH_FLOATS) {
            let shape = part.shape(&form);
            let lo = rows(pool, &form, part, lo, lo_part);
            let hi = rows(pool, &form, part, hi, hi_part);
            let w = weights(pool, &form, part, w, w_part);
            y.resize(shape.batch * shape.outputs, 0.0);
            y_high.resize(shape.batch * shape.outputs, 0.0);
            match profile {
                None => interval(pool, simd, shape, lo, hi, w, y, y_high),
                Some(profile) => sort_interval(pool, simd, profile, shape, lo, hi, w, y, y_high),
            }
            gather::place_outputs(pool, &form, part, y, out_lo);
            gather::place_outputs(pool, &form, part, y_high, out_hi);
        }
    }

    /// How sparse the distances of x [B·P, C] from w [O, C/G·k²] are at p, by a sample of the layer's first part.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn sparsity(&mut self, pool: &Pool, batch: usize, p: f64, x: &[f32], w: &[f32]) -> Pruning {
        let form = self.form;
        self.check_operands(batch, x, w);
        let Scratch { x: x_part, w: w_part, .. } = &mut self.scratch;
        let part = &parts(&form, batch, &[], PATCH_FLOATS)[0];
        let x = rows(pool, &form, part, x, x_part);
        let w = weights(pool, &form, part, w, w_part);
        sparsity(pool, self.simd, part.shape(&form), p, x, w)
    }

    fn check(&self, batch: usize, x: &[f32], w: &[f32], y: &[f32]) {
        self.check_operands(batch, x, w);
        assert_eq!(y.len(), batch * self.form.output.values(), "y and g must be [B·P', O] of {:?}", self.form);
    }

    fn check_operands(&self, batch: usize, x: &[f32], w: &[f32]) {
        let form = &self.form;
        assert!(batch > 0, "a batch of nothing");
        assert_eq!(x.len(), batch * form.input.values(), "x must be [B·P, C] of {form:?}");
        assert_eq!(w.len(), form.weights(), "w must be [O, C/G·k²] of {form:?}");
    }
}

/// A part's rows of inputs: those of x itself where they can be used as they stand.
fn rows<'a>(pool: &Pool, form: &Form, part: &Part<'_>, x: &'a [f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
    if part.takes_rows(form) {
        let rows = part.rows(form);
        return &x[rows.start * form.input.channels..rows.end * form.input.channels];
    }
    gather::patches(pool, form, part, x, scratch);
    scratch
}

/// A part's weights: those of w itself where they can be used as they stand.
fn weights<'a>(pool: &Pool, form: &Form, part: &Part<'_>, w: &'a [f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
    if let Some(rows) = part.weight_rows(form) {
        return &w[rows.start * form.patch()..rows.end * form.patch()];
    }
    gather::weights(pool, form, part, w, scratch);
    scratch
}
