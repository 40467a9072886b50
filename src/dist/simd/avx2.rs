//! 8 lanes: AVX2 with FMA.

use super::{Kernel, Lanes};
use std::arch::x86_64::*;

/// Proof that the CPU has the instructions; made only by [`Avx2::detect`].
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Avx2> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Avx2(()))
    }

    pub(crate) fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn with_instructions<K: Kernel>(lanes: Avx2, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { with_instructions(self, kernel) }
    }
}

/// Methods that are one expression of intrinsics on registers.
macro_rules! registers {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty { $body:expr })*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $type),*) -> $result {
            // SAFETY: `self` proves that the CPU has the instructions; registers only, no memory.
            unsafe { $body }
        }
    )*};
}

impl Lanes for Avx2 {
    type V = __m256;
    type M = __m256;
    type Table = [__m256; 2];
    type Tile = [[__m256; 4]; 2];
    type Group = [__m256; 4];
    type Square = [__m256; 8];

    const N: usize = 8;
    const ROWS: usize = 2;
    const GROUP: usize = 4;

    registers! {
        fn tile() -> Self::Tile { [[_mm256_setzero_ps(); 4]; 2] }
        fn group() -> Self::Group { [_mm256_setzero_ps(); 4] }
        fn square() -> Self::Square { [_mm256_setzero_ps(); 8] }
        fn splat(a: f32) -> __m256 { _mm256_set1_ps(a) }
        fn add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        fn sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
        fn mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        fn div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
        fn sqrt(a: __m256) -> __m256 { _mm256_sqrt_ps(a) }
        fn fma(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        fn diff(one: __m256, x: __m256, w: __m256) -> __m256 { _mm256_fnmadd_ps(one, w, x) }
        fn max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        fn min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
        fn abs(a: __m256) -> __m256 { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
        // Floats without sign are ordered as their bits are, and integers have more units at work.
        fn max_abs(a: __m256, d: __m256) -> __m256 {
            _mm256_castsi256_ps(_mm256_max_epu32(
                _mm256_castps_si256(a), _mm256_castps_si256(_mm256_andnot_ps(_mm256_set1_ps(-0.0), d))))
        }
        fn copysign(a: __m256, sign: __m256) -> __m256 {
            _mm256_or_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a), _mm256_and_ps(_mm256_set1_ps(-0.0), sign))
        }
        fn flip(a: __m256, sign: __m256) -> __m256 { _mm256_xor_ps(a, _mm256_and_ps(_mm256_set1_ps(-0.0), sign)) }
        fn round(a: __m256) -> __m256 { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
        fn mantissa(a: __m256) -> __m256 {
            _mm256_or_ps(
                _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x007f_ffff))),
                _mm256_set1_ps(1.0))
        }
        fn ge(a: __m256, b: __m256) -> __m256 { _mm256_cmp_ps::<_CMP_GE_OQ>(a, b) }
        fn eq(a: __m256, b: __m256) -> __m256 { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
        fn select(m: __m256, a: __m256, b: __m256) -> __m256 { _mm256_blendv_ps(b, a, m) }
        fn bits(m: __m256) -> u32 { _mm256_movemask_ps(m) as u32 }
    }

    #[inline(always)]
    fn transpose(self, rows: Self::Square) -> Self::Square {
        // SAFETY: `self` proves that the CPU has the instructions; registers only.
        unsafe {
            let upper = columns_of_four([rows[0], rows[1], rows[2], rows[3]]);
            let lower = columns_of_four([rows[4], rows[5], rows[6], rows[7]]);
            let mut columns = rows;
            for k in 0..4 {
                columns[k] = _mm256_permute2f128_ps::<0x20>(upper[k], lower[k]);
                columns[4 + k] = _mm256_permute2f128_ps::<0x31>(upper[k], lower[k]);
            }
            columns
        }
    }

    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        // SAFETY: `self` proves that the CPU has the instructions; registers only.
        unsafe {
            let normal = _mm256_cmp_ps::<_CMP_GE_OQ>(n, _mm256_set1_ps(-126.0));
            // 2^128 is written as infinity is.
            let n = _mm256_min_ps(_mm256_max_ps(n, _mm256_set1_ps(-126.0)), _mm256_set1_ps(128.0));
            let exponent = _mm256_cvtps_epi32(n);
            let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)));
            _mm256_and_ps(normal, _mm256_mul_ps(a, _mm256_castsi256_ps(power)))
        }
    }

    #[inline(always)]
    fn split(self, a: __m256) -> (__m256, __m256) {
        // SAFETY: `self` proves that the CPU has the instructions; registers only.
        unsafe {
            let bits = _mm256_castps_si256(a);
            let e = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(0.75f32.to_bits() as i32)));
            let m = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(e));
            (_mm256_castsi256_ps(m), _mm256_cvtepi32_ps(e))
        }
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 16]) -> [__m256; 2] {
        // SAFETY: 8 floats are read from each half of an array of 16.
        unsafe { [_mm256_loadu_ps(entries.as_ptr()), _mm256_loadu_ps(entries.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn lookup(self, table: [__m256; 2], a: __m256) -> __m256 {
        // SAFETY: `self` proves that the CPU has the instructions; registers only.
        unsafe {
            let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(a));
            let low = _mm256_permutevar8x32_ps(table[0], exponent);
            let high = _mm256_permutevar8x32_ps(table[1], exponent);
            // Bit 3 of the exponent, moved to the sign, picks the half.
            _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(exponent)))
        }
    }

    #[inline(always)]
    fn sum4(self, v: [__m256; 4]) -> [f32; 4] {
        // SAFETY: `self` proves that the CPU has the instructions; the store fills an array of 4.
        unsafe {
            let a = _mm256_add_ps(_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
            let b = _mm256_add_ps(_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3]));
            let c = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
            let d = _mm_add_ps(_mm256_extractf128_ps::<1>(c), _mm256_castps256_ps128(c));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), d);
            out
        }
    }

    #[inline(always)]
    fn max4(self, v: [__m256; 4]) -> [f32; 4] {
        // SAFETY: as in `sum4`.
        unsafe {
            let a = _mm256_max_ps(_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
            let b = _mm256_max_ps(_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3]));
            let c = _mm256_max_ps(_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
            let d = _mm_max_ps(_mm256_extractf128_ps::<1>(c), _mm256_castps256_ps128(c));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), d);
            out
        }
    }

    #[inline(always)]
    fn lanes(self, a: __m256) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: 8 floats into an array of 16.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), a) };
        out
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        super::prefetch(p);
    }

    #[inline(always)]
    unsafe fn push_set(self, m: __m256, first: u32, to: *mut u32) -> usize {
        let bits = self.bits(m);
        // SAFETY: the caller's promise; 8 bytes are read from an array of 8.
        unsafe {
            let lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(SET_LANES[bits as usize].as_ptr().cast()));
            _mm256_storeu_si256(to.cast(), _mm256_add_epi32(lanes, _mm256_set1_epi32(first as i32)));
        }
        bits.count_ones() as usize
    }

    #[inline(always)]
    unsafe fn push(self, m: __m256, v: __m256, to: *mut f32) -> usize {
        let bits = self.bits(m);
        // SAFETY: the caller's promise; 8 bytes are read from an array of 8.
        unsafe {
            let lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(SET_LANES[bits as usize].as_ptr().cast()));
            _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(v, lanes));
        }
        bits.count_ones() as usize
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m256 {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe { _mm256_maskload_ps(p, first(n)) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, a: __m256) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(p, a) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, a: __m256) {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe { _mm256_maskstore_ps(p, first(n), a) }
    }
}

/// Of four rows, the columns k and 4 + k in the halves of the k-th vector.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
unsafe fn columns_of_four(rows: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the caller's promise; registers only.
    unsafe {
        let (a, b) = (_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpacklo_ps(rows[2], rows[3]));
        let (c, d) = (_mm256_unpackhi_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[2], rows[3]));
        [
            _mm256_shuffle_ps::<0x44>(a, b),
            _mm256_shuffle_ps::<0xee>(a, b),
            _mm256_shuffle_ps::<0x44>(c, d),
            _mm256_shuffle_ps::<0xee>(c, d),
        ]
    }
}

/// The numbers of the bits that are set in each byte, in order.
static SET_LANES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            if bits >> lane & 1 == 1 {
                table[bits][count] = lane;
                count += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    table
};

/// Sign bits set in the first `n ≤ 8` lanes.
#[inline(always)]
fn first(n: usize) -> __m256i {
    static STEPS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    debug_assert!(n <= 8);
    // SAFETY: 8 integers from index 8 − n ≥ 0 lie within the 16.
    unsafe { _mm256_loadu_si256(STEPS.as_ptr().add(8 - n).cast()) }
}
