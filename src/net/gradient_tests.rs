//! A whole step of the CPU engine against the definition in double precision, differentiated numerically.

use crate::dataset::random;
use crate::dist::Simd;
use crate::experiment::{Adam, Label, PNorm};

use super::{Batch, CpuEngine, Engine, LayerShape, LayerState, NetState, Objective, StepPoint, Trained};

const WIDTHS: [usize; 4] = [6, 5, 4, 3];
const BATCH: usize = 7;
const POINT: StepPoint = StepPoint {
    p: PNorm::INFINITY,
    lr: 0.03,
    scalar_lr: 0.006,
    objective: Objective::Mixture { lambda: 0.7 },
    eps: 0.4,
};

fn trained(value: Vec<f32>) -> Trained {
    Trained { m: vec![0.0; value.len()], v: vec![0.0; value.len()], value }
}

fn net() -> NetState {
    let layers = WIDTHS.windows(2).enumerate().map(|(index, widths)| {
        let shape = LayerShape::dense(widths[0], widths[1]).unwrap();
        let mut weight = vec![0.0; shape.form.weights()];
        random::fill_normal(5, index as u64, &mut weight);
        let mean = if index + 2 == WIDTHS.len() { Vec::new() } else { vec![0.0; shape.outputs()] };
        LayerState { shape, weight: trained(weight), mean }
    });
    NetState {
        layers: layers.collect(),
        bias: trained(vec![0.1, -0.2, 0.05]),
        head: None,
        scalar: trained(vec![1.3]),
        step: 0,
        seed: 0,
    }
}

fn batch() -> (Vec<f32>, Vec<Label>) {
    let mut images = vec![0.0; BATCH * WIDTHS[0]];
    random::fill_normal(9, 0, &mut images);
    (images, (0..BATCH).map(|i| (i % 3) as Label).collect())
}

/// Layer by layer as arXiv 2102.05363 and 2110.06850 define it.
fn loss(net: &[Vec<f64>], bias: &[f64], scalar: f64, images: &[f32], labels: &[Label], p: f64) -> f64 {
    let mut rows: Vec<Vec<f64>> =
        images.chunks(WIDTHS[0]).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    for (index, weight) in net.iter().enumerate() {
        let distance = |row: &[f64], w: &[f64]| {
            let largest = row.iter().zip(w).map(|(x, w)| (x - w).abs()).fold(0.0, f64::max);
            if p.is_infinite() {
                return largest;
            }
            largest * row.iter().zip(w).map(|(x, w)| ((x - w).abs() / largest).powf(p)).sum::<f64>().powf(1.0 / p)
        };
        rows = rows
            .iter()
            .map(|row| weight.chunks(WIDTHS[index]).map(|w| distance(row, w)).collect::<Vec<f64>>())
            .collect();
        for unit in 0..WIDTHS[index + 1] {
            let shift = if index + 1 == net.len() {
                -bias[unit]
            } else {
                rows.iter().map(|row| row[unit]).sum::<f64>() / rows.len() as f64
            };
            rows.iter_mut().for_each(|row| row[unit] -= shift);
        }
    }
    let mut loss = 0.0;
    for (row, &label) in rows.iter().zip(labels) {
        let label = usize::from(label);
        let rival = (0..3).filter(|&j| j != label).map(|j| row[j]).fold(f64::INFINITY, f64::min);
        let norm: f64 = row.iter().map(|d| (-scalar * d).exp()).sum();
        loss += (1.0 + (row[label] - rival) / (2.0 * POINT.eps)).clamp(0.0, 1.0)
            - POINT.objective.lambda() * ((-scalar * row[label]).exp() / norm).ln();
    }
    loss / rows.len() as f64
}

#[test]
fn one_step_has_the_loss_and_the_gradients_of_the_definition() {
    let (images, labels) = batch();
    for p in [8.0, 9.5, 12.0, 47.0, f64::INFINITY] {
        let start = net();
        let mut weights: Vec<Vec<f64>> =
            start.layers.iter().map(|layer| layer.weight.value.iter().map(|&w| f64::from(w)).collect()).collect();
        let mut bias: Vec<f64> = start.bias.value.iter().map(|&b| f64::from(b)).collect();
        let scalar = f64::from(start.scalar.value[0]);

        let mut engine = CpuEngine::new(start, Adam::default(), 2, Simd::detect().unwrap());
        let point = StepPoint { p: PNorm::new(p).unwrap(), ..POINT };
        let stats = engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
        let after = engine.state().unwrap();
        let expected = loss(&weights, &bias, scalar, &images, &labels, p);
        assert!((stats.loss - expected).abs() < 1e-5, "p = {p}: loss {} ≠ {expected}", stats.loss);

        // The first moment after one step is (1 − β₁) times the gradient.
        let h = 1e-6;
        let check = |name: &str, m: f32, up: f64, down: f64| {
            let (ours, theirs) = (f64::from(m) / 0.1, (up - down) / (2.0 * h));
            assert!((ours - theirs).abs() < 2e-4, "p = {p}, {name}: {ours} ≠ {theirs}");
        };
        for layer in 0..weights.len() {
            for index in 0..weights[layer].len() {
                let w = weights[layer][index];
                let mut at = |value| {
                    weights[layer][index] = value;
                    loss(&weights, &bias, scalar, &images, &labels, p)
                };
                let (up, down) = (at(w + h), at(w - h));
                at(w);
                check(&format!("layer {layer} weight {index}"), after.layers[layer].weight.m[index], up, down);
            }
        }
        for index in 0..3 {
            let b = bias[index];
            let mut at = |value| {
                bias[index] = value;
                loss(&weights, &bias, scalar, &images, &labels, p)
            };
            let (up, down) = (at(b + h), at(b - h));
            at(b);
            check(&format!("bias {index}"), after.bias.m[index], up, down);
        }
        let at = |value| loss(&weights, &bias, value, &images, &labels, p);
        check("scalar", after.scalar.m[0], at(scalar + h), at(scalar - h));
    }
}

#[test]
fn adam_moves_every_weight_by_about_the_rate_in_the_first_step() {
    // After one step m̂/√v̂ is ±1 wherever the gradient is not tiny.
    let (images, labels) = batch();
    let mut engine = CpuEngine::new(net(), Adam::default(), 1, Simd::detect().unwrap());
    let point = StepPoint { p: PNorm::new(8.0).unwrap(), ..POINT };
    engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
    let (before, after) = (net(), engine.state().unwrap());
    assert_eq!(after.step, 1);
    for (before, after) in before.layers.iter().zip(&after.layers) {
        for ((old, new), m) in before.weight.value.iter().zip(&after.weight.value).zip(&after.weight.m) {
            assert!(m.abs() < 1e-7 || ((old - new).abs() - 0.03).abs() < 1e-5 && (old - new) * m > 0.0);
        }
    }
    assert!(((before.scalar.value[0] - after.scalar.value[0]).abs() - 0.006).abs() < 1e-6);
}

#[test]
fn running_means_take_a_tenth_of_the_batch_mean() {
    let (images, labels) = batch();
    let mut engine = CpuEngine::new(net(), Adam::default(), 1, Simd::detect().unwrap());
    engine.step(Batch { images: &images, labels: &labels }, &POINT).unwrap();
    let layer = &net().layers[0];
    for (unit, w) in layer.weight.value.chunks(WIDTHS[0]).enumerate() {
        let far = |row: &[f32]| row.iter().zip(w).map(|(x, w)| (x - w).abs()).fold(0.0, f32::max);
        let mean = images.chunks(WIDTHS[0]).map(far).sum::<f32>() / BATCH as f32;
        assert!((engine.state().unwrap().layers[0].mean[unit] - 0.1 * mean).abs() < 1e-6);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (images, labels) = batch();
    let run = |threads| {
        let mut engine = CpuEngine::new(net(), Adam::default(), threads, Simd::detect().unwrap());
        for p in [8.0, 8.7, 14.0, 60.0, 700.0, f64::INFINITY] {
            let point = StepPoint { p: PNorm::new(p).unwrap(), ..POINT };
            engine.step(Batch { images: &images, labels: &labels }, &point).unwrap();
        }
        engine.state().unwrap().clone()
    };
    let one = run(1);
    assert!([2, 3, 7].into_iter().all(|threads| run(threads) == one));
}

#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let (images, labels) = batch();
    let mut broken = net();
    broken.bias.value[0] = f32::NAN;
    let mut engine = CpuEngine::new(broken, Adam::default(), 1, Simd::detect().unwrap());
    let error = engine.step(Batch { images: &images, labels: &labels }, &POINT).unwrap_err();
    assert_eq!(error.to_string(), "loss is not finite");
}
