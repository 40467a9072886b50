//! The CUDA kernels against our CPU kernels and the f64 reference: executed on the host, or, where LINF_TEST_DEVICE names
//! one (`0`), on a device.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

mod forms;
mod head;
#[allow(dead_code)] // The tests of training use more of it.
mod host;

use std::rc::Rc;

use host::{Host, Limited};
use linf_cuda::{
    AdamStep, Array, Cache, Decay, Device, DistanceOp, Gpu, SortDistances, add_bias, bounds, mean_shift, sort_bounds,
};
use linf_dist::{
    Adam, DistOp, Pool, Shape, Simd, SortOp, SortProfile, adam_step, decay_rows, interval, mean_shift_backward,
    mean_shift_forward, reference, sort_interval,
};

/// All whole p that have kernels of their own, what lies between them, and what lies beyond.
const POWERS: [f64; 28] = [
    1.0,
    1.5,
    2.0,
    3.0,
    4.0,
    5.0,
    6.0,
    7.0,
    8.0,
    9.0,
    9.5,
    10.0,
    10.01,
    11.0,
    12.0,
    14.0,
    16.0,
    18.0,
    20.0,
    22.0,
    24.0,
    24.5,
    47.0,
    64.0,
    93.7,
    300.0,
    1000.0,
    f64::INFINITY,
];

/// Where kernels run in these tests. On the host `seed` shuffles threads and blocks. More multiprocessors mean more slices
/// of sums, 0 one alone.
fn gpu(seed: u32, multiprocessors: usize) -> Rc<dyn Gpu> {
    thread_local! {
        static DEVICE: Option<Rc<dyn Gpu>> = std::env::var("LINF_TEST_DEVICE").ok().map(|index| {
            Device::open(index.parse().expect("a number"), Cache::usual()).unwrap_or_else(|error| panic!("{error}"))
        });
    }
    DEVICE.with(|device| match device {
        None => Host::gpu(seed, multiprocessors),
        Some(device) => Limited::to(device, multiprocessors),
    })
}

fn on(gpu: &Rc<dyn Gpu>, values: &[f32]) -> Array<f32> {
    Array::of(gpu, values).unwrap()
}

/// What a kernel leaves out shows.
fn unwritten(gpu: &Rc<dyn Gpu>, len: usize) -> Array<f32> {
    on(gpu, &vec![f32::NAN; len])
}

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
    /// Their squares are beyond float.
    Vast,
}

const KINDS: [Kind; 7] = [Kind::Normal, Kind::Ties, Kind::Equal, Kind::Tiny, Kind::Huge, Kind::Mixed, Kind::Vast];

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
    gpu: Rc<dyn Gpu>,
}

impl Case {
    /// More multiprocessors mean more slices of sums.
    fn new(shape: Shape, kind: Kind, multiprocessors: usize, seed: u32) -> Case {
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
            Kind::Vast => x.iter_mut().chain(&mut w).for_each(|v| *v *= 1e30),
            Kind::Mixed => {
                for (n, row) in x.chunks_mut(inputs).chain(w.chunks_mut(inputs)).enumerate() {
                    row.iter_mut().for_each(|v| *v *= [1.0, 1e4, 1e-3, 1e-30][n % 4]);
                }
            }
        }
        let g = normals(u64::from(seed) * 3, batch * outputs);
        Case { shape, x, w, g, gpu: gpu(seed, multiprocessors) }
    }

    /// y, dx and dw.
    fn run(&self, p: f64) -> [Vec<f32>; 3] {
        let Case { shape, gpu, .. } = self;
        let (x, w, g) = (on(gpu, &self.x), on(gpu, &self.w), on(gpu, &self.g));
        let [mut y, mut dx, mut dw] = [&self.g, &self.x, &self.w].map(|like| unwritten(gpu, like.len()));
        let mut op = DistanceOp::new(gpu).unwrap();
        op.forward(*shape, p, &x, &w, &mut y, false).unwrap();
        let alone = y.to_vec().unwrap();
        op.forward(*shape, p, &x, &w, &mut y, true).unwrap();
        op.backward(&x, &w, &g, Some(&mut dx), &mut dw).unwrap();
        let [y, dx, dw] = [y, dx, dw].map(|array| array.to_vec().unwrap());
        if p.is_infinite() {
            assert!(alone == y, "{shape:?}: the kernel that looks for no index has other maxima");
        }
        let mut dw_alone = unwritten(gpu, dw.len());
        op.backward(&x, &w, &g, None, &mut dw_alone).unwrap();
        assert!(dw_alone.to_vec().unwrap() == dw, "{shape:?}: dw depends on whether dx is wanted");
        [y, dx, dw]
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
        let what = format!("p = {p}, {:?}, {} multiprocessors, {what}", self.shape, self.gpu.multiprocessors());
        let [y, dx, dw] = self.run(p);
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

#[test]
fn every_power_and_kind_agrees_with_the_reference_and_the_cpu() {
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 33, 10), (13, 70, 21)] {
        let shape = Shape { batch, inputs, outputs };
        for p in POWERS {
            for (kind, multiprocessors) in KINDS.into_iter().zip([0, 1, 2, 0, 1, 33, 2]) {
                Case::new(shape, kind, multiprocessors, 7).check(p, &format!("{kind:?}"));
            }
        }
    }
}

#[test]
fn several_blocks_and_chunks_agree_too() {
    for (batch, inputs, outputs, multiprocessors) in
        [(130, 17, 35, 9), (300, 20, 9, 0), (300, 20, 5, 0), (5, 40, 67, 33)]
    {
        let shape = Shape { batch, inputs, outputs };
        for p in [3.0, 8.0, 9.5, 47.0, 1000.0, f64::INFINITY] {
            Case::new(shape, Kind::Normal, multiprocessors, 5).check(p, "blocks");
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
            for multiprocessors in [0, 33] {
                let (shape, gpu) = (Shape { batch: 1, inputs, outputs: 1 }, gpu(1, multiprocessors));
                let case = Case { shape, x: x.clone(), w: vec![0.0; inputs], g: vec![3.0], gpu };
                let [y, dx, _] = case.run(f64::INFINITY);
                let expected: Vec<f32> =
                    (0..inputs).map(|i| if i == first { 3f32.copysign(x[first]) } else { 0.0 }).collect();
                assert_eq!((y[0], dx), (2.0, expected));
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_order_of_threads_and_blocks() {
    let shape = Shape { batch: 140, inputs: 40, outputs: 37 };
    for p in [8.0, 9.5, 47.0, f64::INFINITY] {
        let bits = |seed| {
            let case = Case { gpu: gpu(seed, 9), ..Case::new(shape, Kind::Ties, 9, 9) };
            case.run(p).concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
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
            let gpu = gpu(seed, 1);
            let [mut lowest, mut highest] = [(); 2].map(|()| unwritten(&gpu, batch * outputs));
            let (on_lo, on_hi, on_w) = (on(&gpu, &lo), on(&gpu, &hi), on(&gpu, &w));
            bounds(&*gpu, shape, &on_lo, &on_hi, &on_w, &mut lowest, &mut highest).unwrap();
            let [lowest, highest] = [lowest, highest].map(|array| array.to_vec().unwrap());
            let [mut cpu_lowest, mut cpu_highest] = [(); 2].map(|()| vec![f32::NAN; batch * outputs]);
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
        for (seed, kind) in (1..).zip(KINDS) {
            let Case { x, w, g, gpu, .. } = Case::new(shape, kind, 1, seed);
            let (pool, simd) = (Pool::new(1), Simd::best());
            let [mut y, mut dx, mut dw] = [batch * outputs, x.len(), w.len()].map(|len| unwritten(&gpu, len));
            let (on_x, on_w) = (on(&gpu, &x), on(&gpu, &w));
            let mut op = SortDistances::new(&gpu, profile.clone()).unwrap();
            op.forward(shape, &on_x, &on_w, &mut y).unwrap();
            op.backward(&on(&gpu, &g), Some(&mut dx), &mut dw).unwrap();
            let [y, dx, dw] = [y, dx, dw].map(|array| array.to_vec().unwrap());
            let [mut cpu_y, mut cpu_dx, mut cpu_dw] = [&y, &x, &w].map(|like| vec![f32::NAN; like.len()]);
            let mut op = SortOp::new(simd, profile.clone());
            op.forward(&pool, shape, &x, &w, &mut cpu_y, true);
            op.backward(&pool, &g, Some(&mut cpu_dx), Some(&mut cpu_dw));
            assert!(y == cpu_y && dx == cpu_dx && dw == cpu_dw, "{kind:?}, {shape:?}");

            let (lo, hi): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (x - 0.1, x + 0.1)).unzip();
            let [mut low, mut high] = [(); 2].map(|()| unwritten(&gpu, batch * outputs));
            let (on_lo, on_hi) = (on(&gpu, &lo), on(&gpu, &hi));
            sort_bounds(&*gpu, &profile, shape, &on_lo, &on_hi, &on_w, &mut low, &mut high).unwrap();
            let [low, high] = [low, high].map(|array| array.to_vec().unwrap());
            let [mut cpu_low, mut cpu_high] = [(); 2].map(|()| vec![f32::NAN; batch * outputs]);
            sort_interval(&pool, simd, &profile, shape, &lo, &hi, &w, &mut cpu_low, &mut cpu_high);
            assert!(low == cpu_low && high == cpu_high, "{kind:?}, {shape:?}");
        }
    }
}

#[test]
fn mean_shift_is_that_of_the_cpu_to_the_bit() {
    for (batch, outputs) in [(1, 1), (3, 5), (33, 32), (300, 70)] {
        let (gpu, y) = (gpu(3, 1), normals(batch as u64, batch * outputs));
        let (mut ours, mut running) = (on(&gpu, &y), on(&gpu, &vec![2.0; outputs]));
        mean_shift(&*gpu, batch, outputs, &mut ours, None, Some((&mut running, 0.9))).unwrap();
        let (mut cpu, mut means) = (y.clone(), vec![0.0; outputs]);
        mean_shift_forward(&Pool::new(1), Simd::best(), batch, &mut cpu, &mut means);
        assert!(ours.to_vec().unwrap() == cpu);
        let running = running.to_vec().unwrap();
        assert!(running.iter().zip(&means).all(|(running, mean)| *running == 0.9 * 2.0 + (1.0 - 0.9f32) * mean));
        let mut gradient = on(&gpu, &y);
        mean_shift(&*gpu, batch, outputs, &mut gradient, None, None).unwrap();
        let mut cpu = y.clone();
        mean_shift_backward(&Pool::new(1), Simd::best(), batch, &mut cpu);
        assert!(gradient.to_vec().unwrap() == cpu);
        let (mut biased, bias) = (on(&gpu, &y), normals(1, outputs));
        add_bias(&*gpu, batch, outputs, &mut biased, &on(&gpu, &bias)).unwrap();
        let biased = biased.to_vec().unwrap();
        assert!(biased.iter().enumerate().all(|(k, value)| *value == y[k] + bias[k % outputs]));
    }
}

/// A parameter on the device and on the CPU.
struct Moved {
    w: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
    finite: bool,
}

const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10 };

/// Step 4 of Adam on the device.
fn on_device(seed: u32, decay: Decay, w: &[f32], g: &[f32], m: &[f32], v: &[f32]) -> Moved {
    let gpu = gpu(seed, 1);
    let [mut w, g, mut m, mut v] = [w, g, m, v].map(|values| on(&gpu, values));
    let mut bad = Array::of(&gpu, &[0i32]).unwrap();
    let step = AdamStep { adam: ADAM, lr: 0.03, step: 4 };
    step.apply(&*gpu, decay, &mut w, &g, &mut m, &mut v, (&mut bad, 0)).unwrap();
    let [w, m, v] = [w, m, v].map(|array| array.to_vec().unwrap());
    Moved { w, m, v, finite: bad.to_vec().unwrap() == [0] }
}

/// The same on the CPU, for a w that has decayed.
fn on_cpu(mut w: Vec<f32>, g: &[f32], m: &[f32], v: &[f32]) -> Moved {
    let (mut m, mut v) = (m.to_vec(), v.to_vec());
    let finite = adam_step(&Pool::new(1), Simd::best(), &ADAM, 0.03, 4, &mut w, g, &mut m, &mut v);
    Moved { w, m, v, finite }
}

#[test]
fn adam_and_its_decay_are_those_of_the_cpu() {
    for inputs in [1, 2, 7, 45, 600] {
        for p in [1.0, 2.0, 3.0, 8.5, 300.0, 1000.0, f64::INFINITY] {
            for amount in [0.0, 0.01] {
                let mut w = normals(3, 3 * inputs);
                w[inputs / 2] = 0.0;
                // Two entries of one row are the largest.
                w[2 * inputs + inputs / 3] = 9.0;
                w[3 * inputs - 1] = -9.0;
                let norm = w.chunks(inputs).map(|row| row.iter().map(|w| w.abs()).sum()).fold(0.0, f32::max);
                let (g, m, v) = (normals(4, 3 * inputs), normals(5, 3 * inputs), vec![0.5; 3 * inputs]);
                let ours = on_device(6, Decay::Rows { inputs, p, amount }, &w, &g, &m, &v);
                if amount > 0.0 {
                    decay_rows(&Pool::new(1), Simd::best(), p, amount, inputs, &mut w);
                }
                let cpu = on_cpu(w, &g, &m, &v);
                assert!(ours.finite && cpu.finite && ours.m == cpu.m && ours.v == cpu.v);
                // Without a power the bits are the same; with one, sums are in another order, and a row decays by up to
                // `amount` of its norm.
                let exact = amount == 0.0 || p == 2.0 || p.is_infinite() || inputs == 1;
                let tolerance = if exact { 0.0 } else { 3e-6 * (1.0 + amount * norm) };
                let apart = ours.w.iter().zip(&cpu.w).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
                assert!(apart <= tolerance, "p = {p}, {inputs} inputs, decay {amount}: {apart:e}");
            }
        }
    }
}

#[test]
fn adam_of_a_whole_parameter_says_what_is_not_finite() {
    // The square of the last is infinite.
    for spoilt in [None, Some(f32::NAN), Some(f32::INFINITY), Some(f32::MAX)] {
        let (w, mut g) = (normals(3, 300), normals(4, 300));
        if let Some(spoilt) = spoilt {
            g[299] = spoilt;
        }
        let (m, v) = (vec![0.1; 300], vec![0.2; 300]);
        let ours = on_device(5, Decay::All { kept: 0.9 }, &w, &g, &m, &v);
        let cpu = on_cpu(w.iter().map(|w| 0.9 * w).collect(), &g, &m, &v);
        assert_eq!((ours.finite, cpu.finite), (spoilt.is_none(), spoilt.is_none()));
        assert!(ours.w[..299] == cpu.w[..299] && ours.m[..299] == cpu.m[..299] && ours.v[..299] == cpu.v[..299]);
    }
}

#[test]
fn memory_that_is_full_is_an_error_that_says_so() {
    let gpu = Host::with_room(0, 1, 4000);
    let (x, w) = (on(&gpu, &[1.0; 20]), on(&gpu, &[2.0; 20]));
    let mut y = unwritten(&gpu, 400);
    let shape = Shape { batch: 20, inputs: 1, outputs: 20 };
    let error = DistanceOp::new(&gpu).unwrap().forward(shape, 8.0, &x, &w, &mut y, true).unwrap_err();
    assert!(error.to_string().starts_with("out of memory on the host"), "{error}");
}
