//! Layers of every form against their definition on single neurons.

use super::*;
use crate::tests::Random;
use crate::{Pool, Shape, Simd, SortProfile, reference};
use proptest::prelude::*;

/// One layer's operands.
struct Layer {
    form: Form,
    batch: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    g: Vec<f32>,
    masks: Vec<Mask>,
}

/// What one neuron sees: for each of its inputs the place in x, if it is not padding, and the place in w.
type Sight = Vec<(Option<usize>, usize)>;

impl Layer {
    fn new(form: Form, batch: usize, seed: u64) -> Layer {
        let mut random = Random(seed);
        let x = random.normals(batch * form.input().values());
        let w = random.normals(form.weights());
        Layer { form, batch, x, w, g: random.normals(batch * form.output().values()), masks: Vec::new() }
    }

    fn masked(mut self, seed: u64) -> Layer {
        let mut random = Random(seed);
        let mut keep = |all: usize| {
            let kept: Vec<u32> = (0..all as u32).filter(|_| random.uniform() < 0.6).collect();
            Some(if kept.is_empty() { vec![all as u32 - 1] } else { kept })
        };
        let (inputs, outputs) = (self.form.input().channels, self.form.output().channels);
        self.masks = (0..self.batch.div_ceil(MASK_SAMPLES))
            .map(|n| Mask {
                inputs: if n == 1 { None } else { keep(inputs) },
                outputs: if n == 2 { None } else { keep(outputs) },
            })
            .collect();
        self
    }

    /// The definition of a convolution in groups under dropout, index by index; `None` where the output is dropped.
    fn sight(&self, sample: usize, output: usize, row: usize, column: usize) -> Option<Sight> {
        let (input, window) = (self.form.input(), self.form.window());
        let mask = self.masks.get(sample / MASK_SAMPLES);
        let keeps = |list: Option<&Vec<u32>>, c: usize| list.is_none_or(|list| list.contains(&(c as u32)));
        if !keeps(mask.and_then(|mask| mask.outputs.as_ref()), output) {
            return None;
        }
        let (inputs, outputs) = (input.channels / self.form.groups(), self.form.output().channels / self.form.groups());
        let mut sight = Vec::new();
        for c in 0..inputs {
            let channel = output / outputs * inputs + c;
            if !keeps(mask.and_then(|mask| mask.inputs.as_ref()), channel) {
                continue;
            }
            for down in 0..window.kernel {
                for across in 0..window.kernel {
                    let y = (row * window.stride + down * window.dilation) as i64 - window.pad as i64;
                    let x = (column * window.stride + across * window.dilation) as i64 - window.pad as i64;
                    let inside = (0..input.height as i64).contains(&y) && (0..input.width as i64).contains(&x);
                    let from = inside.then(|| {
                        ((sample * input.height + y as usize) * input.width + x as usize) * input.channels + channel
                    });
                    let weight = ((output * inputs + c) * window.kernel + down) * window.kernel + across;
                    sight.push((from, weight));
                }
            }
        }
        Some(sight)
    }

    fn for_neurons(&self, mut f: impl FnMut(usize, Option<Sight>)) {
        let output = self.form.output();
        let mut place = 0;
        for sample in 0..self.batch {
            for row in 0..output.height {
                for column in 0..output.width {
                    for channel in 0..output.channels {
                        f(place, self.sight(sample, channel, row, column));
                        place += 1;
                    }
                }
            }
        }
    }

    fn operands(&self, x: &[f32], sight: &Sight) -> (Shape, Vec<f32>, Vec<f32>) {
        let shape = Shape { batch: 1, inputs: sight.len(), outputs: 1 };
        let x = sight.iter().map(|(from, _)| from.map_or(0.0, |from| x[from])).collect();
        (shape, x, sight.iter().map(|&(_, weight)| self.w[weight]).collect())
    }

    /// (y, dx, dw) in f64, neuron by neuron, and the largest sum of the sizes of what is added up to one of each: rounding
    /// is relative to that, not to what is left where the terms cancel.
    fn by_definition(&self, p: f64) -> ([Vec<f64>; 3], [f64; 3]) {
        let (mut y, mut dx, mut dw) = (vec![0.0; self.g.len()], vec![0.0; self.x.len()], vec![0.0; self.w.len()]);
        let (mut of_dx, mut of_dw) = (vec![0.0; self.x.len()], vec![0.0; self.w.len()]);
        self.for_neurons(|place, sight| {
            let Some(sight) = sight else { return };
            let (shape, x, w) = self.operands(&self.x, &sight);
            y[place] = reference::forward(shape, p, &x, &w)[0];
            let (to_x, to_w) = reference::backward(shape, p, &x, &w, &self.g[place..=place]);
            for (n, (from, weight)) in sight.iter().enumerate() {
                if let Some(from) = from {
                    dx[*from] += to_x[n];
                    of_dx[*from] += to_x[n].abs();
                }
                dw[*weight] += to_w[n];
                of_dw[*weight] += to_w[n].abs();
            }
        });
        let largest = |sums: &[f64]| sums.iter().fold(1e-3f64, |most, sum| most.max(*sum));
        let scales = [largest(&y), largest(&of_dx), largest(&of_dw)];
        ([y, dx, dw], scales)
    }

    fn run(&self, simd: Simd, threads: usize, p: f64) -> [Vec<f32>; 3] {
        let pool = Pool::new(threads);
        let mut op = FormOp::new(simd, self.form);
        let mut y = vec![f32::NAN; self.g.len()];
        let (mut dx, mut dw) = (vec![f32::NAN; self.x.len()], vec![f32::NAN; self.w.len()]);
        op.forward(&pool, self.batch, Neuron::Distance(p), &self.masks, &self.x, &self.w, &mut y, true);
        op.backward(&pool, &self.masks, &self.x, &self.w, &self.g, Some(&mut dx), Some(&mut dw));
        [y, dx, dw]
    }

    fn check(&self, p: f64) -> Result<(), TestCaseError> {
        let (expected, scales) = self.by_definition(p);
        for simd in Simd::available() {
            let found = self.run(simd, 2, p);
            let pairs = found.iter().zip(&expected).zip(scales);
            for (name, ((found, expected), scale)) in ["y", "dx", "dw"].into_iter().zip(pairs) {
                for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let apart = (f64::from(*found) - expected).abs();
                    prop_assert!(apart <= 2e-5 * scale, "{simd:?} {name}[{n}]: {found} {expected}, {:?}", self.form);
                }
            }
        }
        Ok(())
    }
}

prop_compose! {
    fn any_form()(
        groups in 1usize..=3,
        channels in 1usize..=4,
        outputs in 1usize..=4,
        height in 3usize..=7,
        width in 3usize..=6,
        kernel in 1usize..=3,
        stride in 1usize..=3,
        pad in 0usize..=2,
        dilation in 1usize..=2,
    ) -> Form {
        let input = Planes { channels: groups * channels, height, width };
        // A kernel of 3 with dilation 2 spans 5 positions.
        let pad = pad.max((dilation * (kernel - 1) + 1).saturating_sub(height.min(width)).div_ceil(2));
        Form::new(input, groups * outputs, groups, Window { kernel, stride, pad, dilation }).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_form_agrees_with_its_definition(
        form in any_form(),
        batch in 1usize..=3,
        p in prop::sample::select(vec![2.0, 8.0, 9.5, 47.0, 300.0, f64::INFINITY]),
        seed: u64,
    ) {
        Layer::new(form, batch, seed).check(p)?;
    }

    #[test]
    fn dropped_channels_are_neither_seen_nor_computed(
        channels in 1usize..=12,
        outputs in 1usize..=9,
        side in 1usize..=2,
        kernel in 1usize..=2,
        batch in 1usize..=100,
        p in prop::sample::select(vec![8.0, 47.0, f64::INFINITY]),
        seed: u64,
    ) {
        let input = Planes { channels, height: side, width: side };
        let window = Window { kernel: kernel.min(side), ..Window::POINT };
        let form = Form::new(input, outputs, 1, window).unwrap();
        Layer::new(form, batch, seed).masked(seed ^ 1).check(p)?;
    }

    #[test]
    fn bounds_are_those_of_each_neuron(form in any_form(), batch in 1usize..=3, epsilon in 0f32..0.4, keep: bool, seed: u64) {
        let layer = Layer::new(form, batch, seed);
        let (lo, hi): (Vec<f32>, Vec<f32>) = layer.x.iter().map(|x| (x - epsilon, x + epsilon)).unzip();
        let profile = keep.then(|| SortProfile::geometric(0.7, form.patch()));
        for simd in Simd::available() {
            let pool = Pool::new(2);
            let (mut low, mut high) = (vec![f32::NAN; layer.g.len()], vec![f32::NAN; layer.g.len()]);
            let mut op = FormOp::new(simd, form);
            op.interval(&pool, batch, profile.as_ref(), &lo, &hi, &layer.w, &mut low, &mut high);
            layer.for_neurons(|place, sight| {
                let sight = sight.unwrap();
                let ((shape, lo, w), (_, hi, _)) = (layer.operands(&lo, &sight), layer.operands(&hi, &sight));
                if profile.is_none() {
                    let (one_low, one_high) = reference::interval(shape, &lo, &hi, &w);
                    assert_eq!((low[place], high[place]), (one_low[0], one_high[0]));
                }
            });
            // The program's own values lie within.
            let neuron = profile.as_ref().map_or(Neuron::Distance(f64::INFINITY), Neuron::Sort);
            let mut y = vec![0.0; layer.g.len()];
            op.forward(&pool, batch, neuron, &[], &layer.x, &layer.w, &mut y, false);
            for ((y, low), high) in y.iter().zip(&low).zip(&high) {
                prop_assert!(low <= y && y <= high, "{low} {y} {high}");
            }
        }
    }

    #[test]
    fn sort_neurons_of_any_form_are_those_of_each_neuron(form in any_form(), batch in 1usize..=2, seed: u64) {
        let layer = Layer::new(form, batch, seed);
        let profile = SortProfile::geometric(0.6, form.patch());
        let pool = Pool::new(2);
        let mut op = FormOp::new(Simd::best(), form);
        let mut y = vec![f32::NAN; layer.g.len()];
        let (mut dx, mut dw) = (vec![f32::NAN; layer.x.len()], vec![f32::NAN; layer.w.len()]);
        op.forward(&pool, batch, Neuron::Sort(&profile), &[], &layer.x, &layer.w, &mut y, true);
        op.backward(&pool, &[], &layer.x, &layer.w, &layer.g, Some(&mut dx), Some(&mut dw));
        let (mut expected_x, mut expected_w) = (vec![0.0; dx.len()], vec![0.0; dw.len()]);
        layer.for_neurons(|place, sight| {
            let sight = sight.unwrap();
            let (_, x, w) = layer.operands(&layer.x, &sight);
            let mut order: Vec<usize> = (0..x.len()).collect();
            order.sort_by(|&a, &b| (x[b] - w[b]).abs().total_cmp(&(x[a] - w[a]).abs()));
            let mut sum = 0.0;
            for (weight, &n) in profile.weights().iter().zip(&order) {
                sum += weight * (x[n] - w[n]).abs();
                let slope = f64::from(weight * layer.g[place]) * if x[n] - w[n] < 0.0 { -1.0 } else { 1.0 };
                if let Some(from) = sight[n].0 {
                    expected_x[from] += slope;
                }
                expected_w[sight[n].1] -= slope;
            }
            assert_eq!(y[place], sum);
        });
        for (found, expected) in dx.iter().chain(&dw).zip(expected_x.iter().chain(&expected_w)) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
}

#[test]
fn a_layer_too_large_for_one_band_is_that_of_its_samples() {
    let input = Planes { channels: 64, height: 16, width: 16 };
    let form = Form::new(input, 3, 1, Window { kernel: 3, stride: 1, pad: 1, dilation: 1 }).unwrap();
    let layer = Layer::new(form, 30, 4);
    assert!(part::parts(&form, 30, &[], op::PATCH_FLOATS).len() > 1, "the batch fits one band: the test shows nothing");
    let alone = |sample: usize| {
        let cut = |all: &[f32]| all[sample * all.len() / 30..(sample + 1) * all.len() / 30].to_vec();
        Layer { form, batch: 1, x: cut(&layer.x), w: layer.w.clone(), g: cut(&layer.g), masks: Vec::new() }
    };
    for p in [8.0, f64::INFINITY] {
        let [y, dx, dw] = layer.run(Simd::best(), 2, p);
        let mut sum = vec![0f64; dw.len()];
        for sample in 0..30 {
            let [one_y, one_dx, one_dw] = alone(sample).run(Simd::best(), 1, p);
            assert_eq!(y[sample * one_y.len()..][..one_y.len()], one_y);
            let dx = &dx[sample * one_dx.len()..][..one_dx.len()];
            assert!(dx.iter().zip(&one_dx).all(|(a, b)| (a - b).abs() < 1e-4));
            sum.iter_mut().zip(one_dw).for_each(|(sum, part)| *sum += f64::from(part));
        }
        assert!(dw.iter().zip(sum).all(|(dw, sum)| (f64::from(*dw) - sum).abs() < 1e-2 * sum.abs().max(1.0)));
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let input = Planes { channels: 6, height: 5, width: 4 };
    let conv = Form::new(input, 10, 2, Window { kernel: 3, stride: 2, pad: 1, dilation: 1 }).unwrap();
    let dense = Form::dense(45, 29).unwrap();
    for layer in [Layer::new(conv, 37, 1), Layer::new(dense, 70, 2).masked(3)] {
        for simd in Simd::available() {
            for p in [8.0, 47.0, f64::INFINITY] {
                let bits =
                    |threads| layer.run(simd, threads, p).concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                let expected = bits(1);
                assert!([2, 3, 7].into_iter().all(|threads| bits(threads) == expected));
            }
        }
    }
}

#[test]
fn the_published_first_layer_of_imagenet_sees_four_positions() {
    let input = Planes { channels: 3, height: 64, width: 64 };
    let form = Form::new(input, 5120, 1, Window { kernel: 60, stride: 4, pad: 0, dilation: 1 }).unwrap();
    assert_eq!(form.output(), Planes { channels: 5120, height: 2, width: 2 });
    assert_eq!(form.weights(), 5120 * 10_800);
}

#[test]
fn impossible_layers_say_why() {
    let input = Planes { channels: 4, height: 5, width: 5 };
    let window = |kernel, pad, dilation| Window { kernel, stride: 1, pad, dilation };
    let error = |outputs, groups, window| Form::new(input, outputs, groups, window).unwrap_err().to_string();
    assert_eq!(error(4, 3, Window::POINT), "3 groups do not divide 4 input channels and 4 outputs");
    assert_eq!(error(4, 1, window(4, 0, 2)), "a window of 4 with dilation 2 does not fit 5×5 positions padded by 0");
    assert!(Form::new(input, 4, 1, window(4, 1, 2)).is_ok());
    assert!(error(0, 1, Window::POINT).starts_with("a layer needs at least one"));
}

#[test]
fn planes_are_turned_there_and_back() {
    let planes = Planes { channels: 3, height: 2, width: 5 };
    let pool = Pool::new(2);
    let from: Vec<f32> = (0..60).map(|n| n as f32).collect();
    let (mut last, mut back) = (Vec::new(), Vec::new());
    channels_last(&pool, planes, &from, &mut last);
    // Sample 1, position 7, channel 2.
    assert_eq!(last[30 + 7 * 3 + 2], from[30 + 2 * 10 + 7]);
    channels_first(&pool, planes, &last, &mut back);
    assert_eq!(back, from);
}
