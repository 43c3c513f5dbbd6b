//! Packing: checks values, and stores them in the narrowest form that loses nothing.
//!
//! The form is a function of the declared type and the values alone, so equal vectors of one type have equal bytes.

use crate::packed::{DIMENSIONS_MAX, HEADER_BYTES, POSITION_BYTES, header};
use crate::{Element, VectorError};

/// Packs values, rounding each to the nearest of its type.  Errors: no or too many dimensions, NaN, infinity, out of range.
pub fn pack_f64(element: Element, values: &[f64]) -> Result<Vec<u8>, VectorError> {
    check_count(values.len())?;
    let mut rounded = Vec::with_capacity(values.len());
    for (dimension, &value) in values.iter().enumerate() {
        rounded.push(settle(element, dimension, value)?);
    }
    Ok(narrowest(element, &rounded))
}

/// As [`pack_f64`]; float32 values, the usual case, take a short way.
pub fn pack_f32(element: Element, values: &[f32]) -> Result<Vec<u8>, VectorError> {
    check_count(values.len())?;
    if element == Element::Float32 && has_no_narrower_form(values) {
        return pack_plain(values);
    }
    pack_f64(element, &values.iter().copied().map(f64::from).collect::<Vec<_>>())
}

pub(crate) fn check_count(dimensions: usize) -> Result<(), VectorError> {
    match dimensions {
        0 => Err(VectorError::NoDimensions),
        1..=DIMENSIONS_MAX => Ok(()),
        _ => Err(VectorError::TooManyDimensions { dimensions }),
    }
}

/// Returns the value as its type holds it, -0.0 as 0.0.
fn settle(element: Element, dimension: usize, value: f64) -> Result<f64, VectorError> {
    if !value.is_finite() {
        return Err(VectorError::NotFinite { value, dimension });
    }
    let nearest = element.nearest(value);
    if nearest.is_finite() { Ok(nearest + 0.0) } else { Err(VectorError::OutOfRange { value, dimension, element }) }
}

/// Returns whether float32 is the narrowest type, and too few values are zero for the sparse form.  With random values the
/// first two looks end at the first value.
fn has_no_narrower_form(values: &[f32]) -> bool {
    let all_bfloat16 = || values.iter().all(|value| value.to_bits() & 0xFFFF == 0);
    let all_float16 = || values.iter().all(|&value| Element::Float16.holds(f64::from(value)));
    let zeros = || values.iter().map(|&value| usize::from(value == 0.0)).sum();
    !all_bfloat16() && !all_float16() && !sparse_is_smaller(Element::Float32, values.len(), zeros())
}

/// Two loops without a branch inside: the compiler makes vector instructions of them.
fn pack_plain(values: &[f32]) -> Result<Vec<u8>, VectorError> {
    if !values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        return Err(first_not_finite(values));
    }
    let mut bytes = vec![0; HEADER_BYTES + values.len() * 4];
    let (head, data) = bytes.split_at_mut(HEADER_BYTES);
    // `check_count` has refused more dimensions than 16 bits say.
    head.copy_from_slice(&header(values.len() as u16, Element::Float32, Element::Float32, false));
    let (words, _) = data.as_chunks_mut::<4>();
    words.iter_mut().zip(values).for_each(|(word, value)| *word = (value + 0.0).to_le_bytes());
    Ok(bytes)
}

fn first_not_finite(values: &[f32]) -> VectorError {
    let dimension = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    VectorError::NotFinite { value: values.get(dimension).copied().map_or(f64::NAN, f64::from), dimension }
}

/// The bytes of both forms, without the header.
fn sparse_is_smaller(stored: Element, dimensions: usize, zeros: usize) -> bool {
    (dimensions - zeros) * (POSITION_BYTES + stored.width()) < dimensions * stored.width()
}

fn narrowest(element: Element, values: &[f64]) -> Vec<u8> {
    let holds_all = |stored: &&Element| values.iter().all(|&value| stored.holds(value));
    let stored = element.stored_as().iter().find(holds_all).copied().unwrap_or(element);
    let zeros = values.iter().filter(|&&value| value == 0.0).count();
    let sparse = sparse_is_smaller(stored, values.len(), zeros);
    let kept = |value: &f64| !sparse || *value != 0.0;
    // `check_count` has refused more dimensions than 16 bits say.
    let mut bytes = header(values.len() as u16, element, stored, sparse).to_vec();
    if sparse {
        let positions = (0u16..).zip(values).filter(|(_, value)| kept(value));
        bytes.extend(positions.flat_map(|(position, _)| position.to_le_bytes()));
    }
    for &value in values.iter().filter(|value| kept(value)) {
        let (value, width) = stored.to_bytes(value);
        bytes.extend_from_slice(&value[..width]);
    }
    bytes
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
