//! The binary format of COPY, one bytea column, read as it arrives.
//!
//! Layout: PostgreSQL documentation, COPY, "Binary Format": signature, flags, header extension; then per row the number of
//! fields and per field its length and bytes, all big-endian; then -1.

use std::fmt;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of the header extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
/// Flags in the upper half change the format; bit 16 (object ids) is not sent by any supported server.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// Number of fields and length of the field.
const ROW_HEADER_BYTES: usize = 6;

/// What is wrong with the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyError {
    /// It does not begin as binary COPY data does.
    Signature,
    /// Flags that this reader does not know.
    Flags(u32),
    /// A row has not one field but this many.
    Fields(i16),
    /// A value is NULL, or has a negative length.
    Length(i32),
    /// Bytes follow the end.
    Trailing,
    /// The data ends before its end mark.
    Truncated,
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("it is not binary COPY data"),
            Self::Flags(flags) => write!(f, "it has unknown flags {flags:#x}"),
            Self::Fields(fields) => write!(f, "a row has {fields} fields instead of one"),
            Self::Length(length) => write!(f, "a value has the length {length}"),
            Self::Trailing => f.write_str("bytes follow its end"),
            Self::Truncated => f.write_str("it ends too early"),
        }
    }
}

impl std::error::Error for CopyError {}

/// What the reader is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expecting {
    Header,
    /// So many bytes of the header extension.
    Extension(u32),
    Row,
    /// So many bytes of a value.
    Value(u32),
    Nothing,
}

/// Reads COPY data piece by piece, wherever it is cut.
#[derive(Debug)]
pub struct CopyReader {
    expecting: Expecting,
    /// The beginning of a fixed-size field that was cut.
    held: [u8; HEADER_BYTES],
    held_bytes: usize,
}

impl CopyReader {
    /// Begins before the signature.
    pub const fn new() -> Self {
        Self { expecting: Expecting::Header, held: [0; HEADER_BYTES], held_bytes: 0 }
    }

    /// Takes bytes off the front of `input`; returns a piece of a value when it comes to one, `None` when all is taken.
    pub fn next_piece<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, CopyError> {
        while !input.is_empty() {
            match self.expecting {
                Expecting::Header => self.header(input)?,
                Expecting::Extension(left) => {
                    let taken = take(input, left);
                    self.expecting = after_extension(left - taken.len() as u32);
                }
                Expecting::Row => self.row(input)?,
                Expecting::Value(left) => {
                    let piece = take(input, left);
                    self.expecting = after_value(left - piece.len() as u32);
                    return Ok(Some(piece));
                }
                Expecting::Nothing => return Err(CopyError::Trailing),
            }
        }
        Ok(None)
    }

    /// Says that no more input comes: the end mark must have been read.
    pub fn finish(&self) -> Result<(), CopyError> {
        if self.expecting == Expecting::Nothing { Ok(()) } else { Err(CopyError::Truncated) }
    }

    fn header(&mut self, input: &mut &[u8]) -> Result<(), CopyError> {
        let Some(header) = self.hold::<HEADER_BYTES>(input) else {
            let known = self.held_bytes.min(SIGNATURE.len());
            return if self.held[..known] == SIGNATURE[..known] { Ok(()) } else { Err(CopyError::Signature) };
        };
        let (signature, numbers) = header.split_at(SIGNATURE.len());
        if signature != SIGNATURE {
            return Err(CopyError::Signature);
        }
        let flags = big_endian(&numbers[..4]);
        if flags & CRITICAL_FLAGS != 0 {
            return Err(CopyError::Flags(flags));
        }
        self.expecting = after_extension(big_endian(&numbers[4..]));
        Ok(())
    }

    fn row(&mut self, input: &mut &[u8]) -> Result<(), CopyError> {
        // The end mark is shorter than a row's header, so the count of fields is looked at by itself.
        let wanted = if self.held_bytes < 2 { 2 } else { ROW_HEADER_BYTES };
        self.fill(input, wanted);
        if self.held_bytes < 2 {
            return Ok(());
        }
        match i16::from_be_bytes([self.held[0], self.held[1]]) {
            -1 => {
                self.held_bytes = 0;
                self.expecting = Expecting::Nothing;
            }
            1 if self.held_bytes == ROW_HEADER_BYTES => {
                self.held_bytes = 0;
                let length = big_endian(&self.held[2..ROW_HEADER_BYTES]) as i32;
                self.expecting = after_value(u32::try_from(length).map_err(|_| CopyError::Length(length))?);
            }
            1 => {}
            fields => return Err(CopyError::Fields(fields)),
        }
        Ok(())
    }

    /// Gathers `N` bytes across pieces of input; `None` while some are missing.
    fn hold<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        self.fill(input, N);
        if self.held_bytes < N {
            return None;
        }
        self.held_bytes = 0;
        self.held[..N].try_into().ok()
    }

    fn fill(&mut self, input: &mut &[u8], wanted: usize) {
        let taken = take(input, (wanted - self.held_bytes) as u32);
        self.held[self.held_bytes..][..taken.len()].copy_from_slice(taken);
        self.held_bytes += taken.len();
    }
}

fn after_extension(left: u32) -> Expecting {
    if left == 0 { Expecting::Row } else { Expecting::Extension(left) }
}

fn after_value(left: u32) -> Expecting {
    if left == 0 { Expecting::Row } else { Expecting::Value(left) }
}

fn take<'a>(input: &mut &'a [u8], wanted: u32) -> &'a [u8] {
    let (taken, rest) = input.split_at(input.len().min(wanted as usize));
    *input = rest;
    taken
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(values: &[&[u8]], extension: &[u8]) -> Vec<u8> {
        let mut data = SIGNATURE.to_vec();
        data.extend_from_slice(&0u32.to_be_bytes());
        data.extend_from_slice(&(extension.len() as u32).to_be_bytes());
        data.extend_from_slice(extension);
        for value in values {
            data.extend_from_slice(&1i16.to_be_bytes());
            data.extend_from_slice(&(value.len() as i32).to_be_bytes());
            data.extend_from_slice(value);
        }
        data.extend_from_slice(&(-1i16).to_be_bytes());
        data
    }

    fn read(pieces: &[&[u8]]) -> Result<Vec<u8>, CopyError> {
        let mut reader = CopyReader::new();
        let mut bytes = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(value) = reader.next_piece(&mut input)? {
                bytes.extend_from_slice(value);
            }
            assert!(input.is_empty());
        }
        reader.finish()?;
        Ok(bytes)
    }

    #[test]
    fn values_are_joined_wherever_the_data_is_cut() {
        let data = data(&[b"hello ", b"", b"world"], b"ext");
        assert_eq!(read(&[&data]).unwrap(), b"hello world");
        for first in 0..=data.len() {
            for second in first..=data.len() {
                let pieces = [&data[..first], &data[first..second], &data[second..]];
                assert_eq!(read(&pieces).unwrap(), b"hello world", "{first} {second}");
            }
        }
        let single: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(read(&single).unwrap(), b"hello world");
    }

    #[test]
    fn no_rows_are_no_bytes() {
        assert_eq!(read(&[&data(&[], b"")]).unwrap(), b"");
    }

    #[test]
    fn every_prefix_is_truncated() {
        let data = data(&[b"abc", b"de"], b"");
        for end in 0..data.len() {
            assert_eq!(read(&[&data[..end]]), Err(CopyError::Truncated), "{end}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let good = data(&[b"abc"], b"");
        let broken = |at: usize, bytes: &[u8]| {
            let mut data = good.clone();
            data[at..at + bytes.len()].copy_from_slice(bytes);
            read(&[&data])
        };
        assert_eq!(read(&[b"PGCOPX"]), Err(CopyError::Signature));
        assert_eq!(broken(0, b"X"), Err(CopyError::Signature));
        assert_eq!(broken(11, &[0, 1, 0, 0]), Err(CopyError::Flags(0x1_0000)));
        assert_eq!(broken(19, &[0, 2]), Err(CopyError::Fields(2)));
        assert_eq!(broken(19, &[0, 0]), Err(CopyError::Fields(0)));
        assert_eq!(broken(21, &[0xff; 4]), Err(CopyError::Length(-1)));
        assert_eq!(broken(21, &[0x80, 0, 0, 0]), Err(CopyError::Length(i32::MIN)));
        assert_eq!(broken(21, &[0, 0, 0, 200]), Err(CopyError::Truncated));
        let mut trailing = good.clone();
        trailing.push(0);
        assert_eq!(read(&[&trailing]), Err(CopyError::Trailing));
    }
}
