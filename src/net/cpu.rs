//! Training on our own kernels.

use crate::dist::{self, DistOp, OpStats, Pool, Shape, Simd};
use crate::experiment::{Adam, PNorm};

use super::{Batch, Engine, LayerState, MixtureLoss, NetState, StepError, StepPoint, StepStats, mixture};

/// Share of the old value in a running mean (arXiv 2102.05363 §5, momentum 0.1).
const MEAN_DECAY: f32 = 0.9;

/// A net that trains on the CPU. Its bits do not depend on the number of threads.
pub struct CpuEngine {
    pool: Pool,
    simd: Simd,
    adam: Adam,
    state: NetState,
    /// One a layer.
    ops: Vec<DistOp>,
    /// Outputs of each layer after mean shift or bias, `[B, outputs]`.
    outputs: Vec<Vec<f32>>,
    /// Gradient of each layer's outputs, `[B, outputs]`.
    gradients: Vec<Vec<f32>>,
    /// Gradient of the widest weight, `[outputs, inputs]`; one layer at a time needs it.
    weight_gradient: Vec<f32>,
    batch_mean: Vec<f32>,
    loss: MixtureLoss,
}

impl CpuEngine {
    /// Trains `state` further on `threads` threads (0: all cores).
    pub fn new(state: NetState, adam: Adam, threads: usize, simd: Simd) -> CpuEngine {
        let widest = state.layers.iter().map(|layer| layer.weight.value.len()).max().unwrap_or(0);
        CpuEngine {
            pool: Pool::new(threads),
            simd,
            adam,
            ops: state.layers.iter().map(|_| DistOp::new(simd)).collect(),
            outputs: vec![Vec::new(); state.layers.len()],
            gradients: vec![Vec::new(); state.layers.len()],
            weight_gradient: vec![0.0; widest],
            batch_mean: Vec::new(),
            loss: MixtureLoss::default(),
            state,
        }
    }

    /// What each layer's kernels did in the last step.
    pub fn op_stats(&self) -> Vec<OpStats> {
        self.ops.iter().map(DistOp::stats).collect()
    }

    fn forward(&mut self, images: &[f32], batch: usize, p: PNorm) {
        for index in 0..self.state.layers.len() {
            let layer = &mut self.state.layers[index];
            let shape = shape_of(layer, batch);
            let (before, rest) = self.outputs.split_at_mut(index);
            let (input, output) = (before.last().map_or(images, Vec::as_slice), &mut rest[0]);
            output.resize(batch * shape.outputs, 0.0);
            self.ops[index].forward(&self.pool, shape, p.get(), input, &layer.weight.value, output, true);
            if layer.mean.is_empty() {
                add_bias(output, &self.state.bias.value);
            } else {
                self.batch_mean.resize(shape.outputs, 0.0);
                dist::mean_shift_forward(&self.pool, self.simd, batch, output, &mut self.batch_mean);
                for (mean, &batch_mean) in layer.mean.iter_mut().zip(&self.batch_mean) {
                    *mean = MEAN_DECAY * *mean + (1.0 - MEAN_DECAY) * batch_mean;
                }
            }
        }
    }
}

impl Engine for CpuEngine {
    fn step(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<StepStats, StepError> {
        let size = batch.labels.len();
        // Maxima drop NaN, so what goes into them is looked at here, and the weights when Adam has moved them.
        if !dist::all_finite(&self.pool, batch.images) {
            return Err(StepError::NotFinite { what: "input".into() });
        }
        self.forward(batch.images, size, point.p);
        let last = self.state.layers.len() - 1;
        let scalar = self.state.scalar.value[0];
        mixture(&self.outputs[last], batch.labels, scalar, point.lambda, point.eps, &mut self.loss);
        if !self.loss.stats.loss.is_finite() {
            return Err(StepError::NotFinite { what: "loss".into() });
        }

        self.state.step += 1;
        let step = self.state.step;
        let adam =
            dist::Adam { beta1: self.adam.beta1 as f32, beta2: self.adam.beta2 as f32, eps: self.adam.eps as f32 };
        self.gradients[last].clone_from(&self.loss.gradient);
        let bias_gradient = column_sums(&self.loss.gradient, self.state.bias.value.len());

        for index in (0..=last).rev() {
            let layer = &mut self.state.layers[index];
            let shape = shape_of(layer, size);
            let (before, rest) = self.gradients.split_at_mut(index);
            let upstream = &mut rest[0];
            if !layer.mean.is_empty() {
                dist::mean_shift_backward(&self.pool, self.simd, size, upstream);
            }
            let input = if index == 0 { batch.images } else { &self.outputs[index - 1] };
            let downstream = before.last_mut().map(|gradient| {
                gradient.resize(size * shape.inputs, 0.0);
                gradient.as_mut_slice()
            });
            let weight_gradient = &mut self.weight_gradient[..layer.weight.value.len()];
            self.ops[index].backward(
                &self.pool,
                input,
                &layer.weight.value,
                upstream,
                downstream,
                Some(&mut *weight_gradient),
            );
            let weight = &mut layer.weight;
            let finite = dist::adam_step(
                &self.pool,
                self.simd,
                &adam,
                point.lr as f32,
                step,
                &mut weight.value,
                weight_gradient,
                &mut weight.m,
                &mut weight.v,
            );
            if !finite {
                return Err(StepError::NotFinite { what: format!("weight or gradient of layer {}", index + 1) });
            }
        }
        let small = [
            ("bias", &mut self.state.bias, bias_gradient.as_slice(), point.lr),
            ("scalar", &mut self.state.scalar, &[self.loss.scalar_gradient as f32], point.scalar_lr),
        ];
        for (name, trained, gradient, lr) in small {
            let (value, m, v) = (&mut trained.value, &mut trained.m, &mut trained.v);
            if !dist::adam_step(&self.pool, self.simd, &adam, lr as f32, step, value, gradient, m, v) {
                return Err(StepError::NotFinite { what: format!("{name} or its gradient") });
            }
        }
        Ok(self.loss.stats)
    }

    fn state(&mut self) -> Result<&NetState, StepError> {
        Ok(&self.state)
    }

    fn device(&self) -> String {
        let threads = self.pool.threads();
        format!("CPU, {}, {threads} thread{}", self.simd.name(), if threads == 1 { "" } else { "s" })
    }
}

pub(super) fn shape_of(layer: &LayerState, batch: usize) -> Shape {
    Shape { batch, inputs: layer.shape.inputs, outputs: layer.shape.outputs }
}

/// fl(d + b) for every row.
pub(super) fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

fn column_sums(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; columns];
    for row in rows.chunks_exact(columns) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;
    use crate::net::NetShape;

    fn step(p: f64, spoil: impl Fn(&mut NetState, &mut Vec<f32>)) -> Result<StepStats, StepError> {
        let config = parse(
            "data.dataset = 'synthetic'\nmodel = { depth = 3, width = 12 }\n\
             train = { epochs = 1, batch_size = 8, lr = 0.1 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
             loss = { lambda = 0.1, eps_train = 0.1 }\neval.eps = 0.1",
        );
        let config = config.unwrap();
        let mut state = NetState::init(&NetShape::new(&config), 1, None);
        let mut images: Vec<f32> = (0..8 * 784).map(|k| ((k * 31) % 97) as f32 / 97.0).collect();
        spoil(&mut state, &mut images);
        let mut engine = CpuEngine::new(state, config.train.adam, 2, Simd::best());
        let point = StepPoint { p: PNorm::new(p).unwrap(), lr: 0.01, scalar_lr: 0.01, lambda: 0.1, eps: 0.1 };
        engine.step(Batch { images: &images, labels: &[0, 1, 2, 3, 4, 5, 6, 7] }, &point)
    }

    #[test]
    fn what_is_not_finite_stops_the_step_and_is_named() {
        for p in [8.0, 9.5, 300.0, f64::INFINITY] {
            assert!(step(p, |_, _| {}).is_ok());
            for bad in [f32::NAN, f32::INFINITY] {
                let input = step(p, |_, images| images[790] = bad);
                assert_eq!(input, Err(StepError::NotFinite { what: "input".into() }), "p = {p}");
                for layer in 0..3 {
                    let result = step(p, |state, _| state.layers[layer].weight.value[5] = bad);
                    let Err(StepError::NotFinite { what }) = result else {
                        panic!("p = {p}, {bad} in layer {layer}: {result:?}");
                    };
                    // The maximum drops a NaN, all else passes it on.
                    if p.is_infinite() && bad.is_nan() {
                        assert_eq!(what, format!("weight or gradient of layer {}", layer + 1));
                    }
                }
            }
        }
    }
}
