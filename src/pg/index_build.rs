//! The rows of a table that CREATE INDEX reads.

use std::ffi::c_void;
use std::thread;

use dimspace::Tid;
use pgrx::pg_sys;
use vector::Packed;

use super::error::PgResult;
use super::index_relation::{IndexRelation, Values};

/// What is done with a row: its place, and its vector unless it is NULL.
pub type EachRow<'f> = dyn FnMut(Tid, Option<&Packed<'_>>) -> PgResult<()> + 'f;

/// The rows of a table that belong into an index.
pub struct TableRows<'a> {
    table: pg_sys::Relation,
    index: IndexRelation<'a>,
    info: *mut pg_sys::IndexInfo,
    /// Holds what one row needs.
    context: pg_sys::MemoryContext,
    /// Whether rows that are deleted, and that somebody may still see, are left out.
    leaves_deleted: bool,
}

impl<'a> TableRows<'a> {
    /// Takes what the server builds an index with.
    ///
    /// # Safety
    /// Table and index are open and locked as long as `'a`, and `info` describes the index.
    pub(super) unsafe fn of(table: pg_sys::Relation, index: IndexRelation<'a>, info: *mut pg_sys::IndexInfo) -> Self {
        // SAFETY: the sizes are those that ALLOCSET_DEFAULT_SIZES names.
        let context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"row of a dimspace build".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        Self { table, index, info, context, leaves_deleted: false }
    }

    /// Leaves out rows that are deleted, which an index built concurrently may not have.
    pub(super) fn without_deleted(mut self) -> Self {
        self.leaves_deleted = true;
        self
    }

    /// Returns how many blocks the table has.
    pub fn blocks(&self) -> u32 {
        // SAFETY: the table is open and locked.
        unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.table, pg_sys::ForkNumber::MAIN_FORKNUM) }
    }

    /// Reads every row; returns how many the table has.
    pub fn all(&self, each: &mut EachRow<'_>) -> f64 {
        self.scan(0, pg_sys::InvalidBlockNumber, true, each)
    }

    /// Reads the rows of some blocks; returns how many there are.
    pub fn of_blocks(&self, first: u32, count: u32, each: &mut EachRow<'_>) -> f64 {
        self.scan(first, count, false, each)
    }

    fn scan(&self, first: u32, count: u32, progress: bool, each: &mut EachRow<'_>) -> f64 {
        let mut taker =
            Taker { each, values: self.index.values(), context: self.context, leaves_deleted: self.leaves_deleted };
        let state = (&raw mut taker).cast::<c_void>();
        // SAFETY: table and index are open and locked; the callback gets back the state that lives until the call returns.  No
        // scan is handed in, so that the server begins one under the snapshot that the build needs.
        unsafe {
            pg_sys::table_index_build_range_scan(
                self.table,
                self.index.as_ptr(),
                self.info,
                false,
                false,
                progress,
                first,
                count,
                Some(take_row),
                state,
                std::ptr::null_mut(),
            )
        }
    }
}

impl Drop for TableRows<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            // SAFETY: made by `of`, deleted once, here.
            unsafe { pg_sys::MemoryContextDelete(self.context) }
        }
    }
}

struct Taker<'f, 'g> {
    each: &'f mut EachRow<'g>,
    values: Values,
    context: pg_sys::MemoryContext,
    leaves_deleted: bool,
}

/// Called by the server for each row.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn take_row(
    _index: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    values: *mut pg_sys::Datum,
    nulls: *mut bool,
    is_alive: bool,
    state: *mut c_void,
) {
    // SAFETY: the state that `scan` handed in, which nobody else uses meanwhile.
    let taker = unsafe { &mut *state.cast::<Taker<'_, '_>>() };
    if taker.leaves_deleted && !is_alive {
        return;
    }
    // SAFETY: the server hands the place, and one value and its mark, since the index has one column.
    let (tid, value, is_null) = unsafe { (tid_of(*tid), *values, *nulls) };
    // SAFETY: the context lives as long as the scan, and what it was before is made current again below.
    let before = unsafe { pg_sys::MemoryContextSwitchTo(taker.context) };
    let result = if is_null {
        (taker.each)(tid, None)
    } else {
        // SAFETY: a value of the indexed column.
        unsafe { taker.values.read(value, |packed| (taker.each)(tid, Some(packed))) }
    };
    // SAFETY: as above; nothing of the row is used any more.
    unsafe {
        pg_sys::MemoryContextSwitchTo(before);
        pg_sys::MemoryContextReset(taker.context);
    }
    super::error::raise(result);
}

/// Returns a place as the crate has it.
pub(super) fn tid_of(tid: pg_sys::ItemPointerData) -> Tid {
    let (block, offset) = pgrx::itemptr::item_pointer_get_both(tid);
    Tid { block, offset }
}
