//! What augmentation makes of an image: it is warped, bent, cut and mirrored.

use std::ops::Range;

use super::bend::{Bend, LANES};
use super::random::{self, Purpose, stream};
use super::{Augmentation, PadMode, View};

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
    pub(super) const NONE: Warp = Warp([0; 4]);

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
    pub(super) fn middle(view: View) -> Self {
        let (rows, columns) = view.slack();
        let (top, left) = ((rows / 2) as isize, (columns / 2) as isize);
        Self { top, left, mode: PadMode::Edge, flip: false, warp: Warp::NONE, bend: None }
    }

    pub(super) fn draw(augment: &Augmentation, view: View, seed: u64, epoch: u64, index: u32) -> Self {
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
    pub(super) fn copy(self, image: &[u8], view: View, out: &mut [u8]) {
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
    use super::super::DatasetId;
    use super::*;

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
