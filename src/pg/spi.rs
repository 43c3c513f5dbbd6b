//! SQL from inside: short forms over pgrx's SPI.  Every statement names its schema; callers pass values, never text to splice.

use std::ffi::CStr;

use pgrx::datum::{DatumWithOid, FromDatum, IntoDatum};
use pgrx::pg_sys;
use pgrx::spi::{Spi, SpiHeapTupleData};

/// Runs a statement that writes; returns how many rows it touched or gave.
pub fn run(sql: &str, args: &[DatumWithOid<'_>]) -> usize {
    refuse_where_read_only();
    Spi::connect_mut(|client| client.update(sql, None, args).map(|table| table.len()))
        .unwrap_or_else(|error| internal(sql, &error))
}

/// Runs a statement that writes and reads each row it gives.
pub fn rows<R>(sql: &str, args: &[DatumWithOid<'_>], read: impl FnMut(Row<'_>) -> R) -> Vec<R> {
    refuse_where_read_only();
    Spi::connect_mut(|client| client.update(sql, None, args).map(|table| collect(table, read)))
        .unwrap_or_else(|error| internal(sql, &error))
}

/// Runs a statement whose arguments are large.
///
/// The usual way plans with the arguments as constants, and the planner copies constants: 64 MiB each time it looks at one.
/// A generic plan leaves them where they are.
pub fn run_with_large_arguments(sql: &CStr, args: &[DatumWithOid<'_>]) {
    refuse_where_read_only();
    let mut types: Vec<pg_sys::Oid> = args.iter().map(DatumWithOid::oid).collect();
    let mut values: Vec<pg_sys::Datum> = args
        .iter()
        .map(|argument| argument.datum().map_or(pg_sys::Datum::null(), |datum| datum.sans_lifetime()))
        .collect();
    let status = Spi::connect_mut(|_| {
        // SAFETY: connected to SPI, as the closure runs; text, types and values are valid for the calls, and none is NULL, so
        // no array of NULL marks is needed.
        unsafe {
            let generic = pg_sys::CURSOR_OPT_GENERIC_PLAN as i32;
            let plan = pg_sys::SPI_prepare_cursor(sql.as_ptr(), types.len() as i32, types.as_mut_ptr(), generic);
            pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), std::ptr::null(), false, 0)
        }
    });
    if let Err(error) = Spi::check_status(status) {
        internal(&sql.to_string_lossy(), &error);
    }
}

/// Runs a statement that only reads, under the snapshot of the query around it.
pub fn query<R>(sql: &str, args: &[DatumWithOid<'_>], read: impl FnMut(Row<'_>) -> R) -> Vec<R> {
    Spi::connect(|client| client.select(sql, None, args).map(|table| collect(table, read)))
        .unwrap_or_else(|error| internal(sql, &error))
}

/// Raises 25006 on a standby and in a read-only transaction, before SPI asks for a transaction id that a standby cannot give.
fn refuse_where_read_only() {
    // SAFETY: the name is a C string; the call has no other precondition.
    unsafe { pg_sys::PreventCommandIfReadOnly(c"a function of pg_atoms that writes".as_ptr()) }
}

fn collect<R>(table: pgrx::spi::SpiTupleTable<'_>, mut read: impl FnMut(Row<'_>) -> R) -> Vec<R> {
    table.map(|row| read(Row(row))).collect()
}

/// One row; columns count from 1.
pub struct Row<'a>(SpiHeapTupleData<'a>);

impl Row<'_> {
    /// Returns a column that may be NULL.
    pub fn optional<T: FromDatum + IntoDatum>(&self, column: usize) -> Option<T> {
        self.0.get(column).unwrap_or_else(|error| internal("a column", &error))
    }

    /// Returns a column that the statement never leaves NULL.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: usize) -> T {
        self.optional(column).unwrap_or_else(|| pgrx::error!("pg_atoms: column {column} is unexpectedly NULL"))
    }
}

/// A statement of ours that PostgreSQL runs but pgrx cannot read: a mistake in this library, not in the user's input.
fn internal(sql: &str, error: &pgrx::spi::Error) -> ! {
    pgrx::error!("pg_atoms: {error} in: {sql}")
}
