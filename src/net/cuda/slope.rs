//! A net in evaluation mode on a device, and the gradient of its outputs with respect to the images: what an attack needs.

use std::rc::Rc;

use linf_cuda::{Array, FormOp, Gpu, GpuError, add_bias};

use crate::dist::{Neuron, SortProfile};
use crate::experiment::PNorm;
use crate::net::{LayerShape, NetState, Turn};

use super::layer::{turn, turn_back};

/// Passes through the distance layers of one net at one p; buffers are kept from pass to pass.
pub struct CudaSlope<'a> {
    gpu: Rc<dyn Gpu>,
    net: &'a NetState,
    p: PNorm,
    layers: Vec<Layer>,
    images: Array<f32>,
    batch: usize,
    /// Gradient of the present layer's outputs, of its input, and of that turned back.
    gradients: [Array<f32>; 3],
    /// Room for the gradient of a weight, which nobody asked for.
    of_weight: Array<f32>,
    /// The last layer's outputs, `[B·P, outputs]`, without a bias.
    pub last: Vec<f32>,
}

struct Layer {
    shape: LayerShape,
    profile: Option<SortProfile>,
    op: FormOp,
    weight: Rc<Array<f32>>,
    /// The running mean, negated; absent where a bias is added instead.
    less: Option<Array<f32>>,
    turned: Array<f32>,
    /// `[B·P, outputs]`, the mean taken off.
    output: Array<f32>,
}

impl<'a> CudaSlope<'a> {
    /// `weights` are those of the layers, on the device.
    pub(super) fn new(
        gpu: &Rc<dyn Gpu>,
        net: &'a NetState,
        p: PNorm,
        weights: Vec<Rc<Array<f32>>>,
    ) -> Result<CudaSlope<'a>, GpuError> {
        let empty = || Array::zeros(gpu, 0);
        let layer = |(state, weight): (&crate::net::LayerState, Rc<Array<f32>>)| -> Result<Layer, GpuError> {
            let less: Vec<f32> = state.mean.iter().map(|mean| -mean).collect();
            Ok(Layer {
                shape: state.shape,
                profile: state.shape.profile(),
                op: FormOp::new(gpu, state.shape.form)?,
                weight,
                less: (!less.is_empty()).then(|| Array::of(gpu, &less)).transpose()?,
                turned: empty()?,
                output: empty()?,
            })
        };
        Ok(CudaSlope {
            gpu: Rc::clone(gpu),
            net,
            p,
            layers: net.layers.iter().zip(weights).map(layer).collect::<Result<_, _>>()?,
            images: empty()?,
            batch: 0,
            gradients: [empty()?, empty()?, empty()?],
            of_weight: empty()?,
            last: Vec::new(),
        })
    }

    /// Computes [`Self::last`] of images `[B, C·H·W]`. A gradient may follow where `keep` says so.
    pub fn forward(&mut self, images: &[f32], batch: usize, keep: bool) -> Result<(), GpuError> {
        let gpu = &*self.gpu;
        self.batch = batch;
        self.images.reserve(images.len())?;
        self.images.write(images)?;
        for index in 0..self.layers.len() {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { shape, profile, op, weight, less, turned, output } = &mut rest[0];
            let input = before.last().map_or(&self.images, |layer| &layer.output);
            let input = turn(gpu, shape.turn, batch, input, turned)?;
            let planes = shape.form.output();
            output.reserve(batch * planes.values())?;
            let neuron = Neuron::evaluated(profile.as_ref(), self.p.get());
            if keep {
                op.forward(batch, neuron, &[], input, weight, output)?;
            } else {
                op.evaluate(batch, neuron, input, weight, output)?;
            }
            if let Some(less) = less {
                add_bias(gpu, batch * planes.positions(), planes.channels, output, less)?;
            }
        }
        let Some(layer) = self.layers.last() else { return Ok(()) };
        self.last.resize(batch * layer.shape.form.output().values(), 0.0);
        layer.output.read(&mut self.last)
    }

    /// Gradient `[B, C·H·W]` of Σ `upstream`·outputs, `[B·P, outputs]` each, with respect to the images of the last pass,
    /// which kept.
    pub fn gradient(&mut self, upstream: &[f32]) -> Result<Vec<f32>, GpuError> {
        let gpu = &*self.gpu;
        let [present, below, aside] = &mut self.gradients;
        present.reserve(upstream.len())?;
        present.write(upstream)?;
        for index in (0..self.layers.len()).rev() {
            let (before, rest) = self.layers.split_at_mut(index);
            let Layer { shape, op, weight, turned, .. } = &mut rest[0];
            let stays = shape.turn == Turn::Stay;
            let given = before.last().map_or(&self.images, |layer| &layer.output);
            let input = if stays { given } else { turned };
            let to = if stays { &mut *below } else { &mut *aside };
            to.reserve(self.batch * shape.form.input().values())?;
            self.of_weight.reserve(weight.len())?;
            op.backward(input, weight, present, Some(to), &mut self.of_weight)?;
            if !stays {
                turn_back(gpu, shape.turn, self.batch, aside, below)?;
            }
            std::mem::swap(present, below);
        }
        let mut gradient = vec![0.0; self.batch * self.net.layers[0].shape.form.input().values()];
        present.read(&mut gradient)?;
        Ok(gradient)
    }
}
