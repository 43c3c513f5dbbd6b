//! Embeddings: batches of vectors as they come, and the atoms of their dimensions.

use ::atom::DimensionValue;
use pgrx::prelude::*;
use vector::{Element, VectorError, bytes, pack_f32, pack_f64};

use crate::dimvec::{atom_id_of, element_named, refuse_nulls, typmod::Typmod};
use crate::pg::dimvec_datum::Dimvec;
use crate::pg::error::{PgResult, code, fault, vector_fault};
use crate::pg::interrupt;
use crate::pg::varlena::NumbersArg;

/// The vectors of one batch, packed when they are asked for.
type Vectors = SetOfIterator<'static, Dimvec>;

/// Cuts rows of equal length into vectors; keeps the values and, of the vectors, the one that is asked for.
fn split<T: Copy + 'static>(
    values: &[T],
    row: usize,
    what: &str,
    pack: impl Fn(&[T]) -> Result<Vec<u8>, VectorError> + 'static,
) -> PgResult<Vectors> {
    if !values.len().is_multiple_of(row) {
        return Err(fault(code::ARGUMENT, format!("{} {what} are no whole vectors of {row}", values.len()))
            .set_hint("Each vector has as many as the model has dimensions."));
    }
    let (values, count) = (values.to_vec(), values.len() / row);
    Ok(SetOfIterator::new((0..count).map(move |number| {
        interrupt::check();
        let packed = pack(&values[number * row..(number + 1) * row]);
        Dimvec(packed.unwrap_or_else(|error| refuse_vector(number, &error)))
    })))
}

fn refuse_vector(number: usize, error: &VectorError) -> ! {
    let report = vector_fault(error).set_detail(format!("It is vector {number} of the batch, counted from 0."));
    report.report(PgLogLevel::ERROR);
    unreachable!("an error ends the statement")
}

#[pg_extern(immutable, strict, parallel_safe)]
fn split_vectors_of_bytes(embeddings: &[u8], dimensions: i32, element_type: &str) -> PgResult<Vectors> {
    let element = element_named(element_type)?;
    let row = Typmod::new(dimensions, element)?.dimensions() * element.width();
    split(embeddings, row, "bytes", move |row| bytes::deserialize(row, element))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn split_vectors_of_array(embeddings: NumbersArg<'_, f64>, dimensions: i32, element_type: &str) -> PgResult<Vectors> {
    let element = element_named(element_type)?;
    let row = Typmod::new(dimensions, element)?.dimensions();
    split(refuse_nulls(&embeddings)?, row, "elements", move |row| pack_f64(element, row))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn upsert_dimension_atom(value: f32) -> PgResult<i64> {
    upsert_dimension_atom_of_type(value.into(), Element::Float32.name())
}

#[pg_extern(immutable, strict, parallel_safe)]
fn upsert_dimension_atom_of_type(value: f64, element_type: &str) -> PgResult<i64> {
    let element = element_named(element_type)?;
    atom_id_of(element, nearest(value, element)?).ok_or_else(|| {
        fault(code::ARGUMENT, "values of float64 are no atoms").set_detail("An atom id has room for 4 bytes.")
    })
}

/// Returns the nearest value of the type, -0.0 as 0.0; 22003 beyond it.
fn nearest(value: f64, element: Element) -> PgResult<f64> {
    let nearest = element.nearest(value) + 0.0;
    if nearest.is_finite() {
        return Ok(nearest);
    }
    Err(fault(code::OUT_OF_RANGE, format!("{value:e} is out of range for {}", element.name())))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimension_atom_value(dimension_atom_id: i64, element_type: default!(&str, "'float32'")) -> PgResult<f64> {
    let element = element_named(element_type)?;
    let bytes = DimensionValue::from_atom_id(dimension_atom_id).map(DimensionValue::to_bytes).unwrap_or_default();
    let value = element.value(&bytes);
    if bytes.len() != element.width() || !value.is_finite() {
        let refused = format!("{dimension_atom_id} is no atom of a value of {}", element.name());
        return Err(fault(code::ARGUMENT, refused).set_hint("upsert_dimension_atom(value) gives the id."));
    }
    Ok(value)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn nearest_value(value: f64, element_type: &str) -> PgResult<f64> {
    nearest(value, element_named(element_type)?)
}

#[pg_extern(immutable, strict, parallel_safe)]
fn zero_vector(dimensions: i32, element_type: &str) -> PgResult<Dimvec> {
    let typmod = Typmod::new(dimensions, element_named(element_type)?)?;
    let packed = pack_f32(typmod.element(), &vec![0.0; typmod.dimensions()]);
    packed.map(Dimvec).map_err(|error| vector_fault(&error))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn check_vector_form(dimensions: i32, element_type: &str) -> PgResult<()> {
    Typmod::new(dimensions, element_named(element_type)?).map(|_| ())
}
