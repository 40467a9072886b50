//! The head of a net in training on a device: its first linear layer there, which has nearly all its weights, and what is
//! behind it on the host.

use std::rc::Rc;

use linf_cuda::{AdamStep, Array, Decay, Gpu, GpuError, Shape, add_signs, product, sum_sizes};

use crate::dist::{Pool, Simd};
use crate::experiment::Label;
use crate::net::head::Linear;
use crate::net::{Head, HeadPass, Turn};

use super::layer::{turn, turn_back};
use super::{OnDevice, Spoilt};

/// One head, with what its last pass left.
pub(super) struct CudaHead {
    gpu: Rc<dyn Gpu>,
    turned: Turn,
    inputs: usize,
    units: usize,
    scale: f32,
    batch: usize,
    /// `[H, I]`.
    pub(super) weight: OnDevice,
    /// What is behind it.
    pub(super) pass: HeadPass,
    bias: Array<f32>,
    /// `[B, I]`, where they had to be turned.
    features: Array<f32>,
    /// The first layer's outputs and their gradient, `[B, H]`.
    before: Array<f32>,
    of_before: Array<f32>,
    /// One a unit.
    sizes: Array<f32>,
    /// Workspace: slices of sums; operands with rows and columns exchanged.
    parts: Array<f32>,
    exchanged: [Array<f32>; 2],
    aside: Array<f32>,
}

impl CudaHead {
    pub(super) fn new(gpu: &Rc<dyn Gpu>, turned: Turn, head: &Head) -> Result<CudaHead, GpuError> {
        let Linear { inputs, outputs: units, weight, bias } = &head.hidden;
        let empty = || Array::zeros(gpu, 0);
        Ok(CudaHead {
            gpu: Rc::clone(gpu),
            turned,
            inputs: *inputs,
            units: *units,
            scale: head.hidden.scale(),
            batch: 0,
            weight: OnDevice::of(gpu, weight)?,
            pass: HeadPass::default(),
            bias: Array::of(gpu, &bias.value)?,
            features: empty()?,
            before: empty()?,
            of_before: empty()?,
            sizes: Array::zeros(gpu, *units)?,
            parts: empty()?,
            exchanged: [empty()?, empty()?],
            aside: empty()?,
        })
    }

    /// As [`HeadPass::forward`], of the last layer's outputs; `head` has the host's parts as they are now.
    pub(super) fn forward(
        &mut self,
        pool: &Pool,
        simd: Simd,
        head: &Head,
        output: &Array<f32>,
        labels: &[Label],
        eps: f64,
    ) -> Result<&HeadPass, GpuError> {
        let gpu = &*self.gpu;
        self.batch = labels.len();
        self.bias.write(&head.hidden.bias.value)?;
        let features = turn(gpu, self.turned, self.batch, output, &mut self.features)?;
        let shape = Shape { batch: self.batch, inputs: self.inputs, outputs: self.units };
        let (weight, bias) = (&self.weight.value, Some(&self.bias));
        product(gpu, shape, self.scale, features, weight, bias, &mut self.parts, &mut self.before)?;
        sum_sizes(gpu, self.units, self.inputs, weight, &mut self.sizes)?;
        // The gradient takes features the other way round, and this is where they are at hand.
        linf_cuda::turn(gpu, 1, self.batch, self.inputs, features, &mut self.exchanged[0])?;

        let (mut before, mut reach) = (vec![0.0; self.batch * self.units], vec![0.0; self.units]);
        self.sizes.read(&mut reach)?;
        self.before.read(&mut before)?;
        let scale = eps * f64::from(self.scale);
        reach.iter_mut().for_each(|size| *size = (scale * f64::from(*size)) as f32);
        self.pass.forward_behind(pool, simd, head, &before, &reach, labels);
        Ok(&self.pass)
    }

    /// As [`HeadPass::backward`], but for the features and the first layer's weights.
    pub(super) fn backward(
        &mut self,
        pool: &Pool,
        simd: Simd,
        head: &Head,
        labels: &[Label],
        of_logits: &[f32],
        of_worst: &[f32],
    ) -> Result<(), GpuError> {
        self.pass.backward_behind(pool, simd, head, labels, of_logits, of_worst);
        self.of_before.reserve(self.pass.of_before.len())?;
        self.of_before.write(&self.pass.of_before)
    }

    /// The gradient of the last layer's outputs; before the weights are moved.
    pub(super) fn of_features(&mut self, to: &mut Array<f32>) -> Result<(), GpuError> {
        let (gpu, Shape { batch, inputs, outputs: units }) = (&*self.gpu, self.shape());
        let [_, weight] = &mut self.exchanged;
        linf_cuda::turn(gpu, 1, units, inputs, &self.weight.value, weight)?;
        to.reserve(batch * inputs)?;
        let shape = Shape { batch, inputs: units, outputs: inputs };
        let mut multiply =
            |to: &mut Array<f32>| product(gpu, shape, self.scale, &self.of_before, weight, None, &mut self.parts, to);
        if self.turned == Turn::Stay {
            return multiply(to);
        }
        multiply(&mut self.aside)?;
        turn_back(gpu, self.turned, batch, &self.aside, to)
    }

    /// Moves the first layer's weights; `gradient` has room for theirs.
    pub(super) fn apply(
        &mut self,
        step: &AdamStep,
        decay: Decay,
        eps: f64,
        gradient: &mut Array<f32>,
        spoilt: (&mut Spoilt, usize),
    ) -> Result<(), GpuError> {
        let (gpu, Shape { batch, inputs, outputs: units }) = (&*self.gpu, self.shape());
        let [features, of_before] = &mut self.exchanged;
        linf_cuda::turn(gpu, 1, batch, units, &self.of_before, of_before)?;
        let shape = Shape { batch: units, inputs: batch, outputs: inputs };
        product(gpu, shape, self.scale, of_before, features, None, &mut self.parts, gradient)?;
        let slope = |of_reach: &f64| (eps * of_reach * f64::from(self.scale)) as f32;
        self.sizes.write(&self.pass.of_reach.iter().map(slope).collect::<Vec<_>>())?;
        add_signs(gpu, units, inputs, gradient, &self.weight.value, &self.sizes)?;
        self.weight.apply(gpu, step, decay, gradient, spoilt)
    }

    fn shape(&self) -> Shape {
        Shape { batch: self.batch, inputs: self.inputs, outputs: self.units }
    }
}
