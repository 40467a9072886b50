//! What a training step costs at one p beside one at another. Pure.

use super::PNorm;

/// What computes, as far as it can be told from the name that a worker gives its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Ours, on the CPU.
    Cpu,
    /// Ours, on a GPU.
    Cuda,
    /// Others: libtorch's, or not known yet.
    Other,
}

impl Kernels {
    /// Those of a device such as `CPU, avx512, 2 threads`.
    pub fn of(device: &str) -> Kernels {
        match device {
            _ if device.contains("libtorch") => Kernels::Other,
            _ if device.starts_with("CPU") => Kernels::Cpu,
            _ if device.starts_with("cuda") => Kernels::Cuda,
            _ => Kernels::Other,
        }
    }
}

/// What a config asks of the kernels, as far as it moves the cost of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepCost {
    /// `train.bits`
    pub bits: u32,
    /// `train.gradient_share`
    pub gradient_share: f64,
}

impl StepCost {
    /// The cost of a step at p, in steps of the same net at p = 8 with all gradients. Other kernels take the same at every p.
    pub fn at(self, kernels: Kernels, p: PNorm) -> f64 {
        match kernels {
            Kernels::Cpu => self.on_cpu(p.get()),
            Kernels::Cuda => on_cuda(p.get()),
            Kernels::Other => 1.0,
        }
    }

    /// Fitted by eye to the epochs of the stored runs (`docs/runs`; a test holds the two together) and, for p that is no
    /// integer, to `cargo bench --bench recipe`. Dense kernels take a product more for each doubling of an integer p, and
    /// three times as long for any other; pruned ones what is left of the coordinates, which falls with bits/p. Two thirds
    /// of a step at p = 8 are gradients. At ∞ there are values and their places, and gradients at those alone.
    fn on_cpu(self, p: f64) -> f64 {
        if p.is_infinite() {
            return 0.32;
        }
        let pruned = 0.45 + 1.9 * f64::from(self.bits + 4) / p;
        dense(p, 3.0).min(pruned) * (1.0 + 2.0 * self.gradient_share) / 3.0
    }
}

/// Between what one layer of fresh operands took at p = 8, 9.5, 47, 300 and ∞ on an H200, and the epochs of a training there,
/// 1.3 to 2.7 times as long while p climbed as at p = 8 (`docs/gpu.md`): trained nets spare less.
fn on_cuda(p: f64) -> f64 {
    match p {
        _ if p.is_infinite() => 0.28,
        _ if p <= 24.0 => dense(p, 2.3),
        _ => (2.1 * (47.0 / p).powf(0.16)).min(2.3),
    }
}

/// An integer p takes products, any other p `real`.
fn dense(p: f64, real: f64) -> f64 {
    if p.fract() == 0.0 { (1.0 + 0.27 * (p / 8.0).log2()).max(0.4) } else { real }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(kernels: Kernels, bits: u32, gradient_share: f64, p: f64) -> f64 {
        StepCost { bits, gradient_share }.at(kernels, PNorm::new(p).unwrap())
    }

    fn cost(bits: u32, gradient_share: f64, p: f64) -> f64 {
        on(Kernels::Cpu, bits, gradient_share, p)
    }

    #[test]
    fn kernels_are_known_by_their_device() {
        assert_eq!(Kernels::of("CPU, avx512, 2 threads"), Kernels::Cpu);
        assert_eq!(Kernels::of("cuda:0, NVIDIA H200"), Kernels::Cuda);
        assert!(["CPU, libtorch", "none", ""].into_iter().all(|device| Kernels::of(device) == Kernels::Other));
    }

    #[test]
    fn the_unit_is_a_step_at_8_with_all_gradients() {
        assert_eq!((cost(16, 1.0, 8.0), on(Kernels::Cuda, 16, 1.0, 8.0)), (1.0, 1.0));
        assert!((cost(4, 0.5, 8.0) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn integers_cost_less_than_what_lies_between_them_until_pruning_takes_over() {
        assert!(cost(16, 1.0, 8.5) > 2.5 * cost(16, 1.0, 9.0));
        assert!(cost(16, 1.0, 64.5) < cost(16, 1.0, 64.0));
        assert!(cost(4, 1.0, 24.0) < cost(16, 1.0, 24.0), "fewer bits leave out more");
        for kernels in [Kernels::Cpu, Kernels::Cuda] {
            assert!(on(kernels, 16, 1.0, 1000.0) > on(kernels, 16, 1.0, f64::INFINITY));
            for p in 1..2000 {
                assert!((0.1..=3.0).contains(&on(kernels, 16, 1.0, f64::from(p) / 1.5 + 0.5)), "{p}");
            }
        }
    }

    #[test]
    fn a_gpu_takes_what_fresh_operands_took_there_or_somewhat_more() {
        for (p, milliseconds) in [(8.0, 7.7), (9.5, 16.06), (47.0, 14.26), (300.0, 9.32), (f64::INFINITY, 2.18)] {
            let ratio = on(Kernels::Cuda, 16, 1.0, p) / (milliseconds / 7.7);
            assert!((0.95..1.35).contains(&ratio), "p = {p}: {ratio}");
        }
    }
}
