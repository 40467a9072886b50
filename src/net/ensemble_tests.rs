//! What nets that answer together claim: an example by hand, ensembles that are one net, and that no claim is false.

use crate::dataset::{DatasetId, Normalizer, Split, random};
use crate::dist::Simd;
use crate::experiment::{Epsilon, Label, parse};

use super::ensemble::{first_largest, proves};
use super::soundness_tests::{Draw, evaluator};
use super::{Evaluator, NetShape, NetState};

const ID: DatasetId = DatasetId::Synthetic;

fn dense(sizes: &[usize]) -> NetState {
    NetState::init(&NetShape::dense(sizes).unwrap(), 0, None)
}

/// One layer whose distances of the grey image are these, each by the one pixel of its class.
fn of_distances(grey: u8, distances: [f32; 2]) -> NetState {
    let mut net = dense(&[ID.pixels(), 2]);
    let x = Normalizer::new(ID).table(0)[usize::from(grey)];
    net.layers[0].weight.value.fill(x);
    for (class, distance) in distances.into_iter().enumerate() {
        net.layers[0].weight.value[class * ID.pixels() + class] = x - distance;
    }
    net
}

#[test]
fn the_mean_of_two_nets_by_hand() {
    // Distances (0.25, 0.5) and (0.625, 0.5): the second net alone is wrong; the sums are (0.875, 1), so the mean leads by
    // 1/16, and each distance moves by no more than the pixels do: certified below 1/32 in normalised units.
    let nets = [of_distances(128, [0.25, 0.5]), of_distances(128, [0.625, 0.5])];
    let split = Split { images: vec![128; ID.pixels()], labels: vec![0] };
    let mut evaluator = evaluator();
    let mut at = |nets: &[&NetState], share: f64| {
        let eps = Epsilon::new((share / 32.0 * ID.std() * 1e9) as u64, 1_000_000_000).unwrap();
        evaluator.certify_together(nets, &split, 1, eps).samples[0]
    };
    let both = [&nets[0], &nets[1]];
    assert_eq!((at(&both, 0.5).prediction, at(&[&nets[1]], 0.5).prediction), (0, 1));
    assert!((f64::from(at(&both, 0.5).margin) - ID.std() / 16.0).abs() < 1e-6);
    assert!(at(&both, 0.999).certified && !at(&both, 1.001).certified);
    assert!(!at(&[&nets[1]], 0.0).certified);
}

/// Nets of every kind, of random weights, with the means that they have on these images.
fn kinds(split: &Split) -> Vec<NetState> {
    let mut evaluator = Evaluator::new(ID, 2, Simd::detect().unwrap());
    let models = [
        "depth = 2, width = 24",
        "depth = 3, width = 24",
        "depth = 2, width = 24, hidden = 12",
        "depth = 2, width = 24, kind = 'sort-net', keep = 0.7",
        "depth = 1, width = 16, kind = 'sort-net', keep = 0.7, hidden = 12, conv = [{ outputs = 8, kernel = 7, stride = 7 }]",
    ];
    (1..)
        .zip(models)
        .map(|(seed, model)| {
            let text = format!(
                "data.dataset = 'synthetic'\nmodel = {{ {model} }}\n\
                 train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
                 loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
            );
            let net = NetState::init(&NetShape::new(&parse(&text).unwrap()), seed, None);
            evaluator.with_means_at_infinity(&net, split, 100)
        })
        .collect()
}

/// Images that carry the class that the nets give them: nets of random weights know no other.
fn as_classified(evaluator: &mut Evaluator, nets: &[&NetState], split: &Split) -> Split {
    let zero: Epsilon = "0".parse().unwrap();
    let evaluation = evaluator.certify_together(nets, split, split.len(), zero);
    Split { images: split.images.clone(), labels: evaluation.samples.iter().map(|sample| sample.prediction).collect() }
}

fn images(count: usize) -> Split {
    let mut split = crate::dataset::load(ID, &crate::dataset::default_root()).unwrap().test;
    split.truncate(count);
    split
}

#[test]
fn a_net_together_with_itself_claims_what_it_claims_alone() {
    let split = images(60);
    let mut evaluator = evaluator();
    let mut certified = 0;
    for net in kinds(&split) {
        let split = as_classified(&mut evaluator, &[&net], &split);
        for eps in ["0", "0.0005", "0.003", "0.01"].map(|eps| eps.parse::<Epsilon>().unwrap()) {
            let alone = evaluator.certify(&net, &split, 60, eps);
            certified += alone.samples.iter().filter(|sample| sample.certified).count();
            for nets in [vec![&net], vec![&net; 3]] {
                let together = evaluator.certify_together(&nets, &split, 60, eps);
                for (alone, together) in alone.samples.iter().zip(&together.samples) {
                    assert_eq!((alone.prediction, alone.certified), (together.prediction, together.certified));
                    assert!(net.head.is_some() == together.margin.is_nan());
                    assert!(net.head.is_some() || (alone.margin - together.margin).abs() < 1e-5);
                }
            }
        }
    }
    assert!(certified > 300, "{certified} certified: the test shows nothing");
}

#[test]
fn no_perturbation_changes_the_class_of_what_nets_certify_together() {
    let split = images(12);
    let nets = kinds(&split);
    let normalizer = Normalizer::new(ID);
    let mut evaluator = evaluator();
    let mut claims = 0;
    for members in [vec![0, 1], vec![0, 1, 3], vec![2, 4], vec![0, 2, 3, 4]] {
        let members: Vec<&NetState> = members.into_iter().map(|member| &nets[member]).collect();
        let split = as_classified(&mut evaluator, &members, &split);
        for sample in 0..split.len() {
            let image = &split.images[sample * ID.pixels()..][..ID.pixels()];
            let one = Split { images: image.to_vec(), labels: vec![split.labels[sample]] };
            let eps = |steps: u64| Epsilon::new(steps, 1 << 16).unwrap();
            let mut at = |steps: u64| evaluator.certify_together(&members, &one, 1, eps(steps)).samples[0];
            // The largest radius that is certified: there the claim is closest to being false.
            let (mut good, mut bad) = (0, 1 << 15);
            while bad - good > 1 {
                let middle = u64::midpoint(good, bad);
                if at(middle).certified { good = middle } else { bad = middle }
            }
            let margin = f64::from(at(0).margin);
            if !margin.is_nan() {
                // A mean of 1-Lipschitz functions is 1-Lipschitz, and intervals lose nothing against that but rounding.
                let by_margin = margin / 2.0 * f64::from(1 << 16);
                assert!(good as f64 >= (by_margin - 2.0).floor(), "{good} steps are certified, {by_margin} by margin");
            }
            if good == 0 {
                continue;
            }
            claims += 1;
            let radius = eps(good).to_f64();
            for attempt in 0..24 {
                let perturbed: Vec<f32> = (image.iter().enumerate())
                    .map(|(pixel, &raw)| {
                        let draw = random::uniform(attempt, sample as u64, pixel as u64) * 2.0 - 1.0;
                        // Corners first, then the inside.
                        let shift = if attempt < 16 { draw.signum() } else { draw } * radius;
                        normalizer.normalize(0, (f64::from(raw) / 255.0 + shift).clamp(0.0, 1.0) as f32)
                    })
                    .collect();
                assert_eq!(class(&evaluator, &members, &perturbed), split.labels[sample], "sample {sample}");
            }
        }
    }
    assert!(claims > 24, "{claims} claims: the test shows nothing");
}

/// The class of one image `[inputs]`, added up here.
fn class(evaluator: &Evaluator, nets: &[&NetState], image: &[f32]) -> Label {
    let mut sums = vec![0.0; nets[0].classes()];
    for net in nets {
        for (sum, score) in sums.iter_mut().zip(evaluator.scores(net, image.to_vec())) {
            *sum += f64::from(score);
        }
    }
    first_largest(&sums)
}

/// Boxes some floats wide, near the border between two classes, where rounding decides: every float of them is tried.
#[test]
fn no_claim_is_false_of_any_float_of_a_box_at_the_border() {
    let evaluator = evaluator();
    let (mut claims, mut across) = (0, 0);
    for seed in 0..1500 {
        let mut draw = Draw::new(seed);
        let mut nets: Vec<NetState> = (0..2 + seed % 2).map(|_| dense(&[2, 3, 3])).collect();
        for net in &mut nets {
            for layer in &mut net.layers {
                draw.fill(&mut layer.weight.value, -1.0, 1.0);
                draw.fill(&mut layer.mean, 0.0, 1.0);
            }
            draw.fill(&mut net.bias.value, -0.3, 0.3);
        }
        let nets: Vec<&NetState> = nets.iter().collect();
        let (mut from, mut to) = ([0.0f32; 2], [0.0f32; 2]);
        draw.fill(&mut from, -1.0, 1.0);
        draw.fill(&mut to, -1.0, 1.0);
        let label = class(&evaluator, &nets, &from);
        if class(&evaluator, &nets, &to) == label {
            continue;
        }
        for _ in 0..40 {
            let middle = [0.5 * (from[0] + to[0]), 0.5 * (from[1] + to[1])];
            if class(&evaluator, &nets, &middle) == label { from = middle } else { to = middle }
        }
        for attempt in 0..12 {
            let away = if attempt % 4 == 0 { 0.0 } else { draw.between(-6.0, 6.0) };
            let centre = from.map(|x| x + (away * f64::from(x.abs()) * 6e-8) as f32);
            let low = centre.map(|x| x.next_down());
            let high = centre.map(|x| x.next_up());
            let members: Vec<_> =
                nets.iter().map(|net| evaluator.score_bounds(net, low.to_vec(), high.to_vec())).collect();
            let mut classes = Vec::new();
            for x in [low[0], centre[0], high[0]] {
                for y in [low[1], centre[1], high[1]] {
                    classes.push(class(&evaluator, &nets, &[x, y]));
                }
            }
            if proves(&members, 0, label, 3) {
                claims += 1;
                assert!(classes.iter().all(|&class| class == label), "seed {seed}: {classes:?}");
            } else {
                across += usize::from(classes.iter().any(|&class| class != label));
            }
        }
    }
    assert!(claims > 300 && across > 300, "{claims} claims, {across} boxes of several classes");
}
