//! The kernels against the f64 reference, on every instruction set the CPU has.

use super::*;
use proptest::prelude::*;

/// Every whole power that has kernels of its own, and others.
#[rustfmt::skip]
const POWERS: [f64; 32] = [
    1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 9.5, 10.0, 10.01, 11.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 28.0,
    32.0, 36.0, 40.0, 47.0, 48.0, 64.0, 93.7, 300.0, 1000.0, f64::INFINITY,
];

#[test]
fn every_whole_power_is_tested() {
    for p in (1..=100).map(f64::from).filter(|p| op::whole(*p).is_some()) {
        assert!(POWERS.contains(&p), "{p}");
    }
}

/// What the operands look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Normally distributed, as in a fresh net.
    Normal,
    /// Multiples of ½: many ties, many differences of 0.
    Ties,
    /// Some rows of x are rows of w, some are 0.
    Equal,
    /// All around 1e-30.
    Tiny,
    /// All around 1e4.
    Huge,
    /// All around 1e30: powers of differences leave the range of f32 whatever p is.
    Vast,
    /// Rows of x and w from 1e-30 to 1e4.
    Mixed,
}

pub(super) const KINDS: [Kind; 7] =
    [Kind::Normal, Kind::Ties, Kind::Equal, Kind::Tiny, Kind::Huge, Kind::Vast, Kind::Mixed];

/// splitmix64: reproducible, and good enough for test data.
pub(super) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    pub(super) fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }
}

pub(super) struct Case {
    pub shape: Shape,
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub g: Vec<f32>,
}

impl Case {
    pub(super) fn new(shape: Shape, kind: Kind, seed: u64) -> Case {
        let Shape { batch, inputs, outputs } = shape;
        let mut random = Random(seed);
        let (mut x, mut w) = (random.normals(batch * inputs), random.normals(outputs * inputs));
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
                    let scale = [1.0, 1e4, 1e-3, 1e-30][n % 4];
                    row.iter_mut().for_each(|v| *v *= scale);
                }
            }
        }
        Case { shape, x, w, g: random.normals(batch * outputs) }
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

    pub(super) fn run(&self, simd: Simd, pool: &Pool, op: &mut DistOp, p: f64) -> [Vec<f32>; 3] {
        assert!(Simd::available().any(|available| available == simd));
        let mut y = vec![f32::NAN; self.g.len()];
        let (mut dx, mut dw) = (vec![f32::NAN; self.x.len()], vec![f32::NAN; self.w.len()]);
        op.forward(pool, self.shape, p, &self.x, &self.w, &mut y, true);
        op.backward(pool, &self.x, &self.w, &self.g, Some(&mut dx), Some(&mut dw));
        [y, dx, dw]
    }

    fn check(&self, pool: &Pool, p: f64) -> Result<(), String> {
        self.check_ops(pool, p, DistOp::new)
    }

    /// Compares the ops that `new` makes with the reference.
    pub(super) fn check_ops(&self, pool: &Pool, p: f64, new: impl Fn(Simd) -> DistOp) -> Result<(), String> {
        let gradients = if p.is_infinite() { 1e-6 } else { 1e-5f64.max(p * 1e-7) };
        self.check_within(pool, p, new, if p.is_infinite() { 0.0 } else { 1e-6 }, gradients)
    }

    /// The same with these tolerances: of y relative to itself, of gradients relative to their scale.
    pub(super) fn check_within(
        &self,
        pool: &Pool,
        p: f64,
        new: impl Fn(Simd) -> DistOp,
        of_y: f64,
        of_gradients: f64,
    ) -> Result<(), String> {
        let expected_y = reference::forward(self.shape, p, &self.x, &self.w);
        let (expected_dx, expected_dw) = reference::backward(self.shape, p, &self.x, &self.w, &self.g);
        let (dx_scales, dw_scales) = self.gradient_scales(p);
        for simd in Simd::available() {
            let [y, dx, dw] = self.run(simd, pool, &mut new(simd), p);
            for (pair, (&y, &expected)) in y.iter().zip(&expected_y).enumerate() {
                let error = (f64::from(y) - expected).abs();
                if error.is_nan() || error > of_y * expected {
                    return Err(format!("{simd:?}: y[{pair}] = {y}, expected {expected}"));
                }
            }
            for (name, got, expected, scales) in
                [("dx", &dx, &expected_dx, &dx_scales), ("dw", &dw, &expected_dw, &dw_scales)]
            {
                for (k, (&got, &expected)) in got.iter().zip(expected).enumerate() {
                    let scale = scales[k / self.shape.inputs];
                    let error = (f64::from(got) - expected).abs();
                    if error.is_nan() || error > of_gradients * scale {
                        return Err(format!("{simd:?}: {name}[{k}] = {got}, expected {expected}, scale {scale}"));
                    }
                }
            }
        }
        Ok(())
    }
}

#[test]
fn every_power_and_kind_agrees_with_the_reference() {
    let pool = Pool::new(2);
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 33, 10), (13, 70, 21)] {
        for p in POWERS {
            for (seed, kind) in KINDS.into_iter().enumerate() {
                let shape = Shape { batch, inputs, outputs };
                let case = Case::new(shape, kind, seed as u64 + 17);
                if let Err(error) = case.check(&pool, p) {
                    panic!("p = {p}, {kind:?}, {shape:?}: {error}");
                }
            }
        }
    }
}

#[test]
fn large_shapes_agree_with_the_reference() {
    let pool = Pool::new(2);
    for (batch, inputs, outputs) in [(300, 17, 11), (5, 300, 40), (6, 40, 300)] {
        for p in [2.0, 8.0, 9.5, 47.0, 1000.0, f64::INFINITY] {
            let shape = Shape { batch, inputs, outputs };
            if let Err(error) = Case::new(shape, Kind::Normal, 5).check(&pool, p) {
                panic!("p = {p}, {shape:?}: {error}");
            }
        }
    }
}

/// Shapes of 1 to 300 in every dimension, often near where vectors, tiles and groups end; B·I·O is kept small.
pub(super) fn shapes() -> impl Strategy<Value = Shape> {
    const VOLUME: usize = 30_000;
    let near = prop::sample::select(vec![1usize, 4, 6, 8, 16, 32, 64, 128, 256, 300]);
    let edge = (near, 0usize..=2).prop_map(|(edge, off)| (edge + off).saturating_sub(1).clamp(1, 300));
    let long = prop_oneof![1usize..=300, edge];
    (long.clone(), long, 1usize..=300, 0usize..3, any::<bool>()).prop_map(|(first, second, third, turn, swap)| {
        let second = second.min(VOLUME / first);
        let mut sizes = [first, second, third.min((VOLUME / (first * second)).max(1))];
        if swap {
            sizes.swap(0, 1);
        }
        sizes.rotate_left(turn);
        let [batch, inputs, outputs] = sizes;
        Shape { batch, inputs, outputs }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shapes_up_to_300_agree_with_the_reference(
        shape in shapes(),
        p in prop::sample::select(POWERS.to_vec()),
        kind in prop::sample::select(KINDS.to_vec()),
        threads in 1usize..=3,
        seed: u64,
    ) {
        prop_assert_eq!(Case::new(shape, kind, seed).check(&Pool::new(threads), p), Ok(()));
    }

    #[test]
    fn samples_without_gradient_are_left_out(
        shape in shapes(),
        p in prop::sample::select(POWERS.to_vec()),
        kind in prop::sample::select(KINDS.to_vec()),
        kernels in prop::sample::select(vec![Kernels::Dense, Kernels::Pruned]),
        left in 0f32..=1.0,
        threads in 1usize..=3,
        seed: u64,
    ) {
        let mut case = Case::new(shape, kind, seed);
        let mut random = Random(seed ^ 1);
        let without: Vec<bool> = (0..shape.batch).map(|_| random.uniform() >= left).collect();
        for (row, _) in case.g.chunks_mut(shape.outputs).zip(&without).filter(|(_, without)| **without) {
            row.fill(0.0);
        }
        let pool = Pool::new(threads);
        let new = |simd| DistOp::with(simd, kernels, Precision::Bits24);
        prop_assert_eq!(case.check_ops(&pool, p, new), Ok(()));
        for simd in Simd::available() {
            let mut op = new(simd);
            let first = case.run(simd, &pool, &mut op, p);
            for (dx, _) in first[1].chunks(shape.inputs).zip(&without).filter(|(_, without)| **without) {
                prop_assert!(dx.iter().all(|dx| *dx == 0.0));
            }
            // What the forward pass kept is still there for other gradients.
            let whole = Case::new(shape, kind, seed);
            let (mut dx, mut dw) = (vec![f32::NAN; first[1].len()], vec![f32::NAN; first[2].len()]);
            op.backward(&pool, &whole.x, &whole.w, &whole.g, Some(&mut dx), Some(&mut dw));
            let [_, expected_dx, expected_dw] = whole.run(simd, &pool, &mut new(simd), p);
            prop_assert_eq!((dx, dw), (expected_dx, expected_dw));
        }
    }

    #[test]
    fn operands_that_are_not_finite_are_found_and_break_nothing(
        shape in shapes(),
        p in prop::sample::select(POWERS.to_vec()),
        kernels in prop::sample::select(vec![Kernels::Auto, Kernels::Dense, Kernels::Pruned]),
        spoilt in prop::collection::vec((0usize..3, any::<prop::sample::Index>(), 0usize..3), 1..4),
        seed: u64,
    ) {
        // What comes out means nothing, but no kernel may panic or leave its operands, nor depend on the threads.
        let mut case = Case::new(shape, Kind::Normal, seed);
        let pool = Pool::new(2);
        prop_assert!([&case.x, &case.w, &case.g].into_iter().all(|operand| all_finite(&pool, operand)));
        for (operand, place, value) in spoilt {
            let operand = match operand {
                0 => &mut case.x,
                1 => &mut case.w,
                _ => &mut case.g,
            };
            let place = place.index(operand.len());
            operand[place] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][value];
            prop_assert!(!all_finite(&pool, operand));
        }
        for simd in Simd::available() {
            let [one, three] = [1, 3].map(|threads| {
                let mut op = DistOp::with(simd, kernels, Precision::Bits16);
                // Which sign and payload a NaN has is left open by the language: ∞ − ∞ and f32::NAN differ in them.
                let bits = |v: &f32| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() };
                case.run(simd, &Pool::new(threads), &mut op, p).concat().iter().map(bits).collect::<Vec<_>>()
            });
            prop_assert_eq!(one, three);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_power_and_kind_agrees_with_the_reference(
        batch in 1usize..=40,
        inputs in 1usize..=70,
        outputs in 1usize..=40,
        p in prop::sample::select(POWERS.to_vec()),
        kind in prop::sample::select(KINDS.to_vec()),
        seed: u64,
    ) {
        let case = Case::new(Shape { batch, inputs, outputs }, kind, seed);
        prop_assert_eq!(case.check(&Pool::new(1), p), Ok(()));
    }

    #[test]
    fn any_real_power_agrees_with_the_reference(
        batch in 1usize..=9,
        inputs in 1usize..=40,
        outputs in 1usize..=9,
        log_p in 0.0f64..10.0,
        seed: u64,
    ) {
        let case = Case::new(Shape { batch, inputs, outputs }, Kind::Normal, seed);
        prop_assert_eq!(case.check(&Pool::new(1), log_p.exp2()), Ok(()));
    }

    #[test]
    fn distances_are_one_lipschitz(
        inputs in 1usize..=70,
        outputs in 1usize..=20,
        p in prop::sample::select(POWERS.to_vec()),
        epsilon in 1e-3f32..0.5,
        seed: u64,
    ) {
        // In ℓ∞ at p = ∞, in ℓ_p at every p; both up to rounding.
        let mut random = Random(seed);
        let (x, w) = (random.normals(inputs), random.normals(outputs * inputs));
        let moved: Vec<f32> = x.iter().map(|x| x + epsilon * (2.0 * random.uniform() - 1.0)).collect();
        let distance = reference::forward(Shape { batch: 1, inputs, outputs: 1 }, p, &x, &moved)[0];
        let both = [x, moved].concat();
        for simd in Simd::available() {
            let mut y = vec![0.0; 2 * outputs];
            let shape = Shape { batch: 2, inputs, outputs };
            DistOp::new(simd).forward(&Pool::new(1), shape, p, &both, &w, &mut y, false);
            for o in 0..outputs {
                let (from, to) = (f64::from(y[o]), f64::from(y[outputs + o]));
                // Each of them is right to 1e-6.
                prop_assert!((from - to).abs() <= distance + 1e-6 * (from + to), "{from} {to} {distance}");
            }
        }
    }

    #[test]
    fn intervals_are_exact_and_enclose_the_program(
        batch in 1usize..=5,
        inputs in 1usize..=70,
        outputs in 1usize..=20,
        kind in prop::sample::select(KINDS.to_vec()),
        epsilon in prop::sample::select(vec![0.0f32, 1e-30, 1e-3, 0.3]),
        seed: u64,
    ) {
        let shape = Shape { batch, inputs, outputs };
        let Case { x, w, .. } = Case::new(shape, kind, seed);
        let (lo, hi): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (x - epsilon, x + epsilon)).unzip();
        let (expected_lo, expected_hi) = reference::interval(shape, &lo, &hi, &w);
        let mut random = Random(seed ^ 1);
        let inside: Vec<f32> = lo.iter().zip(&hi).map(|(lo, hi)| (lo + random.uniform() * (hi - lo)).clamp(*lo, *hi)).collect();
        let pool = Pool::new(2);
        for simd in Simd::available() {
            let (mut out_lo, mut out_hi) = (vec![f32::NAN; batch * outputs], vec![f32::NAN; batch * outputs]);
            for kernels in [Kernels::Dense, Kernels::Pruned, Kernels::Auto] {
                interval_by(kernels, &pool, simd, shape, &lo, &hi, &w, &mut out_lo, &mut out_hi);
                prop_assert_eq!(&out_lo, &expected_lo);
                prop_assert_eq!(&out_hi, &expected_hi);
            }
            let mut y = vec![0.0; batch * outputs];
            DistOp::new(simd).forward(&pool, shape, f64::INFINITY, &inside, &w, &mut y, false);
            for ((y, lo), hi) in y.iter().zip(&out_lo).zip(&out_hi) {
                prop_assert!(lo <= y && y <= hi, "{lo} {y} {hi}");
            }
        }
    }
}

#[test]
fn the_first_of_equal_maxima_has_the_gradient() {
    let pool = Pool::new(1);
    for simd in Simd::available() {
        for inputs in [1, 3, 16, 40, 150] {
            for first in 0..inputs {
                // Every coordinate from `first` on attains the maximum, with alternating signs.
                let x: Vec<f32> = (0..inputs).map(|i| if i < first { 0.5 } else { [2.0, -2.0][i % 2] }).collect();
                let shape = Shape { batch: 1, inputs, outputs: 1 };
                let case = Case { shape, x, w: vec![0.0; inputs], g: vec![3.0] };
                let [y, dx, dw] = case.run(simd, &pool, &mut DistOp::new(simd), f64::INFINITY);
                assert_eq!(y, [2.0]);
                let mut expected = vec![0.0; inputs];
                expected[first] = 3.0 * case.x[first].signum();
                assert_eq!(dx, expected);
                assert!(dw.iter().zip(&dx).all(|(dw, dx)| *dw == -dx));
            }
        }
    }
}

#[test]
fn subnormal_differences_are_exact_at_infinity() {
    let pool = Pool::new(1);
    let a = f32::MIN_POSITIVE;
    let x = [a * 1.5, a, -a * 1.25, 0.0];
    let w = [a, a * 1.75, -a, f32::from_bits(1)];
    for simd in Simd::available() {
        let mut y = [0.0];
        DistOp::new(simd).forward(
            &pool,
            Shape { batch: 1, inputs: 4, outputs: 1 },
            f64::INFINITY,
            &x,
            &w,
            &mut y,
            false,
        );
        assert_eq!(y[0], a * 0.75);
        assert!(y[0].is_subnormal());
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_earlier_calls() {
    for simd in Simd::available() {
        let mut used = DistOp::new(simd);
        for p in POWERS {
            for (n, kind) in [Kind::Normal, Kind::Mixed].into_iter().enumerate() {
                let case = Case::new(Shape { batch: 37 + 10 * n, inputs: 45, outputs: 29 }, kind, 3);
                let expected = case.run(simd, &Pool::new(1), &mut DistOp::new(simd), p);
                for threads in [2, 3, 7] {
                    let got = case.run(simd, &Pool::new(threads), &mut used, p);
                    let bits = |all: &[Vec<f32>; 3]| all.concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&got), bits(&expected), "{simd:?}, p = {p}, {kind:?}, {threads} threads");
                }
            }
        }
    }
}

#[test]
fn one_gradient_alone_is_the_same() {
    let pool = Pool::new(2);
    for simd in Simd::available() {
        for p in [8.0, 9.5, 1000.0, f64::INFINITY] {
            let case = Case::new(Shape { batch: 9, inputs: 21, outputs: 13 }, Kind::Normal, 1);
            let mut op = DistOp::new(simd);
            let [_, dx, dw] = case.run(simd, &pool, &mut op, p);
            let (mut alone_x, mut alone_w) = (vec![0.0; dx.len()], vec![0.0; dw.len()]);
            op.backward(&pool, &case.x, &case.w, &case.g, Some(&mut alone_x), None);
            op.backward(&pool, &case.x, &case.w, &case.g, None, Some(&mut alone_w));
            assert_eq!((alone_x, alone_w), (dx, dw));
        }
    }
}
