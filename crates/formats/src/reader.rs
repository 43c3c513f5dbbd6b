//! The one bounded reader: bytes of a span from front to back, nothing beyond it, and nothing taken before it is known to be
//! there.  [`Pieces`] hands out runs of bytes; [`Reader`] hands out numbers and strings.
//!
//! Every run, and at least every 1,024th number, asks whether to go on, so that no loop over a file's bytes can hang.

use crate::{ByteOrder, Fault, FormatError, ReadAt};
use atom::Interrupt;
use std::ops::Range;

/// Bytes read from the source at once, at most.
pub(crate) const PIECE_BYTES_MAX: usize = 64 * 1024;
/// The first window is small, because most headers are; each further one is twice as large.
const FIRST_WINDOW_BYTES: usize = 4 * 1024;
/// Numbers and strings between two questions whether to go on.
const STEPS_PER_CHECK: u32 = 1024;

/// Reads a few bytes at a position.
pub(crate) fn bytes_at<const N: usize>(source: &dyn ReadAt, offset: u64) -> Result<[u8; N], FormatError> {
    let mut bytes = [0; N];
    source.read_exact_at(offset, &mut bytes).map_err(|error| FormatError::Source { error, offset })?;
    Ok(bytes)
}

/// A span of a source, read in runs of the caller's size.
pub(crate) struct Pieces<'a> {
    source: &'a dyn ReadAt,
    interrupt: &'a dyn Interrupt,
    span: Range<u64>,
    next: u64,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt, span: Range<u64>, interrupt: &'a dyn Interrupt) -> Pieces<'a> {
        Pieces { source, interrupt, next: span.start, span }
    }

    /// Returns the absolute position of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Goes on at an absolute position, at most the end of the span.
    pub(crate) fn seek(&mut self, position: u64) {
        self.next = position.min(self.span.end);
    }

    /// Returns the span.
    pub(crate) fn span(&self) -> Range<u64> {
        self.span.clone()
    }

    /// Asks whether to go on.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        self.interrupt.check().map_err(|_| FormatError::Interrupted { offset: self.next })
    }

    /// Fills the buffer, or as much of it as the span has left; returns how many bytes that were.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, FormatError> {
        let left = usize::try_from(self.span.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let Some(buf) = buf.get_mut(..wanted).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        self.check()?;
        let offset = self.next;
        self.source.read_exact_at(offset, buf).map_err(|error| FormatError::Source { error, offset })?;
        self.next = offset.saturating_add(wanted as u64);
        Ok(wanted)
    }
}

/// Numbers and strings of a span.  What is read is named, so that a file that ends too early is told where.
pub(crate) struct Reader<'a> {
    /// The part of the file that the limit lets be read.
    pieces: Pieces<'a>,
    /// The end of the file.
    end: u64,
    order: ByteOrder,
    window: Vec<u8>,
    /// The next byte of the window.
    at: usize,
    steps: u32,
}

impl<'a> Reader<'a> {
    /// Begins at the start of a span; after `limit` bytes of it the file is refused for its length.
    pub(crate) fn new(
        source: &'a dyn ReadAt,
        span: Range<u64>,
        limit: u64,
        interrupt: &'a dyn Interrupt,
    ) -> Reader<'a> {
        let end = span.end;
        let readable = span.start..span.start.saturating_add(limit).min(end);
        let pieces = Pieces::new(source, readable, interrupt);
        Reader { pieces, end, order: ByteOrder::Little, window: Vec::new(), at: 0, steps: 0 }
    }

    /// Takes numbers in this order from now on.
    pub(crate) fn set_order(&mut self, order: ByteOrder) {
        self.order = order;
    }

    /// Returns the absolute position of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.pieces.position().saturating_sub(self.window.len().saturating_sub(self.at) as u64)
    }

    /// Returns the bytes that the span has left.
    pub(crate) fn left(&self) -> u64 {
        self.end.saturating_sub(self.position())
    }

    /// Proves that `what`, so many bytes long, lies within the span and the limit.
    fn prove(&self, bytes: u64, what: &'static str) -> Result<(), FormatError> {
        let (offset, left) = (self.position(), self.left());
        if bytes > left {
            return Err(Fault::CutShort { what, within: None, needed: bytes, left }.at(offset));
        }
        let readable = self.pieces.span();
        let behind = offset.saturating_add(bytes);
        if behind > readable.end {
            let [value, limit] = [behind, readable.end].map(|end| end.saturating_sub(readable.start));
            return Err(Fault::Limit { what: "header bytes", within: None, value, limit }.at(offset));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), FormatError> {
        self.steps = self.steps.wrapping_add(1);
        match self.steps.is_multiple_of(STEPS_PER_CHECK) {
            true => self.pieces.check(),
            false => Ok(()),
        }
    }

    /// Reads the next window; false at the end of the span.
    fn refill(&mut self) -> Result<bool, FormatError> {
        let size = self.window.len().saturating_mul(2).clamp(FIRST_WINDOW_BYTES, PIECE_BYTES_MAX);
        self.window.resize(size, 0);
        self.at = 0;
        // Emptied first: after an error nothing of an old window may be left.
        let filled = self.pieces.read(&mut self.window).inspect_err(|_| self.window.clear())?;
        self.window.truncate(filled);
        Ok(filled > 0)
    }

    /// Fills a buffer that was proved to lie within the span.
    fn fill(&mut self, mut out: &mut [u8]) -> Result<(), FormatError> {
        while !out.is_empty() {
            let ready = self.window.get(self.at..).unwrap_or_default();
            let count = ready.len().min(out.len());
            let (front, rest) = out.split_at_mut_checked(count).unwrap_or_default();
            front.copy_from_slice(ready.get(..count).unwrap_or_default());
            self.at = self.at.saturating_add(count);
            out = rest;
            if !out.is_empty() && !self.refill()? {
                break;
            }
        }
        Ok(())
    }

    /// Reads so many bytes.
    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        self.step()?;
        if let Some(bytes) = self.window.get(self.at..).and_then(<[u8]>::first_chunk::<N>) {
            // Within the window, hence within span and limit.
            let bytes = *bytes;
            self.at = self.at.saturating_add(N);
            return Ok(bytes);
        }
        self.prove(N as u64, what)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, FormatError> {
        self.array(what).map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        let bytes = self.array(what)?;
        Ok(match self.order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        })
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        let bytes = self.array(what)?;
        Ok(match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        let bytes = self.array(what)?;
        Ok(match self.order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    }

    /// Reads a string of bytes; memory is taken once they are known to be there.
    pub(crate) fn bytes(&mut self, length: u64, what: &'static str) -> Result<Vec<u8>, FormatError> {
        self.step()?;
        self.prove(length, what)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        for piece in bytes.chunks_mut(PIECE_BYTES_MAX) {
            self.fill(piece)?;
        }
        Ok(bytes)
    }

    /// Goes past bytes without reading those behind the window.
    pub(crate) fn skip(&mut self, length: u64, what: &'static str) -> Result<(), FormatError> {
        self.step()?;
        let ready = self.window.len().saturating_sub(self.at);
        match usize::try_from(length).ok().filter(|length| *length <= ready) {
            Some(length) => self.at = self.at.saturating_add(length),
            None => {
                self.prove(length, what)?;
                let target = self.position().saturating_add(length);
                self.pieces.seek(target);
                self.window.clear();
                self.at = 0;
            }
        }
        Ok(())
    }

    /// Proves a count from the file: so many entries of at least `bytes_min` fit what is left, and `max` allows them.
    pub(crate) fn prove_count(
        &self,
        count: u64,
        bytes_min: u64,
        max: u64,
        what: &'static str,
    ) -> Result<(), FormatError> {
        let (offset, left) = (self.position(), self.left());
        if count.checked_mul(bytes_min).is_none_or(|bytes| bytes > left) {
            return Err(Fault::CountPastEnd { what, within: None, count, left }.at(offset));
        }
        match count > max {
            true => Err(Fault::Limit { what, within: None, value: count, limit: max }.at(offset)),
            false => Ok(()),
        }
    }
}
