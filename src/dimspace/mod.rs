//! The index access method `dimspace`: what the server asks of it, in terms of the crate of that name.

pub mod build;
pub mod cost;
mod definition;
mod heap;
pub mod insert;
mod kept;
mod report;
mod sample;
pub mod scan;
pub mod selectivity;
mod support;
pub mod vacuum;
pub mod validate;

use ::dimspace::DimspaceError;
use pgrx::pg_sys::panic::ErrorReport;

use crate::pg::error::index_fault;

/// Gives the server the error of the crate.
fn refuse(error: DimspaceError) -> ErrorReport {
    index_fault(&error)
}
