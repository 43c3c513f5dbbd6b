//! A build, a fold, a VACUUM and a scan that are cancelled at any moment end within a second and leave a sound index.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use super::every_plan::{add_near, allow, allow_all, assert_every_plan_agrees, make_mixture, ranges_of_mixture};
use super::{figure, problems};
use crate::cancel::quiet_cluster;
use crate::dimvec::session;
use crate::support::Database;
use crate::support::oracle::value;

/// The promise.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Runs a statement that is cancelled after some time, unless it is done by then; true when it was.
#[track_caller]
fn cancelled_after(client: &mut Client, milliseconds: u64, statement: &str) -> Result<bool> {
    client.batch_execute(&format!("SET statement_timeout = {milliseconds}"))?;
    let begun = Instant::now();
    let ended = client.batch_execute(statement);
    // The error comes before the transaction is rolled back; the next answer comes after.  On a busy machine a millisecond may be
    // over before this statement is.
    while client.batch_execute("RESET statement_timeout").is_err() {}
    let late = begun.elapsed().saturating_sub(Duration::from_millis(milliseconds));
    match ended {
        Ok(()) => Ok(false),
        Err(error) => {
            assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{statement}: {error:?}");
            assert!(late < ENDS_WITHIN, "{statement} ended {late:?} after it was cancelled");
            Ok(true)
        }
    }
}

/// Runs a statement with ever more time, until it is done; returns how often it was cancelled.
fn cancel_until_done(
    client: &mut Client,
    statement: &str,
    mut after_each: impl FnMut(&mut Client) -> Result<()>,
) -> Result<usize> {
    let mut milliseconds = 1;
    let mut times = 0;
    while cancelled_after(client, milliseconds, statement)? {
        after_each(client)?;
        milliseconds += 1 + milliseconds / 4;
        times += 1;
    }
    after_each(client)?;
    println!("{statement}: cancelled {times} times, done in {milliseconds} ms");
    Ok(times)
}

#[track_caller]
fn assert_clean(client: &mut Client) -> Result<()> {
    assert_eq!(problems(client, "i")?, Vec::<String>::new());
    Ok(())
}

#[track_caller]
fn assert_whole(client: &mut Client) -> Result<()> {
    assert_every_plan_agrees(client, &ranges_of_mixture(12))?;
    assert_clean(client)
}

#[test]
fn builds() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 51, 20_000)?;
    for create in [
        "CREATE INDEX i ON t USING dimspace (v) WITH (cells = 400)",
        "CREATE INDEX CONCURRENTLY i ON t USING dimspace (v)",
        "CREATE INDEX i ON t USING dimspace (v) WITH (planes = 1); REINDEX INDEX i",
    ] {
        client.batch_execute("DROP INDEX i")?;
        let times = cancel_until_done(&mut client, create, |client| {
            if create.contains("CONCURRENTLY") {
                // It is left behind, invalid, as that of any access method.
                let left = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('i') AND indisvalid";
                if value::<i64>(client, left)? == 0 {
                    client.batch_execute("DROP INDEX IF EXISTS i")?;
                }
            }
            Ok(())
        })?;
        assert!(times > 5, "{create}: cancelled {times} times");
        assert_whole(&mut client)?;
    }
    let files = "SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = current_database())) f \
        WHERE f ~ '^[0-9]+$' AND f::oid >= 16384 AND f::oid NOT IN (SELECT relfilenode FROM pg_class)";
    client.batch_execute("CHECKPOINT")?;
    assert_eq!(value::<i64>(&mut client, files)?, 0, "no file is left");
    Ok(())
}

/// Far longer than a second, most of it training.
#[test]
fn a_long_build_ends_soon() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE base AS SELECT n, (SELECT array_agg((random() - 0.5)::real) FROM generate_series(n, n + 191))::dimvec AS v FROM generate_series(1, 180) n; \
         CREATE TABLE t AS SELECT row_number() OVER () AS n, a.v + b.v AS v FROM base a, base b",
    )?;
    for milliseconds in [60, 300, 900, 1600] {
        for create in [
            "CREATE INDEX i ON t USING dimspace (v) WITH (cells = 8000)",
            "CREATE INDEX i ON t USING dimspace (v); SELECT pg_sleep(10)",
        ] {
            assert!(cancelled_after(&mut client, milliseconds, create)?, "{create} took less than {milliseconds} ms");
        }
    }
    Ok(())
}

#[test]
fn inserts_that_fold_and_split() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 52, 3000)?;
    let mut cancelled = 0;
    for turn in 0..50 {
        let insert = add_near(10_000 + turn * 3000, 1500);
        cancelled += usize::from(cancelled_after(&mut client, 1 + turn as u64 / 2, &insert)?);
        assert_clean(&mut client)?;
    }
    assert!(cancelled > 3, "{cancelled} were cancelled");
    client.batch_execute(&add_near(1_000_000, 3000))?;
    assert_whole(&mut client)?;
    client.batch_execute("VACUUM t")?;
    assert_whole(&mut client)
}

#[test]
fn vacuum() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 53, 30_000)?;
    for part in 0..3 {
        client.batch_execute(&format!("DELETE FROM t WHERE n % 4 = {part}"))?;
        client.batch_execute(&add_near(100_000 + part * 10_000, 4000))?;
        let times = cancel_until_done(&mut client, "VACUUM t", assert_clean)?;
        assert!(times > 3, "cancelled {times} times");
        assert_whole(&mut client)?;
    }
    assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, value::<i64>(&mut client, "SELECT count(*) FROM t")?);
    Ok(())
}

#[test]
fn scans_and_functions_that_look_into_the_index() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 54, 20_000)?;
    let join = "SELECT count(*) FROM generate_series(0, 300) x, LATERAL (SELECT n FROM t WHERE v <@ dim_range(x % 12, x / 300.0, 1) OFFSET 0) s";
    for scan in ["indexscan", "bitmapscan"] {
        allow(&mut client, scan)?;
        let times = cancel_until_done(&mut client, join, |_| Ok(()))?;
        assert!(times > 5, "cancelled {times} times");
    }
    allow_all(&mut client)?;
    cancel_until_done(&mut client, "SELECT dimspace_check('i', true)", |_| Ok(()))?;
    cancel_until_done(&mut client, "SELECT dimspace_stats('i')", |_| Ok(()))?;
    assert_whole(&mut client)
}

/// Cancels whatever a session does, every few milliseconds, until it is told to stop; returns how often it did.
fn cancel_at_random(db: &Database, pid: i32, stop: &AtomicBool) -> Result<usize> {
    let mut client = session(db)?;
    let mut noise = Noise::new(55, "cancel");
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_micros(500 + noise.next_u64() % 20_000));
        client.query("SELECT pg_cancel_backend($1)", &[&pid])?;
        times += 1;
    }
    Ok(times)
}

#[test]
fn anything_at_random() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 55, 3000)?;
    let pid = value(&mut client, "SELECT pg_backend_pid()")?;
    let stop = AtomicBool::new(false);
    let (stop, db_ref) = (&stop, &db);
    let (done, undone) = thread::scope(|scope| -> Result<_> {
        let canceller = scope.spawn(move || cancel_at_random(db_ref, pid, stop));
        let begun = Instant::now();
        let mut ended = [0, 0];
        for step in 0.. {
            let statement = match step % 6 {
                0 => "VACUUM t".to_owned(),
                1 => format!("DELETE FROM t WHERE n % 30 = {}", step / 6 % 30),
                2 => "REINDEX INDEX i".to_owned(),
                _ => add_near(10_000 + step * 1000, 400),
            };
            match client.batch_execute(&statement) {
                Ok(()) => ended[0] += 1,
                Err(error) => {
                    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{statement}: {error:?}");
                    ended[1] += 1;
                }
            }
            if begun.elapsed() > Duration::from_secs(5) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        canceller.join().expect("it does not panic")?;
        Ok((ended[0], ended[1]))
    })?;
    println!("{done} statements were done, {undone} were cancelled");
    assert!(done > 10 && undone > 10, "{done} statements were done, {undone} were cancelled");
    // The last cancel may come late.
    let _ = client.batch_execute("SELECT pg_sleep(0.1)");
    assert_whole(&mut client)?;
    client.batch_execute("SET statement_timeout = '20s'")?;
    client.batch_execute("VACUUM t")?;
    assert_whole(&mut client)
}
