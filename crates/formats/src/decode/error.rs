//! Why bytes were not decoded.  Texts follow the server's manner.

use std::fmt;

use atom::FaultKind;

use crate::Dtype;

/// Why a tensor's bytes have no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// One number cannot hold an element of this type.
    Unsupported {
        /// The type: C64.
        dtype: Dtype,
    },
    /// An integer is too large for an exact f64: its magnitude exceeds 2^53.
    IntegerTooLarge {
        /// The element's place among those to be decoded.
        index: usize,
        /// The element.
        value: i128,
    },
    /// The bytes are not those of so many elements.
    WrongLength {
        /// The type of the elements.
        dtype: Dtype,
        /// The bytes given.
        bytes: usize,
        /// The elements to be decoded.
        elements: usize,
    },
}

impl DecodeError {
    /// Returns the kind, from which callers make SQLSTATEs and exit codes.
    pub fn kind(&self) -> FaultKind {
        match self {
            DecodeError::Unsupported { .. } => FaultKind::Unsupported,
            DecodeError::IntegerTooLarge { .. } => FaultKind::Limit,
            DecodeError::WrongLength { .. } => FaultKind::Mismatch,
        }
    }

    /// Returns what the reader of the message can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            DecodeError::Unsupported { .. } => Some("The tensor's bytes can be read as they are stored."),
            DecodeError::IntegerTooLarge { .. } => {
                Some("Integers are exact up to 2^53.  The tensor's bytes can be read as they are stored.")
            }
            DecodeError::WrongLength { .. } => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Unsupported { dtype } => write!(f, "elements of type {dtype} cannot be shown as numbers"),
            DecodeError::IntegerTooLarge { value, .. } => {
                write!(f, "the integer {value} is beyond 2^53, up to which double precision is exact")
            }
            DecodeError::WrongLength { dtype, bytes, elements } => {
                write!(f, "{bytes} bytes are not {elements} elements of type {dtype}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}
