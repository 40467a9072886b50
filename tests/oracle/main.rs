//! Loss, gradients and one optimizer step of every published recipe, at tiny size, against PyTorch in double precision.
//!
//! `recipes.json` holds what `recipes.py` computed with autograd and PyTorch's optimizers; PyTorch itself is not needed.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

use linf::dist::{Form, Planes, Simd, Window};
use linf::experiment::{Adam, Label, PNorm};
use linf::net::{
    Batch, CpuEngine, Engine, Head, LayerShape, LayerState, Linear, Loss, NetState, Objective, StepPoint, Trained, Turn,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    p: serde_json::Value,
    /// Adam's steps before the recorded one.
    step: u64,
    kind: String,
    mix: Option<f64>,
    kappa: Option<f64>,
    lam: Option<f64>,
    eps: f64,
    lr: f64,
    scalar_lr: Option<f64>,
    optimizer: String,
    decay: Option<f64>,
    head: Option<usize>,
    conv: Option<Convolution>,
    images: Vec<f32>,
    labels: Vec<Label>,
    before: Parameters<Tensor>,
    logits: Vec<f32>,
    worst: Vec<f32>,
    loss: f64,
    gradients: Parameters<Option<Vec<f64>>>,
    logit_gradient: Vec<f64>,
    worst_gradient: Vec<f64>,
    means: Vec<Vec<f64>>,
    after: Parameters<Vec<f64>>,
}

#[derive(Deserialize)]
struct Parameters<T> {
    layers: Vec<T>,
    bias: Option<T>,
    scalar: T,
    /// Weight and bias of both linear layers, where there is a head.
    head: Vec<[T; 2]>,
}

/// A convolution of square images, before the dense layers.
#[derive(Deserialize)]
struct Convolution {
    inputs: usize,
    side: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
}

#[derive(Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    value: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("recipes.json")).unwrap()
}

impl Case {
    fn p(&self) -> f64 {
        self.p.as_f64().unwrap_or(f64::INFINITY)
    }

    fn objective(&self) -> Objective {
        match self.kind.as_str() {
            "hinge" => Objective::Hinge { mix: self.mix.unwrap(), kappa: self.kappa.unwrap() },
            "cross-entropy" => Objective::CrossEntropy { kappa: self.kappa.unwrap() },
            "mixture" => Objective::Mixture { lambda: self.lam.unwrap() },
            "ce-hinge" => Objective::CeHinge { lambda: self.lam.unwrap() },
            other => panic!("{other}"),
        }
    }

    fn adam(&self) -> Adam {
        let (dist_decay, head_decay) = match self.optimizer.as_str() {
            "2021" => (self.decay.unwrap(), self.decay.unwrap()),
            "2022" => (0.0, 0.0),
            "sortnet" => (0.0, 0.02),
            other => panic!("{other}"),
        };
        Adam { dist_decay, head_decay, ..Adam::default() }
    }

    /// The net before the step.
    fn net(&self) -> NetState {
        let trained = |t: &Tensor| Trained { value: t.value.clone(), m: t.m.clone(), v: t.v.clone() };
        let last = if self.head.is_some() { usize::MAX } else { self.before.layers.len() - 1 };
        let layers = self.before.layers.iter().enumerate().map(|(index, layer)| LayerState {
            shape: self.shape(index),
            weight: trained(layer),
            mean: vec![0.0; if index == last { 0 } else { layer.shape[0] }],
        });
        let linear = |[weight, bias]: &[Tensor; 2]| Linear {
            inputs: weight.shape[1],
            outputs: weight.shape[0],
            weight: trained(weight),
            bias: trained(bias),
        };
        let head = match &self.before.head[..] {
            [hidden, classes] => Some((Turn::Stay, Head { hidden: linear(hidden), classes: linear(classes) })),
            _ => None,
        };
        NetState {
            layers: layers.collect(),
            bias: self
                .before
                .bias
                .as_ref()
                .map_or_else(|| Trained { value: Vec::new(), m: Vec::new(), v: Vec::new() }, trained),
            head,
            scalar: trained(&self.before.scalar),
            step: self.step,
            seed: 0,
        }
    }

    fn shape(&self, index: usize) -> LayerShape {
        let window = |conv: &Convolution| {
            let image = Planes { channels: conv.inputs, height: conv.side, width: conv.side };
            let window = Window { kernel: conv.kernel, stride: conv.stride, pad: conv.pad, dilation: 1 };
            Form::new(image, conv.channels, 1, window).unwrap()
        };
        let shape = &self.before.layers[index].shape;
        match (self.conv.as_ref().map(window), index) {
            // An image of one channel needs no turning; what the convolution gives does.
            (Some(form), 0) => LayerShape { form, keep: None, turn: Turn::Stay },
            (Some(form), 1) => {
                LayerShape { turn: Turn::ToChannels(form.output()), ..LayerShape::dense(shape[1], shape[0]).unwrap() }
            }
            _ => LayerShape::dense(shape[1], shape[0]).unwrap(),
        }
    }

    fn context(&self) -> String {
        format!("{}, p = {}", self.name, self.p())
    }
}

/// Equal but for rounding, which is measured by the largest value.
fn close(ours: &[f32], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs.iter().fold(1e-9f64, |largest, value| largest.max(value.abs()));
    for (i, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        let apart = (f64::from(ours) - theirs).abs();
        assert!(apart <= tolerance * scale, "{what}, value {i}: {ours} and {theirs}");
    }
}

/// (m after − β₁·m before)/(1 − β₁): the gradient that Adam was given.
fn gradient(before: &Trained, after: &Trained) -> Vec<f32> {
    before.m.iter().zip(&after.m).map(|(before, after)| (after - 0.9 * before) / 0.1).collect()
}

#[test]
fn every_loss_and_its_gradients_are_those_of_autograd() {
    for case in cases() {
        let context = case.context();
        let scalar = case.before.scalar.value[0];
        let mut loss = Loss::default();
        if case.head.is_some() {
            loss.of_bounds(case.objective(), &case.logits, &case.worst, &case.labels, scalar, case.eps);
            // W is 0 at the label, whatever the net: what autograd says there reaches no parameter.
            let mut of_worst = case.worst_gradient.clone();
            of_worst.chunks_exact_mut(case.logits.len() / case.labels.len()).zip(&case.labels).for_each(
                |(row, &label)| {
                    row[usize::from(label)] = 0.0;
                },
            );
            close(&loss.worst_gradient, &of_worst, 1e-5, &format!("{context}: ∂/∂W"));
            close(&loss.gradient, &case.logit_gradient, 1e-5, &format!("{context}: ∂/∂z"));
        } else {
            let d: Vec<f32> = case.logits.iter().map(|z| -z).collect();
            loss.of_distances(case.objective(), &d, &case.labels, scalar, case.eps);
            let of_d: Vec<f64> = case.logit_gradient.iter().map(|z| -z).collect();
            close(&loss.gradient, &of_d, 1e-5, &format!("{context}: ∂/∂d"));
        }
        assert!((loss.stats.loss - case.loss).abs() < 1e-5, "{context}: {} and {}", loss.stats.loss, case.loss);
        let of_scalar = case.gradients.scalar.map_or(0.0, |gradient| gradient[0]);
        assert!((loss.scalar_gradient - of_scalar).abs() < 1e-5, "{context}: ∂/∂s");
    }
}

#[test]
fn one_step_of_each_recipe_is_that_of_pytorch() {
    let mut steps = 0;
    for case in cases() {
        let context = case.context();
        let before = case.net();
        let mut engine = CpuEngine::new(before.clone(), case.adam(), 1, Simd::detect().unwrap());
        let point = StepPoint {
            p: PNorm::new(case.p()).unwrap(),
            lr: case.lr,
            scalar_lr: case.scalar_lr.unwrap_or(case.lr),
            objective: case.objective(),
            eps: case.eps,
        };
        let stats = engine.step(Batch { images: &case.images, labels: &case.labels }, &point).unwrap();
        assert!((stats.loss - case.loss).abs() < 1e-5, "{context}: loss {} and {}", stats.loss, case.loss);
        let after = engine.state().unwrap();
        for (index, layer) in after.layers.iter().enumerate() {
            let what = |of: &str| format!("{context}: {of} of layer {index}");
            let theirs = case.gradients.layers[index].as_ref().unwrap();
            close(&gradient(&before.layers[index].weight, &layer.weight), theirs, 1e-4, &what("gradient"));
            close(&layer.weight.value, &case.after.layers[index], 1e-5, &what("weight"));
            if !layer.mean.is_empty() {
                // Running means began at 0 and took a tenth of the batch's.
                let means: Vec<f64> = case.means[index].iter().map(|mean| 0.1 * mean).collect();
                close(&layer.mean, &means, 1e-5, &what("mean"));
            }
        }
        if let Some(bias) = &case.after.bias {
            close(&after.bias.value, bias, 1e-6, &format!("{context}: bias"));
        }
        let linear = |net: &NetState| -> Vec<Trained> {
            let parts =
                |head: &Head| [&head.hidden, &head.classes].map(|l| [l.weight.clone(), l.bias.clone()]).concat();
            net.head.as_ref().map_or_else(Vec::new, |(_, head)| parts(head))
        };
        let theirs = case.gradients.head.iter().flatten().zip(case.after.head.iter().flatten());
        let ours: Vec<(Trained, Trained)> = linear(&before).into_iter().zip(linear(after)).collect();
        assert_eq!(ours.len(), 2 * case.after.head.len(), "{context}");
        for (index, ((before, after), (of_it, moved))) in ours.iter().zip(theirs).enumerate() {
            let what = |of: &str| format!("{context}: {of} of parameter {index} of the head");
            close(&gradient(before, after), of_it.as_ref().unwrap(), 1e-4, &what("gradient"));
            close(&after.value, moved, 1e-5, &what("value"));
        }
        close(&after.scalar.value, &case.after.scalar, 1e-6, &format!("{context}: scalar"));
        steps += 1;
    }
    assert_eq!(steps, 8 * 3, "eight recipes, three exponents each");
}
