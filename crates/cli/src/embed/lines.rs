//! The lines of a text file, one at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use super::malformed;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::source_file;

/// The longest line that is read: a vector of the most dimensions has some 2 MiB as text.
pub const LINE_BYTES_MAX: u64 = 16 << 20;

/// A file that is read line by line.
pub struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = source_file::open(path)?.into_inner();
        Ok(Self { reader: BufReader::new(file), line: Vec::new(), number: 0 })
    }

    /// Returns the number of the line that was returned last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next line without its end, `\n` or `\r\n`; the mark that some programs begin UTF-8 with is left out.
    pub fn next(&mut self) -> Result<Option<&str>> {
        self.line.clear();
        let limit = LINE_BYTES_MAX + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| Failure::new(Exit::of_io(error.kind()), error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == limit {
            let message = format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.number);
            return Err(Failure::new(Exit::Limit, message));
        }
        let text = std::str::from_utf8(&self.line)
            .map_err(|error| malformed(format!("line {} is no UTF-8: byte {}", self.number, error.valid_up_to())))?;
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        Ok(Some(if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text }))
    }

    /// Reads all lines, goes back to the first, and returns how many there are; `check` may refuse a line.
    pub fn count(&mut self, mut check: impl FnMut(&str, u64) -> Result<()>) -> Result<u64> {
        let mut count = 0;
        while let Some(line) = self.next()? {
            count += 1;
            check(line, count)?;
        }
        self.rewind()?;
        Ok(count)
    }

    /// Goes back to the first line.
    pub fn rewind(&mut self) -> Result<()> {
        self.number = 0;
        self.reader.rewind().map_err(|error| Failure::new(Exit::of_io(error.kind()), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        std::fs::write(&path, bytes).unwrap();
        let mut lines = Lines::open(&path)?;
        let mut found = Vec::new();
        let count = lines.count(|_, _| Ok(()))?;
        while let Some(line) = lines.next()? {
            found.push(line.to_owned());
        }
        assert_eq!(found.len() as u64, count);
        Ok(found)
    }

    #[test]
    fn lines_end_as_both_kinds_of_systems_end_them() {
        assert_eq!(lines(b"").unwrap(), [""; 0]);
        assert_eq!(lines(b"a\n").unwrap(), ["a"]);
        assert_eq!(lines(b"\xef\xbb\xbfa\r\n\nb").unwrap(), ["a", "", "b"]);
        assert_eq!(lines(b"a\rb\n").unwrap(), ["a\rb"]);
    }

    #[test]
    fn lines_that_are_no_text_or_too_long_are_named() {
        assert_eq!(lines(b"a\nb\xff\n").unwrap_err().message, "line 2 is no UTF-8: byte 1");
        let long = vec![b'1'; LINE_BYTES_MAX as usize + 1];
        assert_eq!(lines(&long).unwrap_err().exit(), Exit::Limit);
        assert_eq!(lines(&long[1..]).unwrap().len(), 1);
    }
}
