//! Nets of every kind: a whole training step against the definition in double precision, differentiated numerically, and
//! certificates against the program they speak of.

use crate::dataset::{DatasetId, Normalizer, Split, random};
use crate::dist::{MASK_SAMPLES, Mask, Planes, Simd};
use crate::experiment::{Adam, Epsilon, Label, PNorm, parse};

use super::{Batch, CpuEngine, Engine, Evaluator, LayerShape, NetShape, NetState, Objective, StepPoint, Turn, dropout};

/// A number of the net: of a layer's weights, or of a tensor of the head or the last bias.
type Place = (usize, usize);

/// The net in double precision: all tensors that are trained, first the layers' weights.
#[derive(Clone)]
struct Plain {
    shapes: Vec<LayerShape>,
    masks: Vec<Vec<Mask>>,
    tensors: Vec<Vec<f64>>,
    has_head: bool,
    p: f64,
    eps: f64,
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

impl Plain {
    fn new(net: &NetState, batch: usize, p: f64, eps: f64) -> Plain {
        let shapes: Vec<LayerShape> = net.layers.iter().map(|layer| layer.shape).collect();
        let mut tensors: Vec<Vec<f64>> = net.layers.iter().map(|layer| wide(&layer.weight.value)).collect();
        match &net.head {
            None => tensors.push(wide(&net.bias.value)),
            Some((_, head)) => {
                let parts = [&head.hidden.weight, &head.hidden.bias, &head.classes.weight, &head.classes.bias];
                tensors.extend(parts.map(|trained| wide(&trained.value)));
            }
        }
        let masks = dropout::masks(&shapes, net.seed, net.step, batch);
        Plain { shapes, masks, tensors, has_head: net.head.is_some(), p, eps }
    }

    /// Values [C, H, W] of every sample after a layer, `None` where they are dropped.
    fn layer(&self, index: usize, input: &[Vec<Option<f64>>]) -> Vec<Vec<Option<f64>>> {
        let form = self.shapes[index].form;
        let (window, from, to) = (form.window(), form.input(), form.output());
        let (inputs, outputs) = (from.channels / form.groups(), to.channels / form.groups());
        let neuron = |sample: usize, o: usize, row: usize, column: usize| -> Option<f64> {
            let mask = self.masks[index].get(sample / MASK_SAMPLES);
            let has = |list: Option<&Vec<u32>>, c: usize| list.is_none_or(|list| list.contains(&(c as u32)));
            if !has(mask.and_then(|mask| mask.outputs.as_ref()), o) {
                return None;
            }
            let mut differences = Vec::new();
            for c in 0..inputs {
                let channel = o / outputs * inputs + c;
                if !has(mask.and_then(|mask| mask.inputs.as_ref()), channel) {
                    continue;
                }
                for down in 0..window.kernel {
                    for across in 0..window.kernel {
                        let y = (row * window.stride + down * window.dilation) as i64 - window.pad as i64;
                        let x = (column * window.stride + across * window.dilation) as i64 - window.pad as i64;
                        let inside = (0..from.height as i64).contains(&y) && (0..from.width as i64).contains(&x);
                        let place = (channel * from.height + y.max(0) as usize) * from.width + x.max(0) as usize;
                        let value = if inside { input[sample][place].unwrap() } else { 0.0 };
                        let weight = ((o * inputs + c) * window.kernel + down) * window.kernel + across;
                        differences.push((value - self.tensors[index][weight]).abs());
                    }
                }
            }
            let largest = differences.iter().fold(0.0, |m: f64, d| m.max(*d));
            if self.p.is_infinite() {
                return Some(largest);
            }
            Some(largest * differences.iter().map(|d| (d / largest).powf(self.p)).sum::<f64>().powf(1.0 / self.p))
        };
        let all = |sample: usize| -> Vec<Option<f64>> {
            let places = (0..to.channels).flat_map(|o| (0..to.positions()).map(move |at| (o, at)));
            places.map(|(o, at)| neuron(sample, o, at / to.width, at % to.width)).collect()
        };
        (0..input.len()).map(all).collect()
    }

    /// clamp(max W/(2ε), 0, 1) + λ·CE(s·z, y) with λ = ½ and s = 1; of a distance net z = −d and W_j = d_y − d_j + 2ε.
    fn loss(&self, images: &[f32], labels: &[Label]) -> f64 {
        let size = images.len() / labels.len();
        let mut values: Vec<Vec<Option<f64>>> =
            images.chunks(size).map(|image| image.iter().map(|&x| Some(f64::from(x))).collect()).collect();
        for index in 0..self.shapes.len() {
            values = self.layer(index, &values);
            let last = index + 1 == self.shapes.len() && !self.has_head;
            let Planes { channels, height, width } = self.shapes[index].form.output();
            let plane = height * width;
            for c in 0..channels {
                let kept = || values.iter().flat_map(|sample| sample[c * plane..(c + 1) * plane].iter().flatten());
                let shift = if last {
                    -self.tensors[self.shapes.len()][c]
                } else {
                    kept().sum::<f64>() / kept().count().max(1) as f64
                };
                for sample in &mut values {
                    sample[c * plane..(c + 1) * plane].iter_mut().flatten().for_each(|value| *value -= shift);
                }
            }
        }
        let mut loss = 0.0;
        for (sample, &label) in values.iter().zip(labels) {
            let label = usize::from(label);
            let output: Vec<f64> = sample.iter().map(|value| value.unwrap()).collect();
            let (z, w) = if self.has_head {
                self.head(&output, label)
            } else {
                let w = output
                    .iter()
                    .enumerate()
                    .map(|(j, d)| if j == label { 0.0 } else { output[label] - d + 2.0 * self.eps });
                (output.iter().map(|d| -d).collect(), w.collect())
            };
            let worst = (0..w.len()).filter(|&j| j != label).map(|j| w[j]).fold(f64::NEG_INFINITY, f64::max);
            loss += (worst / (2.0 * self.eps)).clamp(0.0, 1.0) + 0.5 * entropy(&z, label);
        }
        loss / labels.len() as f64
    }

    fn head(&self, f: &[f64], label: usize) -> (Vec<f64>, Vec<f64>) {
        let [w1, b1, w2, b2] = &self.tensors[self.shapes.len()..] else { panic!("a head has four tensors") };
        let (c1, c2) = ((f.len() as f64).sqrt().recip(), (b1.len() as f64).sqrt().recip());
        let mut ends = [vec![], vec![], vec![]];
        for (o, bias) in b1.iter().enumerate() {
            let row = &w1[o * f.len()..][..f.len()];
            let z = c1 * row.iter().zip(f).map(|(w, f)| w * f).sum::<f64>() + bias;
            let radius = c1 * self.eps * row.iter().map(|w| w.abs()).sum::<f64>();
            ends.iter_mut().zip([0.0, -radius, radius]).for_each(|(end, by)| end.push((z + by).tanh()));
        }
        let [h, low, high] = ends;
        let row = |j: usize| &w2[j * h.len()..][..h.len()];
        let logit = |j: usize| c2 * row(j).iter().zip(&h).map(|(w, h)| w * h).sum::<f64>() + b2[j];
        let worst = |j: usize| {
            let of = |k: usize| {
                let w = row(j)[k] - row(label)[k];
                (w * low[k]).max(w * high[k])
            };
            c2 * (0..h.len()).map(of).sum::<f64>() + b2[j] - b2[label]
        };
        ((0..b2.len()).map(logit).collect(), (0..b2.len()).map(worst).collect())
    }
}

fn entropy(z: &[f64], label: usize) -> f64 {
    z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label]
}

fn shape(model: &str) -> NetShape {
    NetShape::new(&parse(&config(model)).unwrap())
}

fn config(model: &str) -> String {
    format!(
        "data.dataset = 'synthetic'\nmodel = {{ {model} }}\ntrain = {{ epochs = 1, batch_size = 50, lr = 0.1 }}\n\
         schedule = {{ ramp_start = 0, ramp_end = 1 }}\nloss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
    )
}

/// One of each: convolutions and groups under a head that takes planes; a sort net; a dense net under a head.
const KINDS: [&str; 4] = [
    "depth = 0, width = 1, hidden = 4, conv = [{ outputs = 4, kernel = 9, stride = 8, pad = 1 }, { outputs = 6, kernel = 2, groups = 2, dilation = 2, pad = 1 }]",
    "depth = 4, width = 8, kind = 'sort-net', keep = 0.6",
    "depth = 3, width = 6, groups = 2, hidden = 5",
    "depth = 2, width = 5, kind = 'sort-net', keep = 0.6, hidden = 4, conv = [{ outputs = 4, kernel = 20, stride = 6 }, { outputs = 5, kernel = 1 }]",
];

fn batch(size: usize) -> (Vec<f32>, Vec<Label>) {
    let mut images = vec![0.0; size * 784];
    random::fill_normal(9, 0, &mut images);
    (images, (0..size).map(|i| (i * 7 % 10) as Label).collect())
}

#[test]
fn one_step_has_the_loss_and_the_gradients_of_the_definition() {
    for (model, size) in KINDS.into_iter().zip([3, 40, 5, 36]) {
        let (images, labels) = batch(size);
        let powers: &[f64] = if size < 10 { &[8.0, 47.0, f64::INFINITY] } else { &[8.0, f64::INFINITY] };
        for &p in powers {
            let start = NetState::init(&shape(model), 3, None);
            // So wide that some hinges are between their ends.
            let eps = 2.0;
            let mut plain = Plain::new(&start, size, p, eps);
            let expected = plain.loss(&images, &labels);
            let mut engine = CpuEngine::new(start, Adam::default(), 2, Simd::detect().unwrap());
            let point = StepPoint {
                p: PNorm::new(p).unwrap(),
                lr: 0.03,
                scalar_lr: 0.006,
                objective: Objective::Mixture { lambda: 0.5 },
                eps,
            };
            let stats = engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
            assert!((stats.loss - expected).abs() < 1e-4, "{model}, p = {p}: loss {} ≠ {expected}", stats.loss);

            let after = engine.state().unwrap();
            let mut moments: Vec<&[f32]> = after.layers.iter().map(|layer| layer.weight.m.as_slice()).collect();
            match &after.head {
                None => moments.push(&after.bias.m),
                Some((_, head)) => moments.extend(head.parts().map(|(_, _, trained)| trained.m.as_slice())),
            }
            let h = 1e-6;
            let mut largest = 0f64;
            let places: Vec<Place> = moments
                .iter()
                .enumerate()
                .flat_map(|(tensor, m)| {
                    // Some of each tensor: numerical derivatives of all would take minutes.
                    let stride = m.len().div_ceil(4);
                    (0..m.len()).step_by(stride).map(move |index| (tensor, index))
                })
                .collect();
            for (tensor, index) in places {
                let value = plain.tensors[tensor][index];
                let mut at = |value| {
                    plain.tensors[tensor][index] = value;
                    plain.loss(&images, &labels)
                };
                let slope = (at(value + h) - at(value - h)) / (2.0 * h);
                at(value);
                // The first moment after one step is (1 − β₁) times the gradient.
                let ours = f64::from(moments[tensor][index]) / 0.1;
                assert!((ours - slope).abs() < 3e-4, "{model}, p = {p}, {tensor}[{index}]: {ours} ≠ {slope}");
                largest = largest.max(slope.abs());
            }
            assert!(largest > 1e-3, "{model}, p = {p}: no gradient to compare");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (images, labels) = batch(70);
    for model in KINDS {
        let run = |threads| {
            let start = NetState::init(&shape(model), 3, None);
            let mut engine = CpuEngine::new(start, Adam::default(), threads, Simd::detect().unwrap());
            for p in [8.0, 14.5, 700.0, f64::INFINITY] {
                let point = StepPoint {
                    p: PNorm::new(p).unwrap(),
                    lr: 0.03,
                    scalar_lr: 0.006,
                    objective: Objective::Mixture { lambda: 0.5 },
                    eps: 0.2,
                };
                engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
            }
            engine.state().unwrap().clone()
        };
        let one = run(1);
        assert!([2, 5].into_iter().all(|threads| run(threads) == one), "{model}");
    }
}

/// A small net of each kind, trained until it has something to certify.
fn trained(model: &str, split: &Split) -> NetState {
    let id = DatasetId::Synthetic;
    let state = NetState::init(&shape(model), 1, None);
    let has_head = state.head.is_some();
    let mut engine = CpuEngine::new(state, Adam::default(), 2, Simd::detect().unwrap());
    let normalizer = Normalizer::new(id);
    let (mut images, mut labels) = (vec![0.0; 64 * id.pixels()], Vec::new());
    for step in 0..150u32 {
        let indices: Vec<u32> = (0..64).map(|i| (step * 64 + i) % 2000).collect();
        crate::dataset::fill_batch(split, id, &normalizer, &indices, None, &mut images, &mut labels);
        let p = PNorm::new(8.0 * 1.04f64.powi(step as i32)).unwrap();
        let point = StepPoint {
            p,
            lr: 0.03,
            scalar_lr: 0.006,
            objective: Objective::Mixture { lambda: 0.2 },
            eps: if has_head { 0.1 } else { 0.3 },
        };
        engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
    }
    let net = engine.state().unwrap().clone();
    Evaluator::new(id, 2, Simd::detect().unwrap()).with_means_at_infinity(&net, split, 1000)
}

#[test]
fn no_point_of_a_certified_box_changes_the_class_of_any_kind_of_net() {
    let id = DatasetId::Synthetic;
    let split = crate::dataset::load(id, &crate::dataset::default_root()).unwrap().train;
    let normalizer = Normalizer::new(id);
    let eps: Epsilon = "0.02".parse().unwrap();
    for model in [
        "depth = 1, width = 32, hidden = 16, conv = [{ outputs = 8, kernel = 5, stride = 4, pad = 1 }]",
        "depth = 3, width = 48, kind = 'sort-net', keep = 0.7",
        "depth = 3, width = 48, groups = 2, hidden = 16",
        "depth = 0, width = 1, kind = 'sort-net', keep = 0.7, hidden = 16, conv = [{ outputs = 32, kernel = 20, stride = 8 }, { outputs = 32, kernel = 1 }]",
    ] {
        let net = trained(model, &split);
        let mut evaluator = Evaluator::new(id, 2, Simd::detect().unwrap());
        let evaluation = evaluator.certify(&net, &split, 60, eps);
        let certified = evaluation.samples.iter().filter(|sample| sample.certified).count();
        assert!((3..60).contains(&certified), "{model}: {certified} of 60 certified: the test shows nothing");
        for (index, sample) in evaluation.samples.iter().enumerate() {
            // Intervals prove what margins prove, but for rounding.
            let wide = f64::from(sample.margin) > 2.0 * eps.to_f64() + 1e-4;
            assert!(sample.certified || !wide, "{model}: sample {index}: {sample:?}");
            if !sample.certified {
                continue;
            }
            assert_eq!(sample.prediction, sample.label);
            let image = &split.images[index * id.pixels()..][..id.pixels()];
            let attempts = 12;
            let mut perturbed = Vec::new();
            for attempt in 0..attempts {
                for (pixel, &raw) in image.iter().enumerate() {
                    let draw = random::uniform(attempt, index as u64, pixel as u64) * 2.0 - 1.0;
                    // Corners first, then the inside.
                    let shift = if attempt < 8 { draw.signum() } else { draw } * eps.to_f64();
                    let value = (f64::from(raw) / 255.0 + shift).clamp(0.0, 1.0) as f32;
                    perturbed.push(normalizer.normalize(0, value));
                }
            }
            let labels = vec![sample.label; attempts as usize];
            for answer in evaluator.answers(&net, PNorm::INFINITY, perturbed, &labels) {
                assert_eq!(answer.prediction, sample.label, "{model}: sample {index}");
            }
        }
        let at_zero = evaluator.certify(&net, &split, 60, "0".parse::<crate::experiment::Epsilon>().unwrap());
        assert!(at_zero.certified() >= evaluation.certified() && at_zero.clean() == evaluation.clean());
    }
}

#[test]
fn means_of_a_convolution_are_over_all_positions() {
    let id = DatasetId::Synthetic;
    let split = crate::dataset::load(id, &crate::dataset::default_root()).unwrap().train;
    let net = NetState::init(&shape("depth = 1, width = 4, conv = [{ outputs = 3, kernel = 4, stride = 4 }]"), 1, None);
    let samples = 40;
    let settled = Evaluator::new(id, 2, Simd::detect().unwrap()).with_means_at_infinity(&net, &split, samples);
    let normalizer = Normalizer::new(id);
    let layer = &net.layers[0];
    assert_eq!(layer.shape.turn, Turn::Stay);
    for channel in 0..3 {
        let w = &layer.weight.value[channel * 16..][..16];
        let mut sum = 0.0;
        for image in split.images.chunks(id.pixels()).take(samples) {
            for position in 0..49 {
                let (top, left) = (position / 7 * 4, position % 7 * 4);
                let far = (0..16).map(|tap| {
                    let raw = image[(top + tap / 4) * 28 + left + tap % 4];
                    (normalizer.table(0)[usize::from(raw)] - w[tap]).abs()
                });
                sum += f64::from(far.fold(0.0, f32::max));
            }
        }
        let mean = sum / (samples * 49) as f64;
        assert!((f64::from(settled.layers[0].mean[channel]) - mean).abs() < 1e-6);
    }
}
