//! What else happens to an index: rebuilds and rewrites of its table, transactions that end badly, a dump and restore, a build in
//! little memory.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pg_test::{Cluster, Result};
use postgres::Client;

use super::every_plan::{
    add_near, allow, assert_every_plan_agrees, in_range, make_mixture, mixture, ranges_of_mixture,
};
use super::workers::{Work, work};
use super::{figure, problems};
use crate::dimvec::{rows, session};
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[track_caller]
fn assert_whole(client: &mut Client) -> Result<()> {
    assert_every_plan_agrees(client, &ranges_of_mixture(12))?;
    assert_eq!(problems(client, "i")?, Vec::<String>::new());
    Ok(())
}

#[test]
fn rebuilds_and_rewrites() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 41, 2500)?;
    let space = db.make_dir("space");
    client.batch_execute(&format!("CREATE TABLESPACE space LOCATION '{}'", space.display()))?;
    for (turn, statement) in [
        "REINDEX INDEX i",
        "REINDEX TABLE t",
        "REINDEX INDEX CONCURRENTLY i",
        "VACUUM FULL t",
        "ALTER TABLE t ALTER n TYPE bigint",
        "ALTER TABLE t ADD c float8 DEFAULT random()",
        "ALTER TABLE t ALTER v TYPE dimvec(12, float16)",
        "ALTER TABLE t ALTER v TYPE dimvec",
        "ALTER INDEX i SET (fold_rows = 300)",
        "ALTER INDEX i RESET (fold_rows)",
        "ALTER INDEX i SET (fold_rows = 20)",
        "ALTER INDEX i SET TABLESPACE space",
        "ALTER TABLE t SET TABLESPACE space",
        "REINDEX (TABLESPACE pg_default) INDEX CONCURRENTLY i",
        "ALTER TABLE t SET UNLOGGED",
        "ALTER TABLE t SET LOGGED",
        "CREATE INDEX j ON t (n); CLUSTER t USING j; DROP INDEX j",
        "ALTER INDEX i RENAME TO k; ALTER INDEX k RENAME TO i",
        "ALTER TABLE t RENAME v TO w; ALTER TABLE t RENAME w TO v",
        "DELETE FROM t WHERE n % 3 = 0; REINDEX INDEX i",
    ]
    .iter()
    .enumerate()
    {
        println!("{statement}");
        for part in statement.split("; ") {
            client.batch_execute(part)?;
        }
        assert_whole(&mut client)?;
        client.batch_execute(&add_near((turn + 1) * 10_000, 150))?;
        client.batch_execute(&format!("DELETE FROM t WHERE n % 20 = {turn}"))?;
        client.batch_execute("VACUUM t")?;
        assert_whole(&mut client)?;
    }
    refused(client.batch_execute("CLUSTER t USING i"), "0A000");
    refused(client.batch_execute("ALTER INDEX i SET (fold_rows = -1)"), "22023");
    client.batch_execute("TRUNCATE t")?;
    assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, 0);
    client.batch_execute("INSERT INTO t SELECT n, ARRAY[n, 1, 2]::dimvec FROM generate_series(1, 100) n")?;
    assert_every_plan_agrees(&mut client, &[in_range(0, 5.0, 20.0)])?;
    client.batch_execute("DROP INDEX i; DROP TABLE t")?;
    client.batch_execute("DROP TABLESPACE space")?;
    Ok(())
}

#[test]
fn an_index_comes_concurrently_beside_many_writers() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 42, 2500)?;
    let stop = AtomicBool::new(false);
    let (stop, db_ref) = (&stop, &db);
    thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> =
            (0..3).map(|worker| scope.spawn(move || work(db_ref, worker, 0, Work::Write, stop))).collect();
        let made: Result<()> = (0..4).try_for_each(|_| {
            client.batch_execute("REINDEX INDEX CONCURRENTLY i")?;
            client.batch_execute("DROP INDEX CONCURRENTLY i")?;
            Ok(client.batch_execute("CREATE INDEX CONCURRENTLY i ON t USING dimspace (v) WITH (fold_rows = 16)")?)
        });
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        made?;
        for ended in ended {
            assert!(ended.expect("it does not panic")? > 1, "all were at work");
        }
        Ok(())
    })?;
    assert_whole(&mut client)?;
    client.batch_execute("VACUUM t")?;
    assert_whole(&mut client)
}

#[test]
fn what_is_undone_is_not_found() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 43, 2500)?;
    client.batch_execute(&format!("BEGIN; {}; ROLLBACK", add_near(10_000, 1500)))?;
    assert_whole(&mut client)?;
    client.batch_execute("BEGIN")?;
    for step in 0..20 {
        client.batch_execute(&format!(
            "SAVEPOINT s; {}; DELETE FROM t WHERE n % 40 = {step}",
            add_near(20_000 + step * 100, 100)
        ))?;
        client.batch_execute(if step % 3 == 0 { "RELEASE s" } else { "ROLLBACK TO s" })?;
    }
    assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))?;
    client.batch_execute("COMMIT")?;
    assert_whole(&mut client)?;
    client.batch_execute("BEGIN; REINDEX INDEX i; INSERT INTO t SELECT n + 50000, v FROM t; TRUNCATE t; ROLLBACK")?;
    assert_whole(&mut client)?;
    client.batch_execute("BEGIN; DROP INDEX i; CREATE INDEX i ON t USING dimspace (v) WITH (planes = 1); ROLLBACK")?;
    assert_whole(&mut client)?;
    client.batch_execute("BEGIN; TRUNCATE t; INSERT INTO t VALUES (1, '[1,2]'); ROLLBACK")?;
    client.batch_execute(&add_near(90_000, 200))?;
    assert_whole(&mut client)?;
    client.batch_execute("VACUUM t")?;
    assert_whole(&mut client)
}

#[test]
fn a_temporary_table_that_each_transaction_empties() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TEMPORARY TABLE t (n int, v dimvec) ON COMMIT DELETE ROWS; CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 16)",
    )?;
    for turn in 1..4 {
        client.batch_execute(&format!(
            "BEGIN; INSERT INTO t SELECT n, ARRAY[n, n % {turn}, random()]::dimvec FROM generate_series(1, 2500) n; DELETE FROM t WHERE n % 9 = 0"
        ))?;
        assert_every_plan_agrees(&mut client, &[in_range(0, 100.0, 300.0), in_range(1, 0.0, 0.0)])?;
        client.batch_execute("COMMIT")?;
        assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, 0);
    }
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    Ok(())
}

/// Runs a program that must succeed without a word.
fn quiet(command: &mut Command) {
    let output = command.output().expect("it is a program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {said}");
}

#[test]
fn a_restored_dump_has_the_indexes_again() -> Result<()> {
    let db = Database::shared()?;
    let mut here = session(&db)?;
    make_mixture(&mut here, 44, 1500)?;
    here.batch_execute(
        "CREATE INDEX l ON t USING dimspace (v dimvec_l2_ops) WITH (planes = 1, cells = 7) WHERE n > 100",
    )?;
    let sources: Vec<Vec<u8>> = (0..300).map(|n| format!("source {n}").into_bytes()).collect();
    let atoms = here.query("SELECT upsert_atoms($1, 'text')", &[&sources])?;
    let ids: Vec<i64> = atoms.iter().map(|row| row.get(0)).collect();
    here.batch_execute("SELECT register_embedding_model('m', 6, 'float32')")?;
    let values: Vec<f32> = mixture(45, ids.len(), 6, 3).concat().iter().map(|&value| value as f32).collect();
    here.query("SELECT insert_embeddings('m', $1, $2::real[])", &[&ids, &values])?;
    let copy = format!("{}_restored", db.name());
    let scratch = tempfile::tempdir().expect("/tmp is writable");
    let dump = scratch.path().join("dump");
    quiet(db.cluster().command("pg_dump", db.name()).args(["-Fc", "-f"]).arg(&dump));
    db.cluster().create_database(&copy)?;
    quiet(db.cluster().command("pg_restore", &copy).args(["-d", &copy]).arg(&dump));
    let mut there = db.cluster().connect(&copy)?;
    there.batch_execute("SET search_path = public, atoms")?;
    let indexes = "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid \
        JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'dimspace' ORDER BY 2";
    let expected = rows(&mut here, indexes);
    assert_eq!(expected.len(), 3, "{expected:?}");
    assert_eq!(rows(&mut there, indexes), expected);
    for index in ["i", "l", "embedding_1_dimspace"] {
        assert_eq!(problems(&mut there, index)?, Vec::<String>::new(), "{index}");
        let count = "rows + odd_rows";
        assert_eq!(figure(&mut there, index, count)?, figure(&mut here, index, count)?, "{index}");
    }
    let search = "SELECT count(*), sum(source_atom_id) FROM embedding_1 WHERE value <@ dim_range(2, -0.5, 0.5)";
    allow(&mut here, "seqscan")?;
    for scan in ["indexscan", "bitmapscan"] {
        allow(&mut there, scan)?;
        assert_eq!(rows(&mut there, search), rows(&mut here, search));
    }
    there.batch_execute("DROP INDEX l")?;
    there.batch_execute(&add_near(10_000, 500))?;
    assert_whole(&mut there)?;
    drop(there);
    here.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)"))?;
    Ok(())
}

/// Watches a build of another session; returns the phases that it told, and whether rows done were ever more than all.
fn watch(db: &Database, stop: &AtomicBool) -> Result<(BTreeSet<String>, bool)> {
    let mut client = session(db)?;
    let (mut phases, mut is_beyond) = (BTreeSet::new(), false);
    while !stop.load(Ordering::Relaxed) {
        let progress = "SELECT phase, tuples_done > tuples_total * 1.5 + 1000 FROM pg_stat_progress_create_index WHERE datname = current_database()";
        for row in client.query(progress, &[])? {
            phases.insert(row.get(0));
            is_beyond |= row.get::<_, bool>(1);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok((phases, is_beyond))
}

#[test]
fn a_large_table_is_indexed_in_little_memory_and_progress_is_told() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    // Sums of two of 245 vectors: 60,025 rows of 92 MB.
    client.batch_execute(
        "SELECT setseed(0.1); CREATE TABLE base AS SELECT n, (SELECT array_agg((random() - 0.5)::real) FROM generate_series(n, n + 383))::dimvec AS v \
             FROM generate_series(1, 245) n; \
         CREATE TABLE t (n int, v dimvec(384)); ALTER TABLE t ALTER v SET STORAGE PLAIN; \
         INSERT INTO t SELECT row_number() OVER (), a.v + b.v FROM base a, base b; SET maintenance_work_mem = '64MB'",
    )?;
    let stop = AtomicBool::new(false);
    let (stop, db_ref) = (&stop, &db);
    let (phases, is_beyond) = thread::scope(|scope| -> Result<_> {
        let watcher = scope.spawn(move || watch(db_ref, stop));
        let built = client.batch_execute("CREATE INDEX i ON t USING dimspace (v)");
        stop.store(true, Ordering::Relaxed);
        let seen = watcher.join().expect("it does not panic")?;
        built?;
        Ok(seen)
    })?;
    for phase in ["training cells", "coding rows", "writing pages"] {
        assert!(phases.contains(&format!("building index: {phase}")), "{phases:?}");
    }
    assert!(!is_beyond, "more rows were done than there are");
    let ranges =
        [(0, 0.2, 0.21), (200, -2.0, -0.8), (383, 0.9, 2.0)].map(|(dimension, lo, hi)| in_range(dimension, lo, hi));
    assert_every_plan_agrees(&mut client, &ranges)?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM t")?, figure(&mut client, "i", "rows + odd_rows")?);
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    Ok(())
}
