//! Tables of the schema `atoms`, opened by name, and scans in index order.
//!
//! These pass by privileges: whoever may execute the function that calls them may read what it reads.

use std::ffi::CString;

use pgrx::pg_sys;

/// An open relation; closed when dropped.
pub struct Relation {
    raw: pg_sys::Relation,
    lock: pg_sys::LOCKMODE,
    is_index: bool,
}

impl Relation {
    /// Opens a table of the schema `atoms` for reading.
    pub fn table(name: &str) -> Self {
        Self::open(name, pg_sys::AccessShareLock as pg_sys::LOCKMODE, false)
    }

    /// Opens a table of the schema `atoms` for inserting.
    pub fn table_for_insert(name: &str) -> Self {
        Self::open(name, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE, false)
    }

    /// Opens an index of the schema `atoms`, for reading.
    pub fn index(name: &str) -> Self {
        Self::open(name, pg_sys::AccessShareLock as pg_sys::LOCKMODE, true)
    }

    /// Opens an index of the schema `atoms`, for inserting.
    pub fn index_for_insert(name: &str) -> Self {
        Self::open(name, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE, true)
    }

    fn open(name: &str, lock: pg_sys::LOCKMODE, is_index: bool) -> Self {
        let c_name = CString::new(name).expect("relation names are literals of this crate");
        // SAFETY: a catalog lookup with a valid C string; it raises an error when the schema is gone.
        let schema = unsafe { pg_sys::get_namespace_oid(c"atoms".as_ptr(), false) };
        // SAFETY: a catalog lookup with a valid C string.
        let oid = unsafe { pg_sys::get_relname_relid(c_name.as_ptr(), schema) };
        // SAFETY: opening raises an error for an oid that names no such relation; the lock is kept until close.
        let raw = unsafe { if is_index { pg_sys::index_open(oid, lock) } else { pg_sys::table_open(oid, lock) } };
        Self { raw, lock, is_index }
    }

    /// Returns the pointer that PostgreSQL's functions take; valid while `self` lives.
    pub(super) fn as_ptr(&self) -> pg_sys::Relation {
        self.raw
    }
}

impl Drop for Relation {
    fn drop(&mut self) {
        // While an error unwinds, the transaction's resource owner closes it.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: opened by `open` with this lock, and closed once, here.
        unsafe {
            if self.is_index {
                pg_sys::index_close(self.raw, self.lock);
            } else {
                pg_sys::table_close(self.raw, self.lock);
            }
        }
    }
}

/// Rows of a table in the order of a two-column btree index (bigint, then bigint or integer), first column equal to a value.
pub struct OrderedScan<'a> {
    table: &'a Relation,
    raw: pg_sys::SysScanDesc,
}

/// Type of the second key column.
#[derive(Debug, Clone, Copy)]
pub enum SecondKey {
    /// No condition on it.
    Any,
    /// A bigint column at attribute number, at least this value.
    AtLeast(i16, i64),
    /// An integer column at attribute number, at least this value.
    AtLeastInt(i16, i32),
}

impl<'a> OrderedScan<'a> {
    /// Begins a scan under the active snapshot; `first` is attribute number and value of the leading key column.
    pub fn begin(table: &'a Relation, index: &'a Relation, first: (i16, i64), second: SecondKey) -> Self {
        let mut keys = [pg_sys::ScanKeyData::default(); 2];
        let equal = pg_sys::BTEqualStrategyNumber as u16;
        let at_least = pg_sys::BTGreaterEqualStrategyNumber as u16;
        init_key(&mut keys[0], first.0, equal, pg_sys::F_INT8EQ, first.1.into());
        let count = match second {
            SecondKey::Any => 1,
            SecondKey::AtLeast(column, value) => {
                init_key(&mut keys[1], column, at_least, pg_sys::F_INT8GE, value.into());
                2
            }
            SecondKey::AtLeastInt(column, value) => {
                init_key(&mut keys[1], column, at_least, pg_sys::F_INT4GE, value.into());
                2
            }
        };
        // SAFETY: both relations are open and locked while `self` borrows them; the keys are copied by the call, and a
        // function always has an active snapshot, which outlives the scan.
        let raw = unsafe {
            pg_sys::systable_beginscan_ordered(
                table.as_ptr(),
                index.as_ptr(),
                pg_sys::GetActiveSnapshot(),
                count,
                keys.as_mut_ptr(),
            )
        };
        Self { table, raw }
    }

    /// Fetches the next row and hands its columns, NULL as `None`, to `read`; `None` at the end.
    ///
    /// The datums point into the page, which is pinned only while `read` runs.
    pub fn next<const COLUMNS: usize, R>(
        &mut self,
        read: impl FnOnce(&[Option<pg_sys::Datum>; COLUMNS]) -> R,
    ) -> Option<R> {
        // SAFETY: the scan is open until `self` is dropped.
        let tuple = unsafe { pg_sys::systable_getnext_ordered(self.raw, pg_sys::ScanDirection::ForwardScanDirection) };
        if tuple.is_null() {
            return None;
        }
        let mut values = [pg_sys::Datum::null(); COLUMNS];
        let mut nulls = [true; COLUMNS];
        // SAFETY: rd_att is the descriptor of the open table, whose number of columns the caller's COLUMNS is (asserted), so
        // both arrays have room; the tuple is pinned until the next fetch.
        unsafe {
            let descriptor = (*self.table.as_ptr()).rd_att;
            assert_eq!(
                (*descriptor).natts as usize,
                COLUMNS,
                "the table does not have the columns this library expects"
            );
            pg_sys::heap_deform_tuple(tuple, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
        }
        Some(read(&std::array::from_fn(|column| (!nulls[column]).then_some(values[column]))))
    }
}

impl Drop for OrderedScan<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: begun by `begin`, and ended once, here.
        unsafe { pg_sys::systable_endscan_ordered(self.raw) }
    }
}

fn init_key(key: &mut pg_sys::ScanKeyData, column: i16, strategy: u16, function: u32, value: pg_sys::Datum) {
    // SAFETY: `key` is valid for writing; the function is a built-in comparison of the column's type.
    unsafe { pg_sys::ScanKeyInit(key, column, strategy, function.into(), value) }
}
