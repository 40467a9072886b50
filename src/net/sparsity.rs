//! How few inputs a neuron's distance, and so its gradient, is made of: nearly all at p = 8, one at p = ∞.

use crate::dist::FormOp;
use crate::experiment::PNorm;

use super::trunk::turn;
use super::{Evaluator, NetState};

/// Differences |x − w| that the layers may take for one measurement: some tenths of a second on two cores.
const MOST: usize = 1 << 31;

/// Shares of all differences |x_i − w_i| of a net, each layer weighted by how many it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sparsity {
    /// Those that count: what is left out makes up less than 2⁻¹⁶ of its sum of powers. At p = ∞ one a neuron.
    pub counting: f64,
    /// Those that the bounds of a group of samples do not exclude, which is what pruned kernels have to look at
    /// ([`crate::dist::Pruning`]); `None` where the batch was too dear to be taken whole.
    pub candidates: Option<f64>,
}

impl Evaluator {
    /// Measures a batch of images `[B, C·H·W]`, augmented and normalised, at p, with the running means of the net. `None`
    /// of a net whose neurons sort: at finite p it is no function without its dropout.
    pub fn sparsity(&mut self, net: &NetState, images: &[f32], p: PNorm) -> Option<Sparsity> {
        if net.layers.iter().any(|layer| layer.shape.keep.is_some()) {
            return None;
        }
        self.begin();
        let values = net.layers.first()?.shape.form.input().values();
        let batch = images.len() / values;
        let differences: Vec<usize> =
            net.layers.iter().map(|layer| layer.shape.form.output().values() * layer.shape.inputs()).collect();
        let all: usize = differences.iter().sum();
        let rows = (MOST / all.max(1)).clamp(1, batch.max(1));
        let mut input = images.get(..rows * values)?.to_vec();
        let (mut counting, mut candidates) = (0.0, 0.0);
        for (layer, differences) in net.layers.iter().zip(&differences) {
            let mut scratch = Vec::new();
            let turned = turn(&self.pool, layer.shape.turn, &input, &mut scratch);
            let mut op = FormOp::new(self.simd, layer.shape.form);
            let found = op.sparsity(&self.pool, rows, p.get(), turned, &layer.weight.value);
            let weight = *differences as f64 / all as f64;
            counting += weight * found.terms;
            candidates += weight * found.candidates;
            input = self.layer(layer, p, &input);
        }
        Some(Sparsity { counting, candidates: (rows == batch).then_some(candidates) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DatasetId;
    use crate::dist::{Pool, Shape, Simd, sparsity};
    use crate::net::NetShape;

    /// Shares in [0, 1), from a seed.
    fn noise(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn inputs_that_count_are_those_whose_power_does() {
        let shape = Shape { batch: 96, inputs: 200, outputs: 480 };
        let (x, w) = (noise(1, shape.batch * shape.inputs), noise(2, shape.outputs * shape.inputs));
        let pool = Pool::new(1);
        for p in [2.0f64, 8.0, 24.0, 64.0, 1000.0] {
            // (|x − w| / m)^p ≥ 2⁻¹⁶ / I
            let least = (-(16.0 + (shape.inputs as f64).log2()) / p).exp2();
            let mut counted = 0usize;
            for x in x.chunks_exact(shape.inputs) {
                for w in w.chunks_exact(shape.inputs) {
                    let differences = x.iter().zip(w).map(|(x, w)| f64::from((x - w).abs()));
                    let m = differences.clone().fold(0.0, f64::max);
                    counted += differences.filter(|difference| *difference >= least * m).count();
                }
            }
            let exact = counted as f64 / (shape.batch * shape.outputs * shape.inputs) as f64;
            for simd in Simd::available() {
                let found = sparsity(&pool, simd, shape, p, &x, &w);
                assert!((found.terms / exact - 1.0).abs() < 0.1, "p = {p}: {} is not about {exact}", found.terms);
                assert!(found.candidates >= found.terms, "p = {p}: what counts is a candidate");
            }
        }
    }

    #[test]
    fn a_net_grows_sparse_as_p_climbs_and_ends_at_one_input_a_neuron() {
        let net = NetState::init(&NetShape::dense(&[784, 64, 10]).unwrap(), 3, None);
        let images = noise(4, 784 * 32);
        let mut evaluator = Evaluator::new(DatasetId::Mnist, 1, Simd::detect().unwrap());
        let mut at = |p: f64| evaluator.sparsity(&net, &images, PNorm::new(p).unwrap()).unwrap();
        let shares = [2.0, 8.0, 64.0, 1000.0, f64::INFINITY].map(|p| at(p).counting);
        assert!(shares.is_sorted_by(|a, b| a > b), "{shares:?}");
        // One of 784 in 784·64 of the differences, one of 64 in the others: neurons by differences.
        let neurons = 74.0 / (784.0 * 64.0 + 64.0 * 10.0);
        assert!((shares[4] - neurons).abs() < 1e-9, "{} is not {neurons}", shares[4]);
        assert!(at(64.0).candidates.unwrap() >= shares[2]);
    }
}
