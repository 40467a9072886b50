//! The head of a net: linear, tanh, linear, on the features that distance layers give (arXiv 2102.05363 §5, "ℓ∞-dist
//! Net+MLP"; arXiv 2210.01787, "SortNet+MLP").
//!
//! A linear layer is x ↦ W·x/√inputs + b (neural-tangent scaling): the factor is applied in the forward pass, so that a
//! step of the optimizer acts on W itself.

mod certificate;
#[cfg(test)]
mod tests;
mod train;

pub use certificate::HeadBounds;
pub use train::HeadPass;
pub(super) use train::column_sums;

use crate::dataset::random::{self, Purpose};
use crate::dist::{Pool, Simd, product, product_interval, transposed};

use super::Trained;
use super::tanh::tanh;

/// One linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Values in.
    pub inputs: usize,
    /// Values out.
    pub outputs: usize,
    /// `[outputs, inputs]`.
    pub weight: Trained,
    /// `[outputs]`.
    pub bias: Trained,
}

/// features → hidden, tanh, hidden → classes. Its logits are largest for the likeliest class.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Features to hidden.
    pub hidden: Linear,
    /// Hidden to classes.
    pub classes: Linear,
}

impl Linear {
    /// Weights i.i.d. N(0, 1), bias 0. `number` tells the layers of a net apart.
    fn init(inputs: usize, outputs: usize, seed: u64, number: u64) -> Linear {
        let mut weight = vec![0.0; inputs * outputs];
        random::fill_normal(seed, random::stream(Purpose::HeadWeights, number), &mut weight);
        Linear { inputs, outputs, weight: Trained::new(weight), bias: Trained::new(vec![0.0; outputs]) }
    }

    /// 1/√inputs, as the program has it.
    pub fn scale(&self) -> f32 {
        (1.0 / (self.inputs as f64).sqrt()) as f32
    }

    /// fl(fl(c·s) + b) with the sum s in the order of the inputs, `[B, outputs]`: the same bits on every machine.
    fn forward(&self, pool: &Pool, simd: Simd, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len() / self.inputs * self.outputs];
        product(pool, simd, self.inputs, x, &transposed(&self.weight.value, self.inputs), &mut y);
        self.finish(&mut y);
        y
    }

    /// Bounds of [`Self::forward`] by the same operations at the ends of the box.
    fn interval(&self, pool: &Pool, simd: Simd, low: &[f32], high: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut y_low = vec![0.0; low.len() / self.inputs * self.outputs];
        let mut y_high = y_low.clone();
        let weight = transposed(&self.weight.value, self.inputs);
        product_interval(pool, simd, self.inputs, low, high, &weight, &mut y_low, &mut y_high);
        self.finish(&mut y_low);
        self.finish(&mut y_high);
        (y_low, y_high)
    }

    fn finish(&self, sums: &mut [f32]) {
        let scale = self.scale();
        for row in sums.chunks_exact_mut(self.outputs) {
            for (value, bias) in row.iter_mut().zip(&self.bias.value) {
                *value = scale * *value + bias;
            }
        }
    }
}

impl Head {
    /// A fresh head.
    pub fn init(inputs: usize, hidden: usize, classes: usize, seed: u64) -> Head {
        Head { hidden: Linear::init(inputs, hidden, seed, 0), classes: Linear::init(hidden, classes, seed, 1) }
    }

    /// Logits `[B, C]` of features `[B, I]`.
    pub fn logits(&self, pool: &Pool, simd: Simd, features: &[f32]) -> Vec<f32> {
        let mut hidden = self.hidden.forward(pool, simd, features);
        hidden.iter_mut().for_each(|value| *value = tanh(*value));
        self.classes.forward(pool, simd, &hidden)
    }

    /// Every tensor with its name and shape, for [`NetState`](super::NetState).
    pub(super) fn parts(&self) -> [(&'static str, Vec<usize>, &Trained); 4] {
        let Head { hidden, classes } = self;
        [
            ("head.hidden.weight", vec![hidden.outputs, hidden.inputs], &hidden.weight),
            ("head.hidden.bias", vec![hidden.outputs], &hidden.bias),
            ("head.classes.weight", vec![classes.outputs, classes.inputs], &classes.weight),
            ("head.classes.bias", vec![classes.outputs], &classes.bias),
        ]
    }

    pub(super) fn parts_mut(&mut self) -> [(&'static str, &mut Trained); 4] {
        let Head { hidden, classes } = self;
        [
            ("head.hidden.weight", &mut hidden.weight),
            ("head.hidden.bias", &mut hidden.bias),
            ("head.classes.weight", &mut classes.weight),
            ("head.classes.bias", &mut classes.bias),
        ]
    }
}
