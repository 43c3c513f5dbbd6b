//! Files of stored models, read from their parts.

use ::atom::ContentHash;
use formats::{ReadAt, SourceError};

use crate::pg::error::{PgResult, code, fault};
use crate::pg::segment::{AtomReader, FilePart, PartReader};
use crate::pg::spi::{self, Row};

/// A file of a stored model.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Its id.
    pub file_id: i64,
    /// The model's name.
    pub model: String,
    /// Path inside the model.
    pub path: String,
    /// Length.
    pub size_bytes: u64,
    /// SHA-256 of the whole file.
    pub content_hash: ContentHash,
}

impl StoredFile {
    /// Returns the files of a model by path, or the one asked for; 42704 for unknown names.
    pub fn of_model(model: &str, file: Option<&str>) -> PgResult<Vec<Self>> {
        const FILES: &str = "SELECT f.file_id, $1, f.path, f.size_bytes, f.content_hash::pg_catalog.bytea FROM atoms.model_file f \
            WHERE f.model_id OPERATOR(pg_catalog.=) atoms.model_id($1) \
              AND ($2 IS NULL OR f.file_id OPERATOR(pg_catalog.=) atoms.file_id($1, $2)) ORDER BY f.path";
        Ok(spi::query(FILES, &[model.into(), file.into()], |row| Self::of_row(&row, 1)))
    }

    /// Reads file_id, the model's name, path, size and hash from five columns of a row, from number `first` on.
    pub fn of_row(row: &Row<'_>, first: usize) -> Self {
        Self {
            file_id: row.get(first),
            model: row.get(first + 1),
            path: row.get(first + 2),
            size_bytes: row.get::<i64>(first + 3) as u64,
            content_hash: crate::atom::hash_of(row.get(first + 4)),
        }
    }

    /// Returns the file with an id; 42704 when there is none.
    pub fn by_id(file_id: i64) -> PgResult<Self> {
        const FILE: &str = "SELECT f.file_id, m.name, f.path, f.size_bytes, f.content_hash::pg_catalog.bytea \
            FROM atoms.model_file f JOIN atoms.model m ON m.model_id OPERATOR(pg_catalog.=) f.model_id \
            WHERE f.file_id OPERATOR(pg_catalog.=) $1";
        let found = spi::query(FILE, &[file_id.into()], |row| Self::of_row(&row, 1)).pop();
        found.ok_or_else(|| fault(code::UNKNOWN, format!("file {file_id} does not exist")))
    }

    /// Returns the file asked for; 42704 for unknown names.
    pub fn find(model: &str, file: &str) -> PgResult<Self> {
        let found = Self::of_model(model, Some(file))?.pop();
        found.ok_or_else(|| fault(code::UNKNOWN, format!("model \"{model}\" has no file \"{file}\"")))
    }

    /// Begins to read the file from its first byte.
    pub fn reader(&self) -> FileReader {
        FileReader { file_id: self.file_id, size_bytes: self.size_bytes, position: 0, part_no: 0 }
    }
}

/// Stored bytes of a file cannot be read.
#[derive(Debug)]
pub struct FileDamage {
    /// What is wrong, without a full stop.
    pub problem: String,
}

impl std::fmt::Display for FileDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for FileDamage {}

/// Reads a stored file in order.  Holds no table open between two windows, so it may live as long as a query.
#[derive(Debug, Clone)]
pub struct FileReader {
    file_id: i64,
    size_bytes: u64,
    position: u64,
    /// The part that holds `position`, or one before it.
    part_no: i32,
}

impl FileReader {
    /// Returns the position of the next byte.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at another byte.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
        self.part_no = PartReader::open().number_at(self.file_id, position);
    }

    /// Fills `buffer` with the next bytes, at most `most`; nothing at the end of the file.
    pub fn next_window(&mut self, buffer: &mut Vec<u8>, most: usize) -> Result<(), FileDamage> {
        let count = self.window_bytes(most);
        buffer.resize(count, 0);
        if count > 0 {
            self.read(buffer)?;
        }
        Ok(())
    }

    /// Returns how many bytes a window of at most `most` has: fewer at the end of the file, 0 behind it.
    pub fn window_bytes(&self, most: usize) -> usize {
        (self.size_bytes - self.position).min(most as u64) as usize
    }

    /// Fills `buffer` with the next bytes, of which there are enough.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<(), FileDamage> {
        let (start, end) = (self.position, self.position + buffer.len() as u64);
        let atoms = AtomReader::open();
        let mut result = Ok(());
        PartReader::open().each(self.file_id, self.part_no, |part| {
            self.part_no = part.part_no;
            if part.byte_offset + part.byte_length > self.position {
                result = copy_part(&atoms, &part, start, end, &mut self.position, buffer);
            }
            result.is_ok() && self.position < end
        });
        result?;
        if self.position < end {
            return Err(FileDamage { problem: format!("the part at byte {} is missing", self.position) });
        }
        Ok(())
    }
}

/// Copies what a part holds of the range `start..end`; `position` is the next byte wanted.
fn copy_part(
    atoms: &AtomReader,
    part: &FilePart,
    start: u64,
    end: u64,
    position: &mut u64,
    buffer: &mut [u8],
) -> Result<(), FileDamage> {
    if part.byte_offset > *position {
        return Err(FileDamage { problem: format!("the part at byte {position} is missing") });
    }
    let row =
        atoms.find(part.atom_id).ok_or_else(|| FileDamage { problem: format!("atom {} is gone", part.atom_id) })?;
    let until = end.min(part.byte_offset + part.byte_length);
    let window = &mut buffer[(*position - start) as usize..(until - start) as usize];
    atoms.read(&row, *position - part.byte_offset, window).map_err(|damage| FileDamage {
        problem: format!("atom {} with hash {}: {}", row.atom_id, row.content_hash, damage.0),
    })?;
    *position = until;
    Ok(())
}

/// A stored file as the readers of formats want it.
impl ReadAt for StoredFile {
    fn size(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size_bytes) {
            return Err(SourceError::past_end(offset, buffer.len(), self.size_bytes));
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let mut reader = self.reader();
        reader.seek(offset);
        reader.read(buffer).map_err(|damage| SourceError::Foreign(Box::new(damage)))
    }
}
