//! The distance layers of a net: what each layer does to a batch, in training and in evaluation.

use crate::dataset::random::{self, Purpose};
use crate::dist::{
    self, FormOp, Mask, Neuron, OpStats, Pool, Precision, Simd, channels_first, channels_last,
    mean_shift_masked_backward, mean_shift_masked_forward,
};
use crate::experiment::PNorm;

use super::{LayerShape, LayerState, NetState, StepError, Turn, dropout};

/// Share of the old value in a running mean (arXiv 2102.05363 §5, momentum 0.1).
pub(super) const MEAN_DECAY: f32 = 0.9;

/// One training step's pass through the distance layers; buffers are kept from step to step.
pub(super) struct Trunk {
    /// One a layer.
    ops: Vec<FormOp>,
    /// What each layer takes, where that had to be turned.
    turned: Vec<Vec<f32>>,
    /// Outputs of each layer after mean shift or bias, `[B·P, outputs]`.
    outputs: Vec<Vec<f32>>,
    /// Gradient of each layer's outputs, `[B·P, outputs]`.
    gradients: Vec<Vec<f32>>,
    /// A gradient before it is turned back.
    aside: Vec<f32>,
    /// Dropout of this step, one list a layer.
    masks: Vec<Vec<Mask>>,
    /// How many rows keep each output, where some drop it.
    counts: Vec<Option<Vec<f32>>>,
    /// Gradient of the widest weight, `[outputs, inputs]`; one layer at a time needs it.
    weight_gradient: Vec<f32>,
    batch_mean: Vec<f32>,
    /// Share of a batch's rows whose gradient goes through a layer; 1 takes all.
    pub(super) gradient_share: f64,
    /// What decides the draw: the seed, and the number of the step that the last pass belongs to, from 1.
    draw: (u64, u64),
}

impl Trunk {
    pub(super) fn new(layers: &[LayerState], simd: Simd, precision: Precision) -> Trunk {
        let widest = layers.iter().map(|layer| layer.weight.value.len()).max().unwrap_or(0);
        Trunk {
            ops: layers.iter().map(|layer| FormOp::with(simd, layer.shape.form, precision)).collect(),
            turned: vec![Vec::new(); layers.len()],
            outputs: vec![Vec::new(); layers.len()],
            gradients: vec![Vec::new(); layers.len()],
            aside: Vec::new(),
            masks: Vec::new(),
            counts: Vec::new(),
            weight_gradient: vec![0.0; widest],
            batch_mean: Vec::new(),
            gradient_share: 1.0,
            draw: (0, 0),
        }
    }

    /// What each layer's kernels did in the last step; of a layer computed in parts, in the first.
    pub(super) fn op_stats(&self) -> Vec<OpStats> {
        self.ops.iter().map(|op| op.first().map(|op| op.stats()).unwrap_or_default()).collect()
    }

    /// The last layer's outputs, `[B·P, outputs]`.
    pub(super) fn output(&self) -> &[f32] {
        self.outputs.last().map_or(&[], Vec::as_slice)
    }

    /// Runs all layers at p on `batch` images `[B, C·H·W]`, under this step's dropout, and moves the running means.
    pub(super) fn forward(
        &mut self,
        pool: &Pool,
        simd: Simd,
        state: &mut NetState,
        images: &[f32],
        batch: usize,
        p: PNorm,
    ) {
        let shapes: Vec<LayerShape> = state.layers.iter().map(|layer| layer.shape).collect();
        self.masks = dropout::masks(&shapes, state.seed, state.step, batch);
        self.draw = (state.seed, state.step + 1);
        self.counts = (shapes.iter().zip(&self.masks))
            .map(|(shape, masks)| {
                let output = shape.form.output();
                let drops = masks.iter().any(|mask| mask.outputs.is_some());
                drops.then(|| dropout::counts(masks, batch, output.positions(), output.channels))
            })
            .collect();
        for (index, layer) in state.layers.iter_mut().enumerate() {
            let (before, rest) = self.outputs.split_at_mut(index);
            let (input, output) = (before.last().map_or(images, Vec::as_slice), &mut rest[0]);
            let input = turn(pool, layer.shape.turn, input, &mut self.turned[index]);
            output.resize(batch * layer.shape.form.output().values(), 0.0);
            let (neuron, masks) = (Neuron::Distance(p.get()), &self.masks[index]);
            self.ops[index].forward(pool, batch, neuron, masks, input, &layer.weight.value, output, true);
            if layer.mean.is_empty() {
                add_bias(output, &state.bias.value);
                continue;
            }
            let rows = output.len() / layer.mean.len();
            self.batch_mean.resize(layer.mean.len(), 0.0);
            let counts = self.counts[index].as_deref();
            match counts {
                None => dist::mean_shift_forward(pool, simd, rows, output, &mut self.batch_mean),
                Some(counts) => mean_shift_masked_forward(pool, simd, rows, counts, output, &mut self.batch_mean),
            }
            for (unit, (mean, &batch_mean)) in layer.mean.iter_mut().zip(&self.batch_mean).enumerate() {
                // An output that every sample dropped has no mean to learn from.
                if counts.is_none_or(|counts| counts[unit] > 0.0) {
                    *mean = MEAN_DECAY * *mean + (1.0 - MEAN_DECAY) * batch_mean;
                }
            }
        }
    }

    /// From the gradient of the last layer's outputs, of which every layer draws its share, hands the gradient of each
    /// layer's weights to `update`, last layer first: a layer is updated once nothing needs its old weights.
    ///
    /// # Errors
    /// Those of `update`.
    pub(super) fn backward(
        &mut self,
        pool: &Pool,
        simd: Simd,
        layers: &mut [LayerState],
        images: &[f32],
        of_output: &[f32],
        mut update: impl FnMut(usize, &mut LayerState, &[f32]) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        if let Some(last) = self.gradients.last_mut() {
            last.clear();
            last.extend_from_slice(of_output);
        }
        for (index, layer) in layers.iter_mut().enumerate().rev() {
            let (before, rest) = self.gradients.split_at_mut(index);
            let upstream = &mut rest[0];
            if !layer.mean.is_empty() {
                let rows = upstream.len() / layer.mean.len();
                match &self.counts[index] {
                    None => dist::mean_shift_backward(pool, simd, rows, upstream),
                    Some(counts) => mean_shift_masked_backward(pool, simd, rows, counts, upstream),
                }
            }
            if self.gradient_share < 1.0 {
                let (seed, step) = self.draw;
                let offset = random::uniform(seed, random::stream(Purpose::Gradients, step << 8 | index as u64), 0);
                let rows = upstream.len() / layer.shape.form.output().channels;
                dist::draw_rows(pool, simd, self.gradient_share, offset, rows, upstream);
            }
            let input = match (layer.shape.turn, index) {
                (Turn::Stay, 0) => images,
                (Turn::Stay, _) => &self.outputs[index - 1],
                _ => &self.turned[index],
            };
            let weight_gradient = &mut self.weight_gradient[..layer.weight.value.len()];
            let (op, masks) = (&mut self.ops[index], &self.masks[index]);
            let mut run = |to: Option<&mut [f32]>| {
                op.backward(pool, masks, input, &layer.weight.value, upstream, to, Some(&mut *weight_gradient));
            };
            match (before.last_mut(), layer.shape.turn) {
                (None, _) => run(None),
                (Some(downstream), Turn::Stay) => {
                    downstream.resize(input.len(), 0.0);
                    run(Some(downstream));
                }
                (Some(downstream), turned) => {
                    self.aside.resize(input.len(), 0.0);
                    run(Some(&mut self.aside));
                    turn_back(pool, turned, &self.aside, downstream);
                }
            }
            update(index, layer, weight_gradient)?;
        }
        Ok(())
    }
}

/// What a layer takes of `input`; `scratch` holds it where it has to be turned.
pub(super) fn turn<'a>(pool: &Pool, turn: Turn, input: &'a [f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
    match turn {
        Turn::Stay => return input,
        Turn::ToPositions(planes) => channels_last(pool, planes, input, scratch),
        Turn::ToChannels(planes) => channels_first(pool, planes, input, scratch),
    }
    scratch
}

/// The inverse of [`turn`], which is its adjoint.
pub(super) fn turn_back(pool: &Pool, turn: Turn, gradient: &[f32], to: &mut Vec<f32>) {
    match turn {
        Turn::Stay => gradient.clone_into(to),
        Turn::ToPositions(planes) => channels_first(pool, planes, gradient, to),
        Turn::ToChannels(planes) => channels_last(pool, planes, gradient, to),
    }
}

/// A layer's outputs in evaluation, before its mean is taken off: distances at p, sort neurons at ∞.
///
/// # Panics
/// If the layer sorts and p is finite.
pub(super) fn evaluate(pool: &Pool, simd: Simd, layer: &LayerState, p: PNorm, input: &[f32]) -> Vec<f32> {
    let form = layer.shape.form;
    let profile = layer.shape.profile();
    assert!(profile.is_none() || p.is_infinite(), "sort neurons are evaluated at p = ∞ alone");
    let neuron = Neuron::evaluated(profile.as_ref(), p.get());
    let mut scratch = Vec::new();
    let input = turn(pool, layer.shape.turn, input, &mut scratch);
    let batch = input.len() / form.input().values();
    let mut output = vec![0.0; batch * form.output().values()];
    FormOp::new(simd, form).forward(pool, batch, neuron, &[], input, &layer.weight.value, &mut output, false);
    output
}

/// Bounds of [`evaluate`] at p = ∞ over the boxes, for the float32 program itself.
pub(super) fn bound(pool: &Pool, simd: Simd, layer: &LayerState, low: &[f32], high: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let form = layer.shape.form;
    let (mut low_scratch, mut high_scratch) = (Vec::new(), Vec::new());
    let low = turn(pool, layer.shape.turn, low, &mut low_scratch);
    let high = turn(pool, layer.shape.turn, high, &mut high_scratch);
    let batch = low.len() / form.input().values();
    let (mut to_low, mut to_high) =
        (vec![0.0; batch * form.output().values()], vec![0.0; batch * form.output().values()]);
    let (profile, weight) = (layer.shape.profile(), &layer.weight.value);
    let mut op = FormOp::new(simd, form);
    op.interval(pool, batch, profile.as_ref(), low, high, weight, &mut to_low, &mut to_high);
    (to_low, to_high)
}

/// fl(d + b) for every row.
pub(super) fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

/// fl(d − r) for every row.
pub(super) fn subtract(rows: &mut [f32], mean: &[f32]) {
    if mean.is_empty() {
        return;
    }
    for row in rows.chunks_exact_mut(mean.len()) {
        for (value, mean) in row.iter_mut().zip(mean) {
            *value -= mean;
        }
    }
}
