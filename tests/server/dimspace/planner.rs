//! What the planner knows of an index: shares of ranges, and for whom.

use pg_test::Result;
use postgres::Client;

use super::make_table;
use crate::dimvec::{rows, session};
use crate::support::Database;

/// Returns how many rows the planner expects.
fn expected_rows(client: &mut Client, from: &str) -> Result<i64> {
    let plan = rows(client, &format!("EXPLAIN SELECT * FROM {from}"));
    let (_, rest) = plan[0].split_once("rows=").unwrap_or_else(|| panic!("{plan:?}"));
    Ok(rest.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number of rows"))
}

#[test]
fn shares_of_ranges_are_estimated() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 10_000)?;
    client.batch_execute("ANALYZE t")?;
    assert_eq!(
        expected_rows(&mut client, "t WHERE v <@ dim_range(3, 0, 0.1)")?,
        50,
        "nothing is known without an index"
    );
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v)")?;
    for (range, share) in
        [("dim_range(3, 0, 0.1)", 0.1), ("dim_range(0, -0.4, 0.4)", 0.8), ("dim_range(7, 0.25, 9)", 0.25)]
    {
        for condition in [format!("v <@ {range}"), format!("{range} @> v")] {
            let found = expected_rows(&mut client, &format!("t WHERE {condition}"))? as f64 / 10_000.0;
            assert!((found - share).abs() < 0.03, "{condition}: {found} is not {share}");
        }
    }
    assert_eq!(expected_rows(&mut client, "t WHERE v <@ dim_range(8, 0, 1)")?, 50, "there is no such dimension");
    Ok(())
}

#[test]
fn shares_do_not_leak_to_who_may_not_read() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 10_000)?;
    let reader = db.role("leak", "")?;
    client.batch_execute(&format!(
        "CREATE INDEX i ON t USING dimspace (v); ANALYZE t; SELECT grant_access('{reader}', 'read'); GRANT SELECT (n) ON t TO {reader}"
    ))?;
    let mut other = db.client_as(&reader)?;
    other.batch_execute("SET search_path = public, atoms")?;
    // EXPLAIN itself asks for rights on the columns that the query reads, so a view of the owner's stands between.
    client.batch_execute(&format!(
        "CREATE VIEW few WITH (security_barrier) AS SELECT n, v FROM t WHERE n < 10; GRANT SELECT ON few TO {reader}"
    ))?;
    let plan = rows(&mut other, "EXPLAIN SELECT n FROM few WHERE v <@ dim_range(3, 0, 0.1)").concat();
    assert!(!plan.is_empty());
    assert_eq!(rows(&mut other, "SELECT dimspace_check('i')"), ["(42501)"]);
    assert_eq!(rows(&mut other, "SELECT * FROM dimspace_stats('i')"), ["(42501)"]);
    client.batch_execute(&format!("GRANT SELECT ON t TO {reader}"))?;
    assert_eq!(rows(&mut other, "SELECT rows FROM dimspace_stats('i')").len(), 1);
    // To keep writers out takes what LOCK TABLE takes.
    assert_eq!(rows(&mut other, "SELECT dimspace_check('i')"), ["(42501)"]);
    client.batch_execute(&format!("GRANT DELETE ON t TO {reader}"))?;
    assert!(rows(&mut other, "SELECT dimspace_check('i')").is_empty());
    assert_eq!(rows(&mut other, "SELECT dimspace_check('t')"), ["(42809)"]);
    assert_eq!(rows(&mut client, "SELECT dimspace_check('pg_class_oid_index')"), ["(42809)"]);
    Ok(())
}
