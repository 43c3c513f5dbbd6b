//! Reading stored atoms: the row of `atom` and its segments, in order, checked for gaps.

use ::atom::ContentHash;
use pgrx::{FromDatum, pg_sys};
use store::SEGMENT_BYTES_MAX;

use super::relation::{OrderedScan, Relation, SecondKey};

// Attribute numbers and counts; docs/layout/atom.md and atom_segment.md list the columns.
const ATOM_COLUMNS: usize = 10;
const SEGMENT_COLUMNS: usize = 5;
const ATOM_ID: i16 = 1;
const RAW_OFFSET: i16 = 2;

/// The only encoding there is.
pub const ENCODING_RAW: i16 = 0;
/// Its version.
pub const VERSION_RAW: i16 = 0;

/// Rows read between two looks for a cancelled query: 1 MiB.
const ROWS_PER_CHECK: u32 = 128;

/// What the row of a stored atom says.
#[derive(Debug, Clone)]
pub struct AtomRow {
    /// Its id.
    pub atom_id: i64,
    /// SHA-256 its bytes had when they were stored.
    pub content_hash: ContentHash,
    /// Length of its bytes.
    pub size_bytes: u64,
    /// Its bytes, when they lie in the row.
    pub payload: Option<Vec<u8>>,
}

/// Stored bytes are not what they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub String);

/// Reads atoms; open for the time of one call.
pub struct AtomReader {
    atoms: Relation,
    atoms_by_id: Relation,
    segments: Relation,
    segments_by_place: Relation,
}

impl AtomReader {
    /// Opens the tables.
    pub fn open() -> Self {
        Self {
            atoms: Relation::table("atom"),
            atoms_by_id: Relation::index("atom_pkey"),
            segments: Relation::table("atom_segment"),
            segments_by_place: Relation::index("atom_segment_place"),
        }
    }

    /// Returns the row of a stored atom.
    pub fn find(&self, atom_id: i64) -> Option<AtomRow> {
        let mut scan = OrderedScan::begin(&self.atoms, &self.atoms_by_id, (ATOM_ID, atom_id), SecondKey::Any);
        scan.next(|columns: &[_; ATOM_COLUMNS]| AtomRow {
            atom_id,
            content_hash: hash_column(columns[1]),
            size_bytes: bigint(columns[2]) as u64,
            payload: columns[9].map(|datum| bytes(datum).to_vec()),
        })
    }

    /// Fills `buffer` with the atom's bytes from `start` on; the range lies within the atom.
    pub fn read(&self, row: &AtomRow, start: u64, buffer: &mut [u8]) -> Result<(), Damage> {
        match &row.payload {
            Some(payload) => {
                let range = start as usize..start as usize + buffer.len();
                let slice = payload.get(range).ok_or_else(|| {
                    Damage(format!("its {} bytes are in the row, {} were stored", payload.len(), row.size_bytes))
                })?;
                buffer.copy_from_slice(slice);
                Ok(())
            }
            None => self.read_segments(row.atom_id, start, buffer),
        }
    }

    /// Fills `buffer` from the segments stored under an id, from byte `start` on.
    pub fn read_segments(&self, atom_id: i64, start: u64, buffer: &mut [u8]) -> Result<(), Damage> {
        let end = start + buffer.len() as u64;
        let mut position = start;
        // The segment that holds byte `start` begins at most a segment before it.
        let first = start.saturating_sub(SEGMENT_BYTES_MAX as u64 - 1);
        let mut scan = OrderedScan::begin(
            &self.segments,
            &self.segments_by_place,
            (ATOM_ID, atom_id),
            SecondKey::AtLeast(RAW_OFFSET, first as i64),
        );
        let mut rows = 0;
        while position < end {
            let copied = scan.next(|columns: &[_; SEGMENT_COLUMNS]| {
                let from = bigint(columns[1]) as u64;
                let form = (smallint(columns[2]), smallint(columns[3]));
                let payload = columns[4].map(bytes).unwrap_or_default();
                if form != (ENCODING_RAW, VERSION_RAW) {
                    return Err(Damage(format!(
                        "the segment at byte {from} has the unknown encoding {} version {}",
                        form.0, form.1
                    )));
                }
                if from + payload.len() as u64 <= position {
                    return Ok(0);
                }
                if from > position {
                    return Err(Damage(format!("the segment at byte {position} is missing")));
                }
                let skip = (position - from) as usize;
                let take = (payload.len() - skip).min((end - position) as usize);
                let at = (position - start) as usize;
                buffer[at..at + take].copy_from_slice(&payload[skip..skip + take]);
                Ok(take as u64)
            });
            position += copied.unwrap_or_else(|| Err(Damage(format!("the segment at byte {position} is missing"))))?;
            rows += 1;
            if rows % ROWS_PER_CHECK == 0 {
                super::interrupt::check();
            }
        }
        Ok(())
    }
}

/// One part of a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePart {
    /// Its number.
    pub part_no: i32,
    /// Its atom.
    pub atom_id: i64,
    /// First byte in the file.
    pub byte_offset: u64,
    /// Length.
    pub byte_length: u64,
}

/// Reads the parts of stored files, in order.
pub struct PartReader {
    parts: Relation,
    parts_by_number: Relation,
}

impl PartReader {
    /// Opens the table.
    pub fn open() -> Self {
        Self { parts: Relation::table("file_part"), parts_by_number: Relation::index("file_part_pkey") }
    }

    /// Returns the number of the part that holds a byte of the file, by bisection; 0 when no part is stored.
    pub fn number_at(&self, file_id: i64, position: u64) -> i32 {
        // Part `low` begins at or before the byte; part `high`, when there is one, after it.
        let begins_after = |number| self.part(file_id, number).is_none_or(|part| part.byte_offset > position);
        let (mut low, mut high) = (0, 1);
        while !begins_after(high) {
            (low, high) = (high, high.saturating_mul(2));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if begins_after(middle) { high = middle } else { low = middle }
        }
        low
    }

    fn part(&self, file_id: i64, number: i32) -> Option<FilePart> {
        let mut found = None;
        self.each(file_id, number, |part| {
            found = Some(part);
            false
        });
        found
    }

    /// Hands the parts of a file from number `first` on to `read`, until it returns false.
    pub fn each(&self, file_id: i64, first: i32, mut read: impl FnMut(FilePart) -> bool) {
        const PART_NO: i16 = 5;
        const COLUMNS: usize = 6;
        let mut scan =
            OrderedScan::begin(&self.parts, &self.parts_by_number, (1, file_id), SecondKey::AtLeastInt(PART_NO, first));
        while let Some(part) = scan.next(|columns: &[_; COLUMNS]| FilePart {
            part_no: integer(columns[4]),
            atom_id: bigint(columns[1]),
            byte_offset: bigint(columns[2]) as u64,
            byte_length: bigint(columns[3]) as u64,
        }) {
            if !read(part) {
                return;
            }
        }
    }
}

fn bigint(datum: Option<pg_sys::Datum>) -> i64 {
    datum.map_or(0, |datum| datum.value() as i64)
}

fn integer(datum: Option<pg_sys::Datum>) -> i32 {
    datum.map_or(0, |datum| datum.value() as i32)
}

fn smallint(datum: Option<pg_sys::Datum>) -> i16 {
    datum.map_or(0, |datum| datum.value() as i16)
}

fn hash_column(datum: Option<pg_sys::Datum>) -> ContentHash {
    // SAFETY: the column is of type content_hash and NOT NULL, so the datum points to 32 bytes of the pinned row.
    ContentHash::from_bytes(datum.map_or([0; 32], |datum| unsafe { *datum.cast_mut_ptr::<[u8; 32]>() }))
}

/// Returns the bytes of a bytea column with storage plain: neither compressed nor out of line.
fn bytes<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the columns are bytea with storage plain, and the caller uses the bytes while the row is pinned only.
    unsafe { <&[u8]>::from_datum(datum, false).unwrap_or_default() }
}
