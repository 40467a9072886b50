//! A digit set that the program draws itself, for tests and for machines with no network.
//!
//! It is **not** MNIST and no figure measured on it says anything about MNIST. Each digit is a few pen strokes, drawn
//! with a random slant, size, place, pen width, pressure and wobble, then dirtied. The nearest class mean gets 73 % of
//! the test images right, the nearest of 2 000 training images 95 %: there is something to learn. The set is a pure
//! function of its seed.

use super::random::{self, Purpose, stream};
use super::{DatasetId, Split};
use crate::experiment::Label;

/// The seed of the set that [`super::load`] gives.
pub const SEED: u64 = 1;

const TEST: usize = 1_000;
const SIDE: usize = 28;

type Point = [f64; 2];

/// The pen's way through each digit; x to the right, y down, both in 0..=1.
#[rustfmt::skip]
const STROKES: [&[Point]; 10] = [
    &[[0.5, 0.0], [0.85, 0.15], [1.0, 0.5], [0.85, 0.85], [0.5, 1.0], [0.15, 0.85], [0.0, 0.5], [0.15, 0.15], [0.5, 0.0]],
    &[[0.2, 0.25], [0.55, 0.0], [0.55, 1.0]],
    &[[0.05, 0.25], [0.25, 0.03], [0.7, 0.0], [0.95, 0.25], [0.75, 0.55], [0.0, 1.0], [1.0, 1.0]],
    &[[0.05, 0.1], [0.5, 0.0], [0.9, 0.22], [0.45, 0.47], [1.0, 0.72], [0.6, 1.0], [0.0, 0.9]],
    &[[0.7, 1.0], [0.7, 0.0], [0.0, 0.7], [1.0, 0.7]],
    &[[0.95, 0.0], [0.15, 0.0], [0.1, 0.45], [0.6, 0.4], [1.0, 0.7], [0.6, 1.0], [0.0, 0.92]],
    &[[0.8, 0.0], [0.25, 0.3], [0.0, 0.7], [0.3, 1.0], [0.75, 0.97], [0.95, 0.7], [0.6, 0.48], [0.05, 0.65]],
    &[[0.0, 0.0], [1.0, 0.0], [0.35, 1.0]],
    &[[0.5, 0.45], [0.1, 0.22], [0.5, 0.0], [0.9, 0.22], [0.5, 0.45], [0.0, 0.75], [0.5, 1.0], [1.0, 0.75], [0.5, 0.45]],
    &[[0.95, 0.3], [0.5, 0.52], [0.05, 0.3], [0.4, 0.0], [0.9, 0.1], [0.95, 0.4], [0.75, 1.0]],
];

/// Draws both splits: train, test. Classes are spread evenly and in random order.
pub fn draw(seed: u64) -> (Split, Split) {
    let split = |number, count| {
        let mut images = vec![0; count * SIDE * SIDE];
        let labels: Vec<Label> = super::order::permutation(seed, stream(Purpose::Synthetic, number), count)
            .into_iter()
            .map(|rank| (rank as usize % DatasetId::Synthetic.classes()) as Label)
            .collect();
        for (index, (image, &label)) in images.chunks_exact_mut(SIDE * SIDE).zip(&labels).enumerate() {
            // Streams 0 and 1 are the orders; from there on even ones are training images, odd ones test images.
            let stream = stream(Purpose::Synthetic, 2 + number + 2 * index as u64);
            draw_digit(&mut Draws { seed, stream, next: 0 }, label, image);
        }
        Split { images, labels }
    };
    (split(0, DatasetId::Synthetic.train_images()), split(1, TEST))
}

/// The random numbers of one image, taken in turn.
struct Draws {
    seed: u64,
    stream: u64,
    next: u64,
}

impl Draws {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.next += 1;
        low + (high - low) * random::uniform(self.seed, self.stream, self.next)
    }
}

/// Draws one digit on a black `image`.
fn draw_digit(draws: &mut Draws, label: Label, image: &mut [u8]) {
    // Digit space to pixels: scale, slant, a little turn (a shear the other way), then the place.
    let width = draws.between(8.0, 16.0);
    let height = draws.between(14.0, 21.0);
    let slant = draws.between(-0.4, 0.3);
    let turn = draws.between(-0.2, 0.2);
    let centre = [draws.between(11.0, 17.0), draws.between(12.0, 16.0)];
    let pen = draws.between(0.7, 1.8);
    let pressure = draws.between(0.7, 1.0);

    let mut ink = [0.0; SIDE * SIDE];
    let chain: Vec<Point> = STROKES[usize::from(label)]
        .iter()
        .map(|point| {
            let x = (point[0] - 0.5 + draws.between(-0.09, 0.09)) * width;
            let y = (point[1] - 0.5 + draws.between(-0.06, 0.06)) * height;
            [centre[0] + x - (slant + turn) * y, centre[1] + y + turn * x]
        })
        .collect();
    for ends in chain.windows(2) {
        draw_line(ends[0], ends[1], pen, &mut ink);
    }
    // A smudge somewhere, and paper grain where there is ink.
    let smudge = [draws.between(0.0, 28.0), draws.between(0.0, 28.0)];
    let tail = [smudge[0] + draws.between(-5.0, 5.0), smudge[1] + draws.between(-5.0, 5.0)];
    draw_line(smudge, tail, 0.9, &mut ink);
    for (raw, ink) in image.iter_mut().zip(ink).filter(|(_, ink)| *ink > 0.0) {
        let grain = draws.between(0.85, 1.0);
        *raw = (ink * pressure * grain * 255.0).round() as u8;
    }
}

/// Adds a line with a soft edge of one pixel: full ink within `pen` of it, none a pixel further.
fn draw_line([x0, y0]: Point, [x1, y1]: Point, pen: f64, ink: &mut [f64; SIDE * SIDE]) {
    let reach = pen + 1.0;
    let cells = |a: f64, b: f64| {
        let low = (a.min(b) - reach).max(0.0) as usize;
        low..((a.max(b) + reach + 1.0).max(0.0) as usize).min(SIDE)
    };
    let (dx, dy) = (x1 - x0, y1 - y0);
    let length2 = (dx * dx + dy * dy).max(1e-9);
    for y in cells(y0, y1) {
        for x in cells(x0, x1) {
            let (px, py) = (x as f64 - x0, y as f64 - y0);
            let along = ((px * dx + py * dy) / length2).clamp(0.0, 1.0);
            let (ex, ey) = (px - along * dx, py - along * dy);
            let coverage = (reach - (ex * ex + ey * ey).sqrt()).clamp(0.0, 1.0);
            let cell = &mut ink[y * SIDE + x];
            *cell = cell.max(coverage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_balanced_repeatable_and_follows_its_seed() {
        let (train, test) = draw(SEED);
        assert_eq!(train.class_counts(10), [600; 10]);
        assert_eq!(test.class_counts(10), [100; 10]);
        assert_eq!((train.images.len(), test.images.len()), (6000 * 784, 1000 * 784));
        assert_eq!(draw(SEED), (train.clone(), test.clone()));
        assert_ne!(draw(2).0.images, train.images);
        assert_ne!(train.images[..784 * 1000], test.images);
        let ink = train.images.iter().map(|&raw| f64::from(raw)).sum::<f64>() / train.images.len() as f64 / 255.0;
        assert!((0.08..0.25).contains(&ink), "mean pixel {ink}");
    }

    /// Neither a trifle nor noise: nearest class mean gets part of it right, nearest neighbour nearly all.
    #[test]
    fn digits_are_learnable_but_not_trivial() {
        let (train, test) = draw(SEED);
        let distance =
            |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(&a, &b)| (i32::from(a) - i32::from(b)).pow(2)).sum::<i32>();
        let mut means = vec![[0u32; 784]; 10];
        for (image, &label) in train.images.chunks_exact(784).zip(&train.labels) {
            for (sum, &raw) in means[usize::from(label)].iter_mut().zip(image) {
                *sum += u32::from(raw);
            }
        }
        let means: Vec<Vec<u8>> = means.iter().map(|sums| sums.iter().map(|sum| (sum / 600) as u8).collect()).collect();
        let (mut by_mean, mut by_neighbour) = (0, 0);
        let judged = 200;
        for (image, &label) in test.images.chunks_exact(784).zip(&test.labels).take(judged) {
            let nearest = (0..10u16).min_by_key(|&class| distance(image, &means[usize::from(class)]));
            by_mean += usize::from(nearest == Some(label));
            let neighbour = (0..2000).min_by_key(|&i| distance(image, &train.images[i * 784..][..784]));
            by_neighbour += usize::from(neighbour.map(|i| train.labels[i]) == Some(label));
        }
        assert!((judged * 50 / 100..judged * 92 / 100).contains(&by_mean), "class means: {by_mean} of {judged}");
        assert!(by_neighbour > judged * 90 / 100, "neighbours: {by_neighbour} of {judged}");
    }
}
