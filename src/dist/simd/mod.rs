//! One vocabulary of vector operations over instruction sets, chosen at run time.
//!
//! A kernel is written once, generic over [`Lanes`]; [`Simd::run`] enters it compiled for AVX-512, for AVX2 with FMA,
//! or for any CPU. A value of a `Lanes` type is the proof that the CPU has the instructions, so that only memory access
//! is unsafe.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod subnormals;

use std::ops::IndexMut;

pub(super) use subnormals::FlushSubnormals;

/// An instruction set the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simd {
    /// Whatever the compiler's baseline offers.
    Portable,
    /// 8 lanes, with fused multiply-add.
    Avx2,
    /// 16 lanes (F, BW, DQ, VL).
    Avx512,
    /// The same for CPUs whose additions have units of their own (AMD's): there a product that two sums share is taken once, and
    /// added to both, where [`Simd::Avx512`] multiplies and adds in one operation for each. The bits differ.
    Avx512Adders,
}

/// Slowest first.
const ALL: [Simd; 4] = [Simd::Portable, Simd::Avx2, Simd::Avx512, Simd::Avx512Adders];

/// `LINF_SIMD` asks for something this machine cannot do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SimdError {
    /// Not a name of an instruction set.
    #[error("LINF_SIMD={0}: unknown instruction set; allowed are portable, avx2, avx512, avx512-adders")]
    Unknown(String),
    /// A name of one that the CPU lacks.
    #[error("LINF_SIMD={0}: this CPU does not have it; unset LINF_SIMD to use {1}")]
    Unsupported(&'static str, &'static str),
}

struct Width;

impl Kernel for Width {
    type Output = usize;
    #[inline(always)]
    fn run<S: Lanes>(self, _s: S) -> usize {
        S::N
    }
}

impl Simd {
    /// The best set the CPU has, or the one that the environment variable `LINF_SIMD` names.
    pub fn detect() -> Result<Simd, SimdError> {
        match std::env::var("LINF_SIMD") {
            Ok(name) => Simd::named(&name),
            Err(_) => Ok(Simd::best()),
        }
    }

    /// The best set the CPU has.
    pub fn best() -> Simd {
        match ALL.into_iter().rfind(|simd| simd.supported()) {
            #[cfg(target_arch = "x86_64")]
            Some(Simd::Avx512Adders) if !avx512::adders() => Simd::Avx512,
            best => best.unwrap_or(Simd::Portable),
        }
    }

    /// All sets the CPU has, the portable one first.
    pub fn available() -> impl Iterator<Item = Simd> {
        ALL.into_iter().filter(|simd| simd.supported())
    }

    /// The name used by `LINF_SIMD`.
    pub fn name(self) -> &'static str {
        match self {
            Simd::Portable => "portable",
            Simd::Avx2 => "avx2",
            Simd::Avx512 => "avx512",
            Simd::Avx512Adders => "avx512-adders",
        }
    }

    /// Floats in one vector register of the kernels that [`run`](Self::run).
    pub fn lanes(self) -> usize {
        self.run(Width)
    }

    fn named(name: &str) -> Result<Simd, SimdError> {
        let simd =
            ALL.into_iter().find(|simd| simd.name() == name).ok_or_else(|| SimdError::Unknown(name.to_owned()))?;
        if simd.supported() { Ok(simd) } else { Err(SimdError::Unsupported(simd.name(), Simd::best().name())) }
    }

    #[cfg(target_arch = "x86_64")]
    fn supported(self) -> bool {
        match self {
            Simd::Portable => true,
            Simd::Avx2 => avx2::Avx2::detect().is_some(),
            Simd::Avx512 | Simd::Avx512Adders => avx512::Avx512::<true>::detect().is_some(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn supported(self) -> bool {
        self == Simd::Portable
    }

    /// Runs `work`, which is compiled with these instructions as far as the compiler inlines it: for loops that it makes vectors of
    /// by itself. They change no bit, as a product and a sum are never fused unasked.
    pub fn vectorize<T>(self, work: impl FnOnce() -> T) -> T {
        self.run(Closure(work))
    }

    /// Runs `kernel` compiled for this set, or for the portable one if the CPU lacks it.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        match self {
            Simd::Portable => {}
            Simd::Avx2 => {
                if let Some(lanes) = avx2::Avx2::detect() {
                    return lanes.enter(kernel);
                }
            }
            Simd::Avx512Adders if K::SHARES => {
                if let Some(lanes) = avx512::Avx512::<true>::detect() {
                    return lanes.enter(kernel);
                }
            }
            Simd::Avx512 | Simd::Avx512Adders => {
                if let Some(lanes) = avx512::Avx512::<false>::detect() {
                    return lanes.enter(kernel);
                }
            }
        }
        kernel.run(portable::Portable)
    }
}

/// Asks for the cache line of `p`, which need not be valid; where there is no such instruction, does nothing.
#[inline(always)]
pub(super) fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, and every such CPU has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// A piece of work written once for all instruction sets. Implementations are `#[inline(always)]`, as is all they call
/// with vectors, so that it is compiled with the instructions of `S`.
pub(super) trait Kernel {
    type Output;
    /// Whether it takes products that sums share ([`Lanes::add_shared`]) so often that it is compiled once more for
    /// [`Simd::Avx512Adders`]; else both AVX-512 sets run the same code.
    const SHARES: bool = false;
    fn run<S: Lanes>(self, s: S) -> Self::Output;
}

struct Closure<F>(F);

impl<T, F: FnOnce() -> T> Kernel for Closure<F> {
    type Output = T;

    #[inline(always)]
    fn run<S: Lanes>(self, _: S) -> T {
        self.0()
    }
}

/// Vectors of `N` floats, and what kernels do with them.
pub(super) trait Lanes: Copy + Send + Sync + 'static {
    /// A vector of floats.
    type V: Copy;
    /// One bit for each lane.
    type M: Copy;
    /// Sixteen floats, looked up by exponent.
    type Table: Copy;
    /// The accumulators of a forward tile: `ROWS` samples by 4 outputs, as many as the register file takes.
    type Tile: Copy + IndexMut<usize, Output = [Self::V; 4]>;
    /// One vector for each of the `GROUP` outputs that a backward pass holds in registers.
    type Group: Copy + IndexMut<usize, Output = Self::V>;
    /// `N` vectors.
    type Square: Copy + IndexMut<usize, Output = Self::V>;

    const N: usize;
    const ROWS: usize;
    const GROUP: usize;

    fn tile(self) -> Self::Tile;
    fn group(self) -> Self::Group;
    fn square(self) -> Self::Square;
    /// Rows become columns.
    fn transpose(self, rows: Self::Square) -> Self::Square;

    fn splat(self, a: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// a·b + c, rounded once where the CPU can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a·b + c of a product that several sums share. Fused where that is an operation less; a multiplication for all of them
    /// and an addition each where CPUs have adders beside their multipliers.
    #[inline(always)]
    fn add_shared(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.add(self.mul(a, b), c)
    }
    /// x − w, given a vector of ones. With ones that the compiler cannot see through, CPUs with separate adders and
    /// multipliers compute it in the multiplier (as x − 1·w, the same bits) and leave the adder to the maximum.
    fn diff(self, one: Self::V, x: Self::V, w: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// max(a, |d|) for a ≥ 0.
    fn max_abs(self, a: Self::V, d: Self::V) -> Self::V;
    /// Magnitude of `a` with the sign of `sign`.
    fn copysign(self, a: Self::V, sign: Self::V) -> Self::V;
    /// −a where the sign of `sign` is set, else a.
    fn flip(self, a: Self::V, sign: Self::V) -> Self::V;
    fn round(self, a: Self::V) -> Self::V;
    /// a·2ⁿ for whole n and a in [½, 2]; 0 where that falls below the normal floats.
    fn scale(self, a: Self::V, n: Self::V) -> Self::V;
    /// (m, e) with a = m·2ᵉ and m in [¾, 1½), for positive normal a.
    fn split(self, a: Self::V) -> (Self::V, Self::V);
    /// The m of a = m·2ᵉ with m in [1, 2), for positive normal a.
    fn mantissa(self, a: Self::V) -> Self::V;
    fn table(self, entries: &[f32; 16]) -> Self::Table;
    /// Entry (biased exponent of a) mod 16, for a ≥ 0.
    fn lookup(self, table: Self::Table, a: Self::V) -> Self::V;

    fn ge(self, a: Self::V, b: Self::V) -> Self::M;
    fn eq(self, a: Self::V, b: Self::V) -> Self::M;
    /// `a` where `m` is set, else `b`.
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// Lane 0 in bit 0.
    fn bits(self, m: Self::M) -> u32;

    /// Sums of four vectors, in an order fixed for each instruction set.
    fn sum4(self, v: [Self::V; 4]) -> [f32; 4];
    fn max4(self, v: [Self::V; 4]) -> [f32; 4];
    fn lanes(self, a: Self::V) -> [f32; 16];
    /// Asks for the cache line of `p`, which need not be valid.
    fn prefetch(self, p: *const f32);

    /// Writes `first` + the number of each lane that is set, in order, and returns how many there are.
    ///
    /// # Safety
    /// `N` integers at `to` may be written; those behind the returned number mean nothing.
    unsafe fn push_set(self, m: Self::M, first: u32, to: *mut u32) -> usize;

    /// Writes the lanes of `v` that are set, bit for bit and in order, and returns how many there are.
    ///
    /// # Safety
    /// `N` floats at `to` may be written; those behind the returned number mean nothing.
    unsafe fn push(self, m: Self::M, v: Self::V, to: *mut f32) -> usize;

    /// # Safety
    /// `N` floats lie at `p`.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// `n ≤ N` floats lie at `p`; the other lanes are 0.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// `N` floats at `p` may be written.
    unsafe fn store(self, p: *mut f32, a: Self::V);
    /// # Safety
    /// `n ≤ N` floats at `p` may be written.
    unsafe fn store_first(self, p: *mut f32, n: usize, a: Self::V);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(Simd::named("portable"), Ok(Simd::Portable));
        let error = Simd::named("sse9").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("LINF_SIMD=sse9: unknown instruction set; allowed are"), "{text}");
        assert!(ALL.into_iter().all(|simd| text.contains(simd.name())), "{text}");
        for simd in [Simd::Avx2, Simd::Avx512, Simd::Avx512Adders] {
            match Simd::named(simd.name()) {
                Ok(found) => assert_eq!(found, simd),
                Err(error) => assert!(error.to_string().contains("does not have it")),
            }
        }
        assert!(Simd::available().any(|simd| simd == Simd::best()));
    }

    struct Operations;

    impl Kernel for Operations {
        type Output = ();

        const SHARES: bool = true;

        #[inline(always)]
        fn run<S: Lanes>(self, s: S) {
            let data: [f32; 16] = std::array::from_fn(|i| (i as f32 - 5.0) * 1.25);
            // SAFETY: 16 floats lie there, and N ≤ 16.
            let a = unsafe { s.load(data.as_ptr()) };
            let b = s.splat(2.0);
            let check = |name: &str, v: S::V, f: &dyn Fn(f32) -> f32| {
                for (lane, (&got, &x)) in s.lanes(v).iter().zip(&data).take(S::N).enumerate() {
                    assert_eq!(got, f(x), "{name}, lane {lane}");
                }
            };
            check("add", s.add(a, b), &|x| x + 2.0);
            check("sub", s.sub(a, b), &|x| x - 2.0);
            check("mul", s.mul(a, b), &|x| x * 2.0);
            check("div", s.div(a, b), &|x| x / 2.0);
            check("fma", s.fma(a, b, a), &|x| x * 2.0 + x);
            check("add_shared", s.add_shared(a, b, a), &|x| x * 2.0 + x);
            check("diff", s.diff(s.splat(1.0), a, b), &|x| x - 2.0);
            check("max", s.max(a, b), &|x| x.max(2.0));
            check("min", s.min(a, b), &|x| x.min(2.0));
            check("abs", s.abs(a), &f32::abs);
            check("sqrt", s.sqrt(s.abs(a)), &|x| x.abs().sqrt());
            check("max_abs", s.max_abs(b, a), &|x| x.abs().max(2.0));
            check("copysign", s.copysign(b, a), &|x| 2f32.copysign(x));
            check("flip", s.flip(s.splat(-2.0), a), &|x| if x < 0.0 { 2.0 } else { -2.0 });
            check("round", s.round(a), &f32::round_ties_even);
            check("scale", s.scale(b, s.round(a)), &|x| 2.0 * x.round_ties_even().exp2());
            check("scale to nothing", s.scale(b, s.splat(-300.0)), &|_| 0.0);
            check("select ge", s.select(s.ge(a, b), a, b), &|x| if x >= 2.0 { x } else { 2.0 });
            check("select eq", s.select(s.eq(a, s.splat(1.25)), b, a), &|x| if x == 1.25 { 2.0 } else { x });
            let positive = s.add(s.abs(a), s.splat(0.01));
            let (m, e) = s.split(positive);
            check("split", s.scale(m, e), &|x| x.abs() + 0.01);
            assert!(s.lanes(m).iter().take(S::N).all(|m| (0.75..1.5).contains(m)));
            check("mantissa", s.mantissa(positive), &|x| {
                let x = x.abs() + 0.01;
                x / x.log2().floor().exp2()
            });
            let table: [f32; 16] = std::array::from_fn(|i| i as f32);
            check("lookup", s.lookup(s.table(&table), positive), &|x| (((x.abs() + 0.01).to_bits() >> 23) & 15) as f32);
            let bits = s.bits(s.ge(a, b));
            for (lane, x) in data.iter().take(S::N).enumerate() {
                assert_eq!(bits >> lane & 1 == 1, *x >= 2.0);
            }
            for threshold in [-100.0, -4.0, 0.0, 2.5, 9.0, 100.0] {
                let mut set = [77; 16];
                // SAFETY: N ≤ 16 integers lie there.
                let count = unsafe { s.push_set(s.ge(a, s.splat(threshold)), 1000, set.as_mut_ptr()) };
                let expected: Vec<u32> = (0..S::N as u32).filter(|&i| data[i as usize] >= threshold).collect();
                assert_eq!(set[..count].iter().map(|lane| lane - 1000).collect::<Vec<_>>(), expected);
                let mut set = [77.0; 16];
                // SAFETY: N ≤ 16 floats lie there.
                let count = unsafe { s.push(s.ge(a, s.splat(threshold)), a, set.as_mut_ptr()) };
                let expected: Vec<f32> = expected.iter().map(|&i| data[i as usize]).collect();
                assert_eq!(set[..count], expected);
            }
            let mut rows = s.square();
            for row in 0..S::N {
                let entries: [f32; 16] = std::array::from_fn(|column| (100 * row + column) as f32);
                // SAFETY: N ≤ 16 floats lie there.
                rows[row] = unsafe { s.load(entries.as_ptr()) };
            }
            let columns = s.transpose(rows);
            for column in 0..S::N {
                let mut entries = [-1.0; 16];
                // SAFETY: as above.
                unsafe { s.store(entries.as_mut_ptr(), columns[column]) };
                assert!(entries[..S::N].iter().enumerate().all(|(row, &e)| e == (100 * row + column) as f32));
                assert!(entries[S::N..].iter().all(|&e| e == -1.0));
            }
            let n = S::N as f32;
            let sum: f32 = data.iter().take(S::N).sum();
            assert_eq!(s.sum4([a, b, s.splat(1.0), s.sub(a, a)]), [sum, 2.0 * n, n, 0.0]);
            assert_eq!(s.max4([a, b, s.splat(-1.0), s.sub(b, a)]), [data[S::N - 1], 2.0, -1.0, 2.0 - data[0]]);
            for n in 0..=S::N {
                // SAFETY: n ≤ N ≤ 16 floats lie in `data` and in `out`.
                let (first, mut out) = (unsafe { s.load_first(data.as_ptr(), n) }, [7.0; 16]);
                // SAFETY: as above.
                unsafe { s.store_first(out.as_mut_ptr(), n, b) };
                for i in 0..S::N {
                    assert_eq!(s.lanes(first)[i], if i < n { data[i] } else { 0.0 });
                    assert_eq!(out[i], if i < n { 2.0 } else { 7.0 });
                }
            }
        }
    }

    #[test]
    fn operations_agree_with_scalars() {
        for simd in Simd::available() {
            simd.run(Operations);
        }
    }
}
