//! Bodies of the fuzz targets, so that `cargo test` runs them over the same corpus.  Not part of the interface.
