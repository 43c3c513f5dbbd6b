//! An index of the access method, as the server hands it over or as it is opened here: its definition.

use std::marker::PhantomData;
use std::thread;

use pgrx::pg_sys;
use vector::Packed;

use super::dimvec_datum::DimvecArg;
use super::error::PgResult;
use super::recent::FileNode;
use super::reloptions::Options;

const NO_SUBTRANSACTION: pg_sys::SubTransactionId = 0;

/// Numbers of the support functions of an operator class.
pub mod support {
    /// The metric that cells are trained with: `function() returns integer`.
    pub const METRIC: u16 = 1;
    /// What makes a dimvec of a value: `function(type, integer, boolean) returns dimvec`.  A class of dimvec has none.
    pub const CONVERSION: u16 = 2;
}

/// An index that somebody else keeps open, and locked as its use asks.
#[derive(Clone, Copy)]
pub struct IndexRelation<'a> {
    raw: pg_sys::Relation,
    of: PhantomData<&'a ()>,
}

impl<'a> IndexRelation<'a> {
    /// Takes an index.
    ///
    /// # Safety
    /// It is an index of the access method dimspace, open and locked as long as `'a`.
    pub(super) unsafe fn of_ptr(raw: pg_sys::Relation) -> Self {
        Self { raw, of: PhantomData }
    }

    pub(super) fn as_ptr(self) -> pg_sys::Relation {
        self.raw
    }

    /// Returns its id.
    pub fn oid(self) -> pg_sys::Oid {
        // SAFETY: open, as `of_ptr` says.
        unsafe { (*self.raw).rd_id }
    }

    /// Returns what names its file.
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    pub(super) fn file(self) -> FileNode {
        // SAFETY: open, as `of_ptr` says.
        unsafe { (*self.raw).rd_node }
    }

    /// Returns what names its file.
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    pub(super) fn file(self) -> FileNode {
        // SAFETY: open, as `of_ptr` says.
        unsafe { (*self.raw).rd_locator }
    }

    fn persistence(self) -> u8 {
        // SAFETY: as above; every open relation has its row of pg_class.
        unsafe { (*(*self.raw).rd_rel).relpersistence as u8 }
    }

    /// Returns whether its pages lie in buffers of this backend, being temporary.
    pub fn is_local(self) -> bool {
        self.persistence() == pg_sys::RELPERSISTENCE_TEMP
    }

    /// Returns whether changes have to be logged now, as `RelationNeedsWAL` in rel.h says.
    pub fn needs_wal(self) -> bool {
        // SAFETY: a setting that the postmaster made; the relation is open, as `of_ptr` says.
        let (is_wanted, created, filed) = unsafe {
            let wanted = pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
            (wanted, (*self.raw).rd_createSubid, (*self.raw).rd_firstRelfilenodeSubid)
        };
        let is_old = created == NO_SUBTRANSACTION && filed == NO_SUBTRANSACTION;
        self.persistence() == pg_sys::RELPERSISTENCE_PERMANENT && (is_wanted || is_old)
    }

    /// Returns the type modifier of its column.
    pub fn typmod(self) -> i32 {
        // SAFETY: open, and an index has a column.
        unsafe { (*(*self.raw).rd_att).attrs.as_slice(1)[0].atttypmod }
    }

    /// Returns its options.
    pub fn options(self) -> Options {
        // SAFETY: open; its options were made by the function `amoptions` of the access method.
        unsafe { Options::of((*self.raw).rd_options) }
    }

    /// Returns the number of the metric of its operator class.
    pub fn metric(self) -> i32 {
        // SAFETY: open; CREATE OPERATOR CLASS refuses a class without this function, which takes nothing.
        let metric = unsafe {
            let function = pg_sys::index_getprocinfo(self.raw, 1, support::METRIC);
            pg_sys::FunctionCall0Coll(function, pg_sys::InvalidOid)
        };
        metric.value() as i32
    }

    /// Returns what reads the values of its column.
    pub fn values(self) -> Values {
        // SAFETY: open; the function's entry lives as long as the relation's.
        let conversion = unsafe {
            if pg_sys::index_getprocid(self.raw, 1, support::CONVERSION) == pg_sys::InvalidOid {
                std::ptr::null_mut()
            } else {
                pg_sys::index_getprocinfo(self.raw, 1, support::CONVERSION)
            }
        };
        Values { conversion }
    }
}

/// Reads values of an indexed column.
#[derive(Clone, Copy)]
pub struct Values {
    conversion: *mut pg_sys::FmgrInfo,
}

impl Values {
    /// Returns whether the column is of another type than dimvec.
    pub fn are_converted(self) -> bool {
        !self.conversion.is_null()
    }

    /// Reads a value.
    ///
    /// # Safety
    /// The datum is one of the indexed column, not NULL, and the index is open.
    pub(super) unsafe fn read<R>(
        self,
        datum: pg_sys::Datum,
        read: impl FnOnce(&Packed<'_>) -> PgResult<R>,
    ) -> PgResult<R> {
        let datum = if self.are_converted() {
            let any_typmod = pg_sys::Datum::from(-1i32);
            // SAFETY: the datum is of the type that the function of the operator class takes.
            unsafe { pg_sys::FunctionCall3Coll(self.conversion, pg_sys::InvalidOid, datum, any_typmod, false.into()) }
        } else {
            datum
        };
        // SAFETY: a dimvec: the column's, or what the function made in the current memory context.
        let value = unsafe { DimvecArg::of_datum(datum) };
        read(&value.packed()?)
    }
}

/// An index opened here, closed when dropped; its lock is kept.
pub struct OpenIndex(pg_sys::Relation);

impl OpenIndex {
    /// Opens an index that the caller's statement has locked already, as the planner does with those of its tables.
    ///
    /// # Safety
    /// It is an index of the access method dimspace, and locked.
    pub(super) unsafe fn locked(oid: pg_sys::Oid) -> Self {
        // SAFETY: as above.
        Self(unsafe { pg_sys::index_open(oid, pg_sys::NoLock as pg_sys::LOCKMODE) })
    }

    /// Returns the index.
    pub fn index(&self) -> IndexRelation<'_> {
        // SAFETY: open while `self` lives.
        unsafe { IndexRelation::of_ptr(self.0) }
    }
}

impl Drop for OpenIndex {
    fn drop(&mut self) {
        if !thread::panicking() {
            // SAFETY: opened by `locked`, closed once, here.
            unsafe { pg_sys::index_close(self.0, pg_sys::NoLock as pg_sys::LOCKMODE) }
        }
    }
}
