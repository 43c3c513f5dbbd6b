//! All unsafe code towards PostgreSQL, behind safe functions.

pub mod bulk;
pub mod call;
pub mod error;
pub mod guc;
pub mod hash_datum;
pub mod interrupt;
pub mod message;
pub mod relation;
pub mod role;
pub mod segment;
pub mod snapshot;
pub mod spi;
pub mod varlena;
pub mod worker;
