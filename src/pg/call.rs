//! Procedures: may the caller's CALL commit?

use pgrx::pg_sys;

use super::error::{code, fault};

/// `CALL refuse_transaction_block(name, instead)`: 2D000 inside a transaction block or a function.
///
/// Written as a raw V1 function, because only the call's context knows.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_refuse_transaction_block() -> *const pg_sys::Pg_finfo_record {
    const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &RECORD
}

/// See [`pg_finfo_refuse_transaction_block`].
///
/// # Safety
/// PostgreSQL calls it with a valid call, of the signature in `sql/import.sql`.
#[unsafe(no_mangle)]
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn refuse_transaction_block(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server hands a valid call; its context is NULL or a node.
    let atomic = unsafe {
        let context = (*call).context;
        context.is_null()
            || (*context).type_ != pg_sys::NodeTag::T_CallContext
            || (*context.cast::<pg_sys::CallContext>()).atomic
    };
    if atomic {
        // SAFETY: the SQL declaration has two text arguments.
        let (name, instead) =
            unsafe { (pgrx::fcinfo::pg_getarg::<String>(call, 0), pgrx::fcinfo::pg_getarg::<String>(call, 1)) };
        fault(
            code::NEEDS_CALL,
            format!("{} commits as it goes and cannot run inside a transaction block", name.unwrap_or_default()),
        )
        .set_hint(format!("CALL it outside of one, or use {}.", instead.unwrap_or_default()))
        .report(pgrx::PgLogLevel::ERROR);
    }
    pg_sys::Datum::null()
}
