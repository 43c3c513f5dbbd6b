//! Packing: checks values, and stores them in the narrowest form that loses nothing.
//!
//! The form is a function of the declared type and the values alone, so equal vectors of one type have equal bytes.

use crate::packed::{DIMENSIONS_MAX, HEADER_BYTES, POSITION_BYTES, header};
use crate::{Element, VectorError};

/// Packs values, rounding each to the nearest of its type.  Errors: no or too many dimensions, NaN, infinity, out of range.
pub fn pack_f64(element: Element, values: &[f64]) -> Result<Vec<u8>, VectorError> {
    check_count(values.len())?;
    if element == Element::Float32 {
        let rounded: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        if is_plain(&rounded) {
            return Ok(pack_plain(&rounded));
        }
    }
    pack_any(element, values.iter().copied())
}

/// As [`pack_f64`]; float32 values, the usual case, take a short way.
pub fn pack_f32(element: Element, values: &[f32]) -> Result<Vec<u8>, VectorError> {
    check_count(values.len())?;
    if element == Element::Float32 && is_plain(values) {
        return Ok(pack_plain(values));
    }
    pack_any(element, values.iter().copied().map(f64::from))
}

pub(crate) fn check_count(dimensions: usize) -> Result<(), VectorError> {
    match dimensions {
        0 => Err(VectorError::NoDimensions),
        1..=DIMENSIONS_MAX => Ok(()),
        _ => Err(VectorError::TooManyDimensions { dimensions }),
    }
}

/// Returns the value of a dimension as its type holds it: the nearest, -0.0 as 0.0.  Errors: NaN, infinity, out of range.
pub fn settle(element: Element, dimension: usize, value: f64) -> Result<f64, VectorError> {
    if !value.is_finite() {
        return Err(VectorError::NotFinite { value, dimension });
    }
    let nearest = element.nearest(value);
    if nearest.is_finite() { Ok(nearest + 0.0) } else { Err(VectorError::OutOfRange { value, dimension, element }) }
}

/// Returns whether float32, dense, is the form of these values, all finite.  With random values the first two looks end at
/// the first value, and the others are loops without a branch, of which the compiler makes vector instructions.
fn is_plain(values: &[f32]) -> bool {
    let all_bfloat16 = || values.iter().all(|value| value.to_bits() & 0xFFFF == 0);
    let all_float16 = || values.iter().all(|&value| Element::Float16.holds(f64::from(value)));
    let all_finite = || values.iter().fold(true, |finite, value| finite & value.is_finite());
    let zeros = || values.iter().map(|&value| usize::from(value == 0.0)).sum();
    let is_narrower = all_bfloat16() || all_float16();
    let is_dense = || {
        let (dense, sparse) = data_bytes(Element::Float32, values.len(), zeros());
        dense <= sparse
    };
    !is_narrower && all_finite() && is_dense()
}

/// Packs what [`is_plain`].
fn pack_plain(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + values.len() * 4];
    let (head, data) = bytes.split_at_mut(HEADER_BYTES);
    // `check_count` has refused more dimensions than 16 bits say.
    head.copy_from_slice(&header(values.len() as u16, Element::Float32, Element::Float32, false));
    let (words, _) = data.as_chunks_mut::<4>();
    words.iter_mut().zip(values).for_each(|(word, value)| *word = (value + 0.0).to_le_bytes());
    bytes
}

fn pack_any(element: Element, values: impl ExactSizeIterator<Item = f64>) -> Result<Vec<u8>, VectorError> {
    let mut settled = Vec::with_capacity(values.len());
    for (dimension, value) in values.enumerate() {
        settled.push(settle(element, dimension, value)?);
    }
    Ok(narrowest(element, &settled))
}

/// Returns the bytes of the dense and of the sparse form, without the header.
fn data_bytes(stored: Element, dimensions: usize, zeros: usize) -> (usize, usize) {
    (dimensions * stored.width(), (dimensions - zeros) * (POSITION_BYTES + stored.width()))
}

/// Takes values that the type holds.
fn narrowest(element: Element, values: &[f64]) -> Vec<u8> {
    let holds_all = |stored: &&Element| **stored == element || values.iter().all(|&value| stored.holds(value));
    let stored = element.stored_as().iter().find(holds_all).copied().unwrap_or(element);
    let zeros = values.iter().filter(|&&value| value == 0.0).count();
    let (dense_bytes, sparse_bytes) = data_bytes(stored, values.len(), zeros);
    let is_sparse = sparse_bytes < dense_bytes;
    let kept = |value: &f64| !is_sparse || *value != 0.0;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + dense_bytes.min(sparse_bytes));
    // `check_count` has refused more dimensions than 16 bits say.
    bytes.extend_from_slice(&header(values.len() as u16, element, stored, is_sparse));
    if is_sparse {
        let positions = (0..=u16::MAX).zip(values).filter(|(_, value)| kept(value));
        bytes.extend(positions.flat_map(|(position, _)| position.to_le_bytes()));
    }
    let kept = values.iter().copied().filter(kept);
    match stored.width() {
        1 => push_values::<1>(&mut bytes, stored, kept),
        2 => push_values::<2>(&mut bytes, stored, kept),
        4 => push_values::<4>(&mut bytes, stored, kept),
        _ => push_values::<8>(&mut bytes, stored, kept),
    }
    bytes
}

/// The width is a constant, so that no value costs a call to copy it.
fn push_values<const WIDTH: usize>(bytes: &mut Vec<u8>, stored: Element, values: impl Iterator<Item = f64>) {
    for value in values {
        if let Some(value) = stored.to_bytes(value).0.first_chunk::<WIDTH>() {
            bytes.extend_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packed;

    fn stored(element: Element, values: &[f64]) -> (Element, bool, usize) {
        let bytes = pack_f64(element, values).unwrap();
        let packed = Packed::read(&bytes).unwrap();
        assert_eq!(packed.to_f64(), values);
        assert_eq!((packed.element(), packed.dimensions()), (element, values.len()));
        (packed.stored(), packed.is_sparse(), bytes.len())
    }

    #[test]
    fn the_narrowest_type_that_loses_nothing_is_stored() {
        use Element::*;
        assert_eq!(stored(Float32, &[1.0, 2.0, 255.0]), (Uint8, false, 7));
        assert_eq!(stored(Float32, &[1.0, -2.0]), (Int8, false, 6));
        assert_eq!(stored(Float32, &[0.5, 300.0]), (Float16, false, 8));
        assert_eq!(stored(Float32, &[0.5, 1e30f32.into()]).0, Float32);
        assert_eq!(stored(Float32, &[0.5, 2f64.powi(100)]), (Bfloat16, false, 8));
        assert_eq!(stored(Float64, &[0.1]), (Float64, false, 12));
        assert_eq!(stored(Float64, &[f64::from(0.1f32)]), (Float32, false, 8));
        assert_eq!(stored(Int8, &[1.0]), (Int8, false, 5));
    }

    #[test]
    fn mostly_zeros_are_stored_sparse() {
        let mut values = vec![0.0; 1000];
        assert_eq!(stored(Element::Float32, &values), (Element::Uint8, true, 4));
        values[999] = 0.5;
        values[3] = -1.0;
        assert_eq!(stored(Element::Float32, &values), (Element::Float16, true, 4 + 2 * 4));
    }

    #[test]
    fn the_most_dimensions_are_stored_dense_and_sparse() {
        assert_eq!(stored(Element::Float32, &vec![0.0; DIMENSIONS_MAX]), (Element::Uint8, true, 4));
        let mut values = vec![0.0; DIMENSIONS_MAX];
        values[DIMENSIONS_MAX - 1] = 0.1;
        assert_eq!(stored(Element::Float64, &values), (Element::Float64, true, 4 + 10));
        values.fill(0.1);
        assert_eq!(stored(Element::Float64, &values), (Element::Float64, false, 4 + DIMENSIONS_MAX * 8));
    }

    #[test]
    fn the_short_way_packs_the_same_bytes() {
        for values in [vec![0.1f32, -0.0, 0.3], vec![0.5, 0.25], vec![0.1, 0.0, 0.0, 0.0, 0.0], vec![1e-45, 3e38]] {
            let wide: Vec<f64> = values.iter().copied().map(f64::from).collect();
            assert_eq!(pack_f32(Element::Float32, &values), pack_f64(Element::Float32, &wide));
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_dimension() {
        let not_finite = pack_f32(Element::Float32, &[0.1, f32::NAN]).unwrap_err();
        assert!(matches!(not_finite, VectorError::NotFinite { dimension: 1, .. }));
        let too_large = pack_f64(Element::Float16, &[1.0, 70000.0]).unwrap_err();
        assert!(matches!(too_large, VectorError::OutOfRange { dimension: 1, .. }));
        assert_eq!(pack_f32(Element::Float32, &[]), Err(VectorError::NoDimensions));
        let many = VectorError::TooManyDimensions { dimensions: 65_536 };
        assert_eq!(pack_f32(Element::Float32, &vec![0.0; 65_536]), Err(many));
    }

    #[test]
    fn negative_zero_is_stored_as_zero() {
        assert_eq!(pack_f32(Element::Float32, &[-0.0, 0.1]), pack_f32(Element::Float32, &[0.0, 0.1]));
    }
}
