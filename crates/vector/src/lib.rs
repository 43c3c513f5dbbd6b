//! Vectors: element types, the packed form that is stored, text and binary forms, arithmetic, comparison, distances.
//!
//! A vector has 1 to 65,535 dimensions and a declared [`Element`] type.  What is stored is narrower where nothing is lost:
//! [`pack`] chooses, [`Packed`] reads.  Values are finite, and -0.0 is 0.0.  Knows nothing of PostgreSQL.

pub mod arithmetic;
pub mod bytes;
pub mod compare;
mod dim_point;
mod dim_range;
pub mod distance;
pub mod distinct;
mod element;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod moments;
mod pack;
mod packed;
pub mod pgvector;
pub mod sum;
pub mod text;
pub mod wire;

pub use dim_point::DimPoint;
pub use dim_range::DimRange;
pub use element::Element;
pub use error::VectorError;
pub use pack::{pack_f32, pack_f64, settle};
pub use packed::{DIMENSIONS_MAX, HEADER_BYTES, Packed};
