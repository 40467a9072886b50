//! What attacks left of a run's nets, beside what is known of the very same images without them.

use super::wording;
use crate::store::{AttackRow, Margins};

/// What attacks left of one net.
#[derive(Clone, Debug, PartialEq)]
pub struct Attacked {
    /// The attacks. Their figures are of the first test images, which may be fewer than an evaluation is of.
    pub row: AttackRow,
    /// What an evaluation of the same net at the same radius says of those images, where it is there.
    pub same_images: Option<Shares>,
}

/// Shares of the images attacked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Those that the net gets right as they are.
    pub clean: f64,
    /// Those that no change within the radius can make it get wrong.
    pub certified: f64,
}

impl Attacked {
    /// With the margins of an evaluation of the same net, of the test set, at the same radius.
    pub fn new(row: AttackRow, margins: Option<&Margins>) -> Attacked {
        let same_images = margins.and_then(|margins| shares(margins, row.samples as usize));
        Attacked { row, same_images }
    }

    /// Whether it is known to lie between what is certified and what is right, of the same images.
    pub fn is_in_order(&self) -> bool {
        self.same_images.is_some() && self.disorder().is_none()
    }

    /// How it contradicts what is certified or right, should it.
    pub fn disorder(&self) -> Option<String> {
        // Shares of the same number of images are the same numbers, however they were summed up.
        const SAME: f64 = 1e-9;
        let Shares { clean, certified } = self.same_images?;
        let attacked = self.row.under_all;
        let order = match () {
            () if attacked > clean + SAME => format!("attacked {attacked:.4} > clean {clean:.4}"),
            () if certified > attacked + SAME => format!("certified {certified:.4} > attacked {attacked:.4}"),
            () => return None,
        };
        let (step, images) = (wording::count(self.row.step), wording::count(self.row.samples.into()));
        Some(format!("at step {step}: {order}, of the same {images} images. That cannot be; please report it."))
    }
}

/// Of the first images; `None` where the evaluation is of fewer.
fn shares(margins: &Margins, images: usize) -> Option<Shares> {
    let (labels, predictions) = (margins.label.get(..images)?, margins.prediction.get(..images)?);
    let certified = margins.certified.get(..images)?;
    if images == 0 {
        return None;
    }
    let share = |count: usize| count as f64 / images as f64;
    let right = labels.iter().zip(predictions).filter(|(label, prediction)| label == prediction).count();
    Some(Shares { clean: share(right), certified: share(certified.iter().filter(|certified| **certified).count()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Epsilon;

    fn attacked(under_all: f64, samples: u32) -> Attacked {
        let eps = Epsilon::new(3, 10).unwrap();
        let row = AttackRow { step: 1200, eps, samples, under_pgd: under_all, under_all, seconds: 1.0, time_ms: 0 };
        // Three of the first four are right, one of them is certified; the fifth is both.
        let margins = Margins {
            margin: vec![1.0; 5],
            label: vec![1, 2, 3, 4, 5],
            prediction: vec![1, 2, 3, 0, 5],
            certified: vec![true, false, false, false, true],
            radius: Vec::new(),
        };
        Attacked::new(row, Some(&margins))
    }

    #[test]
    fn the_order_is_that_of_the_images_attacked() {
        assert_eq!(attacked(0.5, 4).same_images, Some(Shares { clean: 0.75, certified: 0.25 }));
        assert!(attacked(0.5, 4).is_in_order() && attacked(0.25, 4).is_in_order() && attacked(0.75, 4).is_in_order());
        let above = attacked(1.0, 4).disorder().unwrap();
        assert!(above.starts_with("at step 1 200: attacked 1.0000 > clean 0.7500, of the same 4 images"), "{above}");
        assert!(attacked(0.0, 4).disorder().unwrap().contains("certified 0.2500 > attacked 0.0000"));
    }

    #[test]
    fn nothing_is_claimed_of_images_that_were_not_evaluated() {
        for attacked in [attacked(0.0, 6), attacked(0.0, 0), Attacked { same_images: None, ..attacked(0.5, 4) }] {
            assert!(!attacked.is_in_order() && attacked.disorder().is_none());
        }
    }
}
