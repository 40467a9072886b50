//! Convolutions, groups and dropout's subsets on the device against the CPU's, whose tests have the definition.

use linf_cuda::{Array, FormOp, turn};
use linf_dist::{self as cpu, Form, MASK_SAMPLES, Mask, Neuron, Planes, Pool, Simd, SortProfile, Window};

use crate::{gpu, normals, on, unwritten};

/// One layer's operands.
struct Layer {
    form: Form,
    batch: usize,
    masks: Vec<Mask>,
    x: Vec<f32>,
    w: Vec<f32>,
    g: Vec<f32>,
}

impl Layer {
    fn new(form: Form, batch: usize, seed: u64) -> Layer {
        let normals = |n: u64, len: usize| normals(seed * 3 + n, len);
        let x = normals(0, batch * form.input().values());
        let (w, g) = (normals(1, form.weights()), normals(2, batch * form.output().values()));
        Layer { form, batch, masks: Vec::new(), x, w, g }
    }

    /// Every third mask keeps all that comes in, every fourth all that goes out.
    fn masked(mut self) -> Layer {
        let keep = |all: usize, seed: usize| -> Vec<u32> {
            let draws = normals(seed as u64 + 77, all);
            let kept: Vec<u32> = (0..all as u32).filter(|&c| draws[c as usize] < 0.4).collect();
            if kept.is_empty() { vec![all as u32 - 1] } else { kept }
        };
        let (inputs, outputs) = (self.form.input().channels, self.form.output().channels);
        let mask = |n: usize| Mask {
            inputs: (n % 3 != 2).then(|| keep(inputs, 2 * n)),
            outputs: (n % 4 != 3).then(|| keep(outputs, 2 * n + 1)),
        };
        self.masks = (0..self.batch.div_ceil(MASK_SAMPLES)).map(mask).collect();
        self
    }

    /// y, dx and dw, and dw where dx is not wanted.
    fn on_device(&self, neuron: Neuron<'_>, floats: usize) -> [Vec<f32>; 4] {
        let gpu = gpu(5, 2);
        let (x, w, g) = (on(&gpu, &self.x), on(&gpu, &self.w), on(&gpu, &self.g));
        let like = |values: &[f32]| unwritten(&gpu, values.len());
        let (mut y, mut dx, mut dw, mut alone) = (like(&self.g), like(&self.x), like(&self.w), like(&self.w));
        let mut op = FormOp::within(&gpu, self.form, floats).unwrap();
        op.forward(self.batch, neuron, &self.masks, &x, &w, &mut y).unwrap();
        op.backward(&x, &w, &g, Some(&mut dx), &mut dw).unwrap();
        op.backward(&x, &w, &g, None, &mut alone).unwrap();
        [y, dx, dw, alone].map(|array| array.to_vec().unwrap())
    }

    fn on_cpu(&self, neuron: Neuron<'_>) -> [Vec<f32>; 3] {
        let pool = Pool::new(1);
        let [mut y, mut dx, mut dw] = [&self.g, &self.x, &self.w].map(|like| vec![f32::NAN; like.len()]);
        let mut op = cpu::FormOp::new(Simd::best(), self.form);
        op.forward(&pool, self.batch, neuron, &self.masks, &self.x, &self.w, &mut y, true);
        op.backward(&pool, &self.masks, &self.x, &self.w, &self.g, Some(&mut dx), Some(&mut dw));
        [y, dx, dw]
    }

    /// At each p, with so many floats of patches at a time, each.
    fn check(&self, what: &str, powers: &[f64], floats: &[usize]) {
        for &p in powers {
            let expected = self.on_cpu(Neuron::Distance(p));
            let tolerance = if p.is_finite() { 1e-5f32.max(2e-7 * p as f32) } else { 1e-6 };
            for &floats in floats {
                let [y, dx, dw, alone] = self.on_device(Neuron::Distance(p), floats);
                assert!(dw == alone, "{what}, p = {p}: dw depends on whether dx is wanted");
                for (name, (got, expected)) in ["y", "dx", "dw"].into_iter().zip([y, dx, dw].iter().zip(&expected)) {
                    let what = format!("{what}, p = {p}, {floats} floats at a time: {name}");
                    // Sums over parts are in another order where there are others.
                    if p.is_infinite() && floats == usize::MAX {
                        assert!(got == expected, "{what} has not the bits of the CPU");
                    }
                    let scale = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                    let apart = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    // A NaN is apart, too.
                    assert!(
                        apart <= tolerance * scale && got.iter().all(|v| v.is_finite()),
                        "{what}: {apart:e} of {scale:e}"
                    );
                }
            }
        }
    }
}

fn window(kernel: usize, stride: usize, pad: usize, dilation: usize) -> Window {
    Window { kernel, stride, pad, dilation }
}

fn convolutions() -> Vec<(&'static str, Form)> {
    let planes = |channels, height, width| Planes { channels, height, width };
    let form = |input, outputs, groups, window| Form::new(input, outputs, groups, window).unwrap();
    vec![
        ("a grid", form(planes(3, 6, 5), 7, 1, window(3, 1, 1, 1))),
        ("strides", form(planes(2, 7, 8), 5, 1, window(3, 2, 0, 1))),
        ("groups", form(planes(4, 5, 5), 6, 2, window(2, 1, 1, 1))),
        ("holes", form(planes(2, 8, 7), 3, 1, window(3, 2, 2, 2))),
        ("gaps that no window sees", form(planes(1, 9, 9), 4, 1, window(2, 4, 0, 1))),
        ("points", form(planes(5, 3, 4), 6, 1, Window::POINT)),
        ("points in groups", form(planes(6, 3, 2), 9, 3, Window::POINT)),
        ("dense", Form::dense(33, 21).unwrap()),
        ("dense in groups", form(Planes::flat(24), 40, 4, Window::POINT)),
    ]
}

#[test]
fn layers_of_every_form_are_those_of_the_cpu() {
    for (seed, (what, form)) in (1..).zip(convolutions()) {
        Layer::new(form, 9, seed).check(what, &[8.0, 11.3, 300.0, f64::INFINITY], &[usize::MAX, 100]);
    }
}

#[test]
fn sort_neurons_of_every_form_have_the_bits_of_the_cpu() {
    for (seed, (what, form)) in (1..).zip(convolutions()) {
        let (layer, profile) = (Layer::new(form, 9, seed), SortProfile::geometric(0.6, form.patch()));
        let [y, dx, dw, alone] = layer.on_device(Neuron::Sort(&profile), usize::MAX);
        assert!(dw == alone, "{what}");
        assert!([y, dx, dw] == layer.on_cpu(Neuron::Sort(&profile)), "{what}");
    }
}

#[test]
fn dropout_keeps_what_it_keeps_on_the_cpu() {
    for (seed, (what, form)) in (1..).zip(convolutions()).filter(|(_, (_, form))| form.groups() == 1) {
        Layer::new(form, 3 * MASK_SAMPLES + 5, seed).masked().check(what, &[8.0, f64::INFINITY], &[usize::MAX]);
    }
    // Samples and outputs change places only where there are more outputs than a block has samples.
    Layer::new(Form::dense(40, 150).unwrap(), 70, 1).masked().check(
        "many outputs",
        &[47.0, f64::INFINITY],
        &[usize::MAX],
    );
}

#[test]
fn evaluation_and_bounds_of_every_form_have_the_bits_of_the_cpu() {
    let pool = Pool::new(1);
    for (seed, (what, form)) in (1..).zip(convolutions()) {
        let Layer { batch, x, w, g, .. } = &Layer::new(form, 7, seed);
        let (lo, hi): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (x - 0.1, x + 0.1)).unzip();
        for profile in [None, Some(SortProfile::geometric(0.7, form.patch()))] {
            let neuron = profile.as_ref().map_or(Neuron::Distance(f64::INFINITY), Neuron::Sort);
            let [mut y, mut low, mut high] = [(); 3].map(|()| vec![f32::NAN; g.len()]);
            let mut op = cpu::FormOp::new(Simd::best(), form);
            op.forward(&pool, *batch, neuron, &[], x, w, &mut y, false);
            op.interval(&pool, *batch, profile.as_ref(), &lo, &hi, w, &mut low, &mut high);
            for floats in [usize::MAX, 100] {
                let gpu = gpu(2, 1);
                let [mut ours, mut lowest, mut highest] = [(); 3].map(|()| unwritten(&gpu, g.len()));
                let (on_w, mut op) = (on(&gpu, w), FormOp::within(&gpu, form, floats).unwrap());
                op.evaluate(*batch, neuron, &on(&gpu, x), &on_w, &mut ours).unwrap();
                let (on_lo, on_hi) = (on(&gpu, &lo), on(&gpu, &hi));
                op.bounds(*batch, profile.as_ref(), &on_lo, &on_hi, &on_w, &mut lowest, &mut highest).unwrap();
                assert!(ours.to_vec().unwrap() == y, "{what}, {profile:?}");
                assert!(lowest.to_vec().unwrap() == low && highest.to_vec().unwrap() == high, "{what}, {profile:?}");
            }
        }
    }
}

#[test]
fn matrices_are_turned() {
    for (seed, (count, rows, columns)) in (1..).zip([(1, 1, 1), (3, 33, 70), (2, 64, 5), (1, 31, 32)]) {
        let (gpu, from) = (gpu(seed, 1), normals(4, count * rows * columns));
        let mut to = Array::zeros(&gpu, 0).unwrap();
        turn(&*gpu, count, rows, columns, &on(&gpu, &from), &mut to).unwrap();
        for (k, value) in to.to_vec().unwrap().into_iter().enumerate() {
            let (matrix, column, row) = (k / (rows * columns), k / rows % columns, k % rows);
            assert!(value == from[(matrix * rows + row) * columns + column]);
        }
    }
}
