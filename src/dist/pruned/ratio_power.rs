//! (d / m)^q for d between a threshold and m, by a polynomial and squarings.
//!
//! Below the threshold a term does not count, so the power need only be right on [t, 1], where it falls from 1 to some
//! 2⁻²⁵ whatever q is. (d/m)^(q/2ˢ) is then so level that a polynomial of degree 7 gives it to the last bit, and s
//! squarings do the rest: no logarithm, no exponential, no exponents to take apart.

use super::super::minimax::interpolate;
use super::super::simd::Lanes;

/// Coefficients of the polynomial.
const TERMS: usize = 8;
/// The least and the most squarings there are kernels for.
pub(super) const SQUARINGS: std::ops::RangeInclusive<u32> = 3..=5;
/// Greatest relative error of a power that is put down to its polynomial.
const FIT: f64 = 5e-7;

/// The power q on [t, 1], kept while both stand.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct RatioPower {
    q: f64,
    threshold: f32,
    coefficients: [f32; TERMS],
    /// s
    pub squarings: u32,
}

impl RatioPower {
    /// This power, or a new one where q or t differ: p moves with every step, so the fit has to be cheap.
    pub(super) fn of(self, q: f64, threshold: f32) -> RatioPower {
        if (self.q, self.threshold) == (q, threshold) { self } else { RatioPower::new(q, threshold) }
    }

    fn new(q: f64, threshold: f32) -> RatioPower {
        let low = 4.0 * (f64::from(threshold) - 1.0);
        let fit = |squarings: u32| {
            let root = q / f64::from(1u32 << squarings);
            let power = |f: f64| (1.0 + f / 4.0).powf(root);
            // In f/low, to keep the powers of small numbers apart.
            let mut coefficients = interpolate::<TERMS>(0.0, 1.0, |z| power(z * low));
            let mut scale = 1.0;
            for c in &mut coefficients {
                *c *= scale;
                scale /= low;
            }
            let coefficients = coefficients.map(|c| c as f32);
            let error = |f: f64| {
                let fitted = coefficients.iter().rev().fold(0.0, |sum, c| sum * f + f64::from(*c));
                (fitted / power(f) - 1.0).abs() * f64::from(1u32 << squarings)
            };
            let worst = (0..=64).map(|k| error(low * f64::from(k) / 64.0)).fold(0.0, f64::max);
            (RatioPower { q, threshold, coefficients, squarings }, worst)
        };
        // Each squaring magnifies rounding, so the first that fits is the best.
        let fits = SQUARINGS.map(fit);
        let better = |a: (RatioPower, f64), b: (RatioPower, f64)| if a.1 < FIT || a.1 <= b.1 { a } else { b };
        fits.reduce(better).map_or_else(RatioPower::default, |(power, _)| power)
    }

    #[inline(always)]
    pub(super) fn constants<S: Lanes>(&self, s: S) -> RatioConstants<S> {
        let mut coefficients = [s.splat(0.0); TERMS];
        for (to, from) in coefficients.iter_mut().zip(self.coefficients) {
            *to = s.splat(from);
        }
        RatioConstants { coefficients, lowest: s.splat(4.0 * (self.threshold - 1.0)) }
    }
}

/// A [`RatioPower`] in registers.
#[derive(Clone, Copy)]
pub(super) struct RatioConstants<S: Lanes> {
    coefficients: [S::V; TERMS],
    /// 4(t − 1)
    lowest: S::V,
}

impl<S: Lanes> RatioConstants<S> {
    /// (a / m)^q, and where a / m ≥ t, given 4/m; elsewhere the power means nothing.
    ///
    /// The polynomial is in 4(a − m)/m: that difference is exact near 1, where q would magnify the rounding of a
    /// quotient, and 4/m is a normal number for every great m.
    #[inline(always)]
    pub(super) fn power<const SQUARINGS: u32>(&self, s: S, a: S::V, m: S::V, four_over_m: S::V) -> (S::V, S::M) {
        let f = s.mul(s.sub(a, m), four_over_m);
        let mut power = self.coefficients[TERMS - 1];
        for term in (0..TERMS - 1).rev() {
            power = s.fma(power, f, self.coefficients[term]);
        }
        for _ in 0..SQUARINGS {
            power = s.mul(power, power);
        }
        (power, s.ge(f, self.lowest))
    }
}

/// Evaluates an expression with the constant `$SQUARINGS` equal to a runtime number within [`SQUARINGS`].
macro_rules! with_ratio_squarings {
    ($n:expr, $SQUARINGS:ident => $body:expr) => {
        match $n {
            ..=3 => {
                const $SQUARINGS: u32 = 3;
                $body
            }
            4 => {
                const $SQUARINGS: u32 = 4;
                $body
            }
            _ => {
                const $SQUARINGS: u32 = 5;
                $body
            }
        }
    };
}
pub(super) use with_ratio_squarings;

#[cfg(test)]
mod tests {
    use super::super::super::simd::{Kernel, Simd};
    use super::*;

    struct Powers<'a> {
        power: &'a RatioPower,
        d: [f32; 16],
        m: f32,
    }

    impl Kernel for Powers<'_> {
        type Output = ([f32; 16], u32);

        #[inline(always)]
        fn run<S: Lanes>(self, s: S) -> ([f32; 16], u32) {
            let constants = self.power.constants(s);
            // SAFETY: N ≤ 16 floats.
            let a = unsafe { s.load(self.d.as_ptr()) };
            let (m, over) = (s.splat(self.m), s.splat(4.0 / self.m));
            let (power, inside) = with_ratio_squarings!(self.power.squarings, N => constants.power::<N>(s, a, m, over));
            (s.lanes(power), s.bits(inside))
        }
    }

    #[test]
    fn powers_are_accurate_above_the_threshold() {
        for simd in Simd::available() {
            for q in [11f64, 15.0, 23.0, 31.2, 46.0, 63.0, 64.6, 127.0, 299.0, 999.0, 1000.0] {
                // Bits of the precision and of the number of inputs; below p = 24 and 16 only those of the least two.
                for bits in [14f64, 17.0, 26.0, 37.0].into_iter().filter(|bits| *bits < q + 8.0 || q >= 23.0) {
                    let t = (-bits / q).exp2() as f32;
                    let power = RatioPower::default().of(q, t);
                    let (mut worst, mut worst_of_sum) = (0f64, 0f64);
                    for block in 0..100 {
                        let m = 1.0 + block as f32 / 50.0;
                        let ratio = |k: usize| t * 0.999 + (1.0 - t * 0.999) * ((block * 16 + k) as f32 / 1599.0);
                        let d: [f32; 16] = std::array::from_fn(|k| (ratio(k) * m).min(m));
                        let (got, inside) = simd.run(Powers { power: &power, d, m });
                        for lane in 0..simd.lanes() {
                            let exact = f64::from(d[lane]) / f64::from(m);
                            assert!(
                                (inside >> lane & 1 == 1) == (exact >= f64::from(t))
                                    || (exact - f64::from(t)).abs() < 1e-6
                            );
                            if inside >> lane & 1 == 1 {
                                let off = f64::from(got[lane]) - exact.powf(q);
                                worst = worst.max((off / exact.powf(q)).abs());
                                worst_of_sum = worst_of_sum.max(off.abs());
                            }
                        }
                    }
                    // The last bit of 4(a − m)/m, up to 37·ln 2 by the derivative of the power, and the squarings. The
                    // largest term of a sum is 1.
                    assert!(worst < 3e-5, "{simd:?}, q = {q}, {bits} bits: {worst:e} of the power");
                    assert!(worst_of_sum < 2e-6, "{simd:?}, q = {q}, {bits} bits: {worst_of_sum:e} of the largest");
                }
            }
        }
    }
}
