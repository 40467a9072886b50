//! Training on libtorch: the independent check of our kernels.
//!
//! Plain libtorch operations in bounded chunks, with the gradients of arXiv 2102.05363 written out: small and obviously
//! right rather than fast. The loss on `[B, C]` is computed by the same code as for our kernels.

use linf::experiment::{Adam, PNorm};
use linf::net::{Batch, Engine, LayerShape, Loss, NetState, StepError, StepPoint, StepStats, Trained};
use tch::{Kind, TchError, Tensor};

/// Elements of the largest temporary, `[B, outputs of the chunk, inputs]`: 256 MB of float32.
const CHUNK_ELEMENTS: usize = 1 << 26;
/// Share of the old value in a running mean.
const MEAN_DECAY: f64 = 0.9;
/// Smallest distance that is divided by.
const FLOOR: f64 = 1e-10;

/// A net of libtorch's tensors.
pub struct TorchEngine {
    adam: Adam,
    layers: Vec<Layer>,
    bias: Parameter,
    scalar: Parameter,
    loss: Loss,
    /// A copy, refreshed by `state`.
    host: NetState,
}

struct Layer {
    shape: LayerShape,
    weight: Parameter,
    /// Absent in the last layer.
    mean: Option<Tensor>,
}

/// A parameter and Adam's moments.
struct Parameter {
    value: Tensor,
    m: Tensor,
    v: Tensor,
}

/// What the backward pass needs of a layer's forward pass.
enum Saved {
    /// Finite p: the row maximum m `[B, O]` and the sum S of (|x − w|/m)^p `[B, O]`; the distance itself would lose the
    /// gradient's digits at large p.
    Finite { p: f64, m: Tensor, sum: Tensor },
    /// p = ∞: where the maximum is, `[B, O]`.
    Infinite { index: Tensor },
}

impl TorchEngine {
    /// Moves a net to libtorch.
    pub fn new(host: NetState, adam: Adam) -> Result<TorchEngine, TchError> {
        let layers = host.layers.iter().map(|layer| {
            let (inputs, outputs) = (layer.shape.inputs(), layer.shape.outputs());
            let mean = (!layer.mean.is_empty()).then(|| upload(&layer.mean, &[outputs])).transpose()?;
            Ok(Layer { shape: layer.shape, weight: Parameter::new(&layer.weight, &[outputs, inputs])?, mean })
        });
        Ok(TorchEngine {
            adam,
            layers: layers.collect::<Result<_, TchError>>()?,
            bias: Parameter::new(&host.bias, &[host.bias.value.len()])?,
            scalar: Parameter::new(&host.scalar, &[1])?,
            loss: Loss::default(),
            host,
        })
    }

    fn try_step(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<Option<String>, TchError> {
        let size = batch.labels.len();
        let mut inputs = vec![upload(batch.images, &[size, self.layers[0].shape.inputs()])?];
        let mut saved = Vec::new();
        for layer in &mut self.layers {
            let (mut output, keep) = forward(&inputs[inputs.len() - 1], &layer.weight.value, point.p)?;
            if let Some(mean) = &mut layer.mean {
                let batch_mean = output.f_mean_dim(&[0i64][..], false, Kind::Float)?;
                output = output.f_sub(&batch_mean)?;
                let fresh = batch_mean.f_mul_scalar(1.0 - MEAN_DECAY)?;
                *mean = mean.f_mul_scalar(MEAN_DECAY)?.f_add(&fresh)?;
            } else {
                output = output.f_add(&self.bias.value)?;
            }
            inputs.push(output);
            saved.push(keep);
        }
        let distances = download(&inputs[inputs.len() - 1])?;
        let scalar = download(&self.scalar.value)?[0];
        self.loss.of_distances(point.objective, &distances, batch.labels, scalar, point.eps);
        if !self.loss.stats.loss.is_finite() {
            return Ok(Some("loss".into()));
        }

        self.host.step += 1;
        let rate = Rate { adam: self.adam, lr: point.lr, step: self.host.step };
        let classes = self.bias.value.size()[0] as usize;
        let mut upstream = upload(&self.loss.gradient, &[size, classes])?;
        let bias_gradient = upstream.f_sum_dim_intlist(&[0i64][..], false, Kind::Float)?;
        let mut gradients = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if layer.mean.is_some() {
                upstream = upstream.f_sub(&upstream.f_mean_dim(&[0i64][..], true, Kind::Float)?)?;
            }
            let (dx, dw) = backward(&inputs[index], &layer.weight.value, &upstream, &saved[index])?;
            gradients.push((index, dw));
            upstream = dx;
        }
        for (index, gradient) in &gradients {
            if !is_finite(gradient)? {
                return Ok(Some(format!("gradient of layer {}", index + 1)));
            }
            let weight = &mut self.layers[*index].weight;
            weight.decay_rows(point.p, point.lr * self.adam.dist_decay)?;
            weight.adam(gradient, &rate)?;
        }
        // The bias decays as rows of one value, s as a part of the head: both as weights usually do.
        self.bias.decay(point.lr * self.adam.dist_decay)?;
        self.bias.adam(&bias_gradient, &rate)?;
        if point.objective.lambda() > 0.0 {
            self.scalar.decay(point.scalar_lr * self.adam.head_decay)?;
        }
        let scalar_gradient = upload(&[self.loss.scalar_gradient as f32], &[1])?;
        self.scalar.adam(&scalar_gradient, &Rate { lr: point.scalar_lr, ..rate })?;
        Ok(None)
    }

    fn refresh_host(&mut self) -> Result<(), TchError> {
        for (layer, host) in self.layers.iter().zip(&mut self.host.layers) {
            layer.weight.copy_to(&mut host.weight)?;
            if let Some(mean) = &layer.mean {
                host.mean = download(mean)?;
            }
        }
        self.bias.copy_to(&mut self.host.bias)?;
        self.scalar.copy_to(&mut self.host.scalar)
    }
}

impl Engine for TorchEngine {
    fn step(&mut self, batch: Batch<'_>, point: &StepPoint) -> Result<StepStats, StepError> {
        match tch::no_grad(|| self.try_step(batch, point)).map_err(device_error)? {
            Some(what) => Err(StepError::NotFinite { what }),
            None => Ok(self.loss.stats),
        }
    }

    fn state(&mut self) -> Result<&NetState, StepError> {
        self.refresh_host().map_err(device_error)?;
        Ok(&self.host)
    }

    fn device(&self) -> String {
        "CPU, libtorch".into()
    }
}

/// libtorch's errors carry a C++ back-trace; the first line says it all.
fn device_error(error: TchError) -> StepError {
    StepError::Device(error.to_string().lines().next().unwrap_or_default().to_owned())
}

struct Rate {
    adam: Adam,
    lr: f64,
    step: u64,
}

impl Parameter {
    fn new(host: &Trained, shape: &[usize]) -> Result<Parameter, TchError> {
        let upload = |data| upload(data, shape);
        Ok(Parameter { value: upload(&host.value)?, m: upload(&host.m)?, v: upload(&host.v)? })
    }

    /// w ← (1 − rate)·w.
    fn decay(&mut self, rate: f64) -> Result<(), TchError> {
        if rate > 0.0 {
            self.value = self.value.f_mul_scalar(1.0 - rate)?;
        }
        Ok(())
    }

    /// A step against the gradient of ½‖w_o‖_p² of every row (arXiv 2102.05363 §5): see `dist::decay_rows`.
    fn decay_rows(&mut self, p: PNorm, rate: f64) -> Result<(), TchError> {
        if rate <= 0.0 {
            return Ok(());
        }
        let size = self.value.abs();
        let change = if p.is_infinite() {
            let (_, index) = size.f_max_dim(1, true)?;
            self.value.f_zeros_like()?.f_scatter(1, &index, &self.value.f_gather(1, &index, false)?)?
        } else {
            let largest = size.f_amax(&[1i64][..], true)?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
            let ratio = size.f_div(&largest)?;
            let sum = ratio.f_pow_tensor_scalar(p.get())?.f_sum_dim_intlist(&[1i64][..], true, Kind::Float)?;
            let factor = sum.f_clamp_min(1.0)?.f_pow_tensor_scalar(2.0 / p.get() - 1.0)?;
            // Below p = 2 the power of a zero is infinite, and the decay of a zero is none all the same.
            ratio.f_pow_tensor_scalar(p.get() - 2.0)?.f_mul(&factor)?.f_mul(&self.value)?.f_nan_to_num(
                0.0,
                None::<f64>,
                None::<f64>,
            )?
        };
        self.value = self.value.f_sub(&change.f_mul_scalar(rate)?)?;
        Ok(())
    }

    /// w ← w − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + eps), the moments first.
    fn adam(&mut self, gradient: &Tensor, rate: &Rate) -> Result<(), TchError> {
        let Adam { beta1, beta2, eps, .. } = rate.adam;
        let powered = |beta: f64| 1.0 - beta.powi(i32::try_from(rate.step).unwrap_or(i32::MAX));
        self.m = self.m.f_mul_scalar(beta1)?.f_add(&gradient.f_mul_scalar(1.0 - beta1)?)?;
        self.v = self.v.f_mul_scalar(beta2)?.f_add(&gradient.f_square()?.f_mul_scalar(1.0 - beta2)?)?;
        let root = self.v.f_sqrt()?.f_div_scalar(powered(beta2).sqrt())?.f_add_scalar(eps)?;
        let change = self.m.f_div(&root)?.f_mul_scalar(rate.lr / powered(beta1))?;
        self.value = self.value.f_sub(&change)?;
        Ok(())
    }

    fn copy_to(&self, host: &mut Trained) -> Result<(), TchError> {
        host.value = download(&self.value)?;
        host.m = download(&self.m)?;
        host.v = download(&self.v)?;
        Ok(())
    }
}

fn upload(data: &[f32], shape: &[usize]) -> Result<Tensor, TchError> {
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    Tensor::f_from_slice(data)?.f_reshape(shape)
}

fn download(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    Vec::<f32>::try_from(&tensor.f_contiguous()?.f_view(-1)?)
}

fn is_finite(tensor: &Tensor) -> Result<bool, TchError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 1)
}

/// Ranges of outputs whose `[B, range, I]` differences stay within the bound.
fn ranges(batch: usize, inputs: usize, outputs: usize) -> impl Iterator<Item = (i64, i64)> {
    let size = (CHUNK_ELEMENTS / (batch * inputs)).clamp(1, outputs);
    (0..outputs).step_by(size).map(move |start| (start as i64, size.min(outputs - start) as i64))
}

/// x − w as `[B, chunk, I]`.
fn differences(x: &Tensor, w: &Tensor, start: i64, size: i64) -> Result<Tensor, TchError> {
    x.f_unsqueeze(1)?.f_sub(&w.f_narrow(0, start, size)?.f_unsqueeze(0)?)
}

fn dims(x: &Tensor, w: &Tensor) -> (usize, usize, usize) {
    let (x, w) = (x.size(), w.size());
    (x[0] as usize, x[1] as usize, w[0] as usize)
}

/// ‖x_b − w_o‖_p for all b and o, normalised by the largest difference of each.
fn forward(x: &Tensor, w: &Tensor, p: PNorm) -> Result<(Tensor, Saved), TchError> {
    let (batch, inputs, outputs) = dims(x, w);
    let (mut maxima, mut sums, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    for (start, size) in ranges(batch, inputs, outputs) {
        let d = differences(x, w, start, size)?.f_abs()?;
        if p.is_infinite() {
            let (max, index) = d.f_max_dim(-1, false)?;
            maxima.push(max);
            indices.push(index);
        } else {
            let max = d.f_amax(&[-1i64][..], false)?.f_clamp_min(FLOOR)?;
            let ratio = d.f_div(&max.f_unsqueeze(-1)?)?;
            sums.push(ratio.f_pow_tensor_scalar(p.get())?.f_sum_dim_intlist(&[-1i64][..], false, Kind::Float)?);
            maxima.push(max);
        }
    }
    let m = Tensor::f_cat(&maxima, 1)?;
    if p.is_infinite() {
        return Ok((m, Saved::Infinite { index: Tensor::f_cat(&indices, 1)? }));
    }
    // A row without any difference has S = 0; its distance is the floor, as if one difference had that size.
    let sum = Tensor::f_cat(&sums, 1)?.f_clamp_min(1.0)?;
    let distance = m.f_mul(&sum.f_pow_tensor_scalar(1.0 / p.get())?)?;
    Ok((distance, Saved::Finite { p: p.get(), m, sum }))
}

/// Gradients of x and w (arXiv 2102.05363 §5; at p = ∞ only the largest difference has one).
fn backward(x: &Tensor, w: &Tensor, upstream: &Tensor, saved: &Saved) -> Result<(Tensor, Tensor), TchError> {
    let (batch, inputs, outputs) = dims(x, w);
    let mut dx = x.f_zeros_like()?;
    let mut dws = Vec::new();
    for (start, size) in ranges(batch, inputs, outputs) {
        let d = differences(x, w, start, size)?;
        let g = upstream.f_narrow(1, start, size)?;
        let part = match saved {
            Saved::Finite { p, m, sum } => {
                // (|d|/y)^(p−1) = (|d|/m)^(p−1) · S^(−(p−1)/p)
                let scale = sum.f_narrow(1, start, size)?.f_pow_tensor_scalar(-(p - 1.0) / p)?.f_mul(&g)?;
                let ratio = d.f_abs()?.f_div(&m.f_narrow(1, start, size)?.f_unsqueeze(-1)?)?;
                ratio.f_pow_tensor_scalar(p - 1.0)?.f_mul(&d.f_sign()?)?.f_mul(&scale.f_unsqueeze(-1)?)?
            }
            Saved::Infinite { index } => {
                let index = index.f_narrow(1, start, size)?.f_unsqueeze(-1)?;
                let sign = d.f_gather(-1, &index, false)?.f_sign()?;
                d.f_zeros_like()?.f_scatter(-1, &index, &sign.f_mul(&g.f_unsqueeze(-1)?)?)?
            }
        };
        dx = dx.f_add(&part.f_sum_dim_intlist(&[1i64][..], false, Kind::Float)?)?;
        dws.push(part.f_sum_dim_intlist(&[0i64][..], false, Kind::Float)?.f_neg()?);
    }
    Ok((dx, Tensor::f_cat(&dws, 0)?))
}

#[cfg(test)]
mod tests {
    use linf::dataset::random;
    use linf::dist::Simd;
    use linf::experiment::Label;
    use linf::net::{CpuEngine, LayerState, Objective};

    use super::*;

    const WIDTHS: [usize; 4] = [40, 33, 17, 5];
    const BATCH: usize = 19;

    fn net() -> NetState {
        let trained = |value: Vec<f32>| Trained { m: vec![0.0; value.len()], v: vec![0.0; value.len()], value };
        let layers = WIDTHS.windows(2).enumerate().map(|(index, widths)| {
            let mut weight = vec![0.0; widths[0] * widths[1]];
            random::fill_normal(3, index as u64, &mut weight);
            let mean = vec![0.0; if index + 2 == WIDTHS.len() { 0 } else { widths[1] }];
            let shape = LayerShape::dense(widths[0], widths[1]).unwrap();
            LayerState { shape, weight: trained(weight), mean }
        });
        NetState {
            layers: layers.collect(),
            bias: trained(vec![0.0; 5]),
            head: None,
            scalar: trained(vec![1.0]),
            step: 0,
            seed: 0,
        }
    }

    /// Relative to the largest value, as rounding errors of sums are.
    fn differ(ours: &[f32], theirs: &[f32]) -> f32 {
        let scale = theirs.iter().fold(1e-12f32, |largest, value| largest.max(value.abs()));
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max)
    }

    #[test]
    fn libtorch_and_our_kernels_agree_on_every_gradient() {
        let mut images = vec![0.0; BATCH * WIDTHS[0]];
        random::fill_normal(4, 0, &mut images);
        let labels: Vec<Label> = (0..BATCH).map(|i| (i % 5) as Label).collect();
        for (p, tolerance) in [
            (8.0, 1e-5),
            (9.5, 1e-5),
            (10.01, 1e-5),
            (47.0, 2e-5),
            (300.0, 1e-4),
            (1000.0, 3e-4),
            (f64::INFINITY, 1e-6),
        ] {
            let point = StepPoint {
                p: PNorm::new(p).unwrap(),
                lr: 0.01,
                scalar_lr: 0.002,
                objective: Objective::Mixture { lambda: 0.5 },
                eps: 0.3,
            };
            let batch = Batch { images: &images, labels: &labels };
            let mut torch = TorchEngine::new(net(), Adam::default()).unwrap();
            let mut cpu = CpuEngine::new(net(), Adam::default(), 2, Simd::detect().unwrap());
            let (theirs, ours) = (torch.step(batch, &point).unwrap(), cpu.step(batch, &point).unwrap());
            assert!((ours.loss - theirs.loss).abs() < 1e-5, "p = {p}: loss {} ≠ {}", ours.loss, theirs.loss);
            assert_eq!((ours.correct, ours.surrogate), (theirs.correct, theirs.surrogate));
            let (theirs, ours) = (torch.state().unwrap(), cpu.state().unwrap());
            for (index, (ours, theirs)) in ours.layers.iter().zip(&theirs.layers).enumerate() {
                let apart = differ(&ours.weight.m, &theirs.weight.m);
                assert!(apart < tolerance, "p = {p}, layer {index}: gradients differ by {apart:e}");
                assert!(differ(&ours.mean, &theirs.mean) < 1e-5);
            }
            assert!(differ(&ours.bias.m, &theirs.bias.m) < 1e-5);
            assert!(differ(&ours.scalar.m, &theirs.scalar.m) < 1e-4);
        }
    }

    #[test]
    fn both_take_the_same_adam_steps() {
        let mut images = vec![0.0; BATCH * WIDTHS[0]];
        random::fill_normal(4, 0, &mut images);
        let labels: Vec<Label> = (0..BATCH).map(|i| (i % 5) as Label).collect();
        let batch = Batch { images: &images, labels: &labels };
        let mut torch = TorchEngine::new(net(), Adam::default()).unwrap();
        let mut cpu = CpuEngine::new(net(), Adam::default(), 1, Simd::detect().unwrap());
        let point = StepPoint {
            p: PNorm::new(8.0).unwrap(),
            lr: 0.01,
            scalar_lr: 0.002,
            objective: Objective::Mixture { lambda: 0.5 },
            eps: 0.3,
        };
        for _ in 0..5 {
            let (theirs, ours) = (torch.step(batch, &point).unwrap(), cpu.step(batch, &point).unwrap());
            assert!((ours.loss - theirs.loss).abs() < 1e-4, "{} ≠ {}", ours.loss, theirs.loss);
        }
        let (theirs, ours) = (torch.state().unwrap(), cpu.state().unwrap());
        assert_eq!((ours.step, theirs.step), (5, 5));
        // Where a gradient is near zero its sign is rounding, and Adam makes a whole step of it: compare the bulk.
        let apart =
            ours.layers.iter().zip(&theirs.layers).flat_map(|(a, b)| a.weight.value.iter().zip(&b.weight.value));
        let (mut far, mut all) = (0, 0);
        apart.for_each(|(a, b)| {
            all += 1;
            far += usize::from((a - b).abs() > 1e-4);
        });
        assert!(far * 100 < all, "{far} of {all} weights differ");
    }

    #[test]
    fn both_decay_rows_alike() {
        let mut images = vec![0.0; BATCH * WIDTHS[0]];
        random::fill_normal(4, 0, &mut images);
        let labels: Vec<Label> = (0..BATCH).map(|i| (i % 5) as Label).collect();
        let batch = Batch { images: &images, labels: &labels };
        let adam = Adam { dist_decay: 0.3, head_decay: 0.2, ..Adam::default() };
        for p in [8.0, 47.0, f64::INFINITY] {
            let objective = Objective::Mixture { lambda: 0.5 };
            // Adam's part of the step is far smaller than the decay, whatever its gradients round to.
            let adam = Adam { eps: 1e6, ..adam };
            let point = StepPoint { p: PNorm::new(p).unwrap(), lr: 1.0, scalar_lr: 1.0, objective, eps: 0.3 };
            let mut torch = TorchEngine::new(net(), adam).unwrap();
            let mut cpu = CpuEngine::new(net(), adam, 2, Simd::detect().unwrap());
            torch.step(batch, &point).unwrap();
            cpu.step(batch, &point).unwrap();
            let (theirs, ours, before) = (torch.state().unwrap(), cpu.state().unwrap(), net());
            for ((ours, theirs), before) in ours.layers.iter().zip(&theirs.layers).zip(&before.layers) {
                assert!(differ(&ours.weight.value, &theirs.weight.value) < 1e-5, "p = {p}");
                assert!(differ(&ours.weight.value, &before.weight.value) > 1e-2, "p = {p}: nothing decayed");
            }
            assert!((ours.scalar.value[0] - 0.8).abs() < 1e-5 && (theirs.scalar.value[0] - 0.8).abs() < 1e-5);
        }
    }

    #[test]
    fn chunks_cover_every_output_once() {
        for (batch, inputs, outputs) in [(512, 5120, 5120), (1, 1, 1), (512, 1 << 20, 7), (3, 10, 100)] {
            let mut next = 0;
            for (start, size) in ranges(batch, inputs, outputs) {
                assert_eq!(start, next);
                next += size;
            }
            assert_eq!(next, outputs as i64);
        }
    }
}
