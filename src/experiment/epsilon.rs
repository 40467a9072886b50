//! The perturbation radius, kept exact.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A radius ε in pixel units ([0, 1]) as an exact fraction: 8/255 is 8/255, and 0.3 is 3/10.
///
/// Published configs round ε down to a decimal (0.03137 = 7.9994/255); a certificate must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epsilon {
    numerator: u64,
    denominator: u64,
}

impl Epsilon {
    /// `numerator/denominator` in lowest terms; `None` where the denominator is 0 or the radius is above 1.
    pub fn new(numerator: u64, denominator: u64) -> Option<Epsilon> {
        if denominator == 0 || numerator > denominator {
            return None;
        }
        let divisor = gcd(numerator, denominator);
        Some(Epsilon { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The fraction's upper part, in lowest terms.
    pub fn numerator(self) -> u64 {
        self.numerator
    }

    /// The fraction's lower part, in lowest terms.
    pub fn denominator(self) -> u64 {
        self.denominator
    }

    /// The nearest double. Comparisons that a certificate rests on use the fraction instead.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Why a text is no radius.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a radius: write a decimal such as 0.3 or a fraction such as 8/255, from 0 to 1")]
pub struct NotARadius(String);

impl FromStr for Epsilon {
    type Err = NotARadius;

    /// Reads `8/255`, `0.3`, `.3`, `3e-1`.
    fn from_str(text: &str) -> Result<Self, NotARadius> {
        let fail = || NotARadius(text.to_owned());
        let text = text.trim();
        let (numerator, denominator) = match text.split_once('/') {
            Some((above, below)) => {
                let (a, b) = (decimal(above.trim()).ok_or_else(fail)?, decimal(below.trim()).ok_or_else(fail)?);
                (a.0.checked_mul(b.1).ok_or_else(fail)?, a.1.checked_mul(b.0).ok_or_else(fail)?)
            }
            None => decimal(text).ok_or_else(fail)?,
        };
        Epsilon::new(numerator, denominator).ok_or_else(fail)
    }
}

/// An unsigned decimal as (digits, power of ten that divides them).
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let shift = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
    let power = 10u64.checked_pow(shift.unsigned_abs())?;
    let digits = digits.parse::<u64>().ok()?;
    if shift >= 0 { Some((digits, power)) } else { Some((digits.checked_mul(power)?, 1)) }
}

impl fmt::Display for Epsilon {
    /// A decimal where it is short and exact (0.3), else the fraction (8/255).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if 10_000 % self.denominator == 0 {
            f.pad(&format!("{}", self.to_f64()))
        } else if 255 % self.denominator == 0 {
            f.pad(&format!("{}/255", self.numerator * (255 / self.denominator)))
        } else {
            f.pad(&format!("{}/{}", self.numerator, self.denominator))
        }
    }
}

impl Serialize for Epsilon {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epsilon {
    /// A text (`"8/255"`) or a number, whose shortest decimal form is taken at its word.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Epsilon;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a radius from 0 to 1, such as 0.3 or \"8/255\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Epsilon, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Epsilon, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Epsilon, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Epsilon, E> {
                self.visit_str(&value.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eps(text: &str) -> Epsilon {
        text.parse().unwrap()
    }

    #[test]
    fn fractions_stay_exact() {
        assert_eq!((eps("8/255").numerator(), eps("8/255").denominator()), (8, 255));
        assert_eq!(eps("0.3"), Epsilon::new(3, 10).unwrap());
        assert_eq!(eps(".45"), eps("45e-2"));
        assert_eq!(eps("2/4"), eps("0.5"));
        assert_eq!(eps("1"), Epsilon::new(1, 1).unwrap());
        assert_eq!(eps("0"), eps("0/7"));
    }

    #[test]
    fn shown_as_it_is_written_in_papers() {
        for text in ["8/255", "0.3", "2/255", "0.45", "0.0005", "16/255", "1/7", "0", "1"] {
            assert_eq!(eps(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_radius_is_refused() {
        for text in ["", "-0.1", "1.5", "8/0", "x", "0.3x", "1/2/3", "inf", "NaN", "1e-99", "."] {
            assert!(text.parse::<Epsilon>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_toml_number_is_taken_at_its_word() {
        #[derive(Deserialize)]
        struct Holder {
            eps: Epsilon,
        }
        assert_eq!(toml::from_str::<Holder>("eps = 0.1").unwrap().eps, eps("1/10"));
        assert_eq!(toml::from_str::<Holder>("eps = \"8/255\"").unwrap().eps, eps("8/255"));
        assert!(toml::from_str::<Holder>("eps = 2.0").is_err());
    }
}
