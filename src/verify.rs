//! Is what is stored still what was stored?

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use store::RunningHash;

use crate::pg::error::{PgResult, code, fault};
use crate::pg::fixed_datum::HashDatum;
use crate::pg::segment::{AtomReader, AtomRow};
use crate::pg::{spi, worker};
use crate::stored_file::StoredFile;

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 20;

#[pg_extern(stable, strict, parallel_safe)]
fn atom_problem(atom_id: i64) -> PgResult<Option<String>> {
    let reader = AtomReader::open();
    let row = crate::atom::find(&reader, atom_id)?;
    Ok(problem(&reader, &row))
}

/// Re-hashes an atom; `None` when it is sound, else what is wrong, without a full stop.
pub fn problem(reader: &AtomReader, row: &AtomRow) -> Option<String> {
    let mut position = 0;
    let read = |buffer: &mut Vec<u8>| {
        let count = (row.size_bytes - position).min(WINDOW_BYTES as u64);
        buffer.resize(count as usize, 0);
        let result = reader.read(row, position, buffer);
        position += count;
        result
    };
    match worker::hash_windows(RunningHash::new(), read).map(RunningHash::finish) {
        Err(damage) => Some(damage.0),
        Ok(hash) if hash != row.content_hash => Some(format!("its bytes have the hash {hash}")),
        Ok(_) => None,
    }
}

/// A row per problem of a model's files.
type Problems = TableIterator<
    'static,
    (name!(file, String), name!(atom_id, Option<i64>), name!(content_hash, Option<HashDatum>), name!(problem, String)),
>;

#[pg_extern(stable, parallel_safe)]
fn verify_model(model: Option<&str>, file: default!(Option<&str>, "NULL")) -> PgResult<Problems> {
    let Some(model) = model else { return Ok(TableIterator::new(Vec::new())) };
    let mut problems = Vec::new();
    for stored in StoredFile::of_model(model, file)? {
        for (row, problem) in file_problems(&stored) {
            let (id, hash) = row.map(|row| (row.atom_id, HashDatum(row.content_hash))).unzip();
            problems.push((stored.path.clone(), id, hash, problem));
        }
    }
    Ok(TableIterator::new(problems))
}

/// Re-hashes a file, and where it differs each of its atoms.
pub fn file_problems(stored: &StoredFile) -> Vec<(Option<AtomRow>, String)> {
    let mut reader = stored.reader();
    let hash = worker::hash_windows(RunningHash::new(), |buffer| reader.next_window(buffer, WINDOW_BYTES));
    match hash.map(RunningHash::finish) {
        Ok(hash) if hash == stored.content_hash => Vec::new(),
        Ok(hash) => {
            let damaged = damaged_atoms(stored);
            if damaged.is_empty() {
                return vec![(None, format!("its bytes have the hash {hash}, though each of its atoms is sound"))];
            }
            damaged
        }
        Err(damage) => {
            let damaged = damaged_atoms(stored);
            if damaged.is_empty() { vec![(None, damage.problem)] } else { damaged }
        }
    }
}

fn damaged_atoms(stored: &StoredFile) -> Vec<(Option<AtomRow>, String)> {
    const ATOMS: &str =
        "SELECT DISTINCT p.atom_id FROM atoms.file_part p WHERE p.file_id OPERATOR(pg_catalog.=) $1 ORDER BY 1";
    let reader = AtomReader::open();
    let ids = spi::query(ATOMS, &[stored.file_id.into()], |row| row.get::<i64>(1));
    ids.into_iter()
        .filter_map(|id| match reader.find(id) {
            Some(row) => problem(&reader, &row).map(|problem| (Some(row), problem)),
            None => Some((None, format!("atom {id} is gone"))),
        })
        .collect()
}

/// The error for a file whose bytes are not what they were: names atom, file and model.
pub fn damaged_file(stored: &StoredFile) -> ErrorReport {
    let report = fault(code::DAMAGED, format!("file \"{}\" of model \"{}\" is damaged", stored.path, stored.model));
    let lines: Vec<String> = file_problems(stored)
        .into_iter()
        .map(|(row, problem)| match row {
            Some(row) => format!("Atom {} with hash {}: {problem}.", row.atom_id, row.content_hash),
            None => format!("The file: {problem}."),
        })
        .collect();
    report.set_detail(lines.join("\n")).set_hint("Drop each model that atoms.verify_atoms() names, collect the damaged atom with atoms.vacuum_atoms('0'), and import from the source again.")
}
