//! How far a net's certified radii are from the radii at which attacks change its classes.

use anyhow::Result;
use serde::Serialize;

use super::{
    measure::{Measured, passing, radius_found},
    place::{json, line},
};
use crate::{
    dataset::Split,
    experiment::{Attack, Epsilon, Radius, Threat},
    net::Reach,
    report::table::{Side, Table},
};

/// Where each image is attacked: at its certified radius, one step of the grid above, and so much further out.
const ROUNDS: [Round; 8] = {
    use Round::{At, Beyond, StepAbove};
    [At, StepAbove, Beyond(1.01), Beyond(1.02), Beyond(1.05), Beyond(1.1), Beyond(1.3), Beyond(2.0)]
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Round {
    At,
    StepAbove,
    Beyond(f64),
}

impl Round {
    /// The radius on the grid.
    fn radius(self, certified: Radius) -> Radius {
        let steps = Threat::Real.steps();
        let beyond = match self {
            Round::At => certified.0,
            Round::StepAbove => certified.0 + 1,
            Round::Beyond(factor) => (f64::from(certified.0) * factor).ceil() as u32 + 1,
        };
        Radius(beyond.min(steps))
    }
}

/// What is known of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    certified: Radius,
    /// The smallest radius in pixel units at which an attack changed the class; `None` where none did.
    broken: Option<f64>,
}

/// What was found.
pub struct Gaps {
    known: Vec<Known>,
    /// Images that were broken at their certified radius, and the input of each: an error of the program.
    pub false_certificates: Vec<(u32, Vec<f32>)>,
}

#[derive(Serialize)]
struct Figures<'a> {
    images: usize,
    broken: usize,
    /// Broken radius over certified radius, at these hundredths of the broken images.
    ratio: [f64; 5],
    /// Share of the images whose broken radius is within 1 %, 2 %, 5 %, 10 % of the certified one.
    within: [f64; 4],
    false_certificates: &'a [u32],
}

/// Bounds the robust radius of each of the first images that are classified right.
pub fn measure(measured: &mut Measured, plan: &Attack) -> Gaps {
    let Measured { net, train, test, evaluator, samples, .. } = measured;
    let evaluation = evaluator.certify(net, test, *samples, Threat::Real.eps(Radius(0)));
    let found = evaluator.radii(net, test, &evaluation, Threat::Real, &mut radius_found(*samples));
    let radii = found.unwrap_or_default();
    let right: Vec<(u32, Radius)> =
        (0u32..).zip(&radii).filter_map(|(sample, radius)| Some((sample, (*radius)?))).collect();
    let mut known: Vec<Known> = right.iter().map(|&(_, certified)| Known { certified, broken: None }).collect();
    let mut false_certificates = Vec::new();
    for round in ROUNDS {
        let open: Vec<usize> = (0..known.len()).filter(|&place| known[place].broken.is_none()).collect();
        let part = subset(test, open.iter().map(|&place| right[place].0 as usize));
        let reach: Vec<Epsilon> =
            open.iter().map(|&place| Threat::Real.eps(round.radius(known[place].certified))).collect();
        let mut progress = |done: usize| {
            passing(&format!("{round:?}: attacked {done} of {}", open.len()));
            true
        };
        let found = evaluator.attack(net, train, &part, plan, Reach::Each(&reach), &mut progress);
        let Some(found) = found else { continue };
        let distances = evaluator.nearer(net, &part, &found.examples);
        for ((index, image), distance) in found.examples.into_iter().zip(distances) {
            let place = open[index as usize];
            if round == Round::At {
                false_certificates.push((right[place].0, image));
            }
            known[place].broken = Some(distance);
        }
    }
    Gaps { known, false_certificates }
}

fn subset(split: &Split, samples: impl Iterator<Item = usize>) -> Split {
    let pixels = split.images.len() / split.len().max(1);
    let mut part = Split::default();
    for sample in samples {
        part.images.extend_from_slice(&split.images[sample * pixels..(sample + 1) * pixels]);
        part.labels.push(split.labels[sample]);
    }
    part
}

/// Prints what was found.
pub fn print(measured: &Measured, gaps: &Gaps, as_json: bool) -> Result<()> {
    let wrong: Vec<u32> = gaps.false_certificates.iter().map(|(sample, _)| *sample).collect();
    let figures = figures(&gaps.known, &wrong);
    if as_json {
        return json(&figures);
    }
    line(&format!("{}, step {}", measured.name, measured.step))?;
    line(&format!(
        "{} of {} test images are right; an attack found the end of {} of their balls",
        figures.images, measured.samples, figures.broken
    ))?;
    let headings = ["broken / certified radius", "p10", "p25", "median", "p75", "p90"];
    let mut table = Table::new(headings.map(|heading| (heading, Side::Right)));
    let [p10, p25, p50, p75, p90] = figures.ratio.map(|ratio| format!("{ratio:.4}"));
    table.row(["of the broken ones".into(), p10, p25, p50, p75, p90]);
    line(table.to_string().trim_end())?;
    let headings = ["gap of at most", "1 %", "2 %", "5 %", "10 %"];
    let mut table = Table::new(headings.map(|heading| (heading, Side::Right)));
    let [one, two, five, ten] = figures.within.map(|share| format!("{:.1} %", 100.0 * share));
    table.row(["of the right ones".into(), one, two, five, ten]);
    line(table.to_string().trim_end())?;
    if !wrong.is_empty() {
        line(&format!("ERROR of the program: broken at their certified radius: test images {wrong:?}"))?;
    }
    Ok(())
}

fn figures<'a>(known: &[Known], false_certificates: &'a [u32]) -> Figures<'a> {
    // An image on the very border is certified at 0: its ball is a point.
    let certified = |known: &Known| Threat::Real.pixels(known.certified).max(1.0 / f64::from(Threat::Real.steps()));
    let ratio = |known: &Known| known.broken.map(|broken| broken / certified(known));
    let mut ratios: Vec<f64> = known.iter().filter_map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = ratios.len().saturating_sub(1) as f64;
        ratios.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
    };
    let within = |most: f64| ratios.iter().filter(|&&ratio| ratio <= most).count() as f64 / known.len().max(1) as f64;
    Figures {
        images: known.len(),
        broken: ratios.len(),
        ratio: [0.1, 0.25, 0.5, 0.75, 0.9].map(at),
        within: [1.01, 1.02, 1.05, 1.1].map(within),
        false_certificates,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_begin_at_the_certified_radius_and_only_grow() {
        let steps = Threat::Real.steps();
        for certified in [0, 1, 100, 19_661, steps - 1, steps].map(Radius) {
            let radii = ROUNDS.map(|round| round.radius(certified));
            assert_eq!(radii[0], certified);
            assert!(radii.windows(2).all(|pair| pair[0] <= pair[1]) && radii[7].0 <= steps, "{radii:?}");
            assert!(certified.0 == steps || radii[1].0 == certified.0 + 1);
        }
    }

    #[test]
    fn what_no_attack_broke_counts_among_the_right_ones_alone() {
        let known = [(1000, Some(1.005)), (1000, Some(1.04)), (2000, Some(1.2)), (1000, None)].map(|(steps, ratio)| {
            let certified = Radius(steps);
            Known { certified, broken: ratio.map(|ratio: f64| ratio * Threat::Real.pixels(certified)) }
        });
        let found = figures(&known, &[7]);
        assert_eq!((found.images, found.broken, found.within), (4, 3, [0.25, 0.25, 0.5, 0.5]));
        assert!((found.ratio[2] - 1.04).abs() < 1e-12);
        assert!(figures(&[], &[]).ratio.iter().all(|ratio| ratio.is_nan()));
    }
}
