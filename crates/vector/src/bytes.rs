//! Elements one after another, dense, little-endian, in the declared type: what `bytea` holds, and numpy's `tobytes`.

use crate::{Element, Packed, VectorError, pack_f32, pack_f64};

/// Returns all values, zeros included.
pub fn serialize(packed: &Packed<'_>) -> Vec<u8> {
    let element = packed.element();
    if element == packed.stored() && !packed.is_sparse() {
        return packed.values().to_vec();
    } else if element == Element::Float32 {
        return packed.to_f32().into_iter().flat_map(f32::to_le_bytes).collect();
    }
    let mut bytes = Vec::with_capacity(packed.dimensions() * element.width());
    for value in packed.to_f64() {
        let (value, width) = element.to_bytes(value);
        bytes.extend_from_slice(&value[..width]);
    }
    bytes
}

/// Packs the elements; the length says how many.  Errors: a length that is no multiple of the element's, no or too many
/// dimensions, values that are not finite.
pub fn deserialize(bytes: &[u8], element: Element) -> Result<Vec<u8>, VectorError> {
    let (count, rest) = (bytes.len() / element.width(), bytes.len() % element.width());
    if rest != 0 {
        let what = "the last element is cut short";
        return Err(VectorError::Wire { what, offset: bytes.len() - rest });
    }
    crate::pack::check_count(count)?;
    if element == Element::Float32 {
        let (words, _) = bytes.as_chunks::<4>();
        return pack_f32(element, &words.iter().map(|word| f32::from_le_bytes(*word)).collect::<Vec<_>>());
    }
    pack_f64(element, &bytes.chunks_exact(element.width()).map(|value| element.value(value)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_round_trip_whatever_their_stored_form() {
        for element in Element::ALL {
            for values in [&[0.0, 1.0, 100.0][..], &[0.0; 50], &[7.0]] {
                let packed = pack_f64(element, values).unwrap();
                let bytes = serialize(&Packed::read(&packed).unwrap());
                assert_eq!(bytes.len(), values.len() * element.width());
                assert_eq!(deserialize(&bytes, element), Ok(packed));
            }
        }
        assert_eq!(deserialize(&[0xFB], Element::Int8), pack_f64(Element::Int8, &[-5.0]));
    }

    #[test]
    fn other_lengths_are_refused() {
        let cut = VectorError::Wire { what: "the last element is cut short", offset: 4 };
        assert_eq!(deserialize(&[0; 7], Element::Float32), Err(cut));
        assert_eq!(deserialize(&[], Element::Float32), Err(VectorError::NoDimensions));
        let many = VectorError::TooManyDimensions { dimensions: 70_000 };
        assert_eq!(deserialize(&[0; 70_000], Element::Uint8), Err(many));
    }
}
