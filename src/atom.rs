//! Atoms: storing a batch of byte strings once, and reading atoms back.
//!
//! A batch is one transaction.  It locks the atoms that are known FOR KEY SHARE in hash order, inserts the rest in hash
//! order ON CONFLICT DO NOTHING, and locks those that somebody else inserted meanwhile; so batches never deadlock each
//! other, and the collector, which locks FOR UPDATE, can take none of them.

use std::collections::HashMap;

use ::atom::{ContentHash, DimensionValue, Modality};
use pgrx::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use store::INLINE_BYTES_MAX;

use crate::pg::bulk::SegmentWriter;
use crate::pg::error::{PgResult, code, fault};
use crate::pg::fixed_datum::HashDatum;
use crate::pg::segment::{AtomReader, AtomRow, Damage};
use crate::pg::{spi, worker};

/// Longest value that a bytea can be made of, its header and some room taken off.
pub const BYTEA_BYTES_MAX: u64 = (1 << 30) - (64 << 10);

/// One byte string to store, and what is said about it when it is new.
pub struct NewAtom<'a> {
    /// SHA-256 that the caller has computed, or says and wants checked.
    pub content_hash: ContentHash,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What it is used as.
    pub modality: Modality,
    /// Finer kind.
    pub subtype: Option<String>,
    /// Readable form.
    pub canonical_text: Option<String>,
    /// Facts.
    pub metadata: Option<JsonB>,
}

impl<'a> NewAtom<'a> {
    /// An atom of which nothing but its use is said.
    pub fn new(content_hash: ContentHash, bytes: &'a [u8], modality: Modality) -> Self {
        Self { content_hash, bytes, modality, subtype: None, canonical_text: None, metadata: None }
    }
}

/// What a batch did.
pub struct Stored {
    /// Id of each hash of the batch.
    pub ids: HashMap<ContentHash, i64>,
    /// How many atoms were new.
    pub new_atoms: usize,
}

/// Stores a batch, each payload once, while a thread checks that the bytes have the hashes said; 22023 when one lies.
///
/// Every atom of the batch is held FOR KEY SHARE until the transaction ends, so a reference may be written after it.
/// 40001: an atom was collected between two looks, repeat the transaction.
pub fn store_batch(batch: Vec<NewAtom<'_>>) -> PgResult<Stored> {
    let said: Vec<(ContentHash, &[u8])> = batch.iter().map(|atom| (atom.content_hash, atom.bytes)).collect();
    let (liar, stored) =
        worker::beside(|| said.iter().find(|(hash, bytes)| ContentHash::of(bytes) != *hash), || store_hashed(batch));
    match liar {
        Some((hash, bytes)) => Err(lie(*hash, ContentHash::of(bytes))),
        None => stored,
    }
}

/// The error for bytes that do not have the hash given.
pub fn lie(said: ContentHash, is: ContentHash) -> ErrorReport {
    fault(code::ARGUMENT, "the bytes do not have the hash given")
        .set_detail(format!("Given was {said}; the bytes have {is}."))
        .set_hint("hash_bytes(data) computes the hash.")
}

/// As [`store_batch`], for bytes that the caller has hashed itself.
pub fn store_hashed(mut batch: Vec<NewAtom<'_>>) -> PgResult<Stored> {
    batch.sort_by_key(|atom| atom.content_hash);
    batch.dedup_by_key(|atom| atom.content_hash);
    let hashes: Vec<ContentHash> = batch.iter().map(|atom| atom.content_hash).collect();
    let mut ids = lock_known(&hashes);
    batch.retain(|atom| !ids.contains_key(&atom.content_hash));
    let new = insert_rows(&batch);
    let mut writer = None;
    for atom in batch.iter().filter(|atom| atom.bytes.len() > INLINE_BYTES_MAX) {
        if let Some(&id) = new.get(&atom.content_hash) {
            writer.get_or_insert_with(SegmentWriter::open).write(id, 0, atom.bytes);
        }
    }
    if let Some(writer) = writer {
        writer.finish();
    }
    let lost: Vec<ContentHash> =
        batch.iter().map(|atom| atom.content_hash).filter(|hash| !new.contains_key(hash)).collect();
    let new_atoms = new.len();
    ids.extend(new);
    ids.extend(lock_known(&lost));
    match hashes.iter().find(|hash| !ids.contains_key(hash)) {
        None => Ok(Stored { ids, new_atoms }),
        Some(hash) => {
            Err(fault(code::REPEAT, format!("atom {hash} was collected meanwhile")).set_hint("Repeat the transaction."))
        }
    }
}

/// Locks those of the atoms that are stored, in hash order, until the transaction ends; returns their ids.
pub fn lock_known(hashes: &[ContentHash]) -> HashMap<ContentHash, i64> {
    if hashes.is_empty() {
        return HashMap::new();
    }
    const LOCK: &str = "SELECT a.content_hash::pg_catalog.bytea, a.atom_id FROM atoms.atom a \
        WHERE a.content_hash = ANY ($1::atoms.content_hash[]) ORDER BY a.content_hash FOR KEY SHARE";
    spi::rows(LOCK, &[hash_array(hashes).into()], |row| (hash_of(row.get(1)), row.get(2))).into_iter().collect()
}

/// Hashes as an array that SQL casts to `content_hash[]`.
pub fn hash_array(hashes: &[ContentHash]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect()
}

/// A hash that SQL gave as bytea.
pub fn hash_of(bytes: Vec<u8>) -> ContentHash {
    ContentHash::try_from(bytes.as_slice()).expect("a content_hash cast to bytea has 32 bytes")
}

/// Inserts the rows of new atoms in the order given; leaves out those that another transaction has inserted.
fn insert_rows(batch: &[NewAtom<'_>]) -> HashMap<ContentHash, i64> {
    if batch.is_empty() {
        return HashMap::new();
    }
    const INSERT: &str = "INSERT INTO atoms.atom AS a (content_hash, size_bytes, modality, payload, subtype, canonical_text, metadata) \
        SELECT u.hash, u.size, u.modality, u.payload, u.subtype, u.canonical_text, u.metadata::pg_catalog.jsonb \
        FROM unnest($1::atoms.content_hash[], $2, $3, $4, $5, $6, $7) \
             WITH ORDINALITY u (hash, size, modality, payload, subtype, canonical_text, metadata, n) ORDER BY u.n \
        ON CONFLICT (content_hash) DO NOTHING RETURNING a.content_hash::pg_catalog.bytea, a.atom_id";
    let hashes: Vec<ContentHash> = batch.iter().map(|atom| atom.content_hash).collect();
    let sizes: Vec<i64> = batch.iter().map(|atom| atom.bytes.len() as i64).collect();
    let modalities: Vec<String> = batch.iter().map(|atom| atom.modality.name().to_owned()).collect();
    let payloads: Vec<Option<Vec<u8>>> =
        batch.iter().map(|atom| (atom.bytes.len() <= INLINE_BYTES_MAX).then(|| atom.bytes.to_vec())).collect();
    let subtypes: Vec<Option<String>> = batch.iter().map(|atom| atom.subtype.clone()).collect();
    let texts: Vec<Option<String>> = batch.iter().map(|atom| atom.canonical_text.clone()).collect();
    let metadata: Vec<Option<String>> =
        batch.iter().map(|atom| atom.metadata.as_ref().map(|json| json.0.to_string())).collect();
    let args = [
        hash_array(&hashes).into(),
        sizes.into(),
        modalities.into(),
        payloads.into(),
        subtypes.into(),
        texts.into(),
        metadata.into(),
    ];
    spi::rows(INSERT, &args, |row| (hash_of(row.get(1)), row.get(2))).into_iter().collect()
}

/// Reads a modality as users write it.
pub fn modality(name: &str) -> PgResult<Modality> {
    name.parse().map_err(|()| {
        let names: Vec<&str> = Modality::ALL.iter().map(|modality| modality.name()).collect();
        fault(code::ARGUMENT, format!("unknown atom type \"{name}\""))
            .set_hint(format!("It is one of {}.", names.join(", ")))
    })
}

/// Writes a pin for each id, in the order given; the atoms are locked already.
fn pin(ids: &[i64], modality: Modality) {
    spi::run(
        "INSERT INTO atoms.atom_pin (atom_id, modality) SELECT u, $2 FROM unnest($1) u",
        &[ids.to_vec().into(), modality.name().into()],
    );
}

#[pg_extern(strict)]
fn upsert_atom(atomic_value: &[u8], atom_type: &str) -> PgResult<i64> {
    upsert_atom_checked(HashDatum(ContentHash::of(atomic_value)), atomic_value, atom_type)
}

#[pg_extern(strict)]
fn upsert_atom_checked(content_hash: HashDatum, atomic_value: &[u8], atom_type: &str) -> PgResult<i64> {
    let modality = modality(atom_type)?;
    let stored = store_batch(vec![NewAtom::new(content_hash.0, atomic_value, modality)])?;
    let id = stored.ids[&content_hash.0];
    pin(&[id], modality);
    Ok(id)
}

#[pg_extern(strict)]
fn upsert_atoms(atomic_values: Array<'_, &[u8]>, atom_type: &str) -> PgResult<SetOfIterator<'static, i64>> {
    let modality = modality(atom_type)?;
    let values = no_nulls(atomic_values.iter(), "atomic_values")?;
    let hashes: Vec<ContentHash> = values.iter().map(|bytes| ContentHash::of(bytes)).collect();
    let batch = hashes.iter().zip(&values).map(|(&hash, &bytes)| NewAtom::new(hash, bytes, modality)).collect();
    let stored = store_batch(batch)?;
    let ids: Vec<i64> = hashes.iter().map(|hash| stored.ids[hash]).collect();
    pin(&ids, modality);
    Ok(SetOfIterator::new(ids))
}

#[pg_extern]
fn insert_atom(
    modality: Option<&str>,
    subtype: Option<String>,
    atomic_value: Option<&[u8]>,
    canonical_text: default!(Option<String>, "NULL"),
    metadata: default!(Option<JsonB>, "NULL"),
) -> PgResult<i64> {
    let (Some(modality), Some(bytes)) = (modality, atomic_value) else {
        return Err(fault(code::ARGUMENT, "an atom needs a modality and a value"));
    };
    let modality = self::modality(modality)?;
    let hash = ContentHash::of(bytes);
    let atom = NewAtom { subtype, canonical_text, metadata, ..NewAtom::new(hash, bytes, modality) };
    let id = store_batch(vec![atom])?.ids[&hash];
    pin(&[id], modality);
    Ok(id)
}

/// Collects the elements of an array argument that may hold no NULL.
pub fn no_nulls<T>(elements: impl Iterator<Item = Option<T>>, name: &str) -> PgResult<Vec<T>> {
    elements.collect::<Option<_>>().ok_or_else(|| fault(code::ARGUMENT, format!("{name} holds a NULL")))
}

/// Returns the row of a stored atom, 42704 when there is none.
pub fn find(reader: &AtomReader, atom_id: i64) -> PgResult<AtomRow> {
    reader.find(atom_id).ok_or_else(|| {
        fault(code::UNKNOWN, format!("atom {atom_id} does not exist"))
            .set_hint("Stored atoms have positive ids; negative ones are dimension values of 1 to 4 bytes.")
    })
}

/// The error for stored bytes that are not what they were.
pub fn damaged(row: &AtomRow, damage: &Damage) -> ErrorReport {
    fault(code::DAMAGED, format!("atom {} with hash {} is damaged", row.atom_id, row.content_hash))
        .set_detail(format!("{}.", sentence(&damage.0)))
        .set_hint("SELECT * FROM atoms.verify_atoms() names the files that need it.")
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

/// Reads a range of an atom, which lies within it, into memory.
fn read_range(reader: &AtomReader, row: &AtomRow, start: u64, count: u64) -> PgResult<Vec<u8>> {
    let mut bytes = vec![0; count as usize];
    reader.read(row, start, &mut bytes).map_err(|damage| damaged(row, &damage))?;
    Ok(bytes)
}

/// The error for a value that no bytea can hold.
pub fn too_long(what: &str, bytes: u64, instead: &str) -> ErrorReport {
    fault(code::LIMIT, format!("{what} has {bytes} bytes, more than one value can hold"))
        .set_detail(format!("The limit is {BYTEA_BYTES_MAX} bytes."))
        .set_hint(format!("Read it in pieces with {instead}."))
}

#[pg_extern(stable, strict, parallel_safe)]
fn atom_value(atom_id: i64) -> PgResult<Vec<u8>> {
    if let Some(value) = DimensionValue::from_atom_id(atom_id) {
        return Ok(value.to_bytes());
    }
    let reader = AtomReader::open();
    let row = find(&reader, atom_id)?;
    if row.size_bytes > BYTEA_BYTES_MAX {
        return Err(too_long(&format!("atom {atom_id}"), row.size_bytes, "atom_slice"));
    }
    read_range(&reader, &row, 0, row.size_bytes)
}

#[pg_extern(stable, strict, parallel_safe)]
fn atom_value_by_hash(content_hash: HashDatum) -> PgResult<Vec<u8>> {
    const FIND: &str =
        "SELECT a.atom_id FROM atoms.atom a WHERE a.content_hash OPERATOR(atoms.=) $1::atoms.content_hash";
    let found = spi::query(FIND, &[content_hash.0.as_bytes().to_vec().into()], |row| row.get::<i64>(1));
    match found.first() {
        Some(&atom_id) => atom_value(atom_id),
        None => Err(fault(code::UNKNOWN, format!("no stored atom has the hash {}", content_hash.0))),
    }
}

#[pg_extern(stable, strict, parallel_safe)]
fn atom_slice(atom_id: i64, start: i64, count: i32) -> PgResult<Vec<u8>> {
    if let Some(value) = DimensionValue::from_atom_id(atom_id) {
        let bytes = value.to_bytes();
        let (start, count) = clamp(start, count, bytes.len() as u64)?;
        return Ok(bytes[start as usize..(start + count) as usize].to_vec());
    }
    let reader = AtomReader::open();
    let row = find(&reader, atom_id)?;
    let (start, count) = clamp(start, count, row.size_bytes)?;
    read_range(&reader, &row, start, count)
}

/// Cuts a slice that a user asked for down to what there is; 22023 when it is negative, 54000 when no bytea can hold it.
pub fn clamp(start: i64, count: i32, size: u64) -> PgResult<(u64, u64)> {
    let (Ok(start), Ok(count)) = (u64::try_from(start), u64::try_from(count)) else {
        return Err(fault(code::ARGUMENT, format!("slice of {count} bytes from byte {start} is negative")));
    };
    let start = start.min(size);
    let count = count.min(size - start);
    if count > BYTEA_BYTES_MAX {
        return Err(too_long("the slice", count, "smaller slices"));
    }
    Ok((start, count))
}

#[pg_extern(stable, strict, parallel_safe)]
fn atom_hash(atom_id: i64) -> PgResult<HashDatum> {
    match DimensionValue::from_atom_id(atom_id) {
        Some(value) => Ok(HashDatum(ContentHash::of(&value.to_bytes()))),
        None => Ok(HashDatum(find(&AtomReader::open(), atom_id)?.content_hash)),
    }
}

/// Rows of `chunk_tensor`.
type Chunks = TableIterator<
    'static,
    (name!(chunk_index, i32), name!(total_chunks, i32), name!(content_hash, HashDatum), name!(data, Vec<u8>)),
>;

#[pg_extern(immutable, strict, parallel_safe)]
fn chunk_tensor(data: &[u8], chunk_size_bytes: default!(i32, 4096)) -> PgResult<Chunks> {
    let size = store::check_chunk_bytes(i64::from(chunk_size_bytes)).map_err(|error| strategy_fault(&error))? as usize;
    let data = data.to_vec();
    let total = data.len().div_ceil(size);
    Ok(TableIterator::new((0..total).map(move |index| {
        let chunk = data[index * size..data.len().min((index + 1) * size)].to_vec();
        (index as i32, total as i32, HashDatum(ContentHash::of(&chunk)), chunk)
    })))
}

/// The error for a strategy or chunk size that is refused.
pub fn strategy_fault(error: &store::StrategyError) -> ErrorReport {
    fault(code::ARGUMENT, error.to_string())
}
