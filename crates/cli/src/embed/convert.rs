//! From the type of a file's values to that of a model's: exact where the model's is wider, else to the nearest value.

use std::borrow::Cow;

use vector::{Element, VectorError, settle};

use super::Contents;
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Returns the values in the type `to`, little-endian.  `first_row` is the number of their first row.
///
/// Errors: NaN, an infinity, a value that is out of range for the type; each with its row and dimension, from 0.
pub fn converted<'v>(values: &'v [u8], contents: &Contents, to: Element, first_row: u64) -> Result<Cow<'v, [u8]>> {
    let from = contents.element;
    if from == to && are_finite(values, from) {
        return Ok(Cow::Borrowed(values));
    }
    let mut bytes = Vec::with_capacity(values.len() / from.width() * to.width());
    for (row, values) in (first_row..).zip(values.chunks_exact(contents.row_bytes())) {
        append(values, from, to, &mut bytes).map_err(|error| at_row(row, &error))?;
    }
    Ok(Cow::Owned(bytes))
}

fn at_row(row: u64, error: &VectorError) -> Failure {
    Failure::new(Exit::Invalid, format!("row {row}: {error}"))
}

/// Returns whether no value is NaN or infinite; the usual type has a short way.
fn are_finite(values: &[u8], element: Element) -> bool {
    if element == Element::Float32 {
        let (words, _) = values.as_chunks::<4>();
        return words.iter().all(|word| f32::from_le_bytes(*word).is_finite());
    }
    element.is_integer() || values.chunks_exact(element.width()).all(|value| element.value(value).is_finite())
}

/// Appends the values of one row.
fn append(values: &[u8], from: Element, to: Element, bytes: &mut Vec<u8>) -> std::result::Result<(), VectorError> {
    for (dimension, value) in values.chunks_exact(from.width()).enumerate() {
        let (value, width) = to.to_bytes(settle(to, dimension, from.value(value))?);
        bytes.extend_from_slice(&value[..width]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(element: Element, values: &[f64]) -> Vec<u8> {
        let of = |value: &f64| {
            let (bytes, width) = element.to_bytes(*value);
            bytes[..width].to_vec()
        };
        values.iter().flat_map(of).collect()
    }

    fn convert(from: Element, to: Element, values: &[f64]) -> Result<Vec<u8>> {
        let contents = Contents { dimensions: 2, rows: 2, element: from, registers_as: from, has_ids: false };
        converted(&bytes(from, values), &contents, to, 10).map(Cow::into_owned)
    }

    #[test]
    fn values_that_both_types_have_stay_what_they_are() {
        let values = [0.0, 1.0, 2.0, 100.0];
        for from in Element::ALL {
            for to in Element::ALL {
                assert_eq!(convert(from, to, &values).unwrap(), bytes(to, &values), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn others_are_rounded_to_the_nearest() {
        let rounded = convert(Element::Float64, Element::Float32, &[0.1, -0.1]).unwrap();
        assert_eq!(rounded, [0.1_f32.to_le_bytes(), (-0.1_f32).to_le_bytes()].concat());
        assert_eq!(convert(Element::Float32, Element::Int8, &[2.5, -3.75]).unwrap(), [2, -4_i8 as u8]);
    }

    #[test]
    fn what_is_no_value_is_named_with_its_row_and_dimension() {
        use Element::*;
        let cases = [
            (Float32, Float32, f64::NAN, "row 11: NaN is no value of a vector (dimension 0)"),
            (Float64, Float64, f64::INFINITY, "row 11: inf is no value of a vector (dimension 0)"),
            (Float16, Float16, f64::NEG_INFINITY, "row 11: -inf is no value of a vector (dimension 0)"),
            (Float64, Float16, 65520.0, "row 11: 65520 is out of range for float16 (dimension 0)"),
            (Uint8, Int8, 128.0, "row 11: 128 is out of range for int8 (dimension 0)"),
            (Int8, Uint8, -1.0, "row 11: -1 is out of range for uint8 (dimension 0)"),
        ];
        for (from, to, bad, message) in cases {
            let failure = convert(from, to, &[1.0, 2.0, bad, 1.0]).unwrap_err();
            assert_eq!((failure.message.as_str(), failure.exit()), (message, Exit::Invalid));
        }
    }
}
