//! SortNet's dropout masks (arXiv 2210.01787 §4.2): pure functions of seed, step and layer, with nothing to save.
//!
//! At each step a layer with keep rate q draws n ~ Binomial(inputs, q), at least 1, and then for every 32 consecutive
//! samples a uniform subset of exactly n inputs. The layer before computes only those. Nothing is scaled by 1/q.

use crate::dataset::random::{self, Purpose};
use crate::dist::{MASK_SAMPLES, Mask};

use super::LayerShape;

/// The masks of every layer at one step, each with one for every 32 samples; none for a layer without dropped channels
/// on either side.
pub fn masks(layers: &[LayerShape], seed: u64, step: u64, batch: usize) -> Vec<Vec<Mask>> {
    let count = batch.div_ceil(MASK_SAMPLES);
    let kept = |index: usize| -> Option<Vec<Vec<u32>>> {
        let layer = layers.get(index)?;
        let keep = layer.keep?;
        let draws = Draws { seed, stream: random::stream(Purpose::Dropout, step << 8 | index as u64) };
        Some(draws.subsets(layer.form.input().channels, keep, count))
    };
    let mut inputs = kept(0);
    let mut all = Vec::new();
    for index in 0..layers.len() {
        let outputs = kept(index + 1);
        // Where positions are flattened in between, the next layer's inputs are not this one's channels.
        let channels = |index: usize| layers.get(index).map(|layer: &LayerShape| layer.form.input().channels);
        let given = outputs.as_ref().filter(|_| channels(index + 1) == Some(layers[index].outputs()));
        if inputs.is_none() && given.is_none() {
            all.push(Vec::new());
            inputs = outputs;
            continue;
        }
        let mut taken = inputs.map(Vec::into_iter);
        let mask = |n: usize| Mask {
            inputs: taken.as_mut().and_then(Iterator::next),
            outputs: given.map(|outputs| outputs[n].clone()),
        };
        all.push((0..count).map(mask).collect());
        inputs = outputs;
    }
    all
}

/// How many of the batch's rows keep each output channel, given that every sample has `positions` rows.
pub fn counts(masks: &[Mask], batch: usize, positions: usize, channels: usize) -> Vec<f32> {
    let mut counts = vec![0usize; channels];
    for (n, mask) in masks.iter().enumerate() {
        let rows = (batch - n * MASK_SAMPLES).min(MASK_SAMPLES) * positions;
        match &mask.outputs {
            None => counts.iter_mut().for_each(|count| *count += rows),
            Some(kept) => kept.iter().for_each(|&channel| counts[channel as usize] += rows),
        }
    }
    counts.into_iter().map(|count| count as f32).collect()
}

struct Draws {
    seed: u64,
    stream: u64,
}

impl Draws {
    /// `count` uniform subsets of one random size, each ascending.
    fn subsets(&self, channels: usize, keep: f64, count: usize) -> Vec<Vec<u32>> {
        let all = channels as u64;
        let chosen = |&channel: &u64| random::uniform(self.seed, self.stream, channel) < keep;
        let size = (0..all).filter(chosen).count().max(1);
        (1..=count as u64).map(|n| self.subset(n * all, all, size)).collect()
    }

    /// The channels of the `size` smallest of as many random numbers as there are channels.
    fn subset(&self, first: u64, channels: u64, size: usize) -> Vec<u32> {
        let key = |channel: u64| (random::bits(self.seed, self.stream, first + channel), channel as u32);
        let mut keys: Vec<(u64, u32)> = (0..channels).map(key).collect();
        keys.select_nth_unstable(size - 1);
        let mut kept: Vec<u32> = keys[..size].iter().map(|&(_, channel)| channel).collect();
        kept.sort_unstable();
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<LayerShape> {
        let layer = |inputs, outputs, keep| LayerShape { keep, ..LayerShape::dense(inputs, outputs).unwrap() };
        vec![layer(30, 200, None), layer(200, 100, Some(0.7)), layer(100, 10, Some(0.4))]
    }

    #[test]
    fn a_layer_gives_what_the_next_one_takes_and_sizes_are_shared() {
        let all = masks(&layers(), 3, 17, 100);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4]);
        for n in 0..4 {
            assert_eq!(all[0][n].inputs, None);
            assert_eq!(all[0][n].outputs, all[1][n].inputs);
            assert_eq!(all[1][n].outputs, all[2][n].inputs);
            assert_eq!(all[2][n].outputs, None);
            let kept = all[1][n].inputs.as_ref().unwrap();
            assert!(kept.is_sorted_by(|a, b| a < b) && kept.iter().all(|&channel| channel < 200));
            assert_eq!(kept.len(), all[1][0].inputs.as_ref().unwrap().len());
        }
        assert_ne!(all[1][0].inputs, all[1][1].inputs);
        assert_eq!(all, masks(&layers(), 3, 17, 100));
        assert_ne!(all, masks(&layers(), 3, 18, 100));
    }

    #[test]
    fn channels_are_kept_as_often_as_asked() {
        let mut kept = vec![0; 200];
        let steps = 400;
        for step in 0..steps {
            for mask in &masks(&layers(), 1, step, 64)[1] {
                mask.inputs.as_ref().unwrap().iter().for_each(|&channel| kept[channel as usize] += 1);
            }
        }
        // 800 masks: 560 ± 13 each; sizes vary by 6.5 of 200 channels.
        assert!(kept.iter().all(|count| (490..630).contains(count)), "{kept:?}");
        let mean = kept.iter().sum::<i32>() as f64 / 200.0;
        assert!((mean - 560.0).abs() < 6.0, "{mean}");
    }

    #[test]
    fn a_layer_gives_all_where_the_next_one_flattens() {
        use crate::dist::{Form, Planes, Window};
        let planes = Planes { channels: 3, height: 2, width: 2 };
        let conv = LayerShape { form: Form::new(planes, 5, 1, Window::POINT).unwrap(), ..layers()[0] };
        let dense = LayerShape { keep: Some(0.5), ..LayerShape::dense(20, 4).unwrap() };
        let all = masks(&[conv, dense], 3, 17, 10);
        assert!(all[0].is_empty());
        assert_eq!(all[1].len(), 1);
        assert!(all[1][0].inputs.is_some() && all[1][0].outputs.is_none());
    }

    #[test]
    fn plain_layers_have_no_masks() {
        let plain: Vec<LayerShape> = layers().into_iter().map(|layer| LayerShape { keep: None, ..layer }).collect();
        assert!(masks(&plain, 3, 17, 100).iter().all(Vec::is_empty));
    }

    #[test]
    fn counts_are_of_rows() {
        let mask = |outputs: Option<Vec<u32>>| Mask { inputs: None, outputs };
        let masks = [mask(Some(vec![0, 2])), mask(None), mask(Some(vec![1]))];
        assert_eq!(counts(&masks, 70, 4, 3), [4.0 * 64.0, 4.0 * 38.0, 4.0 * 64.0]);
    }
}
