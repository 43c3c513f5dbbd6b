//! The tests are in `server/` and `readers/`; this library is empty so that the package builds.
