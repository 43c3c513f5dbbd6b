//! Comparison and hashing: numbers decide, element types do not.

use std::cmp::Ordering;

use pgrx::prelude::*;
use vector::compare;

use crate::pg::dimvec_datum::DimvecArg;
use crate::pg::error::PgResult;

fn order(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<Ordering> {
    Ok(compare::compare(&a.packed()?, &b.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_eq(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<bool> {
    Ok(order(&a, &b)?.is_eq())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_ne(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<bool> {
    Ok(order(&a, &b)?.is_ne())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_lt(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<bool> {
    Ok(order(&a, &b)?.is_lt())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_le(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<bool> {
    Ok(order(&a, &b)?.is_le())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_gt(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<bool> {
    Ok(order(&a, &b)?.is_gt())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_ge(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<bool> {
    Ok(order(&a, &b)?.is_ge())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_cmp(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<i32> {
    Ok(order(&a, &b)? as i32)
}

/// The low half of the seeded hash for seed 0, as PostgreSQL asks.
#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_hash(value: DimvecArg<'_>) -> PgResult<i32> {
    Ok(compare::hash(&value.packed()?, 0) as i32)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_hash_extended(value: DimvecArg<'_>, seed: i64) -> PgResult<i64> {
    Ok(compare::hash(&value.packed()?, seed as u64) as i64)
}
