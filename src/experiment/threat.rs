//! What may be done to an image within a radius, and the grid that certified radii are counted on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Epsilon;

/// A reading of "perturbed by at most ε".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Threat {
    /// Any real change of a pixel in [0, 1], then rounded to float32: the papers' reading.
    #[default]
    #[serde(rename = "real")]
    Real,
    /// Whole steps of the 8-bit image. Fewer inputs, so no fewer images are certified; with ε = k/255 exactly those that a
    /// file of the image can hold.
    #[serde(rename = "8-bit")]
    EightBit,
}

/// The inputs a certificate speaks of: those within `eps` of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbourhood {
    /// The radius in pixel units.
    pub eps: Epsilon,
    /// How it is meant.
    pub threat: Threat,
}

impl From<Epsilon> for Neighbourhood {
    fn from(eps: Epsilon) -> Neighbourhood {
        Neighbourhood { eps, threat: Threat::Real }
    }
}

/// A certified radius, in the steps of its threat's grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Radius(pub u32);

impl Threat {
    /// Radii are counted in steps of 1 / this many: an 8-bit image knows no finer ones, and 2⁻¹⁶ is less than anybody
    /// quotes.
    pub fn steps(self) -> u32 {
        match self {
            Threat::Real => 1 << 16,
            Threat::EightBit => 255,
        }
    }

    /// A radius as an exact fraction.
    ///
    /// # Panics
    /// If it is above 1.
    pub fn eps(self, radius: Radius) -> Epsilon {
        let Some(eps) = Epsilon::new(u64::from(radius.0), u64::from(self.steps())) else {
            panic!("{radius:?} is more than the whole range of a pixel")
        };
        eps
    }

    /// Radii as a run file keeps them: in pixel units, −1 where there is none. Of real perturbations float32 holds them
    /// exactly.
    pub fn stored(self, radii: &[Option<Radius>]) -> Vec<f32> {
        radii.iter().map(|radius| radius.map_or(-1.0, |radius| self.pixels(radius) as f32)).collect()
    }

    /// A radius in pixel units.
    pub fn pixels(self, radius: Radius) -> f64 {
        f64::from(radius.0) / f64::from(self.steps())
    }
}

impl fmt::Display for Threat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Threat::Real => "real",
            Threat::EightBit => "8-bit",
        })
    }
}

/// Why a text is no threat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no reading of ε: real (any change of a pixel) or 8-bit (whole steps of 1/255)")]
pub struct UnknownThreat(String);

impl FromStr for Threat {
    type Err = UnknownThreat;

    fn from_str(text: &str) -> Result<Threat, UnknownThreat> {
        [Threat::Real, Threat::EightBit]
            .into_iter()
            .find(|threat| threat.to_string() == text)
            .ok_or_else(|| UnknownThreat(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_radii_are_exact() {
        for threat in [Threat::Real, Threat::EightBit] {
            assert_eq!(threat.to_string().parse(), Ok(threat));
            assert_eq!(serde_json::to_string(&threat).unwrap(), format!("\"{threat}\""));
            assert_eq!(threat.eps(Radius(threat.steps())), "1".parse().unwrap());
        }
        assert_eq!(Threat::EightBit.eps(Radius(8)), "8/255".parse().unwrap());
        assert_eq!(Threat::Real.eps(Radius(16384)), "0.25".parse().unwrap());
        assert!("8bit".parse::<Threat>().unwrap_err().to_string().contains("8-bit"));
    }
}
