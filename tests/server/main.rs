//! The promises of pg_atoms, each tested against real servers with real files and real clients: a module per promise.
//!
//! The environment says where things are; `scripts/test` sets it:
//!
//! - `PG_ATOMS_MODELS`: the real model files that `tests/models/pins.json` lists;
//! - `PG_ATOMS_PYTHON`: a Python interpreter with the packages of `tests/python/requirements.txt`;
//! - `ATOMS_BIN`: the program `atoms`.
//!
//! The extension is the one that is installed in the PostgreSQL of `pg_config`.

mod support;

mod access;
mod atoms;
mod cancel;
mod concurrent;
mod content_hash;
mod crash;
mod damage;
mod dim_range;
mod dimspace;
mod dimvec;
mod embed_program;
mod embeddings;
mod formats;
mod golden;
mod hostile;
mod looks;
mod memory;
mod program;
mod protocol;
mod readers_agree;
mod readme;
mod roundtrip;
mod sharing;
mod signatures;
mod standby_and_dump;
mod upgrade;
mod values;
