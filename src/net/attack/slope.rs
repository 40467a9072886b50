//! A net in evaluation mode, and the gradient of its scores with respect to the images.

use crate::dist::{FormOp, Neuron, Pool, Simd};
use crate::experiment::PNorm;
use crate::net::trunk::{add_bias, subtract, turn, turn_back};
use crate::net::{HeadPass, NetState, Turn};

/// Passes of one net at one p; buffers are kept from pass to pass.
///
/// A score is what the largest of wins: a logit of the head, or the negated distance of a net without one.
pub(super) struct Slope<'a> {
    pool: &'a Pool,
    simd: Simd,
    net: &'a NetState,
    p: PNorm,
    ops: Vec<FormOp>,
    /// What each layer takes, where that had to be turned.
    turned: Vec<Vec<f32>>,
    /// Outputs of each layer after its mean or the bias, `[B·P, outputs]`.
    outputs: Vec<Vec<f32>>,
    head: HeadPass,
    features: Vec<f32>,
    scores: Vec<f32>,
}

impl<'a> Slope<'a> {
    /// # Panics
    /// If the net sorts and p is finite.
    pub(super) fn new(pool: &'a Pool, simd: Simd, net: &'a NetState, p: PNorm) -> Slope<'a> {
        assert!(p.is_infinite() || !net.sorts(), "sort neurons are evaluated at p = ∞ alone");
        let layers = net.layers.len();
        Slope {
            pool,
            simd,
            net,
            p,
            ops: net.layers.iter().map(|layer| FormOp::new(simd, layer.shape.form)).collect(),
            turned: vec![Vec::new(); layers],
            outputs: vec![Vec::new(); layers],
            head: HeadPass::default(),
            features: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Scores `[B, classes]` of images `[B, C·H·W]`. Their gradient may follow where `keep` says so.
    pub(super) fn scores(&mut self, images: &[f32], batch: usize, keep: bool) -> &[f32] {
        let net = self.net;
        for (index, layer) in net.layers.iter().enumerate() {
            let (before, rest) = self.outputs.split_at_mut(index);
            let (input, output) = (before.last().map_or(images, Vec::as_slice), &mut rest[0]);
            let input = turn(self.pool, layer.shape.turn, input, &mut self.turned[index]);
            output.resize(batch * layer.shape.form.output().values(), 0.0);
            let profile = layer.shape.profile();
            let neuron = profile.as_ref().map_or(Neuron::Distance(self.p.get()), Neuron::Sort);
            self.ops[index].forward(self.pool, batch, neuron, &[], input, &layer.weight.value, output, keep);
            subtract(output, &layer.mean);
        }
        let Some(last) = self.outputs.last_mut() else { return &[] };
        match &net.head {
            None => {
                add_bias(last, &net.bias.value);
                self.scores.clear();
                self.scores.extend(last.iter().map(|distance| -distance));
            }
            Some((turned, head)) => {
                let features = turn(self.pool, *turned, last, &mut self.features);
                if keep {
                    // The box of radius 0: the logits alone matter.
                    self.head.forward(self.pool, self.simd, head, features, &vec![0; batch], 0.0);
                    self.scores.clone_from(&self.head.logits);
                } else {
                    self.scores = head.logits(self.pool, self.simd, features);
                }
            }
        }
        &self.scores
    }

    /// Gradient `[B, C·H·W]` of Σ `of_scores`·scores, `[B, classes]` each, with respect to the images of the last pass that kept.
    pub(super) fn gradient(&mut self, images: &[f32], of_scores: &[f32]) -> Vec<f32> {
        let net = self.net;
        let mut upstream: Vec<f32> = match &net.head {
            None => of_scores.iter().map(|g| -g).collect(),
            Some((turned, head)) => {
                let last = self.outputs.last().map_or(&[][..], Vec::as_slice);
                let features = turn(self.pool, *turned, last, &mut self.features);
                let labels = vec![0; of_scores.len() / net.classes()];
                let no_worst = vec![0.0; of_scores.len()];
                let (pool, simd) = (self.pool, self.simd);
                self.head.backward(pool, simd, head, features, &labels, 0.0, of_scores, &no_worst);
                let mut back = Vec::new();
                turn_back(pool, *turned, &self.head.features, &mut back);
                back
            }
        };
        for (index, layer) in net.layers.iter().enumerate().rev() {
            let input = match (layer.shape.turn, index) {
                (Turn::Stay, 0) => images,
                (Turn::Stay, _) => &self.outputs[index - 1],
                _ => &self.turned[index],
            };
            let mut downstream = vec![0.0; input.len()];
            let weight = &layer.weight.value;
            self.ops[index].backward(self.pool, &[], input, weight, &upstream, Some(&mut downstream), None);
            match layer.shape.turn {
                Turn::Stay => upstream = downstream,
                turned => turn_back(self.pool, turned, &downstream, &mut upstream),
            }
        }
        upstream
    }
}
