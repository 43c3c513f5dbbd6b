//! A vector's parts: its dimensions, their values and atoms.

use ::atom::DimensionValue;
use pgrx::prelude::*;
use vector::{Element, VectorError, arithmetic};

use super::give;
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, vector_fault};
use crate::pg::foreign_varlena::{BitName, Foreign};

#[pg_extern(immutable, strict, parallel_safe)]
fn vector_dims(value: DimvecArg<'_>) -> PgResult<i32> {
    Ok(value.packed()?.dimensions() as i32)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn element_type(value: DimvecArg<'_>) -> PgResult<String> {
    Ok(value.packed()?.element().name().to_owned())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn stored_form(value: DimvecArg<'_>) -> PgResult<String> {
    let packed = value.packed()?;
    let form = if packed.is_sparse() { "sparse " } else { "" };
    Ok(format!("{form}{}", packed.stored().name()))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimension_value(value: DimvecArg<'_>, dimension: i32) -> PgResult<f64> {
    let packed = value.packed()?;
    usize::try_from(dimension).ok().and_then(|place| packed.value(place)).ok_or_else(|| {
        let error = VectorError::NoSuchDimension { dimension: dimension.into(), dimensions: packed.dimensions() };
        vector_fault(&error)
    })
}

#[pg_extern(immutable, strict, parallel_safe)]
fn with_dimension(value: DimvecArg<'_>, dimension: i32, new_value: f64) -> PgResult<Dimvec> {
    give(arithmetic::with_dimension(&value.packed()?, dimension.into(), new_value))
}

/// Returns the id of the atom that a value is in its declared element type; none for float64, which is too wide.
pub fn dimension_atom_id(element: Element, value: f64) -> Option<i64> {
    let (bytes, width) = element.to_bytes(value);
    DimensionValue::from_bytes(&bytes[..width]).map(DimensionValue::atom_id)
}

/// The row of `vector_dimensions`.
type Dimensions = TableIterator<
    'static,
    (name!(dimension_index, i32), name!(dimension_atom_id, Option<i64>), name!(dimension_value, f64)),
>;

#[pg_extern(immutable, strict, parallel_safe)]
fn vector_dimensions(value: DimvecArg<'_>) -> PgResult<Dimensions> {
    let packed = value.packed()?;
    let (element, values) = (packed.element(), packed.to_f64());
    let row = move |(dimension, value)| (dimension, dimension_atom_id(element, value), value);
    Ok(TableIterator::new((0i32..).zip(values).map(row)))
}

/// The row of `parse_vector_to_dimensions`.
type Values = TableIterator<'static, (name!(dimension_index, i32), name!(dimension_value, f64))>;

#[pg_extern(immutable, strict, parallel_safe)]
fn parse_vector_to_dimensions(embedding_vector: DimvecArg<'_>) -> PgResult<Values> {
    Ok(TableIterator::new((0i32..).zip(embedding_vector.packed()?.to_f64())))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn binary_quantize(value: DimvecArg<'_>) -> PgResult<Foreign<BitName>> {
    let (bits, count) = arithmetic::binary_quantize(&value.packed()?);
    let mut bytes = (count as i32).to_ne_bytes().to_vec();
    bytes.extend(bits);
    Ok(Foreign::new(bytes))
}
