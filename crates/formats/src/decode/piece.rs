//! Pieces of a block, by their place.  Places and lengths are checked by the compiler, so that nothing is checked per element.

use super::float;

/// Returns `LENGTH` bytes of a block from byte `AT` on.
pub(super) fn field<const AT: usize, const LENGTH: usize, const BYTES: usize>(block: &[u8; BYTES]) -> &[u8; LENGTH] {
    const { assert!(AT < BYTES && LENGTH <= BYTES.saturating_sub(AT), "the field lies within the block") };
    // The assertion above leaves no other case; the compiler sees that too.
    block.get(AT..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; LENGTH])
}

/// Returns the half-precision number at byte `AT`.
pub(super) fn half<const AT: usize, const BYTES: usize>(block: &[u8; BYTES]) -> f32 {
    float::from_half(word::<AT, _>(block))
}

/// Returns the little-endian word at byte `AT`.
pub(super) fn word<const AT: usize, const BYTES: usize>(block: &[u8; BYTES]) -> u16 {
    u16::from_le_bytes(*field::<AT, 2, _>(block))
}

/// Returns the pieces of `N` items that an array or slice consists of.
pub(super) fn pieces<const N: usize, T>(items: &[T]) -> impl Iterator<Item = &[T; N]> {
    items.as_chunks().0.iter()
}

/// Like [`pieces`], to be written.
pub(super) fn pieces_mut<const N: usize, T>(items: &mut [T]) -> impl Iterator<Item = &mut [T; N]> {
    items.as_chunks_mut().0.iter_mut()
}

/// Returns the entry of a table; `index` is below `N` or wraps around.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "N is not 0, and the remainder is below N")]
pub(super) fn pick<T, const N: usize>(table: &[T; N], index: usize) -> &T {
    const { assert!(N.is_power_of_two(), "wrapping around must cost a mask only") };
    &table[index % N]
}

/// Returns the eight bits of a byte, the least significant first.
pub(super) fn bits(byte: u8) -> [bool; 8] {
    [1, 2, 4, 8, 16, 32, 64, 128].map(|mask| byte & mask != 0)
}

/// Returns the two halves of a byte, the lower first.
pub(super) fn nibbles(byte: u8) -> [u8; 2] {
    [byte & 15, byte >> 4]
}

/// Returns the four pairs of bits of a byte, the least significant first.
pub(super) fn crumbs(byte: u8) -> [u8; 4] {
    [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6]
}

/// Writes values, widened, to as many places.
pub(super) fn put(out: &mut [f64], values: impl Iterator<Item = f32>) {
    out.iter_mut().zip(values).for_each(|(out, value)| *out = f64::from(value));
}
