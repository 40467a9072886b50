//! From raw pixels to the numbers a net reads.

use super::DatasetId;
use crate::dist::Simd;

/// Maps pixels to normalised values, per channel.
///
/// The map is `fl(fl(v − mean_c) · fl(1 / std))`, with `v = fl(u / 255)` for a raw pixel `u`: single `f32` operations in
/// exactly this order, mean and std being the `f32` nearest to [`DatasetId::mean`] and [`DatasetId::std`]. Each
/// operation is correctly rounded, hence monotone, so the map is monotone in `v`: an interval of pixels maps into the
/// interval of the images of its ends with no slack, which is what makes the certificates sound.
#[derive(Debug, Clone)]
pub struct Normalizer {
    mean: Vec<f32>,
    scale: f32,
    /// `[C][256]`
    table: Vec<[f32; 256]>,
    simd: Simd,
}

impl Normalizer {
    /// The normalisation of a data set.
    pub fn new(id: DatasetId) -> Self {
        let mean: Vec<f32> = id.mean().iter().map(|&mean| mean as f32).collect();
        let scale = 1.0 / id.std() as f32;
        let table = mean.iter().map(|mean| std::array::from_fn(|raw| (raw as f32 / 255.0 - mean) * scale)).collect();
        // Whatever the instructions, the bits are those of the table.
        Self { mean, scale, table, simd: Simd::detect().unwrap_or(Simd::Portable) }
    }

    /// The same, but with other instructions.
    #[cfg(test)]
    pub(super) fn with(self, simd: Simd) -> Self {
        Self { simd, ..self }
    }

    /// What [`Self::normalize_all`] is vectorised for.
    pub(super) fn simd(&self) -> Simd {
        self.simd
    }

    /// Writes the normalised values of raw pixels of a channel: [vectorised](Simd::vectorize), faster than by the table.
    #[inline(always)]
    pub(super) fn normalize_all(&self, channel: usize, raw: &[u8], out: &mut [f32]) {
        let (mean, scale) = (self.mean[channel], self.scale);
        for (out, &raw) in out.iter_mut().zip(raw) {
            *out = (f32::from(raw) / 255.0 - mean) * scale;
        }
    }

    /// Normalised values of the 256 raw pixels of a channel.
    pub fn table(&self, channel: usize) -> &[f32; 256] {
        &self.table[channel]
    }

    /// The normalised value of any pixel value in [0, 1].
    pub fn normalize(&self, channel: usize, value: f32) -> f32 {
        (value - self.mean[channel]) * self.scale
    }

    /// What the pixel range [0, 1] becomes: `(lo, hi)` for each channel.
    pub fn valid_box(&self) -> Vec<(f32, f32)> {
        (0..self.mean.len()).map(|channel| (self.normalize(channel, 0.0), self.normalize(channel, 1.0))).collect()
    }

    /// The mean of each channel.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// `fl(1 / std)`: the factor from pixel units to normalised units.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_real_arithmetic_and_is_monotone() {
        for id in DatasetId::ALL {
            let normalizer = Normalizer::new(id);
            for (channel, &mean) in id.mean().iter().enumerate() {
                let table = normalizer.table(channel);
                for raw in 0..=255u8 {
                    let exact = (f64::from(raw) / 255.0 - mean) / id.std();
                    let ours = f64::from(table[usize::from(raw)]);
                    assert!((ours - exact).abs() < 1e-6, "{id} channel {channel} pixel {raw}: {ours} ≠ {exact}");
                    let by_value = normalizer.normalize(channel, f32::from(raw) / 255.0);
                    assert_eq!(table[usize::from(raw)].to_bits(), by_value.to_bits());
                }
                assert!(table.windows(2).all(|pair| pair[0] < pair[1]));
                let raw: Vec<u8> = (0..=255).collect();
                for simd in Simd::available() {
                    let mut values = vec![0.0; raw.len()];
                    simd.vectorize(|| normalizer.normalize_all(channel, &raw, &mut values));
                    assert!(values.iter().zip(table).all(|(a, b)| a.to_bits() == b.to_bits()), "{id}, {}", simd.name());
                }
                assert_eq!(normalizer.valid_box()[channel], (table[0], table[255]));
            }
        }
    }
}
