//! SHA-256 over bytes that arrive in several transactions: its state can be kept and taken up again.

use std::fmt;

use atom::ContentHash;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

/// First byte of a saved state; another one means another version of this code wrote it.
const SAVED_VERSION: u8 = 1;

/// A SHA-256 under way.
#[derive(Clone, Default)]
pub struct RunningHash {
    sha: Sha256,
    bytes: u64,
}

/// A saved state that this version cannot take up; the bytes must be hashed again from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedHashError;

impl fmt::Display for SavedHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the saved state of a hash is not of this version")
    }
}

impl std::error::Error for SavedHashError {}

impl RunningHash {
    /// Begins a hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Returns how many bytes it has taken.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the hash of all bytes taken.
    pub fn finish(self) -> ContentHash {
        ContentHash::from_bytes(self.sha.finalize().into())
    }

    /// Returns the state as bytes: version, count of bytes taken, state.  Staging only: no stored atom depends on them.
    pub fn save(&self) -> Vec<u8> {
        let mut saved = vec![SAVED_VERSION];
        saved.extend_from_slice(&self.bytes.to_le_bytes());
        saved.extend_from_slice(&self.sha.serialize());
        saved
    }

    /// Takes up a saved state.
    pub fn restore(saved: &[u8]) -> Result<Self, SavedHashError> {
        let (version, rest) = saved.split_first().ok_or(SavedHashError)?;
        let (bytes, state) = rest.split_first_chunk::<8>().ok_or(SavedHashError)?;
        let state = SerializedState::<Sha256>::try_from(state).map_err(|_| SavedHashError)?;
        if *version != SAVED_VERSION {
            return Err(SavedHashError);
        }
        let sha = Sha256::deserialize(&state).map_err(|_| SavedHashError)?;
        Ok(Self { sha, bytes: u64::from_le_bytes(*bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_taken_up_again_equals_one_in_a_row() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
        for step in [1, 63, 64, 65, 4096, 99_999] {
            let mut hash = RunningHash::new();
            for window in bytes.chunks(step) {
                hash.update(window);
                hash = RunningHash::restore(&hash.save()).unwrap();
            }
            assert_eq!(hash.bytes(), 100_000);
            assert_eq!(hash.finish(), ContentHash::of(&bytes), "step {step}");
        }
    }

    #[test]
    fn foreign_states_are_refused() {
        let saved = RunningHash::new().save();
        assert!(RunningHash::restore(&[]).is_err());
        assert!(RunningHash::restore(&saved[..saved.len() - 1]).is_err());
        let mut other = saved;
        other[0] = 2;
        assert!(RunningHash::restore(&other).is_err());
    }
}
