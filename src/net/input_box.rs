//! The set of inputs a certificate speaks of.

use crate::dataset::{DatasetId, Normalizer};
use crate::experiment::{Epsilon, Neighbourhood, Threat};

/// The ends of the box of allowed inputs around a pixel, per channel and raw pixel value, in normalised units.
///
/// Of real perturbations, clipped to [0, 1] and then rounded to float32, the lower end is rounded down and the upper one
/// up, from exact fractions, so every float32 the perturbed pixel can round to lies between them; of whole steps of an
/// 8-bit image the ends are pixels themselves. The normalisation is monotone, so the normalised pixel lies between the
/// normalised ends.
#[derive(Clone, Debug)]
pub struct InputBox {
    /// `[C][256]`: (low, high).
    ends: Vec<[(f32, f32); 256]>,
}

impl InputBox {
    /// The box for the images of a data set.
    pub fn new(id: DatasetId, around: impl Into<Neighbourhood>) -> InputBox {
        let Neighbourhood { eps, threat } = around.into();
        let normalizer = Normalizer::new(id);
        let ends = (0..id.channels())
            .map(|channel| {
                std::array::from_fn(|raw| {
                    let (low, high) = match threat {
                        Threat::Real => pixel_ends(raw as u64, eps),
                        Threat::EightBit => byte_ends(raw as u8, eps),
                    };
                    (normalizer.normalize(channel, low), normalizer.normalize(channel, high))
                })
            })
            .collect();
        InputBox { ends }
    }

    /// Writes the ends of the box around one raw image `[C·H·W]`.
    pub fn around(&self, image: &[u8], low: &mut [f32], high: &mut [f32]) {
        let plane = image.len() / self.ends.len();
        for (i, (&raw, (low, high))) in image.iter().zip(low.iter_mut().zip(high)).enumerate() {
            (*low, *high) = self.ends[i / plane][usize::from(raw)];
        }
    }
}

/// Float32 ends of [raw/255 − ε, raw/255 + ε] ∩ [0, 1], rounded outwards.
fn pixel_ends(raw: u64, eps: Epsilon) -> (f32, f32) {
    if eps.numerator() == 0 {
        // No perturbation: the one input is the pixel as the program reads it.
        let pixel = raw as f32 / 255.0;
        return (pixel, pixel);
    }
    // raw/255 ± a/b = (raw·b ± 255·a) / (255·b), in integers.
    let (a, b) = (u128::from(eps.numerator()) * 255, u128::from(eps.denominator()));
    let (centre, below) = (u128::from(raw) * b, 255 * b);
    let low = if a >= centre { 0.0 } else { outwards(centre - a, below).0 };
    let high = if centre + a >= below { 1.0 } else { outwards(centre + a, below).1 };
    (low, high)
}

/// The pixels of the bytes [raw − k, raw + k] ∩ [0, 255], as the program reads them, with k = ⌊255·ε⌋.
fn byte_ends(raw: u8, eps: Epsilon) -> (f32, f32) {
    // ε ≤ 1, so k ≤ 255.
    let steps = (u128::from(eps.numerator()) * 255 / u128::from(eps.denominator())) as u8;
    let pixel = |byte: u8| f32::from(byte) / 255.0;
    (pixel(raw.saturating_sub(steps)), pixel(raw.saturating_add(steps)))
}

/// The largest float32 not above n/d, and one not below it by more than two steps. 0 < n < d.
fn outwards(n: u128, d: u128) -> (f32, f32) {
    // Both conversions and the division are off by half a unit in the last place each, which below a power of two is one of
    // the smaller units there: three steps cover them.
    let quotient = n as f64 / d as f64;
    let (low, high) = (quotient.next_down().next_down().next_down(), quotient.next_up().next_up().next_up());
    let (mut down, mut up) = (low as f32, high as f32);
    if f64::from(down) > low {
        down = down.next_down();
    }
    if f64::from(up) < high {
        up = up.next_up();
    }
    (down, up)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a float32 with n/d exactly: both are fractions of integers.
    fn cmp(value: f32, n: u128, d: u128) -> std::cmp::Ordering {
        let bits = value.to_bits();
        assert!(value >= 0.0 && value.is_normal() || value == 0.0);
        if value == 0.0 {
            return 0.cmp(&n);
        }
        let mantissa = u128::from(bits & 0x7f_ffff | 0x80_0000);
        let shift = 150 - (bits >> 23) as i32;
        assert!((0..64).contains(&shift), "test values stay above 2^-40");
        (mantissa * d).cmp(&(n << shift))
    }

    #[test]
    fn the_ends_enclose_the_exact_ones_and_are_at_most_two_steps_wide_of_them() {
        use std::cmp::Ordering::{Greater, Less};
        let long = "2632615624331859638/9259543639115427725";
        for text in ["8/255", "0.3", "2/255", "1/3", "0.1", "1", "0.0001", long] {
            let eps: Epsilon = text.parse().unwrap();
            let (a, b) = (u128::from(eps.numerator()), u128::from(eps.denominator()));
            for raw in 0..=255u64 {
                let (low, high) = pixel_ends(raw, eps);
                let (centre, below) = (u128::from(raw) * b, 255 * b);
                let exact_low = centre.saturating_sub(255 * a);
                let exact_high = (centre + 255 * a).min(below);
                assert_ne!(cmp(low, exact_low, below), Greater, "{text} {raw}");
                assert_ne!(cmp(high, exact_high, below), Less, "{text} {raw}");
                if exact_low > 0 {
                    assert_eq!(cmp(low.next_up().next_up(), exact_low, below), Greater, "{text} {raw}");
                }
                if exact_high < below {
                    assert_eq!(cmp(high.next_down().next_down(), exact_high, below), Less, "{text} {raw}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_an_8_bit_image_are_pixels_inside_the_real_box() {
        for (text, steps) in [("8/255", 8), ("0.3", 76), ("1/256", 0), ("0.1", 25), ("1", 255), ("0", 0)] {
            let eps: Epsilon = text.parse().unwrap();
            for raw in 0..=255u8 {
                let (low, high) = byte_ends(raw, eps);
                let ends =
                    [i32::from(raw) - steps, i32::from(raw) + steps].map(|byte| byte.clamp(0, 255) as f32 / 255.0);
                assert_eq!([low, high], ends, "{text} {raw}");
                let (real_low, real_high) = pixel_ends(raw.into(), eps);
                assert!(real_low <= low && high <= real_high, "{text} {raw}");
            }
        }
    }

    #[test]
    fn the_pixel_itself_is_inside_even_at_radius_zero() {
        for id in [DatasetId::Mnist, DatasetId::Cifar10] {
            let image: Vec<u8> = (0..id.pixels()).map(|i| (i % 256) as u8).collect();
            let (mut low, mut high) = (vec![0.0; image.len()], vec![0.0; image.len()]);
            InputBox::new(id, "0".parse::<Epsilon>().unwrap()).around(&image, &mut low, &mut high);
            let normalizer = Normalizer::new(id);
            let plane = id.height() * id.width();
            for (i, &raw) in image.iter().enumerate() {
                let x = normalizer.table(i / plane)[usize::from(raw)];
                assert!(low[i] <= x && x <= high[i]);
            }
        }
    }
}
