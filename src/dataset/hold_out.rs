//! A validation split held out of the training images, so that nothing is ever chosen on the test set.

use super::Split;
use super::order::permutation;
use super::random::{Purpose, stream};
use crate::experiment::Data;

/// The seed by which runs hold images out: the same for every run, so that runs of other seeds can be compared.
const HELD_OUT_BY: u64 = 0;

impl Split {
    /// What a run makes of the training images: (those it trains on, those it holds out).
    pub fn for_training(self, data: &Data) -> (Self, Self) {
        let (mut train, held_out) = match data.validation {
            0 => (self, Self::default()),
            count => self.hold_out(HELD_OUT_BY, count),
        };
        train.truncate(data.train_limit.unwrap_or(train.len()));
        (train, held_out)
    }

    /// Splits off `count` images at random: (what remains, what is held out), both in their old order.
    ///
    /// Which images are held out is a pure function of the seed, the number of images and `count`; a larger `count`
    /// holds out the same images and more. All of them are held out if there are no more than `count`.
    pub fn hold_out(&self, seed: u64, count: usize) -> (Self, Self) {
        let mut is_held_out = vec![false; self.len()];
        for &index in permutation(seed, stream(Purpose::HoldOut, 0), self.len()).iter().take(count) {
            is_held_out[index as usize] = true;
        }
        let pixels = self.images.len() / self.len().max(1);
        let (mut remaining, mut held_out) = (Self::default(), Self::default());
        for ((image, &label), is_held_out) in self.images.chunks_exact(pixels.max(1)).zip(&self.labels).zip(is_held_out)
        {
            let split = if is_held_out { &mut held_out } else { &mut remaining };
            split.images.extend_from_slice(image);
            split.labels.push(label);
        }
        (remaining, held_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_lands_on_one_side_with_its_label() {
        let split = Split { images: (0..100).flat_map(|i| [i, i + 100]).collect(), labels: (0..100).collect() };
        let (rest, held_out) = split.hold_out(3, 30);
        assert_eq!((rest.len(), held_out.len()), (70, 30));
        for side in [&rest, &held_out] {
            assert!(side.labels.is_sorted());
            assert!(
                side.images
                    .chunks(2)
                    .zip(&side.labels)
                    .all(|(image, &label)| image.iter().map(|&pixel| u16::from(pixel)).eq([label, label + 100]))
            );
        }
        let mut labels = [rest.labels.clone(), held_out.labels.clone()].concat();
        labels.sort_unstable();
        assert_eq!(labels, split.labels);

        assert_eq!(split.hold_out(3, 30), (rest, held_out.clone()));
        assert_ne!(split.hold_out(4, 30).1, held_out);
        let more = split.hold_out(3, 40).1;
        assert!(held_out.labels.iter().all(|label| more.labels.contains(label)));
        assert_eq!(split.hold_out(3, 1000), (Split::default(), split));
    }
}
