//! The sort neuron against a full sort, and against the dropout it is the mean of.

use super::*;
use crate::tests::{Case, Kind, Random};
use proptest::prelude::*;

/// All differences in the order of their size, first indices first where they are equal, with their index.
fn sorted(values: impl Iterator<Item = f32>) -> Vec<(f32, usize)> {
    let mut sorted: Vec<(f32, usize)> = values.enumerate().map(|(i, value)| (value, i)).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    sorted
}

fn sum_in_order(weights: &[f32], sorted: &[(f32, usize)]) -> f32 {
    let mut sum = 0.0;
    for (weight, (value, _)) in weights.iter().zip(sorted) {
        sum += weight * value;
    }
    sum
}

/// (y, dx, dw) by a full sort: y in the program's f32 order, gradients in f64.
fn by_sorting(case: &Case, weights: &[f32]) -> (Vec<f32>, Vec<f64>, Vec<f64>) {
    let Shape { batch, inputs, outputs } = case.shape;
    let mut y = Vec::new();
    let (mut dx, mut dw) = (vec![0.0; case.x.len()], vec![0.0; case.w.len()]);
    for b in 0..batch {
        for o in 0..outputs {
            let (x, w) = (&case.x[b * inputs..][..inputs], &case.w[o * inputs..][..inputs]);
            let order = sorted(x.iter().zip(w).map(|(x, w)| (x - w).abs()));
            y.push(sum_in_order(weights, &order));
            for (weight, (_, i)) in weights.iter().zip(order) {
                let slope = f64::from(*weight) * f64::from(case.g[b * outputs + o]);
                let slope = if x[i] - w[i] < 0.0 { -slope } else { slope };
                dx[b * inputs + i] += slope;
                dw[o * inputs + i] -= slope;
            }
        }
    }
    (y, dx, dw)
}

fn run(case: &Case, simd: Simd, pool: &Pool, profile: &SortProfile) -> [Vec<f32>; 3] {
    let mut op = SortOp::new(simd, profile.clone());
    let mut y = vec![f32::NAN; case.g.len()];
    let (mut dx, mut dw) = (vec![f32::NAN; case.x.len()], vec![f32::NAN; case.w.len()]);
    op.forward(pool, case.shape, &case.x, &case.w, &mut y, true);
    op.backward(pool, &case.g, Some(&mut dx), Some(&mut dw));
    [y, dx, dw]
}

fn check(case: &Case, keep: f64) -> Result<(), TestCaseError> {
    let profile = SortProfile::geometric(keep, case.shape.inputs);
    let (y, dx, dw) = by_sorting(case, profile.weights());
    let largest = case.g.iter().fold(1f32, |m, g| m.max(g.abs())) * case.g.len() as f32;
    for simd in Simd::available() {
        let ours = run(case, simd, &Pool::new(2), &profile);
        prop_assert_eq!(&ours[0], &y);
        for (ours, theirs) in [(&ours[1], &dx), (&ours[2], &dw)] {
            for (ours, theirs) in ours.iter().zip(theirs) {
                prop_assert!((f64::from(*ours) - theirs).abs() <= 1e-6 * f64::from(largest), "{ours} {theirs}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_those_of_a_full_sort(
        batch in 1usize..=5,
        inputs in 1usize..=300,
        outputs in 1usize..=12,
        keep in prop::sample::select(vec![1.0, 0.85, 0.6, 0.1]),
        kind in prop::sample::select(vec![Kind::Normal, Kind::Ties, Kind::Equal, Kind::Tiny, Kind::Huge, Kind::Mixed]),
        seed: u64,
    ) {
        check(&Case::new(Shape { batch, inputs, outputs }, kind, seed), keep)?;
    }

    #[test]
    fn bounds_are_those_of_a_full_sort_and_enclose_the_program(
        batch in 1usize..=4,
        inputs in 1usize..=150,
        outputs in 1usize..=10,
        keep in prop::sample::select(vec![0.85, 0.3]),
        kind in prop::sample::select(vec![Kind::Normal, Kind::Ties, Kind::Equal, Kind::Tiny, Kind::Mixed]),
        epsilon in prop::sample::select(vec![0.0f32, 1e-30, 1e-7, 1e-3, 0.3]),
        seed: u64,
    ) {
        let shape = Shape { batch, inputs, outputs };
        let profile = SortProfile::geometric(keep, inputs);
        let Case { x, w, .. } = Case::new(shape, kind, seed);
        let (lo, hi): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (x - epsilon, x + epsilon)).unzip();
        let mut random = Random(seed ^ 1);
        let pool = Pool::new(2);
        for simd in Simd::available() {
            let (mut out_lo, mut out_hi) = (vec![f32::NAN; batch * outputs], vec![f32::NAN; batch * outputs]);
            sort_interval(&pool, simd, &profile, shape, &lo, &hi, &w, &mut out_lo, &mut out_hi);
            for pair in 0..batch * outputs {
                let (b, o) = (pair / outputs, pair % outputs);
                let ends = || (0..inputs).map(|i| (lo[b * inputs + i] - w[o * inputs + i], hi[b * inputs + i] - w[o * inputs + i]));
                let near = sorted(ends().map(|(l, u)| if l > 0.0 { l } else if u < 0.0 { -u } else { 0.0 }));
                let far = sorted(ends().map(|(l, u)| l.abs().max(u.abs())));
                prop_assert_eq!(out_lo[pair], sum_in_order(profile.weights(), &near));
                prop_assert_eq!(out_hi[pair], sum_in_order(profile.weights(), &far));
            }
            for attempt in 0..4 {
                // Corners, then anywhere.
                let inside: Vec<f32> = lo.iter().zip(&hi).map(|(lo, hi)| {
                    let share = random.uniform();
                    if attempt < 2 { if share < 0.5 { *lo } else { *hi } } else { (lo + share * (hi - lo)).clamp(*lo, *hi) }
                }).collect();
                let mut y = vec![0.0; batch * outputs];
                SortOp::new(simd, profile.clone()).forward(&pool, shape, &inside, &w, &mut y, false);
                for ((y, lo), hi) in y.iter().zip(&out_lo).zip(&out_hi) {
                    prop_assert!(lo <= y && y <= hi, "{lo} {y} {hi}");
                }
            }
        }
    }

    #[test]
    fn outputs_move_no_more_than_inputs(inputs in 1usize..=100, epsilon in 1e-3f32..0.5, seed: u64) {
        let mut random = Random(seed);
        let (x, w) = (random.normals(inputs), random.normals(4 * inputs));
        let moved: Vec<f32> = x.iter().map(|x| x + epsilon * (2.0 * random.uniform() - 1.0)).collect();
        let shape = Shape { batch: 2, inputs, outputs: 4 };
        let mut op = SortOp::new(Simd::best(), SortProfile::geometric(0.7, inputs));
        let mut y = [0.0; 8];
        op.forward(&Pool::new(1), shape, &[x, moved].concat(), &w, &mut y, false);
        for o in 0..4 {
            prop_assert!((y[o] - y[4 + o]).abs() <= epsilon + 1e-5);
        }
    }
}

#[test]
fn a_layer_of_published_width_is_that_of_a_full_sort() {
    for kind in [Kind::Normal, Kind::Ties, Kind::Equal] {
        check(&Case::new(Shape { batch: 3, inputs: 5120, outputs: 9 }, kind, 5), 0.7).unwrap();
    }
}

#[test]
fn the_neuron_is_the_mean_of_the_maximum_under_dropout() {
    // Every subset of 8 inputs with its probability; the maximum over no input is 0.
    let (inputs, keep) = (8, 0.7f64);
    let mut random = Random(3);
    let (x, w) = (random.normals(inputs), random.normals(inputs));
    let d: Vec<f64> = x.iter().zip(&w).map(|(x, w)| f64::from((x - w).abs())).collect();
    let mean: f64 = (0..1u32 << inputs)
        .map(|subset| {
            let kept = (0..inputs).filter(|i| subset >> i & 1 == 1);
            let share =
                keep.powi(subset.count_ones() as i32) * (1.0 - keep).powi(inputs as i32 - subset.count_ones() as i32);
            share * kept.map(|i| d[i]).fold(0.0, f64::max)
        })
        .sum();
    let profile = SortProfile::geometric(keep, inputs);
    let total: f64 = profile.weights().iter().map(|&c| f64::from(c)).sum();
    assert!((total - 1.0).abs() < 1e-6);
    let mut y = [0.0];
    let shape = Shape { batch: 1, inputs, outputs: 1 };
    SortOp::new(Simd::best(), profile).forward(&Pool::new(1), shape, &x, &w, &mut y, false);
    // The weights are scaled up by 1/(1 − ρ^K), the chance that any input is kept.
    let chance = 1.0 - (1.0 - keep).powi(inputs as i32);
    assert!((f64::from(y[0]) * chance - mean).abs() < 1e-6);
}

#[test]
fn keeping_everything_is_the_plain_distance_to_the_bit() {
    let case = Case::new(Shape { batch: 5, inputs: 70, outputs: 11 }, Kind::Ties, 8);
    let profile = SortProfile::geometric(1.0, 70);
    for simd in Simd::available() {
        let mut y = vec![0.0; 55];
        let (mut dx, mut dw) = (vec![0.0; case.x.len()], vec![0.0; case.w.len()]);
        let mut op = crate::DistOp::new(simd);
        let pool = Pool::new(1);
        op.forward(&pool, case.shape, f64::INFINITY, &case.x, &case.w, &mut y, true);
        op.backward(&pool, &case.x, &case.w, &case.g, Some(&mut dx), Some(&mut dw));
        assert_eq!(run(&case, simd, &pool, &profile), [y, dx, dw]);
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_instructions() {
    let case = Case::new(Shape { batch: 37, inputs: 45, outputs: 29 }, Kind::Mixed, 3);
    let profile = SortProfile::geometric(0.75, 45);
    let bits = |simd, threads| {
        run(&case, simd, &Pool::new(threads), &profile).concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    let expected = bits(Simd::Portable, 1);
    for simd in Simd::available() {
        for threads in [1, 2, 3, 7] {
            assert_eq!(bits(simd, threads), expected, "{simd:?}, {threads} threads");
        }
    }
}
