//! 8 lanes of plain Rust, which the compiler vectorises for its baseline.

use super::Lanes;

/// Needs nothing of the CPU.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const N: usize = 8;

#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct V([f32; N]);

#[inline(always)]
fn map(a: V, f: impl Fn(f32) -> f32) -> V {
    let mut out = a;
    for lane in 0..N {
        out.0[lane] = f(a.0[lane]);
    }
    out
}

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    let mut out = a;
    for lane in 0..N {
        out.0[lane] = f(a.0[lane], b.0[lane]);
    }
    out
}

#[inline(always)]
fn compare(a: V, b: V, f: impl Fn(f32, f32) -> bool) -> [bool; N] {
    let mut out = [false; N];
    for (out, (a, b)) in out.iter_mut().zip(a.0.iter().zip(&b.0)) {
        *out = f(*a, *b);
    }
    out
}

/// Combines halves until one lane is left.
#[inline(always)]
fn fold(v: V, f: impl Fn(f32, f32) -> f32) -> f32 {
    let a: [f32; 4] = [f(v.0[0], v.0[4]), f(v.0[1], v.0[5]), f(v.0[2], v.0[6]), f(v.0[3], v.0[7])];
    f(f(a[0], a[2]), f(a[1], a[3]))
}

/// 2ᵃ for whole a in −126..=127; infinity for 128.
#[inline(always)]
fn power_of_two(a: f32) -> f32 {
    f32::from_bits(((a as i32 + 127) << 23) as u32)
}

impl Lanes for Portable {
    type V = V;
    type M = [bool; N];
    type Table = [f32; 16];
    type Tile = [[V; 4]; 2];
    type Group = [V; 4];
    type Square = [V; N];

    const N: usize = N;
    const ROWS: usize = 2;
    const GROUP: usize = 4;

    #[inline(always)]
    fn tile(self) -> Self::Tile {
        [[V([0.0; N]); 4]; 2]
    }

    #[inline(always)]
    fn group(self) -> Self::Group {
        [V([0.0; N]); 4]
    }

    #[inline(always)]
    fn square(self) -> Self::Square {
        [V([0.0; N]); N]
    }

    #[inline(always)]
    fn transpose(self, rows: Self::Square) -> Self::Square {
        let mut columns = rows;
        for (column, to) in columns.iter_mut().enumerate() {
            for (to, row) in to.0.iter_mut().zip(&rows) {
                *to = row.0[column];
            }
        }
        columns
    }

    #[inline(always)]
    fn splat(self, a: f32) -> V {
        V([a; N])
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        map(a, f32::sqrt)
    }

    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // Not f32::mul_add, which is a library call where the baseline lacks the instruction.
        zip(zip(a, b, |a, b| a * b), c, |ab, c| ab + c)
    }

    #[inline(always)]
    fn diff(self, _one: V, x: V, w: V) -> V {
        zip(x, w, |x, w| x - w)
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn abs(self, a: V) -> V {
        map(a, f32::abs)
    }

    #[inline(always)]
    fn max_abs(self, a: V, d: V) -> V {
        self.max(a, self.abs(d))
    }

    #[inline(always)]
    fn copysign(self, a: V, sign: V) -> V {
        zip(a, sign, f32::copysign)
    }

    #[inline(always)]
    fn flip(self, a: V, sign: V) -> V {
        zip(a, sign, |a, sign| f32::from_bits(a.to_bits() ^ sign.to_bits() & (1 << 31)))
    }

    #[inline(always)]
    fn round(self, a: V) -> V {
        // Adding and taking away 1.5·2²³ rounds |a| < 2²² to the nearest whole number, ties to even.
        const SHIFT: f32 = 12_582_912.0;
        map(a, |a| if a.abs() < 4_194_304.0 { (a + SHIFT) - SHIFT } else { a })
    }

    #[inline(always)]
    fn scale(self, a: V, n: V) -> V {
        zip(a, n, |a, n| if n >= -126.0 { a * power_of_two(n.min(128.0)) } else { 0.0 })
    }

    #[inline(always)]
    fn split(self, a: V) -> (V, V) {
        let mut out = (a, a);
        for lane in 0..N {
            let bits = a.0[lane].to_bits() as i32;
            let e = bits.wrapping_sub(0.75f32.to_bits() as i32) >> 23;
            out.0.0[lane] = f32::from_bits(bits.wrapping_sub(e << 23) as u32);
            out.1.0[lane] = e as f32;
        }
        out
    }

    #[inline(always)]
    fn mantissa(self, a: V) -> V {
        map(a, |a| f32::from_bits(a.to_bits() & 0x007f_ffff | 0x3f80_0000))
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 16]) -> [f32; 16] {
        *entries
    }

    #[inline(always)]
    fn lookup(self, table: [f32; 16], a: V) -> V {
        map(a, |a| table[(a.to_bits() >> 23 & 15) as usize])
    }

    #[inline(always)]
    fn ge(self, a: V, b: V) -> [bool; N] {
        compare(a, b, |a, b| a >= b)
    }

    #[inline(always)]
    fn eq(self, a: V, b: V) -> [bool; N] {
        compare(a, b, |a, b| a == b)
    }

    #[inline(always)]
    fn select(self, m: [bool; N], a: V, b: V) -> V {
        let mut out = b;
        for (out, (m, a)) in out.0.iter_mut().zip(m.iter().zip(&a.0)) {
            *out = if *m { *a } else { *out };
        }
        out
    }

    #[inline(always)]
    fn bits(self, m: [bool; N]) -> u32 {
        let mut bits = 0;
        for (lane, set) in m.iter().enumerate() {
            bits |= u32::from(*set) << lane;
        }
        bits
    }

    #[inline(always)]
    fn sum4(self, v: [V; 4]) -> [f32; 4] {
        v.map(|v| fold(v, |a, b| a + b))
    }

    #[inline(always)]
    fn max4(self, v: [V; 4]) -> [f32; 4] {
        v.map(|v| fold(v, |a, b| if a > b { a } else { b }))
    }

    #[inline(always)]
    fn lanes(self, a: V) -> [f32; 16] {
        let mut out = [0.0; 16];
        out[..N].copy_from_slice(&a.0);
        out
    }

    #[inline(always)]
    fn prefetch(self, _p: *const f32) {}

    #[inline(always)]
    unsafe fn push_set(self, m: [bool; N], first: u32, to: *mut u32) -> usize {
        let mut count = 0;
        for (lane, set) in m.iter().enumerate() {
            // Without a branch: which lanes are set cannot be predicted. count ≤ lane < N.
            // SAFETY: the caller's promise: N places may be written.
            unsafe { to.add(count).write(first + lane as u32) };
            count += usize::from(*set);
        }
        count
    }

    #[inline(always)]
    unsafe fn push(self, m: [bool; N], v: V, to: *mut f32) -> usize {
        let mut count = 0;
        for (set, value) in m.iter().zip(v.0) {
            // Without a branch, as above.
            // SAFETY: the caller's promise: N places may be written.
            unsafe { to.add(count).write(value) };
            count += usize::from(*set);
        }
        count
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: the caller's promise; an array of floats needs only the alignment of a float here.
        V(unsafe { p.cast::<[f32; N]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> V {
        let mut out = V([0.0; N]);
        // SAFETY: the caller's promise, n ≤ N.
        out.0[..n].copy_from_slice(unsafe { std::slice::from_raw_parts(p, n) });
        out
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, a: V) {
        // SAFETY: the caller's promise; an array of floats needs only the alignment of a float here.
        unsafe { p.cast::<[f32; N]>().write_unaligned(a.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, a: V) {
        // SAFETY: the caller's promise, n ≤ N.
        unsafe { std::slice::from_raw_parts_mut(p, n) }.copy_from_slice(&a.0[..n]);
    }
}
