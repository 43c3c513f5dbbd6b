//! Writing segments: multi-insert in batches of eight page-sized rows, with a bulk-insert state.
//!
//! Multi-insert passes by privileges, foreign keys, triggers and unique checks; `atom_segment` has none of them.
//! Index entries are made here.  An error abandons the batch: the transaction's abort releases buffers and memory.

use pgrx::pg_sys;
use store::{SEGMENT_BYTES_MAX, Segment};

use super::relation::Relation;
use super::segment::{ENCODING_RAW, VERSION_RAW};
use super::varlena::length_word;

/// Rows per multi-insert: 64 KiB stay in the processor's cache (more was slower).
const ROWS_PER_INSERT: usize = 8;
const COLUMNS: usize = 5;
/// Multi-inserts between two nudges of the WAL writer: 1 MiB, what it flushes at a time.
const INSERTS_PER_NUDGE: u32 = 16;
/// A row that fills its page.
const FULL_TUPLE_BYTES: usize = 8160;

/// Writes the segments of one batch.
pub struct SegmentWriter {
    table: Relation,
    index: Relation,
    index_info: *mut pg_sys::IndexInfo,
    state: pg_sys::BulkInsertState,
    slots: [*mut pg_sys::TupleTableSlot; ROWS_PER_INSERT],
    filled: usize,
    /// Last, short segments: they go in after the full ones, so that they share pages.
    tails: Vec<(i64, u64, Vec<u8>)>,
    /// Length word and payload of the row at hand.
    datum: Vec<u8>,
    options: i32,
    inserts: u32,
}

impl SegmentWriter {
    /// Opens the table and asks the free space map, once for the batch, whether whole pages are free.
    pub fn open() -> Self {
        let table = Relation::table_for_insert("atom_segment");
        let index = Relation::index_for_insert("atom_segment_place");
        // SAFETY: `table` is open and locked.
        let free = unsafe { pg_sys::GetPageWithFreeSpace(table.as_ptr(), FULL_TUPLE_BYTES) };
        let no_free_page = free == pg_sys::InvalidBlockNumber;
        // SAFETY: `index` is open and locked; the result lives in the current memory context, which outlives this call.
        let index_info = unsafe { pg_sys::BuildIndexInfo(index.as_ptr()) };
        // SAFETY: no precondition.
        let state = unsafe { pg_sys::GetBulkInsertState() };
        let slots = std::array::from_fn(|_| {
            // SAFETY: the descriptor belongs to the open table, and TTSOpsHeapTuple is a static of the server.
            unsafe { pg_sys::MakeSingleTupleTableSlot((*table.as_ptr()).rd_att, &raw const pg_sys::TTSOpsHeapTuple) }
        });
        let options = if no_free_page { pg_sys::HEAP_INSERT_SKIP_FSM as i32 } else { 0 };
        let datum = Vec::with_capacity(4 + SEGMENT_BYTES_MAX);
        Self { table, index, index_info, state, slots, filled: 0, tails: Vec::new(), datum, options, inserts: 0 }
    }

    /// Writes bytes of an atom that begin at `raw_offset`.
    pub fn write(&mut self, atom_id: i64, raw_offset: u64, bytes: &[u8]) {
        for segment in store::segments(raw_offset, bytes) {
            if segment.payload.len() < SEGMENT_BYTES_MAX {
                self.tails.push((atom_id, segment.raw_offset, segment.payload.to_vec()));
            } else {
                self.put(atom_id, segment);
            }
        }
    }

    /// Writes what is still held back and closes.
    pub fn finish(mut self) {
        for (atom_id, raw_offset, payload) in std::mem::take(&mut self.tails) {
            self.put(atom_id, Segment { raw_offset, payload: &payload });
        }
        self.flush();
        for slot in self.slots {
            // SAFETY: made by `open`, dropped once, here.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(slot) }
        }
        // SAFETY: made by `open`, freed once, here.
        unsafe { pg_sys::FreeBulkInsertState(self.state) }
    }

    fn put(&mut self, atom_id: i64, segment: Segment<'_>) {
        self.datum.clear();
        self.datum.extend_from_slice(&length_word(segment.payload.len()));
        self.datum.extend_from_slice(segment.payload);
        let mut values = [
            pg_sys::Datum::from(atom_id),
            pg_sys::Datum::from(segment.raw_offset as i64),
            pg_sys::Datum::from(ENCODING_RAW),
            pg_sys::Datum::from(VERSION_RAW),
            pg_sys::Datum::from(self.datum.as_ptr()),
        ];
        let mut nulls = [false; COLUMNS];
        // SAFETY: values and nulls have a place for each of the five columns; the tuple copies the payload, and the slot frees it.
        unsafe {
            let tuple = pg_sys::heap_form_tuple((*self.table.as_ptr()).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::ExecStoreHeapTuple(tuple, self.slots[self.filled], true);
        }
        self.filled += 1;
        if self.filled == ROWS_PER_INSERT {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.filled == 0 {
            return;
        }
        super::interrupt::check();
        let extends = self.options != 0;
        if extends {
            // Each row needs a new page; taking the lock once for all of them lets two importers alternate in batches, and
            // not fall asleep and wake for every page.  The server's own takings inside only count up.
            // SAFETY: the table is open, and no other heavyweight lock is taken until the lock is released below.
            unsafe { pg_sys::LockRelationForExtension(self.table.as_ptr(), pg_sys::ExclusiveLock as pg_sys::LOCKMODE) }
        }
        // SAFETY: the first `filled` slots hold tuples of this table, which is locked for inserting.
        unsafe {
            pg_sys::heap_multi_insert(
                self.table.as_ptr(),
                self.slots.as_mut_ptr(),
                self.filled as i32,
                pg_sys::GetCurrentCommandId(true),
                self.options,
                self.state,
            );
        }
        if extends {
            // SAFETY: taken above; an error in between has the transaction's abort release it.
            unsafe {
                pg_sys::UnlockRelationForExtension(self.table.as_ptr(), pg_sys::ExclusiveLock as pg_sys::LOCKMODE)
            }
        }
        self.inserts += 1;
        if self.inserts.is_multiple_of(INSERTS_PER_NUDGE) {
            nudge_wal_writer();
        }
        for slot in self.slots.into_iter().take(self.filled) {
            self.index_slot(slot);
            // SAFETY: the slot is valid and holds a tuple of its own.
            unsafe { (*(*slot).tts_ops).clear.expect("every kind of slot can be cleared")(slot) };
        }
        self.filled = 0;
    }

    fn index_slot(&self, slot: *mut pg_sys::TupleTableSlot) {
        let mut values = [pg_sys::Datum::null(); pg_sys::INDEX_MAX_KEYS as usize];
        let mut nulls = [false; pg_sys::INDEX_MAX_KEYS as usize];
        // SAFETY: the index has plain columns only, so forming its values needs no executor state; multi-insert has set tts_tid.
        unsafe {
            pg_sys::FormIndexDatum(
                self.index_info,
                slot,
                std::ptr::null_mut(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            pg_sys::index_insert(
                self.index.as_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
                &raw mut (*slot).tts_tid,
                self.table.as_ptr(),
                pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO,
                false,
                self.index_info,
            );
        }
    }
}

/// Has the WAL writer write and flush, beside us, what we have logged.
///
/// The bulk-insert state reuses a ring of 16 MiB of buffers, and a dirty one is reused only once its WAL is on disk.  Without this
/// the backend waits for that itself: a third of an import's time.
fn nudge_wal_writer() {
    // SAFETY: XactLastRecEnd is this backend's own; telling the WAL writer of a position that is written has no other precondition.
    unsafe { pg_sys::XLogSetAsyncXactLSN(pg_sys::XactLastRecEnd) }
}
