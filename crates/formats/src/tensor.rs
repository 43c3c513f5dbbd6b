//! One tensor as a span of its file.

use crate::Dtype;

/// A tensor whose bytes lie contiguous in the file, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The name, unique within the file; any JSON string, U+0000 included.
    pub name: Box<str>,
    /// The type of the elements.
    pub dtype: Dtype,
    /// The dimensions, outermost first; empty for a scalar.  A dimension may be 0.
    pub shape: Box<[u64]>,
    /// The absolute position of the first byte in the file.
    pub offset: u64,
    /// Bytes; 0 when a dimension is 0.
    pub length: u64,
}

impl Tensor {
    /// Returns the number of elements; the layout's proof has shown that it fits.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1_u64, |product, dim| product.saturating_mul(*dim))
    }

    /// Returns the position just behind the last byte, None when it does not fit 64 bits.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.length)
    }
}
