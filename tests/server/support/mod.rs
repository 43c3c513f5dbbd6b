//! What the tests stand on: clusters and databases, clients, models, and oracles that do not ask the code under test.

use std::time::{Duration, Instant};

pub mod cli;
pub mod database;
pub mod import;
pub mod models;
pub mod oracle;
pub mod read_calls;
pub mod refusal;
pub mod turn;
pub mod upload;
pub mod vector_calls;

pub use database::Database;
pub use refusal::refused;

/// Waits until a condition holds.  Panics after half a minute: then it never will.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> pg_test::Result<bool>) -> pg_test::Result<()> {
    let begun = Instant::now();
    while !holds()? {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
