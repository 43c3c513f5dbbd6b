//! How the spans of a file become parts.

use std::fmt;

use crate::BATCH_BYTES_MAX;
use crate::cdc::ChunkBounds;

/// Chunk size where none was asked for.
pub const CHUNK_BYTES_DEFAULT: u64 = 64 << 10;

const CHUNK_BYTES_MIN: u64 = 4 << 10;
const CHUNK_BYTES_MAX: u64 = 64 << 20;

/// How the spans of a file become parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One part per span; content-defined pieces of the sections, the large arrays of metadata.
    Tensor,
    /// Parts of a fixed size, counted from the start of each span; the last one is shorter.
    Chunk {
        /// Size of a full chunk.
        bytes: u64,
    },
    /// Content-defined parts inside each span.
    Cdc(ChunkBounds),
}

/// Why a strategy was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrategyError {
    /// No strategy has this name.
    Unknown(String),
    /// The chunk size is no power of two within the bounds that this strategy has.
    ChunkBytes {
        /// What was asked for.
        bytes: i64,
        /// Largest size allowed.
        max: u64,
    },
}

impl fmt::Display for StrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "unknown strategy \"{name}\": it is tensor, chunk or cdc"),
            Self::ChunkBytes { bytes, max } => {
                write!(f, "chunk size {bytes} is not a power of two from {CHUNK_BYTES_MIN} to {max}")
            }
        }
    }
}

impl std::error::Error for StrategyError {}

impl Strategy {
    /// Reads a strategy from its SQL form: a name and a chunk size, which `tensor` ignores.
    ///
    /// Content-defined chunks may grow to four times the size, which must still fit one batch.
    pub fn parse(name: &str, chunk_bytes: i64) -> Result<Self, StrategyError> {
        match name {
            "tensor" => Ok(Self::Tensor),
            "chunk" => Ok(Self::Chunk { bytes: check_chunk_bytes(chunk_bytes)? }),
            "cdc" => Ok(Self::Cdc(ChunkBounds::around(power_of_two(chunk_bytes, BATCH_BYTES_MAX / 4)?))),
            _ => Err(StrategyError::Unknown(name.to_owned())),
        }
    }
}

/// Checks a fixed chunk size: a power of two from 4 KiB to 64 MiB.
pub fn check_chunk_bytes(bytes: i64) -> Result<u64, StrategyError> {
    power_of_two(bytes, CHUNK_BYTES_MAX)
}

fn power_of_two(bytes: i64, max: u64) -> Result<u64, StrategyError> {
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| bytes.is_power_of_two() && (CHUNK_BYTES_MIN..=max).contains(bytes))
        .ok_or(StrategyError::ChunkBytes { bytes, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_are_powers_of_two_in_bounds() {
        assert_eq!(Strategy::parse("chunk", 4096), Ok(Strategy::Chunk { bytes: 4096 }));
        for bytes in [0, -1, 2048, 4097, 128 << 20, i64::MIN] {
            assert!(Strategy::parse("chunk", bytes).is_err(), "{bytes}");
        }
        assert!(Strategy::parse("cdc", 16 << 20).is_ok());
        assert!(Strategy::parse("cdc", 32 << 20).is_err());
        assert_eq!(Strategy::parse("tensor", 5), Ok(Strategy::Tensor));
        assert!(Strategy::parse("Tensor", 65536).is_err());
    }
}
