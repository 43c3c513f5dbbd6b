//! The binary form, for send and receive: u16 dimensions, u8 element number, u8 form, then values, all big-endian.
//!
//! Values have the declared type.  Form 0 is dense: all values; for float32 it is pgvector's binary form.  Form 1 is sparse,
//! and only read: as many u16 positions, from 0, ascending, as values behind them; the length says how many.

use crate::{Element, Packed, VectorError, pack_f32, pack_f64};

const HEADER_BYTES: usize = 4;
const POSITION_BYTES: usize = 2;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// Returns the dense binary form.
pub fn to_wire(packed: &Packed<'_>) -> Vec<u8> {
    let element = packed.element();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + packed.dimensions() * element.width());
    // A packed vector has no more dimensions than 16 bits say.
    bytes.extend_from_slice(&(packed.dimensions() as u16).to_be_bytes());
    bytes.extend_from_slice(&[element.number(), DENSE]);
    bytes.extend_from_slice(&crate::bytes::serialize(packed));
    bytes.get_mut(HEADER_BYTES..).unwrap_or_default().chunks_exact_mut(element.width()).for_each(<[u8]>::reverse);
    bytes
}

/// Reads a binary form.  Errors: [`VectorError::Wire`] with the byte, values that are not finite, no dimensions.
pub fn from_wire(bytes: &[u8]) -> Result<Vec<u8>, VectorError> {
    let &[high, low, number, form, ref data @ ..] = bytes else { return Err(wire("too short", bytes.len())) };
    let dimensions = usize::from(u16::from_be_bytes([high, low]));
    let element = Element::from_number(number).ok_or_else(|| wire("unknown element type", 2))?;
    match form {
        _ if dimensions == 0 => Err(VectorError::NoDimensions),
        DENSE => read_dense(element, dimensions, data),
        SPARSE => read_sparse(element, dimensions, data),
        _ => Err(wire("unknown form", 3)),
    }
}

fn wire(what: &'static str, offset: usize) -> VectorError {
    VectorError::Wire { what, offset }
}

fn read_dense(element: Element, dimensions: usize, data: &[u8]) -> Result<Vec<u8>, VectorError> {
    let expected = dimensions * element.width();
    if data.len() != expected {
        return Err(wire("the length does not fit the dimensions", HEADER_BYTES + data.len().min(expected)));
    } else if element == Element::Float32 {
        let (words, _) = data.as_chunks::<4>();
        return pack_f32(element, &words.iter().map(|word| f32::from_be_bytes(*word)).collect::<Vec<_>>());
    }
    pack_f64(element, &values(element, data).collect::<Vec<_>>())
}

fn read_sparse(element: Element, dimensions: usize, data: &[u8]) -> Result<Vec<u8>, VectorError> {
    let entry = POSITION_BYTES + element.width();
    let count = data.len() / entry;
    if !data.len().is_multiple_of(entry) || count > dimensions {
        return Err(wire("the length does not fit the entries", HEADER_BYTES + data.len()));
    }
    let (positions, data) = data.split_at(count * POSITION_BYTES);
    let (positions, _) = positions.as_chunks::<POSITION_BYTES>();
    let mut spread = vec![0.0; dimensions];
    let mut least = 0;
    for ((place, position), value) in positions.iter().enumerate().zip(values(element, data)) {
        let position = usize::from(u16::from_be_bytes(*position));
        let offset = HEADER_BYTES + place * POSITION_BYTES;
        if position < least {
            return Err(wire("the positions do not ascend", offset));
        }
        *spread.get_mut(position).ok_or_else(|| wire("the position is beyond the dimensions", offset))? = value;
        least = position + 1;
    }
    pack_f64(element, &spread)
}

/// Big-endian values, one after another.
fn values(element: Element, data: &[u8]) -> impl Iterator<Item = f64> {
    data.chunks_exact(element.width()).map(move |value| {
        let mut little = [0; 8];
        little.iter_mut().zip(value.iter().rev()).for_each(|(to, from)| *to = *from);
        element.value(&little[..value.len()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float32_is_pgvectors_binary_form() {
        let bytes = pack_f32(Element::Float32, &[1.0, -2.5]).unwrap();
        let wire = to_wire(&Packed::read(&bytes).unwrap());
        assert_eq!(wire, [0, 2, 0, 0, 0x3F, 0x80, 0, 0, 0xC0, 0x20, 0, 0]);
        assert_eq!(from_wire(&wire), Ok(bytes));
    }

    #[test]
    fn the_sparse_form_is_read() {
        let wire = [0, 9, 3, 1, 0, 0, 0, 8, 5, 0xFF];
        assert_eq!(from_wire(&wire), pack_f64(Element::Int8, &[5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_byte() {
        let error = |bytes: &[u8]| match from_wire(bytes) {
            Err(VectorError::Wire { what, offset }) => (what, offset),
            other => panic!("{other:?}"),
        };
        assert_eq!(error(&[0, 1, 9, 0]), ("unknown element type", 2));
        assert_eq!(error(&[0, 1, 0, 2]), ("unknown form", 3));
        assert_eq!(error(&[0, 1, 4, 0, 1, 2]), ("the length does not fit the dimensions", 5));
        assert_eq!(error(&[0, 9, 4, 1, 0, 3, 0, 3, 1, 1]), ("the positions do not ascend", 6));
        assert_eq!(error(&[0, 9, 4, 1, 0, 9, 1]), ("the position is beyond the dimensions", 4));
        assert_eq!(error(&[0, 1, 4, 1, 0, 0, 0, 1, 1, 1]), ("the length does not fit the entries", 10));
        assert_eq!(from_wire(&[0, 0, 4, 0]), Err(VectorError::NoDimensions));
    }
}
