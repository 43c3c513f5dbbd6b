//! A file as a sequence of parts: where it is cut, what each part's hash is, and how a part's payload
//! becomes page-filling segments.  Knows neither PostgreSQL nor paths; every stage takes and gives plain values.

#![forbid(unsafe_code)]

mod cdc;
mod cut;
mod hash;
mod section;
mod segment;
mod span;
mod strategy;

pub use cdc::{Boundary, ChunkBounds};
pub use cut::{Cutter, Part};
pub use hash::{RunningHash, SavedHashError};
pub use segment::{INLINE_BYTES_MAX, PIECE_BYTES, SEGMENT_BYTES_MAX, Segment, segments};
pub use span::{Span, spans};
pub use strategy::{CHUNK_BYTES_DEFAULT, Strategy, StrategyError, check_chunk_bytes};

/// Most payload that one batch, and so one transaction, carries.
pub const BATCH_BYTES_MAX: u64 = 64 << 20;
