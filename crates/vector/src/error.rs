//! What can be wrong with a vector; each variant says what and where.

use std::fmt;

use crate::Element;
use crate::dim_range::written;
use crate::packed::DIMENSIONS_MAX;

/// Why a vector was refused.
#[derive(Debug, Clone, PartialEq)]
pub enum VectorError {
    /// The text form is malformed; `position` counts characters from 1.
    Text {
        /// What is wrong.
        what: &'static str,
        /// Character, from 1.
        position: usize,
    },
    /// The binary form is malformed at this byte.
    Wire {
        /// What is wrong.
        what: &'static str,
        /// Byte, from 0.
        offset: usize,
    },
    /// Stored bytes are no packed vector.
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// NaN or an infinity, at this dimension.
    NotFinite {
        /// The number.
        value: f64,
        /// Dimension, from 0.
        dimension: usize,
    },
    /// A number that its element type does not hold.
    OutOfRange {
        /// The number.
        value: f64,
        /// Dimension, from 0.
        dimension: usize,
        /// The element type.
        element: Element,
    },
    /// A result too large for its element type.
    Overflow {
        /// Dimension, from 0.
        dimension: usize,
        /// The element type.
        element: Element,
    },
    /// A product that is not zero and too small for its element type.
    Underflow {
        /// Dimension, from 0.
        dimension: usize,
        /// The element type.
        element: Element,
    },
    /// A vector without dimensions.
    NoDimensions,
    /// More dimensions than a vector can have.
    TooManyDimensions {
        /// How many there are.
        dimensions: usize,
    },
    /// Two vectors, or a vector and its column, with different numbers of dimensions.
    DifferentDimensions {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A dimension that the vector does not have; they count from 0.
    NoSuchDimension {
        /// Dimension, from 0.
        dimension: i64,
        /// How many there are.
        dimensions: usize,
    },
    /// A bound of a range that is NaN.
    NoBound {
        /// Dimension, from 0.
        dimension: usize,
    },
    /// A range whose bounds are in the wrong order.
    EmptyRange {
        /// Dimension, from 0.
        dimension: usize,
        /// The lower bound.
        lo: f64,
        /// The upper bound.
        hi: f64,
    },
    /// A part of the vector that it does not have; positions count from 1.
    NoSuchPart {
        /// First position, from 1.
        start: i64,
        /// How many.
        count: i64,
    },
    /// More than the type of pgvector can have.
    TooManyForPgvector {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there can be.
        limit: usize,
    },
}

impl VectorError {
    /// Refuses a number of dimensions that is not the expected one.
    pub fn unless_equal(expected: usize, found: usize) -> Result<(), Self> {
        if expected == found { Ok(()) } else { Err(Self::DifferentDimensions { expected, found }) }
    }
}

impl fmt::Display for VectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { what, position } => write!(f, "malformed vector: {what} at character {position}"),
            Self::Wire { what, offset } => write!(f, "malformed binary form of a vector: {what} at byte {offset}"),
            Self::Damaged { what } => write!(f, "stored bytes are no vector: {what}"),
            Self::NotFinite { value, dimension } => {
                write!(f, "{value} is no value of a vector (dimension {dimension})")
            }
            Self::OutOfRange { value, dimension, element } => {
                let value = crate::text::number(*value);
                write!(f, "{value} is out of range for {} (dimension {dimension})", element.name())
            }
            Self::Overflow { dimension, element } => {
                write!(f, "the result is out of range for {}: overflow (dimension {dimension})", element.name())
            }
            Self::Underflow { dimension, element } => {
                write!(f, "the result is out of range for {}: underflow (dimension {dimension})", element.name())
            }
            Self::NoDimensions => f.write_str("a vector has at least 1 dimension"),
            Self::TooManyDimensions { dimensions } => {
                write!(f, "a vector has at most {DIMENSIONS_MAX} dimensions, not {dimensions}")
            }
            Self::DifferentDimensions { expected, found } => write!(f, "expected {expected} dimensions, not {found}"),
            Self::NoSuchDimension { dimension, dimensions } => {
                write!(f, "dimension {dimension} is not one of 0 to {}", dimensions.saturating_sub(1))
            }
            Self::NoBound { dimension } => write!(f, "NaN is no bound of a range (dimension {dimension})"),
            Self::EmptyRange { dimension, lo, hi } => {
                let (lo, hi) = (written(*lo), written(*hi));
                write!(f, "the lower bound {lo} is above the upper bound {hi} (dimension {dimension})")
            }
            Self::NoSuchPart { start, count } => {
                write!(f, "there are no {count} dimensions from position {start}")
            }
            Self::TooManyForPgvector { what, count, limit } => {
                write!(f, "pgvector's {what} are at most {limit}, not {count}")
            }
        }
    }
}

impl std::error::Error for VectorError {}
