//! What an evaluation claims, checked against samples of the box it speaks of.

use crate::dataset::{DatasetId, Normalizer, Split, View, random};
use crate::dist::Simd;
use crate::experiment::{Adam, Attack, Epsilon, Neighbourhood, PNorm, Radius, Threat, parse};

use super::{Batch, CpuEngine, Engine, Evaluator, NetShape, NetState, Objective, StepPoint};

const ID: DatasetId = DatasetId::Synthetic;

fn evaluator() -> Evaluator {
    Evaluator::new(ID, 2, Simd::detect().unwrap())
}

/// A small net trained for a few steps, so that it has margins worth the name, and images to measure.
fn trained() -> (NetState, Split) {
    let text = "data.dataset = 'synthetic'\nmodel = { depth = 3, width = 32 }\n\
        train = { epochs = 1, batch_size = 50, lr = 0.1 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
        loss = { lambda = 0.1, eps_train = 0.1 }\neval.eps = 0.1";
    let shape = NetShape::new(&parse(text).unwrap());
    let split = crate::dataset::load(ID, &crate::dataset::default_root()).unwrap().train;
    let mut engine = CpuEngine::new(NetState::init(&shape, 1, None), Adam::default(), 2, Simd::detect().unwrap());
    let normalizer = Normalizer::new(ID);
    let (mut images, mut labels) = (vec![0.0; 50 * ID.pixels()], Vec::new());
    for step in 0..120u32 {
        let indices: Vec<u32> = (0..50).map(|i| (step * 50 + i) % 2000).collect();
        crate::dataset::fill_batch(&split, ID, &normalizer, &indices, None, &mut images, &mut labels);
        let p = PNorm::new(8.0 * 1.06f64.powi(step as i32)).unwrap();
        let point =
            StepPoint { p, lr: 0.03, scalar_lr: 0.006, objective: Objective::Mixture { lambda: 0.2 }, eps: 0.5 };
        engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
    }
    let net = engine.state().unwrap().clone();
    let net = evaluator().with_means_at_infinity(&net, &split, 500);
    (net, split)
}

fn eps(text: &str) -> Epsilon {
    text.parse().unwrap()
}

/// The net at p = ∞ on one normalised image, in plain float32.
fn distances(net: &NetState, image: &[f32]) -> Vec<f32> {
    let mut x = image.to_vec();
    for layer in &net.layers {
        let rows = layer.weight.value.chunks(layer.shape.inputs());
        let mut y: Vec<f32> = rows.map(|w| x.iter().zip(w).map(|(x, w)| (x - w).abs()).fold(0.0, f32::max)).collect();
        y.iter_mut().zip(&layer.mean).for_each(|(y, mean)| *y -= mean);
        x = y;
    }
    x.iter_mut().zip(&net.bias.value).for_each(|(y, bias)| *y += bias);
    x
}

fn nearest(distances: &[f32]) -> usize {
    (0..distances.len()).fold(0, |best, class| if distances[class] < distances[best] { class } else { best })
}

#[test]
fn no_point_of_a_certified_box_changes_the_class() {
    let (net, split) = trained();
    let eps = eps("0.05");
    let evaluation = evaluator().certify(&net, &split, 60, eps);
    let certified = evaluation.samples.iter().filter(|sample| sample.certified).count();
    assert!((5..60).contains(&certified), "{certified} of 60 certified: the test shows nothing");
    let normalizer = Normalizer::new(ID);
    for (index, sample) in evaluation.samples.iter().enumerate().filter(|(_, sample)| sample.certified) {
        let image = &split.images[index * ID.pixels()..][..ID.pixels()];
        for attempt in 0..40 {
            let perturbed: Vec<f32> = image
                .iter()
                .enumerate()
                .map(|(pixel, &raw)| {
                    let draw = random::uniform(attempt, index as u64, pixel as u64) * 2.0 - 1.0;
                    // Corners first, then the inside.
                    let shift = if attempt < 20 { draw.signum() } else { draw } * eps.to_f64();
                    let value = (f64::from(raw) / 255.0 + shift).clamp(0.0, 1.0) as f32;
                    normalizer.normalize(0, value)
                })
                .collect();
            assert_eq!(nearest(&distances(&net, &perturbed)), usize::from(sample.label), "sample {index}");
        }
    }
}

#[test]
fn predictions_and_margins_are_those_of_the_plain_program() {
    let (net, split) = trained();
    let normalizer = Normalizer::new(ID);
    let evaluation = evaluator().certify(&net, &split, 40, eps("0.1"));
    for (index, sample) in evaluation.samples.iter().enumerate() {
        let image = &split.images[index * ID.pixels()..][..ID.pixels()];
        let x: Vec<f32> = image.iter().map(|&raw| normalizer.table(0)[usize::from(raw)]).collect();
        let d = distances(&net, &x);
        assert_eq!(usize::from(sample.prediction), nearest(&d));
        let own = d[usize::from(sample.label)];
        let rival = (0..10).filter(|&j| j != usize::from(sample.label)).map(|j| d[j]).fold(f32::INFINITY, f32::min);
        assert!((f64::from(sample.margin) - f64::from(rival - own) * ID.std()).abs() < 1e-6);
    }
}

#[test]
fn certified_accuracy_falls_with_the_radius_and_starts_at_the_clean_one() {
    let (net, split) = trained();
    let mut evaluator = evaluator();
    let at: Vec<_> =
        ["0", "0.01", "0.03", "0.1", "0.3"].map(|text| evaluator.certify(&net, &split, 300, eps(text))).into();
    assert_eq!(at[0].certified(), at[0].clean());
    for pair in at.windows(2) {
        assert_eq!(pair[0].clean(), pair[1].clean());
        for (near, far) in pair[0].samples.iter().zip(&pair[1].samples) {
            assert!(near.certified || !far.certified);
        }
    }
    assert!(at[1].certified() > at[4].certified());
}

#[test]
fn intervals_prove_what_margins_prove_but_for_rounding() {
    let (net, split) = trained();
    let eps = eps("0.02");
    let evaluation = evaluator().certify(&net, &split, 500, eps);
    // Where the box is clipped the interval is tighter, so it may prove more; never less, beyond the last digits.
    for sample in &evaluation.samples {
        assert!(sample.certified || f64::from(sample.margin) < 2.0 * eps.to_f64() + 1e-5, "{sample:?}");
    }
    assert!(evaluation.certified() >= evaluation.certified_by_margin(eps) - 1e-9);
}

#[test]
fn intervals_prove_no_more_than_margins_where_no_box_is_clipped() {
    let (net, mut split) = trained();
    // From 0.11 to 0.89: boxes of 0.1 end before black and white.
    split.images.iter_mut().for_each(|raw| *raw = 28 + (u16::from(*raw) * 199 / 255) as u8);
    let mut proved = 0;
    for eps in ["0.01", "0.03", "0.1"].map(eps) {
        let evaluation = evaluator().certify(&net, &split, 500, eps);
        for sample in &evaluation.samples {
            let over = f64::from(sample.margin) - 2.0 * eps.to_f64();
            assert!(over.abs() < 1e-5 || sample.certified == (over > 0.0), "ε = {eps}: {sample:?}");
        }
        proved += evaluation.samples.iter().filter(|sample| sample.certified).count();
    }
    assert!((50..1450).contains(&proved), "{proved} of 1500 show something");
}

#[test]
fn re_estimated_means_are_the_means() {
    let (mut net, split) = trained();
    net.layers[0].mean.fill(123.0);
    let samples = 700;
    let settled = evaluator().with_means_at_infinity(&net, &split, samples);
    let normalizer = Normalizer::new(ID);
    let unit = 3;
    let w = &net.layers[0].weight.value[unit * ID.pixels()..][..ID.pixels()];
    let far = |image: &[u8]| {
        let x = image.iter().map(|&raw| normalizer.table(0)[usize::from(raw)]);
        f64::from(x.zip(w).map(|(x, w)| (x - w).abs()).fold(0.0, f32::max))
    };
    let mean = split.images.chunks(ID.pixels()).take(samples).map(far).sum::<f64>() / samples as f64;
    assert!((f64::from(settled.layers[0].mean[unit]) - mean).abs() < 1e-6);
    assert!(settled.layers[2].mean.is_empty());
}

#[test]
fn the_whole_net_moves_no_more_than_its_input() {
    let (net, split) = trained();
    let normalizer = Normalizer::new(ID);
    for pair in 0..20 {
        let image = |index: usize| -> Vec<f32> {
            let raw = &split.images[index * ID.pixels()..][..ID.pixels()];
            raw.iter().map(|&raw| normalizer.table(0)[usize::from(raw)]).collect()
        };
        let (a, b) = (image(pair), image(pair + 100));
        let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        for (da, db) in distances(&net, &a).iter().zip(distances(&net, &b)) {
            assert!((da - db).abs() <= apart + 1e-5);
        }
        // Two images that are hardly apart: here the bound is all but reached.
        let mut largest = 0.0f32;
        for (seed, step) in [(1, 0.001f32), (2, 0.01), (3, 0.1)] {
            let mut signs = vec![0.0; a.len()];
            random::fill_normal(seed, pair as u64, &mut signs);
            let moved: Vec<f32> = a.iter().zip(&signs).map(|(a, sign)| a + step.copysign(*sign)).collect();
            for (da, db) in distances(&net, &a).iter().zip(distances(&net, &moved)) {
                assert!((da - db).abs() <= step + 4e-6, "{da} and {db}, {step} apart");
                largest = largest.max((da - db).abs() / step);
            }
        }
        assert!(largest > 0.3, "{largest}");
    }
}

#[test]
fn radii_are_the_largest_at_which_the_certificate_holds() {
    let (net, split) = trained();
    let mut evaluator = evaluator();
    for threat in [Threat::Real, Threat::EightBit] {
        let evaluation = evaluator.certify(&net, &split, 40, eps("0.1"));
        let radii = evaluator.radii(&net, &split, &evaluation, threat, &mut |_| true).unwrap();
        let mut certified_at = |radius: u32, sample: usize| {
            let around = Neighbourhood { eps: threat.eps(Radius(radius)), threat };
            let one = Split {
                images: split.images[sample * ID.pixels()..(sample + 1) * ID.pixels()].to_vec(),
                labels: vec![split.labels[sample]],
            };
            evaluator.certify(&net, &one, 1, around).samples[0].certified
        };
        let mut positive = 0;
        for (sample, radius) in radii.into_iter().enumerate() {
            let found = evaluation.samples[sample];
            match radius {
                None => assert!(!certified_at(0, sample) && (found.prediction != found.label || found.margin <= 0.0)),
                Some(Radius(steps)) => {
                    assert!(certified_at(steps, sample), "sample {sample}, {threat}");
                    assert!(steps == threat.steps() || !certified_at(steps + 1, sample), "sample {sample}, {threat}");
                    positive += usize::from(steps > 0);
                }
            }
        }
        assert!(positive > 10, "{positive}: the test shows nothing");
    }
}

#[test]
fn what_lies_outside_the_window_changes_nothing() {
    let view = View::new(ID, Some(20));
    let mut split = crate::dataset::load(ID, &crate::dataset::default_root()).unwrap().test;
    split.truncate(40);
    let net = NetState::init(&NetShape::dense(&[view.pixels(), 24, 10]).unwrap(), 1, None);
    let found = |split: &Split| {
        let mut evaluator = Evaluator::new(view, 2, Simd::detect().unwrap());
        let net = evaluator.with_means_at_infinity(&net, split, 40);
        let evaluation = evaluator.certify(&net, split, 40, eps("0.01"));
        let radii = evaluator.radii(&net, split, &evaluation, Threat::Real, &mut |_| true);
        let plan = Attack { steps: 5, restarts: 1, targets: 1, ..Attack::default() };
        let attacked = evaluator.attack(&net, split, split, &plan, eps("0.05").into(), &mut |_| true);
        (net.layers, evaluation, radii, attacked)
    };
    let before = found(&split);
    assert!(before.3.as_ref().is_some_and(|attacked| attacked.examples.iter().all(|(_, image)| image.len() == 400)));
    let outside = |at: usize| !(4..24).contains(&(at / 28 % 28)) || !(4..24).contains(&(at % 28));
    let mut other = split.clone();
    other.images.iter_mut().enumerate().filter(|(at, _)| outside(*at)).for_each(|(_, pixel)| *pixel = 255 - *pixel);
    assert_ne!(other, split);
    assert!(found(&other) == before, "something outside the window is seen");
    other.images.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
    assert!(found(&other) != before, "what is inside is seen");
}

#[test]
fn whole_steps_of_the_image_are_certified_wherever_real_changes_are() {
    let (net, split) = trained();
    let mut evaluator = evaluator();
    for text in ["0.03", "8/255", "0.05"] {
        let real = evaluator.certify(&net, &split, 200, eps(text));
        let steps = evaluator.certify(&net, &split, 200, Neighbourhood { eps: eps(text), threat: Threat::EightBit });
        assert!(real.samples.iter().zip(&steps.samples).all(|(real, steps)| steps.certified || !real.certified));
        assert!(steps.certified() >= real.certified() && real.certified() > 0.0);
    }
}
