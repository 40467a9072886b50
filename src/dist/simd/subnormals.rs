//! Flush-to-zero for the length of a kernel.

/// While it lives, this thread treats subnormal floats as 0.
///
/// Powers underflow all the time, and a subnormal operand costs these CPUs over a hundred cycles: without this the
/// kernels for p ≥ 16 run several times slower. Kernels whose results must be exact IEEE ones (p = ∞, intervals) do not use it.
pub(crate) struct FlushSubnormals {
    /// The bits of [`Self::FLUSH`] as they were.
    #[cfg(target_arch = "x86_64")]
    saved: u32,
}

#[cfg(target_arch = "x86_64")]
impl FlushSubnormals {
    /// MXCSR bits: results flushed to zero (15), operands taken as zero (6).
    const FLUSH: u32 = 1 << 15 | 1 << 6;

    pub(crate) fn enter() -> FlushSubnormals {
        let control = control();
        set_control(control | Self::FLUSH);
        FlushSubnormals { saved: control & Self::FLUSH }
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for FlushSubnormals {
    fn drop(&mut self) {
        // Exceptions that were flagged meanwhile stay flagged.
        set_control(control() & !Self::FLUSH | self.saved);
    }
}

#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut control = 0u32;
    // SAFETY: stores the 32-bit control register into `control`.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags)) };
    control
}

#[cfg(target_arch = "x86_64")]
fn set_control(value: u32) {
    // SAFETY: only the two bits of `FLUSH` ever differ from what the thread had. They change nothing but the results of
    // subnormal operations, which the kernels between `enter` and `drop` do not rely on. Rust promises nothing of code that
    // runs so; what it may assume, that such operations are IEEE's, would concern their results alone.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
}

#[cfg(not(target_arch = "x86_64"))]
impl FlushSubnormals {
    pub(crate) fn enter() -> FlushSubnormals {
        FlushSubnormals {}
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn flushes_and_restores() {
        let halve = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(halve() > 0.0);
        {
            let _flush = FlushSubnormals::enter();
            assert_eq!(halve().to_bits(), 0);
        }
        assert!(halve() > 0.0);
    }
}
