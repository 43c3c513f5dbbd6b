//! pg_atoms: AI models, tensors and embeddings as deduplicated atoms inside PostgreSQL.
//!
//! One module per thing a SQL user sees; `sql/` declares the functions, `pg/` is the only room with unsafe code towards
//! PostgreSQL.  `docs/design.md` has the map.

// A `#[pg_extern]` is documented where users look: by COMMENT in `sql/`.
#![allow(missing_docs)]
// pgrx keeps the SQLSTATE of an `ErrorReport` only where it is returned by value; errors are made once and end the statement.
#![allow(clippy::result_large_err)]

mod atom;
mod content_hash;
mod convert;
mod dim_point;
mod dim_range;
mod dimspace;
mod dimvec;
mod embedding;
mod export;
mod format;
mod import;
mod model;
mod pg;
mod server_file;
mod stored_file;
mod stored_tensor;
mod tensor;
mod values;
mod verify;

pgrx::pg_module_magic!();

/// Runs once in every backend that loads the library.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::guc::define();
}
