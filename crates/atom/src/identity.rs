//! Identity atoms: values so small that their id says them.
//!
//! A dimension value of at most 4 bytes has the id `-(1 + length * 2^32 + bits)`, `bits` being its bytes read as a
//! little-endian number.  Such an atom needs no row, no lookup and no lock; ids of stored atoms are positive.

/// Longest value that has an identity id.
pub const DIMENSION_VALUE_BYTES_MAX: usize = 4;

/// The bytes of one vector element of 1 to 4 bytes, in the element type its vector declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DimensionValue {
    length: u8,
    bits: u32,
}

impl DimensionValue {
    /// Takes 1 to 4 bytes, little-endian; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > DIMENSION_VALUE_BYTES_MAX {
            return None;
        }
        let mut padded = [0u8; DIMENSION_VALUE_BYTES_MAX];
        padded[..bytes.len()].copy_from_slice(bytes);
        Some(Self { length: bytes.len() as u8, bits: u32::from_le_bytes(padded) })
    }

    /// Reads an atom id; `None` when the id names no dimension value.
    pub fn from_atom_id(atom_id: i64) -> Option<Self> {
        // -(1 + n) = !n in two's complement, so no id overflows.
        let number = u64::try_from(!atom_id).ok()?;
        let length = u8::try_from(number >> 32).ok()?;
        let bits = number as u32;
        let fits = match length {
            1..=3 => bits >> (8 * u32::from(length)) == 0,
            4 => true,
            _ => false,
        };
        fits.then_some(Self { length, bits })
    }

    /// Returns the id of this value's atom; always negative.
    pub fn atom_id(self) -> i64 {
        !((i64::from(self.length) << 32) | i64::from(self.bits))
    }

    /// Returns the value's bytes, little-endian.
    pub fn to_bytes(self) -> Vec<u8> {
        self.bits.to_le_bytes()[..usize::from(self.length)].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_the_formula() {
        let one = DimensionValue::from_bytes(&1.0f32.to_le_bytes()).unwrap();
        assert_eq!(one.atom_id(), -(1 + (4i64 << 32) + 0x3f80_0000));
        let byte = DimensionValue::from_bytes(&[7]).unwrap();
        assert_eq!(byte.atom_id(), -(1 + (1i64 << 32) + 7));
    }

    #[test]
    fn ids_round_trip_for_every_length_and_extreme() {
        for bytes in
            [&[0u8][..], &[255], &[0, 0], &[255, 255], &[1, 2, 3], &[255; 3], &[0; 4], &[255; 4], &[0, 0, 0, 128]]
        {
            let value = DimensionValue::from_bytes(bytes).unwrap();
            assert!(value.atom_id() < 0);
            assert_eq!(DimensionValue::from_atom_id(value.atom_id()), Some(value));
            assert_eq!(value.to_bytes(), bytes);
        }
    }

    #[test]
    fn other_ids_are_no_dimension_values() {
        let too_wide = !((1i64 << 32) | 256);
        for id in [0, 1, i64::MAX, i64::MIN, -1, -5, too_wide, !(5i64 << 32)] {
            assert_eq!(DimensionValue::from_atom_id(id), None, "{id}");
        }
        assert_eq!(DimensionValue::from_bytes(&[]), None);
        assert_eq!(DimensionValue::from_bytes(&[0; 5]), None);
    }
}
