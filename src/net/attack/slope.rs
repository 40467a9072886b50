//! A net in evaluation mode, and the gradient of its scores with respect to the images.

use linf_cuda::GpuError;

use crate::dist::{FormOp, Neuron, Pool, Simd};
use crate::experiment::PNorm;
use crate::net::cuda::{CudaLayers, CudaSlope};
use crate::net::trunk::{add_bias, subtract, turn, turn_back};
use crate::net::{HeadPass, NetState, Turn};

/// Passes of one net at one p; buffers are kept from pass to pass.
///
/// A score is what the largest of wins: a logit of the head, or the negated distance of a net without one.
pub(super) struct Slope<'a> {
    pool: &'a Pool,
    simd: Simd,
    net: &'a NetState,
    layers: Layers<'a>,
    head: HeadPass,
    features: Vec<f32>,
    scores: Vec<f32>,
}

/// The distance layers, wherever they are computed.
struct Layers<'a> {
    host: HostLayers<'a>,
    /// Where there is one, until it fails, and whom to tell then.
    device: Option<(CudaSlope<'a>, &'a CudaLayers)>,
}

/// The distance layers on the CPU.
struct HostLayers<'a> {
    pool: &'a Pool,
    net: &'a NetState,
    p: PNorm,
    ops: Vec<FormOp>,
    /// What each layer takes, where that had to be turned.
    turned: Vec<Vec<f32>>,
    /// Outputs of each layer after its mean or the bias, `[B·P, outputs]`.
    outputs: Vec<Vec<f32>>,
}

impl<'a> Slope<'a> {
    /// The distance layers are computed on the `device` where there is one.
    ///
    /// # Panics
    /// If the net sorts and p is finite.
    pub(super) fn new(
        pool: &'a Pool,
        simd: Simd,
        device: Option<&'a CudaLayers>,
        net: &'a NetState,
        p: PNorm,
    ) -> Slope<'a> {
        assert!(p.is_infinite() || !net.sorts(), "sort neurons are evaluated at p = ∞ alone");
        let device = device.and_then(|device| Some((device.attempt(|device| device.slope(net, p))?, device)));
        let layers = Layers { host: HostLayers::new(pool, simd, net, p), device };
        Slope { pool, simd, net, layers, head: HeadPass::default(), features: Vec::new(), scores: Vec::new() }
    }

    /// Scores `[B, classes]` of images `[B, C·H·W]`. Their gradient may follow where `keep` says so.
    pub(super) fn scores(&mut self, images: &[f32], batch: usize, keep: bool) -> &[f32] {
        let net = self.net;
        let last = self.layers.outputs(images, batch, keep);
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
        let upstream: Vec<f32> = match &self.net.head {
            None => of_scores.iter().map(|g| -g).collect(),
            Some((turned, head)) => {
                let features = turn(self.pool, *turned, self.layers.last(), &mut self.features);
                let labels = vec![0; of_scores.len() / self.net.classes()];
                let no_worst = vec![0.0; of_scores.len()];
                let (pool, simd) = (self.pool, self.simd);
                self.head.backward(pool, simd, head, features, &labels, 0.0, of_scores, &no_worst);
                let mut back = Vec::new();
                turn_back(pool, *turned, &self.head.features, &mut back);
                back
            }
        };
        self.layers.gradient(images, of_scores.len() / self.net.classes(), upstream)
    }
}

impl Layers<'_> {
    /// The last layer's outputs, `[B·P, outputs]`, without a bias.
    fn outputs(&mut self, images: &[f32], batch: usize, keep: bool) -> &mut Vec<f32> {
        self.on_device(|device| device.forward(images, batch, keep));
        match &mut self.device {
            Some((device, _)) => &mut device.last,
            None => self.host.forward(images, batch, keep),
        }
    }

    /// Those of the last pass, with a bias where there is one.
    fn last(&self) -> &[f32] {
        self.device.as_ref().map_or_else(|| self.host.last(), |(device, _)| &device.last)
    }

    fn gradient(&mut self, images: &[f32], batch: usize, upstream: Vec<f32>) -> Vec<f32> {
        let there = self.device.is_some();
        if let Some(gradient) = self.on_device(|device| device.gradient(&upstream)) {
            return gradient;
        }
        if there {
            self.host.forward(images, batch, true);
        }
        self.host.gradient(images, upstream)
    }

    /// What is computed on the device, where there is one. What fails there is computed here from then on.
    fn on_device<T>(&mut self, work: impl FnOnce(&mut CudaSlope<'_>) -> Result<T, GpuError>) -> Option<T> {
        let (slope, layers) = self.device.as_mut()?;
        match work(slope) {
            Ok(done) => Some(done),
            Err(error) => {
                layers.fail(error);
                self.device = None;
                None
            }
        }
    }
}

impl<'a> HostLayers<'a> {
    fn new(pool: &'a Pool, simd: Simd, net: &'a NetState, p: PNorm) -> HostLayers<'a> {
        let layers = net.layers.len();
        HostLayers {
            pool,
            net,
            p,
            ops: net.layers.iter().map(|layer| FormOp::new(simd, layer.shape.form)).collect(),
            turned: vec![Vec::new(); layers],
            outputs: vec![Vec::new(); layers],
        }
    }

    fn forward(&mut self, images: &[f32], batch: usize, keep: bool) -> &mut Vec<f32> {
        for (index, layer) in self.net.layers.iter().enumerate() {
            let (before, rest) = self.outputs.split_at_mut(index);
            let (input, output) = (before.last().map_or(images, Vec::as_slice), &mut rest[0]);
            let input = turn(self.pool, layer.shape.turn, input, &mut self.turned[index]);
            output.resize(batch * layer.shape.form.output().values(), 0.0);
            let profile = layer.shape.profile();
            let neuron = Neuron::evaluated(profile.as_ref(), self.p.get());
            self.ops[index].forward(self.pool, batch, neuron, &[], input, &layer.weight.value, output, keep);
            subtract(output, &layer.mean);
        }
        let last = self.outputs.len() - 1;
        &mut self.outputs[last]
    }

    fn last(&self) -> &[f32] {
        self.outputs.last().map_or(&[], Vec::as_slice)
    }

    fn gradient(&mut self, images: &[f32], mut upstream: Vec<f32>) -> Vec<f32> {
        for (index, layer) in self.net.layers.iter().enumerate().rev() {
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
