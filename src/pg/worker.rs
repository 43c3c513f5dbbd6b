//! Threads for hashing.  They never touch PostgreSQL and run with every signal blocked, so no handler of the backend runs in them.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use rayon::ThreadPool;
use rayon::prelude::*;
use store::RunningHash;

/// Made when first needed, never in the postmaster: threads do not survive fork.
static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// Returns the pool of this backend; `None` when the system grants no threads, then the caller works alone.
pub fn pool() -> Option<&'static ThreadPool> {
    POOL.get_or_init(|| {
        with_signals_blocked(|| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(super::guc::threads())
                .thread_name(|n| format!("pg_atoms hash {n}"))
                .build()
                .ok()
        })
    })
    .as_ref()
}

/// Maps pure work over items, on all threads there are.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    match pool() {
        Some(pool) if items.len() > 1 => pool.install(|| items.par_iter().map(&work).collect()),
        _ => items.iter().map(work).collect(),
    }
}

/// Runs `aside` on a thread while `here` runs in the backend itself and may talk to PostgreSQL.
///
/// An error raised in `here` leaves only after `aside` has ended.
pub fn beside<A: Send, B>(aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    let Some(pool) = pool() else {
        let b = here();
        return (aside(), b);
    };
    let mut result = None;
    let slot = &mut result;
    let b = pool.in_place_scope(|scope| {
        scope.spawn(move |_| *slot = Some(aside()));
        here()
    });
    (result.expect("the scope ends after the thread has stored its result"), b)
}

/// Goes on with a hash over the windows that `read` brings, to the first empty one; a thread hashes one while the next is read.
pub fn hash_windows<E>(
    mut hash: RunningHash,
    mut read: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<RunningHash, E> {
    let (mut full, mut next) = (Vec::new(), Vec::new());
    read(&mut full)?;
    while !full.is_empty() {
        super::interrupt::check();
        let ((), result) = beside(|| hash.update(&full), || read(&mut next));
        result?;
        std::mem::swap(&mut full, &mut next);
    }
    Ok(hash)
}

/// A thread inherits its maker's signal mask.
fn with_signals_blocked<R>(make: impl FnOnce() -> R) -> R {
    let mut every = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set it is given.
    unsafe { libc::sigfillset(every.as_mut_ptr()) };
    // SAFETY: `every` was initialised by the line above; `before` is written by the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, every.as_ptr(), before.as_mut_ptr()) };
    let made = make();
    // SAFETY: `before` was written by the first call; a null pointer for the old mask is allowed.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    made
}
