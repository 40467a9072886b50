//! Training and evaluation on a CUDA device beside the CPU's: its kernels executed on the host, or, where
//! LINF_TEST_DEVICE names one (`0`), on a device.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[allow(dead_code)] // The kernels' own tests use more of it.
#[path = "cuda/host.rs"]
mod host;

use std::rc::Rc;

use host::{Host, Limited};
use linf::dataset::{Augmentation, DatasetId, Normalizer, PadMode, Split, View, draw, fill_batch, random};
use linf::dist::Simd;
use linf::experiment::{Adam, Attack, Epsilon, Label, PNorm, parse};
use linf::net::{Batch, CpuEngine, CudaEngine, Engine, Evaluator, NetShape, NetState, Objective, StepPoint, Trained};
use linf_cuda::{Cache, Device, Gpu};

const BATCH: usize = 40;

fn gpu() -> Rc<dyn Gpu> {
    match std::env::var("LINF_TEST_DEVICE") {
        Ok(index) => Device::open(index.parse().unwrap(), Cache::usual()).unwrap_or_else(|error| panic!("{error}")),
        Err(_) => Host::gpu(3, 4),
    }
}

fn net() -> NetState {
    net_of("depth = 3, width = 24")
}

fn net_of(model: &str) -> NetState {
    let config = parse(&format!(
        "data.dataset = 'synthetic'\nmodel = {{ {model} }}\n\
         train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
         loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
    ));
    NetState::init(&NetShape::new(&config.unwrap()), 1, None)
}

/// Nets with everything that a plain one has not, and whether at p = ∞ every bit of their training is that of the CPU.
fn others() -> [(&'static str, NetState, bool); 4] {
    let conv = "conv = [{ outputs = 6, kernel = 5, stride = 4 }, { outputs = 4, kernel = 3, pad = 1, stride = 2 }]";
    let wide = "conv = [{ outputs = 9, kernel = 20, stride = 8 }, { outputs = 11, kernel = 1, repeat = 2 }]";
    [
        ("convolutions and groups", net_of(&format!("depth = 3, width = 12, groups = 2, {conv}")), true),
        ("dropout", net_of("depth = 4, width = 24, kind = 'sort-net', keep = 0.7"), true),
        ("a head", net_of("depth = 2, width = 20, hidden = 9"), false),
        (
            "all of it",
            net_of(&format!("depth = 0, width = 1, hidden = 7, kind = 'sort-net', keep = 0.8, {wide}")),
            false,
        ),
    ]
}

fn split(samples: usize) -> Split {
    let images = (0..samples * 784).map(|k| (random::block(5, 0, k as u64)[0] >> 24) as u8).collect();
    Split { images, labels: (0..samples).map(|k| (k % 10) as Label).collect() }
}

/// Step `step` of a training: other images each time, the last batch shorter.
fn batch(step: usize) -> (Vec<f32>, Vec<Label>) {
    let size = if step % 4 == 3 { 23 } else { BATCH };
    let mut images = vec![0.0; size * 784];
    random::fill_normal(7, step as u64, &mut images);
    (images, (0..size).map(|k| ((k * 7 + step) % 10) as Label).collect())
}

fn point(p: f64) -> StepPoint {
    let p = PNorm::new(p).unwrap();
    StepPoint { p, lr: 0.02, scalar_lr: 0.004, objective: Objective::Mixture { lambda: 0.4 }, eps: 0.3 }
}

/// Relative to the largest value, as rounding errors of sums are.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    let scale = b.iter().fold(1e-12f32, |largest, value| largest.max(value.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max)
}

fn both(adam: Adam, state: &NetState) -> (CudaEngine, CpuEngine) {
    let ours = CudaEngine::new(&gpu(), "a device".into(), state.clone(), adam, 1).unwrap();
    (ours, CpuEngine::new(state.clone(), adam, 1, Simd::best()))
}

#[test]
fn at_infinity_every_bit_of_a_training_is_that_of_the_cpu() {
    for dist_decay in [0.0, 0.01] {
        let (mut ours, mut cpu) = both(Adam { dist_decay, head_decay: 0.1, ..Adam::default() }, &net());
        for step in 0..6 {
            let (images, labels) = batch(step);
            let batch = Batch { images: &images, labels: &labels };
            let (a, b) = (ours.step(batch, &point(f64::INFINITY)), cpu.step(batch, &point(f64::INFINITY)));
            assert_eq!(a.unwrap(), b.unwrap(), "step {step}");
        }
        assert!(ours.state().unwrap() == cpu.state().unwrap());
    }
}

#[test]
fn at_finite_p_gradients_and_means_are_those_of_the_cpu_but_for_rounding() {
    for (p, tolerance) in [(8.0, 1e-5), (10.7, 1e-5), (47.0, 2e-5), (300.0, 1e-4), (1000.0, 3e-4)] {
        let (mut ours, mut cpu) = both(Adam::default(), &net());
        let (images, labels) = batch(0);
        let batch = Batch { images: &images, labels: &labels };
        let (a, b) = (ours.step(batch, &point(p)).unwrap(), cpu.step(batch, &point(p)).unwrap());
        assert!((a.loss - b.loss).abs() < 1e-5, "p = {p}: {} ≠ {}", a.loss, b.loss);
        assert_eq!((a.correct, a.surrogate), (b.correct, b.surrogate));
        let (ours, cpu) = (ours.state().unwrap(), cpu.state().unwrap());
        let parts = |net: &NetState| -> Vec<Trained> {
            let weights = net.layers.iter().map(|layer| layer.weight.clone());
            weights.chain([net.bias.clone(), net.scalar.clone()]).collect()
        };
        for (index, (a, b)) in parts(ours).iter().zip(&parts(cpu)).enumerate() {
            // After one step the first moment is the gradient.
            assert!(apart(&a.m, &b.m) < tolerance, "p = {p}, parameter {index}: {:e}", apart(&a.m, &b.m));
        }
        for (a, b) in ours.layers.iter().zip(&cpu.layers) {
            assert!(apart(&a.mean, &b.mean) < 1e-5, "p = {p}");
        }
    }
}

#[test]
fn images_that_lie_on_the_device_are_those_that_are_sent() {
    let split = split(60);
    let indices: Vec<u32> = (0..40).map(|k| k * 7 % 60).collect();
    let cases = [
        (None, PadMode::Edge, 0.0, 0.0),
        (None, PadMode::Zero, 0.0, 0.0),
        (Some(20), PadMode::Edge, 0.0, 0.0),
        (None, PadMode::Edge, 0.4, 0.0),
        (Some(20), PadMode::Zero, 0.1, 0.0),
        (None, PadMode::Edge, 0.0, 1.5),
        (Some(20), PadMode::Zero, 0.2, 4.0),
    ];
    for (side, pad_mode, warp, bend) in cases {
        let view = View::new(DatasetId::Synthetic, side);
        let augment = Augmentation { pad: 3, pad_mode, flip: true, warp, bend };
        let config = parse(&format!(
            "data = {{ dataset = 'synthetic', crop = {} }}\nmodel = {{ depth = 2, width = 9 }}\n\
             train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1",
            side.unwrap_or(28)
        ));
        let state = NetState::init(&NetShape::new(&config.unwrap()), 1, None);
        let [mut held, mut sent] = [(); 2].map(|()| both(Adam::default(), &state).0);
        let drawn = draw(view, &indices, Some((&augment, 5, 2)));
        assert!(held.step_held(&drawn, &[0; 40], &point(8.0)).is_err(), "it holds none yet");
        assert!(held.hold(&split, view).unwrap());
        let (mut images, mut labels) = (vec![0.0; 40 * view.pixels()], Vec::new());
        let normalizer = Normalizer::new(view.id);
        fill_batch(&split, view, &normalizer, &indices, Some((&augment, 5, 2)), &mut images, &mut labels);
        let a = held.step_held(&drawn, &labels, &point(f64::INFINITY)).unwrap();
        let b = sent.step(Batch { images: &images, labels: &labels }, &point(f64::INFINITY)).unwrap();
        assert!(a == b && held.state().unwrap() == sent.state().unwrap(), "{side:?}, {pad_mode:?}, {warp}, {bend}");
    }
}

#[test]
fn nets_of_every_kind_train_as_on_the_cpu() {
    for (what, state, exact) in others() {
        for objective in [Objective::Mixture { lambda: 0.4 }, Objective::CrossEntropy { kappa: 0.5 }] {
            // The cross-entropy of bounds is for heads.
            if matches!(objective, Objective::CrossEntropy { .. }) && state.head.is_none() {
                continue;
            }
            let (mut ours, mut cpu) = both(Adam { head_decay: 0.02, ..Adam::default() }, &state);
            for (step, p) in [8.0, 47.0, f64::INFINITY].into_iter().enumerate() {
                let (images, labels) = batch(step + 2);
                let batch = Batch { images: &images, labels: &labels };
                let point = StepPoint { objective, ..point(p) };
                let (a, b) = (ours.step(batch, &point).unwrap(), cpu.step(batch, &point).unwrap());
                assert!((a.loss - b.loss).abs() < 1e-3 * b.loss, "{what}, p = {p}: {} ≠ {}", a.loss, b.loss);
                if step > 0 {
                    continue;
                }
                // After one step the first moments are the gradients.
                let (a, b) = (ours.state().unwrap(), cpu.state().unwrap());
                for ((name, _, a), (_, _, b)) in a.tensors().iter().zip(b.tensors()) {
                    if name.ends_with(".m") || name.ends_with(".mean") {
                        assert!(apart(a, b) < 1e-4, "{what}, {objective:?}: {name} is {:e} apart", apart(a, b));
                    }
                }
            }
        }
        if exact {
            let (mut ours, mut cpu) = both(Adam { dist_decay: 0.01, ..Adam::default() }, &state);
            for step in 0..4 {
                let (images, labels) = batch(step);
                let batch = Batch { images: &images, labels: &labels };
                let (a, b) = (ours.step(batch, &point(f64::INFINITY)), cpu.step(batch, &point(f64::INFINITY)));
                assert_eq!(a.unwrap(), b.unwrap(), "{what}, step {step}");
            }
            assert!(ours.state().unwrap() == cpu.state().unwrap(), "{what}");
        }
    }
}

/// A whole training with p from 8 to ∞: the losses stay together, though single weights need not.
#[test]
fn a_whole_training_goes_as_on_the_cpu() {
    let (mut ours, mut cpu) = both(Adam::default(), &net());
    let powers = [8.0, 8.0, 8.0, 8.0, 9.3, 13.0, 22.0, 48.0, 160.0, 1000.0, f64::INFINITY, f64::INFINITY];
    for (step, p) in powers.into_iter().enumerate() {
        let (images, labels) = batch(step);
        let batch = Batch { images: &images, labels: &labels };
        let (a, b) = (ours.step(batch, &point(p)).unwrap(), cpu.step(batch, &point(p)).unwrap());
        assert!((a.loss - b.loss).abs() < 0.02 * b.loss, "step {step}, p = {p}: {} ≠ {}", a.loss, b.loss);
    }
}

#[test]
fn training_twice_gives_the_same_bits() {
    let train = || {
        let (mut ours, _) = both(Adam { dist_decay: 0.01, ..Adam::default() }, &net());
        for (step, p) in [8.0, 9.3, 48.0, f64::INFINITY].into_iter().enumerate() {
            let (images, labels) = batch(step);
            ours.step(Batch { images: &images, labels: &labels }, &point(p)).unwrap();
        }
        ours.state().unwrap().clone()
    };
    assert!(train() == train());
}

#[test]
fn evaluation_and_certificates_have_the_bits_of_the_cpu() {
    let split = split(70);
    for (what, state, _) in others() {
        let evaluator = || Evaluator::new(DatasetId::Synthetic, 1, Simd::best());
        let (mut ours, mut cpu) = (evaluator().on_device(&gpu()).unwrap(), evaluator());
        let settled = ours.with_means_at_infinity(&state, &split, 30);
        assert!(settled == cpu.with_means_at_infinity(&state, &split, 30), "{what}");
        let eps: Epsilon = "0.05".parse().unwrap();
        assert!(ours.certify(&settled, &split, 40, eps) == cpu.certify(&settled, &split, 40, eps), "{what}");
    }
    let state = net();
    let evaluator = || Evaluator::new(DatasetId::Synthetic, 1, Simd::best());
    let (mut ours, mut cpu) = (evaluator().on_device(&gpu()).unwrap(), evaluator());
    let settled = ours.with_means_at_infinity(&state, &split, 50);
    assert!(settled == cpu.with_means_at_infinity(&state, &split, 50));
    let eps: Epsilon = "0.1".parse().unwrap();
    assert!(ours.certify(&settled, &split, 70, eps) == cpu.certify(&settled, &split, 70, eps));
    // Another net: the device must not go on with the weights of the last.
    let mut other = settled.clone();
    other.layers[0].weight.value.iter_mut().for_each(|weight| *weight *= 0.5);
    assert!(ours.certify(&other, &split, 70, eps) == cpu.certify(&other, &split, 70, eps));
    let p = PNorm::new(12.0).unwrap();
    let (a, b) = (ours.surrogate(&settled, &split, 70, p, eps), cpu.surrogate(&settled, &split, 70, p, eps));
    assert!((a.unwrap().0 - b.unwrap().0).abs() < 0.02 && (a.unwrap().1 - b.unwrap().1).abs() < 0.02);
}

#[test]
fn attacks_find_what_they_find_on_the_cpu() {
    let split = split(16);
    let plain = ("plain", net(), true);
    for (what, state, _) in others().into_iter().chain([plain]) {
        let evaluator = || Evaluator::new(DatasetId::Synthetic, 1, Simd::best());
        let (mut ours, mut cpu) = (evaluator().on_device(&gpu()).unwrap(), evaluator());
        let settled = cpu.with_means_at_infinity(&state, &split, 16);
        // Labels that the net gives, so that there is something to attack.
        let answers = cpu.certify(&settled, &split, 16, "0.01".parse::<Epsilon>().unwrap());
        let labels = answers.samples.iter().map(|sample| sample.prediction).collect();
        let right = Split { labels, ..split.clone() };
        // Without restarts all gradients are those at p = ∞.
        for (restarts, samples) in [(0, 16), (2, 10)] {
            let plan = Attack { samples: Some(samples), pgd_steps: 2, restarts, steps: 3, targets: 1 };
            let reach: Epsilon = "0.1".parse().unwrap();
            let attack = |evaluator: &mut Evaluator| {
                evaluator.attack(&settled, &right, &right, &plan, reach.into(), &mut |_| true).unwrap()
            };
            let (a, b) = (attack(&mut ours), attack(&mut cpu));
            if restarts == 0 || settled.sorts() {
                assert!(a == b, "{what}");
            }
            let apart = a.fates.iter().zip(&b.fates).filter(|(a, b)| a != b).count();
            assert!(apart <= 2, "{what}, {restarts} restarts: {apart} of {samples} fates differ");
        }
    }
}

#[test]
fn what_is_not_finite_stops_the_step_and_is_named() {
    for p in [8.0, 300.0, f64::INFINITY] {
        let mut state = net();
        state.layers[1].weight.value[5] = f32::INFINITY;
        let (mut ours, _) = both(Adam::default(), &state);
        let (images, labels) = batch(0);
        let error = ours.step(Batch { images: &images, labels: &labels }, &point(p)).unwrap_err();
        assert!(error.to_string().ends_with("is not finite"), "p = {p}: {error}");
        let mut images = images;
        images[3] = f32::NAN;
        let (mut ours, _) = both(Adam::default(), &net());
        let error = ours.step(Batch { images: &images, labels: &labels }, &point(p)).unwrap_err();
        assert_eq!(error.to_string(), "input is not finite");
    }
}

#[test]
fn what_fails_on_a_device_is_measured_on_the_cpu_and_said_once() {
    let split = split(40);
    let (eps, reach) = ("0.05".parse::<Epsilon>().unwrap(), "0.1".parse::<Epsilon>().unwrap());
    let plan = Attack { samples: Some(4), pgd_steps: 2, restarts: 0, steps: 1, targets: 1 };
    for state in [net(), net_of("depth = 2, width = 20, hidden = 9")] {
        let evaluator = || Evaluator::new(DatasetId::Synthetic, 1, Simd::best());
        let mut cpu = evaluator();
        let settled = cpu.with_means_at_infinity(&state, &split, 16);
        let answers = cpu.certify(&settled, &split, 40, eps);
        let labels = answers.samples.iter().map(|sample| sample.prediction).collect();
        let right = Split { labels, ..split.clone() };
        let expected = cpu.attack(&settled, &right, &right, &plan, reach.into(), &mut |_| true).unwrap();
        for launches in [0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 15] {
            let mut ours = evaluator().on_device(&Limited::after(launches)).unwrap();
            assert!(ours.certify(&settled, &split, 40, eps) == answers, "after {launches} launches");
            let found = ours.attack(&settled, &right, &right, &plan, reach.into(), &mut |_| true).unwrap();
            assert!(found == expected, "after {launches} launches");
            let said = ours.take_fault().unwrap().to_string();
            assert!(said.ends_with("failed: the device is lost"), "{said}");
            ours.certify(&settled, &split, 40, eps);
            assert_eq!(ours.take_fault(), None, "it is known already");
        }
    }
}

#[test]
fn an_evaluator_gives_its_memory_back_and_says_each_time_that_there_was_none() {
    let split = split(40);
    let eps: Epsilon = "0.05".parse().unwrap();
    let (state, evaluator) = (net(), || Evaluator::new(DatasetId::Synthetic, 1, Simd::best()));
    let expected = evaluator().certify(&state, &split, 40, eps);
    // The net and its images take some 500 kB; two evaluators have room one after the other alone.
    let gpu = Host::with_room(0, 1, 700_000);
    let mut first = evaluator().on_device(&gpu).unwrap();
    let mut second = evaluator().on_device(&gpu).unwrap();
    for _ in 0..2 {
        assert!(first.certify(&state, &split, 40, eps) == expected);
        assert_eq!(first.take_fault(), None);
        assert!(second.certify(&state, &split, 40, eps) == expected);
        let said = second.take_fault().unwrap().to_string();
        assert!(said.starts_with("out of memory"), "{said}");
        first.release();
        assert!(second.certify(&state, &split, 40, eps) == expected);
        assert_eq!(second.take_fault(), None);
        second.release();
    }
}

#[test]
fn a_device_without_room_says_so() {
    let gpu = Host::with_room(0, 1, 100_000);
    let error = CudaEngine::new(&gpu, "a device".into(), net(), Adam::default(), 1).err().unwrap();
    assert!(error.to_string().starts_with("out of memory"), "{error}");
}
