//! The CUDA kernels, executed on the host, against our CPU kernels and the f64 reference.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

mod host;

use host::Argument::{Float, Floats, Int, Long};
use host::{Argument, NOTHING, Shape as Sizes, input, launch, output};
use linf_dist::{
    Adam, DistOp, Pool, Shape, Simd, SortOp, SortProfile, adam_step, decay_rows, interval, mean_shift_backward,
    mean_shift_forward, reference, sort_interval,
};

const POWERS: [f64; 19] = [
    1.0,
    1.5,
    2.0,
    3.0,
    7.0,
    8.0,
    9.5,
    10.0,
    10.01,
    12.0,
    16.0,
    24.5,
    47.0,
    64.0,
    93.7,
    300.0,
    1000.0,
    4.0,
    f64::INFINITY,
];
const WHOLE: [i32; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16];
const NEGATIVE: u32 = 1 << 31;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Normal,
    /// Multiples of ½: many ties, many differences of 0.
    Ties,
    /// Some rows of x are rows of w, some are 0.
    Equal,
    Tiny,
    Huge,
    /// Rows from 1e-30 to 1e4.
    Mixed,
}

const KINDS: [Kind; 6] = [Kind::Normal, Kind::Ties, Kind::Equal, Kind::Tiny, Kind::Huge, Kind::Mixed];

/// Sums of twelve uniform numbers: normal enough, reproducible.
fn normals(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}

struct Case {
    shape: Shape,
    x: Vec<f32>,
    w: Vec<f32>,
    g: Vec<f32>,
    /// Into how many slices the inputs, and the outputs of a backward pass, are cut at most.
    slices: usize,
    seed: u32,
}

/// What a backward pass needs.
enum Saved {
    Index(Vec<u32>),
    Finite { inverse: Vec<f32>, scale: Option<Vec<f32>> },
}

impl Case {
    fn new(shape: Shape, kind: Kind, slices: usize, seed: u32) -> Case {
        let Shape { batch, inputs, outputs } = shape;
        let mut x = normals(u64::from(seed) * 3 + 1, batch * inputs);
        let mut w = normals(u64::from(seed) * 3 + 2, outputs * inputs);
        match kind {
            Kind::Normal => {}
            Kind::Ties => x.iter_mut().chain(&mut w).for_each(|v| *v = (*v * 2.0).round() / 2.0),
            Kind::Equal => {
                for (b, row) in x.chunks_mut(inputs).enumerate() {
                    match b % 3 {
                        0 => row.copy_from_slice(&w[b % outputs * inputs..][..inputs]),
                        1 => row.fill(0.0),
                        _ => {}
                    }
                }
                w[..inputs].fill(0.0);
            }
            Kind::Tiny => x.iter_mut().chain(&mut w).for_each(|v| *v *= 1e-30),
            Kind::Huge => x.iter_mut().chain(&mut w).for_each(|v| *v *= 1e4),
            Kind::Mixed => {
                for (n, row) in x.chunks_mut(inputs).chain(w.chunks_mut(inputs)).enumerate() {
                    row.iter_mut().for_each(|v| *v *= [1.0, 1e4, 1e-3, 1e-30][n % 4]);
                }
            }
        }
        Case { shape, x, w, g: normals(u64::from(seed) * 3, batch * outputs), slices, seed }
    }

    fn sizes(&self) -> Argument {
        sizes(self.shape)
    }

    fn pairs(&self) -> usize {
        self.shape.batch * self.shape.outputs
    }

    /// y, and what the gradient needs.
    fn forward(&self, p: f64) -> (Vec<f32>, Saved) {
        let Case { shape, x, w, seed, .. } = self;
        let (pairs, seed) = (self.pairs(), *seed);
        let tiles = shape.batch.div_ceil(128) * shape.outputs.div_ceil(32);
        let slice = shape.inputs.div_ceil(16).div_ceil(self.slices) * 16;
        let slices = shape.inputs.div_ceil(slice);
        let (grid, slice, count) = ([tiles, slices], Long(slice as i64), Int(slices as i32));
        let each = [pairs.div_ceil(128), 1];
        let parts = || vec![f32::NAN; slices * pairs];
        let (mut y, mut inverse) = (vec![f32::NAN; pairs], vec![f32::NAN; pairs]);
        let p32 = Float(p as f32);
        if p.is_infinite() {
            let module = ("largest.cu", None);
            let (mut maxima, mut tile, mut index) = (parts(), vec![u32::MAX; slices * pairs], vec![u32::MAX; pairs]);
            let arguments = [input(x), input(w), output(&mut maxima), output(&mut tile), self.sizes(), slice];
            launch(module, "largest_with_tile", grid, 128, seed, &arguments);
            let arguments =
                [input(&maxima), input(&tile), output(&mut y), output(&mut index), Long(pairs as i64), count];
            launch(module, "join_largest", each, 128, seed, &arguments);
            let arguments = [input(x), input(w), input(&y), output(&mut index), self.sizes()];
            launch(module, "find_index", [(pairs * 16).div_ceil(128), 1], 128, seed, &arguments);
            return (y, Saved::Index(index));
        }
        if let Some(power) = plain_power(p) {
            let module = ("sums.cu", Some(power));
            let mut sums = parts();
            launch(module, "sums", grid, 128, seed, &[input(x), input(w), output(&mut sums), self.sizes(), slice, p32]);
            let (y_to, inverse_to) = (output(&mut y), output(&mut inverse));
            let arguments = [input(&sums), input(x), input(w), y_to, inverse_to, self.sizes(), count, Float(p as f32)];
            launch(module, "finish_sums", each, 128, seed, &arguments);
            return (y, Saved::Finite { inverse, scale: None });
        }
        let module = ("norms.cu", None);
        let (mut sums, mut inverses, mut scale) = (parts(), parts(), vec![f32::NAN; pairs]);
        let least = Float(least(shape.inputs, p));
        let (sums_to, inverses_to) = (output(&mut sums), output(&mut inverses));
        let arguments = [input(x), input(w), sums_to, inverses_to, self.sizes(), slice, p32, least];
        launch(module, "norms", grid, 128, seed, &arguments);
        let to = [output(&mut y), output(&mut inverse), output(&mut scale)];
        let arguments: Vec<Argument> = [input(&sums), input(&inverses)]
            .into_iter()
            .chain(to)
            .chain([Long(pairs as i64), count, Float(p as f32)])
            .collect();
        launch(module, "finish_norms", each, 128, seed, &arguments);
        (y, Saved::Finite { inverse, scale: Some(scale) })
    }

    fn backward(&self, p: f64, saved: &Saved) -> (Vec<f32>, Vec<f32>) {
        let Case { shape, x, w, g, seed, .. } = self;
        let (mut dx, mut dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
        let (inverse, scale) = match saved {
            Saved::Index(index) => {
                scatter(*shape, index, g, &[1.0], &mut dx, &mut dw, *seed);
                return (dx, dw);
            }
            Saved::Finite { inverse, scale } => (inverse, scale),
        };
        let module = ("slopes.cu", Some(plain_power(p).unwrap_or(-1)));
        let slice = shape.outputs.div_ceil(self.slices);
        let slices = shape.outputs.div_ceil(slice);
        let mut parts = vec![f32::NAN; slices * x.len()];
        let least = if scale.is_some() { least(shape.inputs, p - 1.0) } else { 0.0 };
        let scale = scale.as_ref().map_or(NOTHING, |scale| input(scale));
        let from = [input(x), input(w), input(inverse), scale, input(g), output(&mut parts), output(&mut dw)];
        let arguments: Vec<Argument> =
            from.into_iter().chain([self.sizes(), Long(slice as i64), Float(p as f32), Float(least)]).collect();
        launch(module, "slopes", [shape.inputs.div_ceil(32), slices], 256, *seed, &arguments);
        let arguments = [input(&parts), output(&mut dx), Long(x.len() as i64), Int(slices as i32)];
        launch(module, "join_sums", [x.len().div_ceil(128), 1], 128, *seed, &arguments);
        (dx, dw)
    }

    /// Greatest sum of the magnitudes of what any coordinate of each row of dx, and of dw, is made of: the scale its
    /// errors are measured by.
    fn gradient_scales(&self, p: f64) -> (Vec<f64>, Vec<f64>) {
        let Shape { batch, inputs, outputs } = self.shape;
        let (mut dx, mut dw) = (vec![0f64; batch * inputs], vec![0f64; outputs * inputs]);
        for b in 0..batch {
            for o in 0..outputs {
                let one = Shape { batch: 1, inputs, outputs: 1 };
                let (x, w) = (&self.x[b * inputs..][..inputs], &self.w[o * inputs..][..inputs]);
                let (slopes, _) = reference::backward(one, p, x, w, &[self.g[b * outputs + o]]);
                for (i, slope) in slopes.iter().enumerate() {
                    dx[b * inputs + i] += slope.abs();
                    dw[o * inputs + i] += slope.abs();
                }
            }
        }
        let rows = |d: &[f64]| d.chunks(inputs).map(|row| row.iter().fold(0.0, |m: f64, v| m.max(*v))).collect();
        (rows(&dx), rows(&dw))
    }

    /// Compares values and gradients with the f64 reference, and with our CPU kernels: at p = ∞ to the bit.
    fn check(&self, p: f64, what: &str) {
        let what = format!("p = {p}, {:?}, {} slices, {what}", self.shape, self.slices);
        let (y, saved) = self.forward(p);
        let (dx, dw) = self.backward(p, &saved);
        let expected = reference::forward(self.shape, p, &self.x, &self.w);
        let tolerance = if p.is_infinite() { 0.0 } else { 1e-6 };
        for (pair, (&y, &expected)) in y.iter().zip(&expected).enumerate() {
            let error = (f64::from(y) - expected).abs();
            assert!(error <= tolerance * expected, "{what}: y[{pair}] = {y}, expected {expected}");
        }
        let (expected_dx, expected_dw) = reference::backward(self.shape, p, &self.x, &self.w, &self.g);
        let (dx_scales, dw_scales) = self.gradient_scales(p);
        let tolerance = if p.is_infinite() { 1e-6 } else { 1e-5f64.max(p * 1e-7) };
        let (mut cpu_y, mut cpu_dx, mut cpu_dw) = (y.clone(), dx.clone(), dw.clone());
        let (pool, mut op) = (Pool::new(1), DistOp::new(Simd::best()));
        op.forward(&pool, self.shape, p, &self.x, &self.w, &mut cpu_y, true);
        op.backward(&pool, &self.x, &self.w, &self.g, Some(&mut cpu_dx), Some(&mut cpu_dw));
        for (name, got, cpu, expected, scales) in
            [("dx", &dx, &cpu_dx, &expected_dx, &dx_scales), ("dw", &dw, &cpu_dw, &expected_dw, &dw_scales)]
        {
            for (k, (&got, &expected)) in got.iter().zip(expected).enumerate() {
                let scale = scales[k / self.shape.inputs];
                let error = (f64::from(got) - expected).abs();
                assert!(error <= tolerance * scale, "{what}: {name}[{k}] = {got}, expected {expected}, scale {scale}");
                let apart = f64::from((got - cpu[k]).abs());
                assert!(apart <= 2.0 * tolerance * scale, "{what}: {name}[{k}] = {got}, on the CPU {}", cpu[k]);
            }
        }
        if p.is_infinite() {
            assert!(y == cpu_y && dx == cpu_dx && dw == cpu_dw, "{what}: not the bits of the CPU");
        }
        for (pair, (&y, &cpu)) in y.iter().zip(&cpu_y).enumerate() {
            assert!((y - cpu).abs() <= 2e-6 * cpu, "{what}: y[{pair}] = {y}, on the CPU {cpu}");
        }
    }
}

fn sizes(shape: Shape) -> Argument {
    Argument::Shape(Sizes(shape.batch as i64, shape.inputs as i64, shape.outputs as i64))
}

/// The POWER of the kernels that sum up plain powers; `None` where the largest difference is the reference.
fn plain_power(p: f64) -> Option<i32> {
    let whole = (p.fract() == 0.0).then_some(p as i32).filter(|p| WHOLE.contains(p));
    whole.or((p < 16.0).then_some(0))
}

/// The share of the largest difference below which a power q is passed over: all such terms together are below 2⁻²⁰.
fn least(inputs: usize, q: f64) -> f32 {
    (2f64.powi(-20) / inputs as f64).powf(1.0 / q) as f32
}

fn scatter(shape: Shape, index: &[u32], g: &[f32], weights: &[f32], dx: &mut [f32], dw: &mut [f32], seed: u32) {
    let Shape { batch, inputs, outputs } = shape;
    let parts = inputs.div_ceil(2048);
    let mut all = [0.0; 10];
    all[..weights.len()].copy_from_slice(weights);
    let count = weights.len() as i32;
    for (to, rows, others, strides, sign) in
        [(dx, batch, outputs, [outputs, 1], 1.0), (dw, outputs, batch, [1, outputs], -1.0)]
    {
        let [row, other] = strides.map(|stride| Long(stride as i64));
        let arguments = [
            input(index),
            input(g),
            output(to),
            Long(inputs as i64),
            Long(others as i64),
            row,
            other,
            Floats(all),
            Int(count),
            Float(sign),
        ];
        launch(("scatter.cu", None), "scatter", [rows * parts, 1], 32, seed, &arguments);
    }
}

#[test]
fn every_power_and_kind_agrees_with_the_reference_and_the_cpu() {
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 33, 10), (13, 70, 21)] {
        let shape = Shape { batch, inputs, outputs };
        for p in POWERS {
            for (kind, slices) in KINDS.into_iter().zip([1, 3, 2, 1, 2, 3]) {
                Case::new(shape, kind, slices, 7).check(p, &format!("{kind:?}"));
            }
        }
    }
}

#[test]
fn several_blocks_and_chunks_agree_too() {
    for (batch, inputs, outputs, slices) in [(130, 17, 35, 2), (300, 20, 9, 1), (5, 40, 67, 3)] {
        let shape = Shape { batch, inputs, outputs };
        for p in [3.0, 8.0, 9.5, 47.0, 1000.0, f64::INFINITY] {
            Case::new(shape, Kind::Normal, slices, 5).check(p, "blocks");
        }
    }
}

#[test]
fn long_rows_are_scattered_in_parts() {
    let shape = Shape { batch: 3, inputs: 4500, outputs: 5 };
    Case::new(shape, Kind::Normal, 4, 2).check(f64::INFINITY, "long");
}

#[test]
fn the_first_of_equal_maxima_has_the_gradient() {
    for inputs in [1, 3, 16, 17, 40] {
        for first in 0..inputs {
            // Every coordinate from `first` on attains the maximum, with alternating signs.
            let x: Vec<f32> = (0..inputs).map(|i| if i < first { 0.5 } else { [2.0, -2.0][i % 2] }).collect();
            for slices in [1, 3] {
                let shape = Shape { batch: 1, inputs, outputs: 1 };
                let case = Case { shape, x: x.clone(), w: vec![0.0; inputs], g: vec![3.0], slices, seed: 1 };
                let (y, Saved::Index(index)) = case.forward(f64::INFINITY) else { panic!("no index") };
                let sign = if x[first] < 0.0 { NEGATIVE } else { 0 };
                assert_eq!((y[0], index[0]), (2.0, first as u32 | sign));
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_order_of_threads_and_blocks() {
    let shape = Shape { batch: 140, inputs: 40, outputs: 37 };
    for p in [8.0, 9.5, 47.0, f64::INFINITY] {
        let bits = |seed| {
            let case = Case { seed, ..Case::new(shape, Kind::Ties, 2, 9) };
            let (y, saved) = case.forward(p);
            let (dx, dw) = case.backward(p, &saved);
            [y, dx, dw].concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        let expected = bits(0);
        assert!((1..4).all(|seed| bits(seed) == expected), "p = {p}");
    }
}

#[test]
fn bounds_are_those_of_the_cpu_to_the_bit() {
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 33, 10), (130, 40, 35)] {
        let shape = Shape { batch, inputs, outputs };
        for (seed, kind) in (1..).zip(KINDS) {
            let Case { x, w, .. } = Case::new(shape, kind, 1, seed);
            let (lo, hi): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (x - 0.1, x + 0.1)).unzip();
            let [mut lowest, mut highest, mut cpu_lowest, mut cpu_highest] =
                [(); 4].map(|()| vec![f32::NAN; batch * outputs]);
            let tiles = batch.div_ceil(128) * outputs.div_ceil(32);
            let to = [output(&mut lowest), output(&mut highest)];
            let arguments: Vec<Argument> =
                [input(&lo), input(&hi), input(&w)].into_iter().chain(to).chain([sizes(shape)]).collect();
            launch(("interval.cu", None), "bounds", [tiles, 1], 128, seed, &arguments);
            interval(&Pool::new(1), Simd::best(), shape, &lo, &hi, &w, &mut cpu_lowest, &mut cpu_highest);
            assert!(lowest == cpu_lowest && highest == cpu_highest, "{kind:?}, {shape:?}");
        }
    }
}

#[test]
fn sort_neurons_and_their_gradients_and_bounds_are_those_of_the_cpu_to_the_bit() {
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 3, 10), (13, 70, 21), (40, 33, 18)] {
        let shape = Shape { batch, inputs, outputs };
        let profile = SortProfile::geometric(0.3, inputs);
        let count = profile.weights().len();
        let mut weights = [0.0; 10];
        weights[..count].copy_from_slice(profile.weights());
        for (seed, kind) in (1..).zip(KINDS) {
            let Case { x, w, g, .. } = Case::new(shape, kind, 1, seed);
            let (module, pool, simd) = (("sort.cu", None), Pool::new(1), Simd::best());
            let grid = [batch.div_ceil(32) * outputs.div_ceil(16), 1];
            let (mut y, mut cpu_y) = (vec![f32::NAN; batch * outputs], vec![f32::NAN; batch * outputs]);
            let mut index = vec![u32::MAX; batch * outputs * count];
            let (to, rest) = ([output(&mut y), output(&mut index)], [sizes(shape), Floats(weights), Int(count as i32)]);
            let arguments: Vec<Argument> = [input(&x), input(&w)].into_iter().chain(to).chain(rest).collect();
            launch(module, "sort_largest", grid, 128, seed, &arguments);
            let mut op = SortOp::new(simd, profile.clone());
            op.forward(&pool, shape, &x, &w, &mut cpu_y, true);
            assert!(y == cpu_y, "{kind:?}, {shape:?}");
            let [mut dx, mut cpu_dx] = [(); 2].map(|()| vec![f32::NAN; x.len()]);
            let [mut dw, mut cpu_dw] = [(); 2].map(|()| vec![f32::NAN; w.len()]);
            scatter(shape, &index, &g, profile.weights(), &mut dx, &mut dw, seed);
            op.backward(&pool, &g, Some(&mut cpu_dx), Some(&mut cpu_dw));
            assert!(dx == cpu_dx && dw == cpu_dw, "{kind:?}, {shape:?}");

            let (lo, hi): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (x - 0.1, x + 0.1)).unzip();
            let [mut low, mut high, mut cpu_low, mut cpu_high] = [(); 4].map(|()| vec![f32::NAN; batch * outputs]);
            for (kernel, to) in [("sort_lowest", &mut low), ("sort_highest", &mut high)] {
                let from = [input(&lo), input(&hi), input(&w), output(to)];
                let rest = [sizes(shape), Floats(weights), Int(count as i32)];
                let arguments: Vec<Argument> = from.into_iter().chain(rest).collect();
                launch(module, kernel, grid, 128, seed, &arguments);
            }
            sort_interval(&pool, simd, &profile, shape, &lo, &hi, &w, &mut cpu_low, &mut cpu_high);
            assert!(low == cpu_low && high == cpu_high, "{kind:?}, {shape:?}");
        }
    }
}

#[test]
fn mean_shift_is_that_of_the_cpu_to_the_bit() {
    for (batch, outputs) in [(1, 1), (3, 5), (33, 32), (300, 70)] {
        let y = normals(batch as u64, batch * outputs);
        let (mut ours, mut running) = (y.clone(), vec![2.0; outputs]);
        let arguments = |y: &mut [f32], running: Argument| {
            [output(y), running, Long(batch as i64), Long(outputs as i64), Float(0.9), Float(1.0 - 0.9f32)]
        };
        let grid = [outputs.div_ceil(32), 1];
        let (module, running_to) = (("mean_shift.cu", None), output(&mut running));
        launch(module, "mean_shift", grid, 256, 3, &arguments(&mut ours, running_to));
        let (mut cpu, mut means) = (y.clone(), vec![0.0; outputs]);
        mean_shift_forward(&Pool::new(1), Simd::best(), batch, &mut cpu, &mut means);
        assert!(ours == cpu);
        assert!(running.iter().zip(&means).all(|(running, mean)| *running == 0.9 * 2.0 + (1.0 - 0.9f32) * mean));
        let mut gradient = y.clone();
        launch(module, "mean_shift", grid, 256, 4, &arguments(&mut gradient, NOTHING));
        let mut cpu = y.clone();
        mean_shift_backward(&Pool::new(1), Simd::best(), batch, &mut cpu);
        assert!(gradient == cpu);
        let (mut biased, bias) = (y.clone(), normals(1, outputs));
        let all = [output(&mut biased), input(&bias), Long(y.len() as i64), Long(outputs as i64)];
        launch(module, "add_bias", [y.len().div_ceil(128), 1], 128, 1, &all);
        assert!(biased.iter().enumerate().all(|(k, value)| *value == y[k] + bias[k % outputs]));
    }
}

/// The constants of Adam as the kernels take them.
fn adam_argument(adam: &Adam, lr: f32, step: i32) -> Argument {
    let correction = |beta: f32| 1.0 - f64::from(beta).powi(step);
    let rate = (f64::from(lr) / correction(adam.beta1)) as f32;
    let root = (1.0 / correction(adam.beta2).sqrt()) as f32;
    let Adam { beta1, beta2, eps } = *adam;
    Floats([beta1, 1.0 - beta1, beta2, 1.0 - beta2, rate, root, eps, 0.0, 0.0, 0.0])
}

#[test]
fn adam_and_its_decay_are_those_of_the_cpu() {
    let (pool, simd, adam) = (Pool::new(1), Simd::best(), Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 });
    for inputs in [1, 2, 7, 45, 600] {
        for p in [1.0, 2.0, 3.0, 8.5, 300.0, 1000.0, f64::INFINITY] {
            for amount in [0.0, 0.01] {
                let mut w = normals(3, 3 * inputs);
                w[inputs / 2] = 0.0;
                // Two entries of one row are the largest.
                w[2 * inputs + inputs / 3] = 9.0;
                w[3 * inputs - 1] = -9.0;
                let norm = w.chunks(inputs).map(|row| row.iter().map(|w| w.abs()).sum()).fold(0.0, f32::max);
                let g = normals(4, 3 * inputs);
                let (mut m, mut v) = (normals(5, 3 * inputs), vec![0.5; 3 * inputs]);
                let (mut cpu_w, mut cpu_m, mut cpu_v, mut bad) = (w.clone(), m.clone(), v.clone(), [0i32]);
                let to = [output(&mut w), input(&g), output(&mut m), output(&mut v)];
                let rest = [Long(inputs as i64), Float(p as f32), Float(amount), adam_argument(&adam, 0.03, 4)];
                let arguments: Vec<Argument> = to.into_iter().chain(rest).chain([output(&mut bad)]).collect();
                launch(("adam.cu", None), "adam_rows", [3, 1], 256, 6, &arguments);
                if amount > 0.0 {
                    decay_rows(&pool, simd, p, amount, inputs, &mut cpu_w);
                }
                assert!(adam_step(&pool, simd, &adam, 0.03, 4, &mut cpu_w, &g, &mut cpu_m, &mut cpu_v));
                assert!(m == cpu_m && v == cpu_v && bad == [0]);
                // Without a power the bits are the same; with one, sums are in another order, and a row decays by up to
                // `amount` of its norm.
                let exact = amount == 0.0 || p == 2.0 || p.is_infinite() || inputs == 1;
                let tolerance = if exact { 0.0 } else { 3e-6 * (1.0 + amount * norm) };
                let apart = w.iter().zip(&cpu_w).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
                assert!(apart <= tolerance, "p = {p}, {inputs} inputs, decay {amount}: {apart:e}");
            }
        }
    }
}

#[test]
fn adam_of_a_whole_parameter_says_what_is_not_finite() {
    let (pool, simd, adam) = (Pool::new(1), Simd::best(), Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 });
    for spoilt in [None, Some(f32::NAN), Some(f32::INFINITY)] {
        let (mut w, mut g) = (normals(3, 300), normals(4, 300));
        if let Some(spoilt) = spoilt {
            g[299] = spoilt;
        }
        let (mut m, mut v, mut bad) = (vec![0.1; 300], vec![0.2; 300], [0i32]);
        let mut cpu: Vec<f32> = w.iter().map(|w| 0.9 * w).collect();
        let (mut cpu_m, mut cpu_v) = (m.clone(), v.clone());
        let to = [output(&mut w), input(&g), output(&mut m), output(&mut v), Long(300)];
        let rest = [Float(0.9), adam_argument(&adam, 0.03, 2), output(&mut bad)];
        let arguments: Vec<Argument> = to.into_iter().chain(rest).collect();
        launch(("adam.cu", None), "adam_all", [3, 1], 128, 5, &arguments);
        let finite = adam_step(&pool, simd, &adam, 0.03, 2, &mut cpu, &g, &mut cpu_m, &mut cpu_v);
        assert_eq!(bad, [i32::from(!finite)]);
        assert_eq!(finite, spoilt.is_none());
        assert!(w[..299] == cpu[..299]);
    }
}
