//! Cancellation, as crates ask for it.

use ::atom::{Interrupt, Interrupted};
use pgrx::pg_sys;

/// Asks whether the query was cancelled or the backend told to end.
#[derive(Debug, Clone, Copy)]
pub struct Backend;

impl Interrupt for Backend {
    fn check(&self) -> Result<(), Interrupted> {
        // SAFETY: a flag that signal handlers of this process set; reading it has no precondition, and a stale value only delays.
        let pending = unsafe { std::ptr::read_volatile(&raw const pg_sys::InterruptPending) };
        if pending != 0 { Err(Interrupted) } else { Ok(()) }
    }
}

/// Raises the server's own error when the query was cancelled.
pub fn check() {
    pgrx::check_for_interrupts!();
}
