//! What the crates read agrees with the official Python packages and with what real files are; no server takes part.
//!
//! `PG_ATOMS_PYTHON` is a Python interpreter with the packages of `tests/python/requirements.txt`, `PG_ATOMS_MODELS` the folder
//! of the real files that `tests/models/pins.json` lists; `make test` sets both.

mod detection;
mod gguf;
mod python;
mod values;
mod vocabulary;
