//! Cancellation, handed into every long loop.

use std::fmt;

/// Asks whether the work at hand was cancelled.
pub trait Interrupt: Sync {
    /// Fails once the user has cancelled; loops over input pass the error on at once.
    fn check(&self) -> Result<(), Interrupted>;
}

/// The work was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Interrupted {}

/// Work that nobody can cancel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<(), Interrupted> {
        Ok(())
    }
}
