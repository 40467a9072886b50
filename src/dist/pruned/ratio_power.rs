//! (d / m)^q for d between a threshold and m, by a polynomial and squarings.
//!
//! Below the threshold a term does not count, so the power need only be right on [t, 1], where it falls from 1 to some
//! 2⁻²⁵ whatever q is. (d/m)^(q/2ˢ) is then so level that a polynomial of degree 7 gives it to the last bit, and s
//! squarings do the rest: no logarithm, no exponential, no exponents to take apart. Where sums leave out more, degree 4 or 5
//! will do.

use super::super::minimax::interpolate;
use super::super::simd::Lanes;
use super::Precision;

/// Coefficients of the longest polynomial.
const MOST_TERMS: usize = 8;
/// Greatest relative error of a power that is put down to its polynomial, where 16 or 24 bits are asked for.
const FIT: f64 = 5e-7;

/// Coefficients of the polynomial and squarings, of the kernels there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    FiveAnd3,
    SixAnd3,
    EightAnd3,
    EightAnd4,
    #[default]
    EightAnd5,
}

/// [`fitted`] with some number of terms.
type Fit = fn(f64, f32, u32) -> ([f32; MOST_TERMS], f64);

/// The power q on [t, 1], kept while all three stand.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct RatioPower {
    q: f64,
    threshold: f32,
    precision: Precision,
    coefficients: [f32; MOST_TERMS],
    pub form: Form,
}

impl RatioPower {
    /// This power, or a new one where q, t or the precision differ: p moves with every step, so the fit has to be cheap.
    pub(super) fn of(self, q: f64, threshold: f32, precision: Precision) -> RatioPower {
        let same = (self.q, self.threshold, self.precision) == (q, threshold, precision);
        if same { self } else { RatioPower::new(q, threshold, precision) }
    }

    fn new(q: f64, threshold: f32, precision: Precision) -> RatioPower {
        // A small part of what sums leave out.
        let allowed = FIT.max((-precision.bits() - 5.0).exp2());
        let forms: [(Form, Fit, u32); 5] = [
            (Form::FiveAnd3, fitted::<5>, 3),
            (Form::SixAnd3, fitted::<6>, 3),
            (Form::EightAnd3, fitted::<8>, 3),
            (Form::EightAnd4, fitted::<8>, 4),
            (Form::EightAnd5, fitted::<8>, 5),
        ];
        let (mut best, mut least) = (RatioPower::default(), f64::INFINITY);
        for (form, fit, squarings) in forms {
            let (coefficients, error) = fit(q, threshold, squarings);
            if error < least {
                (best, least) = (RatioPower { q, threshold, precision, coefficients, form }, error);
            }
            // Each squaring magnifies rounding, so the first that fits is the best.
            if error < allowed {
                break;
            }
        }
        best
    }

    #[inline(always)]
    pub(super) fn constants<S: Lanes>(&self, s: S) -> RatioConstants<S> {
        let mut coefficients = [s.splat(0.0); MOST_TERMS];
        for (to, from) in coefficients.iter_mut().zip(self.coefficients) {
            *to = s.splat(from);
        }
        RatioConstants { coefficients, lowest: s.splat(4.0 * (self.threshold - 1.0)) }
    }
}

/// The coefficients of (1 + f/4)^(q/2ˢ) in f = 4(d/m − 1), d/m from t to 1, and the greatest relative error of its 2ˢ-th power.
fn fitted<const TERMS: usize>(q: f64, threshold: f32, squarings: u32) -> ([f32; MOST_TERMS], f64) {
    let low = 4.0 * (f64::from(threshold) - 1.0);
    let squared = f64::from(1u32 << squarings);
    let power = |f: f64| (1.0 + f / 4.0).powf(q / squared);
    let mut coefficients = [0.0; MOST_TERMS];
    let mut scale = 1.0;
    // In f/low, to keep the powers of small numbers apart.
    for (to, from) in coefficients.iter_mut().zip(interpolate::<TERMS>(0.0, 1.0, |z| power(z * low))) {
        *to = (from * scale) as f32;
        scale /= low;
    }
    let error = |f: f64| {
        let fitted = coefficients.iter().rev().fold(0.0, |sum, c| sum * f + f64::from(*c));
        (fitted / power(f) - 1.0).abs() * squared
    };
    let worst = (0..=64).map(|k| error(low * f64::from(k) / 64.0)).fold(0.0, f64::max);
    (coefficients, worst)
}

/// A [`RatioPower`] in registers.
#[derive(Clone, Copy)]
pub(super) struct RatioConstants<S: Lanes> {
    coefficients: [S::V; MOST_TERMS],
    /// 4(t − 1)
    lowest: S::V,
}

impl<S: Lanes> RatioConstants<S> {
    /// (a / m)^q, and where a / m ≥ t, given 4/m; elsewhere the power means nothing.
    ///
    /// The polynomial is in 4(a − m)/m: that difference is exact near 1, where q would magnify the rounding of a
    /// quotient, and 4/m is a normal number for every great m.
    #[inline(always)]
    pub(super) fn power<const TERMS: usize, const SQUARINGS: u32>(
        &self,
        s: S,
        a: S::V,
        m: S::V,
        four_over_m: S::V,
    ) -> (S::V, S::M) {
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

/// Evaluates an expression with the constants `$TERMS` and `$SQUARINGS` of a [`Form`].
macro_rules! with_ratio_form {
    ($form:expr, $TERMS:ident, $SQUARINGS:ident => $body:expr) => {
        match $form {
            Form::FiveAnd3 => with_ratio_form!(5, 3, $TERMS, $SQUARINGS => $body),
            Form::SixAnd3 => with_ratio_form!(6, 3, $TERMS, $SQUARINGS => $body),
            Form::EightAnd3 => with_ratio_form!(8, 3, $TERMS, $SQUARINGS => $body),
            Form::EightAnd4 => with_ratio_form!(8, 4, $TERMS, $SQUARINGS => $body),
            Form::EightAnd5 => with_ratio_form!(8, 5, $TERMS, $SQUARINGS => $body),
        }
    };
    ($terms:literal, $squarings:literal, $TERMS:ident, $SQUARINGS:ident => $body:expr) => {{
        const $TERMS: usize = $terms;
        const $SQUARINGS: u32 = $squarings;
        $body
    }};
}
pub(super) use with_ratio_form;

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
            let (power, inside) = with_ratio_form!(self.power.form, T, N => constants.power::<T, N>(s, a, m, over));
            (s.lanes(power), s.bits(inside))
        }
    }

    #[test]
    fn powers_are_accurate_above_the_threshold() {
        for simd in Simd::available() {
            for q in [11f64, 15.0, 23.0, 31.2, 46.0, 63.0, 64.6, 127.0, 299.0, 999.0, 1000.0] {
                // The precision's bits and those of the number of inputs.
                let cases = [
                    (Precision::Bits4, 14f64),
                    (Precision::Bits8, 17.0),
                    (Precision::Bits16, 26.0),
                    (Precision::Bits24, 37.0),
                ];
                for (precision, bits) in cases.into_iter().filter(|(precision, _)| precision.least_p() <= q + 1.0) {
                    let t = (-bits / q).exp2() as f32;
                    let power = RatioPower::default().of(q, t, precision);
                    let short = matches!(power.form, Form::FiveAnd3 | Form::SixAnd3);
                    assert_eq!(short, precision.bits() < 16.0, "{precision:?} at {q}: {:?}", power.form);
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
                    let short = if short { (-precision.bits() - 5.0).exp2() } else { 0.0 };
                    assert!(worst < 3e-5 + short, "{simd:?}, q = {q}, {precision:?}: {worst:e} of the power");
                    let allowed = 2e-6 + short;
                    assert!(
                        worst_of_sum < allowed,
                        "{simd:?}, q = {q}, {precision:?}: {worst_of_sum:e} of the largest"
                    );
                }
            }
        }
    }
}
