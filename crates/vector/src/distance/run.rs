//! Runs a job on a CPU path: the only place that calls what the CPU may not have.

use super::Path;
use super::widen::{Halves, Shifts};

/// Something to compute.  `run` is always inlined, and so compiled for each path.
pub trait Job {
    type Output;
    fn run<H: Halves>(self) -> Self::Output;
}

/// Runs a job on the path, or on the best one below that the CPU has.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn run<J: Job>(path: Path, job: J) -> J::Output {
    match path.or_below() {
        // SAFETY: `Path::or_below` returns this path only after it has found the features that `avx512` enables.
        Path::Avx512 => unsafe { x86::avx512(job) },
        // SAFETY: as above, those of `avx2`.
        Path::Avx2 => unsafe { x86::avx2(job) },
        Path::Scalar | Path::Neon => baseline(job),
    }
}

/// Runs a job.  What AArch64 has beyond the scalar path is part of the architecture, so the compiler uses it anyway.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn run<J: Job>(_: Path, job: J) -> J::Output {
    baseline(job)
}

#[inline(never)]
fn baseline<J: Job>(job: J) -> J::Output {
    job.run::<Shifts>()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_cvtph_ps, _mm256_loadu_si256, _mm256_storeu_ps, _mm512_cvtph_ps, _mm512_storeu_ps,
    };

    use super::{Halves, Job};

    #[target_feature(enable = "avx2,fma,f16c")]
    pub fn avx2<J: Job>(job: J) -> J::Output {
        job.run::<F16c>()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    pub fn avx512<J: Job>(job: J) -> J::Output {
        job.run::<F16c512>()
    }

    /// Two conversions of eight.  Used by `avx2` only.
    struct F16c;
    /// One conversion of sixteen.  Used by `avx512` only.
    struct F16c512;

    impl Halves for F16c {
        #[inline(always)]
        fn widen(bytes: &[u8; 32]) -> [f32; 16] {
            let mut widened = [0.0; 16];
            // SAFETY: `avx2`, the only function that names this type, enables f16c; 32 bytes are read and 64 written,
            // as long as the arrays, and these instructions need no alignment.
            unsafe {
                let from = bytes.as_ptr();
                let to: *mut f32 = widened.as_mut_ptr();
                _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128(from.cast())));
                _mm256_storeu_ps(to.add(8), _mm256_cvtph_ps(_mm_loadu_si128(from.add(16).cast())));
            }
            widened
        }
    }

    impl Halves for F16c512 {
        #[inline(always)]
        fn widen(bytes: &[u8; 32]) -> [f32; 16] {
            let mut widened = [0.0; 16];
            // SAFETY: `avx512`, the only function that names this type, enables avx512f; 32 bytes are read and 64
            // written, as long as the arrays, and these instructions need no alignment.
            unsafe {
                _mm512_storeu_ps(widened.as_mut_ptr(), _mm512_cvtph_ps(_mm256_loadu_si256(bytes.as_ptr().cast())));
            }
            widened
        }
    }
}
