//! An evaluation's per-sample figures as blobs.

use super::Margins;
use crate::experiment::LabelWidth;

/// The columns of the table `margins`.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(super) struct MarginBlobs {
    /// float32, little-endian.
    pub margin: Vec<u8>,
    /// A byte each; two, little-endian, where there is a class above 255, here or among the predictions.
    pub label: Vec<u8>,
    /// As `label`.
    pub prediction: Vec<u8>,
    /// A bit each, lowest first.
    pub certified: Vec<u8>,
    /// As `margin`, where it was looked for.
    pub radius: Option<Vec<u8>>,
}

impl MarginBlobs {
    pub(super) fn pack(margins: Margins) -> MarginBlobs {
        let bits = |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << i);
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let classes = margins.label.iter().chain(&margins.prediction).map(|&class| usize::from(class) + 1).max();
        let width = LabelWidth::of_classes(classes.unwrap_or(0));
        MarginBlobs {
            radius: Some(floats(&margins.radius)).filter(|bytes| !bytes.is_empty()),
            margin: floats(&margins.margin),
            certified: margins.certified.chunks(8).map(bits).collect(),
            label: width.pack(margins.label),
            prediction: width.pack(margins.prediction),
        }
    }

    /// The figures; an error where the blobs are not of one length.
    pub(super) fn unpack(self) -> Result<Margins, String> {
        let samples = self.margin.len() / 4;
        let width = if self.label.len() > samples { LabelWidth::Two } else { LabelWidth::One };
        let labels = samples * width.bytes();
        let lengths = (self.margin.len(), self.label.len(), self.prediction.len(), self.certified.len());
        let radius = self.radius.unwrap_or_default();
        if lengths != (4 * samples, labels, labels, samples.div_ceil(8)) || ![0, 4 * samples].contains(&radius.len()) {
            return Err(format!("blobs of {lengths:?} and {} bytes are not of one number of samples", radius.len()));
        }
        let floats = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok(Margins {
            margin: floats(&self.margin),
            radius: floats(&radius),
            label: width.unpack(&self.label),
            prediction: width.unpack(&self.prediction),
            certified: (0..samples).map(|i| self.certified[i / 8] >> (i % 8) & 1 == 1).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(samples in prop::collection::vec((any::<f32>(), 0u16..1000, 0u16..1000, any::<bool>()), 0..40), classes in prop::sample::select(vec![10u16, 256, 1000]), looked in any::<bool>()) {
            let margins = Margins {
                margin: samples.iter().map(|s| s.0).collect(),
                label: samples.iter().map(|s| s.1 % classes).collect(),
                prediction: samples.iter().map(|s| s.2 % classes).collect(),
                certified: samples.iter().map(|s| s.3).collect(),
                radius: samples.iter().filter(|_| looked).map(|s| s.0 / 2.0).collect(),
            };
            let blobs = MarginBlobs::pack(margins.clone());
            prop_assert!(classes > 256 || blobs.label.len() == samples.len(), "as it always was where a byte is enough");
            prop_assert_eq!(blobs.unpack().unwrap(), margins);
        }
    }

    #[test]
    fn blobs_of_different_lengths_are_refused() {
        let margins = Margins {
            margin: vec![0.5],
            label: vec![1],
            prediction: vec![1],
            certified: vec![true],
            radius: vec![0.3],
        };
        let blobs = || MarginBlobs::pack(margins.clone());
        assert!(MarginBlobs { margin: vec![0; 3], ..blobs() }.unpack().is_err());
        assert!(MarginBlobs { prediction: vec![], ..blobs() }.unpack().is_err());
        assert!(MarginBlobs { label: vec![1, 0], ..blobs() }.unpack().is_err());
        assert!(MarginBlobs { label: vec![1, 0, 0], prediction: vec![1, 0, 0], ..blobs() }.unpack().is_err());
        assert!(MarginBlobs { certified: vec![0; 2], ..blobs() }.unpack().is_err());
        assert!(MarginBlobs { radius: Some(vec![0; 3]), ..blobs() }.unpack().is_err());
    }
}
