//! All unsafe code towards PostgreSQL, behind safe functions.

pub mod aggregate;
pub mod buffer;
pub mod bulk;
pub mod call;
pub mod dimvec_datum;
pub mod error;
pub mod fixed_datum;
pub mod foreign_varlena;
pub mod guc;
pub mod index_am;
pub mod index_build;
pub mod index_relation;
pub mod index_scan;
pub mod index_user;
pub mod interrupt;
pub mod message;
pub mod planner;
mod recent;
pub mod regclass;
pub mod relation;
pub mod reloptions;
pub mod role;
pub mod segment;
pub mod snapshot;
pub mod spi;
pub mod spool;
pub mod varlena;
pub mod wal;
pub mod worker;

/// Returns the id of a type of the schema `atoms`; raises an error when it is gone.
fn named_type(name: &std::ffi::CStr) -> pgrx::pg_sys::Oid {
    use pgrx::pg_sys;
    // SAFETY: a catalog lookup with valid C strings; raises an error when the schema is gone.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"atoms".as_ptr(), false);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            name.as_ptr().into(),
            schema.into(),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
        )
    }
}
