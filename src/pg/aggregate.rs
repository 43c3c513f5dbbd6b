//! States of aggregates: a Rust value that lives as long as the aggregate does.

use pgrx::datum::Internal;
use pgrx::{PgMemoryContexts, pg_sys};

/// Returns the state of an aggregate, made where there is none yet; it is dropped with the aggregate's memory.
///
/// Only transition and combine functions may ask; their SQL declaration takes `internal`, so nobody else can call them.
pub fn state_or_default<T: Default>(state: &mut Internal, call: pg_sys::FunctionCallInfo) -> &mut T {
    let mut context = std::ptr::null_mut();
    // SAFETY: `call` is the current call, and `context` is valid for writing.
    let kind = unsafe { pg_sys::AggCheckCallContext(call, &mut context) };
    assert!(kind != 0, "an aggregate's function was called outside of an aggregate");
    if !state.initialized() {
        // SAFETY: the aggregate's context is live during the call.
        *state = unsafe { PgMemoryContexts::For(context).switch_to(|_| Internal::new(T::default())) };
    }
    // SAFETY: all functions of one aggregate in `sql/` agree on the type of its state.
    unsafe { state.get_mut::<T>() }.expect("made above")
}

/// Returns the state of an aggregate; `None` before its first row.
///
/// Each caller's SQL declaration makes it the function of one aggregate, whose state has this type.
pub fn state<T>(state: &Internal) -> Option<&T> {
    // SAFETY: as above.
    unsafe { state.get::<T>() }
}
