//! A streaming standby answers as the primary does, while it replays folds and splits and after it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pg_test::{Cluster, Result};
use postgres::Client;

use super::every_plan::{allow, assert_every_plan_agrees, found, make_mixture, ranges_of_mixture};
use super::problems;
use super::workers::{Work, work};
use crate::dimvec::{rows, session};
use crate::support::Database;

const WRITES_FOR: Duration = Duration::from_secs(6);

fn session_on(standby: &Cluster, db: &Database) -> Result<Client> {
    let mut client = standby.connect(db.name())?;
    client.batch_execute("SET search_path = public, atoms")?;
    Ok(client)
}

/// Compares plans within snapshots, and scans between replayed records, until it is told to stop; returns how often.
fn read_along(standby: &Cluster, db: &Database, stop: &AtomicBool) -> Result<usize> {
    let mut client = session_on(standby, db)?;
    let ranges = ranges_of_mixture(12);
    let mut turns = 0;
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
        let from = turns % (ranges.len() - 2);
        assert_every_plan_agrees(&mut client, &ranges[from..from + 3])?;
        client.batch_execute("COMMIT")?;
        for scan in ["indexscan", "bitmapscan"] {
            allow(&mut client, scan)?;
            for range in &ranges {
                found(&mut client, range)?;
            }
        }
        turns += 1;
    }
    Ok(turns)
}

#[test]
fn a_standby_answers_alike_while_the_primary_writes() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder().setting("wal_consistency_checking = generic"))?;
    let mut primary = session(&db)?;
    make_mixture(&mut primary, 21, 3000)?;
    let standby = db.cluster().standby()?;
    // Replay waits for queries rather than cancel them.
    standby.append_settings("max_standby_streaming_delay = -1")?;
    standby.restart()?;
    let stop = AtomicBool::new(false);
    let (stop, db_ref, standby_ref) = (&stop, &db, &standby);
    thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = [Work::Write, Work::Write, Work::Write, Work::Write, Work::Vacuum]
            .into_iter()
            .enumerate()
            .map(|(worker, kind)| scope.spawn(move || work(db_ref, worker, 0, kind, stop)))
            .collect();
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(move || read_along(standby_ref, db_ref, stop))).collect();
        thread::sleep(WRITES_FOR);
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = writers.into_iter().chain(readers).map(|thread| thread.join()).collect();
        for ended in ended {
            assert!(ended.expect("it does not panic")? > 1, "all were at work");
        }
        Ok(())
    })?;
    db.cluster().wait_caught_up(&standby)?;
    let mut client = session_on(&standby, &db)?;
    assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))?;
    for range in ranges_of_mixture(12) {
        assert_eq!(found(&mut client, &range)?, found(&mut primary, &range)?, "{range}");
    }
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    assert_eq!(problems(&mut primary, "i")?, Vec::<String>::new());
    // Pages that are free on one are free on the other, whatever the maps of free pages say.
    let figures = "SELECT * FROM dimspace_stats('i')";
    assert_eq!(rows(&mut client, figures), rows(&mut primary, figures));
    Ok(())
}
