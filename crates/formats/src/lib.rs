//! Model files: bytes to structure and tensors.
//!
//! Reads headers and directories through [`ReadAt`], never payload, and proves the layout before it hands out a tensor.  It
//! opens no path and knows no server.  What is read, and what is not, is in `docs/formats.md`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

pub mod decode;
pub mod describe;
pub mod detect;
mod dtype;
mod error;
mod fault;
mod finding;
#[doc(hidden)]
pub mod fuzz;
pub mod gguf;
pub mod layout;
mod limits;
mod metadata;
mod reader;
pub mod safetensors;
mod seen;
mod source;
pub mod stats;
mod tensor;

use std::ops::Range;

pub use detect::{Detection, FileFormat, FormatInfo, Support, detect, detect_directory, known_formats};
pub use dtype::{Block, Dtype, Unsized};
pub use error::FormatError;
pub use fault::Fault;
pub use finding::{Finding, Severity};
pub use limits::Limits;
pub use metadata::{Array, ElementType, Value};
pub use source::{Bytes, FileSource, ReadAt, SourceError};
pub use tensor::Tensor;

/// A file format whose structure this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// <https://github.com/huggingface/safetensors>
    Safetensors,
    /// <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>
    Gguf,
}

impl Format {
    /// Every format that is read.
    pub const ALL: [Format; 2] = [Format::Safetensors, Format::Gguf];

    /// Returns the format that a file's first bytes announce, None when they announce none that is read.
    ///
    /// Errors: the source cannot be read.
    pub fn of(source: &dyn ReadAt, limits: &Limits) -> Result<Option<Format>, FormatError> {
        Ok(match () {
            () if gguf::looks_like(source)? => Some(Format::Gguf),
            () if safetensors::looks_like(source, limits)? => Some(Format::Safetensors),
            () => None,
        })
    }

    /// Returns the format of that lower-case name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns the structure of a file that is said to be of this format.
    ///
    /// Errors: the first broken rule or limit, an unreadable source, interruption.
    pub fn read(
        self,
        source: &dyn ReadAt,
        limits: &Limits,
        interrupt: &dyn atom::Interrupt,
    ) -> Result<Structure, FormatError> {
        match self {
            Format::Safetensors => safetensors::read(source, limits, interrupt),
            Format::Gguf => gguf::read(source, limits, interrupt),
        }
    }

    /// Returns the lower-case name that is stored and shown, e.g. `safetensors`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Gguf => "gguf",
        }
    }
}

/// What the header of a file says, proved against the file's size.
///
/// The tensors do not overlap and lie within the file; for safetensors they tile it from `structure_bytes` to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    /// The format that was read.
    pub format: Format,
    /// A version or dialect within the format; safetensors has none.
    pub variant: Option<String>,
    /// The order of the bytes of every number in the file, those of the tensors included.
    pub byte_order: ByteOrder,
    /// The tensors by ascending offset; where empty ones share an offset, by length, then by name.
    pub tensors: Vec<Tensor>,
    /// The file's own free-form entries, in the order of the file.  Keys are unique; any JSON string, U+0000 included.
    pub metadata: Vec<(Box<str>, Value)>,
    /// Bytes before the first tensor's data; for safetensors 8 plus the header's length.
    pub structure_bytes: u64,
    /// Runs of the structure that deserve to be stored by themselves, because files share them: large arrays of the metadata.
    /// In order, without overlap, before the first tensor.
    pub sections: Vec<Range<u64>>,
    /// What is worth knowing of the file, in the order of the rules.
    pub findings: Vec<Finding>,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// The least significant byte first.
    Little,
    /// The most significant byte first.
    Big,
}

/// What is known of a file's inside.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// The structure was read and proved.
    Structured(Structure),
    /// The file is kept as bytes only.
    Opaque {
        /// Why a file that looks like a known format was not read; None when it looks like none.
        reason: Option<String>,
    },
}

/// Returns the structure of a file, whatever its format is.
///
/// A file that looks like a known format but breaks its rules, or a limit, is opaque with a reason.  Errors: only a source that
/// cannot be read, and interruption.
pub fn read(source: &dyn ReadAt, limits: &Limits, interrupt: &dyn atom::Interrupt) -> Result<Reading, FormatError> {
    let Some(format) = Format::of(source, limits)? else { return Ok(Reading::Opaque { reason: None }) };
    match format.read(source, limits, interrupt) {
        Ok(structure) => Ok(Reading::Structured(structure)),
        Err(error @ FormatError::Refused { .. }) => Ok(Reading::Opaque { reason: Some(error.to_string()) }),
        Err(error) => Err(error),
    }
}
