//! The ℓp / ℓ∞ distance layer on the CPU, on plain slices: y[b, o] = ‖x_b − w_o‖_p, its gradients and bounds.
//!
//! * [`DistOp`] is the op of one layer, for every p from 1 to ∞; [`interval`] bounds it at p = ∞; [`reference`](mod@reference) defines both.
//! * [`FormOp`] is the op of a layer of any [`Form`]: dense, grouped, convolutional, or under dropout.
//! * [`SortOp`] is the neuron of SortNet, a weighted sum of the largest differences; [`sort_interval`] bounds it.
//! * [`adam_step`], [`decay_rows`], [`draw_rows`] and [`mean_shift_forward`] are the rest of a training step that is worth a kernel.
//! * [`CacheLines`] is the allocator that a program with these kernels runs fastest with.
//! * [`Pool`] runs them on several threads, [`Simd`] says with which instructions. Results never depend on the threads;
//!   between instruction sets they agree within the tolerances of the tests, and to the bit at p = ∞.
//!
//! Working memory is O(B·I + O·I + B·O), never O(B·O·I). How fast it is: `docs/benchmarks.md`.

mod adam;
mod backward;
mod cache_lines;
mod decay;
mod draw;
mod finite;
mod form;
mod largest;
mod mean_shift;
mod minimax;
mod norms;
mod op;
mod pool;
mod powers;
mod product;
mod pruned;
mod rates;
pub mod reference;
mod scatter;
mod selection;
mod shared;
mod simd;
mod sort;
#[cfg(test)]
mod tests;
mod tiles;

pub use adam::{Adam, adam_step, all_finite};
pub use cache_lines::CacheLines;
pub use decay::decay_rows;
pub use draw::draw_rows;
pub use form::{
    Form, FormError, FormOp, MASK_SAMPLES, Mask, Neuron, Part, Pick, Planes, Window, channels_first, channels_last,
    parts,
};
pub use mean_shift::{mean_shift_backward, mean_shift_forward, mean_shift_masked_backward, mean_shift_masked_forward};
pub use op::{DistOp, Kernels, OpStats, Path, interval, interval_by, sparsity};
pub use pool::Pool;
pub use product::{product, product_interval, transposed};
pub use pruned::{Precision, Pruning};
pub use rates::multiply_adds;
pub use simd::{Simd, SimdError};
pub use sort::{SortOp, SortProfile, sort_interval};

/// Sizes of a layer's operands: x [B, I], w [O, I], y [B, O].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// B, samples.
    pub batch: usize,
    /// I, coordinates of a sample and of a weight row.
    pub inputs: usize,
    /// O, weight rows.
    pub outputs: usize,
}

impl Shape {
    /// # Panics
    /// If a dimension is 0, too large for a 31-bit index, or a length does not fit: kernels rely on it.
    fn check(self, x: &[f32], w: &[f32], y: &[f32]) {
        let Shape { batch, inputs, outputs } = self;
        assert!(batch > 0 && inputs > 0 && outputs > 0, "a dimension is 0: {self:?}");
        assert!(inputs < 1 << 31, "too many inputs: {self:?}");
        assert_eq!(x.len(), batch * inputs, "x must be [B, I] of {self:?}");
        assert_eq!(w.len(), outputs * inputs, "w must be [O, I] of {self:?}");
        assert_eq!(y.len(), batch * outputs, "y and g must be [B, O] of {self:?}");
    }
}
