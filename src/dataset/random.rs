//! Random numbers as pure functions of (seed, stream, index), with no state to save or share.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC'11):
//! a keyed bijection of a 128-bit counter. The key is the seed, the counter holds the index (low half) and the stream
//! (high half). Only integer operations and correctly rounded `f64` arithmetic are used, and no function of the system's
//! mathematics library, so the numbers are the same bits on every machine.

/// What random numbers are for. Each purpose has streams of its own, so that no two uses share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// The order of samples in an epoch.
    Order = 1,
    /// Crops and flips.
    Augment = 2,
    /// Initial weights.
    Weights = 3,
    /// The synthetic data set.
    Synthetic = 4,
    /// Choosing a held-out validation split.
    HoldOut = 5,
    /// Starting points of attacks.
    Attack = 6,
    /// Which of the extra training images an epoch takes, and where.
    Extra = 7,
    /// Dropout masks.
    Dropout = 8,
    /// Initial weights of a head.
    HeadWeights = 9,
    /// Which samples' gradients a step takes.
    Gradients = 10,
    /// How images are warped.
    Warp = 11,
    /// How pixels are displaced.
    Bend = 12,
}

/// Stream `number` (an epoch, a tensor …; below 2⁵⁶) of a purpose.
pub const fn stream(purpose: Purpose, number: u64) -> u64 {
    (purpose as u64) << 56 | number & ((1 << 56) - 1)
}

/// 128 random bits.
pub fn block(seed: u64, stream: u64, index: u64) -> [u32; 4] {
    philox(
        [index as u32, (index >> 32) as u32, stream as u32, (stream >> 32) as u32],
        [seed as u32, (seed >> 32) as u32],
    )
}

/// 64 random bits; two neighbouring indices share a block.
pub fn bits(seed: u64, stream: u64, index: u64) -> u64 {
    halves(block(seed, stream, index / 2))[(index % 2) as usize]
}

/// A number in `0..bound`, off uniform by at most `bound`/2⁶⁴.
pub fn below(seed: u64, stream: u64, index: u64, bound: u64) -> u64 {
    ((u128::from(bits(seed, stream, index)) * u128::from(bound)) >> 64) as u64
}

/// A whole number in ±`most` (below 2³⁰) of 32 random bits, off uniform by at most 2·`most`/2³².
pub fn within(bits: u32, most: u32) -> i32 {
    let most = i64::from(most);
    (((i64::from(bits) * (2 * most + 1)) >> 32) - most) as i32
}

/// A uniform number strictly inside (0, 1).
pub fn uniform(seed: u64, stream: u64, index: u64) -> f64 {
    open_unit(bits(seed, stream, index))
}

/// A standard normal number.
pub fn normal(seed: u64, stream: u64, index: u64) -> f32 {
    inverse_normal(uniform(seed, stream, index)) as f32
}

/// Fills `out` with `normal(seed, stream, 0..)`: the same numbers, at half the work.
pub fn fill_normal(seed: u64, stream: u64, out: &mut [f32]) {
    for (index, pair) in out.chunks_mut(2).enumerate() {
        for (value, bits) in pair.iter_mut().zip(halves(block(seed, stream, index as u64))) {
            *value = inverse_normal(open_unit(bits)) as f32;
        }
    }
}

fn halves([a, b, c, d]: [u32; 4]) -> [u64; 2] {
    [u64::from(a) | u64::from(b) << 32, u64::from(c) | u64::from(d) << 32]
}

/// The middle of one of 2⁵² equal parts of (0, 1): never 0 or 1, and symmetric about ½.
fn open_unit(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let even = u64::from(counter[0]) * 0xD251_1F53;
        let odd = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (odd >> 32) as u32 ^ counter[1] ^ key[0],
            odd as u32,
            (even >> 32) as u32 ^ counter[3] ^ key[1],
            even as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// Quantile of the standard normal distribution, relative error about 1e-16: Wichura's PPND16, algorithm AS 241
/// (Applied Statistics 37, 1988). `p` lies strictly between 0 and 1.
fn inverse_normal(p: f64) -> f64 {
    let from_half = p - 0.5;
    if from_half.abs() <= 0.425 {
        let r = 0.180625 - from_half * from_half;
        return from_half * polynomial(&CENTRE.0, r) / polynomial(&CENTRE.1, r);
    }
    let r = (-ln(p.min(1.0 - p))).sqrt();
    let (numerator, denominator, r) = if r <= 5.0 { (&NEAR.0, &NEAR.1, r - 1.6) } else { (&FAR.0, &FAR.1, r - 5.0) };
    (polynomial(numerator, r) / polynomial(denominator, r)).copysign(from_half)
}

fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// Natural logarithm of a positive normal number, from basic operations alone: `2 artanh((m − 1) / (m + 1))` for the
/// mantissa m in [√½, √2), whose series falls by a factor 34 a term, plus the exponent's share.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let series = (0..12).rev().fold(0.0, |sum, k| sum * s * s + 1.0 / f64::from(2 * k + 1));
    2.0 * s * series + exponent as f64 * std::f64::consts::LN_2
}

/// Numerators and denominators of AS 241, lowest power first.
type Rational = ([f64; 8], [f64; 8]);

const CENTRE: Rational = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);
const NEAR: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const FAR: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with the generator (Random123, kat_vectors).
    #[test]
    fn philox_gives_the_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn ln_is_right_to_the_last_bits() {
        for exponent in -1000..1000 {
            for mantissa in [1.0, 1.1, std::f64::consts::SQRT_2, 1.5, 1.999_999] {
                let x = mantissa * 2f64.powi(exponent);
                let (ours, theirs) = (ln(x), x.ln());
                assert!((ours - theirs).abs() <= 4e-16 * theirs.abs().max(0.1), "ln {x:e}: {ours} ≠ {theirs}");
            }
        }
    }

    /// Reference values: Python's statistics.NormalDist().inv_cdf.
    #[test]
    fn quantiles_are_right() {
        let known = [
            (0.5, 0.0),
            (0.75, 0.674_489_750_196_081_7),
            (0.925, 1.439_531_470_938_456_1),
            (0.975, 1.959_963_984_540_053_8),
            (1e-5, -4.264_890_793_922_824),
            (1e-14, -7.650_628_092_935_268),
        ];
        for (p, expected) in known {
            let ours = inverse_normal(p);
            assert!((ours - expected).abs() <= 1e-14 * expected.abs().max(1.0), "quantile {p}: {ours} ≠ {expected}");
        }
        assert!((inverse_normal(0.9) + inverse_normal(0.1)).abs() < 1e-15);
    }

    #[test]
    fn normal_numbers_have_normal_moments() {
        let mut sample = vec![0.0; 200_000];
        fill_normal(7, stream(Purpose::Weights, 3), &mut sample);
        let moment = |power| sample.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / sample.len() as f64;
        let found = [moment(1), moment(2), moment(3), moment(4)];
        for (found, expected) in found.into_iter().zip([0.0, 1.0, 0.0, 3.0]) {
            assert!((found - expected).abs() < 0.05, "moments {found} and {expected}");
        }
    }

    #[test]
    fn filling_gives_the_numbers_of_single_calls() {
        let mut filled = [0.0; 7];
        fill_normal(1, 2, &mut filled);
        assert_eq!(filled, std::array::from_fn(|index| normal(1, 2, index as u64)));
    }

    #[test]
    fn purposes_and_numbers_do_not_share_streams() {
        let streams = [
            stream(Purpose::Order, 0),
            stream(Purpose::Order, 1),
            stream(Purpose::Augment, 0),
            stream(Purpose::Augment, 1),
        ];
        let drawn = streams.map(|stream| bits(1, stream, 0));
        assert!((0..4).all(|i| (0..i).all(|j| drawn[i] != drawn[j])));
        assert_ne!(bits(1, 2, 3), bits(2, 2, 3));
        assert_ne!(bits(1, 2, 2), bits(1, 2, 3));
    }

    #[test]
    fn numbers_within_a_bound_reach_both_ends_and_are_symmetric() {
        assert_eq!((within(0, 3), within(1 << 31, 3), within(!0, 3)), (-3, 0, 3));
        assert_eq!((within(0, 0), within(!0, 0)), (0, 0));
        let mut seen = [0; 7];
        for index in 0..1750 {
            for bits in block(5, 6, index) {
                seen[(within(bits, 3) + 3) as usize] += 1;
            }
        }
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
    }

    #[test]
    fn bounded_numbers_stay_below_and_reach_all() {
        let mut seen = [0; 7];
        for index in 0..7000 {
            seen[below(5, 6, index, 7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
    }
}
