//! The server as a client of the protocol: imports files of the server, or bytes given, step by step.
//!
//! Opens files as the caller and hands their bytes to the SECURITY DEFINER steps.  Runs under the caller's search_path, so its SQL
//! calls nothing but functions of the schema `atoms`.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::atom::ContentHash;
use formats::{Bytes, ReadAt};
use pgrx::prelude::*;
use store::{BATCH_BYTES_MAX, Cutter, PIECE_BYTES, Span, Strategy, spans};

use super::scan::{ImportFile, MissingPart, import_files, next_missing};
use crate::atom::hash_array;
use crate::pg::error::{PgResult, code, fault};
use crate::pg::varlena::{ByteaArray, ByteaBuffer};
use crate::pg::{interrupt, spi};
use crate::server_file::{self, ServerFile, io_fault};
use crate::tensor::structure_for_import;

/// What `begin_import` takes besides the manifest.
struct Wishes<'a> {
    model: &'a str,
    strategy: &'a str,
    chunk_bytes: i32,
    on_exists: &'a str,
}

fn begin(wishes: &Wishes<'_>, files: Vec<String>, sizes: Vec<i64>, stamps: Option<Vec<String>>) -> Option<i64> {
    const BEGIN: &str = "SELECT atoms.begin_import($1, $2, $3, $4, $5, $6, $7)";
    let args = [
        wishes.model.into(),
        files.into(),
        sizes.into(),
        wishes.strategy.into(),
        wishes.chunk_bytes.into(),
        wishes.on_exists.into(),
        stamps.into(),
    ];
    spi::rows(BEGIN, &args, |row| row.optional::<i64>(1)).into_iter().next().flatten()
}

#[pg_extern]
fn begin_server_import(
    model: Option<&str>,
    path: Option<&str>,
    strategy: Option<&str>,
    chunk_bytes: Option<i32>,
    on_exists: Option<&str>,
) -> PgResult<Option<i64>> {
    let (Some(model), Some(path), Some(strategy), Some(chunk_bytes), Some(on_exists)) =
        (model, path, strategy, chunk_bytes, on_exists)
    else {
        return Err(fault(code::ARGUMENT, "an import takes no NULL"));
    };
    let mut manifest = (Vec::new(), Vec::new(), Vec::new());
    for (inside, path) in server_file::list(Path::new(path))? {
        let opened = ServerFile::open(&path)?;
        manifest.0.push(inside);
        manifest.1.push(opened.size_bytes as i64);
        manifest.2.push(opened.stamp);
    }
    Ok(begin(&Wishes { model, strategy, chunk_bytes, on_exists }, manifest.0, manifest.1, Some(manifest.2)))
}

#[pg_extern(strict)]
fn import_step(import_id: i64, path: &str) -> PgResult<bool> {
    let root = Path::new(path);
    step(import_id, |file| {
        let place = place_of(root, &file.path);
        let opened = ServerFile::open(&place)?;
        if file.stamp.as_deref() != Some(&opened.stamp) {
            return Err(fault(code::STATE, format!("file \"{}\" has changed since its import began", place.display()))
                .set_hint("Import it again from the start: what is unchanged is not stored twice."));
        }
        Ok(Box::new(opened.into_source()?))
    })
}

/// A file named alone is the import's only one; else the paths are relative to the folder.
fn place_of(root: &Path, inside: &str) -> PathBuf {
    if root.is_dir() { root.join(inside) } else { root.to_owned() }
}

#[pg_extern]
fn import_bytes_at_once(
    model: Option<&str>,
    file: Option<&str>,
    file_data: Option<&[u8]>,
    strategy: default!(Option<&str>, "'tensor'"),
    chunk_bytes: default!(Option<i32>, "65536"),
    on_exists: default!(Option<&str>, "'error'"),
) -> PgResult<bool> {
    let (Some(model), Some(file), Some(bytes), Some(strategy), Some(chunk_bytes), Some(on_exists)) =
        (model, file, file_data, strategy, chunk_bytes, on_exists)
    else {
        return Err(fault(code::ARGUMENT, "an import takes no NULL"));
    };
    let wishes = Wishes { model, strategy, chunk_bytes, on_exists };
    let Some(import_id) = begin(&wishes, vec![file.to_owned()], vec![bytes.len() as i64], None) else {
        return Ok(false);
    };
    while step(import_id, |_| Ok(Box::new(Bytes(bytes))))? {}
    Ok(true)
}

/// Does the next at most 64 MiB, or about a second, of an import; false when the model is complete and visible.
fn step<'a>(import_id: i64, open: impl Fn(&ImportFile) -> PgResult<Box<dyn ReadAt + 'a>>) -> PgResult<bool> {
    for file in import_files(import_id) {
        if !file.hashed {
            scan(import_id, open(&file)?.as_ref(), &file)?;
            return Ok(true);
        }
        let missing = next_missing(import_id, file.file_no, ROWS_PER_BATCH);
        if !missing.is_empty() {
            send(import_id, &missing, open(&file)?.as_ref(), &file)?;
            return Ok(true);
        }
    }
    spi::run("SELECT atoms.finish_import($1)", &[import_id.into()]);
    BUFFER.take();
    Ok(false)
}

/// Bytes of a batch that is read a second time: small enough that the allocator keeps the memory.
const WINDOW_BYTES: u64 = 16 << 20;
/// Most parts that one announcement takes.
const PARTS_PER_ANNOUNCEMENT: usize = 65_536;
/// Missing parts looked at for one batch.
const ROWS_PER_BATCH: i32 = 16_384;
/// Time after which a step begins nothing more.
const STEP_TIME: Duration = Duration::from_millis(500);

/// Hands on the next bytes of a file: they are hashed, the parts that end in them announced, and stored when they are whole.
///
/// One batch a transaction: atoms of several batches would be inserted out of hash order, and two imports could deadlock.
fn scan(import_id: i64, source: &dyn ReadAt, file: &ImportFile) -> PgResult<()> {
    const IMPORT: &CStr = c"SELECT atoms.import_bytes($1, $2, $3, $4, $5, $6)";
    let strategy = strategy_of(import_id)?;
    let start = resume_at(file, strategy);
    let mut cutter = Cutter::starting_at(spans_of(import_id, file, source)?, strategy, start);
    let mut buffer = BUFFER.take();
    read(source, file, start, buffer.resize((file.size_bytes - start).min(BATCH_BYTES_MAX) as usize))?;
    let mut parts = cutter.push(buffer.bytes());
    parts.truncate(PARTS_PER_ANNOUNCEMENT);
    // Content-defined cutting is taken up again only where a part begins; a part cut off is better read again whole.
    let whole = parts.last().map_or(0, |last| (last.offset + last.length - start) as usize);
    let open_is_short = cutter.open_part_bytes_max() <= BATCH_BYTES_MAX;
    if whole > 0 && (open_is_short || parts.len() == PARTS_PER_ANNOUNCEMENT) {
        buffer.shorten(whole);
    }
    let lengths: Vec<i64> = parts.iter().map(|part| part.length as i64).collect();
    let modalities: Vec<String> = parts.iter().map(|part| part.modality.name().to_owned()).collect();
    let args = [
        import_id.into(),
        file.file_no.into(),
        (start as i64).into(),
        buffer.argument(),
        lengths.into(),
        modalities.into(),
    ];
    spi::run_with_large_arguments(IMPORT, &args);
    BUFFER.set(buffer);
    Ok(())
}

thread_local! {
    /// Memory for the bytes at hand, kept from one step to the next: fresh pages cost as much as hashing does.
    static BUFFER: RefCell<ByteaBuffer> = const { RefCell::new(ByteaBuffer::EMPTY) };
}

/// Spans of the file at hand, so that its header is read once per session and not once per step.
struct KnownSpans {
    import_id: i64,
    file_no: i32,
    spans: Vec<Span>,
}

thread_local! {
    static KNOWN_SPANS: RefCell<Option<KnownSpans>> = const { RefCell::new(None) };
}

fn spans_of(import_id: i64, file: &ImportFile, source: &dyn ReadAt) -> PgResult<Vec<Span>> {
    let known = KNOWN_SPANS.with_borrow(|known| {
        known
            .as_ref()
            .filter(|known| (known.import_id, known.file_no) == (import_id, file.file_no))
            .map(|known| known.spans.clone())
    });
    if let Some(spans) = known {
        return Ok(spans);
    }
    let spans = spans(&structure_for_import(source)?, file.size_bytes);
    let entry = KnownSpans { import_id, file_no: file.file_no, spans: spans.clone() };
    KNOWN_SPANS.with_borrow_mut(|known| *known = Some(entry));
    Ok(spans)
}

/// Hashing goes on where it stopped; where the parts announced since do not fit, it begins again.
fn resume_at(file: &ImportFile, strategy: Strategy) -> u64 {
    let fits = match strategy {
        Strategy::Cdc(_) => file.hashed_bytes == file.announced_bytes,
        Strategy::Tensor | Strategy::Chunk { .. } => file.hashed_bytes >= file.announced_bytes,
    };
    if fits { file.hashed_bytes } else { 0 }
}

fn strategy_of(import_id: i64) -> PgResult<Strategy> {
    const STRATEGY: &str = "SELECT s.strategy, s.chunk_bytes FROM atoms.import_strategy($1) s";
    let found = spi::rows(STRATEGY, &[import_id.into()], |row| (row.get::<String>(1), row.get::<i32>(2)));
    let (name, chunk_bytes) =
        found.into_iter().next().ok_or_else(|| fault(code::UNKNOWN, format!("import {import_id} does not exist")))?;
    Strategy::parse(&name, i64::from(chunk_bytes)).map_err(|error| crate::atom::strategy_fault(&error))
}

/// Sends the next missing atoms: a batch of whole ones, or a piece of a large one.
fn send(import_id: i64, missing: &[MissingPart], source: &dyn ReadAt, file: &ImportFile) -> PgResult<()> {
    if missing[0].size_bytes > WINDOW_BYTES {
        return send_pieces(import_id, &missing[0], source, file);
    }
    let mut seen = HashSet::new();
    let mut total = 0;
    let batch: Vec<&MissingPart> = missing
        .iter()
        .filter(|part| seen.insert(part.content_hash))
        .take_while(|part| {
            total += part.size_bytes;
            total <= WINDOW_BYTES
        })
        .collect();
    let lengths: Vec<usize> = batch.iter().map(|part| part.size_bytes as usize).collect();
    let mut values = ByteaArray::new(&lengths);
    for (index, part) in batch.iter().enumerate() {
        read(source, file, part.part_offset, values.element(index))?;
    }
    let hashes: Vec<ContentHash> = batch.iter().map(|part| part.content_hash).collect();
    const SEND: &CStr = c"SELECT atoms.send_atoms($1, $2::atoms.content_hash[], $3)";
    spi::run_with_large_arguments(SEND, &[import_id.into(), hash_array(&hashes).into(), values.argument()]);
    Ok(())
}

/// Sends pieces of one large atom.
fn send_pieces(import_id: i64, part: &MissingPart, source: &dyn ReadAt, file: &ImportFile) -> PgResult<()> {
    const SEND: &CStr = c"SELECT atoms.send_atom_part($1, $2::atoms.content_hash, $3, $4)";
    let begun = Instant::now();
    let mut buffer = ByteaBuffer::EMPTY;
    let mut position = part.received_bytes;
    let until = part.size_bytes.min(position + BATCH_BYTES_MAX);
    while position < until && (position == part.received_bytes || begun.elapsed() < STEP_TIME) {
        let count = (part.size_bytes - position).min(PIECE_BYTES as u64);
        read(source, file, part.part_offset + position, buffer.resize(count as usize))?;
        let hash = part.content_hash.as_bytes().to_vec();
        let args = [import_id.into(), hash.into(), (position as i64).into(), buffer.argument()];
        spi::run_with_large_arguments(SEND, &args);
        position += count;
    }
    Ok(())
}

fn read(source: &dyn ReadAt, file: &ImportFile, start: u64, bytes: &mut [u8]) -> PgResult<()> {
    const BYTES_PER_CHECK: usize = 4 << 20;
    for (index, window) in bytes.chunks_mut(BYTES_PER_CHECK).enumerate() {
        interrupt::check();
        source.read_exact_at(start + (index * BYTES_PER_CHECK) as u64, window).map_err(|error| {
            io_fault("read", Path::new(&file.path), &std::io::Error::new(error.io_kind(), error.to_string()))
        })?;
    }
    Ok(())
}
