//! What the crates read agrees with the official Python packages; no server takes part.
//!
//! `PG_ATOMS_PYTHON` is a Python interpreter with the packages of `tests/python/requirements.txt`; `make test` sets it.

mod python;
mod values;
