//! Arithmetic on packed vectors.  Each result is the exact one rounded once, to the nearest even, in the joined type of the
//! operands ([`Element::joined`]); what that type does not hold is an error.

use crate::{Element, Packed, VectorError, pack_f32, pack_f64};

/// Returns a + b.  Errors: different dimensions, overflow.
pub fn add(a: &Packed<'_>, b: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    combine(a, b, |a, b| a + b, |a, b| a + b, |_, _, _| false)
}

/// Returns a - b.  Errors: different dimensions, overflow.
pub fn subtract(a: &Packed<'_>, b: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    combine(a, b, |a, b| a - b, |a, b| a - b, |_, _, _| false)
}

/// Returns the products of the elements.  Errors: different dimensions, overflow, underflow to zero.
pub fn multiply(a: &Packed<'_>, b: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    combine(a, b, |a, b| a * b, |a, b| a * b, |a, b, product| product == 0.0 && a != 0.0 && b != 0.0)
}

/// Returns the dimensions of a, then those of b.  Error: too many dimensions.
pub fn concatenate(a: &Packed<'_>, b: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    crate::pack::check_count(a.dimensions() + b.dimensions())?;
    let element = a.element().joined(b.element());
    match element {
        Element::Float64 => pack_f64(element, &[a.to_f64(), b.to_f64()].concat()),
        _ => pack_f32(element, &[a.to_f32(), b.to_f32()].concat()),
    }
}

/// Returns `count` dimensions from position `start`, which counts from 1.  As with `substr`, the part may begin before the
/// vector and end behind it; what it has of the vector is returned.  Error: nothing.
pub fn subvector(packed: &Packed<'_>, start: i64, count: i64) -> Result<Vec<u8>, VectorError> {
    let clamped = |position: i64| usize::try_from(position.max(0)).unwrap_or(usize::MAX).min(packed.dimensions());
    let before = start.saturating_sub(1);
    let (from, to) = (clamped(before), clamped(before.saturating_add(count.max(0))));
    if from >= to {
        return Err(VectorError::NoSuchPart { start, count });
    }
    match packed.element() {
        Element::Float64 => pack_f64(Element::Float64, &packed.to_f64()[from..to]),
        element => pack_f32(element, &packed.to_f32()[from..to]),
    }
}

/// Returns the vector of length 1 in the same direction, that of integers as float32; zeros stay zeros.
///
/// The length is computed in float64 from the exact values, each quotient in float64, and rounded once.
pub fn l2_normalize(packed: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    let element = if packed.element().is_integer() { Element::Float32 } else { packed.element() };
    let mut values = packed.to_f64();
    // Only squares of float64 leave the range; a power of two changes no digit.
    let scale = power_of_two_near(values.iter().fold(0.0, |most: f64, value| most.max(value.abs())));
    if !(1e-100..1e100).contains(&scale) {
        values.iter_mut().for_each(|value| *value /= scale);
    }
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm > 0.0 {
        values.iter_mut().for_each(|value| *value /= norm);
    }
    pack_f64(element, &values)
}

/// Returns the vector in another element type, each value rounded to the nearest.  Error: out of range.
pub fn convert(packed: &Packed<'_>, element: Element) -> Result<Vec<u8>, VectorError> {
    match packed.element() {
        same if same == element => Ok(packed.bytes().to_vec()),
        Element::Float64 => pack_f64(element, &packed.to_f64()),
        _ => pack_f32(element, &packed.to_f32()),
    }
}

/// Returns the vector with one value exchanged; dimensions count from 0.  Errors: no such dimension, not finite, out of range.
pub fn with_dimension(packed: &Packed<'_>, dimension: i64, value: f64) -> Result<Vec<u8>, VectorError> {
    let mut values = packed.to_f64();
    let place = usize::try_from(dimension).ok().and_then(|place| values.get_mut(place));
    let no_such = VectorError::NoSuchDimension { dimension, dimensions: packed.dimensions() };
    *place.ok_or(no_such)? = value;
    pack_f64(packed.element(), &values)
}

/// Returns one bit per dimension, set where the value is above zero, the first in a byte's highest bit; and how many.
pub fn binary_quantize(packed: &Packed<'_>) -> (Vec<u8>, usize) {
    let mut bits = vec![0u8; packed.dimensions().div_ceil(8)];
    for (dimension, _) in packed.entries().filter(|(_, value)| *value > 0.0) {
        if let Some(byte) = bits.get_mut(dimension / 8) {
            *byte |= 0x80 >> (dimension % 8);
        }
    }
    (bits, packed.dimensions())
}

/// Combines element by element: float32 in float32, the others in float64.
///
/// There sums and products of integers and halves are exact, or so much longer than the type that rounding twice is
/// rounding once (Figueroa, "When is double rounding innocuous?", 1995: 53 bits >= 2 * 11 + 2).
fn combine(
    a: &Packed<'_>,
    b: &Packed<'_>,
    narrow: impl Fn(f32, f32) -> f32,
    wide: impl Fn(f64, f64) -> f64,
    is_lost: impl Fn(f64, f64, f64) -> bool,
) -> Result<Vec<u8>, VectorError> {
    VectorError::unless_equal(a.dimensions(), b.dimensions())?;
    let element = a.element().joined(b.element());
    if element == Element::Float32 {
        let (a, b) = (a.to_f32(), b.to_f32());
        let results: Vec<f32> = a.iter().zip(&b).map(|(a, b)| narrow(*a, *b)).collect();
        let exact =
            results.iter().zip(a.iter().zip(&b)).map(|(r, (a, b))| (f64::from(*r), f64::from(*a), f64::from(*b)));
        check_results(element, exact, is_lost)?;
        return pack_f32(element, &results);
    }
    let (a, b) = (a.to_f64(), b.to_f64());
    let results: Vec<f64> = a.iter().zip(&b).map(|(a, b)| element.nearest(wide(*a, *b))).collect();
    check_results(element, results.iter().zip(a.iter().zip(&b)).map(|(r, (a, b))| (*r, *a, *b)), is_lost)?;
    pack_f64(element, &results)
}

/// Takes results with their operands.
fn check_results(
    element: Element,
    results: impl Iterator<Item = (f64, f64, f64)>,
    is_lost: impl Fn(f64, f64, f64) -> bool,
) -> Result<(), VectorError> {
    for (dimension, (result, a, b)) in results.enumerate() {
        if !result.is_finite() {
            return Err(VectorError::Overflow { dimension, element });
        } else if is_lost(a, b, result) {
            return Err(VectorError::Underflow { dimension, element });
        }
    }
    Ok(())
}

/// Returns a value's power of two: 1 for zero.
fn power_of_two_near(value: f64) -> f64 {
    const EXPONENT: u64 = 0x7FF0_0000_0000_0000;
    match f64::from_bits(value.to_bits() & EXPONENT) {
        0.0 if value > 0.0 => f64::MIN_POSITIVE,
        0.0 => 1.0,
        power => power,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(values: &[f64]) -> Vec<u8> {
        pack_f64(Element::Float32, values).unwrap()
    }

    #[test]
    fn a_part_is_cut_to_the_vector() {
        let bytes = pack(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        let part = |start, count| subvector(&Packed::read(&bytes).unwrap(), start, count);
        for (start, count, values) in [
            (1, 3, &[1.0, 2.0, 3.0][..]),
            (3, 2, &[3.0, 4.0]),
            (0, 3, &[1.0, 2.0]),
            (-1, 3, &[1.0]),
            (3, 9, &[3.0, 4.0, 5.0]),
            (3, i64::MAX, &[3.0, 4.0, 5.0]),
            (-2_147_483_644, 2_147_483_647, &[1.0, 2.0]),
            (5, 1, &[5.0]),
        ] {
            assert_eq!(part(start, count), Ok(pack(values)), "{start} {count}");
        }
        for (start, count) in [(1, 0), (3, -1), (-1, 2), (6, 1), (i64::MAX, 10), (i64::MIN, i64::MAX), (1, i64::MIN)] {
            assert_eq!(part(start, count), Err(VectorError::NoSuchPart { start, count }));
        }
    }

    #[test]
    fn bits_say_what_is_above_zero() {
        let bytes = pack(&[0.0, 0.1, -0.2, -0.3, 0.4, 0.5, 0.6, -0.7, 0.8, -0.9, 1.0]);
        assert_eq!(binary_quantize(&Packed::read(&bytes).unwrap()), (vec![0b0100_1110, 0b1010_0000], 11));
    }

    #[test]
    fn lengths_beyond_float64_are_normalized() {
        let normalized = |values: &[f64]| {
            let bytes = pack_f64(Element::Float64, values).unwrap();
            Packed::read(&l2_normalize(&Packed::read(&bytes).unwrap()).unwrap()).unwrap().to_f64()
        };
        assert_eq!(normalized(&[3e300, -4e300]), [0.6, -0.8]);
        assert_eq!(normalized(&[f64::from_bits(3), f64::from_bits(4)]), [0.6, 0.8]);
        assert_eq!(normalized(&[0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(normalized(&[f64::MAX]), [1.0]);
    }
}
