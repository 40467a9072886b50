//! Which kernels compute a p.

use crate::module::{Module, WHOLE};

/// From it on a logarithm of the difference itself is no longer good enough, and terms begin not to count.
const PLAIN_BELOW: f64 = 16.0;

/// How distances of one p are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plan {
    /// p = ∞.
    Largest,
    /// Sums of plain powers; POWER of the modules.
    Sums(i32),
    /// Powers of the shares of the largest difference.
    Norms,
}

impl Plan {
    /// # Panics
    /// If p is below 1 or no number.
    pub(crate) fn of(p: f64) -> Plan {
        assert!(p >= 1.0, "p = {p} is no norm");
        if p.is_infinite() {
            return Plan::Largest;
        }
        match WHOLE.into_iter().find(|&whole| f64::from(whole) == p) {
            Some(whole) => Plan::Sums(whole),
            None if p < PLAIN_BELOW => Plan::Sums(0),
            None => Plan::Norms,
        }
    }

    /// The module of the gradients at finite p.
    pub(crate) fn slopes(self) -> Module {
        let power = if let Plan::Sums(power) = self { power } else { -1 };
        Module::with("slopes.cu", power)
    }
}

/// The share of the largest difference below which its power q is passed over: all such terms of a sum together are below
/// 2⁻²⁰ of it.
pub(crate) fn least(inputs: usize, q: f64) -> f32 {
    (2f64.powi(-20) / inputs as f64).powf(1.0 / q) as f32
}
