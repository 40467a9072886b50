//! Values and gradients against the formulas as the papers print them, in double precision.

use crate::experiment::Label;
use proptest::prelude::*;

use super::*;

const CLASSES: usize = 4;
const OBJECTIVES: [Objective; 9] = [
    Objective::Hinge { mix: 0.75, kappa: 1.0 },
    Objective::Hinge { mix: 1.0, kappa: 1.0 },
    Objective::Hinge { mix: 0.25, kappa: 0.4 },
    Objective::Mixture { lambda: 0.05 },
    Objective::Mixture { lambda: 1.0 },
    Objective::CrossEntropy { kappa: 1.0 },
    Objective::CrossEntropy { kappa: 0.5 },
    Objective::CeHinge { lambda: 1.0 },
    Objective::CeHinge { lambda: 0.01 },
];

/// One sample's loss as it stands in the papers.
fn of_sample(objective: Objective, z: &[f64], w: &[f64], y: usize, s: f64, eps: f64) -> f64 {
    let ce = |v: &[f64]| -(v[y].exp() / v.iter().map(|v| v.exp()).sum::<f64>()).ln();
    let scaled: Vec<f64> = z.iter().map(|z| s * z).collect();
    let margins: Vec<f64> = z.iter().map(|z_j| z_j - z[y]).collect();
    let relu = |m: &f64| m.max(0.0);
    let hinge = |mix: f64, m: &[f64]| {
        let largest = m.iter().map(relu).fold(0.0, f64::max);
        mix * largest + (1.0 - mix) * m.iter().map(relu).sum::<f64>() / m.len() as f64
    };
    let others = || (0..z.len()).filter(|&j| j != y);
    match objective {
        Objective::Hinge { mix, kappa } => kappa * hinge(mix, w) + (1.0 - kappa) * hinge(mix, &margins),
        Objective::Mixture { lambda } => {
            others().map(|j| (w[j] / (2.0 * eps)).clamp(0.0, 1.0)).fold(0.0, f64::max) + lambda * ce(&scaled)
        }
        Objective::CrossEntropy { kappa } => kappa * ce(w) + (1.0 - kappa) * ce(z),
        Objective::CeHinge { lambda } => {
            let right = others().all(|j| scaled[j] < scaled[y]);
            let hinge = others().map(|j| 1.0 + w[j]).fold(0.0, f64::max);
            if right { hinge + lambda * ce(&scaled) } else { lambda * ce(&scaled) }
        }
    }
}

/// The batch's mean loss of distances.
fn of_distances(objective: Objective, d: &[f64], labels: &[Label], s: f64, eps: f64) -> f64 {
    let rows = d.chunks(CLASSES).zip(labels).map(|(d, &y)| {
        let y = usize::from(y);
        let z: Vec<f64> = d.iter().map(|d| -d).collect();
        let w: Vec<f64> = (0..CLASSES).map(|j| if j == y { 0.0 } else { z[j] - z[y] + 2.0 * eps }).collect();
        of_sample(objective, &z, &w, y, s, eps)
    });
    rows.sum::<f64>() / labels.len() as f64
}

fn of_bounds(objective: Objective, z: &[f64], w: &[f64], labels: &[Label], s: f64, eps: f64) -> f64 {
    let rows = z.chunks(CLASSES).zip(w.chunks(CLASSES)).zip(labels);
    rows.map(|((z, w), &y)| of_sample(objective, z, w, usize::from(y), s, eps)).sum::<f64>() / labels.len() as f64
}

/// (f(x + h) − f(x − h))/2h for each coordinate, or `None` where the two half slopes differ: a kink is near.
fn slopes(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<Option<f64>> {
    let h = 1e-6;
    let at = |i: usize, by: f64| {
        let mut moved = x.to_vec();
        moved[i] += by;
        f(&moved)
    };
    (0..x.len())
        .map(|i| {
            let (below, here, above) = (at(i, -h), f(x), at(i, h));
            let (left, right) = ((here - below) / h, (above - here) / h);
            ((left - right).abs() < 1e-4).then_some((above - below) / (2.0 * h))
        })
        .collect()
}

fn agree(ours: &[f32], theirs: &[Option<f64>]) -> Result<(), TestCaseError> {
    for (i, (&ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if let Some(theirs) = theirs {
            prop_assert!((f64::from(ours) - theirs).abs() < 1e-5, "{i}: {ours} and {theirs}");
        }
    }
    Ok(())
}

fn values() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-2.0f32..2.0, 3 * CLASSES)
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

proptest! {
    #[test]
    fn distances_have_the_loss_and_slopes_of_the_papers(
        d in values(), labels in prop::array::uniform3(0u16..4), s in 0.3f32..3.0, eps in 0.05f64..1.0,
        which in 0..OBJECTIVES.len(),
    ) {
        let objective = OBJECTIVES[which];
        let mut ours = Loss::default();
        ours.of_distances(objective, &d, &labels, s, eps);
        let (d, s) = (widened(&d), f64::from(s));
        prop_assert!((ours.stats.loss - of_distances(objective, &d, &labels, s, eps)).abs() < 1e-12);
        agree(&ours.gradient, &slopes(&d, |d| of_distances(objective, d, &labels, s, eps)))?;
        let of_scalar = slopes(&[s], |s| of_distances(objective, &d, &labels, s[0], eps));
        agree(&[ours.scalar_gradient as f32], &of_scalar)?;
    }

    #[test]
    fn bounds_have_the_loss_and_slopes_of_the_papers(
        z in values(), slack in values(), labels in prop::array::uniform3(0u16..4), s in 0.3f32..3.0,
        eps in 0.05f64..1.0, which in 0..OBJECTIVES.len(),
    ) {
        let objective = OBJECTIVES[which];
        // Bounds of z_j − z_y: the margin and some slack.
        let mut w: Vec<f32> = (0..z.len())
            .map(|i| z[i] - z[i / CLASSES * CLASSES + usize::from(labels[i / CLASSES])] + slack[i].abs())
            .collect();
        for (row, &label) in w.chunks_mut(CLASSES).zip(&labels) {
            row[usize::from(label)] = 0.0;
        }
        let mut ours = Loss::default();
        ours.of_bounds(objective, &z, &w, &labels, s, eps);
        let (z, w, s) = (widened(&z), widened(&w), f64::from(s));
        prop_assert!((ours.stats.loss - of_bounds(objective, &z, &w, &labels, s, eps)).abs() < 1e-12);
        agree(&ours.gradient, &slopes(&z, |z| of_bounds(objective, z, &w, &labels, s, eps)))?;
        // W_y is 0 whatever the net does, so it is held.
        let held = |w: &[f64]| {
            let mut w = w.to_vec();
            w.chunks_mut(CLASSES).zip(&labels).for_each(|(row, &label)| row[usize::from(label)] = 0.0);
            of_bounds(objective, &z, &w, &labels, s, eps)
        };
        agree(&ours.worst_gradient, &slopes(&w, held))?;
        let of_scalar = slopes(&[s], |s| of_bounds(objective, &z, &w, &labels, s[0], eps));
        agree(&[ours.scalar_gradient as f32], &of_scalar)?;
    }
}

/// Margins 0.2, −0.6 and 0.05.
const D: [f32; 12] = [0.3, 0.9, 0.5, 1.2, 2.0, 0.1, 0.7, 0.6, 0.4, 0.45, 0.9, 1.1];
const LABELS: [u16; 3] = [0, 2, 0];

fn loss(objective: Objective, eps: f64) -> Loss {
    let mut loss = Loss::default();
    loss.of_distances(objective, &D, &LABELS, 1.0, eps);
    loss
}

#[test]
fn counts_are_of_correct_and_of_wide_margins() {
    for objective in OBJECTIVES {
        let stats = loss(objective, 0.05).stats;
        assert_eq!((stats.correct, stats.surrogate), (2, 1), "{objective:?}");
        assert_eq!(loss(objective, 0.2).stats.surrogate, 0);
    }
}

#[test]
fn a_misclassified_sample_gets_no_gradient_of_a_clipped_hinge() {
    for objective in [Objective::Mixture { lambda: 0.0 }, Objective::CeHinge { lambda: 0.0 }] {
        let ours = loss(objective, 0.5);
        assert!(ours.gradient[4..8].iter().all(|&g| g == 0.0), "{objective:?}");
        assert!(ours.gradient[..4].iter().any(|&g| g != 0.0), "{objective:?}");
    }
}

#[test]
fn the_mean_of_the_hinge_is_over_all_classes() {
    // Margins within ε = 0.3 of the first sample: 0, 0, 0.4, 0 (its own), −0.3; sum 0.4 over four classes.
    let mut ours = Loss::default();
    ours.of_distances(Objective::Hinge { mix: 0.0, kappa: 1.0 }, &D[..4], &LABELS[..1], 1.0, 0.3);
    assert!((ours.stats.loss - 0.4 / 4.0).abs() < 1e-7, "{}", ours.stats.loss);
}

#[test]
fn a_radius_of_zero_gives_finite_losses() {
    for objective in OBJECTIVES {
        let ours = loss(objective, 0.0);
        assert!(ours.stats.loss.is_finite() && ours.gradient.iter().all(|g| g.is_finite()), "{objective:?}");
    }
}

#[test]
fn huge_distances_give_finite_losses() {
    for objective in OBJECTIVES {
        let mut out = Loss::default();
        out.of_distances(objective, &[1e6, 2e6, 0.0, 5e5], &[1], 50.0, 0.5);
        assert!(out.stats.loss.is_finite() && out.gradient.iter().all(|g| g.is_finite()), "{objective:?}");
    }
}

#[test]
fn what_is_no_number_makes_the_loss_none() {
    for objective in OBJECTIVES {
        let mut out = Loss::default();
        out.of_distances(objective, &[0.1, f32::NAN, 0.2, 0.3], &[0], 1.0, 0.5);
        assert!(out.stats.loss.is_nan(), "{objective:?}: {}", out.stats.loss);
    }
}
