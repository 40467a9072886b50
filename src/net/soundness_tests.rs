//! What rounding does to certificates: nets and inputs for which margin > 2ε claims a class that the program itself gives
//! up inside the ball, one kind for each place where the program rounds; and that intervals claim none of them.

use std::ops::Range;

use crate::dataset::{DatasetId, Normalizer, random};
use crate::dist::Simd;
use crate::experiment::{Epsilon, Label, PNorm};

use super::evaluate::Answer;
use super::{Evaluator, Head, InputBox, NetShape, NetState, Trained, Turn};

const ID: DatasetId = DatasetId::Synthetic;

/// Draws that depend on a seed alone.
pub(super) struct Draw {
    seed: u64,
    index: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw { seed, index: 0 }
    }

    /// Of [from, to).
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        self.index += 1;
        from + (to - from) * random::uniform(self.seed, 77, self.index)
    }

    pub(super) fn fill(&mut self, values: &mut [f32], from: f64, to: f64) {
        values.iter_mut().for_each(|value| *value = self.between(from, to) as f32);
    }
}

pub(super) fn evaluator() -> Evaluator {
    Evaluator::new(ID, 1, Simd::detect().unwrap())
}

fn answer(evaluator: &Evaluator, net: &NetState, image: &[f32], label: Label) -> Answer {
    evaluator.answers(net, PNorm::INFINITY, image.to_vec(), &[label]).remove(0)
}

/// The float32 inputs within `radius` of x in real numbers: the least and the greatest.
fn within(x: f32, radius: f64) -> (f32, f32) {
    let (low, high) = (f64::from(x) - radius, f64::from(x) + radius);
    let (mut least, mut greatest) = (low as f32, high as f32);
    if f64::from(least) < low {
        least = least.next_up();
    }
    if f64::from(greatest) > high {
        greatest = greatest.next_down();
    }
    (least, greatest)
}

/// How often a rule claimed a class, and how often the program gave another one inside the ball nevertheless.
#[derive(Debug, Default)]
struct Claims {
    by_margin: usize,
    false_by_margin: usize,
    by_intervals: usize,
}

/// Takes a net and an input, with ε the largest that margin > 2ε still claims, and visits the corners of its ball. Whatever the
/// interval rule claims must be true there.
fn visit(evaluator: &Evaluator, net: &NetState, image: &[f32], claims: &mut Claims) {
    let label = answer(evaluator, net, image, 0).prediction;
    let margin = answer(evaluator, net, image, label).margin;
    let radius = margin / 2.0 * (1.0 - 1e-9);
    if radius <= 0.0 {
        return;
    }
    claims.by_margin += 1;
    let (low, high): (Vec<f32>, Vec<f32>) = image.iter().map(|&x| within(x, radius)).unzip();
    let is_proved = evaluator.proofs(net, low.clone(), high.clone(), &[label])[0];
    claims.by_intervals += usize::from(is_proved);
    let is_false = (0..1 << image.len()).any(|corner: usize| {
        let at = |i: usize| if corner >> i & 1 == 1 { high[i] } else { low[i] };
        let perturbed: Vec<f32> = (0..image.len()).map(at).collect();
        answer(evaluator, net, &perturbed, label).prediction != label
    });
    claims.false_by_margin += usize::from(is_false);
    assert!(!(is_proved && is_false), "proved, and false: {net:?} at {image:?} with ε = {radius}");
}

/// Many nets of a kind, one input each.
fn search(kind: u64, nets: u64, mut make: impl FnMut(&mut Draw) -> (NetState, Vec<f32>)) -> Claims {
    let (evaluator, mut claims) = (evaluator(), Claims::default());
    for seed in 0..nets {
        let mut draw = Draw::new(kind << 32 | seed);
        let (net, image) = make(&mut draw);
        visit(&evaluator, &net, &image, &mut claims);
    }
    claims
}

pub(super) fn dense(widths: &[usize]) -> NetState {
    NetState::init(&NetShape::dense(widths).unwrap(), 0, None)
}

/// Of inputs: about what normalised pixels are.
const RANGE: Range<f64> = -0.5..2.0;

fn image(draw: &mut Draw, size: usize) -> Vec<f32> {
    let mut image = vec![0.0; size];
    draw.fill(&mut image, RANGE.start, RANGE.end);
    image
}

/// An input of the range at most so far from where the class changes, and that class; where draws show one class only, any
/// input.
fn at_the_border(
    draw: &mut Draw,
    size: usize,
    range: Range<f64>,
    most_back: f64,
    class: &dyn Fn(&[f32]) -> Label,
) -> (Vec<f32>, Label) {
    let mut any = || {
        let mut image = vec![0.0; size];
        draw.fill(&mut image, range.start, range.end);
        image
    };
    let here = any();
    let label = class(&here);
    let Some(there) = (0..8).map(|_| any()).find(|there| class(there) != label) else {
        return (here, label);
    };
    let on_the_way = |part: f32| -> Vec<f32> { here.iter().zip(&there).map(|(a, b)| a + part * (b - a)).collect() };
    let (mut from, mut to) = (0.0, 1.0);
    for _ in 0..24 {
        let middle = 0.5 * (from + to);
        if class(&on_the_way(middle)) == label { from = middle } else { to = middle }
    }
    let back = draw.between(0.0, most_back) as f32;
    (on_the_way((from - back).max(0.0)), label)
}

/// Boxes of two coordinates: their ends, and the class at the middle of each.
#[derive(Default)]
pub(super) struct Boxes {
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    pub labels: Vec<Label>,
}

/// Boxes some floats wide around inputs [`at_the_border`].
pub(super) fn boxes_at_the_border(draw: &mut Draw, count: usize, class: &dyn Fn(&[f32]) -> Label) -> Boxes {
    let mut boxes = Boxes::default();
    for _ in 0..count {
        let (image, label) = at_the_border(draw, 2, RANGE, 2e-7, class);
        for x in image {
            let (mut least, mut greatest) = (x, x);
            for _ in 0..draw.between(0.0, 4.0) as u32 {
                (least, greatest) = (least.next_down(), greatest.next_up());
            }
            boxes.low.push(least);
            boxes.high.push(greatest);
        }
        boxes.labels.push(label);
    }
    boxes
}

/// The plain rule must be seen to fail, or the test shows nothing; and the sound one must not refuse everything.
fn check(claims: &Claims) {
    assert!(claims.false_by_margin > 0, "{claims:?}");
    assert!(claims.by_intervals > 0 && claims.by_intervals <= claims.by_margin, "{claims:?}");
}

#[test]
fn differences_that_round_fool_the_margin_and_not_the_intervals() {
    check(&search(1, 2000, |draw| {
        let mut net = dense(&[2, 2]);
        // So far away that a difference has few digits left of the input.
        draw.fill(&mut net.layers[0].weight.value, 900.0, 1100.0);
        let image = image(draw, 2);
        (net, image)
    }));
}

#[test]
fn means_that_round_fool_the_margin_and_not_the_intervals() {
    check(&search(2, 2000, |draw| {
        let mut net = dense(&[2, 2, 2]);
        draw.fill(&mut net.layers[0].mean, 700.0, 900.0);
        // Near the shifted values, where the differences of the second layer are exact.
        draw.fill(&mut net.layers[1].weight.value, -901.0, -699.0);
        let image = image(draw, 2);
        (net, image)
    }));
}

#[test]
fn biases_that_round_fool_the_margin_and_not_the_intervals() {
    check(&search(3, 2000, |draw| {
        let mut net = dense(&[2, 2]);
        draw.fill(&mut net.layers[0].weight.value, -2.0, 4.0);
        draw.fill(&mut net.bias.value, 999.0, 1001.0);
        let image = image(draw, 2);
        (net, image)
    }));
}

#[test]
fn sums_of_sort_neurons_that_round_fool_the_margin_and_not_the_intervals() {
    let evaluator = evaluator();
    check(&search(4, 2000, |draw| {
        let mut net = dense(&[3, 3]);
        net.layers[0].shape.keep = Some(0.7);
        // Between 1 and 2, as the inputs below are: their differences are exact.
        draw.fill(&mut net.layers[0].weight.value, 1.0, 2.0);
        let (image, _) = at_the_border(draw, 3, 1.0..2.0, 2e-6, &|x| answer(&evaluator, &net, x, 0).prediction);
        (net, image)
    }));
}

#[test]
fn heads_that_round_are_claimed_only_where_they_hold() {
    // The margin of a head is a proof by intervals itself, in double precision: what it forgets is that the program's
    // features and sums are float32.
    let evaluator = evaluator();
    check(&search(5, 2000, |draw| {
        let mut net = dense(&[2, 3]);
        net.layers[0].mean = vec![0.0; 3];
        draw.fill(&mut net.layers[0].mean, 900.0, 1000.0);
        net.bias = Trained::new(Vec::new());
        let mut head = Head::init(3, 4, 2, draw.seed);
        // The features lie around −950.
        draw.fill(&mut head.hidden.weight.value, -1e-2, 1e-2);
        draw.fill(&mut head.hidden.bias.value, -1.0, 1.0);
        net.head = Some((Turn::Stay, head));
        let (image, _) = at_the_border(draw, 2, RANGE, 2e-6, &|x| answer(&evaluator, &net, x, 0).prediction);
        (net, image)
    }));
}

#[test]
fn a_head_whose_sums_overflow_proves_nothing() {
    let evaluator = evaluator();
    let is_proved = |change: fn(&mut Head)| {
        let mut net = dense(&[2, 3]);
        net.layers[0].mean = vec![0.0; 3];
        net.bias = Trained::new(Vec::new());
        let mut head = Head::init(3, 4, 2, 1);
        head.classes.bias.value = vec![9.0, -9.0];
        change(&mut head);
        net.head = Some((Turn::Stay, head));
        evaluator.proofs(&net, vec![0.5; 2], vec![0.5; 2], &[0])[0]
    };
    assert!(is_proved(|_| ()));
    // As large as a float32 can be, and just large enough.
    assert!(!is_proved(|head| head.hidden.weight.value.fill(f32::MAX)));
    assert!(!is_proved(|head| head.classes.weight.value.fill(f32::MAX)));
    assert!(!is_proved(|head| head.classes.bias.value[0] = f32::MAX));
    assert!(!is_proved(|head| head.classes.bias.value[0] = 2e38));
    assert!(is_proved(|head| head.classes.bias.value[0] = 1e38));
}

#[test]
fn pixels_that_round_fool_the_margin_and_not_the_intervals() {
    let (evaluator, normalizer) = (evaluator(), Normalizer::new(ID));
    let (mut fooled, mut proved) = (0, 0);
    for seed in 0..3000 {
        let mut draw = Draw::new(6 << 32 | seed);
        let raw = draw.between(1.0, 200.0) as u8;
        let eps = Epsilon::new(draw.between(1.0, 1000.0) as u64, 20_000).unwrap();
        let x = normalizer.table(0)[usize::from(raw)];
        let (mut low, mut high) = ([0.0], [0.0]);
        InputBox::new(ID, eps).around(&[raw], &mut low, &mut high);
        // Class 0 where x is below the middle of both weights, which lies just outside the ball, in real numbers.
        let nominal = eps.to_f64() / ID.std();
        let middle = f64::from(x) + nominal * (1.0 + 1e-8);
        let mut net = dense(&[1, 2]);
        let half = draw.between(0.2, 0.3);
        net.layers[0].weight.value = vec![(middle - half) as f32, (middle + half) as f32];
        let clean = answer(&evaluator, &net, &[x], 0);
        if clean.prediction != 0 || clean.margin <= 2.0 * nominal {
            continue;
        }
        let is_proved = evaluator.proofs(&net, low.to_vec(), high.to_vec(), &[0])[0];
        // The float32 that the perturbed pixel rounds to, normalised as the program does it.
        let moved = normalizer.normalize(0, (f64::from(raw) / 255.0 + eps.to_f64()) as f32);
        let is_false = answer(&evaluator, &net, &[moved], 0).prediction != 0;
        assert!(!(is_proved && is_false), "pixel {raw}, ε = {eps}, weights {:?}", net.layers[0].weight.value);
        fooled += usize::from(is_false);
        proved += usize::from(is_proved);
    }
    assert!(fooled > 0 && proved > 0, "fooled {fooled}, proved {proved}");
}

/// The class of a net of plain distances and the outputs it comes from, by the definition, one float32 operation after
/// the other.
fn plain(net: &NetState, image: &[f32]) -> Vec<f32> {
    net.layers.iter().fold(image.to_vec(), |x, layer| {
        let rows = layer.weight.value.chunks(layer.shape.inputs()).enumerate();
        let neuron = |(o, row): (usize, &[f32])| {
            let distance = x.iter().zip(row).map(|(x, w)| (x - w).abs()).fold(0.0, f32::max);
            layer.mean.get(o).map_or_else(|| distance + net.bias.value[o], |mean| distance - mean)
        };
        rows.map(neuron).collect()
    })
}

/// Every input of boxes some floats wide is visited. `LINF_NETS` makes it longer: a million has been run.
#[test]
fn no_claim_is_false_at_any_float_of_its_box_and_bounds_are_reached() {
    let nets: u64 = std::env::var("LINF_NETS").map_or(2000, |text| text.parse().unwrap());
    let (evaluator, boxes) = (evaluator(), 20);
    let (mut claimed, mut open, mut reached, mut layers_of_one) = (0usize, 0usize, 0usize, 0usize);
    for seed in 0..nets {
        let mut draw = Draw::new(7 << 32 | seed);
        let widths: &[usize] = [&[2, 2][..], &[2, 3, 2], &[2, 2, 2, 3]][(seed % 3) as usize];
        let mut net = dense(widths);
        let spread = 10f64.powf(draw.between(0.0, 3.0));
        for layer in &mut net.layers {
            draw.fill(&mut layer.weight.value, -spread, spread);
            draw.fill(&mut layer.mean, 0.0, spread);
        }
        draw.fill(&mut net.bias.value, -1.0, 1.0);
        let class = |x: &[f32]| super::evaluate::first_smallest(plain(&net, x).into_iter());
        let Boxes { low, high, labels } = boxes_at_the_border(&mut draw, boxes, &class);
        let proved = evaluator.proofs(&net, low.clone(), high.clone(), &labels);
        let (below, above) = evaluator.bounds(&net, low.clone(), high.clone());
        let classes = net.classes();
        for (index, is_proved) in proved.into_iter().enumerate() {
            let (mut least, mut most) = (vec![f32::INFINITY; classes], vec![f32::NEG_INFINITY; classes]);
            let mut changes = false;
            for_floats(&low[2 * index..], &high[2 * index..], &mut |x| {
                let outputs = plain(&net, x);
                changes |= super::evaluate::first_smallest(outputs.iter().copied()) != labels[index];
                for (value, (least, most)) in outputs.iter().zip(least.iter_mut().zip(&mut most)) {
                    *least = least.min(*value);
                    *most = most.max(*value);
                }
            });
            let (below, above) = (&below[classes * index..][..classes], &above[classes * index..][..classes]);
            for class in 0..classes {
                assert!(below[class] <= least[class] && most[class] <= above[class], "net {seed}, box {index}");
            }
            if widths.len() == 2 {
                layers_of_one += 1;
                reached += usize::from(below == least && above == most);
            }
            assert!(!(is_proved && changes), "net {seed}, box {index} is proved and not true");
            claimed += usize::from(is_proved);
            open += usize::from(!is_proved);
        }
    }
    assert!(claimed > 10 * boxes && open > 10 * boxes, "{claimed} claimed, {open} not: the boxes miss the borders");
    assert_eq!(reached, layers_of_one, "the bounds of one layer have no slack");
}

/// Every float32 pair of a box.
pub(super) fn for_floats(low: &[f32], high: &[f32], visit: &mut impl FnMut(&[f32])) {
    let mut a = low[0];
    while a <= high[0] {
        let mut b = low[1];
        while b <= high[1] {
            visit(&[a, b]);
            b = b.next_up();
        }
        a = a.next_up();
    }
}
