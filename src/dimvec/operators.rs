//! Arithmetic, norms and distances.

use pgrx::prelude::*;
use vector::{Packed, VectorError, arithmetic, distance};

use super::give;
use crate::pg::call::measure_function;
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, vector_fault};
use crate::pg::guc;

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_add(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<Dimvec> {
    give(arithmetic::add(&a.packed()?, &b.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_subtract(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<Dimvec> {
    give(arithmetic::subtract(&a.packed()?, &b.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_multiply(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<Dimvec> {
    give(arithmetic::multiply(&a.packed()?, &b.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_concatenate(a: DimvecArg<'_>, b: DimvecArg<'_>) -> PgResult<Dimvec> {
    give(arithmetic::concatenate(&a.packed()?, &b.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn subvector(value: DimvecArg<'_>, start: i32, count: i32) -> PgResult<Dimvec> {
    give(arithmetic::subvector(&value.packed()?, start.into(), count.into()))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn l2_normalize(value: DimvecArg<'_>) -> PgResult<Dimvec> {
    give(arithmetic::l2_normalize(&value.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn l1_norm(value: DimvecArg<'_>) -> PgResult<f64> {
    Ok(distance::l1_norm(guc::simd(), &value.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn l2_norm(value: DimvecArg<'_>) -> PgResult<f64> {
    Ok(distance::l2_norm(guc::simd(), &value.packed()?))
}

/// A distance of the crate.
type Distance = fn(distance::Path, &Packed<'_>, &Packed<'_>) -> Result<f64, VectorError>;

fn measure(distance: Distance, a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    let measured = distance(guc::simd(), &a.packed()?, &b.packed()?);
    a.prefetch_next();
    measured.map_err(|error| vector_fault(&error))
}

fn l2(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    measure(distance::l2, a, b)
}

fn inner_product(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    measure(distance::inner_product, a, b)
}

/// 0 less the product, so that no -0 comes out.
fn negative_inner_product(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    Ok(0.0 - inner_product(a, b)?)
}

fn cosine_similarity(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    measure(distance::cosine_similarity, a, b)
}

fn cosine_distance(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    measure(distance::cosine_distance, a, b)
}

fn l1(a: &DimvecArg<'_>, b: &DimvecArg<'_>) -> PgResult<f64> {
    measure(distance::l1, a, b)
}

measure_function!(pg_finfo_dimvec_l2_distance, dimvec_l2_distance, l2);
measure_function!(pg_finfo_dimvec_inner_product, dimvec_inner_product, inner_product);
measure_function!(pg_finfo_dimvec_negative_inner_product, dimvec_negative_inner_product, negative_inner_product);
measure_function!(pg_finfo_dimvec_cosine_similarity, dimvec_cosine_similarity, cosine_similarity);
measure_function!(pg_finfo_dimvec_cosine_distance, dimvec_cosine_distance, cosine_distance);
measure_function!(pg_finfo_dimvec_l1_distance, dimvec_l1_distance, l1);
