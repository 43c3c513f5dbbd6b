//! The bytes of pgvector's types `vector`, `halfvec` and `sparsevec` behind the length word, in the machine's byte order.
//!
//! From its headers `vector.h`, `halfvec.h` and `sparsevec.h` (0.8.0): the first two are {i16 dimensions, i16 zero, values};
//! the third is {i32 dimensions, i32 count, i32 zero, i32 positions from 0, float32 values}.

use half::f16;

use crate::{DIMENSIONS_MAX, Element, Packed, VectorError, pack_f32, settle};

/// The most dimensions of `vector` and `halfvec`.
const DENSE_MAX: usize = 16_000;
/// The most values of a `sparsevec` that are not zero.
const SPARSE_MAX: usize = 16_000;

/// Packs a `vector` as float32.
pub fn from_vector(bytes: &[u8]) -> Result<Vec<u8>, VectorError> {
    let (words, _) = dense(bytes, 4)?.as_chunks::<4>();
    pack_f32(Element::Float32, &words.iter().map(|word| f32::from_ne_bytes(*word)).collect::<Vec<_>>())
}

/// Packs a `halfvec` as float16.
pub fn from_halfvec(bytes: &[u8]) -> Result<Vec<u8>, VectorError> {
    let (words, _) = dense(bytes, 2)?.as_chunks::<2>();
    pack_f32(Element::Float16, &words.iter().map(|word| f16::from_ne_bytes(*word).to_f32()).collect::<Vec<_>>())
}

/// Packs a `sparsevec` as float32.
pub fn from_sparsevec(bytes: &[u8]) -> Result<Vec<u8>, VectorError> {
    let (words, rest) = bytes.as_chunks::<4>();
    let &[dimensions, count, zero, ref words @ ..] = words else { return Err(damaged("too short")) };
    let dimensions = size(i32::from_ne_bytes(dimensions))?;
    let count = size(i32::from_ne_bytes(count))?;
    if !rest.is_empty() || zero != [0; 4] || words.len() % 2 != 0 || words.len() / 2 != count || count > dimensions {
        return Err(damaged("the length does not fit the header"));
    } else if dimensions > DIMENSIONS_MAX {
        return Err(VectorError::TooManyDimensions { dimensions });
    }
    let (positions, values) = words.split_at(count);
    let (mut spread, mut least) = (vec![0.0; dimensions], 0);
    for (position, value) in positions.iter().zip(values) {
        let position = size(i32::from_ne_bytes(*position))?;
        match spread.get_mut(position) {
            Some(place) if position >= least => *place = f32::from_ne_bytes(*value),
            _ => return Err(damaged("a position is out of order or beyond the dimensions")),
        }
        least = position + 1;
    }
    pack_f32(Element::Float32, &spread)
}

/// Returns the value of one dimension of a `vector`, counted from 0; `None` where there is none.
pub fn vector_value(bytes: &[u8], dimension: usize) -> Result<Option<f64>, VectorError> {
    let (words, _) = dense(bytes, 4)?.as_chunks::<4>();
    Ok(words.get(dimension).map(|word| f32::from_ne_bytes(*word).into()))
}

/// Returns the value of one dimension of a `halfvec`, counted from 0; `None` where there is none.
pub fn halfvec_value(bytes: &[u8], dimension: usize) -> Result<Option<f64>, VectorError> {
    let (words, _) = dense(bytes, 2)?.as_chunks::<2>();
    Ok(words.get(dimension).map(|word| f16::from_ne_bytes(*word).to_f64()))
}

/// Returns a `vector`; float64 is rounded.  Errors: more than 16,000 dimensions, a value beyond float32.
pub fn to_vector(packed: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    let mut bytes = dense_header(packed, "dimensions of vector", 4)?;
    for (dimension, value) in packed.to_f32().into_iter().enumerate() {
        bytes.extend_from_slice(&in_range(packed, dimension, value)?.to_ne_bytes());
    }
    Ok(bytes)
}

/// Returns a `halfvec`, rounded.  Errors: more than 16,000 dimensions, a value beyond float16.
pub fn to_halfvec(packed: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    let mut bytes = dense_header(packed, "dimensions of halfvec", 2)?;
    for (dimension, value) in packed.to_f64().into_iter().enumerate() {
        let half = f16::from_f64(settle(Element::Float16, dimension, value)?);
        bytes.extend_from_slice(&half.to_ne_bytes());
    }
    Ok(bytes)
}

/// Returns a `sparsevec`; float64 is rounded.  Errors: more than 16,000 values that are not zero, a value beyond float32.
pub fn to_sparsevec(packed: &Packed<'_>) -> Result<Vec<u8>, VectorError> {
    let mut entries = Vec::new();
    for (dimension, value) in packed.entries() {
        entries.push((dimension, in_range(packed, dimension, value as f32)?));
    }
    entries.retain(|(_, value)| *value != 0.0);
    check_limit("values of sparsevec that are not zero", entries.len(), SPARSE_MAX)?;
    // Neither is beyond 65,535.
    let mut bytes: Vec<u8> = [packed.dimensions(), entries.len(), 0].map(|word| (word as i32).to_ne_bytes()).concat();
    bytes.extend(entries.iter().flat_map(|(dimension, _)| (*dimension as i32).to_ne_bytes()));
    bytes.extend(entries.iter().flat_map(|(_, value)| value.to_ne_bytes()));
    Ok(bytes)
}

fn damaged(what: &'static str) -> VectorError {
    VectorError::Damaged { what }
}

fn size(number: i32) -> Result<usize, VectorError> {
    usize::try_from(number).map_err(|_| damaged("a number is negative"))
}

/// Returns the values' bytes of a `vector` or `halfvec`.
fn dense(bytes: &[u8], width: usize) -> Result<&[u8], VectorError> {
    let &[a, b, zero, zero_too, ref data @ ..] = bytes else { return Err(damaged("too short")) };
    let dimensions = size(i16::from_ne_bytes([a, b]).into())?;
    if (zero, zero_too) != (0, 0) || data.len() != dimensions * width {
        return Err(damaged("the length does not fit the header"));
    }
    Ok(data)
}

fn dense_header(packed: &Packed<'_>, what: &'static str, width: usize) -> Result<Vec<u8>, VectorError> {
    let dimensions = packed.dimensions();
    check_limit(what, dimensions, DENSE_MAX)?;
    let mut bytes = Vec::with_capacity(4 + dimensions * width);
    bytes.extend_from_slice(&(dimensions as i16).to_ne_bytes());
    bytes.extend_from_slice(&[0; 2]);
    Ok(bytes)
}

fn check_limit(what: &'static str, count: usize, limit: usize) -> Result<(), VectorError> {
    if count > limit { Err(VectorError::TooManyForPgvector { what, count, limit }) } else { Ok(()) }
}

/// Refuses what became infinite as float32.
fn in_range(packed: &Packed<'_>, dimension: usize, value: f32) -> Result<f32, VectorError> {
    if value.is_finite() {
        return Ok(value);
    }
    let value = packed.value(dimension).unwrap_or(f64::NAN);
    Err(VectorError::OutOfRange { value, dimension, element: Element::Float32 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack_f64;

    fn words(words: &[i32], values: &[f32]) -> Vec<u8> {
        let words = words.iter().flat_map(|word| word.to_ne_bytes());
        words.chain(values.iter().flat_map(|value| value.to_ne_bytes())).collect()
    }

    fn short(dimensions: i16, unused: i16, values: &[u8]) -> Vec<u8> {
        [&dimensions.to_ne_bytes()[..], &unused.to_ne_bytes(), values].concat()
    }

    #[test]
    fn each_type_round_trips() {
        for values in [&[0.0, 0.5, -3.0, 65504.0][..], &[0.0; 40], &[1.0; 16_000]] {
            let [single, half] = [Element::Float32, Element::Float16].map(|element| pack_f64(element, values).unwrap());
            let packed = Packed::read(&single).unwrap();
            assert_eq!(from_vector(&to_vector(&packed).unwrap()), Ok(single.clone()));
            assert_eq!(from_sparsevec(&to_sparsevec(&packed).unwrap()), Ok(single.clone()));
            assert_eq!(from_halfvec(&to_halfvec(&packed).unwrap()), Ok(half));
        }
    }

    #[test]
    fn the_bytes_are_those_of_pgvector() {
        let bytes = pack_f64(Element::Float32, &[0.0, 1.5, 0.0, -2.0]).unwrap();
        let packed = Packed::read(&bytes).unwrap();
        let floats = words(&[], &[0.0, 1.5, 0.0, -2.0]);
        assert_eq!(to_vector(&packed).unwrap(), short(4, 0, &floats));
        let halves: Vec<u8> = [0u16, 0x3E00, 0, 0xC000].into_iter().flat_map(u16::to_ne_bytes).collect();
        assert_eq!(to_halfvec(&packed).unwrap(), short(4, 0, &halves));
        assert_eq!(to_sparsevec(&packed).unwrap(), words(&[4, 2, 0, 1, 3], &[1.5, -2.0]));
    }

    #[test]
    fn the_limits_are_pgvectors() {
        let bytes = pack_f64(Element::Float32, &[1.0; 16_001]).unwrap();
        let packed = Packed::read(&bytes).unwrap();
        for result in [to_vector(&packed), to_halfvec(&packed), to_sparsevec(&packed)] {
            assert!(matches!(result, Err(VectorError::TooManyForPgvector { count: 16_001, limit: 16_000, .. })));
        }
        let bytes = pack_f64(Element::Float64, &[0.0, 65520.0, 1e39, 1e-60]).unwrap();
        let packed = Packed::read(&bytes).unwrap();
        for (result, at, beyond) in
            [(to_vector(&packed), 2, 1e39), (to_halfvec(&packed), 1, 65520.0), (to_sparsevec(&packed), 2, 1e39)]
        {
            let range = matches!(result, Err(VectorError::OutOfRange { value, dimension, .. }) if (value, dimension) == (beyond, at));
            assert!(range, "{result:?}");
        }
        let bytes = pack_f64(Element::Float64, &[1e-60, 2.0]).unwrap();
        assert_eq!(to_sparsevec(&Packed::read(&bytes).unwrap()).unwrap(), words(&[2, 1, 0, 1], &[2.0]));
    }

    #[test]
    fn malformed_bytes_are_damage() {
        let is_damaged = |result: Result<Vec<u8>, VectorError>| matches!(result, Err(VectorError::Damaged { .. }));
        for bytes in
            [vec![], vec![0; 3], short(1, 0, &[]), short(-1, 0, &[0; 4]), short(1, 1, &[0; 4]), short(1, 0, &[0; 5])]
        {
            assert!(is_damaged(from_vector(&bytes)) && is_damaged(from_halfvec(&bytes)), "{bytes:?}");
        }
        for header in [
            &[][..],
            &[4, 0],
            &[4, 1, 0, 0],
            &[4, 1, 1, 0, 0],
            &[4, -1, 0],
            &[-4, 0, 0],
            &[1, 2, 0, 0, 1, 0, 0],
            &[4, 2, 0, 1, 1, 0, 0],
            &[4, 2, 0, 2, 1, 0, 0],
            &[4, 1, 0, 4, 0],
            &[4, 1, 0, -1, 0],
        ] {
            assert!(is_damaged(from_sparsevec(&words(header, &[]))), "{header:?}");
        }
        assert_eq!(from_sparsevec(&words(&[0, 0, 0], &[])), Err(VectorError::NoDimensions));
        let many = VectorError::TooManyDimensions { dimensions: 1_000_000_000 };
        assert_eq!(from_sparsevec(&words(&[1_000_000_000, 0, 0], &[])), Err(many));
        assert_eq!(from_vector(&short(0, 0, &[])), Err(VectorError::NoDimensions));
        let not_finite = from_vector(&short(1, 0, &f32::NAN.to_ne_bytes()));
        assert!(matches!(not_finite, Err(VectorError::NotFinite { dimension: 0, .. })));
    }
}
