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
        let sparse = form & SPARSE != 0;
        let entry = stored.width() + if sparse { POSITION_BYTES } else { 0 };
        let count = data.len() / entry;
        let fits = if sparse { count <= usize::from(dimensions) } else { count == usize::from(dimensions) };
        if !fits || data.len() % entry != 0 {
            return Err(damaged("the length does not fit the dimensions"));
        }
        Ok(Self { bytes, dimensions, element, stored, sparse: sparse.then_some(count) })
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
