//! Cancellation, as crates ask for it.

use ::atom::{Interrupt, Interrupted};
use pgrx::pg_sys;

/// Lets the server look after whatever is pending for this backend.
#[derive(Debug, Clone, Copy)]
pub struct Backend;

impl Interrupt for Backend {
    /// Goes on unless the query was cancelled or the backend told to end: then the server's own error unwinds from here.
    ///
    /// The flag alone says too little: the server raises it for much that ends no query, such as a database that is dropped elsewhere.
    fn check(&self) -> Result<(), Interrupted> {
        // SAFETY: a flag that signal handlers of this process set; reading it has no precondition, and a stale value only delays.
        let pending = unsafe { std::ptr::read_volatile(&raw const pg_sys::InterruptPending) };
        if pending != 0 {
            check();
        }
        Ok(())
    }
}

/// Raises the server's own error when the query was cancelled.
pub fn check() {
    pgrx::check_for_interrupts!();
}
