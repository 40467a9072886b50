//! Training and evaluation on a CUDA device.
//!
//! Layers, their gradients, Adam and mean shift run in our kernels, and so does the first linear layer of a head. The loss
//! on `[B, C]`, bias, scalar and what is behind that layer are the host's, by the code that the CPU engine uses. At p = ∞
//! the bits of a net without a head are those of the CPU engine; at finite p they differ by rounding, and depend on the
//! device, which cuts sums to its own size.

mod evaluate;
mod head;
mod layer;
mod slope;

use std::rc::Rc;

use linf_cuda::{AdamStep, Array, Cut, Decay, Gpu, GpuError, PictureSizes, Pictures};

use crate::dataset::{Drawn, Normalizer, PadMode, Split, View};
use crate::dist::{self, Mask, Pool, Simd};
use crate::experiment::{Adam, Label};

use super::cpu::{Update, decay};
use super::head::column_sums;
use super::trunk::add_bias;
use super::{Batch, Engine, LayerShape, Loss, NetState, StepError, StepPoint, StepStats, Trained, dropout};

pub(super) use evaluate::CudaLayers;
use head::CudaHead;
use layer::Layer;
pub(super) use slope::CudaSlope;

/// Bytes of training images that the device holds at most: beyond, nets need the room.
const HELD: usize = 2 << 30;

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
    head: Option<CudaHead>,
    /// The next step's, drawn while the device is busy.
    ahead: Option<Masks>,
    /// All training images, where it holds them.
    held: Option<Pictures>,
    /// One step's images, `[B, inputs]`.
    images: Array<f32>,
    /// Gradient of the widest weight; one parameter at a time needs it.
    weight_gradient: Array<f32>,
    spoilt: Spoilt,
    /// The last layer's outputs, bias included.
    distances: Vec<f32>,
    loss: Loss,
    /// What the host trains, and the step, are its own; the rest is a copy, `current` or not.
    host: NetState,
    current: bool,
}

/// Dropout of one step, a list a layer.
struct Masks {
    step: u64,
    batch: usize,
    masks: Vec<Vec<Mask>>,
}

impl Masks {
    /// Those of the net's next step, on `batch` samples.
    fn of(net: &NetState, batch: usize) -> Masks {
        let shapes: Vec<LayerShape> = net.layers.iter().map(|layer| layer.shape).collect();
        Masks { step: net.step, batch, masks: dropout::masks(&shapes, net.seed, net.step, batch) }
    }
}

/// A parameter that the device trains, with its moments.
struct OnDevice {
    value: Array<f32>,
    m: Array<f32>,
    v: Array<f32>,
}

/// One number a parameter that the device trains, the head's and then the layers': 1 where a value is not finite.
type Spoilt = Array<i32>;

impl OnDevice {
    fn of(gpu: &Rc<dyn Gpu>, trained: &Trained) -> Result<OnDevice, GpuError> {
        let Trained { value, m, v } = trained;
        let (value, m, v) = (Array::of(gpu, value)?, Array::of(gpu, m)?, Array::of(gpu, v)?);
        Ok(OnDevice { value, m, v })
    }

    /// `spoilt` is whether it is, afterwards.
    fn apply(
        &mut self,
        gpu: &dyn Gpu,
        step: &AdamStep,
        decay: Decay,
        gradient: &Array<f32>,
        spoilt: (&mut Spoilt, usize),
    ) -> Result<(), GpuError> {
        step.apply(gpu, decay, &mut self.value, gradient, &mut self.m, &mut self.v, spoilt)
    }

    fn read(&self, to: &mut Trained) -> Result<(), GpuError> {
        self.value.read(&mut to.value)?;
        self.m.read(&mut to.m)?;
        self.v.read(&mut to.v)
    }
}

impl CudaEngine {
    /// Moves a net to a device; `place` says which, for people. `threads` (0: all cores) do what is left to the host.
    ///
    /// # Errors
    /// Those of the device: most often its memory is full.
    pub fn new(
        gpu: &Rc<dyn Gpu>,
        place: String,
        state: NetState,
        adam: Adam,
        threads: usize,
    ) -> Result<CudaEngine, GpuError> {
        let layers = state.layers.iter().map(|layer| Layer::new(gpu, layer)).collect::<Result<Vec<_>, _>>()?;
        let head = state.head.as_ref().map(|(turn, head)| CudaHead::new(gpu, *turn, head)).transpose()?;
        let weights = state.layers.iter().map(|layer| layer.weight.value.len());
        let widest = weights.chain(state.head.as_ref().map(|(_, head)| head.hidden.weight.value.len())).max();
        Ok(CudaEngine {
            gpu: Rc::clone(gpu),
            place,
            pool: Pool::new(threads),
            simd: Simd::best(),
            adam,
            head,
            ahead: None,
            held: None,
            images: Array::zeros(gpu, 0)?,
            weight_gradient: Array::zeros(gpu, widest.unwrap_or(0))?,
            spoilt: Array::zeros(gpu, 1 + layers.len())?,
            layers,
            distances: Vec::new(),
            loss: Loss::default(),
            host: state,
            current: true,
        })
    }

    /// A step on the images that are there.
    fn advance(&mut self, labels: &[Label], point: &StepPoint) -> Result<StepStats, StepError> {
        self.current = false;
        let size = labels.len();
        self.forward(size, point)?;
        self.measure(labels, point)?;
        self.host.step += 1;
        self.backward(size, point)?;
        self.update_host(point)?;
        if self.host.sorts() {
            self.ahead = Some(Masks::of(&self.host, size));
        }
        match self.ruined()? {
            Some(what) => Err(StepError::NotFinite { what }),
            None => Ok(self.loss.stats),
        }
    }

    /// Runs all layers and moves the running means; the last outputs are on their way when it returns.
    fn forward(&mut self, size: usize, point: &StepPoint) -> Result<(), GpuError> {
        let ahead = self.ahead.take().filter(|ahead| ahead.step == self.host.step && ahead.batch == size);
        let Masks { masks, .. } = ahead.unwrap_or_else(|| Masks::of(&self.host, size));
        for (index, masks) in masks.iter().enumerate() {
            let (before, rest) = self.layers.split_at_mut(index);
            let input = before.last().map_or(&self.images, Layer::output);
            rest[0].forward(&*self.gpu, size, point.p, masks, input)?;
        }
        Ok(())
    }

    /// The loss of the last forward pass, and its gradient by the last layer's outputs; a head has been moved already.
    fn measure(&mut self, labels: &[Label], point: &StepPoint) -> Result<(), StepError> {
        let Some(last) = self.layers.last_mut() else { return Err(StepError::Device("a net of no layers".into())) };
        let scalar = self.host.scalar.value[0];
        let head = self.host.head.as_ref().zip(self.head.as_mut());
        let Some(((_, head), on_device)) = head else {
            let classes = self.host.bias.value.len();
            self.distances.resize(labels.len() * classes, 0.0);
            last.output().read(&mut self.distances)?;
            add_bias(&mut self.distances, &self.host.bias.value);
            self.loss.of_distances(point.objective, &self.distances, labels, scalar, point.eps);
            return if self.loss.stats.loss.is_finite() {
                Ok(last.take_gradient(&self.loss.gradient)?)
            } else {
                Err(StepError::NotFinite { what: "loss".into() })
            };
        };
        let pass = on_device.forward(&self.pool, self.simd, head, last.output(), labels, point.eps)?;
        self.loss.of_bounds(point.objective, &pass.logits, &pass.worst, labels, scalar, point.eps);
        if !self.loss.stats.loss.is_finite() {
            return Err(StepError::NotFinite { what: "loss".into() });
        }
        let (of_logits, of_worst) = (&self.loss.gradient, &self.loss.worst_gradient);
        on_device.backward(&self.pool, self.simd, head, labels, of_logits, of_worst)?;
        on_device.of_features(last.gradient_to_be())?;
        Ok(())
    }

    /// From the gradient of the last layer's outputs, moves the weights of every layer, the last first: one is moved once
    /// nothing needs what it was.
    fn backward(&mut self, size: usize, point: &StepPoint) -> Result<(), GpuError> {
        let step = AdamStep { adam: constants(&self.adam), lr: point.lr as f32, step: self.host.step };
        if let Some(head) = &mut self.head {
            let decay = Decay::All { kept: (1.0 - point.lr * self.adam.head_decay) as f32 };
            head.apply(&step, decay, point.eps, &mut self.weight_gradient, (&mut self.spoilt, 0))?;
        }
        let amount = (point.lr * self.adam.dist_decay) as f32;
        for index in (0..self.layers.len()).rev() {
            let (before, rest) = self.layers.split_at_mut(index);
            let layer = &mut rest[0];
            layer.backward(&*self.gpu, size, before.last_mut(), &self.images, &mut self.weight_gradient)?;
            let decay = if amount > 0.0 {
                Decay::Rows { inputs: layer.inputs(), p: point.p.get(), amount }
            } else {
                Decay::All { kept: 1.0 }
            };
            layer.weight.apply(&*self.gpu, &step, decay, &self.weight_gradient, (&mut self.spoilt, 1 + index))?;
        }
        Ok(())
    }

    /// The host's part of a step of the optimizer, while the device is busy.
    fn update_host(&mut self, point: &StepPoint) -> Result<(), StepError> {
        let update = Update { pool: &self.pool, simd: self.simd, adam: constants(&self.adam), step: self.host.step };
        match (&mut self.host.head, &self.head) {
            (Some((_, head)), Some(on_device)) => {
                let parts = head.parts_mut().into_iter().zip(&on_device.pass.gradients);
                // The first one is the device's.
                for ((name, trained), gradient) in parts.skip(1) {
                    decay(trained, point.lr, self.adam.head_decay);
                    update.apply(name, trained, gradient, point.lr)?;
                }
            }
            _ => {
                let gradient = column_sums(&self.loss.gradient, self.host.bias.value.len());
                decay(&mut self.host.bias, point.lr, self.adam.dist_decay);
                update.apply("bias", &mut self.host.bias, &gradient, point.lr)?;
            }
        }
        if point.objective.lambda() > 0.0 {
            decay(&mut self.host.scalar, point.scalar_lr, self.adam.head_decay);
        }
        update.apply("scalar", &mut self.host.scalar, &[self.loss.scalar_gradient as f32], point.scalar_lr)
    }

    /// The first parameter, from the end, that is ruined.
    fn ruined(&self) -> Result<Option<String>, GpuError> {
        let spoilt = self.spoilt.to_vec()?;
        Ok(match (spoilt[0], spoilt.iter().rposition(|&flag| flag != 0)) {
            (0, None) => None,
            (0, Some(layer)) => Some(format!("weight of layer {layer} or its gradient")),
            _ => Some("head.hidden.weight or its gradient".into()),
        })
    }

    fn refresh(&mut self) -> Result<(), GpuError> {
        for (layer, host) in self.layers.iter().zip(&mut self.host.layers) {
            layer.weight.read(&mut host.weight)?;
            layer.read_mean(&mut host.mean)?;
        }
        if let (Some(on_device), Some((_, head))) = (&self.head, &mut self.host.head) {
            on_device.weight.read(&mut head.hidden.weight)?;
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
        self.images.reserve(batch.images.len())?;
        self.images.write(batch.images)?;
        self.advance(batch.labels, point)
    }

    fn hold(&mut self, images: &Split, view: View) -> Result<bool, StepError> {
        if images.images.len() > HELD {
            return Ok(false);
        }
        let (id, normalizer) = (view.id, Normalizer::new(view.id));
        let sizes = PictureSizes {
            channels: view.channels(),
            height: id.height(),
            width: id.width(),
            seen_height: view.height(),
            seen_width: view.width(),
        };
        let table: Vec<f32> = (0..view.channels()).flat_map(|channel| *normalizer.table(channel)).collect();
        self.held = Some(Pictures::new(&self.gpu, sizes, &images.images, &table)?);
        Ok(true)
    }

    fn step_held(&mut self, drawn: &[Drawn], labels: &[Label], point: &StepPoint) -> Result<StepStats, StepError> {
        let Some(held) = &mut self.held else { return Err(StepError::Device("it holds no images".into())) };
        let cut = |Drawn { index, crop }: &Drawn| Cut {
            image: *index as usize,
            top: crop.top as i32,
            left: crop.left as i32,
            flipped: crop.flip,
            padded_by_zero: crop.mode == PadMode::Zero,
            warp: crop.warp.0,
        };
        let size = held.seen();
        let fields = drawn.iter().filter_map(|drawn| Some(drawn.crop.bend?.field(size)));
        let nodes: Vec<[i32; 2]> = fields.flat_map(|field| field.nodes).collect();
        held.fill(&drawn.iter().map(cut).collect::<Vec<_>>(), &nodes, &mut self.images)?;
        self.advance(labels, point)
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
