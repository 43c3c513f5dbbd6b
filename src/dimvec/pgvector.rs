//! Casts from and to the types of pgvector, which the extension `pg_atoms_vector` declares: their bytes are read as they lie,
//! so neither library needs the other.

use pgrx::prelude::*;
use vector::{Packed, VectorError, pgvector};

use super::give;
use super::typmod::Typmod;
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, vector_fault};
use crate::pg::foreign_varlena::{Foreign, HalfvecName, SparsevecName, VectorName};

fn take(packed: Result<Vec<u8>, VectorError>, typmod: i32) -> PgResult<Dimvec> {
    give(packed.and_then(|packed| Typmod::from_number(typmod).fit(packed)))
}

fn hand<N>(value: &DimvecArg<'_>, to: fn(&Packed<'_>) -> Result<Vec<u8>, VectorError>) -> PgResult<Foreign<N>> {
    to(&value.packed()?).map(Foreign::new).map_err(|error| vector_fault(&error))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_from_vector(value: Foreign<VectorName>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    take(pgvector::from_vector(value.bytes()), typmod)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_from_halfvec(value: Foreign<HalfvecName>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    take(pgvector::from_halfvec(value.bytes()), typmod)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_from_sparsevec(value: Foreign<SparsevecName>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    take(pgvector::from_sparsevec(value.bytes()), typmod)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_to_vector(value: DimvecArg<'_>) -> PgResult<Foreign<VectorName>> {
    hand(&value, pgvector::to_vector)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_to_halfvec(value: DimvecArg<'_>) -> PgResult<Foreign<HalfvecName>> {
    hand(&value, pgvector::to_halfvec)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_to_sparsevec(value: DimvecArg<'_>) -> PgResult<Foreign<SparsevecName>> {
    hand(&value, pgvector::to_sparsevec)
}
