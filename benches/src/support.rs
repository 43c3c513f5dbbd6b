//! What all rows stand on: one durable server, a clock that includes everything up to the disk, models, and the peers.

pub mod atoms;
pub mod backend;
pub mod clock;
pub mod copy_fields;
pub mod copy_in;
pub mod copy_out;
pub mod derived;
pub mod failure;
pub mod folder;
pub mod hashing;
pub mod model;
pub mod peer_table;
pub mod programs;
pub mod python;
pub mod server;
pub mod vectors;

pub use failure::{Failure, Result};
pub use server::{Bench, Database};
