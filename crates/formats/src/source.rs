//! Where bytes come from.  A source is read at positions; nothing here opens a path.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a source could not be read.
#[derive(Debug)]
pub enum SourceError {
    /// The operating system, or the end of the bytes.
    Io(io::Error),
    /// The error of whoever implements [`ReadAt`], handed through untouched.
    Foreign(Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// Returns the error for a read that ends behind the last byte.
    pub fn past_end(offset: u64, length: usize, size: u64) -> SourceError {
        let text = format!("cannot read {length} bytes at byte {offset} of {size}");
        SourceError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, text))
    }

    /// Returns the kind of an I/O error, `Other` for a foreign one.
    pub fn io_kind(&self) -> io::ErrorKind {
        match self {
            SourceError::Io(error) => error.kind(),
            SourceError::Foreign(_) => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Io(error) => error.fmt(f),
            SourceError::Foreign(error) => error.fmt(f),
        }
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SourceError::Io(error) => Some(error),
            SourceError::Foreign(error) => Some(error.as_ref()),
        }
    }
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> SourceError {
        SourceError::Io(error)
    }
}

/// Bytes of known size that can be read at any position, by several threads at once.
pub trait ReadAt: Sync {
    /// Returns the number of bytes.  It never changes.
    fn size(&self) -> u64;

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// Errors: any byte of the range cannot be read, or lies behind the end; `buf` is then unspecified.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError>;
}

/// Bytes in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl ReadAt for Bytes<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(buf.len()));
        match start.zip(end).and_then(|(start, end)| self.0.get(start..end)) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(SourceError::past_end(offset, buf.len(), self.size())),
        }
    }
}

/// A file that somebody else opened, read by position; its cursor is neither used nor moved.
#[derive(Debug)]
pub struct FileSource {
    file: std::fs::File,
    size: u64,
}

impl FileSource {
    /// Wraps an open file; its size is asked once, now.
    ///
    /// Errors: the size cannot be learnt.
    pub fn new(file: std::fs::File) -> Result<FileSource, SourceError> {
        let size = file.metadata()?.len();
        Ok(FileSource { file, size })
    }

    /// Returns the file.
    pub fn into_inner(self) -> std::fs::File {
        self.file
    }
}

impl ReadAt for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        use std::os::unix::fs::FileExt;
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, FileSource, ReadAt};
    use std::io::{ErrorKind, Write};

    fn refuses_ranges_outside(source: &dyn ReadAt) {
        assert_eq!(source.size(), 5);
        let mut buf = [0; 3];
        source.read_exact_at(2, &mut buf).unwrap();
        assert_eq!(&buf, b"cde");
        source.read_exact_at(5, &mut []).unwrap();
        for offset in [3, 5, 6] {
            let error = source.read_exact_at(offset, &mut buf).unwrap_err();
            assert_eq!(error.io_kind(), ErrorKind::UnexpectedEof, "{offset}");
        }
        source.read_exact_at(u64::MAX, &mut buf).unwrap_err();
    }

    #[test]
    fn bytes_and_files_read_alike() {
        refuses_ranges_outside(&Bytes(b"abcde"));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcde").unwrap();
        refuses_ranges_outside(&FileSource::new(file).unwrap());
    }
}
