//! Hashing files on the server: as their bytes pass, or from their stored atoms.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ::atom::{ContentHash, Modality};
use pgrx::prelude::*;
use store::RunningHash;

use super::{claim, missing_among, reference};
use crate::atom::{NewAtom, damaged, hash_array, hash_of, no_nulls, store_hashed};
use crate::pg::error::{PgResult, code, fault};
use crate::pg::segment::AtomReader;
use crate::pg::{snapshot, spi, worker};

/// How far the hashing of a file is.
struct Progress {
    size_bytes: i64,
    announced_bytes: i64,
    hashed_bytes: i64,
    file_hash: RunningHash,
    /// Over the part that begins at `announced_bytes`.
    part_hash: RunningHash,
}

impl Progress {
    fn lock(import_id: i64, file_no: i32) -> PgResult<Self> {
        const LOCK: &str = "SELECT f.size_bytes, f.announced_bytes, f.hashed_bytes, f.file_hash_state, f.part_hash_state \
            FROM atoms.import_file f WHERE f.import_id = $1 AND f.file_no = $2 FOR NO KEY UPDATE";
        let found = spi::rows(LOCK, &[import_id.into(), file_no.into()], |row| {
            let state = |column| row.optional::<Vec<u8>>(column).and_then(|saved| RunningHash::restore(&saved).ok());
            let progress = Self {
                size_bytes: row.get(1),
                announced_bytes: row.get(2),
                hashed_bytes: row.get(3),
                file_hash: state(4).unwrap_or_default(),
                part_hash: state(5).unwrap_or_default(),
            };
            progress.or_begin_again()
        });
        found
            .into_iter()
            .next()
            .ok_or_else(|| fault(code::UNKNOWN, format!("import {import_id} has no file {file_no}")))
    }

    /// A state that this version cannot read, or that does not fit the counts, means that hashing begins again.
    fn or_begin_again(self) -> Self {
        let fits = self.file_hash.bytes() == self.hashed_bytes as u64;
        if fits { self } else { Self { announced_bytes: self.announced_bytes, ..self.begun_again() } }
    }

    fn begun_again(self) -> Self {
        Self {
            announced_bytes: 0,
            hashed_bytes: 0,
            file_hash: RunningHash::new(),
            part_hash: RunningHash::new(),
            ..self
        }
    }

    fn save(&self, import_id: i64, file_no: i32, content_hash: Option<ContentHash>) {
        const SAVE: &str = "UPDATE atoms.import_file f \
            SET hashed_bytes = $3, file_hash_state = $4, part_hash_state = $5, content_hash = coalesce($6::atoms.content_hash, f.content_hash) \
            WHERE f.import_id = $1 AND f.file_no = $2";
        let args = [
            import_id.into(),
            file_no.into(),
            self.hashed_bytes.into(),
            self.file_hash.save().into(),
            self.part_hash.save().into(),
            content_hash.map(|hash| hash.as_bytes().to_vec()).into(),
        ];
        spi::run(SAVE, &args);
    }

    fn finished(&self) -> Option<ContentHash> {
        (self.hashed_bytes == self.size_bytes).then(|| self.file_hash.clone().finish())
    }
}

/// One part that ends in the bytes at hand.
struct ScannedPart<'a> {
    content_hash: ContentHash,
    modality: Modality,
    /// Its bytes, when they all are at hand.
    whole: Option<&'a [u8]>,
}

#[pg_extern(strict)]
fn import_bytes(
    import_id: i64,
    file_no: i32,
    start: i64,
    bytes: &[u8],
    lengths: Array<'_, i64>,
    modalities: Array<'_, &str>,
) -> PgResult<i64> {
    claim(import_id);
    let mut progress = Progress::lock(import_id, file_no)?;
    if start == 0 {
        progress = progress.begun_again();
    }
    let lengths = no_nulls(lengths.iter(), "lengths")?;
    let modalities = no_nulls(modalities.iter(), "modalities")?;
    let modalities = modalities.into_iter().map(crate::atom::modality).collect::<PgResult<Vec<Modality>>>()?;
    if lengths.len() != modalities.len() {
        return Err(fault(code::ARGUMENT, "each part needs a length and a modality"));
    }
    let end = start.saturating_add(bytes.len() as i64);
    if start != progress.hashed_bytes || end > progress.size_bytes || bytes.is_empty() {
        return Err(fault(
            code::ARGUMENT,
            format!("file {file_no} goes on at byte {}, not with {start} to {end}", progress.hashed_bytes),
        )
        .set_detail(format!("The file has {} bytes.", progress.size_bytes))
        .set_hint("import_files says how much was hashed; 0 begins again."));
    }
    let part_start = progress.announced_bytes;
    let parts = scan_parts(&mut progress.part_hash, start - part_start, bytes, &lengths, &modalities)?;
    let Progress { file_hash, .. } = &mut progress;
    let ((), stored) = worker::beside(
        || file_hash.update(bytes),
        || announce_and_store(import_id, file_no, part_start, &lengths, parts),
    );
    stored?;
    progress.announced_bytes += lengths.iter().sum::<i64>();
    progress.hashed_bytes = end;
    progress.save(import_id, file_no, progress.finished());
    Ok(end)
}

/// Hashes the parts of these lengths that end in `bytes`; `open` bytes of the first were hashed before.
fn scan_parts<'a>(
    part_hash: &mut RunningHash,
    open: i64,
    mut bytes: &'a [u8],
    lengths: &[i64],
    modalities: &[Modality],
) -> PgResult<Vec<ScannedPart<'a>>> {
    let mut slices = Vec::with_capacity(lengths.len());
    let mut open = usize::try_from(open).unwrap_or(usize::MAX);
    let opened = open > 0;
    for &length in lengths {
        let wanted = usize::try_from(length).ok().and_then(|length| length.checked_sub(open));
        let Some(rest) = wanted.filter(|&wanted| wanted > 0 && wanted <= bytes.len()) else {
            return Err(fault(code::ARGUMENT, format!("a part of {length} bytes does not end in these bytes")));
        };
        let (part, after) = bytes.split_at(rest);
        slices.push(part);
        (bytes, open) = (after, 0);
    }
    let mut hashes = Vec::with_capacity(slices.len());
    if let (true, Some(rest)) = (opened, slices.first()) {
        part_hash.update(rest);
        hashes.push(std::mem::take(part_hash).finish());
    }
    hashes.extend(worker::map(&slices[hashes.len()..], |part| ContentHash::of(part)));
    part_hash.update(bytes);
    let whole = |index: usize, slice| (index > 0 || !opened).then_some(slice);
    let parts = hashes.into_iter().zip(slices).zip(modalities).enumerate();
    Ok(parts
        .map(|(index, ((content_hash, slice), &modality))| ScannedPart {
            content_hash,
            modality,
            whole: whole(index, slice),
        })
        .collect())
}

/// Announces parts and stores those that are missing and at hand.
fn announce_and_store(
    import_id: i64,
    file_no: i32,
    offset: i64,
    lengths: &[i64],
    parts: Vec<ScannedPart<'_>>,
) -> PgResult<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let hashes: Vec<ContentHash> = parts.iter().map(|part| part.content_hash).collect();
    let modalities = parts.iter().map(|part| part.modality.name().to_owned()).collect();
    record_parts(import_id, file_no, offset, lengths, &hashes, modalities);
    let missing: HashSet<ContentHash> =
        missing_among(import_id, &hashes).into_iter().map(|missing| missing.content_hash).collect();
    let batch: Vec<NewAtom<'_>> = parts
        .into_iter()
        .filter(|part| missing.contains(&part.content_hash))
        .filter_map(|part| part.whole.map(|bytes| NewAtom::new(part.content_hash, bytes, part.modality)))
        .collect();
    reference(import_id, store_hashed(batch)?.ids);
    Ok(())
}

fn record_parts(
    import_id: i64,
    file_no: i32,
    offset: i64,
    lengths: &[i64],
    hashes: &[ContentHash],
    modalities: Vec<String>,
) {
    const RECORD: &str = "SELECT atoms.record_parts($1, $2, coalesce( \
            (SELECT p.part_no + 1 FROM atoms.import_part p WHERE p.import_id = $1 AND p.file_no = $2 AND p.byte_offset < $3 \
             ORDER BY p.part_no DESC LIMIT 1), 0), $3, $4, $5::atoms.content_hash[], $6)";
    let args = [
        import_id.into(),
        file_no.into(),
        offset.into(),
        lengths.to_vec().into(),
        hash_array(hashes).into(),
        modalities.into(),
    ];
    spi::run(RECORD, &args);
}

/// Work of one call of `hash_import_file`.
const STEP_TIME: Duration = Duration::from_secs(1);
const WINDOW_BYTES: u64 = 1 << 20;

#[pg_extern(strict)]
fn hash_import_file(import_id: i64, file_no: i32) -> PgResult<bool> {
    const DONE: &str =
        "SELECT f.content_hash IS NOT NULL FROM atoms.import_file f WHERE f.import_id = $1 AND f.file_no = $2";
    const PARTS: &str = "SELECT p.byte_offset, p.byte_length, p.atom_id FROM atoms.import_part p \
        WHERE p.import_id = $1 AND p.file_no = $2 AND p.byte_offset + p.byte_length > $3 ORDER BY p.part_no LIMIT 1000";
    claim(import_id);
    let mut progress = Progress::lock(import_id, file_no)?;
    if spi::rows(DONE, &[import_id.into(), file_no.into()], |row| row.get::<bool>(1)) == [true] {
        return Ok(true);
    }
    let begun = Instant::now();
    let mut stuck = false;
    while !stuck && progress.hashed_bytes < progress.size_bytes && begun.elapsed() < STEP_TIME {
        let args = [import_id.into(), file_no.into(), progress.hashed_bytes.into()];
        let parts = spi::rows(PARTS, &args, |row| (row.get::<i64>(1), row.get::<i64>(2), row.optional::<i64>(3)));
        stuck = parts.is_empty();
        for (offset, length, atom_id) in parts {
            // A part that is missing, or comes later than the next byte: hashing goes on when it has arrived.
            let Some(atom_id) = atom_id.filter(|_| offset <= progress.hashed_bytes) else {
                stuck = true;
                break;
            };
            if begun.elapsed() >= STEP_TIME {
                break;
            }
            // The atom may have been committed while this call waited for the file's lock.
            snapshot::latest(|| hash_part(&mut progress, atom_id, offset, length, begun))?;
        }
    }
    let finished = progress.finished();
    progress.save(import_id, file_no, finished);
    Ok(finished.is_some())
}

/// Hashes what is left of a part, or as much as the time allows; a window is hashed while the next is read.
fn hash_part(progress: &mut Progress, atom_id: i64, offset: i64, length: i64, begun: Instant) -> PgResult<()> {
    let reader = AtomReader::open();
    let row = crate::atom::find(&reader, atom_id)?;
    let start = progress.hashed_bytes;
    let mut position = start;
    let read = |buffer: &mut Vec<u8>| {
        // At least one window, so that every call gets on.
        let goes_on = position == start || begun.elapsed() < STEP_TIME;
        let count = if goes_on { (offset + length - position).clamp(0, WINDOW_BYTES as i64) } else { 0 };
        buffer.resize(count as usize, 0);
        let result = reader.read(&row, (position - offset) as u64, buffer).map_err(|damage| damaged(&row, &damage));
        position += count;
        result
    };
    progress.file_hash = worker::hash_windows(progress.file_hash.clone(), read)?;
    progress.hashed_bytes = progress.file_hash.bytes() as i64;
    Ok(())
}

/// How far each file of an import is, as the server-side import needs it.
pub struct ImportFile {
    /// Its number.
    pub file_no: i32,
    /// Path inside the model.
    pub path: String,
    /// Length.
    pub size_bytes: u64,
    /// True once its SHA-256 is known: then its parts are announced.
    pub hashed: bool,
    /// Bytes from the start whose parts are announced.
    pub announced_bytes: u64,
    /// Bytes from the start that were hashed.
    pub hashed_bytes: u64,
    /// What it was when the import began.
    pub stamp: Option<String>,
}

/// Asks for the files of an import, as its owner.
pub fn import_files(import_id: i64) -> Vec<ImportFile> {
    const FILES: &str = "SELECT f.file_no, f.path, f.size_bytes, f.content_hash IS NOT NULL, f.announced_bytes, f.hashed_bytes, f.stamp \
        FROM atoms.import_files($1) f";
    spi::rows(FILES, &[import_id.into()], |row| ImportFile {
        file_no: row.get(1),
        path: row.get(2),
        size_bytes: row.get::<i64>(3) as u64,
        hashed: row.get(4),
        announced_bytes: row.get::<i64>(5) as u64,
        hashed_bytes: row.get::<i64>(6) as u64,
        stamp: row.optional(7),
    })
}

/// One missing part of a file.
pub struct MissingPart {
    /// SHA-256 announced for it.
    pub content_hash: ContentHash,
    /// Length.
    pub size_bytes: u64,
    /// Bytes there.
    pub received_bytes: u64,
    /// First byte in the file.
    pub part_offset: u64,
}

/// Asks for the next missing parts of a file, as the import's owner.
pub fn next_missing(import_id: i64, file_no: i32, row_limit: i32) -> Vec<MissingPart> {
    const NEXT: &str = "SELECT m.content_hash::pg_catalog.bytea, m.size_bytes, m.received_bytes, m.part_offset FROM atoms.next_missing($1, $2, $3) m";
    spi::rows(NEXT, &[import_id.into(), file_no.into(), row_limit.into()], |row| MissingPart {
        content_hash: hash_of(row.get(1)),
        size_bytes: row.get::<i64>(2) as u64,
        received_bytes: row.get::<i64>(3) as u64,
        part_offset: row.get::<i64>(4) as u64,
    })
}
