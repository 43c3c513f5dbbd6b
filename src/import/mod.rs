//! The steps of the import protocol that move bytes.  `sql/import.sql` has the others; `docs/design.md` describes the whole.

mod drive;
mod large_atom;
mod scan;

use ::atom::{ContentHash, Modality};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use store::Strategy;

use crate::atom::{NewAtom, hash_array, hash_of, lie, no_nulls, store_batch, strategy_fault};
use crate::pg::error::{PgResult, code, fault};
use crate::pg::fixed_datum::HashDatum;
use crate::pg::spi;

#[pg_extern(immutable, parallel_safe)]
fn check_strategy(strategy: Option<&str>, chunk_bytes: Option<i32>) -> PgResult<()> {
    let (Some(strategy), Some(chunk_bytes)) = (strategy, chunk_bytes) else {
        return Err(fault(code::ARGUMENT, "strategy and chunk size must not be NULL"));
    };
    Strategy::parse(strategy, i64::from(chunk_bytes)).map(|_| ()).map_err(|error| strategy_fault(&error))
}

/// Checks that the import is the session user's, and keeps it from being given up meanwhile.
fn claim(import_id: i64) {
    spi::run("SELECT atoms.claim_import($1)", &[import_id.into()]);
}

/// What an import has announced and not got yet.
struct Missing {
    content_hash: ContentHash,
    size_bytes: i64,
    modality: Modality,
}

fn missing_among(import_id: i64, hashes: &[ContentHash]) -> Vec<Missing> {
    const MISSING: &str = "SELECT DISTINCT ON (p.content_hash) p.content_hash::pg_catalog.bytea, p.byte_length, p.modality FROM atoms.import_part p \
        WHERE p.import_id = $1 AND p.atom_id IS NULL AND p.content_hash = ANY ($2::atoms.content_hash[]) ORDER BY p.content_hash";
    spi::rows(MISSING, &[import_id.into(), hash_array(hashes).into()], |row| Missing {
        content_hash: hash_of(row.get(1)),
        size_bytes: row.get(2),
        modality: row.get::<String>(3).parse().unwrap_or(Modality::File),
    })
}

/// References the atoms that have arrived.
fn reference(import_id: i64, stored: impl IntoIterator<Item = (ContentHash, i64)>) {
    const REFERENCE: &str = "UPDATE atoms.import_part p SET atom_id = u.atom_id FROM unnest($2::atoms.content_hash[], $3) u (hash, atom_id) \
        WHERE p.import_id = $1 AND p.atom_id IS NULL AND p.content_hash = u.hash";
    let (hashes, ids): (Vec<ContentHash>, Vec<i64>) = stored.into_iter().unzip();
    if !ids.is_empty() {
        spi::run(REFERENCE, &[import_id.into(), hash_array(&hashes).into(), ids.into()]);
    }
}

/// Tells whether an announced part of the import has this hash and is there already: sending it again is no lie.
fn is_present(import_id: i64, hash: ContentHash) -> bool {
    const PRESENT: &str = "SELECT 1 FROM atoms.import_part p WHERE p.import_id = $1 AND p.atom_id IS NOT NULL \
        AND p.content_hash = $2::atoms.content_hash LIMIT 1";
    spi::run(PRESENT, &[import_id.into(), hash.as_bytes().to_vec().into()]) > 0
}

fn not_announced(hash: ContentHash) -> ErrorReport {
    fault(code::ARGUMENT, format!("the import has not announced an atom with hash {hash}"))
        .set_hint("announce_parts comes first, with the hash of each part.")
}

#[pg_extern(strict)]
fn send_atoms(import_id: i64, hashes: Array<'_, HashDatum>, atomic_values: Array<'_, &[u8]>) -> PgResult<i32> {
    claim(import_id);
    let hashes: Vec<ContentHash> = no_nulls(hashes.iter(), "hashes")?.into_iter().map(|hash| hash.0).collect();
    let values = no_nulls(atomic_values.iter(), "atomic_values")?;
    if hashes.len() != values.len() {
        return Err(fault(code::ARGUMENT, format!("{} hashes were given for {} values", hashes.len(), values.len())));
    }
    let total: u64 = values.iter().map(|bytes| bytes.len() as u64).sum();
    if total > store::BATCH_BYTES_MAX {
        return Err(fault(code::LIMIT, format!("a batch of {total} bytes is larger than {}", store::BATCH_BYTES_MAX))
            .set_hint("Send fewer atoms at once; send_atom_part sends a large atom in pieces."));
    }
    let missing = missing_among(import_id, &hashes);
    let mut batch = Vec::with_capacity(hashes.len());
    for (&hash, &bytes) in hashes.iter().zip(&values) {
        match missing.binary_search_by_key(&hash, |missing| missing.content_hash) {
            Ok(found) => {
                if missing[found].size_bytes != bytes.len() as i64 {
                    return Err(wrong_length(hash, missing[found].size_bytes, bytes.len() as i64));
                }
                batch.push(NewAtom::new(hash, bytes, missing[found].modality));
            }
            Err(_) if ContentHash::of(bytes) != hash => return Err(lie(hash, ContentHash::of(bytes))),
            Err(_) if is_present(import_id, hash) => {}
            Err(_) => return Err(not_announced(hash)),
        }
    }
    let stored = store_batch(batch)?;
    reference(import_id, stored.ids);
    Ok(stored.new_atoms as i32)
}

fn wrong_length(hash: ContentHash, announced: i64, sent: i64) -> ErrorReport {
    fault(code::ARGUMENT, format!("atom {hash} does not have the length announced"))
        .set_detail(format!("Announced were {announced} bytes; {sent} were sent."))
}
