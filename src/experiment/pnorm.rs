//! The norm's exponent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The exponent p of the ℓp-distance, 1 ≤ p ≤ ∞. Training climbs from 8 to 1000 and then takes ∞ (arXiv 2102.05363 §4).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PNorm(f64);

impl PNorm {
    /// p = ∞: the net that is certified.
    pub const INFINITY: PNorm = PNorm(f64::INFINITY);

    /// `None` where p is below 1 or no number: ‖·‖p is a norm only for p ≥ 1.
    pub fn new(p: f64) -> Option<PNorm> {
        (p >= 1.0).then_some(PNorm(p))
    }

    /// The exponent as a number; ∞ is `f64::INFINITY`.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether this is the maximum norm.
    pub fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }
}

impl fmt::Display for PNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            p if p.is_infinite() => f.pad("∞"),
            p if p < 10.0 => f.pad(&format!("{p:.2}")),
            p if p < 1000.0 => f.pad(&format!("{p:.1}")),
            p => f.pad(&format!("{p:.0}")),
        }
    }
}

// JSON has no ∞, so the exponent travels as a number or the word "inf".
impl Serialize for PNorm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_infinite() { serializer.serialize_str("inf") } else { serializer.serialize_f64(self.0) }
    }
}

impl<'de> Deserialize<'de> for PNorm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Word(String),
        }
        let p = match Form::deserialize(deserializer)? {
            Form::Number(p) => PNorm::new(p),
            Form::Word(word) => (word == "inf").then_some(PNorm::INFINITY),
        };
        p.ok_or_else(|| serde::de::Error::custom("the exponent p must be a number ≥ 1 or \"inf\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_norm_below_one() {
        assert_eq!(PNorm::new(0.99), None);
        assert_eq!(PNorm::new(f64::NAN), None);
        assert_eq!(PNorm::new(f64::INFINITY), Some(PNorm::INFINITY));
    }

    #[test]
    fn infinity_survives_json() {
        for p in [PNorm::new(8.5).unwrap(), PNorm::INFINITY] {
            let json = serde_json::to_string(&p).unwrap();
            assert_eq!(serde_json::from_str::<PNorm>(&json).unwrap(), p, "{json}");
        }
    }

    #[test]
    fn shown_with_the_digits_that_matter() {
        assert_eq!(PNorm::new(8.0).unwrap().to_string(), "8.00");
        assert_eq!(PNorm::new(87.44).unwrap().to_string(), "87.4");
        assert_eq!(PNorm::INFINITY.to_string(), "∞");
    }
}
