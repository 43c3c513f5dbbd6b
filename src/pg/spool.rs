//! Rows sorted by cell within the memory that a build may have: the server's own sort, which goes to disk beyond it.

use std::thread;

use pgrx::{IntoDatum, pg_sys};

use super::varlena::ByteaBuffer;

const COLUMNS: usize = 2;

/// Rows that come back in the order of their cells.
pub struct Spool {
    sort: *mut pg_sys::Tuplesortstate,
    descriptor: pg_sys::TupleDesc,
    input: *mut pg_sys::TupleTableSlot,
    output: *mut pg_sys::TupleTableSlot,
    row: ByteaBuffer,
}

impl Spool {
    /// Begins a sort that uses so many KiB of memory.
    pub fn new(memory_kib: i32) -> Self {
        let descriptor = descriptor();
        let (mut column, mut order) = (1i16, pg_sys::Oid::from(pg_sys::Int4LessOperator));
        let (mut collation, mut nulls_first) = (pg_sys::InvalidOid, false);
        // SAFETY: one column to sort by, a number, with PostgreSQL's own order; the arrays are of one element and are copied.
        let sort = unsafe {
            pg_sys::tuplesort_begin_heap(
                descriptor,
                1,
                &mut column,
                &mut order,
                &mut collation,
                &mut nulls_first,
                memory_kib.max(64),
                std::ptr::null_mut(),
                pg_sys::TUPLESORT_NONE as i32,
            )
        };
        // SAFETY: the descriptor lives as long as the slots, and the operations are statics of the server.
        let (input, output) = unsafe {
            (
                pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsVirtual),
                pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsMinimalTuple),
            )
        };
        Self { sort, descriptor, input, output, row: ByteaBuffer::default() }
    }

    /// Adds a row.
    pub fn put(&mut self, cell: i32, row: &[u8]) {
        self.row.resize(row.len()).copy_from_slice(row);
        let datum = self.row.lend().into_datum().unwrap_or(pg_sys::Datum::null());
        // SAFETY: the slot has two columns; the sort copies the row.
        unsafe {
            pg_sys::ExecClearTuple(self.input);
            let (values, nulls) = ((*self.input).tts_values, (*self.input).tts_isnull);
            std::slice::from_raw_parts_mut(values, COLUMNS).copy_from_slice(&[pg_sys::Datum::from(cell), datum]);
            std::slice::from_raw_parts_mut(nulls, COLUMNS).fill(false);
            pg_sys::ExecStoreVirtualTuple(self.input);
            pg_sys::tuplesort_puttupleslot(self.sort, self.input);
        }
    }

    /// Sorts; then rows are taken.
    pub fn sort(&mut self) {
        // SAFETY: begun by `new`, and sorted once, by the build.
        unsafe { pg_sys::tuplesort_performsort(self.sort) }
    }

    /// Returns the next row, which is lent until the one after it.
    pub fn next(&mut self) -> Option<(i32, &[u8])> {
        // SAFETY: sorted; the slot gets a row of two columns, neither NULL, that lives until the next call.
        unsafe {
            if !pg_sys::tuplesort_gettupleslot(self.sort, true, false, self.output, std::ptr::null_mut()) {
                return None;
            }
            let mut is_null = false;
            let cell = pg_sys::slot_getattr(self.output, 1, &mut is_null).value() as i32;
            let row = pg_sys::slot_getattr(self.output, 2, &mut is_null);
            Some((cell, pgrx::varlena_to_byte_slice(row.cast_mut_ptr())))
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        // SAFETY: made by `new`, ended once, here; slots go before the descriptor that they use.
        unsafe {
            pg_sys::tuplesort_end(self.sort);
            pg_sys::ExecDropSingleTupleTableSlot(self.input);
            pg_sys::ExecDropSingleTupleTableSlot(self.output);
            pg_sys::FreeTupleDesc(self.descriptor);
        }
    }
}

/// A cell's number and a row's bytes.
fn descriptor() -> pg_sys::TupleDesc {
    // SAFETY: a descriptor of two columns, each of which is described; names are C strings.
    unsafe {
        let descriptor = pg_sys::CreateTemplateTupleDesc(COLUMNS as i32);
        pg_sys::TupleDescInitEntry(descriptor, 1, c"cell".as_ptr(), pg_sys::INT4OID, -1, 0);
        pg_sys::TupleDescInitEntry(descriptor, 2, c"row".as_ptr(), pg_sys::BYTEAOID, -1, 0);
        descriptor
    }
}
