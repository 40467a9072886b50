//! The hyperbolic tangent of the head: monotone on float32, and the same bits on every machine.
//!
//! A certificate needs x ≤ y ⇒ tanh(x) ≤ tanh(y) of the function the program runs; no library promises that. Here the
//! value is computed in double precision from correctly rounded operations alone, with an absolute error below 2⁻⁵⁰, and rounded
//! once. Neighbouring float32 between 2⁻¹³ and 9.1 have tangents at least 4·10⁻¹⁴ ≈ 2⁻⁴⁴ apart, so the double values are
//! in order, and rounding keeps order. Below 2⁻¹³ the result is x itself, beyond 9.1 it is ±1. A test goes through every
//! float32 of the range between.

/// Above, tanh rounds to 1.
const ONE: f32 = 9.1;
/// Below, tanh(x) = x·(1 − x²/3 + …) rounds to x: x²/3 is less than a quarter of a unit in the last place.
const IDENTITY: f32 = 1.0 / 8192.0;

/// tanh(x), within a unit in the last place; NaN for NaN.
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude < IDENTITY || x.is_nan() {
        return x;
    }
    if magnitude > ONE {
        return 1f32.copysign(x);
    }
    let e = exp(2.0 * f64::from(magnitude));
    ((1.0 - 2.0 / (e + 1.0)) as f32).copysign(x)
}

/// 1/n!
const TAYLOR: [f64; 14] = {
    let mut terms = [1.0; 14];
    let mut n = 1;
    while n < 14 {
        terms[n] = terms[n - 1] / n as f64;
        n += 1;
    }
    terms
};

/// eʸ for 0 ≤ y ≤ 20 with a relative error below 2⁻⁵⁰.
fn exp(y: f64) -> f64 {
    /// ln 2 in two parts; the first has so few digits that its products with small whole numbers are exact.
    const LN2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    let whole = (y * std::f64::consts::LOG2_E).round();
    let rest = (y - whole * LN2[0]) - whole * LN2[1];
    // Taylor's series to the 13th power: |rest| ≤ 0.35, so the next term is below 10⁻¹⁷.
    let mut sum = TAYLOR[13];
    for n in (0..13).rev() {
        sum = sum * rest + TAYLOR[n];
    }
    sum * f64::from_bits((1023 + whole as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_from_one_float_to_the_next_goes_down() {
        let (first, last) = (IDENTITY.next_down().to_bits(), ONE.next_up().to_bits());
        let threads = 4;
        let each = (last - first).div_ceil(threads);
        std::thread::scope(|scope| {
            for n in 0..threads {
                let range = first + n * each..(first + (n + 1) * each).min(last);
                scope.spawn(move || {
                    let mut before = tanh(f32::from_bits(range.start));
                    for bits in range.start + 1..=range.end {
                        let value = tanh(f32::from_bits(bits));
                        assert!(before <= value, "tanh falls at {}", f32::from_bits(bits));
                        before = value;
                    }
                });
            }
        });
    }

    #[test]
    fn values_are_the_nearest_floats_or_their_neighbours() {
        for n in 0..200_000u32 {
            let x = f32::from_bits(0x3000_0000 + n * 1431);
            let exact = f64::from(x).tanh();
            let apart = (f64::from(tanh(x)) - exact).abs();
            let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            assert!(apart <= 0.51 * unit, "tanh({x}) = {}, exactly {exact}", tanh(x));
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert_eq!((tanh(0.0), tanh(100.0), tanh(f32::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
    }
}
