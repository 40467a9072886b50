//! Layers in evaluation on a device.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use linf_cuda::{Array, DistanceOp, Gpu, GpuError, bounds};

use crate::dist::Shape;
use crate::experiment::PNorm;
use crate::net::LayerState;

/// Computes dense layers on a device for an evaluator. At p = ∞ values and bounds have the bits of the CPU's.
pub struct CudaLayers {
    gpu: Rc<dyn Gpu>,
    kept: RefCell<Kept>,
}

struct Kept {
    /// Weights by where the host has them. They stay as they are for as long as one net is measured.
    weights: HashMap<*const f32, Array<f32>>,
    op: DistanceOp,
    inputs: [Array<f32>; 2],
    outputs: [Array<f32>; 2],
}

impl CudaLayers {
    pub fn new(gpu: &Rc<dyn Gpu>) -> Result<CudaLayers, GpuError> {
        let empty = || Array::zeros(gpu, 0);
        let (inputs, outputs) = ([empty()?, empty()?], [empty()?, empty()?]);
        let kept = Kept { weights: HashMap::new(), op: DistanceOp::new(gpu)?, inputs, outputs };
        Ok(CudaLayers { gpu: Rc::clone(gpu), kept: RefCell::new(kept) })
    }

    /// Whether it can compute this layer.
    pub fn knows(layer: &LayerState) -> bool {
        let form = layer.shape.form;
        form.input().positions() == 1 && form.groups() == 1 && layer.shape.profile().is_none()
    }

    /// From here on, weights may be others than before.
    pub fn forget(&self) {
        self.kept.borrow_mut().weights.clear();
    }

    /// As `trunk::evaluate`.
    pub fn evaluate(&self, layer: &LayerState, p: PNorm, input: &[f32]) -> Result<Vec<f32>, GpuError> {
        let (shape, kept) = (shape(layer, input), &mut *self.kept.borrow_mut());
        let Kept { weights, op, inputs: [x, _], outputs: [y, _] } = kept;
        let weight = on_device(&self.gpu, weights, layer)?;
        put(x, input)?;
        y.reserve(shape.batch * shape.outputs)?;
        op.forward(shape, p.get(), x, weight, y, false)?;
        let mut output = vec![0.0; shape.batch * shape.outputs];
        y.read(&mut output)?;
        Ok(output)
    }

    /// As `trunk::bound`.
    pub fn bound(&self, layer: &LayerState, low: &[f32], high: &[f32]) -> Result<(Vec<f32>, Vec<f32>), GpuError> {
        let (shape, kept) = (shape(layer, low), &mut *self.kept.borrow_mut());
        let Kept { weights, inputs: [lo, hi], outputs: [lowest, highest], .. } = kept;
        let weight = on_device(&self.gpu, weights, layer)?;
        put(lo, low)?;
        put(hi, high)?;
        let len = shape.batch * shape.outputs;
        lowest.reserve(len)?;
        highest.reserve(len)?;
        bounds(&*self.gpu, shape, lo, hi, weight, lowest, highest)?;
        let (mut to_low, mut to_high) = (vec![0.0; len], vec![0.0; len]);
        lowest.read(&mut to_low)?;
        highest.read(&mut to_high)?;
        Ok((to_low, to_high))
    }
}

fn shape(layer: &LayerState, input: &[f32]) -> Shape {
    let (inputs, outputs) = (layer.shape.inputs(), layer.shape.outputs());
    Shape { batch: input.len() / inputs, inputs, outputs }
}

fn on_device<'a>(
    gpu: &Rc<dyn Gpu>,
    weights: &'a mut HashMap<*const f32, Array<f32>>,
    layer: &LayerState,
) -> Result<&'a Array<f32>, GpuError> {
    Ok(match weights.entry(layer.weight.value.as_ptr()) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(free) => free.insert(Array::of(gpu, &layer.weight.value)?),
    })
}

fn put(array: &mut Array<f32>, values: &[f32]) -> Result<(), GpuError> {
    array.reserve(values.len())?;
    array.write(values)
}
