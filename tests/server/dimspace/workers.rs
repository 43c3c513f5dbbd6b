//! Sessions that change the table `t` of `every_plan::make_mixture` without end, so that its index folds and splits all the time.

use std::sync::atomic::{AtomicBool, Ordering};

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use super::every_plan::add_near;
use crate::dimvec::session;
use crate::support::Database;

/// Rows that one step adds.
const ROWS: usize = 60;
/// Steps until the rows of one are deleted.
const LIFE: usize = 25;
/// Numbers of rows that belong to one worker.
const NUMBERS: usize = 20_000_000;

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Adds, changes and deletes rows of its own, in transactions that end well or not.
    Write,
    /// Cleans the table up.
    Vacuum,
}

/// Works until it is told to stop, or the server is gone; returns how many steps it made.
pub fn work(db: &Database, worker: usize, round: usize, work: Work, stop: &AtomicBool) -> Result<usize> {
    let mut client = session(db)?;
    let mut noise = Noise::new(worker as u64, "worker");
    let mut step = 0;
    while !stop.load(Ordering::Relaxed) {
        let ended = match work {
            Work::Write => write(&mut client, &mut noise, (1 + worker) * NUMBERS + round * NUMBERS / 20, step),
            Work::Vacuum => client.batch_execute("VACUUM t"),
        };
        match ended {
            Ok(()) => step += 1,
            Err(error) if error.code().is_none() => return Ok(step),
            // Two who update rows of each other's may wait for one another.
            Err(error) if error.code().is_some_and(|code| code.code() == "40P01") => {
                client.batch_execute("ROLLBACK")?
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(step)
}

/// One transaction of a writer.
fn write(client: &mut Client, noise: &mut Noise, first: usize, step: usize) -> Result<(), postgres::Error> {
    let at = first + step * ROWS;
    client.batch_execute("BEGIN")?;
    let count = if step % 20 == 7 { ROWS * 8 } else { ROWS };
    client.batch_execute(&add_near(at, count))?;
    if step >= LIFE {
        let old = at - LIFE * ROWS;
        client.batch_execute(&format!("DELETE FROM t WHERE n >= {old} AND n < {}", old + ROWS))?;
    }
    if step % 3 == 1 {
        client.batch_execute(&format!(
            "SAVEPOINT s; UPDATE t SET v = with_dimension(v, 3, random()) WHERE n >= {} AND n < {at}",
            at.saturating_sub(ROWS * 3).max(first)
        ))?;
        if step.is_multiple_of(2) {
            client.batch_execute("ROLLBACK TO SAVEPOINT s")?;
        }
    }
    client.batch_execute(if noise.next_u64().is_multiple_of(8) { "ROLLBACK" } else { "COMMIT" })
}
