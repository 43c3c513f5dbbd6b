//! Files back, byte for byte: as chunks for clients, or into files of the server.

use std::io::Write;

use ::atom::ContentHash;
use formats::{ReadAt, SourceError};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use store::RunningHash;

use crate::pg::error::{PgResult, code, fault};
use crate::pg::hash_datum::HashDatum;
use crate::pg::segment::{AtomReader, FilePart, PartReader};
use crate::pg::{interrupt, spi, worker};
use crate::server_file::{NewFile, WritableDir};
use crate::verify::file_problems;

/// Size of the chunks that clients get.
const CHUNK_BYTES: usize = 1 << 20;

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
        const FILES: &str = "SELECT f.file_id, f.path, f.size_bytes, f.content_hash::bytea FROM atoms.model_file f \
            WHERE f.model_id OPERATOR(pg_catalog.=) atoms.model_id($1) \
              AND ($2 IS NULL OR f.file_id OPERATOR(pg_catalog.=) atoms.file_id($1, $2)) ORDER BY f.path";
        Ok(spi::query(FILES, &[model.into(), file.into()], |row| Self {
            file_id: row.get(1),
            model: model.to_owned(),
            path: row.get(2),
            size_bytes: row.get::<i64>(3) as u64,
            content_hash: crate::atom::hash_of(row.get(4)),
        }))
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

    /// The error for a file whose bytes are not what they were: names atom, file and model.
    pub fn damaged(&self) -> ErrorReport {
        let report = fault(code::DAMAGED, format!("file \"{}\" of model \"{}\" is damaged", self.path, self.model));
        let lines: Vec<String> = file_problems(self)
            .into_iter()
            .map(|(row, problem)| match row {
                Some(row) => format!("Atom {} with hash {}: {problem}.", row.atom_id, row.content_hash),
                None => format!("The file: {problem}."),
            })
            .collect();
        report.set_detail(lines.join("\n")).set_hint("Drop each model that atoms.verify_atoms() names, collect the damaged atom with atoms.vacuum_atoms('0'), and import from the source again.")
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
        let count = (self.size_bytes - self.position).min(most as u64) as usize;
        buffer.resize(count, 0);
        if count > 0 {
            self.read(buffer)?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), FileDamage> {
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

/// The chunks of one file as a query takes them; with `verify`, hashed on their way.
struct ChunkStream {
    file: StoredFile,
    reader: FileReader,
    hash: Option<RunningHash>,
}

impl ChunkStream {
    fn new(file: StoredFile, verify: bool) -> Self {
        Self { reader: file.reader(), hash: verify.then(RunningHash::new), file }
    }

    /// Returns the next chunk and its offset, `None` at the end; raises XX001 for damage.
    fn next_chunk(&mut self) -> PgResult<Option<(u64, Vec<u8>)>> {
        interrupt::check();
        let start = self.reader.position();
        let mut chunk = Vec::new();
        self.reader.next_window(&mut chunk, CHUNK_BYTES).map_err(|_| self.file.damaged())?;
        if let Some(hash) = &mut self.hash {
            hash.update(&chunk);
        }
        if self.reader.position() == self.file.size_bytes
            && self.hash.take().is_some_and(|hash| hash.finish() != self.file.content_hash)
        {
            return Err(self.file.damaged());
        }
        Ok((!chunk.is_empty()).then_some((start, chunk)))
    }
}

#[pg_extern(stable, strict, parallel_safe)]
fn export_file_chunks(
    model: &str,
    file: &str,
    verify: default!(bool, true),
) -> PgResult<SetOfIterator<'static, Vec<u8>>> {
    let mut stream = ChunkStream::new(StoredFile::find(model, file)?, verify);
    Ok(SetOfIterator::new(std::iter::from_fn(move || raise(stream.next_chunk()).map(|(_, bytes)| bytes))))
}

/// Rows of `export_model_chunks`.
type ModelChunks = TableIterator<'static, (name!(file, String), name!(start, i64), name!(bytes, Vec<u8>))>;

#[pg_extern(stable, strict, parallel_safe)]
fn export_model_chunks(model: &str, verify: default!(bool, true)) -> PgResult<ModelChunks> {
    let files = StoredFile::of_model(model, None)?;
    let rows = files.into_iter().flat_map(move |file| {
        let (path, empty) = (file.path.clone(), file.size_bytes == 0);
        let mut stream = ChunkStream::new(file, verify);
        let marker = empty.then(|| (path.clone(), 0, Vec::new()));
        marker.into_iter().chain(std::iter::from_fn(move || {
            raise(stream.next_chunk()).map(|(start, bytes)| (path.clone(), start as i64, bytes))
        }))
    });
    Ok(TableIterator::new(rows))
}

/// Iterators of set-returning functions have no place for an error: it is raised.
fn raise<T>(result: PgResult<Option<T>>) -> Option<T> {
    result.unwrap_or_else(|report| {
        report.report(PgLogLevel::ERROR);
        None
    })
}

#[pg_extern(stable, strict)]
fn export_file(model: &str, file: &str, server_path: &str) -> PgResult<HashDatum> {
    let stored = StoredFile::find(model, file)?;
    let new = NewFile::create(server_path)?;
    write_file(&stored, new)?;
    Ok(HashDatum(stored.content_hash))
}

/// Rows of `export_model`.
type Exported = TableIterator<'static, (name!(path, String), name!(size_bytes, i64), name!(content_hash, HashDatum))>;

#[pg_extern(stable, strict)]
fn export_model(model: &str, server_dir: &str) -> PgResult<Exported> {
    let files = StoredFile::of_model(model, None)?;
    let dir = WritableDir::open_or_create(server_dir)?;
    let mut rows = Vec::new();
    for stored in files {
        write_file(&stored, dir.create(&stored.path)?)?;
        rows.push((stored.path, stored.size_bytes as i64, HashDatum(stored.content_hash)));
    }
    Ok(TableIterator::new(rows))
}

/// Writes a stored file and puts it under its final name once its hash is right.
fn write_file(stored: &StoredFile, mut new: NewFile) -> PgResult<()> {
    let mut reader = stored.reader();
    let mut hash = RunningHash::new();
    let mut window = Vec::new();
    loop {
        interrupt::check();
        reader.next_window(&mut window, CHUNK_BYTES).map_err(|_| stored.damaged())?;
        if window.is_empty() {
            break;
        }
        let ((), written) = worker::beside(|| hash.update(&window), || new.file().write_all(&window));
        written.map_err(|error| new.fault("write", &error))?;
    }
    if hash.finish() != stored.content_hash {
        return Err(stored.damaged());
    }
    new.keep()
}
