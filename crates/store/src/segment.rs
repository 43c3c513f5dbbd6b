//! Segments: payload in rows that fill one heap page each.  `docs/layout/atom_segment.md` draws them.

/// Largest payload of an atom that lies in the atom's own row.
pub const INLINE_BYTES_MAX: usize = 2000;

/// Payload of a full segment.
pub const SEGMENT_BYTES_MAX: usize = 8112;

// A heap page of 8,192 bytes holds one tuple of 8,160: page header 24 and line pointer 4, aligned to 8, come off.
const TUPLE_BYTES_MAX: usize = 8192 - 32;
// Tuple header 23, aligned; atom_id, raw_offset; encoding and version; length word of the payload.
const BEFORE_PAYLOAD: usize = 24 + 8 + 8 + 2 + 2 + 4;
const _: () = assert!(BEFORE_PAYLOAD + SEGMENT_BYTES_MAX == TUPLE_BYTES_MAX);

/// Size of the pieces that a large atom is sent in: full segments, about 16 MiB.
pub const PIECE_BYTES: usize = 2048 * SEGMENT_BYTES_MAX;

/// One row of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where its bytes begin in the atom.
    pub raw_offset: u64,
    /// Its bytes, as they are (encoding 0).
    pub payload: &'a [u8],
}

/// Cuts the bytes that begin at `raw_offset` of an atom into segments; only the last may be short.
///
/// Bytes that arrive in pieces make full segments as long as each piece but the last is a multiple of
/// [`SEGMENT_BYTES_MAX`]; other pieces are correct and waste some space.
pub fn segments(raw_offset: u64, bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let starts = (raw_offset..).step_by(SEGMENT_BYTES_MAX);
    bytes.chunks(SEGMENT_BYTES_MAX).zip(starts).map(|(payload, raw_offset)| Segment { raw_offset, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_join_to_the_bytes() {
        for count in [0, 1, 8111, 8112, 8113, 100_000] {
            let bytes: Vec<u8> = (0..count).map(|n: u32| n as u8).collect();
            let mut joined = Vec::new();
            for segment in segments(0, &bytes) {
                assert_eq!(segment.raw_offset, joined.len() as u64);
                joined.extend_from_slice(segment.payload);
            }
            assert_eq!(joined, bytes);
        }
    }
}
