//! The header's text: held whole where it is short, which JSON is read three times as fast from, else a stream, which keeps
//! dense headers within the memory bound.  Each piece that is read asks whether to go on.

use crate::reader::{PIECE_BYTES_MAX, Pieces};
use crate::{FormatError, ReadAt};
use atom::Interrupt;
use std::io::{self, Read};
use std::ops::Range;

/// The longest text that is held: together with what it becomes, less than memory may be taken for any file.
const HELD_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The text of a header, read from front to back.
pub(super) struct HeaderText<'a> {
    pieces: Pieces<'a>,
    stopped: Option<FormatError>,
}

impl<'a> HeaderText<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, span: Range<u64>, interrupt: &'a dyn Interrupt) -> HeaderText<'a> {
        HeaderText { pieces: Pieces::new(source, span, interrupt), stopped: None }
    }

    /// Returns how many bytes to ask for at once.
    pub(super) fn refill_bytes(&self) -> usize {
        let span = self.pieces.span();
        usize::try_from(span.end.saturating_sub(span.start)).unwrap_or(usize::MAX).min(PIECE_BYTES_MAX)
    }

    fn is_held(&self) -> bool {
        let span = self.pieces.span();
        span.end.saturating_sub(span.start) <= HELD_BYTES_MAX
    }

    /// Reads the text whole; None where it is too long to be held.
    pub(super) fn held(&mut self) -> Result<Option<Vec<u8>>, FormatError> {
        if !self.is_held() {
            return Ok(None);
        }
        let span = self.pieces.span();
        let mut held = vec![0; usize::try_from(span.end.saturating_sub(span.start)).unwrap_or(0)];
        for piece in held.chunks_mut(PIECE_BYTES_MAX) {
            self.pieces.read(piece)?;
        }
        Ok(Some(held))
    }

    /// Takes the error that ended the stream early: io::Error could not carry it through the JSON parser.
    pub(super) fn stopped(&mut self) -> Option<FormatError> {
        self.stopped.take()
    }

    /// Returns the absolute position of a line and column as serde_json counts them, by reading the text again.
    ///
    /// A column is how many bytes of its line had been taken: from a stream, with the one that was only looked at.  Errors: as
    /// for reading.
    pub(super) fn locate(&mut self, line: usize, column: usize) -> Result<u64, FormatError> {
        let line_start = self.line_start(line)?;
        let looked_at = if self.is_held() { 0 } else { 1 };
        let taken = u64::try_from(column).unwrap_or(u64::MAX).saturating_sub(looked_at);
        Ok(line_start.saturating_add(taken).min(self.pieces.span().end))
    }

    fn line_start(&mut self, line: usize) -> Result<u64, FormatError> {
        let mut start = self.pieces.span().start;
        self.pieces.seek(start);
        let mut lines_left = line.saturating_sub(1);
        let mut buf = vec![0; self.refill_bytes()];
        while lines_left > 0 {
            let piece_start = self.pieces.position();
            let filled = self.pieces.read(&mut buf)?;
            let piece = buf.get(..filled).unwrap_or_default();
            for (index, _) in piece.iter().enumerate().filter(|(_, byte)| **byte == b'\n').take(lines_left) {
                lines_left = lines_left.saturating_sub(1);
                start = piece_start.saturating_add(index as u64).saturating_add(1);
            }
            if filled == 0 {
                break;
            }
        }
        Ok(start)
    }
}

impl Read for HeaderText<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.pieces.read(buf).map_err(|error| {
            self.stopped = Some(error);
            io::Error::other("stopped")
        })
    }
}
