//! The number of a class, and how files hold many of them.

/// The number of a class, from 0. ImageNet64 has 1000 of them.
pub type Label = u16;

/// How many bytes a label takes in files and under checksums: one, as the published data sets have it, unless there are
/// more classes than a byte can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelWidth {
    /// A byte.
    One,
    /// Two bytes, little-endian.
    Two,
}

impl LabelWidth {
    /// What labels of so many classes take.
    pub fn of_classes(classes: usize) -> LabelWidth {
        if classes <= 1 << 8 { LabelWidth::One } else { LabelWidth::Two }
    }

    /// Bytes a label.
    pub fn bytes(self) -> usize {
        match self {
            LabelWidth::One => 1,
            LabelWidth::Two => 2,
        }
    }

    /// The labels one behind the other.
    ///
    /// # Panics
    /// If a label does not fit: it is none of the classes that the width was made for.
    pub fn pack(self, labels: impl IntoIterator<Item = Label>) -> Vec<u8> {
        let labels = labels.into_iter();
        match self {
            LabelWidth::One => labels
                .map(|label| u8::try_from(label).unwrap_or_else(|_| panic!("class {label} does not fit a byte")))
                .collect(),
            LabelWidth::Two => labels.flat_map(Label::to_le_bytes).collect(),
        }
    }

    /// What [`Self::pack`] packed. A byte too many is left out.
    pub fn unpack(self, bytes: &[u8]) -> Vec<Label> {
        match self {
            LabelWidth::One => bytes.iter().map(|&byte| byte.into()).collect(),
            LabelWidth::Two => bytes.as_chunks::<2>().0.iter().map(|&pair| Label::from_le_bytes(pair)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_byte_is_enough_for_256_classes() {
        assert_eq!([10, 256, 257, 1000].map(LabelWidth::of_classes).map(LabelWidth::bytes), [1, 1, 2, 2]);
        assert_eq!(LabelWidth::One.pack([0, 9, 255]), [0, 9, 255]);
        assert_eq!(LabelWidth::Two.pack([1, 999]), [1, 0, 0xe7, 3]);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(labels in prop::collection::vec(any::<Label>(), 0..20)) {
            prop_assert_eq!(LabelWidth::Two.unpack(&LabelWidth::Two.pack(labels.clone())), labels.clone());
            let small: Vec<Label> = labels.iter().map(|label| label % 256).collect();
            prop_assert_eq!(LabelWidth::One.unpack(&LabelWidth::One.pack(small.clone())), small);
        }
    }
}
