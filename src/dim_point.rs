//! The type `dim_point`: one value, in one dimension, of one embedding model.

use std::ffi::{CStr, CString};

use pgrx::datum::Internal;
use pgrx::prelude::*;
use vector::{DimPoint, VectorError};

use crate::pg::error::{PgResult, code, fault, vector_fault};
use crate::pg::fixed_datum::PointDatum;
use crate::pg::message;

fn give(point: Result<DimPoint, VectorError>) -> PgResult<PointDatum> {
    point.map(PointDatum).map_err(|error| vector_fault(&error))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_in(form: &CStr) -> PgResult<PointDatum> {
    let form = form.to_string_lossy();
    DimPoint::parse(&form).map(PointDatum).map_err(|error| match error {
        VectorError::Text { what, position } => {
            fault(code::MALFORMED_TEXT, format!("invalid input syntax for type dim_point: \"{form:.100}\""))
                .set_detail(format!("{what} at character {position}."))
                .set_hint("Write (value,dimension_index,model_id).")
        }
        error => vector_fault(&error),
    })
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_out(point: PointDatum) -> CString {
    CString::new(point.0.to_string()).expect("digits hold no NUL")
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_recv(message: Internal) -> PgResult<PointDatum> {
    give(DimPoint::from_wire(&message::take_all(message)))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_send(point: PointDatum) -> Vec<u8> {
    point.0.to_wire()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point(value: f64, dimension_index: i32, model_id: i64) -> PgResult<PointDatum> {
    give(DimPoint::new(value, dimension_index, model_id))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_value(point: PointDatum) -> f64 {
    point.0.value()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_index(point: PointDatum) -> i32 {
    point.0.dimension()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_model(point: PointDatum) -> i64 {
    point.0.model_id()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_eq(a: PointDatum, b: PointDatum) -> bool {
    a.0 == b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_ne(a: PointDatum, b: PointDatum) -> bool {
    a.0 != b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_lt(a: PointDatum, b: PointDatum) -> bool {
    a.0 < b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_le(a: PointDatum, b: PointDatum) -> bool {
    a.0 <= b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_gt(a: PointDatum, b: PointDatum) -> bool {
    a.0 > b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_ge(a: PointDatum, b: PointDatum) -> bool {
    a.0 >= b.0
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_cmp(a: PointDatum, b: PointDatum) -> i32 {
    a.0.cmp(&b.0) as i32
}

/// The low half of the seeded hash for seed 0, as PostgreSQL asks.
#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_hash(point: PointDatum) -> i32 {
    crate::content_hash::fnv(0, &point.0.to_bytes()) as i32
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dim_point_hash_extended(point: PointDatum, seed: i64) -> i64 {
    crate::content_hash::fnv(seed, &point.0.to_bytes()) as i64
}
