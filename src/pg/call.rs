//! Functions written against the server's calling convention: one that looks at its call, and those that run once per row of
//! a scan, where the memory context that `#[pg_extern]` switches to would cost as much as what they compute.

use std::mem::ManuallyDrop;

use pgrx::{FromDatum, pg_sys};
use vector::DimRange;

use super::dimvec_datum::DimvecArg;
use super::error::{PgResult, code, fault};
use super::fixed_datum::RangeDatum;

/// Makes `function(dimvec, dimvec) returns double precision`, STRICT, of a function of two vectors.
macro_rules! measure_function {
    ($finfo:ident, $name:ident, $measure:path) => {
        #[doc = concat!("Describes `", stringify!($name), "` to the server.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $finfo() -> *const pgrx::pg_sys::Pg_finfo_record {
            &$crate::pg::call::VERSION_1
        }

        #[doc = concat!("`", stringify!($name), "`, called by the server.")]
        #[doc = ""]
        #[doc = "# Safety"]
        #[doc = "The server calls it with two dimvec, neither NULL, as `sql/dimvec.sql` declares it."]
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(call: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: handed on from the server.
            unsafe { $crate::pg::call::measured(call, $measure) }
        }
    };
}
pub(crate) use measure_function;

/// What a function of the current calling convention says of itself.
pub const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// Calls a function of two vectors.
///
/// # Safety
/// The server's call has two arguments of type dimvec, neither NULL.
pub unsafe fn measured(
    call: pg_sys::FunctionCallInfo,
    measure: fn(&DimvecArg<'_>, &DimvecArg<'_>) -> PgResult<f64>,
) -> pg_sys::Datum {
    answer(|| {
        // SAFETY: handed on from the caller; arguments live as long as the call.
        let (a, b) = unsafe {
            let arguments = (*call).args.as_slice(2);
            // Copies stay in the context of the row, which the executor empties at once: freeing them one by one is dearer.
            (
                ManuallyDrop::new(DimvecArg::of_datum(arguments[0].value)),
                ManuallyDrop::new(DimvecArg::of_datum(arguments[1].value)),
            )
        };
        measure(&a, &b).map(|number| pg_sys::Datum::from(number.to_bits()))
    })
}

/// Makes, of a function of a range and a value with a length word, the two functions that return boolean, STRICT: first with the
/// range as the second argument, then with the range as the first.
macro_rules! range_functions {
    ($holds:path, ($within_finfo:ident, $within:ident), ($holds_finfo:ident, $name:ident)) => {
        $crate::pg::call::range_function!($holds, $within_finfo, $within, 1);
        $crate::pg::call::range_function!($holds, $holds_finfo, $name, 0);
    };
}
pub(crate) use range_functions;

/// Makes one of them, told which argument the range is.
macro_rules! range_function {
    ($holds:path, $finfo:ident, $name:ident, $range:literal) => {
        #[doc = concat!("Describes `", stringify!($name), "` to the server.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $finfo() -> *const pgrx::pg_sys::Pg_finfo_record {
            &$crate::pg::call::VERSION_1
        }

        #[doc = concat!("`", stringify!($name), "`, called by the server.")]
        #[doc = ""]
        #[doc = "# Safety"]
        #[doc = "The server calls it with a dim_range and a value with a length word, neither NULL, as `sql/` declares it."]
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(call: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: handed on from the server.
            unsafe { $crate::pg::call::held::<$range>(call, $holds) }
        }
    };
}
pub(crate) use range_function;

/// Calls a function of a range, which is the argument of that number, and a value.
///
/// # Safety
/// The server's call has two arguments, neither NULL: a dim_range, and a value with a length word.
pub unsafe fn held<const RANGE: usize>(
    call: pg_sys::FunctionCallInfo,
    holds: fn(&DimRange, &DimvecArg<'_>) -> PgResult<bool>,
) -> pg_sys::Datum {
    answer(|| {
        // SAFETY: handed on from the caller; arguments live as long as the call.
        let (range, value) = unsafe {
            let arguments = (*call).args.as_slice(2);
            (
                RangeDatum::from_datum(arguments[RANGE].value, false),
                ManuallyDrop::new(DimvecArg::of_datum(arguments[1 - RANGE].value)),
            )
        };
        let range = range.expect("STRICT functions have no NULL arguments").0;
        holds(&range, &value).map(pg_sys::Datum::from)
    })
}

/// Runs a function's body, and raises its error.
fn answer(body: impl FnOnce() -> PgResult<pg_sys::Datum>) -> pg_sys::Datum {
    let run = || match body() {
        Ok(datum) => datum,
        Err(report) => {
            report.report(pgrx::PgLogLevel::ERROR);
            unreachable!("an error ends the statement")
        }
    };
    // SAFETY: the guard turns panics into errors of the server; nothing else unwinds out of it.
    unsafe { pg_sys::submodules::panic::pgrx_extern_c_guard(run) }
}

/// `CALL refuse_transaction_block(name, instead)`: 2D000 inside a transaction block or a function, as the call's context says.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_refuse_transaction_block() -> *const pg_sys::Pg_finfo_record {
    &VERSION_1
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
