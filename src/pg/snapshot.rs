//! What a volatile function sees: its query's snapshot is older than what it learnt after waiting for a lock.

use pgrx::pg_sys;

/// Runs `work` under a snapshot taken now, as SPI does for each statement of a volatile function.
///
/// An error raised in `work` leaves the snapshot to the transaction's abort.
pub fn latest<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: inside a transaction, because functions run in one; the copy that is pushed lives until it is popped below.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let result = work();
    // SAFETY: pops what was pushed above; `work` has popped whatever it pushed.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}
