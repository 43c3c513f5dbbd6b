//! The type modifier: `dimvec(384)`, `dimvec(384, float16)`, `dimvec(float16)`.
//!
//! Bits 0 to 15 hold the number of dimensions (0: any), bits 16 to 19 the number of the element type and 1 (0: any).

use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use vector::{DIMENSIONS_MAX, Element, Packed, VectorError, arithmetic};

use super::{element_named, give};
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, code, fault, vector_fault};

/// What a column demands of its vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Typmod {
    dimensions: Option<usize>,
    element: Option<Element>,
}

impl Typmod {
    /// Demands both.
    pub fn new(dimensions: i32, element: Element) -> PgResult<Self> {
        match usize::try_from(dimensions) {
            Ok(0) | Err(_) => Err(fault(code::ARGUMENT, "a vector has at least 1 dimension")),
            Ok(dimensions @ 1..=DIMENSIONS_MAX) => Ok(Self { dimensions: Some(dimensions), element: Some(element) }),
            Ok(dimensions) => Err(vector_fault(&VectorError::TooManyDimensions { dimensions })),
        }
    }

    /// Reads the number that PostgreSQL keeps; -1 demands nothing.
    pub fn from_number(number: i32) -> Self {
        let Ok(number) = u32::try_from(number) else { return Self::default() };
        let dimensions = (number & 0xffff) as usize;
        let element = ((number >> 16 & 15) as u8).checked_sub(1).and_then(Element::from_number);
        Self { dimensions: (dimensions > 0).then_some(dimensions), element }
    }

    fn to_number(self) -> i32 {
        let element = self.element.map_or(0, |element| i32::from(element.number()) + 1);
        self.dimensions() as i32 | element << 16
    }

    /// Returns the number of dimensions; 0 where any will do.
    pub fn dimensions(self) -> usize {
        self.dimensions.unwrap_or(0)
    }

    /// Returns the element type of what is read without one.
    pub fn element(self) -> Element {
        self.element.unwrap_or(Element::Float32)
    }

    /// Refuses vectors with other numbers of dimensions.
    pub fn check(self, packed: &Packed<'_>) -> Result<(), VectorError> {
        self.dimensions.map_or(Ok(()), |expected| VectorError::unless_equal(expected, packed.dimensions()))
    }

    /// Returns the vector as the column demands it: values are rounded to the nearest of its element type.
    pub fn fit(self, packed: Vec<u8>) -> Result<Vec<u8>, VectorError> {
        let vector = Packed::read(&packed)?;
        self.check(&vector)?;
        match self.element {
            Some(element) if element != vector.element() => arithmetic::convert(&vector, element),
            _ => Ok(packed),
        }
    }
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_typmod_in(words: pgrx::Array<&CStr>) -> PgResult<i32> {
    let mut typmod = Typmod::default();
    for word in words.iter().flatten() {
        let word = word.to_string_lossy();
        // More digits than a number has are a number all the same.
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        match word.parse::<i64>().or_else(|error| if digits { Ok(i64::MAX) } else { Err(error) }) {
            Ok(number) if typmod.dimensions.is_none() => typmod.dimensions = Some(dimensions_of(number)?),
            Err(_) if typmod.element.is_none() => typmod.element = Some(element_named(&word)?),
            _ => return Err(fault(code::ARGUMENT, "invalid type modifier").set_hint(FORM)),
        }
    }
    Ok(typmod.to_number())
}

const FORM: &str = "Write dimvec(dimensions), dimvec(dimensions, element_type) or dimvec(element_type).";

fn dimensions_of(number: i64) -> PgResult<usize> {
    match usize::try_from(number) {
        Ok(dimensions @ 1..=DIMENSIONS_MAX) => Ok(dimensions),
        Ok(dimensions @ 1..) => Err(vector_fault(&VectorError::TooManyDimensions { dimensions })),
        _ => Err(fault(code::ARGUMENT, "dimensions for type dimvec must be at least 1")),
    }
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_typmod_out(typmod: i32) -> CString {
    let typmod = Typmod::from_number(typmod);
    let words = [typmod.dimensions.map(|count| count.to_string()), typmod.element.map(|element| element.name().into())];
    let words: Vec<String> = words.into_iter().flatten().collect();
    CString::new(format!("({})", words.join(","))).expect("digits and names hold no NUL")
}

/// The cast to the same type, which enforces the type modifier.
#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_enforce(value: DimvecArg<'_>, typmod: i32, _explicit: bool) -> PgResult<Dimvec> {
    give(Typmod::from_number(typmod).fit(value.packed()?.bytes().to_vec()))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn fit_vector(value: DimvecArg<'_>, dimensions: i32, element_type: &str) -> PgResult<Dimvec> {
    let typmod = Typmod::new(dimensions, element_named(element_type)?)?;
    give(typmod.fit(value.packed()?.bytes().to_vec()))
}
