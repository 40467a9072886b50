//! Layers in evaluation on a device.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use linf_cuda::{Array, FormOp, Gpu, GpuError};

use crate::dist::Neuron;
use crate::experiment::PNorm;
use crate::net::{LayerState, NetState};

use super::CudaSlope;
use super::layer::turn;

/// Computes layers on a device for an evaluator. At p = ∞ values and bounds have the bits of the CPU's.
pub struct CudaLayers {
    gpu: Rc<dyn Gpu>,
    kept: RefCell<Kept>,
    failed: RefCell<Option<Failed>>,
}

/// What failed on the device.
struct Failed {
    error: GpuError,
    told: bool,
}

struct Kept {
    /// Layers by where the host has their weights. They stay as they are for as long as one net is measured.
    layers: HashMap<*const f32, (Rc<Array<f32>>, FormOp)>,
    /// Both ends of a box: as they come, turned, and what becomes of them.
    inputs: [Array<f32>; 2],
    turned: [Array<f32>; 2],
    outputs: [Array<f32>; 2],
}

impl CudaLayers {
    pub fn new(gpu: &Rc<dyn Gpu>) -> Result<CudaLayers, GpuError> {
        let pair = || -> Result<_, GpuError> { Ok([Array::zeros(gpu, 0)?, Array::zeros(gpu, 0)?]) };
        let kept = Kept { layers: HashMap::new(), inputs: pair()?, turned: pair()?, outputs: pair()? };
        Ok(CudaLayers { gpu: Rc::clone(gpu), kept: RefCell::new(kept), failed: RefCell::default() })
    }

    /// From here on, weights may be others than before.
    pub fn forget(&self) {
        self.kept.borrow_mut().layers.clear();
    }

    /// Gives back the device's memory.
    pub fn release(&self) {
        self.forget();
        let Kept { inputs, turned, outputs, .. } = &mut *self.kept.borrow_mut();
        inputs.iter_mut().chain(turned).chain(outputs).for_each(Array::release);
    }

    /// What `work` makes of the device; nothing where that fails, or where something failed before that a later attempt
    /// would fail of again, each of which may have taken seconds.
    pub fn attempt<T>(&self, work: impl FnOnce(&CudaLayers) -> Result<T, GpuError>) -> Option<T> {
        if self.failed.borrow().as_ref().is_some_and(|failed| !failed.error.may_pass()) {
            return None;
        }
        work(self).map_err(|error| self.fail(error)).ok()
    }

    /// Remembers a failure, the first one, but one that lasts rather than one that may pass.
    pub fn fail(&self, error: GpuError) {
        let failed = &mut *self.failed.borrow_mut();
        match failed {
            Some(before) if !before.error.may_pass() || error.may_pass() => {}
            _ => *failed = Some(Failed { error, told: false }),
        }
    }

    /// What failed since this was asked last; of what lasts, once.
    pub fn take_fault(&self) -> Option<GpuError> {
        let mut failed = self.failed.borrow_mut();
        let told = failed.as_mut().filter(|failed| !failed.told)?;
        told.told = true;
        let error = told.error.clone();
        if error.may_pass() {
            *failed = None;
        }
        Some(error)
    }

    /// Passes of a net, and the gradients of its images.
    pub fn slope<'a>(&self, net: &'a NetState, p: PNorm) -> Result<CudaSlope<'a>, GpuError> {
        let Kept { layers, .. } = &mut *self.kept.borrow_mut();
        let weight = |layer| on_device(&self.gpu, layers, layer).map(|(weight, _)| Rc::clone(weight));
        let weights = net.layers.iter().map(weight).collect::<Result<_, _>>()?;
        CudaSlope::new(&self.gpu, net, p, weights)
    }

    /// As `trunk::evaluate`.
    pub fn evaluate(&self, layer: &LayerState, p: PNorm, input: &[f32]) -> Result<Vec<f32>, GpuError> {
        let (gpu, kept) = (&*self.gpu, &mut *self.kept.borrow_mut());
        let Kept { layers, inputs: [x, _], turned: [room, _], outputs: [y, _] } = kept;
        let (weight, op) = on_device(&self.gpu, layers, layer)?;
        let (batch, len) = sizes(layer, input);
        put(x, input)?;
        let x = turn(gpu, layer.shape.turn, batch, x, room)?;
        y.reserve(len)?;
        let profile = layer.shape.profile();
        let neuron = Neuron::evaluated(profile.as_ref(), p.get());
        op.evaluate(batch, neuron, x, weight, y)?;
        get(y, len)
    }

    /// As `trunk::bound`.
    pub fn bound(&self, layer: &LayerState, low: &[f32], high: &[f32]) -> Result<(Vec<f32>, Vec<f32>), GpuError> {
        let (gpu, kept) = (&*self.gpu, &mut *self.kept.borrow_mut());
        let Kept { layers, inputs: [lo, hi], turned: [lo_room, hi_room], outputs: [lowest, highest] } = kept;
        let (weight, op) = on_device(&self.gpu, layers, layer)?;
        let (batch, len) = sizes(layer, low);
        put(lo, low)?;
        put(hi, high)?;
        let lo = turn(gpu, layer.shape.turn, batch, lo, lo_room)?;
        let hi = turn(gpu, layer.shape.turn, batch, hi, hi_room)?;
        lowest.reserve(len)?;
        highest.reserve(len)?;
        op.bounds(batch, layer.shape.profile().as_ref(), lo, hi, weight, lowest, highest)?;
        Ok((get(lowest, len)?, get(highest, len)?))
    }
}

/// Samples, and the length of what the layer makes of them.
fn sizes(layer: &LayerState, input: &[f32]) -> (usize, usize) {
    let batch = input.len() / layer.shape.form.input().values();
    (batch, batch * layer.shape.form.output().values())
}

fn on_device<'a>(
    gpu: &Rc<dyn Gpu>,
    layers: &'a mut HashMap<*const f32, (Rc<Array<f32>>, FormOp)>,
    layer: &LayerState,
) -> Result<(&'a Rc<Array<f32>>, &'a mut FormOp), GpuError> {
    let (weight, op) = match layers.entry(layer.weight.value.as_ptr()) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(free) => {
            free.insert((Rc::new(Array::of(gpu, &layer.weight.value)?), FormOp::new(gpu, layer.shape.form)?))
        }
    };
    Ok((weight, op))
}

fn put(array: &mut Array<f32>, values: &[f32]) -> Result<(), GpuError> {
    array.reserve(values.len())?;
    array.write(values)
}

fn get(array: &Array<f32>, len: usize) -> Result<Vec<f32>, GpuError> {
    let mut values = vec![0.0; len];
    array.read(&mut values)?;
    Ok(values)
}
