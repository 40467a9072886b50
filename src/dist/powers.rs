//! |x − w|^p, and its derivative, lane by lane: products of squarings for whole p, a table of exponents with a fitted
//! polynomial for any other.

use super::minimax::minimax_f32;
use super::simd::Lanes;
use std::hint::black_box;

/// What one coordinate adds to a distance.
pub(super) trait Term: Copy + Sync {
    /// Whether coordinates are combined by the maximum; else by the sum.
    const MAXIMUM: bool;
    /// The term's constants in vector registers.
    type Constants<S: Lanes>: Copy;
    fn constants<S: Lanes>(self, s: S) -> Self::Constants<S>;
    fn accumulate<S: Lanes>(s: S, k: &Self::Constants<S>, sum: S::V, x: S::V, w: S::V) -> S::V;

    /// [`accumulate`](Self::accumulate) of four outputs.
    #[inline(always)]
    fn accumulate4<S: Lanes>(s: S, k: &Self::Constants<S>, mut sums: [S::V; 4], x: S::V, w: [S::V; 4]) -> [S::V; 4] {
        for o in 0..4 {
            sums[o] = Self::accumulate(s, k, sums[o], x, w[o]);
        }
        sums
    }
}

/// What one coordinate adds to a gradient: sgn(d)·|d|^(p−1) times the first value of the pair (sample, output). In two
/// factors: where that is faster ([`Lanes::add_shared`]) their product is part of the fused additions to dx and to dw.
pub(super) trait Slope: Copy + Sync {
    /// How many values of the pair it needs, 1 to 3; the others are not read.
    const VALUES: usize;
    type Constants<S: Lanes>: Copy;
    fn constants<S: Lanes>(self, s: S) -> Self::Constants<S>;
    fn slope<S: Lanes>(s: S, k: &Self::Constants<S>, d: S::V, pair: [S::V; 3]) -> [S::V; 2];

    /// [`slope`](Self::slope) of four outputs.
    #[inline(always)]
    fn slope4<S: Lanes>(s: S, k: &Self::Constants<S>, d: [S::V; 4], pairs: [[S::V; 3]; 4]) -> [[S::V; 2]; 4] {
        let mut slopes = d.map(|d| [d; 2]);
        for o in 0..4 {
            slopes[o] = Self::slope(s, k, d[o], pairs[o]);
        }
        slopes
    }
}

/// |x − w| for p = ∞.
#[derive(Clone, Copy)]
pub(super) struct Largest;

impl Term for Largest {
    const MAXIMUM: bool = true;
    type Constants<S: Lanes> = S::V;

    #[inline(always)]
    fn constants<S: Lanes>(self, s: S) -> S::V {
        s.splat(black_box(1.0))
    }

    #[inline(always)]
    fn accumulate<S: Lanes>(s: S, one: &S::V, largest: S::V, x: S::V, w: S::V) -> S::V {
        s.max_abs(largest, s.diff(*one, x, w))
    }
}

/// |x − w|^P for whole P.
#[derive(Clone, Copy)]
pub(super) struct WholePower<const P: u32>;

/// dⁿ for n ≥ 1. Loops over constants: unrolled, and squares nobody uses vanish.
#[inline(always)]
fn product<S: Lanes>(s: S, d: S::V, n: u32) -> S::V {
    let mut square = d;
    let mut product = None;
    for bit in 0..7 {
        if n >> bit & 1 == 1 {
            product = Some(match product {
                Some(so_far) => s.mul(so_far, square),
                None => square,
            });
        }
        square = s.mul(square, square);
    }
    product.unwrap_or(d)
}

impl<const P: u32> Term for WholePower<P> {
    const MAXIMUM: bool = false;
    type Constants<S: Lanes> = ();

    #[inline(always)]
    fn constants<S: Lanes>(self, _s: S) {}

    #[inline(always)]
    fn accumulate<S: Lanes>(s: S, _k: &(), sum: S::V, x: S::V, w: S::V) -> S::V {
        let d = s.sub(x, w);
        let d = if P.is_multiple_of(2) { d } else { s.abs(d) };
        if P == 1 {
            return s.add(sum, d);
        }
        // The last product is part of the fused addition.
        let half = if P.is_power_of_two() { P / 2 } else { 1 << P.ilog2() };
        s.fma(product(s, d, half), product(s, d, P - half), sum)
    }
}

impl<const P: u32> Slope for WholePower<P> {
    const VALUES: usize = 1;
    type Constants<S: Lanes> = ();

    #[inline(always)]
    fn constants<S: Lanes>(self, _s: S) {}

    #[inline(always)]
    fn slope<S: Lanes>(s: S, _k: &(), d: S::V, [c, ..]: [S::V; 3]) -> [S::V; 2] {
        if P == 1 {
            let zero = s.splat(0.0);
            return [s.select(s.eq(d, zero), zero, s.copysign(s.splat(1.0), d)), c];
        }
        // Odd powers have the sign of d by themselves; to even ones the coefficient brings it.
        let c = if P.is_multiple_of(2) { c } else { s.flip(c, d) };
        let chain = const { Chain::of(if P > 1 { P - 1 } else { 1 }) };
        let mut powers = [d; Chain::MOST + 1];
        for k in 0..chain.count {
            let (a, b) = chain.steps[k];
            powers[k + 1] = s.mul(powers[a], powers[b]);
        }
        let (with_c, other) = chain.factors;
        let first = match with_c {
            Some(power) => s.mul(c, powers[power]),
            None => c,
        };
        [first, powers[other]]
    }
}

/// How c·dⁿ is multiplied up in two factors, with the fewest products there can be (by exhaustive search). A power
/// is named by its place: 0 is d, k + 1 the result of step k.
#[derive(Clone, Copy)]
struct Chain {
    steps: [(usize, usize); Chain::MOST],
    count: usize,
    /// The power that c is multiplied by, where it is any, and the other factor.
    factors: (Option<usize>, usize),
}

impl Chain {
    const MOST: usize = 7;

    /// Which exponents are added to reach n, at last those of the two factors, 0 for c alone.
    const fn exponents(n: u32) -> (&'static [(u32, u32)], (u32, u32)) {
        match n {
            1 => (&[], (0, 1)),
            2 => (&[], (1, 1)),
            3 => (&[(1, 1)], (1, 2)),
            4 => (&[(1, 1)], (2, 2)),
            5 => (&[(1, 1), (1, 2)], (2, 3)),
            6 => (&[(1, 1), (1, 2)], (3, 3)),
            7 => (&[(1, 1), (1, 2), (2, 2)], (3, 4)),
            8 => (&[(1, 1), (2, 2)], (4, 4)),
            9 => (&[(1, 1), (1, 2), (3, 3)], (3, 6)),
            10 => (&[(1, 1), (1, 2), (2, 3)], (5, 5)),
            11 => (&[(1, 1), (1, 2), (2, 2), (3, 4)], (4, 7)),
            13 => (&[(1, 1), (1, 2), (2, 3), (3, 5)], (5, 8)),
            15 => (&[(1, 1), (1, 2), (2, 3), (5, 5)], (5, 10)),
            17 => (&[(1, 1), (2, 2), (4, 4), (1, 8)], (8, 9)),
            19 => (&[(1, 1), (1, 2), (2, 2), (4, 4), (3, 8)], (8, 11)),
            21 => (&[(1, 1), (1, 2), (2, 2), (3, 4), (7, 7)], (7, 14)),
            23 => (&[(1, 1), (1, 2), (2, 3), (5, 5), (3, 10)], (10, 13)),
            27 => (&[(1, 1), (1, 2), (3, 3), (3, 6), (9, 9)], (9, 18)),
            31 => (&[(1, 1), (1, 2), (2, 2), (3, 4), (7, 7), (3, 14)], (14, 17)),
            35 => (&[(1, 1), (1, 2), (2, 2), (3, 4), (7, 7), (7, 14)], (14, 21)),
            39 => (&[(1, 1), (1, 2), (2, 3), (3, 5), (5, 8), (13, 13)], (13, 26)),
            47 => (&[(1, 1), (1, 2), (2, 2), (3, 4), (3, 7), (10, 10), (7, 20)], (20, 27)),
            63 => (&[(1, 1), (1, 2), (2, 2), (3, 4), (7, 7), (7, 14), (21, 21)], (21, 42)),
            _ => panic!("no chain for this power"),
        }
    }

    /// Those exponents by where they are made; a chain that uses one that is not there does not compile.
    const fn of(n: u32) -> Chain {
        let (sums, (with_c, other)) = Chain::exponents(n);
        let mut chain = Chain { steps: [(0, 0); Chain::MOST], count: sums.len(), factors: (None, 0) };
        let mut made = [1; Chain::MOST + 1];
        let mut k = 0;
        while k < sums.len() {
            let (a, b) = sums[k];
            chain.steps[k] = (Chain::place(&made, k, a), Chain::place(&made, k, b));
            made[k + 1] = a + b;
            k += 1;
        }
        assert!(with_c + other == n, "the factors do not make the power");
        let with_c = if with_c == 0 { None } else { Some(Chain::place(&made, k, with_c)) };
        chain.factors = (with_c, Chain::place(&made, k, other));
        chain
    }

    const fn place(made: &[u32], last: usize, exponent: u32) -> usize {
        let mut k = 0;
        while made[k] != exponent {
            assert!(k < last, "a power is used that is not there");
            k += 1;
        }
        k
    }
}

/// Any real power by |d|^q = 2^(q·(e+1)) · (m/2)^q with |d| = m·2ᵉ: the first factor from a table of the sixteen largest
/// exponents, the second by a polynomial for (m/2)^(q / 2^SQUARINGS) on [1, 2], squared `SQUARINGS` times. (With m^q
/// instead, the table would underflow while terms of the same octave still count.)
///
/// Smaller |d| count as the smallest in the table (2^(−15q) of the largest: nothing, for q ≥ 3), larger ones as just
/// below the end of the table, where the caller sees the sum reach 2^height and does it over with care.
#[derive(Clone, Copy)]
pub(super) struct TablePower<const SQUARINGS: u32> {
    polynomial: [f32; TABLE_TERMS],
    entries: [f32; 16],
    tiny: f32,
    big: f32,
}

/// The polynomial is in m − MIDDLE: with m itself its terms would cancel, and squaring magnify their rounding.
const MIDDLE: f64 = 1.5;

/// Coefficients of the polynomial of a [`TablePower`].
pub(super) const TABLE_TERMS: usize = 6;

/// The squarings that suit power q: the polynomial then approximates a power of at most 3.
pub(super) fn table_squarings(q: f64) -> u32 {
    (q / 3.0).log2().ceil().max(1.0) as u32
}

/// The polynomial for power q; costs some 50 µs, so callers keep it while p stands.
pub(super) fn table_polynomial(q: f64) -> [f32; TABLE_TERMS] {
    let root = q / f64::from(1u32 << table_squarings(q));
    let power = move |f: f64| ((f + MIDDLE) / 2.0).powf(root);
    minimax_f32(1.0 - MIDDLE, 2.0 - MIDDLE, power, |f| 1.0 / power(f))
}

impl<const SQUARINGS: u32> TablePower<SQUARINGS> {
    /// |d|^q · 2^height / 2^(q·end) for |d| < 2^end.
    pub(super) fn new(q: f64, polynomial: [f32; TABLE_TERMS], end: i32, height: i32) -> Self {
        let mut entries = [0.0; 16];
        for e in end - 16..end {
            let power = (f64::from(e + 1 - end) * q + f64::from(height)).exp2() as f32;
            entries[((e + 127) & 15) as usize] = if power.is_normal() { power } else { 0.0 };
        }
        let big = f32::from_bits((end as f32).exp2().to_bits() - 1);
        TablePower { polynomial, entries, tiny: ((end - 16) as f32).exp2(), big }
    }
}

/// A [`TablePower`] in registers.
#[derive(Clone, Copy)]
pub(super) struct TableConstants<S: Lanes> {
    polynomial: [S::V; TABLE_TERMS],
    entries: S::Table,
    tiny: S::V,
    big: S::V,
    middle: S::V,
}

impl<const SQUARINGS: u32> TablePower<SQUARINGS> {
    #[inline(always)]
    fn broadcast<S: Lanes>(self, s: S) -> TableConstants<S> {
        let mut polynomial = [s.splat(0.0); TABLE_TERMS];
        for (to, from) in polynomial.iter_mut().zip(self.polynomial) {
            *to = s.splat(from);
        }
        TableConstants {
            polynomial,
            entries: s.table(&self.entries),
            tiny: s.splat(self.tiny),
            big: s.splat(self.big),
            middle: s.splat(MIDDLE as f32),
        }
    }

    /// The two factors of a^q for four a ≥ tiny, step by step together: a constant is fetched once for all four.
    #[inline(always)]
    fn factors4<S: Lanes>(s: S, k: &TableConstants<S>, a: [S::V; 4]) -> ([S::V; 4], [S::V; 4]) {
        // Sixteen registers do not hold the constants as well. The compiler would keep them on the stack and fetch them
        // for each use, which takes longer than the arithmetic; unable to see that they stay, it fetches them here.
        let k = if S::N < 16 { black_box(k) } else { k };
        let (mut scale, mut m, mut power) = (a, a, [k.polynomial[TABLE_TERMS - 1]; 4]);
        for o in 0..4 {
            m[o] = s.sub(s.mantissa(a[o]), k.middle);
        }
        for term in (0..TABLE_TERMS - 1).rev() {
            for o in 0..4 {
                power[o] = s.fma(power[o], m[o], k.polynomial[term]);
            }
        }
        for _ in 0..SQUARINGS {
            for power in &mut power {
                *power = s.mul(*power, *power);
            }
        }
        for scale in &mut scale {
            *scale = s.lookup(k.entries, *scale);
        }
        (scale, power)
    }
}

impl<const SQUARINGS: u32> Term for TablePower<SQUARINGS> {
    const MAXIMUM: bool = false;
    type Constants<S: Lanes> = TableConstants<S>;

    #[inline(always)]
    fn constants<S: Lanes>(self, s: S) -> TableConstants<S> {
        self.broadcast(s)
    }

    #[inline(always)]
    fn accumulate<S: Lanes>(s: S, k: &TableConstants<S>, sum: S::V, x: S::V, w: S::V) -> S::V {
        Self::accumulate4(s, k, [sum; 4], x, [w; 4])[0]
    }

    #[inline(always)]
    fn accumulate4<S: Lanes>(s: S, k: &TableConstants<S>, mut sums: [S::V; 4], x: S::V, w: [S::V; 4]) -> [S::V; 4] {
        let mut a = w;
        for a in &mut a {
            *a = s.min(s.max_abs(k.tiny, s.sub(x, *a)), k.big);
        }
        let (scale, power) = Self::factors4(s, k, a);
        for o in 0..4 {
            sums[o] = s.fma(scale[o], power[o], sums[o]);
        }
        sums
    }
}

impl<const SQUARINGS: u32> Slope for TablePower<SQUARINGS> {
    const VALUES: usize = 1;
    type Constants<S: Lanes> = TableConstants<S>;

    #[inline(always)]
    fn constants<S: Lanes>(self, s: S) -> TableConstants<S> {
        self.broadcast(s)
    }

    #[inline(always)]
    fn slope<S: Lanes>(s: S, k: &TableConstants<S>, d: S::V, pair: [S::V; 3]) -> [S::V; 2] {
        Self::slope4(s, k, [d; 4], [pair; 4])[0]
    }

    #[inline(always)]
    fn slope4<S: Lanes>(s: S, k: &TableConstants<S>, d: [S::V; 4], pairs: [[S::V; 3]; 4]) -> [[S::V; 2]; 4] {
        let mut a = d;
        for a in &mut a {
            *a = s.max_abs(k.tiny, *a);
        }
        let (scale, power) = Self::factors4(s, k, a);
        let mut slopes = d.map(|d| [d; 2]);
        for o in 0..4 {
            slopes[o] = [s.mul(scale[o], pairs[o][0]), s.flip(power[o], d[o])];
        }
        slopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Simd};

    struct Factors {
        q: f64,
        d: [f32; 16],
    }

    impl Kernel for Factors {
        type Output = Vec<f64>;

        #[inline(always)]
        fn run<S: Lanes>(self, s: S) -> Vec<f64> {
            #[inline(always)]
            fn product<const N: u32, S: Lanes>(s: S, q: f64, d: [f32; 16]) -> Vec<f64> {
                let k = TablePower::<N>::new(q, table_polynomial(q), 2, 0).broadcast(s);
                // SAFETY: 16 floats lie there, and N ≤ 16.
                let d = unsafe { s.load(d.as_ptr()) };
                let (scale, power) = TablePower::<N>::factors4(s, &k, [d; 4]);
                let (scale, power) = (s.lanes(scale[3]), s.lanes(power[3]));
                (0..S::N).map(|i| f64::from(scale[i]) * f64::from(power[i])).collect()
            }
            match table_squarings(self.q) {
                1 => product::<1, S>(s, self.q, self.d),
                2 => product::<2, S>(s, self.q, self.d),
                3 => product::<3, S>(s, self.q, self.d),
                _ => product::<4, S>(s, self.q, self.d),
            }
        }
    }

    #[test]
    fn table_powers_are_accurate() {
        for simd in Simd::available() {
            for q in [3.0, 4.5, 6.1, 8.5, 11.9, 17.0, 23.3, 31.7, 40.2, 48.0] {
                let mut worst = 0f64;
                for block in 0..200 {
                    let d: [f32; 16] = std::array::from_fn(|i| 1.9999 + (block * 16 + i) as f32 / 1600.0);
                    for (got, d) in simd.run(Factors { q, d }).into_iter().zip(d) {
                        let exact = (f64::from(d) / 4.0).powf(q);
                        worst = worst.max((got / exact - 1.0).abs());
                    }
                }
                assert!(worst < 8e-6, "{simd:?}, q = {q}: {worst:e}");
            }
        }
    }
}
