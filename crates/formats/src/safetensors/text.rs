//! The header's text as a stream.  It is never held whole, which is what keeps dense headers within the memory bound, and
//! each refill asks whether to go on, so that every loop over JSON can be interrupted.

use crate::{FormatError, ReadAt};
use atom::Interrupt;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes read from the source at once, at most.
const REFILL_BYTES_MAX: usize = 64 * 1024;

/// The text of a header, read from front to back.
pub(super) struct HeaderText<'a> {
    source: &'a dyn ReadAt,
    interrupt: &'a dyn Interrupt,
    span: Range<u64>,
    next: u64,
    stopped: Option<FormatError>,
}

impl<'a> HeaderText<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, span: Range<u64>, interrupt: &'a dyn Interrupt) -> HeaderText<'a> {
        HeaderText { source, interrupt, next: span.start, span, stopped: None }
    }

    /// Returns how many bytes to ask for at once.
    pub(super) fn refill_bytes(&self) -> usize {
        let span = self.span.end.saturating_sub(self.span.start);
        usize::try_from(span).unwrap_or(usize::MAX).min(REFILL_BYTES_MAX)
    }

    /// Takes the error that ended the stream early: io::Error could not carry it through the JSON parser.
    pub(super) fn stopped(&mut self) -> Option<FormatError> {
        self.stopped.take()
    }

    /// Returns the absolute position of a line and column as serde_json counts them, by reading the text again.
    ///
    /// A column is how many bytes of its line had been taken.  Errors: as for reading.
    pub(super) fn locate(&mut self, line: usize, column: usize) -> Result<u64, FormatError> {
        let line_start = self.line_start(line)?;
        let taken = u64::try_from(column).unwrap_or(u64::MAX);
        Ok(line_start.saturating_add(taken.saturating_sub(1)).min(self.span.end))
    }

    fn line_start(&mut self, line: usize) -> Result<u64, FormatError> {
        self.next = self.span.start;
        let mut lines_left = line.saturating_sub(1);
        let mut start = self.span.start;
        let mut buf = vec![0; self.refill_bytes()];
        while lines_left > 0 {
            let piece_start = self.next;
            let filled = self.read(&mut buf).unwrap_or(0);
            if let Some(stopped) = self.stopped() {
                return Err(stopped);
            }
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

    fn refill(&mut self, buf: &mut [u8]) -> Result<(), FormatError> {
        let offset = self.next;
        self.interrupt.check().map_err(|_| FormatError::Interrupted { offset })?;
        self.source.read_exact_at(offset, buf).map_err(|error| FormatError::Source { error, offset })?;
        self.next = offset.saturating_add(buf.len() as u64);
        Ok(())
    }
}

impl Read for HeaderText<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.span.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let Some(buf) = buf.get_mut(..wanted).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        match self.refill(buf) {
            Ok(()) => Ok(wanted),
            Err(error) => {
                self.stopped = Some(error);
                Err(io::Error::other("stopped"))
            }
        }
    }
}
