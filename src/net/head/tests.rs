//! The head against its definition, and what it proves against what it does.

use super::*;
use crate::experiment::Label;
use crate::net::Trained;

const FEATURES: usize = 7;
const HIDDEN: usize = 6;
const CLASSES: usize = 4;

fn head() -> Head {
    let mut head = Head::init(FEATURES, HIDDEN, CLASSES, 5);
    random::fill_normal(6, 0, &mut head.hidden.bias.value);
    random::fill_normal(6, 1, &mut head.classes.bias.value);
    head
}

fn features(rows: usize) -> Vec<f32> {
    let mut features = vec![0.0; rows * FEATURES];
    random::fill_normal(7, 0, &mut features);
    features
}

/// All numbers of a head in double precision, changeable one by one.
#[derive(Clone)]
struct Plain([Vec<f64>; 4]);

impl Plain {
    fn new(head: &Head) -> Plain {
        let wide = |trained: &Trained| trained.value.iter().map(|&value| f64::from(value)).collect();
        Plain(head.parts().map(|(_, _, trained)| wide(trained)))
    }

    /// z and W of one row, as the paper defines them: centre and radius through each layer, the last one merged with the
    /// question.
    fn of(&self, f: &[f64], label: usize, eps: f64) -> (Vec<f64>, Vec<f64>) {
        let Plain([w1, b1, w2, b2]) = self;
        let (c1, c2) = ((FEATURES as f64).sqrt().recip(), (HIDDEN as f64).sqrt().recip());
        let (mut h, mut low, mut high) = (vec![], vec![], vec![]);
        for o in 0..HIDDEN {
            let row = &w1[o * FEATURES..][..FEATURES];
            let z = c1 * row.iter().zip(f).map(|(w, f)| w * f).sum::<f64>() + b1[o];
            let radius = c1 * eps * row.iter().map(|w| w.abs()).sum::<f64>();
            h.push(z.tanh());
            low.push((z - radius).tanh());
            high.push((z + radius).tanh());
        }
        let row = |j: usize| &w2[j * HIDDEN..][..HIDDEN];
        let logit = |j: usize| c2 * row(j).iter().zip(&h).map(|(w, h)| w * h).sum::<f64>() + b2[j];
        let worst = |j: usize| {
            let mut sum = b2[j] - b2[label];
            for k in 0..HIDDEN {
                let w = row(j)[k] - row(label)[k];
                sum += c2 * (w * (low[k] + high[k]) / 2.0 + w.abs() * (high[k] - low[k]) / 2.0);
            }
            sum
        };
        ((0..CLASSES).map(logit).collect(), (0..CLASSES).map(worst).collect())
    }
}

/// Σ a·z + b·W over a batch, with fixed a and b (b is 0 where W is 0 by definition).
fn probe(plain: &Plain, f: &[f64], labels: &[Label], eps: f64, a: &[f32], b: &[f32]) -> f64 {
    let mut sum = 0.0;
    for (n, (f, &label)) in f.chunks(FEATURES).zip(labels).enumerate() {
        let (z, w) = plain.of(f, usize::from(label), eps);
        for j in 0..CLASSES {
            sum += f64::from(a[n * CLASSES + j]) * z[j] + f64::from(b[n * CLASSES + j]) * w[j];
        }
    }
    sum
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let (pool, simd) = (Pool::new(2), Simd::best());
    let (head, f, labels) = (head(), features(5), [0u16, 3, 1, 2, 0]);
    for eps in [0.0, 0.2] {
        let (mut a, mut b) = (vec![0.0; 5 * CLASSES], vec![0.0; 5 * CLASSES]);
        random::fill_normal(8, 0, &mut a);
        random::fill_normal(8, 1, &mut b);
        for (n, &label) in labels.iter().enumerate() {
            b[n * CLASSES + usize::from(label)] = 0.0;
        }
        let mut pass = HeadPass::default();
        pass.forward(&pool, simd, &head, &f, &labels, eps);
        pass.backward(&pool, simd, &head, &f, &labels, eps, &a, &b);

        let wide: Vec<f64> = f.iter().map(|&f| f64::from(f)).collect();
        let plain = Plain::new(&head);
        for (n, (f, &label)) in wide.chunks(FEATURES).zip(&labels).enumerate() {
            let (z, w) = plain.of(f, usize::from(label), eps);
            for j in 0..CLASSES {
                assert!((f64::from(pass.logits[n * CLASSES + j]) - z[j]).abs() < 1e-5);
                assert!((f64::from(pass.worst[n * CLASSES + j]) - w[j]).abs() < 1e-5);
            }
        }
        let h = 1e-6;
        for part in 0..4 {
            for at in 0..plain.0[part].len() {
                let moved = |by: f64| {
                    let mut plain = plain.clone();
                    plain.0[part][at] += by;
                    probe(&plain, &wide, &labels, eps, &a, &b)
                };
                let (ours, slope) = (pass.gradients[part][at], (moved(h) - moved(-h)) / (2.0 * h));
                assert!((f64::from(ours) - slope).abs() < 1e-4, "part {part}, {at}: {ours} {slope}");
            }
        }
        for at in 0..wide.len() {
            let moved = |by: f64| {
                let mut f = wide.clone();
                f[at] += by;
                probe(&plain, &f, &labels, eps, &a, &b)
            };
            let (ours, slope) = (pass.features[at], (moved(h) - moved(-h)) / (2.0 * h));
            assert!((f64::from(ours) - slope).abs() < 1e-4, "feature {at}: {ours} {slope}");
        }
    }
}

#[test]
fn the_logits_are_those_of_the_pass_to_the_bit_on_any_machine() {
    let (head, f) = (head(), features(9));
    let mut pass = HeadPass::default();
    pass.forward(&Pool::new(1), Simd::Portable, &head, &f, &[0; 9], 0.3);
    for simd in Simd::available() {
        for threads in [1, 3] {
            assert_eq!(head.logits(&Pool::new(threads), simd, &f), pass.logits);
        }
    }
}

#[test]
fn what_is_proved_holds_for_every_point_and_the_margin_is_where_proof_ends() {
    let (pool, simd) = (Pool::new(2), Simd::best());
    let (head, rows) = (head(), 60);
    let f = features(rows);
    let logits = head.logits(&pool, simd, &f);
    let largest = |row: &[f32]| (0..CLASSES).fold(0, |best, j| if row[j] > row[best] { j } else { best }) as Label;
    let labels: Vec<Label> = logits.chunks(CLASSES).map(largest).collect();
    let margins = head.margins(&pool, simd, &f, &labels, 10.0);
    let mut proved = 0;
    for eps in [0.01f32, 0.1, 0.3] {
        let (low, high): (Vec<f32>, Vec<f32>) = f.iter().map(|f| (f - eps, f + eps)).unzip();
        let bounds = head.bounds(&pool, simd, &low, &high);
        for (row, &label) in labels.iter().enumerate() {
            let holds = bounds.proves(row, label);
            // The margin is twice the radius of proof, up to the rounding that the proof allows for.
            assert_eq!(holds, margins[row] > 2.0 * f64::from(eps), "row {row}: {} {eps}", margins[row]);
            assert!(!bounds.proves(row, (label + 1) % CLASSES as Label));
            if !holds {
                continue;
            }
            proved += 1;
            for attempt in 0..20 {
                let at = row * FEATURES..(row + 1) * FEATURES;
                let moved: Vec<f32> = low[at.clone()]
                    .iter()
                    .zip(&high[at])
                    .enumerate()
                    .map(|(n, (low, high))| {
                        let share = random::uniform(attempt, row as u64, n as u64) as f32;
                        // Corners first, then the inside.
                        if attempt < 10 { if share < 0.5 { *low } else { *high } } else { low + share * (high - low) }
                    })
                    .collect();
                assert_eq!(largest(&head.logits(&pool, simd, &moved)), label);
            }
        }
    }
    assert!((20..3 * rows).contains(&proved), "{proved} proved: the test shows nothing");
    // Of another label the margin is negative, and as wide.
    let wrong: Vec<Label> = labels.iter().map(|label| (label + 1) % CLASSES as Label).collect();
    let negative = head.margins(&pool, simd, &f, &wrong, 10.0);
    assert!(margins.iter().zip(negative).all(|(margin, negative)| *margin == -negative));
}

#[test]
fn a_lead_within_the_rounding_of_the_logits_proves_nothing() {
    // Two classes with the same weights, one ahead by a bias of one unit in the last place.
    let mut head = Head::init(FEATURES, HIDDEN, 2, 5);
    let (first, second) = head.classes.weight.value.split_at_mut(HIDDEN);
    second.copy_from_slice(first);
    let f = features(1);
    let proves = |bias: f32, head: &mut Head| {
        head.classes.bias.value = vec![bias, 0.0];
        head.bounds(&Pool::new(1), Simd::best(), &f, &f).proves(0, 0)
    };
    assert!(!proves(f32::EPSILON / 8.0, &mut head));
    assert!(proves(1e-3, &mut head));
}
