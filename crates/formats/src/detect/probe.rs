//! A file while its format is looked for: its first bytes at hand, others by position, a few at a time.

use crate::{FormatError, Limits, ReadAt};
use atom::Interrupt;

/// Bytes of the file's start that every rule may look at.
const HEAD_BYTES: usize = 16 << 10;

/// A source, its first bytes, and whom to ask whether to go on.
pub(super) struct Probe<'a> {
    /// The file.
    pub(super) source: &'a dyn ReadAt,
    /// Whom to ask whether to go on; asked before each read.
    pub(super) interrupt: &'a dyn Interrupt,
    /// What a header may cost.
    pub(super) limits: &'a Limits,
    head: Vec<u8>,
}

impl<'a> Probe<'a> {
    /// Reads the head.
    pub(super) fn new(
        source: &'a dyn ReadAt,
        limits: &'a Limits,
        interrupt: &'a dyn Interrupt,
    ) -> Result<Probe<'a>, FormatError> {
        let mut probe = Probe { source, interrupt, limits, head: Vec::new() };
        probe.head = probe.bytes(0, HEAD_BYTES)?;
        Ok(probe)
    }

    /// Returns the first bytes of the file, all of them when it is small.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Tells whether the head is the whole file.
    pub(super) fn head_is_all(&self) -> bool {
        self.head.len() as u64 == self.size()
    }

    /// Returns the bytes that the file has.
    pub(super) fn size(&self) -> u64 {
        self.source.size()
    }

    /// Returns `count` bytes from `offset` on, fewer where the file ends.
    pub(super) fn bytes(&self, offset: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        self.interrupt.check().map_err(|_| FormatError::Interrupted { offset })?;
        let left = self.size().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(count)];
        if !bytes.is_empty() {
            self.source.read_exact_at(offset, &mut bytes).map_err(|error| FormatError::Source { error, offset })?;
        }
        Ok(bytes)
    }

    /// Returns N bytes, None when the file ends before.
    pub(super) fn array<const N: usize>(&self, offset: u64) -> Result<Option<[u8; N]>, FormatError> {
        Ok(self.bytes(offset, N)?.first_chunk().copied())
    }
}

/// A moving view of a file for small reads at rising positions.
pub(super) struct Window<'a> {
    probe: &'a Probe<'a>,
    bytes_max: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Returns a view that reads `bytes_max` bytes at a time.
    pub(super) fn new(probe: &'a Probe<'a>, bytes_max: usize) -> Window<'a> {
        Window { probe, bytes_max, start: 0, bytes: Vec::new() }
    }

    /// Returns `count` bytes from `offset` on, fewer where the file ends; never more than the view is wide.
    pub(super) fn slice(&mut self, offset: u64, count: usize) -> Result<&[u8], FormatError> {
        let count = count.min(self.bytes_max);
        if !self.holds(offset, count) {
            self.bytes = self.probe.bytes(offset, self.bytes_max)?;
            self.start = offset;
        }
        let skipped = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let rest = self.bytes.get(skipped..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }

    /// Returns one byte, None at the end of the file.
    pub(super) fn byte(&mut self, offset: u64) -> Result<Option<u8>, FormatError> {
        Ok(self.slice(offset, 1)?.first().copied())
    }

    /// Tells whether the view has these bytes, or those of them that the file has.
    fn holds(&self, offset: u64, count: usize) -> bool {
        let wanted_end = offset.saturating_add(count as u64).min(self.probe.size());
        offset >= self.start && wanted_end <= self.start.saturating_add(self.bytes.len() as u64)
    }
}

/// Returns the little-endian u16 at a position of a slice.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

/// Returns the little-endian u32 at a position of a slice.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Returns the little-endian u64 at a position of a slice.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Returns the bytes of a slice behind the first occurrence of a word.
pub(super) fn after<'b>(bytes: &'b [u8], word: &[u8]) -> Option<&'b [u8]> {
    let at = bytes.windows(word.len()).position(|window| window == word)?;
    bytes.get(at.checked_add(word.len())?..)
}
