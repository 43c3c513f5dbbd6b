//! The type `dim_range`, values of one dimension between two bounds, and the search for vectors that have such a value.

use std::ffi::{CStr, CString};

use pgrx::datum::Internal;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vector::{DimRange, VectorError};

use crate::pg::call::range_functions;
use crate::pg::dimvec_datum::DimvecArg;
use crate::pg::error::{PgResult, code, fault, vector_fault};
use crate::pg::fixed_datum::RangeDatum;
use crate::pg::message;

fn give(range: Result<DimRange, VectorError>) -> PgResult<RangeDatum> {
    range.map(RangeDatum).map_err(|error| refusal(&error))
}

fn refusal(error: &VectorError) -> ErrorReport {
    let report = vector_fault(error);
    match error {
        VectorError::EmptyRange { .. } => {
            report.set_hint("Give the lower bound first; -Infinity and Infinity leave an end open.")
        }
        _ => report,
    }
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_in(form: &CStr) -> PgResult<RangeDatum> {
    let form = form.to_string_lossy();
    DimRange::parse(&form).map(RangeDatum).map_err(|error| match error {
        VectorError::Text { what, position } => {
            fault(code::MALFORMED_TEXT, format!("invalid input syntax for type dim_range: \"{form:.100}\""))
                .set_detail(format!("{what} at character {position}."))
                .set_hint("Write (dimension,lo,hi).")
        }
        error => refusal(&error),
    })
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_out(range: RangeDatum) -> CString {
    CString::new(range.0.to_string()).expect("digits hold no NUL")
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_recv(message: Internal) -> PgResult<RangeDatum> {
    give(DimRange::from_wire(&message::take_all(message)))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_send(range: RangeDatum) -> Vec<u8> {
    range.0.to_wire()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range(dimension: i32, lo: f64, hi: f64) -> PgResult<RangeDatum> {
    give(DimRange::new(dimension, lo, hi))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn range_dimension(range: RangeDatum) -> i32 {
    range.0.dimension()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn range_low(range: RangeDatum) -> f64 {
    range.0.lo()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn range_high(range: RangeDatum) -> f64 {
    range.0.hi()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_eq(a: RangeDatum, b: RangeDatum) -> bool {
    a.0 == b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_ne(a: RangeDatum, b: RangeDatum) -> bool {
    a.0 != b.0
}

/// The low half of the seeded hash for seed 0, as PostgreSQL asks.
#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_hash(range: RangeDatum) -> i32 {
    crate::content_hash::fnv(0, &range.0.to_bytes()) as i32
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_range_hash_extended(range: RangeDatum, seed: i64) -> i64 {
    crate::content_hash::fnv(seed, &range.0.to_bytes()) as i64
}

fn holds_dimvec(range: &DimRange, value: &DimvecArg<'_>) -> PgResult<bool> {
    let packed = value.packed()?;
    value.prefetch_next_at(range.value_offset(packed.stored().width()));
    Ok(range.holds_of(&packed))
}

fn holds_vector(range: &DimRange, value: &DimvecArg<'_>) -> PgResult<bool> {
    value.prefetch_next_at(range.value_offset(4));
    range.holds_of_vector(value.bytes()).map_err(|error| vector_fault(&error))
}

fn holds_halfvec(range: &DimRange, value: &DimvecArg<'_>) -> PgResult<bool> {
    value.prefetch_next_at(range.value_offset(2));
    range.holds_of_halfvec(value.bytes()).map_err(|error| vector_fault(&error))
}

range_functions!(
    holds_dimvec,
    (pg_finfo_dimvec_within_range, dimvec_within_range),
    (pg_finfo_range_holds_dimvec, range_holds_dimvec)
);
range_functions!(
    holds_vector,
    (pg_finfo_vector_within_range, vector_within_range),
    (pg_finfo_range_holds_vector, range_holds_vector)
);
range_functions!(
    holds_halfvec,
    (pg_finfo_halfvec_within_range, halfvec_within_range),
    (pg_finfo_range_holds_halfvec, range_holds_halfvec)
);
