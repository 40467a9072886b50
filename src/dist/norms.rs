//! Powers by logarithm: d = m·S^(1/p) with m the largest |x − w| and S = Σ (|x − w| / m)^p.
//!
//! Exact in range for every p and every |x − w| up to 2¹²⁶, beyond which 1/m has no digits left, at two to three times the cost of the [`powers`](super::powers).
//! It serves the p that those do not cover, and the pairs whose sums leave the range of f32 there.

use super::minimax::minimax_f32;
use super::powers::{Largest, Slope, Term};
use super::simd::Lanes;
use std::hint::black_box;
use std::sync::LazyLock;

/// log2(1 + f) / f on [−¼, ½].
static LOGARITHM: LazyLock<[f32; 10]> = LazyLock::new(|| {
    let quotient = |f: f64| if f.abs() < 1e-9 { std::f64::consts::LOG2_E } else { f.ln_1p() / (f * 2f64.ln()) };
    minimax_f32(-0.25, 0.5, quotient, |_| 1.0)
});

/// 2^f on [−½, ½].
static EXPONENTIAL: LazyLock<[f32; 7]> = LazyLock::new(|| minimax_f32(-0.5, 0.5, f64::exp2, |_| 1.0));

/// Base-2 logarithm and exponential in registers.
#[derive(Clone, Copy)]
pub(super) struct LogExp<S: Lanes> {
    logarithm: [S::V; 10],
    exponential: [S::V; 7],
    one: S::V,
    three_quarters: S::V,
}

/// An exponent q as a 12-bit part and the rest, so that q times a small whole number is exact in the first part.
#[derive(Clone, Copy)]
pub(super) struct SplitExponent {
    high: f32,
    low: f32,
}

impl SplitExponent {
    pub(super) fn new(q: f64) -> SplitExponent {
        let high = f32::from_bits((q as f32).to_bits() & 0xffff_f000);
        SplitExponent { high, low: (q - f64::from(high)) as f32 }
    }
}

impl<S: Lanes> LogExp<S> {
    #[inline(always)]
    pub(super) fn new(s: S) -> Self {
        let (mut logarithm, mut exponential) = ([s.splat(0.0); 10], [s.splat(0.0); 7]);
        for (to, from) in logarithm.iter_mut().zip(LOGARITHM.iter()) {
            *to = s.splat(*from);
        }
        for (to, from) in exponential.iter_mut().zip(EXPONENTIAL.iter()) {
            *to = s.splat(*from);
        }
        LogExp { logarithm, exponential, one: s.splat(1.0), three_quarters: s.splat(0.75) }
    }

    /// log2(1 + f) for f in [−¼, ½], to some 10⁻⁷ of itself.
    #[inline(always)]
    fn log_near_one(&self, s: S, f: S::V) -> S::V {
        let mut quotient = self.logarithm[9];
        for term in (0..9).rev() {
            quotient = s.fma(quotient, f, self.logarithm[term]);
        }
        s.mul(quotient, f)
    }

    /// (2^t as a factor in [½, 2], the whole exponent it is scaled by).
    #[inline(always)]
    fn exp2_parts(&self, s: S, t: S::V) -> (S::V, S::V) {
        let n = s.round(t);
        let f = s.sub(t, n);
        let mut power = self.exponential[6];
        for term in (0..6).rev() {
            power = s.fma(power, f, self.exponential[term]);
        }
        (power, n)
    }

    /// ((a·2^offset)^q as a factor, and the whole exponent it is scaled by), times 2^extra, for positive normal a.
    ///
    /// Keeps the whole part of the logarithm apart from the fraction, so that the error stays near 2⁻²³ even where the
    /// result is 2^±100.
    #[inline(always)]
    pub(super) fn power(&self, s: S, a: S::V, offset: f32, q: SplitExponent, extra: f64) -> (S::V, S::V) {
        let (m, e) = s.split(a);
        let e = s.add(e, s.splat(offset));
        let log = self.log_near_one(s, s.sub(m, self.one));
        let (high, low) = (s.splat(q.high), s.splat(q.low));
        let coarse = s.mul(e, high);
        let whole = s.round(coarse);
        let extra_whole = extra.round();
        let mut fraction = s.add(s.sub(coarse, whole), s.splat((extra - extra_whole) as f32));
        fraction = s.add(fraction, s.fma(log, s.add(high, low), s.mul(e, low)));
        let (factor, n) = self.exp2_parts(s, fraction);
        (factor, s.add(s.add(whole, n), s.splat(extra_whole as f32)))
    }

    /// (a / m)^q of one a, as [`ratio_power4`](Self::ratio_power4).
    #[inline(always)]
    pub(super) fn ratio_power(&self, s: S, a: S::V, m: S::V, inverse: S::V, q: S::V) -> S::V {
        self.ratio_power4(s, [a; 4], [m; 4], [inverse; 4], q)[0]
    }

    /// (a / m)^q of four a with 0 ≤ a ≤ m, where `inverse` = 1 / m; 0 for a = 0.
    ///
    /// Near 1 the logarithm is taken of 1 + (a − m)/m, whose difference is exact, or q = 1000 would magnify the
    /// rounding of the quotient.
    #[inline(always)]
    fn ratio_power4(&self, s: S, a: [S::V; 4], m: [S::V; 4], inverse: [S::V; 4], q: S::V) -> [S::V; 4] {
        // Sixteen registers do not hold the constants; hidden from the compiler, they are fetched once for all four.
        let k = if S::N < 16 { black_box(self) } else { self };
        let zero = s.splat(0.0);
        let (mut ratio, mut whole, mut f) = (a, a, a);
        for o in 0..4 {
            ratio[o] = s.mul(a[o], inverse[o]);
            let near = s.ge(ratio[o], k.three_quarters);
            let (mantissa, exponent) = s.split(ratio[o]);
            f[o] = s.select(near, s.mul(s.sub(a[o], m[o]), inverse[o]), s.sub(mantissa, k.one));
            whole[o] = s.select(near, zero, exponent);
        }
        let mut log = [k.logarithm[9]; 4];
        for term in (0..9).rev() {
            for o in 0..4 {
                log[o] = s.fma(log[o], f[o], k.logarithm[term]);
            }
        }
        let (mut fraction, mut power) = (f, [k.exponential[6]; 4]);
        for o in 0..4 {
            let t = s.mul(s.add(s.mul(log[o], f[o]), whole[o]), q);
            whole[o] = s.round(t);
            fraction[o] = s.sub(t, whole[o]);
        }
        for term in (0..6).rev() {
            for o in 0..4 {
                power[o] = s.fma(power[o], fraction[o], k.exponential[term]);
            }
        }
        for o in 0..4 {
            power[o] = s.select(s.eq(ratio[o], zero), zero, s.scale(power[o], whole[o]));
        }
        power
    }
}

/// (m, S) of one sample against four weight rows.
///
/// # Safety
/// All five rows have `inputs` floats.
#[inline(always)]
pub(super) unsafe fn norms4<S: Lanes>(
    s: S,
    log_exp: &LogExp<S>,
    p: f32,
    x: *const f32,
    w: [*const f32; 4],
    inputs: usize,
) -> ([f32; 4], [f32; 4]) {
    let zero = s.splat(0.0);
    let one = Largest.constants(s);
    let mut largest = [zero; 4];
    let mut i = 0;
    while i < inputs {
        let n = S::N.min(inputs - i);
        for o in 0..4 {
            // SAFETY: n floats are left in each row.
            let (x, w) = unsafe { (s.load_first(x.add(i), n), s.load_first(w[o].add(i), n)) };
            largest[o] = Largest::accumulate(s, &one, largest[o], x, w);
        }
        i += n;
    }
    let m = s.max4(largest);
    // 1/m of a zero row is never looked at: all its terms are 0.
    let inverse = m.map(|m| if m > 0.0 { 1.0 / m } else { 0.0 });
    let (mut sums, mut largest_of, mut inverse_of) = ([zero; 4], [zero; 4], [zero; 4]);
    for o in 0..4 {
        (largest_of[o], inverse_of[o]) = (s.splat(m[o]), s.splat(inverse[o]));
    }
    let mut i = 0;
    while i < inputs {
        let n = S::N.min(inputs - i);
        let mut a = sums;
        for o in 0..4 {
            // SAFETY: n floats are left in each row.
            let (x, w) = unsafe { (s.load_first(x.add(i), n), s.load_first(w[o].add(i), n)) };
            a[o] = s.abs(s.sub(x, w));
        }
        let terms = log_exp.ratio_power4(s, a, largest_of, inverse_of, s.splat(p));
        for o in 0..4 {
            sums[o] = s.add(sums[o], terms[o]);
        }
        i += n;
    }
    // The largest term is 1, so a smaller sum is rounding.
    (m, s.sum4(sums).map(|sum| sum.max(1.0)))
}

/// Slopes by logarithm, of pairs with the values (coefficient g·S^(−(p−1)/p), m, 1/m).
#[derive(Clone, Copy)]
pub(super) struct NormSlope {
    /// p − 1
    pub q: f32,
}

impl Slope for NormSlope {
    const VALUES: usize = 3;
    type Constants<S: Lanes> = (LogExp<S>, S::V);

    #[inline(always)]
    fn constants<S: Lanes>(self, s: S) -> (LogExp<S>, S::V) {
        (LogExp::new(s), s.splat(self.q))
    }

    #[inline(always)]
    fn slope<S: Lanes>(s: S, k: &(LogExp<S>, S::V), d: S::V, pair: [S::V; 3]) -> [S::V; 2] {
        Self::slope4(s, k, [d; 4], [pair; 4])[0]
    }

    #[inline(always)]
    fn slope4<S: Lanes>(s: S, (log_exp, q): &(LogExp<S>, S::V), d: [S::V; 4], pairs: [[S::V; 3]; 4]) -> [[S::V; 2]; 4] {
        let (mut a, mut m, mut inverse) = (d, d, d);
        for o in 0..4 {
            a[o] = s.abs(d[o]);
            [_, m[o], inverse[o]] = pairs[o];
        }
        let powers = log_exp.ratio_power4(s, a, m, inverse, *q);
        let mut slopes = d.map(|d| [d; 2]);
        for o in 0..4 {
            slopes[o] = [pairs[o][0], s.copysign(powers[o], d[o])];
        }
        slopes
    }
}
