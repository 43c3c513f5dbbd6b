//! The index against a plain model: random work, crashes at any record, cancels, sessions that take turns.
//!
//! A failure prints its seed.  `DIMSPACE_SEED` runs that one seed only; `DIMSPACE_STEPS` says how many steps the long runs
//! take (100,000 without it): `DIMSPACE_STEPS=1000000 cargo test -p dimspace --release --test index -- --ignored`.

mod damage;
mod history;
mod interleaved;
mod sequential;
mod world;

/// Runs a test over seeds until it took so many steps; `run` returns how many it takes.
fn over_seeds(first: u64, steps: u64, run: impl Fn(u64) -> u64) {
    if let Some(seed) = number_from("DIMSPACE_SEED") {
        run(seed);
        return;
    }
    let (mut seed, mut left) = (first, steps);
    while left > 0 {
        let guard = Seed(seed);
        left = left.saturating_sub(run(seed).max(1));
        std::mem::forget(guard);
        seed += 1;
    }
}

fn long_steps() -> u64 {
    number_from("DIMSPACE_STEPS").unwrap_or(100_000)
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Says its number when a test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        eprintln!("failed with DIMSPACE_SEED={}", self.0);
    }
}
