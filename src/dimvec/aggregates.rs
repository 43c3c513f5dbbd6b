//! The aggregates `sum` and `avg`, moments of each dimension, and the count of distinct values.

use pgrx::datum::Internal;
use pgrx::prelude::*;
use vector::distinct::Distinct;
use vector::moments::Moments;
use vector::sum::Sum;

use super::give;
use crate::pg::aggregate::{state, state_or_default};
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, vector_fault};
use crate::pg::varlena::Float8Array;

/// Returns the sum of an aggregate; `None` before its first vector.
fn sum_of(internal: &Internal) -> Option<&Sum> {
    state::<Option<Sum>>(internal).and_then(Option::as_ref)
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_accumulate(
    mut state: Internal,
    value: Option<DimvecArg<'_>>,
    call: pg_sys::FunctionCallInfo,
) -> PgResult<Internal> {
    let sums: &mut Option<Sum> = state_or_default(&mut state, call);
    if let Some(value) = value {
        let packed = value.packed()?;
        match sums {
            Some(sum) => sum.add(&packed).map_err(|error| vector_fault(&error))?,
            None => *sums = Some(Sum::new(&packed)),
        }
    }
    Ok(state)
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_combine(mut first: Internal, second: Internal, call: pg_sys::FunctionCallInfo) -> PgResult<Internal> {
    let sums: &mut Option<Sum> = state_or_default(&mut first, call);
    match (&mut *sums, sum_of(&second)) {
        (Some(sum), Some(other)) => sum.merge(other).map_err(|error| vector_fault(&error))?,
        (None, Some(other)) => *sums = Some(other.clone()),
        (_, None) => {}
    }
    Ok(first)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_sum_serialize(sum: Internal) -> Vec<u8> {
    sum_of(&sum).map(Sum::to_bytes).unwrap_or_default()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_sum_deserialize(bytes: &[u8], _unused: Internal) -> PgResult<Internal> {
    // No bytes: a worker that saw no vector.
    let sum = if bytes.is_empty() { None } else { Some(Sum::from_bytes(bytes).map_err(|error| vector_fault(&error))?) };
    Ok(Internal::new(sum))
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_sum(sum: Internal) -> PgResult<Option<Dimvec>> {
    sum_of(&sum).map(|sum| give(sum.sum())).transpose()
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_average(sum: Internal) -> PgResult<Option<Dimvec>> {
    sum_of(&sum).map(|sum| give(sum.average())).transpose()
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_distinct_add(
    mut state: Internal,
    value: Option<DimvecArg<'_>>,
    call: pg_sys::FunctionCallInfo,
) -> PgResult<Internal> {
    let distinct: &mut Distinct = state_or_default(&mut state, call);
    if let Some(value) = value {
        distinct.add(&value.packed()?);
    }
    Ok(state)
}

/// NULL where float64 vectors were among them.
#[pg_extern(immutable, parallel_safe)]
fn dimvec_distinct_count(distinct: Internal) -> Option<i64> {
    state::<Distinct>(&distinct).map_or(Some(0), Distinct::count).map(|count| count as i64)
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_moments_add(
    mut state: Internal,
    value: Option<DimvecArg<'_>>,
    call: pg_sys::FunctionCallInfo,
) -> PgResult<Internal> {
    let moments: &mut Moments = state_or_default(&mut state, call);
    if let Some(value) = value {
        moments.add(&value.packed()?).map_err(|error| vector_fault(&error))?;
    }
    Ok(state)
}

#[pg_extern(immutable, parallel_safe)]
fn dimvec_moments(moments: Internal) -> Option<Float8Array> {
    state::<Moments>(&moments).map(|moments| Float8Array::of(&moments.numbers()))
}
