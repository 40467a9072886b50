//! 16 lanes: AVX-512 F, BW, DQ and VL.

use super::{Kernel, Lanes};
use std::arch::x86_64::*;

/// Proof that the CPU has the instructions; made only by [`Avx512::detect`]. `ADDERS` says for which CPUs products that sums
/// share are compiled: those whose additions have units of their own, or those where multiplier and adder are one unit.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const ADDERS: bool>(());

/// Whether additions have units of their own, beside those of multiplications: so it is on AMD's CPUs, and not on Intel's.
pub(super) fn adders() -> bool {
    let vendor = __cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

impl<const ADDERS: bool> Avx512<ADDERS> {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Self(()))
    }

    pub(crate) fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
        fn with_instructions<const ADDERS: bool, K: Kernel>(lanes: Avx512<ADDERS>, kernel: K) -> K::Output {
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

impl<const ADDERS: bool> Lanes for Avx512<ADDERS> {
    type V = __m512;
    type M = __mmask16;
    type Table = __m512;
    type Tile = [[__m512; 4]; 6];
    type Group = [__m512; 8];
    type Square = [__m512; 16];

    const N: usize = 16;
    const ROWS: usize = 6;
    const GROUP: usize = 8;

    registers! {
        fn tile() -> Self::Tile { [[_mm512_setzero_ps(); 4]; 6] }
        fn group() -> Self::Group { [_mm512_setzero_ps(); 8] }
        fn square() -> Self::Square { [_mm512_setzero_ps(); 16] }
        fn splat(a: f32) -> __m512 { _mm512_set1_ps(a) }
        fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        fn sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
        fn mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        fn div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
        fn sqrt(a: __m512) -> __m512 { _mm512_sqrt_ps(a) }
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
        fn diff(one: __m512, x: __m512, w: __m512) -> __m512 { _mm512_fnmadd_ps(one, w, x) }
        fn max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        fn min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
        fn abs(a: __m512) -> __m512 { _mm512_abs_ps(a) }
        // Range with control 11: the larger magnitude, sign cleared.
        fn max_abs(a: __m512, d: __m512) -> __m512 { _mm512_range_ps::<0b1011>(a, d) }
        // Bitwise "sign mask ? sign : a".
        fn copysign(a: __m512, sign: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xca>(
                _mm512_set1_epi32(i32::MIN), _mm512_castps_si512(sign), _mm512_castps_si512(a)))
        }
        // Bitwise "a ^ (sign mask & sign)".
        fn flip(a: __m512, sign: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0x78>(
                _mm512_castps_si512(a), _mm512_set1_epi32(i32::MIN), _mm512_castps_si512(sign)))
        }
        fn round(a: __m512) -> __m512 { _mm512_roundscale_ps::<0>(a) }
        fn scale(a: __m512, n: __m512) -> __m512 { _mm512_scalef_ps(a, n) }
        fn mantissa(a: __m512) -> __m512 { _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(a) }
        fn lookup(table: __m512, a: __m512) -> __m512 {
            _mm512_permutexvar_ps(_mm512_srli_epi32::<23>(_mm512_castps_si512(a)), table)
        }
        fn ge(a: __m512, b: __m512) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b) }
        fn eq(a: __m512, b: __m512) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
        fn select(m: __mmask16, a: __m512, b: __m512) -> __m512 { _mm512_mask_blend_ps(m, b, a) }
    }

    #[inline(always)]
    fn add_shared(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        if ADDERS { self.add(self.mul(a, b), c) } else { self.fma(a, b, c) }
    }

    #[inline(always)]
    fn transpose(self, rows: Self::Square) -> Self::Square {
        // SAFETY: `self` proves that the CPU has the instructions; registers only.
        unsafe {
            let quads = [
                columns_of_four([rows[0], rows[1], rows[2], rows[3]]),
                columns_of_four([rows[4], rows[5], rows[6], rows[7]]),
                columns_of_four([rows[8], rows[9], rows[10], rows[11]]),
                columns_of_four([rows[12], rows[13], rows[14], rows[15]]),
            ];
            let mut columns = rows;
            for k in 0..4 {
                // Quarters 0 and 2, then 1 and 3, of two quads each.
                let even = _mm512_shuffle_f32x4::<0x88>(quads[0][k], quads[1][k]);
                let odd = _mm512_shuffle_f32x4::<0xdd>(quads[0][k], quads[1][k]);
                let more_even = _mm512_shuffle_f32x4::<0x88>(quads[2][k], quads[3][k]);
                let more_odd = _mm512_shuffle_f32x4::<0xdd>(quads[2][k], quads[3][k]);
                columns[k] = _mm512_shuffle_f32x4::<0x88>(even, more_even);
                columns[4 + k] = _mm512_shuffle_f32x4::<0x88>(odd, more_odd);
                columns[8 + k] = _mm512_shuffle_f32x4::<0xdd>(even, more_even);
                columns[12 + k] = _mm512_shuffle_f32x4::<0xdd>(odd, more_odd);
            }
            columns
        }
    }

    #[inline(always)]
    fn split(self, a: __m512) -> (__m512, __m512) {
        // SAFETY: `self` proves that the CPU has the instructions; registers only.
        unsafe {
            let bits = _mm512_castps_si512(a);
            let e = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(0.75f32.to_bits() as i32)));
            let m = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(e));
            (_mm512_castsi512_ps(m), _mm512_cvtepi32_ps(e))
        }
    }

    #[inline(always)]
    fn bits(self, m: __mmask16) -> u32 {
        u32::from(m)
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 16]) -> __m512 {
        // SAFETY: 16 floats are read from an array of 16.
        unsafe { _mm512_loadu_ps(entries.as_ptr()) }
    }

    #[inline(always)]
    fn sum4(self, v: [__m512; 4]) -> [f32; 4] {
        // SAFETY: `self` proves that the CPU has the instructions; the store fills an array of 4.
        unsafe {
            // Halve four vectors at a time: interleave, so that each addition does useful work in every lane.
            let a = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
            let b = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
            let c = _mm512_add_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xee>(a, b));
            let d = _mm256_add_ps(_mm512_extractf32x8_ps::<1>(c), _mm512_castps512_ps256(c));
            let e = _mm_add_ps(_mm256_extractf128_ps::<1>(d), _mm256_castps256_ps128(d));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), e);
            out
        }
    }

    #[inline(always)]
    fn max4(self, v: [__m512; 4]) -> [f32; 4] {
        // SAFETY: as in `sum4`.
        unsafe {
            let a = _mm512_max_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
            let b = _mm512_max_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
            let c = _mm512_max_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xee>(a, b));
            let d = _mm256_max_ps(_mm512_extractf32x8_ps::<1>(c), _mm512_castps512_ps256(c));
            let e = _mm_max_ps(_mm256_extractf128_ps::<1>(d), _mm256_castps256_ps128(d));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), e);
            out
        }
    }

    #[inline(always)]
    fn lanes(self, a: __m512) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: 16 floats into an array of 16.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), a) };
        out
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        super::prefetch(p);
    }

    #[inline(always)]
    unsafe fn push_set(self, m: __mmask16, first: u32, to: *mut u32) -> usize {
        // SAFETY: the caller's promise. Compressed in a register: compressing stores are slow on some CPUs.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
            _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(m, numbers));
        }
        m.count_ones() as usize
    }

    #[inline(always)]
    unsafe fn push(self, m: __mmask16, v: __m512, to: *mut f32) -> usize {
        // SAFETY: the caller's promise. In a register, as above.
        unsafe { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(m, v)) };
        m.count_ones() as usize
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe { _mm512_maskz_loadu_ps(first(n), p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, a: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(p, a) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, a: __m512) {
        // SAFETY: the caller's promise; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(p, first(n), a) }
    }
}

/// Of four rows, the columns 4L + k in quarter L of the k-th vector.
///
/// # Safety
/// The CPU has AVX-512 F.
#[inline(always)]
unsafe fn columns_of_four(rows: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: the caller's promise; registers only.
    unsafe {
        let a = _mm512_castps_pd(_mm512_unpacklo_ps(rows[0], rows[1]));
        let b = _mm512_castps_pd(_mm512_unpacklo_ps(rows[2], rows[3]));
        let c = _mm512_castps_pd(_mm512_unpackhi_ps(rows[0], rows[1]));
        let d = _mm512_castps_pd(_mm512_unpackhi_ps(rows[2], rows[3]));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)),
        ]
    }
}

#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}
