//! Claims against exact rational arithmetic. What is proved is proved of the program: of each operation's exact result,
//! rounded to the nearest float32. Here both are done in integers, so that no floating-point unit is believed.

use crate::dist::SortProfile;
use crate::experiment::Label;

use super::NetState;
use super::evaluate::first_smallest;
use super::soundness_tests::{Boxes, Draw, boxes_at_the_border, dense, evaluator, for_floats};

/// The rational number m · 2^e.
#[derive(Clone, Copy, Debug)]
struct Exact {
    m: i128,
    e: i32,
}

impl Exact {
    const ZERO: Exact = Exact { m: 0, e: 0 };

    /// The value of a float32, by its bits.
    fn of(value: f32) -> Exact {
        let bits = value.to_bits();
        let exponent = (bits >> 23 & 0xff) as i32;
        assert!(exponent < 255, "no infinity, no NaN");
        let mantissa = i128::from(bits & 0x7f_ffff) | if exponent > 0 { 1 << 23 } else { 0 };
        let m = if value.is_sign_negative() { -mantissa } else { mantissa };
        Exact { m, e: exponent.max(1) - 150 }.trimmed()
    }

    /// Without zeros at the end, so that sums stay small.
    fn trimmed(self) -> Exact {
        if self.m == 0 {
            return Exact::ZERO;
        }
        let zeros = self.m.trailing_zeros();
        Exact { m: self.m >> zeros, e: self.e + zeros as i32 }
    }

    /// Both over the smaller power of two.
    fn aligned(self, other: Exact) -> (i128, i128, i32) {
        if self.m == 0 || other.m == 0 {
            let e = if self.m == 0 { other.e } else { self.e };
            return (self.m, other.m, e);
        }
        let e = self.e.min(other.e);
        let shift = |number: Exact| {
            let by = (number.e - e) as u32;
            assert!(by < number.m.unsigned_abs().leading_zeros(), "the draws stay within 127 binary digits");
            number.m << by
        };
        (shift(self), shift(other), e)
    }

    fn plus(self, other: Exact) -> Exact {
        let (a, b, e) = self.aligned(other);
        Exact { m: a.checked_add(b).unwrap(), e }.trimmed()
    }

    fn minus(self, other: Exact) -> Exact {
        self.plus(Exact { m: -other.m, ..other })
    }

    fn times(self, other: Exact) -> Exact {
        Exact { m: self.m.checked_mul(other.m).unwrap(), e: self.e + other.e }.trimmed()
    }

    fn abs(self) -> Exact {
        Exact { m: self.m.abs(), ..self }
    }

    fn cmp(self, other: Exact) -> std::cmp::Ordering {
        let (a, b, _) = self.aligned(other);
        a.cmp(&b)
    }

    /// The nearest float32, of two the even one, by IEEE 754 §4.3.1.
    fn rounded(self) -> Exact {
        let size = self.m.unsigned_abs();
        let digits = 128 - size.leading_zeros() as i32;
        // Below the normal numbers the last digit is worth 2^−149.
        let drop = (digits - 24).max(-149 - self.e);
        if drop <= 0 {
            return self;
        }
        let (kept, rest, half) = (size >> drop, size & ((1 << drop) - 1), 1u128 << (drop - 1));
        let up = rest > half || rest == half && kept & 1 == 1;
        let kept = (kept + u128::from(up)) as i128;
        Exact { m: if self.m < 0 { -kept } else { kept }, e: self.e + drop }.trimmed()
    }

    /// The float32 that it is.
    fn float(self) -> f32 {
        let value = (self.m as f64 * 2f64.powi(self.e)) as f32;
        assert!(Exact::of(value).cmp(self).is_eq(), "{self:?} is no float32");
        value
    }
}

/// The outputs of a net of distances or sort neurons, by the definition; each operation's result goes through `fl`.
fn outputs(net: &NetState, image: &[f32], fl: fn(Exact) -> Exact) -> Vec<Exact> {
    let image: Vec<Exact> = image.iter().map(|&x| Exact::of(x)).collect();
    net.layers.iter().fold(image, |x, layer| {
        let profile = layer.shape.keep.map(|keep| SortProfile::geometric(keep, layer.shape.inputs()));
        let rows = layer.weight.value.chunks(layer.shape.inputs()).enumerate();
        let neuron = |(o, row): (usize, &[f32])| {
            let mut differences: Vec<Exact> =
                x.iter().zip(row).map(|(x, &w)| fl(x.minus(Exact::of(w))).abs()).collect();
            differences.sort_by(|a, b| b.cmp(*a));
            let distance = match &profile {
                None => differences[0],
                Some(profile) => profile
                    .weights()
                    .iter()
                    .zip(&differences)
                    .fold(Exact::ZERO, |sum, (&c, t)| fl(sum.plus(fl(Exact::of(c).times(*t))))),
            };
            match layer.mean.get(o) {
                Some(&mean) => fl(distance.minus(Exact::of(mean))),
                None => fl(distance.plus(Exact::of(net.bias.value[o]))),
            }
        };
        rows.map(neuron).collect()
    })
}

/// The class: the first of the smallest.
fn class(outputs: &[Exact]) -> Label {
    let mut best = 0;
    for (index, value) in outputs.iter().enumerate() {
        if value.cmp(outputs[best]).is_lt() {
            best = index;
        }
    }
    best as Label
}

#[test]
fn integers_round_as_the_machine_does() {
    let mut draw = Draw::new(8 << 32);
    for _ in 0..200_000 {
        let size = |draw: &mut Draw| 2f64.powf(draw.between(-60.0, 10.0));
        let (mut a, mut b) = (size(&mut draw) as f32, -size(&mut draw) as f32);
        // Half of the pairs are near each other, and some sums lie in the middle of two floats.
        if draw.between(0.0, 1.0) < 0.5 {
            b = -a * draw.between(0.9, 1.1) as f32;
        }
        if draw.between(0.0, 1.0) < 0.1 {
            (a, b) = (1.0 + a.fract(), f32::EPSILON / 2.0);
        }
        assert_eq!(Exact::of(a).plus(Exact::of(b)).rounded().float(), a + b, "{a} + {b}");
        assert_eq!(Exact::of(a).times(Exact::of(b)).rounded().float(), a * b, "{a} · {b}");
    }
    // Subnormal numbers.
    for (a, b) in [(1e-30f32, 1e-12f32), (f32::MIN_POSITIVE, 0.3), (3e-45, 0.5)] {
        assert_eq!(Exact::of(a).times(Exact::of(b)).rounded().float(), a * b, "{a} · {b}");
    }
}

/// A million has been run: `LINF_NETS` says how many.
#[test]
fn no_claim_is_false_in_exact_arithmetic_with_each_result_rounded() {
    let nets: u64 = std::env::var("LINF_NETS").map_or(1000, |text| text.parse().unwrap());
    let (evaluator, boxes) = (evaluator(), 3);
    let (mut claimed, mut open, mut not_of_reals) = (0usize, 0usize, 0usize);
    for seed in 0..nets {
        let mut draw = Draw::new(9 << 32 | seed);
        let widths: &[usize] = [&[2, 2][..], &[2, 3, 2], &[2, 2, 2, 3], &[2, 3, 3]][(seed % 4) as usize];
        let mut net = dense(widths);
        let spread = 10f64.powf(draw.between(0.0, 3.0));
        for layer in &mut net.layers {
            draw.fill(&mut layer.weight.value, -spread, spread);
            draw.fill(&mut layer.mean, 0.0, spread);
        }
        if seed % 4 == 3 {
            net.layers[1].shape.keep = Some(draw.between(0.2, 0.9));
        }
        draw.fill(&mut net.bias.value, -1.0, 1.0);
        let of = |x: &[f32]| class(&outputs(&net, x, Exact::rounded));
        let Boxes { low, high, labels } = boxes_at_the_border(&mut draw, boxes, &of);
        let proved = evaluator.proofs(&net, low.clone(), high.clone(), &labels);
        let (below, above) = evaluator.bounds(&net, low.clone(), high.clone());
        let classes = net.classes();
        for (index, is_proved) in proved.into_iter().enumerate() {
            let (below, above) = (&below[classes * index..][..classes], &above[classes * index..][..classes]);
            let mut holds_of_reals = true;
            for_floats(&low[2 * index..], &high[2 * index..], &mut |x| {
                let exact = outputs(&net, x, Exact::rounded);
                for (value, (below, above)) in exact.iter().zip(below.iter().zip(above)) {
                    let value = value.float();
                    assert!(*below <= value && value <= *above, "net {seed}, box {index}: {value} is out of bounds");
                }
                assert_eq!(class(&exact), first_smallest(exact.iter().map(|value| value.float())));
                assert!(!is_proved || class(&exact) == labels[index], "net {seed}, box {index} is proved and not true");
                holds_of_reals &= !is_proved || class(&outputs(&net, x, |exact| exact)) == labels[index];
            });
            claimed += usize::from(is_proved);
            open += usize::from(!is_proved);
            not_of_reals += usize::from(!holds_of_reals);
        }
    }
    println!("{claimed} claims, {open} boxes without; {not_of_reals} claims would be false of a net without rounding");
    assert!(claimed > boxes && open > boxes, "{claimed} claimed, {open} not: the boxes miss the borders");
}
