//! The numbers of a storage as float32.

/// What a storage is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Double,
    Half,
    BFloat16,
    Long,
    Int,
    Byte,
    Bool,
}

impl Kind {
    /// Bytes of one number.
    pub fn size(self) -> u64 {
        match self {
            Kind::Double | Kind::Long => 8,
            Kind::Float | Kind::Int => 4,
            Kind::Half | Kind::BFloat16 => 2,
            Kind::Byte | Kind::Bool => 1,
        }
    }

    /// The numbers of a storage's bytes, which are little-endian.
    pub fn values(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Kind::Float => each(bytes, f32::from_le_bytes),
            Kind::Double => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Kind::Half => each(bytes, |b| half(u16::from_le_bytes(b))),
            Kind::BFloat16 => each(bytes, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Kind::Long => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Kind::Int => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Kind::Byte => each(bytes, |[b]| f32::from(b)),
            Kind::Bool => each(bytes, |[b]| f32::from(u8::from(b != 0))),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| value(chunk)).collect()
}

/// IEEE binary16, exactly: 1 bit of sign, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Below the least normal number: the fraction counts steps of 2^-24.
        0 => (fraction as f32 * 2f32.powi(-24)).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_its_formula() {
        for bits in 0..=u16::MAX {
            let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
            let value = half(bits);
            assert_eq!(value.is_sign_negative(), sign == 1);
            match exponent {
                31 if fraction == 0.0 => assert!(value.is_infinite()),
                31 => assert!(value.is_nan()),
                0 => assert_eq!(f64::from(value.abs()), fraction / 1024.0 * 2f64.powi(-14)),
                _ => assert_eq!(f64::from(value.abs()), (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15)),
            }
        }
    }

    #[test]
    fn each_kind_is_converted() {
        assert_eq!(Kind::Double.values(&0.1f64.to_le_bytes()), [0.1f32]);
        assert_eq!(Kind::Double.values(&1e300f64.to_le_bytes()), [f32::INFINITY]);
        assert_eq!(Kind::BFloat16.values(&[0xc0, 0x3f]), [1.5]);
        // 2^24 + 1 is no float32.
        assert_eq!(Kind::Long.values(&16_777_217i64.to_le_bytes()), [16_777_216.0]);
        assert_eq!(Kind::Int.values(&(-3i32).to_le_bytes()), [-3.0]);
        assert_eq!(Kind::Byte.values(&[255]), [255.0]);
        assert_eq!(Kind::Bool.values(&[0, 1, 7]), [0.0, 1.0, 1.0]);
    }
}
