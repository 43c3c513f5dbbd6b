//! Files back, byte for byte: as chunks for clients, or into files of the server.

use std::io::Write;

use pgrx::prelude::*;
use store::RunningHash;

use crate::pg::error::PgResult;
use crate::pg::fixed_datum::HashDatum;
use crate::pg::varlena::{ByteaBuffer, LentBytea};
use crate::pg::{interrupt, worker};
use crate::server_file::{NewFile, WritableDir};
use crate::stored_file::{FileReader, StoredFile};
use crate::verify::damaged_file;

/// Size of the chunks that clients get: larger ones leave the processor's cache on their way to the socket.
const CHUNK_BYTES: usize = 256 << 10;

/// The chunks of one file as a query takes them; with `verify`, hashed on their way.
struct ChunkStream {
    file: StoredFile,
    reader: FileReader,
    hash: Option<RunningHash>,
    /// Lent to the query chunk by chunk.
    buffer: ByteaBuffer,
}

impl ChunkStream {
    fn new(file: StoredFile, verify: bool) -> Self {
        Self { reader: file.reader(), hash: verify.then(RunningHash::new), file, buffer: ByteaBuffer::EMPTY }
    }

    /// Returns the next chunk and its offset, `None` at the end; raises XX001 for damage.
    fn next_chunk(&mut self) -> PgResult<Option<(u64, LentBytea)>> {
        interrupt::check();
        let start = self.reader.position();
        let count = self.reader.window_bytes(CHUNK_BYTES);
        let chunk = self.buffer.resize(count);
        if count > 0 {
            self.reader.read(chunk).map_err(|_| damaged_file(&self.file))?;
        }
        if let Some(hash) = &mut self.hash {
            hash.update(chunk);
        }
        if self.reader.position() == self.file.size_bytes
            && self.hash.take().is_some_and(|hash| hash.finish() != self.file.content_hash)
        {
            return Err(damaged_file(&self.file));
        }
        Ok((count > 0).then(|| (start, self.buffer.lend())))
    }
}

#[pg_extern(stable, strict, parallel_safe)]
fn export_file_chunks(
    model: &str,
    file: &str,
    verify: default!(bool, true),
) -> PgResult<SetOfIterator<'static, LentBytea>> {
    let mut stream = ChunkStream::new(StoredFile::find(model, file)?, verify);
    Ok(SetOfIterator::new(std::iter::from_fn(move || raise(stream.next_chunk()).map(|(_, bytes)| bytes))))
}

/// Rows of `export_model_chunks`.
type ModelChunks = TableIterator<'static, (name!(file, String), name!(start, i64), name!(bytes, LentBytea))>;

#[pg_extern(stable, strict, parallel_safe)]
fn export_model_chunks(model: &str, verify: default!(bool, true)) -> PgResult<ModelChunks> {
    let files = StoredFile::of_model(model, None)?;
    let rows = files.into_iter().flat_map(move |file| {
        let path = file.path.clone();
        // An empty file has no chunk, and is told by a row without bytes.
        let mut marker = file.size_bytes == 0;
        let mut stream = ChunkStream::new(file, verify);
        std::iter::from_fn(move || {
            let chunk = raise(stream.next_chunk());
            let empty = std::mem::take(&mut marker).then(|| (0, stream.buffer.lend()));
            chunk.or(empty).map(|(start, bytes)| (path.clone(), start as i64, bytes))
        })
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

/// Bytes written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Writes a stored file and puts it under its final name once its hash is right.
fn write_file(stored: &StoredFile, mut new: NewFile) -> PgResult<()> {
    let mut reader = stored.reader();
    let mut hash = RunningHash::new();
    let mut window = Vec::new();
    loop {
        interrupt::check();
        reader.next_window(&mut window, WRITE_BYTES).map_err(|_| damaged_file(stored))?;
        if window.is_empty() {
            break;
        }
        let ((), written) = worker::beside(|| hash.update(&window), || new.file().write_all(&window));
        written.map_err(|error| new.fault("write", &error))?;
    }
    if hash.finish() != stored.content_hash {
        return Err(damaged_file(stored));
    }
    new.keep()
}
