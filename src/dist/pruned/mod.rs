//! Pruned kernels: distances from the few coordinates that decide them.
//!
//! At large p a distance is made by the largest |x_i − w_i| alone. The samples of a batch are taken in groups
//! ([`groups`]); where a coordinate of a whole group lies bounds |x_i − w_i| from both sides, so one sweep of a weight
//! row over those bounds tells which coordinates can matter to any sample of the group ([`candidates`]). At p = ∞ what
//! remains is computed exactly ([`largest`], [`interval`]). At finite p coordinates below t·m are left out, m being the
//! exact largest and t = (2^−bits / I)^(1/p), so that what is left out of a sum is less than 2^−bits of it ([`forward`],
//! [`backward`]).
//!
//! How much that saves depends on the operands, so [`choice`] looks at a sample of them.

mod backward;
mod candidates;
mod choice;
mod forward;
mod groups;
mod interval;
mod largest;
mod outputs;
mod ratio_power;
#[cfg(test)]
mod tests;

use super::Shape;
use super::pool::Pool;
use super::simd::Simd;
use groups::Packed;
use ratio_power::RatioPower;

pub use choice::Pruning;
pub(super) use choice::{could_win, interval_could_win, interval_wins, wins};

/// How much of a sum of powers the pruned kernels may leave out at finite p. At p = ∞ they are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 2⁻⁴: y is off by less than 2⁻⁴/p of itself, for training alone.
    Bits4,
    /// 2⁻⁸: y is off by less than 2⁻⁸/p of itself, as a rule by a tenth of that or less.
    Bits8,
    /// 2⁻¹⁶: y is off by less than 2⁻¹⁶/p of itself, which is below its rounding from p = 256 on and below 10⁻⁶ from 24.
    #[default]
    Bits16,
    /// 2⁻²⁴: nothing that f32 can tell.
    Bits24,
}

impl Precision {
    /// The one of so many bits: 4, 8, 16 or 24.
    pub fn of_bits(bits: u32) -> Option<Precision> {
        match bits {
            4 => Some(Precision::Bits4),
            8 => Some(Precision::Bits8),
            16 => Some(Precision::Bits16),
            24 => Some(Precision::Bits24),
            _ => None,
        }
    }

    /// Least p there are pruned kernels for: below, thresholds are so low that the powers are no longer level.
    pub fn least_p(self) -> f64 {
        match self {
            Precision::Bits4 => 12.0,
            Precision::Bits8 => 16.0,
            Precision::Bits16 | Precision::Bits24 => 24.0,
        }
    }

    fn bits(self) -> f64 {
        match self {
            Precision::Bits4 => 4.0,
            Precision::Bits8 => 8.0,
            Precision::Bits16 => 16.0,
            Precision::Bits24 => 24.0,
        }
    }

    /// t for sums of `inputs` terms.
    fn threshold(self, p: f64, inputs: usize) -> f32 {
        ((-self.bits() - (inputs as f64).log2()) / p).exp2() as f32
    }
}

/// The pruned kernels of one layer, with their workspace.
#[derive(Default)]
pub(super) struct PrunedOp {
    packed: Packed,
    saved: forward::Saved,
    coefficients: Vec<f32>,
    forward_power: RatioPower,
    backward_power: RatioPower,
}

/// p and the precision of a pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Norm {
    pub p: f64,
    pub precision: Precision,
}

impl PrunedOp {
    /// Frees what no later backward pass needs.
    pub(super) fn release(&mut self) {
        self.coefficients = Vec::new();
    }

    /// How sparse the distances of x are. Lays out the part of x that is looked at.
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub(super) fn sample(
        &mut self,
        pool: &Pool,
        simd: Simd,
        shape: Shape,
        norm: Norm,
        x: &[f32],
        w: &[f32],
        keep: bool,
    ) -> Pruning {
        self.fit(shape, norm);
        // Vectors of samples are told apart by what an index or a sum needs.
        self.packed.reset(simd, shape.batch, shape.inputs, keep || norm.p.is_finite());
        let groups = self.packed.groups;
        self.packed.pack(pool, simd, x, &choice::sampled(shape, groups));
        choice::sample(shape, groups, norm.p, |group, outputs| {
            if norm.p.is_infinite() {
                largest::count(simd, shape, &self.packed, group, outputs, w, keep)
            } else {
                forward::count(simd, self.operands(shape, norm, w), group, outputs)
            }
        })
    }

    /// Lays out the part of x that was not [`sample`](Self::sample)d, for the passes to come.
    pub(super) fn pack_rest(&mut self, pool: &Pool, simd: Simd, shape: Shape, x: &[f32]) {
        self.packed.pack(pool, simd, x, &choice::not_sampled(shape, self.packed.groups));
    }

    /// y at p = ∞ of the packed x, and where wanted the index that the dense backward pass takes.
    pub(super) fn largest(
        &self,
        pool: &Pool,
        simd: Simd,
        shape: Shape,
        w: &[f32],
        y: &mut [f32],
        index: Option<&mut [u32]>,
    ) {
        largest::forward(pool, simd, shape, &self.packed, w, y, index);
    }

    fn operands<'a>(&'a self, shape: Shape, norm: Norm, w: &'a [f32]) -> forward::Operands<'a> {
        let threshold = norm.precision.threshold(norm.p, shape.inputs);
        forward::Operands { shape, p: norm.p, power: &self.forward_power, threshold, packed: &self.packed, w }
    }

    /// y at finite p of the packed x.
    pub(super) fn forward(&mut self, pool: &Pool, simd: Simd, shape: Shape, norm: Norm, w: &[f32], y: &mut [f32]) {
        self.fit(shape, norm);
        let mut saved = std::mem::take(&mut self.saved);
        forward::forward(pool, simd, self.operands(shape, norm, w), y, &mut saved);
        self.saved = saved;
    }

    fn fit(&mut self, shape: Shape, norm: Norm) {
        if norm.p.is_infinite() {
            return;
        }
        let threshold = norm.precision.threshold(norm.p, shape.inputs);
        self.forward_power = self.forward_power.of(norm.p, threshold, norm.precision);
    }

    /// Becomes what `all` is after its forward pass, for some samples of its batch alone: `x` [shape.batch, I] holds theirs.
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub(super) fn select(
        &mut self,
        pool: &Pool,
        simd: Simd,
        shape: Shape,
        norm: Norm,
        all: &PrunedOp,
        samples: &[u32],
        x: &[f32],
    ) {
        self.packed.reset(simd, shape.batch, shape.inputs, true);
        let groups = self.packed.groups;
        self.packed.pack(pool, simd, x, &(0..groups.count).collect::<Vec<_>>());
        let threshold = norm.precision.threshold(norm.p, shape.inputs);
        let from = (&all.saved, all.packed.groups);
        self.saved.select(pool, simd, threshold, &self.packed, shape.outputs, from, samples);
    }

    /// Gradients of the last [`forward`](Self::forward).
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub(super) fn backward(
        &mut self,
        pool: &Pool,
        simd: Simd,
        shape: Shape,
        norm: Norm,
        w: &[f32],
        g: &[f32],
        dx: Option<&mut [f32]>,
        dw: Option<&mut [f32]>,
    ) {
        let threshold = norm.precision.threshold(norm.p, shape.inputs);
        self.backward_power = self.backward_power.of(norm.p - 1.0, threshold, norm.precision);
        let PrunedOp { packed, saved, coefficients, backward_power: power, .. } = self;
        let operands = backward::Operands { shape, power, packed, saved, w, g };
        backward::backward(pool, simd, operands, coefficients, dx, dw);
    }
}

/// The pruned bounds of intervals at p = ∞, of one layer.
#[derive(Default)]
pub(super) struct PrunedInterval {
    lo: Packed,
    hi: Packed,
}

impl PrunedInterval {
    /// How few coordinates decide the bounds. Lays out the part of the boxes that is looked at.
    pub(super) fn sample(
        &mut self,
        pool: &Pool,
        simd: Simd,
        shape: Shape,
        lo: &[f32],
        hi: &[f32],
        w: &[f32],
    ) -> Pruning {
        for (packed, ends) in [(&mut self.lo, lo), (&mut self.hi, hi)] {
            packed.reset(simd, shape.batch, shape.inputs, false);
            packed.pack(pool, simd, ends, &choice::sampled(shape, packed.groups));
        }
        choice::sample(shape, self.lo.groups, f64::INFINITY, |group, outputs| {
            interval::count(simd, shape, &self.lo, &self.hi, group, outputs, w)
        })
    }

    /// Bounds [B, O] of the boxes that were [`sample`](Self::sample)d, equal to those of the dense kernel.
    #[allow(clippy::too_many_arguments)] // two boxes in, two out
    pub(super) fn bounds(
        mut self,
        pool: &Pool,
        simd: Simd,
        shape: Shape,
        lo: &[f32],
        hi: &[f32],
        w: &[f32],
        out_lo: &mut [f32],
        out_hi: &mut [f32],
    ) {
        for (packed, ends) in [(&mut self.lo, lo), (&mut self.hi, hi)] {
            packed.pack(pool, simd, ends, &choice::not_sampled(shape, packed.groups));
        }
        interval::interval(pool, simd, shape, &self.lo, &self.hi, w, out_lo, out_hi);
    }
}
