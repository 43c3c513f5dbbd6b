//! Casts between vectors, arrays and bytes.

use pgrx::prelude::*;
use vector::{Element, bytes, pack_f32, pack_f64};

use super::typmod::Typmod;
use super::{element_named, give};
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, code, fault, vector_fault};
use crate::pg::varlena::{ArrayNumber, NumberArray, NumbersArg};

/// Returns the elements of an array with one index and no NULL.
fn row<'a, T: ArrayNumber>(array: &NumbersArg<'a, T>) -> PgResult<&'a [T]> {
    if array.rank() > 1 {
        return Err(fault(code::ARGUMENT, "a vector is made of an array with one index")
            .set_hint("insert_embeddings takes an array with two, a vector per row."));
    }
    refuse_nulls(array)
}

/// Returns the elements of an array of any shape; 22023 where one is NULL.
pub fn refuse_nulls<'a, T: ArrayNumber>(array: &NumbersArg<'a, T>) -> PgResult<&'a [T]> {
    if array.has_nulls() { Err(fault(code::ARGUMENT, "an element of the array is NULL")) } else { Ok(array.values()) }
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_from_float4_array(array: NumbersArg<'_, f32>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    let typmod = Typmod::from_number(typmod);
    give(pack_f32(typmod.element(), row(&array)?).and_then(|packed| typmod.fit(packed)))
}

/// Float64, unless the type modifier says otherwise.
#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_from_float8_array(array: NumbersArg<'_, f64>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    give(pack_f64(Element::Float64, row(&array)?).and_then(|packed| Typmod::from_number(typmod).fit(packed)))
}

/// Float32, unless the type modifier says otherwise: for arrays of exact numbers.
#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_of_numbers(array: NumbersArg<'_, f64>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    let typmod = Typmod::from_number(typmod);
    give(pack_f64(typmod.element(), row(&array)?).and_then(|packed| typmod.fit(packed)))
}

/// Little-endian float32, unless the type modifier says otherwise.
#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_from_bytea(data: &[u8], typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    let typmod = Typmod::from_number(typmod);
    give(bytes::deserialize(data, typmod.element()).and_then(|packed| typmod.fit(packed)))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn deserialize_vector(data: &[u8], element_type: default!(&str, "'float32'")) -> PgResult<Dimvec> {
    give(bytes::deserialize(data, element_named(element_type)?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn serialize_vector(value: DimvecArg<'_>) -> PgResult<Vec<u8>> {
    Ok(bytes::serialize(&value.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_to_float4_array(value: DimvecArg<'_>) -> PgResult<NumberArray<f32>> {
    let packed = value.packed()?;
    let values = packed.to_f32();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(NumberArray::of(&values)),
        Some(dimension) => {
            let value = packed.value(dimension).unwrap_or_default();
            let error = vector::VectorError::OutOfRange { value, dimension, element: Element::Float32 };
            Err(vector_fault(&error).set_hint("Cast it to double precision[]."))
        }
    }
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_to_float8_array(value: DimvecArg<'_>) -> PgResult<NumberArray<f64>> {
    Ok(NumberArray::of(&value.packed()?.to_f64()))
}
