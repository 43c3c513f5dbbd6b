//! Many write, read and clean up at once: readers are never wrong, and the index ends sound, with short tails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pg_test::{Cluster, Result};
use postgres::Client;

use super::every_plan::{allow, assert_every_plan_agrees, in_range, make_mixture, ranges_of_mixture};
use super::workers::{Work, work};
use super::{figure, problems};
use crate::dimvec::{rows, session};
use crate::support::Database;
use crate::support::oracle::value;

const WRITERS: usize = 8;

/// Compares plans in snapshots until it is told to stop; returns how often.
fn read_along(db: &Database, stop: &AtomicBool) -> Result<usize> {
    let mut client = session(db)?;
    let ranges = ranges_of_mixture(12);
    let mut turns = 0;
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
        let from = turns % (ranges.len() - 2);
        assert_every_plan_agrees(&mut client, &ranges[from..from + 3])?;
        client.batch_execute("COMMIT")?;
        turns += 1;
    }
    Ok(turns)
}

/// Lets eight write beside two readers and VACUUM, and looks at what they leave.
fn write_for(time: Duration) -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 31, 3000)?;
    let stop = AtomicBool::new(false);
    let (stop, db_ref) = (&stop, &db);
    let begun = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let mut threads: Vec<_> =
            (0..WRITERS).map(|worker| scope.spawn(move || work(db_ref, worker, 0, Work::Write, stop))).collect();
        threads.push(scope.spawn(move || work(db_ref, WRITERS, 0, Work::Vacuum, stop)));
        threads.extend((0..2).map(|_| scope.spawn(move || read_along(db_ref, stop))));
        while begun.elapsed() < time && threads.iter().all(|thread| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        for ended in ended {
            let steps = ended.expect("it does not panic")?;
            println!("{steps} steps");
            assert!(steps > 2, "all were at work");
        }
        Ok(())
    })?;
    assert!(begun.elapsed() >= time, "nobody ended early");
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    println!("{:?}", rows(&mut client, "SELECT * FROM dimspace_stats('i')"));
    let share = "SELECT tail_rows::float8 / rows FROM dimspace_stats('i')";
    assert!(value::<f64>(&mut client, share)? < 0.05, "tails are folded while many write");
    assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))?;
    client.batch_execute("VACUUM t")?;
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    assert!(figure(&mut client, "i", "cells")? > 6, "cells were split");
    assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))
}

#[test]
fn eight_write_beside_readers_and_vacuum() -> Result<()> {
    write_for(Duration::from_secs(12))
}

/// `make dimspace-long` runs it.
#[test]
#[ignore = "takes five minutes"]
fn eight_write_for_five_minutes() -> Result<()> {
    write_for(Duration::from_secs(300))
}

/// Fills `t` with rows of which the first value is this one.
fn fill(client: &mut Client, first_value: i32) -> Result<()> {
    Ok(client.batch_execute(&format!(
        "INSERT INTO t SELECT n, ARRAY[{first_value}, random(), random(), n % 10]::dimvec FROM generate_series(1, 1500) n"
    ))?)
}

/// The place of a deleted row is soon that of another, whose value is in another range.
#[test]
fn a_place_that_is_used_again_never_answers_for_the_row_before() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    for fold_rows in [16, 100_000] {
        client.batch_execute(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (n int, v dimvec(4)) WITH (autovacuum_enabled = off); \
             CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = {fold_rows})"
        ))?;
        fill(&mut client, 1)?;
        client.batch_execute("CREATE TEMPORARY TABLE IF NOT EXISTS places (place tid); TRUNCATE places; INSERT INTO places SELECT ctid FROM t")?;
        client.batch_execute("DELETE FROM t WHERE n % 4 > 0")?;
        client.batch_execute("VACUUM t")?;
        fill(&mut client, 5)?;
        let again = "SELECT count(*) FROM t JOIN places ON place = t.ctid WHERE dimension_value(v, 0) = 5";
        assert!(value::<i64>(&mut client, again)? > 1000, "places are used again");
        let ranges = [(1.0, 1.0), (5.0, 5.0), (0.0, 3.0), (3.0, 9.0)].map(|(lo, hi)| in_range(0, lo, hi));
        assert_every_plan_agrees(&mut client, &ranges)?;
        allow(&mut client, "indexscan")?;
        let others =
            "SELECT count(*), count(*) FILTER (WHERE dimension_value(v, 0) <> 1) FROM t WHERE v <@ dim_range(0, 1, 1)";
        assert_eq!(rows(&mut client, others), ["375|0"]);
        client.batch_execute("RESET ALL; SET search_path = public, atoms")?;
        assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    }
    Ok(())
}

/// The same while others read: they never get a row that is not in their range.
#[test]
fn places_are_used_again_under_readers() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE t (n int, v dimvec(4)) WITH (autovacuum_enabled = off); CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 16)",
    )?;
    let stop = AtomicBool::new(false);
    let (stop, db_ref) = (&stop, &db);
    thread::scope(|scope| -> Result<()> {
        let read = move |first_value: i32, scan: &'static str| -> Result<usize> {
            let mut client = session(db_ref)?;
            allow(&mut client, scan)?;
            // The codes are sure of rows within such a range, so that nothing is looked up in the table.
            let query = format!(
                "SELECT count(*) FILTER (WHERE dimension_value(v, 0) <> {first_value}), count(*) FROM t \
                 WHERE v <@ dim_range(0, {first_value} - 0.5, {first_value} + 0.5)"
            );
            let mut turns = 0;
            while !stop.load(Ordering::Relaxed) {
                let row = client.query_one(&query, &[])?;
                assert_eq!(row.get::<_, i64>(0), 0, "{scan}: rows of another value");
                turns += row.get::<_, i64>(1).min(1) as usize;
            }
            Ok(turns)
        };
        let readers = [(1, "indexscan"), (5, "indexscan"), (1, "bitmapscan"), (5, "bitmapscan")]
            .map(|(first_value, scan)| scope.spawn(move || read(first_value, scan)));
        let written: Result<()> = (0..12).try_for_each(|turn| {
            fill(&mut client, if turn % 2 == 0 { 1 } else { 5 })?;
            client.batch_execute(if turn % 3 == 0 { "DELETE FROM t WHERE n % 5 > 0" } else { "DELETE FROM t" })?;
            Ok(client.batch_execute("VACUUM (TRUNCATE off) t")?)
        });
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        written?;
        for ended in ended {
            ended.expect("it does not panic")?;
        }
        Ok(())
    })?;
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    Ok(())
}
