//! Training on our own kernels.

use crate::dist::{self, OpStats, Pool, Precision, Simd};
use crate::experiment::{Adam, Label};

use super::head::column_sums;
use super::trunk::{Trunk, turn, turn_back};
use super::{Batch, Engine, HeadPass, Loss, NetState, StepError, StepPoint, StepStats, Trained};

/// A net that trains on the CPU. Its bits do not depend on the number of threads.
pub struct CpuEngine {
    pool: Pool,
    simd: Simd,
    adam: Adam,
    state: NetState,
    trunk: Trunk,
    head: HeadPass,
    /// Features as the head takes them, and their gradient as the layers give it, where the head turns them.
    turned: Vec<f32>,
    loss: Loss,
}

/// One step of the optimizer.
pub(super) struct Update<'a> {
    pub pool: &'a Pool,
    pub simd: Simd,
    pub adam: dist::Adam,
    pub step: u64,
}

impl Update<'_> {
    pub fn apply(&self, what: &str, trained: &mut Trained, gradient: &[f32], lr: f64) -> Result<(), StepError> {
        let Trained { value, m, v } = trained;
        if dist::adam_step(self.pool, self.simd, &self.adam, lr as f32, self.step, value, gradient, m, v) {
            Ok(())
        } else {
            Err(StepError::NotFinite { what: format!("{what} or its gradient") })
        }
    }
}

/// Decoupled weight decay: w ← (1 − lr·decay)·w.
pub(super) fn decay(trained: &mut Trained, lr: f64, decay: f64) {
    if decay > 0.0 {
        let kept = (1.0 - lr * decay) as f32;
        trained.value.iter_mut().for_each(|value| *value *= kept);
    }
}

impl CpuEngine {
    /// Trains `state` further on `threads` threads (0: all cores).
    pub fn new(state: NetState, adam: Adam, threads: usize, simd: Simd) -> CpuEngine {
        CpuEngine {
            pool: Pool::new(threads),
            simd,
            adam,
            trunk: Trunk::new(&state.layers, simd, Precision::default()),
            head: HeadPass::default(),
            turned: Vec::new(),
            loss: Loss::default(),
            state,
        }
    }

    /// Lets the sums of powers leave that much out, from the first step on.
    pub fn with_precision(mut self, precision: Precision) -> CpuEngine {
        let share = self.trunk.gradient_share;
        self.trunk = Trunk::new(&self.state.layers, self.simd, precision);
        self.trunk.gradient_share = share;
        self
    }

    /// Takes that share of each batch's gradients through every layer: see [`draw_rows`](dist::draw_rows).
    ///
    /// # Panics
    /// If it is not in (0, 1].
    pub fn with_gradient_share(mut self, share: f64) -> CpuEngine {
        assert!(share > 0.0 && share <= 1.0, "a share of {share}");
        self.trunk.gradient_share = share;
        self
    }

    /// The loss of the last forward pass through the layers, and its gradients.
    fn measure(&mut self, labels: &[Label], point: &StepPoint) {
        let scalar = self.state.scalar.value[0];
        let Some((turned, head)) = &self.state.head else {
            self.loss.of_distances(point.objective, self.trunk.output(), labels, scalar, point.eps);
            return;
        };
        let features = turn(&self.pool, *turned, self.trunk.output(), &mut self.turned);
        self.head.forward(&self.pool, self.simd, head, features, labels, point.eps);
        let HeadPass { logits, worst, .. } = &self.head;
        self.loss.of_bounds(point.objective, logits, worst, labels, scalar, point.eps);
    }
}

impl Engine for CpuEngine {
    fn step(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<StepStats, StepError> {
        let (pool, simd, size) = (&self.pool, self.simd, batch.labels.len());
        // Maxima drop NaN, so what goes into them is looked at here, and the weights when Adam has moved them.
        if !dist::all_finite(pool, batch.images) {
            return Err(StepError::NotFinite { what: "input".into() });
        }
        self.trunk.forward(pool, simd, &mut self.state, batch.images, size, point.p);
        self.measure(batch.labels, point);
        if !self.loss.stats.loss.is_finite() {
            return Err(StepError::NotFinite { what: "loss".into() });
        }

        self.state.step += 1;
        let adam = &self.adam;
        let (dist_decay, head_decay) = (adam.dist_decay, adam.head_decay);
        let update = Update {
            pool: &self.pool,
            simd,
            adam: dist::Adam { beta1: adam.beta1 as f32, beta2: adam.beta2 as f32, eps: adam.eps as f32 },
            step: self.state.step,
        };
        let mut turned_back = Vec::new();
        let of_output = match &mut self.state.head {
            None => {
                let gradient = column_sums(&self.loss.gradient, self.state.bias.value.len());
                // The bias decays as rows of one value.
                decay(&mut self.state.bias, point.lr, dist_decay);
                update.apply("bias", &mut self.state.bias, &gradient, point.lr)?;
                &self.loss.gradient
            }
            Some((turned, head)) => {
                let features = turn(update.pool, *turned, self.trunk.output(), &mut self.turned);
                let (of_logits, of_worst) = (&self.loss.gradient, &self.loss.worst_gradient);
                self.head.backward(update.pool, simd, head, features, batch.labels, point.eps, of_logits, of_worst);
                for ((name, trained), gradient) in head.parts_mut().into_iter().zip(&self.head.gradients) {
                    decay(trained, point.lr, head_decay);
                    update.apply(name, trained, gradient, point.lr)?;
                }
                turn_back(update.pool, *turned, &self.head.features, &mut turned_back);
                &turned_back
            }
        };
        // s decays as a part of the head, where the loss knows it.
        if point.objective.lambda() > 0.0 {
            decay(&mut self.state.scalar, point.scalar_lr, head_decay);
        }
        update.apply("scalar", &mut self.state.scalar, &[self.loss.scalar_gradient as f32], point.scalar_lr)?;

        let layers = &mut self.state.layers;
        self.trunk.backward(update.pool, simd, layers, batch.images, of_output, |index, layer, gradient| {
            if dist_decay > 0.0 {
                let (rate, inputs) = ((point.lr * dist_decay) as f32, layer.shape.inputs());
                dist::decay_rows(update.pool, simd, point.p.get(), rate, inputs, &mut layer.weight.value);
            }
            update.apply(&format!("weight of layer {}", index + 1), &mut layer.weight, gradient, point.lr)
        })?;
        Ok(self.loss.stats)
    }

    fn state(&mut self) -> Result<&NetState, StepError> {
        Ok(&self.state)
    }

    fn op_stats(&self) -> Vec<OpStats> {
        self.trunk.op_stats()
    }

    fn device(&self) -> String {
        let threads = self.pool.threads();
        format!("CPU, {}, {threads} thread{}", self.simd.name(), if threads == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Config, PNorm, parse};
    use crate::net::{NetShape, Objective};

    fn config(depth: usize, width: usize) -> Config {
        parse(&format!(
            "data.dataset = 'synthetic'\nmodel = {{ depth = {depth}, width = {width} }}\n\
             train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1",
        ))
        .unwrap()
    }

    fn point(p: f64) -> StepPoint {
        let objective = Objective::Mixture { lambda: 0.1 };
        StepPoint { p: PNorm::new(p).unwrap(), lr: 0.01, scalar_lr: 0.01, objective, eps: 0.1 }
    }

    fn step(p: f64, spoil: impl Fn(&mut NetState, &mut Vec<f32>)) -> Result<StepStats, StepError> {
        let config = config(3, 12);
        let mut state = NetState::init(&NetShape::new(&config), 1, None);
        let mut images: Vec<f32> = (0..8 * 784).map(|k| ((k * 31) % 97) as f32 / 97.0).collect();
        spoil(&mut state, &mut images);
        let mut engine = CpuEngine::new(state, config.train.adam, 2, Simd::best());
        engine.step(Batch { images: &images, labels: &[0, 1, 2, 3, 4, 5, 6, 7] }, &point(p))
    }

    #[test]
    fn fewer_bits_change_a_step_at_finite_p_a_little() {
        let config = config(2, 256);
        let images: Vec<f32> = (0..128 * 784u64).map(|k| ((k * k + 31 * k) % 97) as f32 / 97.0).collect();
        let labels: Vec<Label> = (0..128).map(|k| k % 10).collect();
        let outputs = |precision, p| {
            let state = NetState::init(&NetShape::new(&config), 1, None);
            let mut engine = CpuEngine::new(state, config.train.adam, 2, Simd::best()).with_precision(precision);
            engine.step(Batch { images: &images, labels: &labels }, &point(p)).unwrap();
            engine.trunk.output().to_vec()
        };
        assert_eq!(outputs(Precision::Bits8, f64::INFINITY), outputs(Precision::Bits16, f64::INFINITY));
        let (fewer, usual) = (outputs(Precision::Bits8, 100.0), outputs(Precision::Bits16, 100.0));
        assert_ne!(fewer, usual);
        for (fewer, usual) in fewer.iter().zip(&usual) {
            assert!((fewer - usual).abs() < 2e-3 * usual.abs().max(1.0), "{fewer} for {usual}");
        }
    }

    #[test]
    fn a_share_of_the_gradients_is_drawn_anew_at_every_step() {
        let config = config(3, 40);
        let images: Vec<f32> = (0..64 * 784u64).map(|k| ((k * k + 31 * k) % 97) as f32 / 97.0).collect();
        let labels: Vec<Label> = (0..64).map(|k| k % 10).collect();
        let weights = |share, threads, seed, before| {
            let mut state = NetState::init(&NetShape::new(&config), 1, None);
            (state.seed, state.step) = (seed, before);
            let engine = CpuEngine::new(state, config.train.adam, threads, Simd::best());
            let mut engine = engine.with_gradient_share(share);
            engine.step(Batch { images: &images, labels: &labels }, &point(8.0)).unwrap();
            engine.state.layers.iter().flat_map(|layer| layer.weight.m.clone()).collect::<Vec<f32>>()
        };
        let (all, some) = (weights(1.0, 2, 1, 0), weights(0.5, 2, 1, 0));
        assert_eq!(all, weights(1.0, 1, 2, 5), "nothing is drawn");
        assert_ne!(some, all);
        assert_eq!(some, weights(0.5, 3, 1, 0), "threads have no part in it");
        assert_ne!(some, weights(0.5, 2, 2, 0), "another seed");
        assert_ne!(some, weights(0.5, 2, 1, 1), "another step");
        // The gradient, a tenth of which is in the first moment, is right in the mean over draws.
        let scale = all.iter().map(|m| f64::from(*m).powi(2)).sum::<f64>().sqrt();
        let distance = |draws: u64| {
            let mut mean = vec![0f64; all.len()];
            for seed in 0..draws {
                for (mean, m) in mean.iter_mut().zip(weights(0.5, 2, seed, 0)) {
                    *mean += f64::from(m) / draws as f64;
                }
            }
            mean.iter().zip(&all).map(|(mean, m)| (mean - f64::from(*m)).powi(2)).sum::<f64>().sqrt() / scale
        };
        let (few, many) = (distance(4), distance(100));
        assert!(many < 0.3 * few && many < 0.1, "{few} of 4 draws, {many} of 100");
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
                        assert_eq!(what, format!("weight of layer {} or its gradient", layer + 1));
                    }
                }
            }
        }
    }
}
