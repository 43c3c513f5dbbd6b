//! Scans of the access method `dimspace` as the server calls them.

use pgrx::{FromDatum, pg_guard, pg_sys};
use vector::DimRange;

use super::buffer::{IndexPages, prefetch_block};
use super::error::raise;
use super::fixed_datum::RangeDatum;
use super::index_am::{keep, pointer_of};
use super::index_relation::IndexRelation;
use crate::dimspace::scan::Scan;

/// Rows that a bitmap gets at a time.
const BITMAP_ROWS: usize = 512;
const NO_LOCK: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;

#[pg_guard]
pub(super) unsafe extern "C-unwind" fn ambeginscan(
    index: pg_sys::Relation,
    keys: i32,
    orders: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: the server keeps the index open and locked until `amendscan`; the scan's memory lives at least as long.
    unsafe {
        let scan = pg_sys::RelationGetIndexScan(index, keys, orders);
        (*scan).opaque = keep(Scan::new(IndexRelation::of_ptr(index).oid())).cast();
        scan
    }
}

#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amrescan(
    scan: pg_sys::IndexScanDesc,
    keys: pg_sys::ScanKey,
    key_count: i32,
    _orders: pg_sys::ScanKey,
    _order_count: i32,
) {
    // SAFETY: as many keys as `ambeginscan` was told, or none to use those of before; without any, the pointers are null.
    let conditions = unsafe {
        if !keys.is_null() && key_count > 0 {
            std::ptr::copy(keys, (*scan).keyData, key_count as usize);
        }
        let count = (*scan).numberOfKeys as usize;
        let keys = if count == 0 { &[] } else { std::slice::from_raw_parts((*scan).keyData, count) };
        // SAFETY: each is of the only strategy that takes one, with a dim_range as its argument.
        keys.iter().map(|key| condition(key)).collect::<Option<Vec<DimRange>>>()
    };
    // SAFETY: see `state`.
    unsafe { state(scan) }.restart(conditions);
}

/// Returns the range of a condition; `None` where it is NULL, so that no row fulfils it.
///
/// # Safety
/// The key's argument is a dim_range or NULL.
unsafe fn condition(key: &pg_sys::ScanKeyData) -> Option<DimRange> {
    let is_null = key.sk_flags & pg_sys::SK_ISNULL as i32 != 0;
    // SAFETY: as above.
    unsafe { RangeDatum::from_datum(key.sk_argument, is_null) }.map(|range| range.0)
}

/// # Safety
/// A scan that `ambeginscan` began, whose state nobody else uses meanwhile.
unsafe fn state<'a>(scan: pg_sys::IndexScanDesc) -> &'a mut Scan {
    // SAFETY: as above; it lives as long as the scan's memory.
    unsafe { &mut *(*scan).opaque.cast::<Scan>() }
}

/// # Safety
/// A scan that `ambeginscan` began; its index and its table are open and locked.
unsafe fn pages<'a>(scan: pg_sys::IndexScanDesc, table: pg_sys::Relation) -> IndexPages<'a> {
    // SAFETY: as above.
    unsafe { IndexPages::for_scan(IndexRelation::of_ptr((*scan).indexRelation), table) }
}

#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amgettuple(
    scan: pg_sys::IndexScanDesc,
    _direction: pg_sys::ScanDirection::Type,
) -> bool {
    // SAFETY: see `state` and `pages`; the access method says that it cannot run backward.
    let (state, pages) = unsafe { (state(scan), pages(scan, (*scan).heapRelation)) };
    let Some(found) = raise(state.next(&pages)) else { return false };
    // SAFETY: the scan is the server's own, its table open and locked; every row lies before the end of it.
    unsafe {
        let table = (*scan).heapRelation;
        state.ahead_max.get_or_insert_with(|| io_concurrency(table));
        state.ahead().iter().for_each(|row| prefetch_block(table, row.tid.block));
        (*scan).xs_heaptid = pointer_of(found.tid);
        (*scan).xs_recheck = found.recheck;
    }
    true
}

/// Returns the setting `effective_io_concurrency` of a table's tablespace.
///
/// # Safety
/// The table is open.
unsafe fn io_concurrency(table: pg_sys::Relation) -> usize {
    // SAFETY: as above; every open relation has its row of pg_class.
    let most = unsafe { pg_sys::get_tablespace_io_concurrency((*(*table).rd_rel).reltablespace) };
    usize::try_from(most).unwrap_or(0)
}

#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amgetbitmap(scan: pg_sys::IndexScanDesc, bitmap: *mut pg_sys::TIDBitmap) -> i64 {
    // SAFETY: the node above has locked the table; a scan for a bitmap does not name it.
    let table = unsafe { pg_sys::table_open((*(*(*scan).indexRelation).rd_index).indrelid, NO_LOCK) };
    // SAFETY: see `state` and `pages`.
    let (state, pages) = unsafe { (state(scan), pages(scan, table)) };
    let mut rows = 0;
    let (mut sure, mut unsure) = (Vec::new(), Vec::new());
    while let Some(found) = raise(state.next_cells(&pages)) {
        for &row in found {
            let some = if row.recheck { &mut unsure } else { &mut sure };
            some.push(pointer_of(row.tid));
            if some.len() == BITMAP_ROWS {
                add(bitmap, some, row.recheck);
            }
        }
        rows += found.len() as i64;
    }
    add(bitmap, &mut sure, false);
    add(bitmap, &mut unsure, true);
    // SAFETY: opened above; an error in between has the transaction's abort close it.
    unsafe { pg_sys::table_close(table, NO_LOCK) }
    rows
}

fn add(bitmap: *mut pg_sys::TIDBitmap, rows: &mut Vec<pg_sys::ItemPointerData>, recheck: bool) {
    if !rows.is_empty() {
        // SAFETY: the server's bitmap, which copies the places.
        unsafe { pg_sys::tbm_add_tuples(bitmap, rows.as_mut_ptr(), rows.len() as i32, recheck) }
        rows.clear();
    }
}

#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amendscan(scan: pg_sys::IndexScanDesc) {
    // SAFETY: see `state`; its memory goes with the scan's.
    unsafe { state(scan) }.end();
}
