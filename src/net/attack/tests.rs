//! What attacks find is real, and gradients are those of the net.

use crate::dataset::{DatasetId, Split};
use crate::dist::{Pool, Simd};
use crate::experiment::{Attack, Epsilon, PNorm, parse};

use super::*;
use crate::net::{InputBox, NetShape};

const ID: DatasetId = DatasetId::Synthetic;

fn net(model: &str) -> NetState {
    let text = format!(
        "data.dataset = 'synthetic'\nmodel = {model}\ntrain = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\n\
         schedule = {{ ramp_start = 0, ramp_end = 1 }}\nloss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
    );
    NetState::init(&NetShape::new(&parse(&text).unwrap()), 3, None)
}

fn evaluator() -> Evaluator {
    Evaluator::new(ID, 2, Simd::best())
}

fn attack(net: &NetState, split: &Split, plan: Attack, eps: &str) -> Attacked {
    evaluator().attack(net, split, split, &plan, eps.parse::<Epsilon>().unwrap().into(), &mut |_| true).unwrap()
}

fn eps(text: &str) -> Epsilon {
    text.parse().unwrap()
}

/// Images that all hold one value.
fn flat(value: u8, count: usize) -> Split {
    Split { images: vec![value; count * ID.pixels()], labels: vec![0; count] }
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let pool = Pool::new(2);
    let conv = "{ depth = 2, width = 6, hidden = 5, conv = [{ outputs = 3, kernel = 3, stride = 3 }] }";
    let sort = "{ kind = 'sort-net', keep = 0.2, depth = 2, width = 6, hidden = 5 }";
    let infinity = f64::INFINITY;
    for (model, p) in
        [("{ depth = 3, width = 9 }", 8.0), (conv, 8.0), ("{ depth = 2, width = 9 }", 30.0), (sort, infinity)]
    {
        // With the means of its p: far from them tanh is flat.
        let (p, train) =
            (PNorm::new(p).unwrap(), crate::dataset::load(ID, &crate::dataset::default_root()).unwrap().train);
        let net = evaluator().with_means_at(&net(model), p, &train, 64);
        let mut slope = Slope::new(&pool, Simd::best(), None, &net, p);
        let images: Vec<f32> = (0..2 * ID.pixels()).map(|k| ((k * 37) % 101) as f32 / 101.0).collect();
        let of_scores: Vec<f32> = (0..2 * net.classes()).map(|k| ((k * 7) % 5) as f32 - 2.0).collect();
        let mut total = |images: &[f32]| -> f64 {
            let scores = slope.scores(images, 2, true);
            scores.iter().zip(&of_scores).map(|(&z, &g)| f64::from(z) * f64::from(g)).sum()
        };
        total(&images);
        let gradient = slope.gradient(&images, &of_scores);
        // Along a direction that no cancellation spoils: the gradient itself.
        let length = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        let step = 2e-3 / length;
        let moved = |sign: f64| -> Vec<f32> {
            images.iter().zip(&gradient).map(|(&x, &g)| (f64::from(x) + sign * step * f64::from(g)) as f32).collect()
        };
        let mut total = |images: &[f32]| -> f64 {
            let scores = slope.scores(images, 2, true);
            scores.iter().zip(&of_scores).map(|(&z, &g)| f64::from(z) * f64::from(g)).sum()
        };
        let measured = (total(&moved(1.0)) - total(&moved(-1.0))) / (2.0 * step);
        let expected = length * length;
        assert!((measured - expected).abs() < 0.02 * expected, "{model} at p = {p}: {measured} ≠ {expected}");
    }
}

/// A net that sees nothing in one pixel: class 0 is left only where every pixel rises by more than half of the lead.
fn all_or_nothing() -> NetState {
    let mut net = net("{ depth = 2, width = 784 }");
    let pixels = ID.pixels();
    let (first, last) = net.layers.split_at_mut(1);
    // ‖x − w‖∞ = x_i + 100, and 100 comes off again: the pixel itself.
    first[0].weight.value.fill(0.0);
    for i in 0..pixels {
        first[0].weight.value[i * pixels + i] = -100.0;
    }
    first[0].mean.fill(100.0);
    let (centre, unit) = (pixel(128), 1.0 / ID.std() as f32);
    let rows = [centre - 10.0 * unit, centre + 10.15 * unit];
    for (class, row) in last[0].weight.value.chunks_exact_mut(pixels).enumerate() {
        row.fill(rows.get(class).copied().unwrap_or(1e3));
    }
    net
}

fn pixel(raw: u8) -> f32 {
    crate::dataset::Normalizer::new(ID).table(0)[usize::from(raw)]
}

#[test]
fn what_moves_only_when_all_pixels_do_is_found_by_relaxation_alone() {
    // d₁ − d₀ = 0.15 in pixels; with every pixel at +0.1 it is −0.05, with one left behind it is +0.05.
    let (net, split) = (all_or_nothing(), flat(128, 3));
    let weak = attack(&net, &split, Attack { restarts: 0, ..Attack::default() }, "0.1");
    assert_eq!(weak.fates, [Fate::Survived; 3]);
    let strong = attack(&net, &split, Attack::default(), "0.1");
    assert_eq!(strong.fates, [Fate::Relaxed; 3]);
    assert_eq!((strong.under_pgd(), strong.under_all()), (1.0, 0.0));
    // Half of the lead is out of reach.
    let small = attack(&net, &split, Attack::default(), "0.07");
    assert_eq!(small.fates, [Fate::Survived; 3]);
}

#[test]
fn every_example_lies_in_its_box_and_is_misclassified_and_was_not_certified() {
    let net = net("{ depth = 2, width = 24 }");
    let mut split = crate::dataset::load(ID, &crate::dataset::default_root()).unwrap().test;
    split.images.truncate(150 * ID.pixels());
    split.labels.truncate(150);
    // An untrained net is right by luck alone: its own answers are the labels.
    let mut evaluator = evaluator();
    let net = evaluator.with_means_at_infinity(&net, &split, 150);
    let answers = evaluator.answers(&net, PNorm::INFINITY, evaluator.images(&split, 0..150), &split.labels);
    split.labels = answers.iter().map(|answer| answer.prediction).collect();
    split.labels[7] = (split.labels[7] + 1) % 10;

    let eps: Epsilon = "0.05".parse().unwrap();
    let certified = evaluator.certify(&net, &split, 150, eps);
    let plan = Attack { steps: 20, ..Attack::default() };
    let found = evaluator.attack(&net, &split, &split, &plan, eps.into(), &mut |_| true).unwrap();
    assert_eq!(found.fates[7], Fate::Misclassified);
    assert_eq!(found.fates.len(), 150);
    let broken = found.fates.iter().filter(|fate| !matches!(fate, Fate::Misclassified | Fate::Survived)).count();
    assert!(broken > 10, "{broken} of 150 broken: too few to say anything");
    assert_eq!(found.examples.len(), broken);
    let (mut low, mut high) = (vec![0.0; ID.pixels()], vec![0.0; ID.pixels()]);
    for (sample, image) in &found.examples {
        let sample = *sample as usize;
        let raw = &split.images[sample * ID.pixels()..(sample + 1) * ID.pixels()];
        InputBox::new(ID, eps).around(raw, &mut low, &mut high);
        assert!(image.iter().zip(low.iter().zip(&high)).all(|(x, (low, high))| (low..=high).contains(&x)));
        let label = split.labels[sample];
        let answer = &evaluator.answers(&net, PNorm::INFINITY, image.clone(), &[label])[0];
        assert_ne!(answer.prediction, label);
        assert!(!certified.samples[sample].certified, "sample {sample} was certified and broken");
    }
    // The same again, to the bit.
    assert_eq!(evaluator.attack(&net, &split, &split, &plan, eps.into(), &mut |_| true).unwrap(), found);
}

#[test]
fn it_stops_when_told() {
    let (net, split) = (all_or_nothing(), flat(128, 2));
    let mut calls = 0;
    let mut go_on = |_| {
        calls += 1;
        calls < 2
    };
    let found = evaluator().attack(&net, &split, &split, &Attack::default(), eps("0.07").into(), &mut go_on);
    assert_eq!((found, calls), (None, 2));
}

#[test]
fn goals_have_the_gradients_of_their_values() {
    let scores = [0.3f32, -1.2, 0.9, 0.1];
    for goal in [Goal::CrossEntropy { scale: 1.7 }, Goal::Ratio, Goal::LeadOf(3)] {
        let mut gradient = [0.0; 4];
        goal.measure(&scores, 1, &mut gradient);
        for class in 0..4 {
            let at = |by: f32| {
                let mut moved = scores;
                moved[class] += by;
                goal.measure(&moved, 1, &mut [0.0; 4])
            };
            let measured = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((measured - gradient[class]).abs() < 1e-3, "{goal:?}, class {class}: {measured} ≠ {gradient:?}");
        }
    }
    assert_eq!(rivals(&scores, 1), [2, 0, 3]);
}

#[test]
fn looks_come_faster_towards_the_end() {
    let looks = looks(100);
    assert_eq!(looks[..3], [22, 41, 57]);
    assert!(looks.windows(3).all(|three| three[2] - three[1] <= three[1] - three[0]));
    assert!(looks.iter().all(|&look| look <= 100));
}

/// A net whose class 0 is nearer by 0.16 in pixels, and whose score of class 1 lies with one pixel after the other: only
/// when some of them have been moved by the whole radius, each seen only once those before it are out of the way.
fn one_after_the_other(chain: usize) -> NetState {
    let mut net = NetState::init(&NetShape::dense(&[ID.pixels(), 10]).unwrap(), 0, None);
    let (centre, unit) = (pixel(128), 1.0 / ID.std() as f32);
    for (class, row) in net.layers[0].weight.value.chunks_exact_mut(ID.pixels()).enumerate() {
        match class {
            0 => row.fill(centre - 2.0 * unit),
            1 => {
                row.fill(centre);
                row[..chain].iter_mut().for_each(|w| *w = centre + 2.16 * unit);
            }
            _ => row.fill(1e3),
        }
    }
    net
}

#[test]
fn what_needs_one_pixel_after_the_other_is_found_along_the_paths() {
    let plan = Attack { pgd_steps: 0, steps: 0, restarts: 0, targets: 1, samples: None };
    let (chain, split) = (12, flat(128, 2));
    let net = one_after_the_other(chain);
    // Each move takes one pixel of the chain, and one that leads to class 0: d₀ is then 2.1 and d₁ 2.06.
    let found = attack(&net, &split, Attack { steps: 2 * chain as u32, ..plan }, "0.1");
    assert_eq!(found.fates, [Fate::Greedy; 2]);
    let too_few = attack(&net, &split, Attack { steps: chain as u32 / 2, ..plan }, "0.1");
    assert_eq!(too_few.fates, [Fate::Survived; 2]);
    // Half of the lead is out of reach.
    let small = attack(&net, &split, Attack { steps: 2 * chain as u32, ..plan }, "0.079");
    assert_eq!(small.fates, [Fate::Survived; 2]);
}

#[test]
fn each_sample_is_attacked_within_its_own_radius_and_brought_near_to_it() {
    let (net, split) = (one_after_the_other(12), flat(128, 4));
    let radii = ["0.1", "0.079", "0.2", "0.07"].map(eps);
    let plan = Attack { pgd_steps: 5, steps: 30, restarts: 1, targets: 1, samples: None };
    let mut evaluator = evaluator();
    let found = evaluator.attack(&net, &split, &split, &plan, Reach::Each(&radii), &mut |_| true).unwrap();
    assert_eq!(found.fates.iter().map(|fate| fate.is_broken()).collect::<Vec<_>>(), [true, false, true, false]);
    // No class changes before every pixel of the chain has moved by 0.08; a wide ball has other examples, further away.
    let near = evaluator.nearer(&net, &split, &found.examples);
    assert!(matches!(near[..], [a, b] if (0.08..0.0801).contains(&a) && (0.08..0.2).contains(&b)), "{near:?}");
}
