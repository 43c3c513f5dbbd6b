//! What can go wrong with an index.

use std::fmt;

use atom::{FaultKind, Interrupted};

use crate::page::Block;

/// Why an operation on an index ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DimspaceError {
    /// A page breaks a rule of the layout: the index needs to be built again.
    Damaged {
        /// The page.
        block: Block,
        /// What must be true of it, and is not.
        rule: &'static str,
    },
    /// A vector has another number of dimensions than the index.
    Dimensions {
        /// Of the index.
        expected: u32,
        /// Of the vector.
        found: u32,
    },
    /// More dimensions than an index can have.
    TooManyDimensions {
        /// Of the vector.
        found: u32,
    },
    /// The user cancelled.
    Interrupted,
}

impl DimspaceError {
    /// Returns the error that a page breaks a rule.
    pub fn damaged(block: Block, rule: &'static str) -> Self {
        Self::Damaged { block, rule }
    }

    /// Returns what kind of fault it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Damaged { .. } => FaultKind::Malformed,
            Self::Dimensions { .. } => FaultKind::Mismatch,
            Self::TooManyDimensions { .. } => FaultKind::Limit,
            Self::Interrupted => FaultKind::Interrupted,
        }
    }
}

impl fmt::Display for DimspaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { block, rule } => write!(f, "page {block} of the index is damaged: {rule}"),
            Self::Dimensions { expected, found } => {
                write!(f, "the index holds vectors of {expected} dimensions, this one has {found}")
            }
            Self::TooManyDimensions { found } => {
                write!(
                    f,
                    "a dimspace index holds at most {} dimensions, this vector has {found}",
                    crate::DIMENSIONS_MAX
                )
            }
            Self::Interrupted => write!(f, "{Interrupted}"),
        }
    }
}

impl std::error::Error for DimspaceError {}

impl From<Interrupted> for DimspaceError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// The result of an operation on an index.
pub type Result<T> = std::result::Result<T, DimspaceError>;
