//! Distances between two vectors, and norms of one, equal to the last bit on every CPU.
//!
//! The declared types decide the arithmetic, the stored ones only how values are read:
//!
//! - Both are int8 or uint8: whole numbers, exactly.
//! - One is float64: float64, in 8 lanes.
//! - Else: float32, in 16 lanes.
//!
//! The value of dimension `i` is added to lane `i` modulo the number of lanes, dimensions ascending: by a fused
//! multiply-add (L2 adds the square of `a - b`, the inner product `a * b`, cosine the three of `a * b`, `a * a` and
//! `b * b`), or, for L1, by adding the magnitude of `a - b`.  Then the upper half of the lanes is added to the lower until
//! one is left.  From there on (roots, quotients) all is float64.
//!
//! A float32 sum that is not finite or below 2^-96 may have overflowed or lost bits.  Then float64, whose exponents are
//! wide enough for any product of two float32, computes that distance again.  Float64 sums of declared float64 may be
//! infinite, and two opposite infinities make NaN; but the similarity of such vectors is found after scaling them.

mod number;
mod path;
mod products;
mod run;
mod sums;
mod widen;

pub use path::Path;
pub use products::products;

use crate::{Element, Packed, VectorError, pack_f64};
use number::{Angles, Differences, Magnitudes, Metric, Products, Real, Squares};
use run::run;
use sums::{Direct, Direct64, LANES_32, LANES_64, Lanes, Merge, Wholes, blockwise};
use widen::{Bfloat16s, Float16s, Float32s, Int8s, Uint8s};

/// Below this, a float32 sum may have lost bits of its terms: squares of what is below 2^-48.
const TRUSTED_MIN: f32 = 1.0 / (1u128 << 96) as f32;

/// Returns the Euclidean distance.  Errors: different numbers of dimensions, as for all distances.
pub fn l2(path: Path, a: &Packed, b: &Packed) -> Result<f64, VectorError> {
    Ok(sums::<Squares>(path, a, b)?[0].sqrt())
}

/// Returns the sum of the products.
pub fn inner_product(path: Path, a: &Packed, b: &Packed) -> Result<f64, VectorError> {
    Ok(sums::<Products>(path, a, b)?[0])
}

/// Returns the sum of the magnitudes of the differences.
pub fn l1(path: Path, a: &Packed, b: &Packed) -> Result<f64, VectorError> {
    Ok(sums::<Differences>(path, a, b)?[0])
}

/// Returns the cosine of the angle, -1 to 1; NaN where a vector is all zeros.
pub fn cosine_similarity(path: Path, a: &Packed, b: &Packed) -> Result<f64, VectorError> {
    let [both, left, right] = match sums::<Angles>(path, a, b)? {
        [_, left, right] if is_extreme(left) || is_extreme(right) => scaled_angles(path, a, b)?,
        sums => sums,
    };
    // A root of 0 makes 0 / 0.
    Ok((both / (left * right).sqrt()).clamp(-1.0, 1.0))
}

/// Returns 1 - [`cosine_similarity`]: 0 to 2.
pub fn cosine_distance(path: Path, a: &Packed, b: &Packed) -> Result<f64, VectorError> {
    Ok(1.0 - cosine_similarity(path, a, b)?)
}

/// Returns the Euclidean norm.
pub fn l2_norm(path: Path, a: &Packed) -> f64 {
    same_sums::<Products>(path, a, a)[0].sqrt()
}

/// Returns the sum of the magnitudes.
pub fn l1_norm(path: Path, a: &Packed) -> f64 {
    same_sums::<Magnitudes>(path, a, a)[0]
}

fn sums<M: Metric>(path: Path, a: &Packed, b: &Packed) -> Result<[f64; 3], VectorError> {
    VectorError::unless_equal(a.dimensions(), b.dimensions())?;
    Ok(same_sums::<M>(path, a, b))
}

/// The sums over two vectors with as many dimensions.
fn same_sums<M: Metric>(path: Path, a: &Packed, b: &Packed) -> [f64; 3] {
    let is_whole = |packed: &Packed| packed.element().is_integer() && packed.stored().is_integer();
    let sums = if is_whole(a) && is_whole(b) {
        whole_sums::<M>(path, a, b)
    } else if a.element() == Element::Float64 || b.element() == Element::Float64 {
        float64_sums::<M>(path, a, b)
    } else {
        float32_sums::<M>(path, a, b)
    };
    sums.map(settled)
}

fn whole_sums<M: Metric>(path: Path, a: &Packed, b: &Packed) -> [f64; 3] {
    if a.is_sparse() || b.is_sparse() {
        // Float64 holds every such sum, 65,535 * 383 * 383 at most.
        return float64_sums::<M>(path, a, b);
    }
    run(path, Wholes::<M>::new(a, b)).map(|sum| sum as f64)
}

/// Returns two vectors by the numbers of their stored types.  Which comes first decides only which sum of squares is
/// whose, and cosine multiplies both.
#[inline]
fn lower_first<'p, 'a>(a: &'p Packed<'a>, b: &'p Packed<'a>) -> (&'p Packed<'a>, &'p Packed<'a>) {
    if a.stored() <= b.stored() { (a, b) } else { (b, a) }
}

#[inline]
fn float32_sums<M: Metric>(path: Path, a: &Packed, b: &Packed) -> [f64; 3] {
    let sums = trial_sums::<M>(path, a, b);
    let is_trusted = |sum: &f32| sum.is_finite() && sum.abs() >= TRUSTED_MIN;
    if sums.iter().take(M::SUMS).all(is_trusted) { sums.map(f64::from) } else { float64_sums::<M>(path, a, b) }
}

/// Returns float32 sums, which may have overflowed.  Pairs of stored types that are usual are read where they lie.
#[inline]
fn trial_sums<M: Metric>(path: Path, a: &Packed, b: &Packed) -> [f32; 3] {
    use Element::*;
    if a.is_sparse() || b.is_sparse() {
        return any_lanes::<M, f32, LANES_32>(path, a, b).sums::<M>();
    }
    let (a, b) = lower_first(a, b);
    let (left, right) = (a.values(), b.values());
    match (a.stored(), b.stored()) {
        (Float32, Float32) => run(path, Direct::<M, Float32s, Float32s, _, _>::new(left, right)),
        (Float32, Float16) => run(path, Direct::<M, Float32s, Float16s, _, _>::new(left, right)),
        (Float32, Bfloat16) => run(path, Direct::<M, Float32s, Bfloat16s, _, _>::new(left, right)),
        (Float32, Int8) => run(path, Direct::<M, Float32s, Int8s, _, _>::new(left, right)),
        (Float32, Uint8) => run(path, Direct::<M, Float32s, Uint8s, _, _>::new(left, right)),
        (Float16, Float16) => run(path, Direct::<M, Float16s, Float16s, _, _>::new(left, right)),
        (Bfloat16, Bfloat16) => run(path, Direct::<M, Bfloat16s, Bfloat16s, _, _>::new(left, right)),
        (Int8, Int8) => run(path, Direct::<M, Int8s, Int8s, _, _>::new(left, right)),
        (Uint8, Uint8) => run(path, Direct::<M, Uint8s, Uint8s, _, _>::new(left, right)),
        _ => any_lanes::<M, f32, LANES_32>(path, a, b).sums::<M>(),
    }
}

fn float64_sums<M: Metric>(path: Path, a: &Packed, b: &Packed) -> [f64; 3] {
    let is_plain = |packed: &Packed| packed.stored() == Element::Float64 && !packed.is_sparse();
    let lanes = if is_plain(a) && is_plain(b) {
        run(path, Direct64::<M>::new(a.values(), b.values()))
    } else {
        any_lanes::<M, f64, LANES_64>(path, a, b)
    };
    lanes.sums::<M>()
}

/// The lanes of two vectors of any form.
#[inline(never)]
fn any_lanes<M: Metric, T: Real, const L: usize>(path: Path, a: &Packed, b: &Packed) -> Lanes<T, L> {
    if a.is_sparse() && b.is_sparse() {
        run(path, Merge::<M, T, L>::new(a, b))
    } else {
        blockwise::<M, T, L>(path, a, b)
    }
}

/// Returns -0.0 as 0.0, and the one NaN: the sign of either may differ between forms and CPUs.
fn settled(sum: f64) -> f64 {
    if sum.is_nan() { f64::NAN } else { sum + 0.0 }
}

/// Returns whether a sum of squares may have overflowed or lost bits, or would in a product of two.  Squares of float32
/// do not; those of float64 may.
fn is_extreme(sum: f64) -> bool {
    const MOST: f64 = f64::from_bits((1023 + 400) << 52);
    !(1.0 / MOST..=MOST).contains(&sum)
}

/// The sums of two vectors whose largest values are made 1.
fn scaled_angles(path: Path, a: &Packed, b: &Packed) -> Result<[f64; 3], VectorError> {
    let (a, b) = (scaled(a)?, scaled(b)?);
    sums::<Angles>(path, &Packed::read(&a)?, &Packed::read(&b)?)
}

fn scaled(packed: &Packed) -> Result<Vec<u8>, VectorError> {
    let least = f64::from_bits(1);
    let largest = packed.entries().map(|(_, value)| value.abs()).fold(least, f64::max);
    let values: Vec<f64> = packed.to_f64().into_iter().map(|value| value / largest).collect();
    pack_f64(Element::Float64, &values)
}
