//! The type `dimvec`: a vector of 1 to 65,535 numbers of a declared element type.

mod access;
mod aggregates;
mod casts;
mod compare;
mod operators;
mod pgvector;
mod type_io;
pub mod typmod;

pub use access::dimension_atom_id as atom_id_of;
pub use casts::refuse_nulls;
use vector::{Element, VectorError};

use crate::pg::dimvec_datum::Dimvec;
use crate::pg::error::{PgResult, code, fault, vector_fault};

/// Gives SQL what the crate made, or its error.
fn give(packed: Result<Vec<u8>, VectorError>) -> PgResult<Dimvec> {
    packed.map(Dimvec).map_err(|error| vector_fault(&error))
}

/// Returns the element type of that name; 22023 for another.
pub fn element_named(name: &str) -> PgResult<Element> {
    Element::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Element::ALL.iter().map(|element| element.name()).collect();
        fault(code::ARGUMENT, format!("\"{name:.100}\" is no element type of a vector"))
            .set_hint(format!("The element types are {}.", names.join(", ")))
    })
}
