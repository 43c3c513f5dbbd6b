//! The words that every room of pg_atoms shares: the hash that names an atom, the ids of atoms that
//! need no row, the kinds of fault, and the way long work is interrupted.  Nothing here does I/O.
//! Text forms are lower-case hexadecimal; ids follow `docs/design.md`, "Identity atoms".

#![forbid(unsafe_code)]

mod content_hash;
mod fault;
mod identity;
mod interrupt;
mod modality;

pub use content_hash::{ContentHash, HashTextError};
pub use fault::FaultKind;
pub use identity::{DIMENSION_VALUE_BYTES_MAX, DimensionValue};
pub use interrupt::{Interrupt, Interrupted, Never};
pub use modality::Modality;
