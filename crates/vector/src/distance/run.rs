//! Runs a job on a CPU path: the only place that calls what the CPU may not have.

use super::Path;
use super::number::{Number, add_up};
use super::widen::float16;

/// Sixteen float32 lanes, in whatever registers a path has, and how they are filled and added up.
pub trait Instructions {
    type Lanes: Number;
    /// Reads sixteen float32, little-endian.
    fn float32s(bytes: &[u8; 64]) -> Self::Lanes;
    /// Reads sixteen float16, little-endian.
    fn float16s(bytes: &[u8; 32]) -> Self::Lanes;
    /// Takes sixteen numbers.
    fn lanes(numbers: [f32; 16]) -> Self::Lanes;
    /// Adds the upper half of the lanes to the lower, until one is left.
    fn add_up(lanes: Self::Lanes) -> f32;
}

/// What every CPU of the architecture has.
struct Baseline;

/// Sixteen lanes in an array.
#[derive(Clone, Copy)]
struct Array([f32; 16]);

impl Array {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }
}

impl Number for Array {
    const ZERO: Self = Self([0.0; 16]);

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].mul_add(factor.0[lane], sum.0[lane])))
    }
}

impl Instructions for Baseline {
    type Lanes = Array;

    #[inline(always)]
    fn float32s(bytes: &[u8; 64]) -> Array {
        let (words, _) = bytes.as_chunks::<4>();
        Array(std::array::from_fn(|lane| f32::from_le_bytes(words[lane])))
    }

    #[inline(always)]
    fn float16s(bytes: &[u8; 32]) -> Array {
        let (pairs, _) = bytes.as_chunks::<2>();
        Array(std::array::from_fn(|lane| float16(pairs[lane])))
    }

    #[inline(always)]
    fn lanes(numbers: [f32; 16]) -> Array {
        Array(numbers)
    }

    #[inline(always)]
    fn add_up(Array(lanes): Array) -> f32 {
        add_up(lanes)
    }
}

/// Something to compute.  `run` is always inlined, and so compiled for each path.
pub trait Job {
    type Output;
    fn run<I: Instructions>(self) -> Self::Output;
}

/// Runs a job on the path, or on the best one below that the CPU has.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
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
#[inline(always)]
pub fn run<J: Job>(_: Path, job: J) -> J::Output {
    baseline(job)
}

#[inline(never)]
fn baseline<J: Job>(job: J) -> J::Output {
    job.run::<Baseline>()
}

#[cfg(target_arch = "x86_64")]
mod x86;
