//! The packed form: how a vector lies in a row.  `docs/layout/dimvec.md` draws it.
//!
//! ```text
//! 0      2         3       4
//! | dims | types   | form  | dense: dims values / sparse: positions (u16, from 0, ascending), then as many values |
//! ```
//! `types` holds the declared element type in its low and the stored one in its high four bits; `form` holds bit 0: sparse,
//! and the version of the layout in its high four bits.  Numbers are little-endian.

use crate::{Element, VectorError};

/// The most dimensions of a vector.
pub const DIMENSIONS_MAX: usize = 65_535;
/// Bytes before the values.
pub const HEADER_BYTES: usize = 4;
/// Bytes of a position in the sparse form.
pub(crate) const POSITION_BYTES: usize = 2;
const VERSION: u8 = 1;
const SPARSE: u8 = 1;

const _: () = assert!(DIMENSIONS_MAX == u16::MAX as usize && HEADER_BYTES == 4);

/// Returns the four bytes before the values.
pub(crate) fn header(dimensions: u16, declared: Element, stored: Element, sparse: bool) -> [u8; HEADER_BYTES] {
    let [low, high] = dimensions.to_le_bytes();
    [low, high, declared.number() | stored.number() << 4, VERSION << 4 | if sparse { SPARSE } else { 0 }]
}

/// A packed vector, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    bytes: &'a [u8],
    dimensions: u16,
    element: Element,
    stored: Element,
    /// How many values are stored, where not all are.
    sparse: Option<usize>,
}

impl<'a> Packed<'a> {
    /// Reads the header and compares it with the length: no more, because every read of a value begins here.
    pub fn read(bytes: &'a [u8]) -> Result<Self, VectorError> {
        let damaged = |what| VectorError::Damaged { what };
        let &[low, high, types, form, ref data @ ..] = bytes else { return Err(damaged("too short")) };
        let dimensions = u16::from_le_bytes([low, high]);
        if form & !SPARSE != VERSION << 4 {
            return Err(damaged("unknown version"));
        } else if dimensions == 0 {
            return Err(damaged("no dimensions"));
        }
        let element = Element::from_number(types & 15).ok_or_else(|| damaged("unknown element type"))?;
        let stored = Element::from_number(types >> 4).ok_or_else(|| damaged("unknown stored type"))?;
        let dense = data.len() == usize::from(dimensions) * stored.width();
        let sparse = match form & SPARSE {
            0 if dense => None,
            0 => return Err(damaged("the length does not fit the dimensions")),
            _ => Some(count_of(data.len(), stored, dimensions).ok_or_else(|| damaged("the length fits no positions"))?),
        };
        Ok(Self { bytes, dimensions, element, stored, sparse })
    }

    /// Proves what [`Packed::read`] takes on trust: positions ascend and exist, values are finite, and these are the bytes
    /// that packing the values gives.
    pub fn check(&self) -> Result<(), VectorError> {
        let damaged = |what| Err(VectorError::Damaged { what });
        let mut least = 0;
        for (dimension, value) in self.entries() {
            if dimension < least || dimension >= self.dimensions() {
                return damaged("a position is out of order or beyond the dimensions");
            } else if !value.is_finite() {
                return damaged("a value is not finite");
            }
            least = dimension + 1;
        }
        match crate::pack_f64(self.element, &self.to_f64()) {
            Ok(bytes) if bytes == self.bytes => Ok(()),
            _ => damaged("not the form that its values are packed in"),
        }
    }

    /// Returns the packed bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns how many dimensions the vector has: 1 to 65,535.
    pub fn dimensions(&self) -> usize {
        usize::from(self.dimensions)
    }

    /// Returns the declared element type.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Returns the element type that the values are stored in.
    pub fn stored(&self) -> Element {
        self.stored
    }

    /// Returns whether only the values that are not zero are stored.
    pub fn is_sparse(&self) -> bool {
        self.sparse.is_some()
    }

    /// Returns the stored values' bytes, little-endian: all of them, or those of [`Packed::positions`].
    pub fn values(&self) -> &'a [u8] {
        let from = HEADER_BYTES + self.sparse.unwrap_or(0) * POSITION_BYTES;
        self.bytes.get(from..).unwrap_or_default()
    }

    /// Returns the dimensions whose values are stored, ascending; `None` when all are.
    pub fn positions(&self) -> Option<impl ExactSizeIterator<Item = usize> + 'a> {
        let count = self.sparse?;
        let bytes = self.bytes.get(HEADER_BYTES..HEADER_BYTES + count * POSITION_BYTES).unwrap_or_default();
        let (pairs, _) = bytes.as_chunks::<POSITION_BYTES>();
        Some(pairs.iter().map(|pair| usize::from(u16::from_le_bytes(*pair))))
    }

    /// Returns each stored value with its dimension, ascending.
    pub fn entries(&self) -> impl Iterator<Item = (usize, f64)> + 'a {
        let (stored, mut positions) = (self.stored, self.positions());
        self.values().chunks_exact(stored.width()).enumerate().map(move |(place, bytes)| {
            let dimension = positions.as_mut().map_or(Some(place), Iterator::next).unwrap_or(place);
            (dimension, stored.value(bytes))
        })
    }

    /// Returns the value of one dimension, counted from 0; `None` where there is none.
    pub fn value(&self, dimension: usize) -> Option<f64> {
        if dimension >= self.dimensions() {
            return None;
        }
        let place = match self.sparse {
            None => dimension,
            Some(count) => match self.place_of(dimension, count) {
                Some(place) => place,
                None => return Some(0.0),
            },
        };
        let width = self.stored.width();
        self.values().get(place * width..(place + 1) * width).map(|bytes| self.stored.value(bytes))
    }

    /// Finds a dimension among the positions.
    fn place_of(&self, dimension: usize, count: usize) -> Option<usize> {
        let bytes = self.bytes.get(HEADER_BYTES..HEADER_BYTES + count * POSITION_BYTES)?;
        let (pairs, _) = bytes.as_chunks::<POSITION_BYTES>();
        pairs.binary_search_by_key(&dimension, |pair| usize::from(u16::from_le_bytes(*pair))).ok()
    }

    /// Returns all values, zeros included.
    pub fn to_f64(&self) -> Vec<f64> {
        let mut values = vec![0.0; self.dimensions()];
        for (dimension, value) in self.entries() {
            if let Some(place) = values.get_mut(dimension) {
                *place = value;
            }
        }
        values
    }

    /// Returns all values as float32, zeros included; those of a declared float64 are rounded, beyond its range infinite.
    pub fn to_f32(&self) -> Vec<f32> {
        if let (Element::Float32, None) = (self.stored, self.sparse) {
            let (words, _) = self.values().as_chunks::<4>();
            return words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        }
        self.to_f64().into_iter().map(|value| value as f32).collect()
    }
}

/// Returns how many values a sparse vector of so many bytes stores; `None` where that is no number of them.
fn count_of(bytes: usize, stored: Element, dimensions: u16) -> Option<usize> {
    let entry = stored.width() + POSITION_BYTES;
    let count = bytes / entry;
    (bytes.is_multiple_of(entry) && count <= usize::from(dimensions)).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_finds_what_packing_does_not_make() {
        let check = |bytes: &[u8]| Packed::read(bytes).unwrap().check();
        let damaged = |what| Err(VectorError::Damaged { what });
        // 3 dimensions of float32 as uint8, sparse in one value; then one byte at a time wrong.
        assert_eq!(check(&[4, 0, 0x40, 0x11, 2, 0, 7]), Ok(()));
        let order = damaged("a position is out of order or beyond the dimensions");
        assert_eq!(check(&[4, 0, 0x40, 0x11, 4, 0, 7]), order);
        assert_eq!(check(&[9, 0, 0x40, 0x11, 2, 0, 2, 0, 7, 7]), order);
        assert_eq!(check(&[9, 0, 0x40, 0x11, 2, 0, 1, 0, 7, 7]), order);
        let form = damaged("not the form that its values are packed in");
        assert_eq!(check(&[3, 0, 0x40, 0x11, 2, 0, 7]), form);
        assert_eq!(check(&[4, 0, 0x40, 0x11, 2, 0, 0]), form);
        assert_eq!(check(&[4, 0, 0x40, 0x10, 0, 0, 7, 0]), form);
        assert_eq!(check(&[1, 0, 0x00, 0x10, 0, 0, 0x80, 0x3F]), form);
        assert_eq!(check(&[1, 0, 0x13, 0x10, 0, 0x38]), form);
        assert_eq!(check(&[1, 0, 0x11, 0x10, 0, 0x7C]), damaged("a value is not finite"));
    }

    /// One vector of each form, byte for byte: stored bytes outlive the program that wrote them.
    #[test]
    fn the_layout_does_not_drift() {
        let golden: [(Element, &[f64], &[u8]); 10] = [
            (Element::Float32, &[1.0, 255.0], &[2, 0, 0x40, 0x10, 1, 255]),
            (Element::Float32, &[1.0, -2.0], &[2, 0, 0x30, 0x10, 1, 0xFE]),
            (Element::Float32, &[0.5, 300.0], &[2, 0, 0x10, 0x10, 0, 0x38, 0xB0, 0x5C]),
            (
                Element::Float32,
                &[-1e38f32 as f64, 0.1f32 as f64],
                &[2, 0, 0, 0x10, 0x99, 0x76, 0x96, 0xFE, 0xCD, 0xCC, 0xCC, 0x3D],
            ),
            (Element::Float32, &[0.0, 0.0, 0.0, 0.5], &[4, 0, 0x10, 0x11, 3, 0, 0, 0x38]),
            (Element::Float16, &[0.5], &[1, 0, 0x11, 0x10, 0, 0x38]),
            (Element::Bfloat16, &[0.5], &[1, 0, 0x22, 0x10, 0, 0x3F]),
            (Element::Int8, &[-3.0], &[1, 0, 0x33, 0x10, 0xFD]),
            (Element::Uint8, &[0.0, 0.0, 0.0, 200.0], &[4, 0, 0x44, 0x11, 3, 0, 200]),
            (Element::Float64, &[0.1], &[1, 0, 0x55, 0x10, 0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F]),
        ];
        for (element, values, bytes) in golden {
            assert_eq!(crate::pack_f64(element, values).unwrap(), bytes, "{element:?} {values:?}");
            assert_eq!(Packed::read(bytes).unwrap().check(), Ok(()));
            assert_eq!(Packed::read(bytes).unwrap().to_f64(), values);
        }
    }
}
