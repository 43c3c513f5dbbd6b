//! The access method `dimspace` as the server calls it: each function takes its pointers apart and calls `crate::dimspace`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use dimspace::Tid;
use pgrx::pg_sys::submodules::ffi::pg_guard_ffi_boundary;
use pgrx::{PgBox, PgMemoryContexts, pg_guard, pg_sys};

use super::buffer::IndexPages;
use super::call::VERSION_1;
use super::error::raise;
use super::index_build::{TableRows, tid_of};
use super::index_relation::IndexRelation;
use super::index_scan::{ambeginscan, amendscan, amgetbitmap, amgettuple, amrescan};
use super::planner::amcostestimate;
use super::reloptions;
use crate::dimspace::build::{self, Phase};
use crate::dimspace::{insert, vacuum, validate};

/// Strategies of an operator class: 1 is `<@ dim_range`; 2 to 4 are kept for distances.
const STRATEGIES: u16 = 4;
/// Support functions: see [`super::index_relation::support`].
const SUPPORT_FUNCTIONS: u16 = 2;

/// Describes `dimspace_handler` to the server.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_dimspace_handler() -> *const pg_sys::Pg_finfo_record {
    &VERSION_1
}

/// `dimspace_handler(internal) returns index_am_handler`, called by the server.
///
/// # Safety
/// The server calls it as `sql/dimspace.sql` declares it.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn dimspace_handler(_call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: an index access method's routine is a node of this tag, zero where it says nothing.
    let mut am = unsafe { PgBox::<pg_sys::IndexAmRoutine>::alloc_node(pg_sys::NodeTag::T_IndexAmRoutine) };
    am.amstrategies = STRATEGIES;
    am.amsupport = SUPPORT_FUNCTIONS;
    am.amusemaintenanceworkmem = true;
    am.amparallelvacuumoptions = pg_sys::VACUUM_OPTION_NO_PARALLEL as u8;
    am.amkeytype = pg_sys::InvalidOid;
    am.ambuild = Some(ambuild);
    am.ambuildempty = Some(ambuildempty);
    am.aminsert = Some(aminsert);
    am.ambulkdelete = Some(ambulkdelete);
    am.amvacuumcleanup = Some(amvacuumcleanup);
    am.amcostestimate = Some(amcostestimate);
    am.amoptions = Some(amoptions);
    am.ambuildphasename = Some(ambuildphasename);
    am.amvalidate = Some(amvalidate);
    am.ambeginscan = Some(ambeginscan);
    am.amrescan = Some(amrescan);
    am.amgettuple = Some(amgettuple);
    am.amgetbitmap = Some(amgetbitmap);
    am.amendscan = Some(amendscan);
    pg_sys::Datum::from(am.into_pg())
}

#[pg_guard]
unsafe extern "C-unwind" fn ambuild(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
) -> *mut pg_sys::IndexBuildResult {
    // SAFETY: the server keeps both open and locked during the build, and `info` describes the index.
    let (index, rows) = unsafe {
        let index = IndexRelation::of_ptr(index);
        (index, TableRows::of(table, index, info))
    };
    let built = raise(build::build(index, &rows));
    // SAFETY: made of zeros, which both numbers may be.
    let mut result = unsafe { PgBox::<pg_sys::IndexBuildResult>::alloc0() };
    result.heap_tuples = built.table_rows;
    result.index_tuples = built.index_rows as f64;
    result.into_pg()
}

#[pg_guard]
unsafe extern "C-unwind" fn ambuildempty(index: pg_sys::Relation) {
    // SAFETY: the server keeps it open and locked.
    raise(build::build_empty(unsafe { IndexRelation::of_ptr(index) }));
}

// The server says what it passes.
#[allow(clippy::too_many_arguments)]
#[pg_guard]
unsafe extern "C-unwind" fn aminsert(
    index: pg_sys::Relation,
    values: *mut pg_sys::Datum,
    nulls: *mut bool,
    tid: pg_sys::ItemPointer,
    _table: pg_sys::Relation,
    _check: pg_sys::IndexUniqueCheck::Type,
    _unchanged: bool,
    _info: *mut pg_sys::IndexInfo,
) -> bool {
    // SAFETY: the server keeps the index open and locked, and hands one value, its mark, and the row's place.
    let (index, value, is_null, tid) = unsafe { (IndexRelation::of_ptr(index), *values, *nulls, tid_of(*tid)) };
    raise(if is_null {
        insert::insert(index, tid, None)
    } else {
        // SAFETY: a value of the indexed column.
        unsafe { index.values().read(value, |packed| insert::insert(index, tid, Some(packed))) }
    });
    false
}

#[pg_guard]
unsafe extern "C-unwind" fn ambulkdelete(
    info: *mut pg_sys::IndexVacuumInfo,
    stats: *mut pg_sys::IndexBulkDeleteResult,
    callback: pg_sys::IndexBulkDeleteCallback,
    state: *mut c_void,
) -> *mut pg_sys::IndexBulkDeleteResult {
    let callback = callback.expect("VACUUM says which rows are dead");
    let mut is_dead = |tid: Tid| {
        let mut tid = pointer_of(tid);
        // SAFETY: the server's own function with its own state; only the call stands under the guard.
        unsafe { pg_guard_ffi_boundary(|| callback(&mut tid, state)) }
    };
    // SAFETY: the server keeps the index open and locked, and `stats` is null or what an earlier call returned.
    let (pages, mut stats) = unsafe { (vacuum_pages(info), stats_of(stats)) };
    let deleted = raise(vacuum::delete(&pages, &mut is_dead));
    stats.estimated_count = false;
    stats.num_index_tuples = deleted.live as f64;
    stats.tuples_removed += deleted.removed as f64;
    stats.num_pages = dimspace::Pages::blocks(&pages);
    stats.into_pg()
}

#[pg_guard]
unsafe extern "C-unwind" fn amvacuumcleanup(
    info: *mut pg_sys::IndexVacuumInfo,
    stats: *mut pg_sys::IndexBulkDeleteResult,
) -> *mut pg_sys::IndexBulkDeleteResult {
    // SAFETY: the server passes a valid struct.
    if unsafe { (*info).analyze_only } {
        return stats;
    }
    // SAFETY: as in `ambulkdelete`.
    let (index, pages, mut stats) =
        unsafe { (IndexRelation::of_ptr((*info).index), vacuum_pages(info), stats_of(stats)) };
    let cleaned = raise(vacuum::clean(index, &pages));
    // SAFETY: the index is open and locked.
    unsafe { pg_sys::IndexFreeSpaceMapVacuum(index.as_ptr()) };
    stats.estimated_count = false;
    stats.num_index_tuples = cleaned.live as f64;
    stats.num_pages = dimspace::Pages::blocks(&pages);
    stats.pages_newly_deleted = cleaned.freed_pages;
    stats.pages_deleted = cleaned.free_pages;
    stats.pages_free = cleaned.free_pages;
    stats.into_pg()
}

/// # Safety
/// The server's struct, whose index is open and locked as long as `'a`.
unsafe fn vacuum_pages<'a>(info: *mut pg_sys::IndexVacuumInfo) -> IndexPages<'a> {
    // SAFETY: as above.
    unsafe { IndexPages::for_vacuum(IndexRelation::of_ptr((*info).index), (*info).strategy) }
}

/// # Safety
/// Null, or what an earlier call of the same VACUUM returned.
unsafe fn stats_of(stats: *mut pg_sys::IndexBulkDeleteResult) -> PgBox<pg_sys::IndexBulkDeleteResult> {
    // SAFETY: as above; zeros are numbers and false.
    unsafe {
        if stats.is_null() {
            PgBox::<pg_sys::IndexBulkDeleteResult>::alloc0().into_pg_boxed()
        } else {
            PgBox::from_pg(stats)
        }
    }
}

/// Returns a place as the server has it.
pub(super) fn pointer_of(tid: Tid) -> pg_sys::ItemPointerData {
    let mut pointer = pg_sys::ItemPointerData::default();
    pgrx::itemptr::item_pointer_set_all(&mut pointer, tid.block, tid.offset);
    pointer
}

#[pg_guard]
unsafe extern "C-unwind" fn amoptions(given: pg_sys::Datum, validate: bool) -> *mut pg_sys::bytea {
    // SAFETY: handed on from the server.
    unsafe { reloptions::parse(given, validate) }
}

#[pg_guard]
unsafe extern "C-unwind" fn ambuildphasename(phase: i64) -> *mut c_char {
    let name: Option<&CStr> = Phase::of_number(phase).map(Phase::name);
    // The server only reads it.
    name.map_or(ptr::null_mut(), |name| name.as_ptr().cast_mut())
}

#[pg_guard]
unsafe extern "C-unwind" fn amvalidate(class: pg_sys::Oid) -> bool {
    validate::validate(class)
}

/// Says what phase a build is in.
pub fn report_phase(phase: i64) {
    // SAFETY: sets a number of this backend's own.
    unsafe { pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_CREATEIDX_SUBPHASE as c_int, phase) }
}

/// Says how many of how many rows are done.
pub fn report_rows(done: u64, total: u64) {
    for (number, rows) in
        [(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, total), (pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, done)]
    {
        // SAFETY: as above.
        unsafe { pg_sys::pgstat_progress_update_param(number as c_int, rows as i64) }
    }
}

/// Returns how many KiB a build or VACUUM may use.
pub fn maintenance_kib() -> i32 {
    // SAFETY: a setting of this backend.
    unsafe { pg_sys::maintenance_work_mem }
}

/// Returns a number that nobody can guess.
pub fn random_number() -> u64 {
    let mut number = [0u8; 8];
    // SAFETY: as many bytes are written as there are.
    let is_random = unsafe { pg_sys::pg_strong_random(number.as_mut_ptr().cast(), number.len()) };
    assert!(is_random, "the system gives no random numbers");
    u64::from_ne_bytes(number)
}

/// Puts a value where it lives as long as the current memory context.
pub(super) fn keep<T>(value: T) -> *mut T {
    PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(value)
}
