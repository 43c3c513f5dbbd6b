//! What was broken once.

use std::sync::{Arc, Mutex};
use std::thread;

use pg_test::Result;
use postgres::NoTls;

use crate::dimvec::{rows, session};
use crate::support::Database;

#[test]
fn a_check_runs_the_functions_of_an_index_as_its_owner() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    let owner = db.role("owner", "")?;
    client.batch_execute(&format!(
        "SELECT grant_access('{owner}', 'read'); GRANT CREATE ON SCHEMA public TO {owner}; SET ROLE {owner}; \
         CREATE FUNCTION same(v dimvec) RETURNS dimvec LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN \
             IF current_user <> '{owner}' THEN RAISE '% runs what is not theirs', current_user; END IF; \
             PERFORM set_config('work_mem', '77MB', false); RETURN v; END $$; \
         CREATE TABLE t (v dimvec); CREATE INDEX i ON t USING dimspace ((same(v))); \
         INSERT INTO t VALUES ('[1,2]'), (NULL); RESET ROLE; RESET work_mem"
    ))?;
    let user = rows(&mut client, "SELECT current_user");
    assert!(rows(&mut client, "SELECT dimspace_check('i', true)").is_empty());
    assert_eq!(rows(&mut client, "SELECT current_user, current_setting('work_mem')"), [user.concat() + "|4MB"]);
    client.batch_execute("CREATE OR REPLACE FUNCTION same(v dimvec) RETURNS dimvec LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'no'; END $$")?;
    assert_eq!(rows(&mut client, "SELECT dimspace_check('i', true)"), ["(P0001)"]);
    assert_eq!(rows(&mut client, "SELECT current_user"), user);
    Ok(())
}

#[test]
fn shares_are_of_all_rows_not_only_of_those_with_a_value() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE t (v dimvec); \
         INSERT INTO t SELECT CASE n % 10 WHEN 0 THEN array[n, 1]::real[]::dimvec END FROM generate_series(1, 10000) n; \
         CREATE INDEX i ON t USING dimspace (v); ANALYZE t",
    )?;
    let plan = rows(&mut client, "EXPLAIN SELECT FROM t WHERE v <@ dim_range(0, 1, 10000)").concat();
    let (_, expected) = plan.split_once("rows=").expect("a number of rows");
    let expected: i64 = expected.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number of rows");
    assert!((900..1100).contains(&expected), "{plan}");
    Ok(())
}

/// Adds rows one by one to an index that folds after each; returns what the server warns of.
fn warnings_while_adding(db: &Database) -> Result<Vec<String>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let mut config = db.cluster().config(db.name());
    config.notice_callback(move |notice| hears.lock().expect("nobody panics").push(notice.to_string()));
    config.connect(NoTls)?.batch_execute(
        "DO $$ BEGIN FOR n IN 1..2000 LOOP INSERT INTO t VALUES (array[n, 1]::real[]::atoms.dimvec); END LOOP; END $$",
    )?;
    let heard = heard.lock().expect("nobody panics").clone();
    Ok(heard)
}

#[test]
fn a_lock_that_is_not_got_is_not_released() -> Result<()> {
    let db = Database::shared()?;
    session(&db)?
        .batch_execute("CREATE TABLE t (v dimvec); CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 1)")?;
    let warnings = thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(|| warnings_while_adding(&db))).collect();
        writers.into_iter().map(|writer| writer.join().expect("it does not panic")).collect::<Result<Vec<_>>>()
    })?;
    assert_eq!(warnings.concat(), Vec::<String>::new());
    Ok(())
}

#[test]
fn an_index_that_is_not_valid_is_not_called_damaged() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE t (v dimvec); INSERT INTO t VALUES ('[1,2]'), ('[1]')")?;
    // Each vector has other dimensions, so the build fails and leaves the index behind.
    assert!(client.batch_execute("CREATE INDEX CONCURRENTLY i ON t USING dimspace (v)").is_err());
    assert_eq!(rows(&mut client, "SELECT dimspace_check('i')"), ["(55000)"]);
    assert_eq!(rows(&mut client, "SELECT * FROM dimspace_stats('i')"), ["(55000)"]);
    client.batch_execute("TRUNCATE t; INSERT INTO t VALUES ('[1,2]'); REINDEX INDEX i")?;
    assert!(rows(&mut client, "SELECT dimspace_check('i', true)").is_empty());
    Ok(())
}
