//! Which tests may run beside others: most may, those that measure time or memory run alone.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURNS: RwLock<()> = RwLock::new(());

thread_local! {
    /// Turns that this thread has; the second is part of the first, or a waiting writer would stop us in between.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A test's turn; it ends when it is dropped.
pub struct Turn {
    _guard: Guard,
}

#[expect(dead_code, reason = "held for their drop")]
enum Guard {
    Nested,
    Together(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Turn {
    /// Waits until no test runs alone.
    pub fn together() -> Turn {
        Turn::take(|| Guard::Together(TURNS.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Waits until no other test runs, and keeps them from starting.
    pub fn alone() -> Turn {
        Turn::take(|| Guard::Alone(TURNS.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn take(wait: impl FnOnce() -> Guard) -> Turn {
        let guard = if DEPTH.get() == 0 { wait() } else { Guard::Nested };
        DEPTH.set(DEPTH.get() + 1);
        Turn { _guard: guard }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
