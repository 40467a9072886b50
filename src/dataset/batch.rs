//! Batches of augmented, normalised images.

use super::crop::Crop;
use super::{Augmentation, Label, Normalizer, Split, View};

/// Writes the images `indices` of `split`, normalised, to `out` `[B, C·H·W]` and their labels to `labels` `[B]`.
///
/// With `augment` = (how, seed, epoch), the crop and flip of each image are pure functions of (seed, epoch, index);
/// without it the net sees the middle.
///
/// # Panics
/// If an index is not of this split, or `out` is shorter than the batch.
pub fn fill_batch(
    split: &Split,
    view: impl Into<View>,
    normalizer: &Normalizer,
    indices: &[u32],
    augment: Option<(&Augmentation, u64, u64)>,
    out: &mut [f32],
    labels: &mut Vec<Label>,
) {
    let view = view.into();
    labels.clear();
    labels.extend(indices.iter().map(|&index| split.labels[index as usize]));
    fill_drawn(split, view, normalizer, &draw(view, indices, augment), out);
}

/// What [`fill_batch`] makes of each image, for who copies the pixels elsewhere.
pub fn draw(view: View, indices: &[u32], augment: Option<(&Augmentation, u64, u64)>) -> Vec<Drawn> {
    let crop = |index: u32| match augment {
        Some((augment, seed, epoch)) => Crop::draw(augment, view, seed, epoch, index),
        None => Crop::middle(view),
    };
    indices.iter().map(|&index| Drawn { index, crop: crop(index) }).collect()
}

/// Writes drawn images of `split`, normalised, to `out` `[B, C·H·W]`.
///
/// # Panics
/// If an index is not of this split, or `out` is shorter than the batch.
pub fn fill_drawn(split: &Split, view: View, normalizer: &Normalizer, drawn: &[Drawn], out: &mut [f32]) {
    let size = view.pixels();
    let plane = size / view.channels();
    // Rows are copied as bytes, and normalised a plane at a time: in long vectors.
    let mut raw = vec![0; size];
    normalizer.simd().vectorize(
        #[inline(always)]
        || {
            for (drawn, out) in drawn.iter().zip(out[..drawn.len() * size].chunks_exact_mut(size)) {
                drawn.copy(split, view, &mut raw);
                for (channel, (raw, out)) in raw.chunks_exact(plane).zip(out.chunks_exact_mut(plane)).enumerate() {
                    normalizer.normalize_all(channel, raw, out);
                }
            }
        },
    );
}

/// What is seen of a drawn image of `split`, `[C, H, W]` in raw pixels: for people to look at.
///
/// # Panics
/// If its index is not of this split.
pub fn seen(split: &Split, view: View, drawn: Drawn) -> Vec<u8> {
    let mut out = vec![0; view.pixels()];
    drawn.copy(split, view, &mut out);
    out
}

/// An image of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// In its split.
    pub index: u32,
    /// What is seen of it.
    pub crop: Crop,
}

impl Drawn {
    #[inline(always)]
    fn copy(self, split: &Split, view: View, out: &mut [u8]) {
        let whole = view.id.pixels();
        self.crop.copy(&split.images[self.index as usize * whole..][..whole], view, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bend::{Bend, Field, LANES};
    use super::super::{DatasetId, PadMode, Warp};
    use super::*;
    use crate::dist::Simd;

    /// A split of `n` images with pixels that differ from place to place.
    fn split(id: DatasetId, n: usize) -> Split {
        let images = (0..n * id.pixels()).map(|i| (i * 89 % 251) as u8).collect();
        Split { images, labels: (0..n).map(|i| (i % 10) as Label).collect() }
    }

    fn filled(split: &Split, id: DatasetId, indices: &[u32], augment: Option<(&Augmentation, u64, u64)>) -> Vec<f32> {
        let mut out = vec![f32::NAN; indices.len() * id.pixels()];
        let mut labels = vec![99];
        fill_batch(split, id, &Normalizer::new(id), indices, augment, &mut out, &mut labels);
        assert!(labels.iter().zip(indices).all(|(&label, &index)| label == split.labels[index as usize]));
        assert_eq!(labels.len(), indices.len());
        out
    }

    #[test]
    fn without_augmentation_pixels_are_only_normalised() {
        for id in [DatasetId::Mnist, DatasetId::Cifar10] {
            let split = split(id, 3);
            let normalizer = Normalizer::new(id);
            let plane = id.height() * id.width();
            let expected: Vec<f32> = [2, 0]
                .iter()
                .flat_map(|&image| (0..id.pixels()).map(move |at| (image * id.pixels() + at, at / plane)))
                .map(|(at, channel)| normalizer.table(channel)[usize::from(split.images[at])])
                .collect();
            assert_eq!(filled(&split, id, &[2, 0], None), expected);
        }
    }

    /// The definition, pixel by pixel and in real numbers, against the copying of rows.
    fn by_definition(image: &[u8], view: View, crop: Crop) -> Vec<f32> {
        let (height, width) = (view.id.height() as isize, view.id.width() as isize);
        let (rows, columns) = (view.height() as isize, view.width() as isize);
        let normalizer = Normalizer::new(view.id);
        let mut out = Vec::new();
        let field = crop.bend.map(|bend| bend.field([view.height(), view.width()]));
        let unflipped = |x: isize| (if crop.flip { columns - 1 - x } else { x }) as usize;
        for channel in 0..view.channels() {
            for y in 0..rows {
                for x in 0..columns {
                    let (row, column) = (y + crop.top, unflipped(x) as isize + crop.left);
                    let bend = field.as_ref().map_or([0; 2], |field| bend_of(field, [y as usize, unflipped(x)]));
                    let (row, column) = warped(crop.warp, [row, column], [height, width], bend);
                    let (near_row, near_column) = (row.clamp(0, height - 1), column.clamp(0, width - 1));
                    let outside = (row, column) != (near_row, near_column);
                    let at = (channel as isize * height + near_row) * width + near_column;
                    let raw = if outside && crop.mode == PadMode::Zero { 0 } else { image[at as usize] };
                    out.push(normalizer.table(channel)[usize::from(raw)]);
                }
            }
        }
        out
    }

    fn bend_of(field: &Field, [y, x]: [usize; 2]) -> [i32; 2] {
        let mut row = vec![[[0; LANES]; 2]; field.nodes.len()];
        field.row(y, &mut row);
        row[x / LANES].map(|axis| axis[x % LANES])
    }

    /// (I + map) applied about the middle, and the bend, to the nearest pixel; a half goes up.
    fn warped(
        Warp(map): Warp,
        [row, column]: [isize; 2],
        [height, width]: [isize; 2],
        bend: [i32; 2],
    ) -> (isize, isize) {
        let [a, b, c, d] = map.map(|entry| f64::from(entry) / 65536.0);
        let middle = [height, width].map(|size| (size as f64 - 1.0) / 2.0);
        let (y, x) = (row as f64 - middle[0], column as f64 - middle[1]);
        let nearest = |at: f64| (at + 0.5).floor() as isize;
        let [down, right] = bend.map(|moved| f64::from(moved) / 131_072.0);
        (nearest((1.0 + a) * y + b * x + middle[0] + down), nearest(c * y + (1.0 + d) * x + middle[1] + right))
    }

    proptest! {
        #[test]
        fn crops_are_what_they_are_defined_to_be(
            top in -40isize..=40, left in -40isize..=40, flip: bool, zero: bool, colour: bool,
            side in prop::option::of(1usize..=28), warp in prop::option::of(prop::array::uniform4(-32_768i32..=32_768)),
            most in prop::sample::select(vec![0.0, 0.5, 8.0]), seed: u64,
        ) {
            let id = if colour { DatasetId::Cifar10 } else { DatasetId::Mnist };
            let mode = if zero { PadMode::Zero } else { PadMode::Edge };
            let crop = Crop { top, left, mode, flip, warp: warp.map_or(Warp::NONE, Warp), bend: Bend::new(most, seed, 3, 5) };
            let (image, view) = (split(id, 1).images, View::new(id, side));
            let normalizer = Normalizer::new(id);
            let expected = by_definition(&image, view, crop);
            let (split, drawn) = (Split { images: image, labels: vec![0] }, Drawn { index: 0, crop });
            for simd in Simd::available() {
                let mut out = vec![f32::NAN; view.pixels()];
                fill_drawn(&split, view, &normalizer.clone().with(simd), &[drawn], &mut out);
                prop_assert_eq!(&out, &expected, "{}", simd.name());
            }
            let plane = view.height() * view.width();
            let raw = seen(&split, view, drawn);
            let normalized = raw.iter().enumerate().map(|(at, &raw)| normalizer.table(at / plane)[usize::from(raw)]);
            prop_assert_eq!(normalized.collect::<Vec<_>>(), expected, "people see what nets see");
        }
    }

    #[test]
    fn a_window_is_drawn_from_everywhere_in_training_and_is_the_middle_elsewhere() {
        let (split, view) = (split(DatasetId::Cifar10, 3), View::new(DatasetId::Cifar10, Some(28)));
        let normalizer = Normalizer::new(view.id);
        let fill = |augment| {
            let mut out = vec![f32::NAN; 2 * view.pixels()];
            fill_batch(&split, view, &normalizer, &[2, 0], augment, &mut out, &mut Vec::new());
            out
        };
        // The middle, by counting: row 5 and column 9 of it are row 7 and column 11 of the image.
        let middle = fill(None);
        let raw = |image: usize, channel: usize| split.images[(image * 3 + channel) * 1024 + 7 * 32 + 11];
        for (place, image) in [2, 0].into_iter().enumerate() {
            for channel in 0..3 {
                let at = (place * 3 + channel) * 28 * 28 + 5 * 28 + 9;
                let value = normalizer.table(channel)[usize::from(raw(image, channel))];
                assert_eq!(middle[at].to_bits(), value.to_bits());
            }
            let seen = split.image(view, image);
            let normalized = |(at, &raw): (usize, &u8)| normalizer.table(at / (28 * 28))[usize::from(raw)];
            let seen: Vec<f32> = seen.iter().enumerate().map(normalized).collect();
            assert_eq!(seen, middle[place * view.pixels()..][..view.pixels()], "both ways to the middle are one");
        }

        let none = Augmentation::default();
        let mut seen = std::collections::BTreeMap::new();
        for index in 0..25_000 {
            let crop = Crop::draw(&none, view, 1, 0, index);
            *seen.entry((crop.top, crop.left)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 25, "four pixels both ways");
        assert!(seen.iter().all(|((top, left), count)| {
            (0..=4).contains(top) && (0..=4).contains(left) && (800..1200).contains(count)
        }));
        assert!((0..8).any(|epoch| fill(Some((&none, 5, epoch))) != middle));
    }

    #[test]
    fn crops_depend_on_seed_epoch_and_sample_alone_and_reach_every_offset() {
        let augment = Augmentation { pad: 1, flip: true, ..Augmentation::default() };
        let split = split(DatasetId::Mnist, 20);
        let fill = |indices: &[u32], epoch| filled(&split, DatasetId::Mnist, indices, Some((&augment, 5, epoch)));
        let (both, alone) = (fill(&[3, 17], 2), fill(&[17], 2));
        assert_eq!(both[784..], alone);
        assert!((0..8).any(|epoch| fill(&[17], epoch) != alone));

        let mut seen = std::collections::BTreeMap::new();
        for index in 0..18_000 {
            let crop = Crop::draw(&augment, DatasetId::Mnist.into(), 1, 0, index);
            *seen.entry((crop.top, crop.left, crop.flip)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 18);
        assert!(
            seen.iter().all(|((top, left, _), count)| top.abs() <= 1 && left.abs() <= 1 && (850..1150).contains(count))
        );
    }
}
