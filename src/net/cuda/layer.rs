//! One distance layer in training on a device.

use std::rc::Rc;

use linf_cuda::{Array, FormOp, Gpu, GpuError, mean_shift};

use crate::dist::{Mask, Neuron, Planes};
use crate::experiment::PNorm;
use crate::net::trunk::MEAN_DECAY;
use crate::net::{LayerShape, LayerState, Turn, dropout};

use super::OnDevice;

/// A layer, with what its last forward pass left.
pub(super) struct Layer {
    shape: LayerShape,
    op: FormOp,
    /// `[outputs, inputs]`.
    pub(super) weight: OnDevice,
    /// Running mean, `[outputs]`; absent where a bias is added instead.
    mean: Option<Array<f32>>,
    /// How many rows keep each output, where some drop it.
    counts: Option<Array<f32>>,
    /// What it takes, where that had to be turned.
    turned: Array<f32>,
    /// `[B·P, outputs]`, the mean taken off.
    output: Array<f32>,
    /// Of the outputs.
    gradient: Array<f32>,
    /// The gradient of its input before it is turned back.
    aside: Array<f32>,
}

impl Layer {
    pub(super) fn new(gpu: &Rc<dyn Gpu>, state: &LayerState) -> Result<Layer, GpuError> {
        let empty = || Array::zeros(gpu, 0);
        Ok(Layer {
            shape: state.shape,
            op: FormOp::new(gpu, state.shape.form)?,
            weight: OnDevice::of(gpu, &state.weight)?,
            mean: (!state.mean.is_empty()).then(|| Array::of(gpu, &state.mean)).transpose()?,
            counts: None,
            turned: empty()?,
            output: empty()?,
            gradient: empty()?,
            aside: empty()?,
        })
    }

    /// Of each neuron.
    pub(super) fn inputs(&self) -> usize {
        self.shape.inputs()
    }

    /// Of the last forward pass.
    pub(super) fn output(&self) -> &Array<f32> {
        &self.output
    }

    /// Rows and columns of the outputs of `batch` samples.
    fn size(&self, batch: usize) -> [usize; 2] {
        let output = self.shape.form.output();
        [batch * output.positions(), output.channels]
    }

    /// Computes the outputs of `batch` samples, takes their mean off, and moves the running one.
    pub(super) fn forward(
        &mut self,
        gpu: &dyn Gpu,
        batch: usize,
        p: PNorm,
        masks: &[Mask],
        input: &Array<f32>,
    ) -> Result<(), GpuError> {
        let [rows, outputs] = self.size(batch);
        let input = turn(gpu, self.shape.turn, batch, input, &mut self.turned)?;
        self.output.reserve(rows * outputs)?;
        self.op.forward(batch, Neuron::Distance(p.get()), masks, input, &self.weight.value, &mut self.output)?;
        let Some(mean) = &mut self.mean else { return Ok(()) };
        let drops = masks.iter().any(|mask| mask.outputs.is_some());
        if drops {
            let counts = dropout::counts(masks, batch, rows / batch, outputs);
            // The mean has the same length.
            let room = self.counts.take().map_or_else(|| Array::like(mean), Ok)?;
            self.counts.insert(room).write(&counts)?;
        } else {
            self.counts = None;
        }
        mean_shift(gpu, rows, outputs, &mut self.output, self.counts.as_ref(), Some((mean, MEAN_DECAY)))
    }

    /// Overwrites the gradient of the outputs.
    pub(super) fn take_gradient(&mut self, values: &[f32]) -> Result<(), GpuError> {
        self.gradient.reserve(values.len())?;
        self.gradient.write(values)
    }

    /// For who writes the gradient of the outputs.
    pub(super) fn gradient_to_be(&mut self) -> &mut Array<f32> {
        &mut self.gradient
    }

    /// From the gradient of the outputs, those of the weights and of the layer `before`, which gave the input; without
    /// one the images did.
    pub(super) fn backward(
        &mut self,
        gpu: &dyn Gpu,
        batch: usize,
        before: Option<&mut Layer>,
        images: &Array<f32>,
        weight_gradient: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let [rows, outputs] = self.size(batch);
        if self.mean.is_some() {
            mean_shift(gpu, rows, outputs, &mut self.gradient, self.counts.as_ref(), None)?;
        }
        let values = batch * self.shape.form.input().values();
        let stays = self.shape.turn == Turn::Stay;
        let Layer { op, turned, weight, gradient, aside, shape, .. } = self;
        let Some(before) = before else {
            let input = if stays { images } else { turned };
            return op.backward(input, &weight.value, gradient, None, weight_gradient);
        };
        before.gradient.reserve(values)?;
        if stays {
            let downstream = Some(&mut before.gradient);
            return op.backward(&before.output, &weight.value, gradient, downstream, weight_gradient);
        }
        aside.reserve(values)?;
        op.backward(turned, &weight.value, gradient, Some(aside), weight_gradient)?;
        turn_back(gpu, shape.turn, batch, aside, &mut before.gradient)
    }

    pub(super) fn read_mean(&self, to: &mut [f32]) -> Result<(), GpuError> {
        self.mean.as_ref().map_or(Ok(()), |mean| mean.read(to))
    }
}

/// What a layer or head takes of `input`; `room` holds it where it has to be turned.
pub(super) fn turn<'a>(
    gpu: &dyn Gpu,
    turn: Turn,
    batch: usize,
    input: &'a Array<f32>,
    room: &'a mut Array<f32>,
) -> Result<&'a Array<f32>, GpuError> {
    let (rows, columns) = match turn {
        Turn::Stay => return Ok(input),
        Turn::ToPositions(Planes { channels, height, width }) => (channels, height * width),
        Turn::ToChannels(Planes { channels, height, width }) => (height * width, channels),
    };
    linf_cuda::turn(gpu, batch, rows, columns, input, room)?;
    Ok(room)
}

/// The inverse of a [`turn`] that is one, which is its adjoint.
pub(super) fn turn_back(
    gpu: &dyn Gpu,
    turned: Turn,
    batch: usize,
    gradient: &Array<f32>,
    to: &mut Array<f32>,
) -> Result<(), GpuError> {
    let back = match turned {
        Turn::Stay => return Ok(()),
        Turn::ToPositions(planes) => Turn::ToChannels(planes),
        Turn::ToChannels(planes) => Turn::ToPositions(planes),
    };
    turn(gpu, back, batch, gradient, to).map(|_| ())
}
