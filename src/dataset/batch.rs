//! The order of an epoch, and batches of augmented, normalised images.

use std::ops::Range;

use super::bend::{Bend, LANES};
use super::random::{self, Purpose, stream};
use super::{Augmentation, Label, Normalizer, PadMode, Split, View};
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

/// One image's variation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    /// Row of the image that becomes the first row; outside the image where padding comes first.
    pub top: isize,
    /// The same of columns, before a flip.
    pub left: isize,
    /// What is outside.
    pub mode: PadMode,
    /// Left and right change places.
    pub flip: bool,
    /// What happens to the image before it is cut.
    pub warp: Warp,
    /// What happens to it beside.
    pub bend: Option<Bend>,
}

/// A linear map about the middle of an image, less the identity, row by row, in units of 2⁻¹⁶: what lies at (y, x) from the
/// middle comes from (a·y + b·x, c·y + d·x) further away. Entries are integers, so that all devices look at the same pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warp(pub [i32; 4]);

impl Warp {
    const NONE: Warp = Warp([0; 4]);

    /// Every entry is uniform in ±`most`; all are 0 where that is 0.
    fn draw(most: f64, seed: u64, epoch: u64, index: u32) -> Self {
        if most == 0.0 {
            return Warp::NONE;
        }
        let most = (most * f64::from(1 << 16)).round() as u32;
        let bits = random::block(seed, stream(Purpose::Warp, epoch), u64::from(index));
        Self(bits.map(|bits| random::within(bits, most)))
    }

    /// Where the pixels that come to `[row, column]` and on to the right of it lie in an image of `[height, width]`: the nearest
    /// ones, so that pixels keep their values, and with them what an attack of radius ε can do. `bends` says how much further down and
    /// right each of them is to be looked for, in units of 2⁻¹⁷ pixels; of those outside, `beyond` is the place, or the nearest inside.
    #[inline(always)]
    fn places(
        self,
        [row, column]: [i32; 2],
        [height, width]: [i32; 2],
        bends: &[[[i32; LANES]; 2]],
        beyond: Option<u32>,
        to: &mut [[u32; LANES]],
    ) {
        // Twice the distance to the middle is a whole number. With entries of up to ½, images of 10 000 pixels fit an i32.
        let (down, right) = (2 * row + 1 - height, 2 * column + 1 - width);
        let Warp([a, b, c, d]) = self;
        let first = [a * down + b * right + (1 << 16), c * down + d * right + (1 << 16)];
        let (zero, beyond) = (beyond.is_some(), beyond.unwrap_or(0));
        for ((to, bends), start) in to.iter_mut().zip(bends).zip((0..).step_by(LANES)) {
            // By index and without branches: so the compiler makes vectors of it.
            for lane in 0..LANES {
                let x = start + lane as i32;
                // A pixel further right, the distance is 2 more.
                let row = row + ((first[0] + 2 * b * x + bends[0][lane]) >> 17);
                let column = column + x + ((first[1] + 2 * d * x + bends[1][lane]) >> 17);
                let (near_row, near_column) = (row.clamp(0, height - 1), column.clamp(0, width - 1));
                let outside = zero & ((row != near_row) | (column != near_column));
                to[lane] = if outside { beyond } else { (near_row * width + near_column) as u32 };
            }
        }
    }
}

impl Crop {
    fn middle(view: View) -> Self {
        let (rows, columns) = view.slack();
        let (top, left) = ((rows / 2) as isize, (columns / 2) as isize);
        Self { top, left, mode: PadMode::Edge, flip: false, warp: Warp::NONE, bend: None }
    }

    fn draw(augment: &Augmentation, view: View, seed: u64, epoch: u64, index: u32) -> Self {
        let [vertical, horizontal, flip, _] = random::block(seed, stream(Purpose::Augment, epoch), u64::from(index));
        let (rows, columns) = view.slack();
        let offset = |bits: u32, slack: usize| {
            let offsets = (2 * augment.pad + slack) as u64 + 1;
            ((u64::from(bits) * offsets) >> 32) as isize - augment.pad as isize
        };
        Self {
            top: offset(vertical, rows),
            left: offset(horizontal, columns),
            mode: augment.pad_mode,
            flip: augment.flip && flip & 1 == 1,
            warp: Warp::draw(augment.warp, seed, epoch, index),
            bend: Bend::new(augment.bend, seed, epoch, index),
        }
    }

    /// Writes what is seen of an image, `[C, H, W]`.
    #[inline(always)]
    fn copy(self, image: &[u8], view: View, out: &mut [u8]) {
        let [size, seen] = [[view.id.height(), view.id.width()], [view.height(), view.width()]];
        if self.bend.is_none() && self.warp == Warp::NONE {
            self.copy_still(image, size, seen, out);
        } else {
            self.copy_moved(image, size, seen, out);
        }
    }

    /// The rows and columns of what is seen that lie in the image.
    fn inside(self, image: [usize; 2], seen: [usize; 2]) -> [Range<usize>; 2] {
        [(self.top, 0), (self.left, 1)].map(|(first, axis)| {
            let seen = seen[axis] as isize;
            let start = (-first).clamp(0, seen);
            start as usize..(image[axis] as isize - first).clamp(start, seen) as usize
        })
    }

    /// An image of `[height, width]` that is neither warped nor bent.
    fn copy_still(self, image: &[u8], [height, width]: [usize; 2], seen: [usize; 2], out: &mut [u8]) {
        let [rows, columns] = self.inside([height, width], seen);
        let first = (columns.start as isize + self.left).clamp(0, width as isize) as usize;
        let planes = image.chunks_exact(height * width).zip(out.chunks_exact_mut(seen[0] * seen[1]));
        for (plane, out) in planes {
            for (y, out) in out.chunks_exact_mut(seen[1]).enumerate() {
                if self.mode == PadMode::Zero && !rows.contains(&y) {
                    out.fill(0);
                    continue;
                }
                let row = (y as isize + self.top).clamp(0, height as isize - 1) as usize;
                let row = &plane[row * width..][..width];
                let [before, after] = match self.mode {
                    PadMode::Edge => [row[0], row[width - 1]],
                    PadMode::Zero => [0, 0],
                };
                out[..columns.start].fill(before);
                out[columns.clone()].copy_from_slice(&row[first..][..columns.len()]);
                out[columns.end..].fill(after);
                if self.flip {
                    out.reverse();
                }
            }
        }
    }

    /// One that is.
    #[inline(always)]
    fn copy_moved(self, image: &[u8], [height, width]: [usize; 2], [rows, columns]: [usize; 2], out: &mut [u8]) {
        let field = self.bend.map(|bend| bend.field([rows, columns]));
        let vectors = columns.div_ceil(LANES);
        let (mut bends, mut places) = (vec![[[0; LANES]; 2]; vectors], vec![[0; LANES]; vectors]);
        let (plane, seen) = (height * width, rows * columns);
        let beyond = (self.mode == PadMode::Zero).then_some(plane as u32);
        for y in 0..rows {
            if let Some(field) = &field {
                field.row(y, &mut bends);
            }
            let start = [(y as isize + self.top) as i32, self.left as i32];
            self.warp.places(start, [height as i32, width as i32], &bends, beyond, &mut places);
            for channel in 0..out.len() / seen {
                let image = &image[channel * plane..][..plane];
                let out = &mut out[channel * seen + y * columns..][..columns];
                for (out, &place) in out.iter_mut().zip(places.as_flattened()) {
                    *out = image.get(place as usize).copied().unwrap_or(0);
                }
                if self.flip {
                    out.reverse();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::DatasetId;
    use super::super::bend::Field;
    use super::*;
    use crate::dist::Simd;

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

    #[test]
    fn warps_depend_on_seed_epoch_and_sample_alone_and_are_uniform() {
        let augment = Augmentation { warp: 0.1, ..Augmentation::default() };
        let draw = |seed, epoch, index| Crop::draw(&augment, DatasetId::Mnist.into(), seed, epoch, index).warp.0;
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        let distinct: std::collections::BTreeSet<_> =
            [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4)].map(|(a, b, c)| draw(a, b, c)).into();
        assert_eq!(distinct.len(), 4);
        // 0.1 is 6554 units; each third of the range holds a third of the draws, in each entry.
        let mut thirds = [[0; 3]; 4];
        for index in 0..9000 {
            for (thirds, entry) in thirds.iter_mut().zip(draw(7, 0, index)) {
                assert!(entry.abs() <= 6554);
                thirds[((entry + 6554) / 4370).min(2) as usize] += 1;
            }
        }
        assert!(thirds.as_flattened().iter().all(|count| (2800..3200).contains(count)), "{thirds:?}");
    }
}
