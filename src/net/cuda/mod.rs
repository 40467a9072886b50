//! Training and evaluation of plain dense distance nets on a CUDA device.
//!
//! Layers, their gradients, Adam and mean shift run in our kernels; the loss on `[B, C]`, bias and scalar are the host's,
//! by the code that the CPU engine uses. At p = ∞ the bits are those of the CPU engine; at finite p they differ by
//! rounding, and depend on the device, which cuts sums to its own size.

mod evaluate;

use std::rc::Rc;

use linf_cuda::{AdamStep, Array, Decay, DistanceOp, Gpu, GpuError, mean_shift};

use crate::dist::{self, Pool, Shape, Simd};
use crate::experiment::Adam;

use super::cpu::{Update, decay};
use super::head::column_sums;
use super::trunk::{MEAN_DECAY, add_bias};
use super::{Batch, Engine, LayerState, Loss, NetState, StepError, StepPoint, StepStats, Trained};

pub(super) use evaluate::CudaLayers;

/// A net that trains on a device.
pub struct CudaEngine {
    gpu: Rc<dyn Gpu>,
    /// Where it runs, for people.
    place: String,
    /// For what the host does.
    pool: Pool,
    simd: Simd,
    adam: Adam,
    layers: Vec<Layer>,
    /// One step's images, `[B, inputs]`.
    images: Array<f32>,
    /// Gradient of the widest weight; one layer at a time needs it.
    weight_gradient: Array<f32>,
    /// 1 for each layer that has a weight that is not finite.
    spoilt: Vec<Array<i32>>,
    /// The last layer's outputs, bias included.
    distances: Vec<f32>,
    loss: Loss,
    /// Bias, scalar and step are the host's own; the rest is a copy, `current` or not.
    host: NetState,
    current: bool,
}

struct Layer {
    inputs: usize,
    outputs: usize,
    op: DistanceOp,
    /// `[O, I]` with Adam's moments.
    weight: Array<f32>,
    m: Array<f32>,
    v: Array<f32>,
    /// Running mean, `[O]`; absent in the last layer.
    mean: Option<Array<f32>>,
    /// `[B, O]`, the mean taken off.
    output: Array<f32>,
    /// Of the outputs.
    gradient: Array<f32>,
}

impl Layer {
    fn new(gpu: &Rc<dyn Gpu>, state: &LayerState) -> Result<Layer, GpuError> {
        Ok(Layer {
            inputs: state.shape.inputs(),
            outputs: state.shape.outputs(),
            op: DistanceOp::new(gpu)?,
            weight: Array::of(gpu, &state.weight.value)?,
            m: Array::of(gpu, &state.weight.m)?,
            v: Array::of(gpu, &state.weight.v)?,
            mean: (!state.mean.is_empty()).then(|| Array::of(gpu, &state.mean)).transpose()?,
            output: Array::zeros(gpu, 0)?,
            gradient: Array::zeros(gpu, 0)?,
        })
    }

    fn shape(&self, batch: usize) -> Shape {
        Shape { batch, inputs: self.inputs, outputs: self.outputs }
    }
}

impl CudaEngine {
    /// Moves a net to a device; `place` says which, for people.
    ///
    /// # Errors
    /// Those of the device: most often its memory is full.
    ///
    /// # Panics
    /// If the net is more than plain dense layers: see [`NetState::beyond_plain`].
    pub fn new(gpu: &Rc<dyn Gpu>, place: String, state: NetState, adam: Adam) -> Result<CudaEngine, GpuError> {
        assert!(state.beyond_plain().is_none(), "a plain net");
        let layers = state.layers.iter().map(|layer| Layer::new(gpu, layer)).collect::<Result<Vec<_>, _>>()?;
        let widest = layers.iter().map(|layer| layer.weight.len()).max().unwrap_or(0);
        Ok(CudaEngine {
            gpu: Rc::clone(gpu),
            place,
            pool: Pool::new(1),
            simd: Simd::best(),
            adam,
            images: Array::zeros(gpu, 0)?,
            weight_gradient: Array::zeros(gpu, widest)?,
            spoilt: layers.iter().map(|_| Array::zeros(gpu, 1)).collect::<Result<_, _>>()?,
            layers,
            distances: Vec::new(),
            loss: Loss::default(),
            host: state,
            current: true,
        })
    }

    /// Runs all layers and moves the running means; the last outputs are on their way when it returns.
    fn forward(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<(), GpuError> {
        let size = batch.labels.len();
        self.images.reserve(batch.images.len())?;
        self.images.write(batch.images)?;
        for index in 0..self.layers.len() {
            let (before, rest) = self.layers.split_at_mut(index);
            let layer = &mut rest[0];
            let input = before.last().map_or(&self.images, |layer| &layer.output);
            layer.output.reserve(size * layer.outputs)?;
            layer.op.forward(layer.shape(size), point.p.get(), input, &layer.weight, &mut layer.output, true)?;
            if let Some(mean) = &mut layer.mean {
                mean_shift(&*self.gpu, size, layer.outputs, &mut layer.output, Some((mean, MEAN_DECAY)))?;
            }
        }
        Ok(())
    }

    /// From the loss's gradient, moves the weights of every layer, the last first: one is moved once nothing needs what
    /// it was.
    fn backward(&mut self, size: usize, point: &StepPoint) -> Result<(), GpuError> {
        let step = AdamStep { adam: constants(&self.adam), lr: point.lr as f32, step: self.host.step };
        let amount = (point.lr * self.adam.dist_decay) as f32;
        for index in (0..self.layers.len()).rev() {
            let (before, rest) = self.layers.split_at_mut(index);
            let layer = &mut rest[0];
            if layer.mean.is_some() {
                mean_shift(&*self.gpu, size, layer.outputs, &mut layer.gradient, None)?;
            }
            let (input, downstream) = match before.last_mut() {
                None => (&self.images, None),
                Some(before) => {
                    before.gradient.reserve(size * before.outputs)?;
                    (&before.output, Some(&mut before.gradient))
                }
            };
            let Layer { op, weight, gradient, m, v, inputs, .. } = layer;
            op.backward(input, weight, gradient, downstream, &mut self.weight_gradient)?;
            let decay = if amount > 0.0 {
                Decay::Rows { inputs: *inputs, p: point.p.get(), amount }
            } else {
                Decay::All { kept: 1.0 }
            };
            step.apply(&*self.gpu, decay, weight, &self.weight_gradient, m, v, &mut self.spoilt[index])?;
        }
        Ok(())
    }

    /// The first layer whose weights are ruined.
    fn ruined(&self) -> Result<Option<usize>, GpuError> {
        for (index, spoilt) in self.spoilt.iter().enumerate().rev() {
            let mut flag = [0];
            spoilt.read(&mut flag)?;
            if flag != [0] {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn refresh(&mut self) -> Result<(), GpuError> {
        for (layer, host) in self.layers.iter().zip(&mut self.host.layers) {
            let Trained { value, m, v } = &mut host.weight;
            layer.weight.read(value)?;
            layer.m.read(m)?;
            layer.v.read(v)?;
            if let Some(mean) = &layer.mean {
                mean.read(&mut host.mean)?;
            }
        }
        self.current = true;
        Ok(())
    }
}

impl Engine for CudaEngine {
    fn step(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<StepStats, StepError> {
        if !dist::all_finite(&self.pool, batch.images) {
            return Err(StepError::NotFinite { what: "input".into() });
        }
        self.current = false;
        let size = batch.labels.len();
        self.forward(batch, point)?;
        let classes = self.host.bias.value.len();
        self.distances.resize(size * classes, 0.0);
        let Some(last) = self.layers.last_mut() else { return Err(StepError::Device("a net of no layers".into())) };
        last.output.read(&mut self.distances)?;
        add_bias(&mut self.distances, &self.host.bias.value);
        let scalar = self.host.scalar.value[0];
        self.loss.of_distances(point.objective, &self.distances, batch.labels, scalar, point.eps);
        if !self.loss.stats.loss.is_finite() {
            return Err(StepError::NotFinite { what: "loss".into() });
        }
        last.gradient.reserve(size * classes)?;
        last.gradient.write(&self.loss.gradient)?;

        self.host.step += 1;
        self.backward(size, point)?;
        // The host's part while the device is busy.
        let update = Update { pool: &self.pool, simd: self.simd, adam: constants(&self.adam), step: self.host.step };
        let gradient = column_sums(&self.loss.gradient, classes);
        decay(&mut self.host.bias, point.lr, self.adam.dist_decay);
        update.apply("bias", &mut self.host.bias, &gradient, point.lr)?;
        if point.objective.lambda() > 0.0 {
            decay(&mut self.host.scalar, point.scalar_lr, self.adam.head_decay);
        }
        update.apply("scalar", &mut self.host.scalar, &[self.loss.scalar_gradient as f32], point.scalar_lr)?;
        match self.ruined()? {
            Some(index) => Err(StepError::NotFinite { what: format!("weight of layer {} or its gradient", index + 1) }),
            None => Ok(self.loss.stats),
        }
    }

    fn state(&mut self) -> Result<&NetState, StepError> {
        if !self.current {
            self.refresh()?;
        }
        Ok(&self.host)
    }

    fn scalar(&mut self) -> Result<f32, StepError> {
        Ok(self.host.scalar.value[0])
    }

    fn device(&self) -> String {
        self.place.clone()
    }
}

impl From<GpuError> for StepError {
    fn from(error: GpuError) -> StepError {
        StepError::Device(error.to_string())
    }
}

fn constants(adam: &Adam) -> dist::Adam {
    dist::Adam { beta1: adam.beta1 as f32, beta2: adam.beta2 as f32, eps: adam.eps as f32 }
}
