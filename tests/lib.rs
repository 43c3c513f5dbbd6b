//! The tests are in `server/`; this library is empty so that the package builds.
