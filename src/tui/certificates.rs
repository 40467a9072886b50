//! What one evaluation proved, sample by sample.

use std::collections::BTreeMap;

use crate::{
    experiment::{Epsilon, Fate, Label},
    store::{EvalRow, Findings, Margins},
};

/// What one evaluation proved, sample by sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificates {
    /// The evaluation.
    pub eval: EvalRow,
    /// The samples, in the order of the test set.
    pub margins: Margins,
    /// Sample numbers by radius, smallest first.
    pub by_radius: Vec<u32>,
    /// What the run's own attack made of the same net.
    pub attack: Option<Attack>,
}

/// An attack on the first samples of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// The radius it was allowed.
    pub eps: Epsilon,
    /// What it found.
    pub found: Findings,
}

impl Attack {
    /// What became of a sample; `None` where it was not attacked.
    pub fn fate(&self, sample: u32) -> Option<Fate> {
        self.found.fates.get(sample as usize).copied()
    }

    /// An image `[C·H·W]`, normalised, within the radius of a sample and of another class, where one was found and kept.
    pub fn example(&self, sample: u32) -> Option<&[f32]> {
        self.found.examples.iter().find(|(number, _)| *number == sample).map(|(_, image)| image.as_slice())
    }
}

/// One row of the per-class table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassFigures {
    /// The class.
    pub label: Label,
    /// Its samples.
    pub samples: usize,
    /// Share predicted right.
    pub clean: f64,
    /// Share certified at the ε asked for.
    pub certified: f64,
    /// The class its wrong or uncertified samples are most often taken for, where any is wrong.
    pub confused_with: Option<Label>,
    /// The sample with the smallest positive margin, and its certified radius.
    pub weakest: Option<(u32, f64)>,
}

impl Certificates {
    /// Puts the margins in order. `None` where the columns differ in length.
    pub fn new(eval: EvalRow, margins: Margins) -> Option<Certificates> {
        let samples = margins.margin.len();
        let columns = [margins.label.len(), margins.prediction.len(), margins.certified.len()];
        if columns.iter().any(|len| *len != samples) || ![0, samples].contains(&margins.radius.len()) {
            return None;
        }
        let mut by_radius: Vec<u32> = (0..u32::try_from(samples).ok()?).collect();
        let unordered = Certificates { eval, margins, by_radius: Vec::new(), attack: None };
        by_radius.sort_by(|a, b| unordered.radius(*a).total_cmp(&unordered.radius(*b)));
        Some(Certificates { by_radius, ..unordered })
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.by_radius.len()
    }

    /// Whether no sample was measured.
    pub fn is_empty(&self) -> bool {
        self.by_radius.is_empty()
    }

    /// Whether the radii are those that intervals prove; else they are halves of the margins.
    pub fn by_intervals(&self) -> bool {
        !self.margins.radius.is_empty()
    }

    /// The certified radius of a sample: the one that intervals prove where the evaluation looked for it, else half the
    /// margin (arXiv 2102.05363 §3.2); negative where the sample is misclassified.
    pub fn radius(&self, sample: u32) -> f64 {
        let at = sample as usize;
        let half = f64::from(self.margins.margin[at]) / 2.0;
        self.margins
            .radius
            .get(at)
            .map_or(half, |radius| if *radius < 0.0 { half.min(-0.0) } else { f64::from(*radius) })
    }

    /// Whether a sample's class provably holds within ε. A proof by intervals reaches up to its radius; one by margin > 2ε
    /// does not reach half the margin itself.
    fn holds(&self, sample: u32, eps: f64) -> bool {
        if self.by_intervals() { self.radius(sample) >= eps } else { self.radius(sample) > eps }
    }

    /// The share of samples whose class provably holds within ε.
    pub fn certified_at(&self, eps: f64) -> f64 {
        if self.is_empty() {
            return f64::NAN;
        }
        let below = self.by_radius.partition_point(|sample| !self.holds(*sample, eps));
        (self.len() - below) as f64 / self.len() as f64
    }

    /// The largest certified radius.
    pub fn largest(&self) -> f64 {
        self.by_radius.last().map_or(0.0, |sample| self.radius(*sample))
    }

    /// How many samples have their radius in each of `bins` equal parts of `from..to`.
    pub fn histogram(&self, from: f64, to: f64, bins: usize) -> Vec<usize> {
        let mut counts = vec![0; bins];
        for sample in &self.by_radius {
            let place = (self.radius(*sample) - from) / (to - from) * bins as f64;
            if (0.0..bins as f64).contains(&place) {
                counts[place as usize] += 1;
            }
        }
        counts
    }

    /// The figures of every class that has samples.
    pub fn classes(&self, eps: f64) -> Vec<ClassFigures> {
        let mut tallies: BTreeMap<Label, Tally> = BTreeMap::new();
        for sample in &self.by_radius {
            let index = *sample as usize;
            let (label, prediction) = (self.margins.label[index], self.margins.prediction[index]);
            let tally = tallies.entry(label).or_default();
            tally.samples += 1;
            tally.clean += usize::from(label == prediction);
            tally.certified += usize::from(self.holds(*sample, eps));
            if label != prediction {
                *tally.wrong.entry(prediction).or_default() += 1;
            } else if tally.weakest.is_none() {
                tally.weakest = Some((*sample, self.radius(*sample)));
            }
        }
        let figures = |(label, tally): (Label, Tally)| ClassFigures {
            label,
            samples: tally.samples,
            clean: tally.clean as f64 / tally.samples as f64,
            certified: tally.certified as f64 / tally.samples as f64,
            confused_with: tally.wrong.iter().max_by_key(|(_, count)| **count).map(|(class, _)| *class),
            weakest: tally.weakest,
        };
        tallies.into_iter().map(figures).collect()
    }
}

#[derive(Default)]
struct Tally {
    samples: usize,
    clean: usize,
    certified: usize,
    wrong: BTreeMap<Label, usize>,
    weakest: Option<(u32, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Epsilon, PNorm};
    use crate::store::EvalSplit;

    fn certificates(margin: Vec<f32>, label: Vec<Label>, prediction: Vec<Label>) -> Certificates {
        let certified = margin.iter().map(|margin| *margin > 0.6).collect();
        let eval = EvalRow {
            id: 1,
            epoch: 1.0,
            step: 1,
            train_p: PNorm::INFINITY,
            eps: Epsilon::new(3, 10).unwrap(),
            split: EvalSplit::Test,
            samples: margin.len() as u32,
            clean: 0.0,
            certified: 0.0,
            certified_margin: 0.0,
            surrogate_clean: None,
            surrogate_certified: None,
            seconds: 0.0,
            time_ms: 0,
        };
        Certificates::new(eval, Margins { margin, label, prediction, certified, radius: Vec::new() }).unwrap()
    }

    #[test]
    fn a_margin_of_exactly_two_epsilon_certifies_nothing() {
        let c = certificates(vec![0.5, 1.0, -0.2, 0.25], vec![0, 0, 1, 1], vec![0, 0, 0, 1]);
        assert_eq!(c.certified_at(0.25), 0.25);
        assert_eq!(c.certified_at(0.2499), 0.5);
        assert_eq!(c.certified_at(0.0), 0.75);
        assert_eq!(c.by_radius, [2, 3, 0, 1]);
    }

    #[test]
    fn a_radius_that_intervals_prove_is_reached_and_takes_the_place_of_the_margins() {
        let halves = certificates(vec![0.5, 1.0, -0.2, 0.25], vec![0, 0, 1, 1], vec![0, 0, 0, 1]);
        let margins = Margins { radius: vec![0.25, 0.625, -1.0, 0.375], ..halves.margins.clone() };
        let c = Certificates::new(halves.eval.clone(), margins.clone()).unwrap();
        assert!(c.by_intervals() && !halves.by_intervals());
        assert_eq!(c.by_radius, [2, 0, 3, 1]);
        assert_eq!((c.certified_at(0.25), c.certified_at(0.251), c.certified_at(0.0)), (0.75, 0.5, 0.75));
        assert!(c.radius(2) < 0.0 && c.largest() == 0.625);
        assert_eq!(Certificates::new(halves.eval, Margins { radius: vec![0.5], ..margins }), None);
    }

    #[test]
    fn classes_are_told_apart() {
        let classes = certificates(vec![0.5, 1.0, -0.2, 0.25], vec![0, 0, 1, 1], vec![0, 0, 0, 1]).classes(0.2);
        assert_eq!((classes[0].clean, classes[0].certified, classes[0].weakest), (1.0, 1.0, Some((0, 0.25))));
        assert_eq!((classes[1].clean, classes[1].certified, classes[1].confused_with), (0.5, 0.0, Some(0)));
    }

    #[test]
    fn an_evaluation_without_samples_proves_nothing() {
        let c = certificates(vec![], vec![], vec![]);
        assert!(c.certified_at(0.1).is_nan());
        assert_eq!(c.histogram(0.0, 1.0, 4), [0; 4]);
    }
}
