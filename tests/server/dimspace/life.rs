//! What happens to an index while its table changes.

use std::thread;

use pg_test::Result;

use super::{add_rows, assert_sound, figure, make_table};
use crate::dimvec::session;
use crate::support::Database;
use crate::support::oracle::value;

#[test]
fn inserts_updates_and_deletes_are_found_before_and_after_vacuum() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for create in ["CREATE TABLE t (n int, v dimvec(8))", "CREATE TEMPORARY TABLE t (n int, v dimvec)"] {
        make_table(&mut client, &format!("DROP TABLE IF EXISTS t; {create} WITH (autovacuum_enabled = off)"), 4000)?;
        client.batch_execute("CREATE INDEX i ON t USING dimspace (v)")?;
        add_rows(&mut client, 4001, 9000)?;
        assert_sound(&mut client, "i")?;
        client.batch_execute("DELETE FROM t WHERE n % 3 = 0; UPDATE t SET v = v + v WHERE n % 5 = 0")?;
        assert_sound(&mut client, "i")?;
        client.batch_execute("VACUUM t")?;
        assert_sound(&mut client, "i")?;
        let live = value::<i64>(&mut client, "SELECT count(*) FROM t")?;
        assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, live, "VACUUM leaves no dead row");
        // New rows get the places of those that are gone.
        add_rows(&mut client, 20_001, 24_000)?;
        assert_sound(&mut client, "i")?;
        client.batch_execute("DELETE FROM t")?;
        client.batch_execute("VACUUM t")?;
        assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, 0);
        add_rows(&mut client, 1, 3000)?;
        assert_sound(&mut client, "i")?;
    }
    Ok(())
}

#[test]
fn an_index_over_an_empty_table_learns_from_inserts() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE t (n int, v dimvec); CREATE INDEX i ON t USING dimspace (v); SELECT setseed(0.5)",
    )?;
    for step in 0..5 {
        add_rows(&mut client, step * 3000 + 1, step * 3000 + 3000)?;
        assert_sound(&mut client, "i")?;
    }
    assert!(figure(&mut client, "i", "cells")? > 4, "cells are split as they grow");
    assert!(figure(&mut client, "i", "free_pages * 4 - pages")? < 0, "pages that folds leave are used again");
    Ok(())
}

#[test]
fn an_index_is_rebuilt_and_built_beside_writers() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 6000)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v); DELETE FROM t WHERE n < 1000")?;
    client.batch_execute("REINDEX INDEX i")?;
    assert_sound(&mut client, "i")?;
    let writer = thread::spawn({
        let mut client = session(&db)?;
        move || -> Result<()> {
            for step in 0..40 {
                add_rows(&mut client, 10_000 + step * 100, 10_099 + step * 100)?;
                client.batch_execute(&format!("DELETE FROM t WHERE n % 40 = {step}"))?;
            }
            Ok(())
        }
    });
    client.batch_execute("CREATE INDEX CONCURRENTLY j ON t USING dimspace (v dimvec_l2_ops) WITH (cells = 20)")?;
    client.batch_execute("DROP INDEX i")?;
    client.batch_execute("REINDEX INDEX CONCURRENTLY j")?;
    writer.join().expect("it does not panic")?;
    assert_sound(&mut client, "j")?;
    client.batch_execute("VACUUM t")?;
    assert_sound(&mut client, "j")?;
    client.batch_execute("TRUNCATE t")?;
    add_rows(&mut client, 1, 500)?;
    assert_sound(&mut client, "j")
}

#[test]
fn many_write_at_once() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec) WITH (autovacuum_enabled = off)", 3000)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 20)")?;
    let writers: Vec<_> = (1..5)
        .map(|writer| {
            let mut client = session(&db)?;
            Ok(thread::spawn(move || -> Result<()> {
                for step in 0..30 {
                    let first = writer * 100_000 + step * 100;
                    add_rows(&mut client, first, first + 99)?;
                    client.batch_execute(&format!("DELETE FROM t WHERE n = {first} + 7; SET enable_seqscan = off"))?;
                    value::<i64>(&mut client, "SELECT count(*) FROM t WHERE v <@ dim_range(3, 0, 0.1)")?;
                }
                Ok(())
            }))
        })
        .collect::<Result<_>>()?;
    for _ in 0..5 {
        client.batch_execute("VACUUM t")?;
    }
    for writer in writers {
        writer.join().expect("it does not panic")?;
    }
    assert_sound(&mut client, "i")?;
    client.batch_execute("VACUUM t")?;
    assert_sound(&mut client, "i")
}

#[test]
fn a_cancelled_build_leaves_nothing() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 40_000)?;
    let create = "CREATE INDEX i ON t USING dimspace (v) WITH (cells = 2000)";
    for milliseconds in [5, 20, 60, 120, 200] {
        client.batch_execute(&format!("SET statement_timeout = {milliseconds}"))?;
        let built = client.batch_execute(create);
        client.batch_execute("RESET statement_timeout; DROP INDEX IF EXISTS i")?;
        println!("{milliseconds}: {built:?}");
    }
    client.batch_execute(create)?;
    assert_sound(&mut client, "i")
}
