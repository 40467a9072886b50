//! In which order an epoch visits the images.

use super::Label;
use super::random::{self, Purpose, stream};
use crate::dist::MASK_SAMPLES;

/// Puts images of one class close together, which lets the kernels bound them together. A batch is a set, so its order is
/// ours to choose; always the same, it keeps the bits. Under `dropout` consecutive images share a mask (arXiv 2210.01787,
/// appendix), and by chance, not by their class: then only those change places that share one.
pub fn sort_by_class(indices: &mut [u32], labels: &[Label], dropout: bool) {
    let together = if dropout { MASK_SAMPLES } else { indices.len().max(1) };
    for part in indices.chunks_mut(together) {
        part.sort_by_key(|&index| labels[index as usize]);
    }
}

/// The order in which an epoch visits `n` samples: a permutation of `0..n` that depends on its arguments alone.
pub fn epoch_order(seed: u64, epoch: u64, n: usize) -> Vec<u32> {
    permutation(seed, stream(Purpose::Order, epoch), n)
}

/// The order of an epoch of `own` samples of which the share `share` is replaced by some of the `more` samples that lie
/// behind the data set's own, drawn with replacement; no own sample comes twice.
pub fn mixed_order(seed: u64, epoch: u64, own: usize, more: usize, share: f64) -> Vec<u32> {
    let replaced = ((own as f64 * share).round() as usize).min(own);
    let mut order = epoch_order(seed, epoch, own);
    let draws = stream(Purpose::Extra, 2 * epoch);
    for (draw, sample) in order[own - replaced..].iter_mut().enumerate() {
        *sample = (own as u64 + random::below(seed, draws, draw as u64, more as u64)) as u32;
    }
    // They stand at the end; every batch shall have its share of them.
    let places = permutation(seed, stream(Purpose::Extra, 2 * epoch + 1), own);
    places.into_iter().map(|place| order[place as usize]).collect()
}

/// A random permutation of `0..n` (Fisher and Yates).
pub(super) fn permutation(seed: u64, stream: u64, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for last in (1..n).rev() {
        order.swap(last, random::below(seed, stream, last as u64, last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_sample_once_and_epochs_differ() {
        for n in [0, 1, 2, 1000] {
            let mut order = epoch_order(2021, 3, n);
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..n as u32));
        }
        assert_eq!(epoch_order(1, 2, 100), epoch_order(1, 2, 100));
        assert_ne!(epoch_order(1, 2, 100), epoch_order(1, 3, 100));
        assert_ne!(epoch_order(1, 2, 100), epoch_order(2, 2, 100));
    }

    #[test]
    fn a_share_of_an_epoch_is_drawn_from_what_is_more() {
        let order = mixed_order(3, 1, 1000, 50, 0.3);
        assert_eq!(order.len(), 1000);
        let own: std::collections::BTreeSet<u32> = order.iter().copied().filter(|&sample| sample < 1000).collect();
        assert_eq!(own.len(), 700, "no own sample comes twice");
        assert!(order.iter().all(|&sample| sample < 1050));
        let early = order[..500].iter().filter(|&&sample| sample >= 1000).count();
        assert!((110..190).contains(&early), "they are spread over the epoch: {early} of 300 in its first half");
        assert_eq!(mixed_order(3, 1, 1000, 50, 0.3), order);
        assert_ne!(mixed_order(3, 2, 1000, 50, 0.3), order);
        assert!(mixed_order(3, 1, 10, 5, 1.0).iter().all(|&sample| sample >= 10));
    }

    #[test]
    fn every_place_of_the_order_is_uniform() {
        let mut counts = [[0; 4]; 4];
        for epoch in 0..4000 {
            for (place, sample) in epoch_order(9, epoch, 4).into_iter().enumerate() {
                counts[place][sample as usize] += 1;
            }
        }
        assert!(counts.as_flattened().iter().all(|count| (880..1120).contains(count)), "{counts:?}");
    }
}
