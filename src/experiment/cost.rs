//! What a training step costs at one p beside one at another, on the CPU's kernels. Pure.

use super::PNorm;

/// The cost of a step at p = ∞ beside one at p = 8 with all gradients: values and their places, and gradients at those alone.
const AT_INFINITY: f64 = 0.32;

/// Whether a device, as a worker names it, is a CPU with our kernels.
pub fn on_our_kernels(device: &str) -> bool {
    device.starts_with("CPU") && !device.contains("libtorch")
}

/// What a config asks of the CPU's kernels, as far as it moves the cost of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepCost {
    /// `train.bits`
    pub bits: u32,
    /// `train.gradient_share`
    pub gradient_share: f64,
}

impl StepCost {
    /// The cost of a step at p, in steps of the same net at p = 8 with all gradients.
    ///
    /// Fitted by eye to the epochs of the stored runs (`docs/runs`; a test holds the two together) and, for p that is no
    /// integer, to `cargo bench --bench recipe`. Dense kernels take a product more for each doubling of an integer p, and
    /// three times as long for any other; pruned ones what is left of coordinates, which falls with bits/p. Two thirds of
    /// a step at p = 8 are gradients.
    pub fn at(self, p: PNorm) -> f64 {
        if p.is_infinite() {
            return AT_INFINITY;
        }
        let p = p.get();
        let dense = if p.fract() == 0.0 { (1.0 + 0.27 * (p / 8.0).log2()).max(0.4) } else { 3.0 };
        let pruned = 0.45 + 1.9 * f64::from(self.bits + 4) / p;
        dense.min(pruned) * (1.0 + 2.0 * self.gradient_share) / 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(bits: u32, gradient_share: f64, p: f64) -> f64 {
        StepCost { bits, gradient_share }.at(PNorm::new(p).unwrap())
    }

    #[test]
    fn the_unit_is_a_step_at_8_with_all_gradients() {
        assert_eq!(cost(16, 1.0, 8.0), 1.0);
        assert!((cost(4, 0.5, 8.0) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn devices_are_known_by_their_names() {
        assert!(on_our_kernels("CPU, avx512, 2 threads"));
        assert!(!["CPU, libtorch", "NVIDIA H100", ""].into_iter().any(on_our_kernels));
    }

    #[test]
    fn integers_cost_less_than_what_lies_between_them_until_pruning_takes_over() {
        assert!(cost(16, 1.0, 8.5) > 2.5 * cost(16, 1.0, 9.0));
        assert_eq!(cost(16, 1.0, 64.5).max(cost(16, 1.0, 64.0)), cost(16, 1.0, 64.0));
        assert!(cost(4, 1.0, 24.0) < cost(16, 1.0, 24.0), "fewer bits leave out more");
        assert!(cost(16, 1.0, 1000.0) > cost(16, 1.0, f64::INFINITY));
        for p in 1..2000 {
            assert!((0.1..=3.0).contains(&cost(16, 1.0, f64::from(p) / 1.5 + 0.5)), "{p}");
        }
    }
}
