//! pg_atoms
