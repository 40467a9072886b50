//! The pruned kernels against the f64 reference and, where they promise the same bits, the dense ones.

use super::super::reference;
use super::super::tests::{Case, KINDS, Kind, Random, shapes};
use super::super::{DistOp, Kernels, Path, Pool, Precision, Shape, Simd};
use super::PrunedInterval;
use proptest::prelude::*;

const POWERS: [f64; 7] = [24.0, 32.2, 47.0, 64.0, 300.0, 1000.0, f64::INFINITY];
const PRECISIONS: [Precision; 2] = [Precision::Bits16, Precision::Bits24];

fn pruned(precision: Precision) -> impl Fn(Simd) -> DistOp {
    move |simd| DistOp::with(simd, Kernels::Pruned, precision)
}

fn bits(all: &[Vec<f32>]) -> Vec<u32> {
    all.concat().iter().map(|v| v.to_bits()).collect()
}

/// Zeros of both signs, as differences too.
fn with_signed_zeros(case: &mut Case) {
    for (k, x) in case.x.iter_mut().enumerate().filter(|(k, _)| k % 3 == 0) {
        *x = [0.0, -0.0][k % 2];
    }
    for (k, w) in case.w.iter_mut().enumerate().filter(|(k, _)| k % 3 == 0) {
        *w = [0.0, -0.0][k / 3 % 2];
    }
}

#[test]
fn every_power_and_kind_agrees_with_the_reference() {
    let pool = Pool::new(2);
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 33, 10), (130, 70, 21)] {
        for p in POWERS {
            for (seed, kind) in KINDS.into_iter().enumerate() {
                for precision in PRECISIONS {
                    let shape = Shape { batch, inputs, outputs };
                    let case = Case::new(shape, kind, seed as u64 + 17);
                    if let Err(error) = case.check_ops(&pool, p, pruned(precision)) {
                        panic!("p = {p}, {kind:?}, {shape:?}, {precision:?}: {error}");
                    }
                }
            }
        }
    }
}

#[test]
fn fewer_bits_are_off_by_what_they_leave_out() {
    let pool = Pool::new(2);
    for (batch, inputs, outputs) in [(7, 33, 10), (130, 70, 21), (20, 300, 40)] {
        for (bits, p) in [(4, 12f64), (4, 17.3), (4, 64.0), (8, 16.0), (8, 24.0), (8, 47.0), (8, 300.0)] {
            let precision = Precision::of_bits(bits).unwrap();
            for (seed, kind) in KINDS.into_iter().enumerate() {
                let shape = Shape { batch, inputs, outputs };
                // The sum is at most 2⁻ᵇⁱᵗˢ too small. A slope left out is below t^(p−1) of its pair's largest, and the largest of
                // as many pairs as there are coordinates may lie in one of them each.
                let sums = 0.5f64.powf(f64::from(bits));
                let slopes = sums.powf(1.0 - p.recip()) * (inputs as f64).powf(p.recip());
                let (of_y, of_gradients) = (sums / p + 1e-6, 2.0 * slopes + 3e-5);
                let case = Case::new(shape, kind, seed as u64 + 17);
                if let Err(error) = case.check_within(&pool, p, pruned(precision), of_y, of_gradients) {
                    panic!("p = {p}, {kind:?}, {shape:?}, {bits} bits: {error}");
                }
            }
        }
    }
}

#[test]
fn large_shapes_agree_with_the_reference() {
    let pool = Pool::new(2);
    for (batch, inputs, outputs) in [(300, 17, 11), (260, 300, 3), (5, 300, 40), (6, 40, 300)] {
        for p in [24.0, 47.0, 1000.0, f64::INFINITY] {
            let shape = Shape { batch, inputs, outputs };
            if let Err(error) = Case::new(shape, Kind::Normal, 5).check_ops(&pool, p, pruned(Precision::Bits16)) {
                panic!("p = {p}, {shape:?}: {error}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_power_and_kind_agrees_with_the_reference(
        batch in 1usize..=150,
        inputs in 1usize..=70,
        outputs in 1usize..=20,
        p in prop::sample::select(POWERS.to_vec()),
        kind in prop::sample::select(KINDS.to_vec()),
        precision in prop::sample::select(PRECISIONS.to_vec()),
        seed: u64,
    ) {
        let case = Case::new(Shape { batch, inputs, outputs }, kind, seed);
        prop_assert_eq!(case.check_ops(&Pool::new(1), p, pruned(precision)), Ok(()));
    }

    #[test]
    fn shapes_up_to_300_agree_with_the_reference(
        shape in shapes(),
        p in prop::sample::select(POWERS.to_vec()),
        kind in prop::sample::select(KINDS.to_vec()),
        precision in prop::sample::select(PRECISIONS.to_vec()),
        seed: u64,
    ) {
        prop_assert_eq!(Case::new(shape, kind, seed).check_ops(&Pool::new(2), p, pruned(precision)), Ok(()));
    }

    #[test]
    fn at_infinity_both_kinds_of_kernel_give_the_same_bits(
        batch in 1usize..=300,
        inputs in 1usize..=70,
        outputs in 1usize..=40,
        kind in prop::sample::select(KINDS.to_vec()),
        signed_zeros: bool,
        seed: u64,
    ) {
        let mut case = Case::new(Shape { batch, inputs, outputs }, kind, seed);
        if signed_zeros {
            with_signed_zeros(&mut case);
        }
        let pool = Pool::new(1);
        for simd in Simd::available() {
            let [ours, dense] = [Kernels::Pruned, Kernels::Dense].map(|kernels| {
                bits(&case.run(simd, &pool, &mut DistOp::with(simd, kernels, Precision::Bits16), f64::INFINITY))
            });
            prop_assert!(ours == dense, "{:?}", simd);
        }
    }

    #[test]
    fn intervals_are_exact(
        batch in 1usize..=200,
        inputs in 1usize..=70,
        outputs in 1usize..=40,
        kind in prop::sample::select(KINDS.to_vec()),
        epsilon in prop::sample::select(vec![0.0f32, 1e-30, 1e-3, 0.3]),
        seed: u64,
    ) {
        let shape = Shape { batch, inputs, outputs };
        let Case { x, w, .. } = Case::new(shape, kind, seed);
        let mut random = Random(seed);
        let (lo, hi): (Vec<f32>, Vec<f32>) =
            x.iter().map(|x| (x - epsilon * random.uniform(), x + epsilon * random.uniform())).unzip();
        let expected = reference::interval(shape, &lo, &hi, &w);
        for simd in Simd::available() {
            let (mut out_lo, mut out_hi) = (vec![f32::NAN; batch * outputs], vec![f32::NAN; batch * outputs]);
            let pool = Pool::new(2);
            let mut op = PrunedInterval::default();
            op.sample(&pool, simd, shape, &lo, &hi, &w);
            op.bounds(&pool, simd, shape, &lo, &hi, &w, &mut out_lo, &mut out_hi);
            prop_assert_eq!(&out_lo, &expected.0);
            prop_assert_eq!(&out_hi, &expected.1);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_earlier_calls() {
    for simd in Simd::available() {
        for (kernels, precision) in [
            (Kernels::Pruned, Precision::Bits16),
            (Kernels::Pruned, Precision::Bits4),
            (Kernels::Auto, Precision::Bits16),
        ] {
            let mut used = DistOp::with(simd, kernels, precision);
            for p in POWERS {
                for (n, kind) in [Kind::Normal, Kind::Mixed].into_iter().enumerate() {
                    let case = Case::new(Shape { batch: 137 + 10 * n, inputs: 245, outputs: 29 }, kind, 3);
                    let mut fresh = DistOp::with(simd, kernels, precision);
                    let expected = bits(&case.run(simd, &Pool::new(1), &mut fresh, p));
                    for threads in [2, 3, 7] {
                        let got = bits(&case.run(simd, &Pool::new(threads), &mut used, p));
                        assert!(
                            got == expected,
                            "{simd:?}, {kernels:?}, {precision:?}, p = {p}, {kind:?}, {threads} threads"
                        );
                        assert_eq!(used.stats(), fresh.stats());
                    }
                }
            }
        }
    }
}

#[test]
fn one_gradient_alone_is_the_same() {
    let pool = Pool::new(2);
    for simd in Simd::available() {
        for p in [47.0, 1000.0, f64::INFINITY] {
            let case = Case::new(Shape { batch: 19, inputs: 51, outputs: 13 }, Kind::Normal, 1);
            let mut op = pruned(Precision::Bits16)(simd);
            let [_, dx, dw] = case.run(simd, &pool, &mut op, p);
            assert_eq!(op.stats().path, Path::Pruned);
            let (mut alone_x, mut alone_w) = (vec![0.0; dx.len()], vec![0.0; dw.len()]);
            op.backward(&pool, &case.x, &case.w, &case.g, Some(&mut alone_x), None);
            op.backward(&pool, &case.x, &case.w, &case.g, None, Some(&mut alone_w));
            assert_eq!((alone_x, alone_w), (dx, dw));
        }
    }
}

#[test]
fn what_is_left_out_is_within_the_precision() {
    // Every other coordinate lies just below or just above the threshold: the worst there can be.
    let (inputs, p) = (256, 64.0);
    let shape = Shape { batch: 1, inputs, outputs: 1 };
    for bits in [4, 8, 16, 24] {
        let precision = Precision::of_bits(bits).unwrap();
        for side in [0.9999, 1.0001] {
            let mut x = vec![f64::from(precision.threshold(p, inputs)) as f32 * side; inputs];
            x[100] = 1.0;
            let w = vec![0.0; inputs];
            let exact = reference::forward(shape, p, &x, &w)[0];
            for simd in Simd::available() {
                let mut y = [0.0];
                pruned(precision)(simd).forward(&Pool::new(1), shape, p, &x, &w, &mut y, false);
                let off = (f64::from(y[0]) / exact - 1.0).abs();
                assert!(off < f64::from(1 << bits).recip() / p + 1.2e-7, "{simd:?}, {precision:?}, {side}: {off:e}");
            }
        }
    }
}

#[test]
fn a_row_of_huge_range_only_costs_speed() {
    let mut case = Case::new(Shape { batch: 130, inputs: 40, outputs: 12 }, Kind::Normal, 8);
    for (i, x) in case.x[..40].iter_mut().enumerate() {
        *x = [1e37, -1e-37, 3e37, -8e36][i % 4];
    }
    for p in [64.0, f64::INFINITY] {
        if let Err(error) = case.check_ops(&Pool::new(1), p, pruned(Precision::Bits16)) {
            panic!("p = {p}: {error}");
        }
    }
}
