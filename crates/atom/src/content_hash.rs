//! The SHA-256 of a byte string: the only identity of a stored atom.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The SHA-256 of a byte string (FIPS 180-4), ordered as its bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Length of a hash in bytes.
    pub const BYTES: usize = 32;

    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes a digest that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ContentHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Fails unless the slice has exactly 32 bytes.
impl TryFrom<&[u8]> for ContentHash {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0u8; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashTextError {
    /// It does not have 64 hexadecimal digits but this many bytes.
    Length(usize),
    /// The byte at this position, counted from 0, is no hexadecimal digit.
    Digit(usize),
}

impl fmt::Display for HashTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(f, "a content hash has 64 hexadecimal digits, not {bytes}"),
            Self::Digit(position) => write!(f, "character {} is not a hexadecimal digit", position + 1),
        }
    }
}

impl std::error::Error for HashTextError {}

/// Reads 64 hexadecimal digits of either case, with or without the `\x` that PostgreSQL writes before a bytea.
impl FromStr for ContentHash {
    type Err = HashTextError;

    fn from_str(text: &str) -> Result<Self, HashTextError> {
        let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return Err(HashTextError::Length(digits.len()));
        }
        let skipped = text.len() - digits.len();
        let mut bytes = [0u8; 32];
        for (index, pair) in digits.chunks_exact(2).enumerate() {
            let high = hex_digit(pair[0]).ok_or(HashTextError::Digit(skipped + 2 * index))?;
            let low = hex_digit(pair[1]).ok_or(HashTextError::Digit(skipped + 2 * index + 1))?;
            bytes[index] = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_the_fips_vectors() {
        assert_eq!(ContentHash::of(b"abc").to_string(), ABC);
        assert_eq!(
            ContentHash::of(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            ContentHash::of(&vec![b'a'; 1_000_000]).to_string(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
    }

    #[test]
    fn text_form_round_trips_in_either_case() {
        let hash = ContentHash::of(b"abc");
        assert_eq!(ABC.parse(), Ok(hash));
        assert_eq!(ABC.to_uppercase().parse(), Ok(hash));
        assert_eq!(format!("\\x{ABC}").parse(), Ok(hash));
    }

    #[test]
    fn malformed_text_is_refused_with_its_place() {
        assert_eq!("abc".parse::<ContentHash>(), Err(HashTextError::Length(3)));
        assert_eq!(ABC.replace('f', "g").parse::<ContentHash>(), Err(HashTextError::Digit(7)));
        assert_eq!(format!("{ABC} ").parse::<ContentHash>(), Err(HashTextError::Length(65)));
    }
}
