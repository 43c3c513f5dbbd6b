//! Threads for hashing and for building indexes.  They never touch PostgreSQL and run with every signal blocked, so no handler of the backend runs in them.

use std::mem::MaybeUninit;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};

use dimspace::kmeans::Crew;
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

/// Lets the crates use the threads of the backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Threads;

impl Crew for Threads {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        map(items, work)
    }
}

/// Runs `here` in the backend while threads do `work` on what it pushes into the stream.
///
/// An error raised in `here` leaves only after the threads have ended, which they do once the stream is gone.
pub fn stream<T: Send, R: Send, B>(work: impl Fn(T) -> R + Sync, here: impl FnOnce(Stream<'_, T, R>) -> B) -> B {
    let Some(pool) = pool() else { return here(Stream(Way::Alone(&work))) };
    let threads = pool.current_num_threads();
    let (to, items) = sync_channel(threads);
    let (done, from) = channel();
    // Shared by the threads alone: once none of them lives, pushing fails, and does not wait for ever.
    let items = Arc::new(Mutex::new(items));
    pool.in_place_scope(|scope| {
        for _ in 0..threads {
            let (items, done, work) = (items.clone(), done.clone(), &work);
            scope.spawn(move |_| work_off(&items, &done, work));
        }
        drop((items, done));
        here(Stream(Way::Threads { to, from }))
    })
}

/// Does the work of one thread until no item can come any more, or nobody takes what is made.
fn work_off<T, R>(items: &Mutex<Receiver<T>>, done: &Sender<R>, work: &impl Fn(T) -> R) {
    let next = || items.lock().ok()?.recv().ok();
    while let Some(item) = next() {
        if done.send(work(item)).is_err() {
            return;
        }
    }
}

/// Items on their way to threads, and what comes back, in any order.
pub struct Stream<'w, T, R>(Way<'w, T, R>);

enum Way<'w, T, R> {
    Threads { to: SyncSender<T>, from: Receiver<R> },
    Alone(&'w dyn Fn(T) -> R),
}

impl<T, R> Stream<'_, T, R> {
    /// Hands over an item, waiting while every thread has one that waits; `take` gets what is done so far.
    pub fn push(&self, item: T, mut take: impl FnMut(R)) {
        match &self.0 {
            Way::Alone(work) => take(work(item)),
            Way::Threads { to, from } => {
                from.try_iter().for_each(take);
                to.send(item).expect("a thread takes items while the stream lives");
            }
        }
    }

    /// Ends the stream; `take` gets the rest.
    pub fn finish(self, take: impl FnMut(R)) {
        if let Way::Threads { to, from } = self.0 {
            drop(to);
            from.iter().for_each(take);
        }
    }
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
