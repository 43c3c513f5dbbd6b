//! A file of this machine, mapped for reading.
//!
//! Mapped pages belong to the page cache, so files of any size pass without memory of our own.  A file that somebody
//! truncates meanwhile ends the program with SIGBUS; a server would read by position instead.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::{Advice, Mmap};

/// The bytes of a file, read-only.
#[derive(Debug)]
pub struct MappedFile {
    /// `None` for an empty file, which cannot be mapped.
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps the file as it is now.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the map is private to this value and only read.  That the file is not truncated or rewritten
        // meanwhile is up to the user, as for every program that maps files: truncation is a signal that ends this
        // process, and changed bytes are refused by the server, because they no longer have the hash announced.
        let map = unsafe { Mmap::map(&file)? };
        // Advice only: reading ahead makes a cold file faster, and failing to advise changes nothing.
        let _ = map.advise(Advice::Sequential);
        Ok(Self { map: Some(map) })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_full_and_empty_files() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], b"x", &[7; 10_000]] {
            let path = dir.path().join("f");
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(&*MappedFile::open(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(MappedFile::open(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
