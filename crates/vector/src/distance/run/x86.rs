//! Sixteen float32 lanes on x86-64: in one register of AVX-512, in two of AVX2.
//!
//! `Zmm` and `Ymm` are named by nothing but `avx512` and `avx2`, which enable their instructions and are called only
//! after the CPU was asked; that is what every SAFETY below stands on.

use std::arch::x86_64::*;

use super::{Instructions, Job};
use crate::distance::number::Number;

/// Runs a job with AVX2.  The caller has found that the CPU has it.
#[target_feature(enable = "avx2,fma,f16c")]
pub fn avx2<J: Job>(job: J) -> J::Output {
    job.run::<Avx2>()
}

/// Runs a job with AVX-512.  The caller has found that the CPU has it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub fn avx512<J: Job>(job: J) -> J::Output {
    job.run::<Avx512>()
}

struct Avx2;
struct Avx512;

#[derive(Clone, Copy)]
struct Ymm([__m256; 2]);
#[derive(Clone, Copy)]
struct Zmm(__m512);

impl Ymm {
    #[inline(always)]
    fn read(numbers: &[f32; 16]) -> Self {
        let at = numbers.as_ptr();
        // SAFETY: reads eight numbers each from an array of sixteen, at any alignment; for AVX2 see above.
        Self(unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))] })
    }
}

impl Number for Ymm {
    // SAFETY: all bits zero is a value of each lane.
    const ZERO: Self = unsafe { std::mem::zeroed() };

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: AVX, see above.
        Self(unsafe { [_mm256_add_ps(a, c), _mm256_add_ps(b, d)] })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: AVX, see above.
        Self(unsafe { [_mm256_sub_ps(a, c), _mm256_sub_ps(b, d)] })
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        let [a, b] = self.0;
        // SAFETY: AVX, see above.  The mask is all bits but the sign.
        Self(unsafe {
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
            [_mm256_and_ps(a, mask), _mm256_and_ps(b, mask)]
        })
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        let ([a, b], [c, d], [e, f]) = (self.0, factor.0, sum.0);
        // SAFETY: FMA, see above.
        Self(unsafe { [_mm256_fmadd_ps(a, c, e), _mm256_fmadd_ps(b, d, f)] })
    }
}

impl Instructions for Avx2 {
    type Lanes = Ymm;

    #[inline(always)]
    fn float32s(bytes: &[u8; 64]) -> Ymm {
        let at = bytes.as_ptr().cast::<f32>();
        // SAFETY: reads 32 bytes each from an array of 64, at any alignment; for AVX see above.
        Ymm(unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))] })
    }

    #[inline(always)]
    fn float16s(bytes: &[u8; 32]) -> Ymm {
        let at = bytes.as_ptr().cast::<__m128i>();
        // SAFETY: reads 16 bytes each from an array of 32, at any alignment; for F16C see above.
        Ymm(unsafe { [_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at.add(1)))] })
    }

    #[inline(always)]
    fn lanes(numbers: [f32; 16]) -> Ymm {
        Ymm::read(&numbers)
    }

    #[inline(always)]
    fn add_up(lanes: Ymm) -> f32 {
        let [low, high] = lanes.0;
        // SAFETY: AVX, see above.
        add_up_eight(unsafe { _mm256_add_ps(low, high) })
    }
}

/// Adds the upper half of eight lanes to the lower, until one is left.
#[inline(always)]
fn add_up_eight(lanes: __m256) -> f32 {
    // SAFETY: AVX and SSE, which both types' functions enable, see above.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

impl Number for Zmm {
    // SAFETY: all bits zero is a value of each lane.
    const ZERO: Self = unsafe { std::mem::zeroed() };

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: AVX-512, see above.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: AVX-512, see above.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        // SAFETY: AVX-512, see above.
        Self(unsafe { _mm512_abs_ps(self.0) })
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        // SAFETY: AVX-512, see above.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }
}

impl Instructions for Avx512 {
    type Lanes = Zmm;

    #[inline(always)]
    fn float32s(bytes: &[u8; 64]) -> Zmm {
        // SAFETY: reads the 64 bytes of an array, at any alignment; for AVX-512 see above.
        Zmm(unsafe { _mm512_loadu_ps(bytes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn float16s(bytes: &[u8; 32]) -> Zmm {
        // SAFETY: reads the 32 bytes of an array, at any alignment; for AVX-512 see above.
        Zmm(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(bytes.as_ptr().cast())) })
    }

    #[inline(always)]
    fn lanes(numbers: [f32; 16]) -> Zmm {
        // SAFETY: reads the sixteen numbers of an array, at any alignment; for AVX-512 see above.
        Zmm(unsafe { _mm512_loadu_ps(numbers.as_ptr()) })
    }

    #[inline(always)]
    fn add_up(lanes: Zmm) -> f32 {
        // SAFETY: AVX-512, see above.
        add_up_eight(unsafe { _mm256_add_ps(_mm512_castps512_ps256(lanes.0), _mm512_extractf32x8_ps::<1>(lanes.0)) })
    }
}
