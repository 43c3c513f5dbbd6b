//! The index access method `dimspace` over any pages: vectors in cells, their dimensions as 16-bit codes in two byte planes.
//!
//! `README.md` explains layout, locks and crash states.  The same code runs over PostgreSQL's pages and over pages in memory
//! that can crash.  Knows nothing of PostgreSQL.

#![forbid(unsafe_code)]

mod build;
pub mod check;
mod coded;
pub mod codes;
mod create;
mod error;
mod extent;
mod fold;
#[doc(hidden)]
pub mod fuzz;
mod growth;
mod insert;
pub mod kmeans;
pub mod layout;
#[doc(hidden)]
pub mod memory;
pub mod metric;
mod odd;
mod page;
pub mod quantiles;
mod scan;
mod segment;
mod space;
mod split;
mod state;
pub mod stats;
mod tail;
pub mod tile;
mod vacuum;

pub use build::{Builder, Encoder, Trained, train};
pub use create::{Settings, create, empty};
pub use error::{DimspaceError, Result};
pub use extent::{Extent, extent};
pub use growth::quantiles_of;
pub use insert::{Cache, FIRST_FOLD_ROWS, Tuning, Value, insert};
pub use layout::Tid;
pub use page::{Block, CellLock, Kind, PAGE_BYTES, PAYLOAD_FROM, Page, Pages, RECORD_PAGES_MAX, Record, Slot};
pub use scan::{Condition, Found, Maps, RangeScan, ScanReport};
pub use vacuum::{Cleaned, Deleted, bulk_delete, cleanup};

/// The most dimensions of an index.
pub const DIMENSIONS_MAX: u32 = 16_000;
