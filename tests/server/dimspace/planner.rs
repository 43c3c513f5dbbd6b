//! What the planner knows of an index: shares of ranges, and for whom.

use pg_test::Result;
use postgres::Client;

use super::every_plan::{allow, allow_all};
use super::make_table;
use crate::dimvec::{rows, session, session_beside_pgvector};
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

/// Returns the plan of a query, and what it costs in the planner's units.
fn planned(client: &mut Client, query: &str) -> Result<(String, f64)> {
    let plan = rows(client, &format!("EXPLAIN {query}"));
    let (_, costs) = plan[0].split_once("..").unwrap_or_else(|| panic!("{plan:?}"));
    let total = costs.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a cost");
    Ok((plan.concat(), total))
}

#[test]
fn vectors_out_of_line_cost_their_fetching() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for (number, column) in ["dimvec", "vector", "halfvec"].into_iter().enumerate() {
        client.batch_execute(&format!(
            "CREATE TABLE w{number} (n int, v {column}); INSERT INTO w{number} SELECT n,              (SELECT array_agg(sin(n * d + d)::real) FROM generate_series(1, 1536) d)::dimvec::{column} FROM generate_series(1, 400) n;              CREATE INDEX ON w{number} USING dimspace (v)"
        ))?;
        client.batch_execute(&format!("VACUUM ANALYZE w{number}"))?;
        for range in ["dim_range(3, 0, 0.01)", "dim_range(3, -1, 0.5)"] {
            for condition in [format!("v <@ {range}"), format!("{range} @> v")] {
                let (plan, _) = planned(&mut client, &format!("SELECT n FROM w{number} WHERE {condition}"))?;
                assert!(plan.contains("Index Scan"), "{column}: {plan}");
            }
        }
    }
    // Vectors that lie in their rows are read with these.
    client.batch_execute(
        "CREATE TABLE s (n int, v dimvec); INSERT INTO s SELECT n, array_fill(n, ARRAY[300]) FROM generate_series(1, 400) n; \
         CREATE INDEX ON s USING dimspace (v)",
    )?;
    client.batch_execute("VACUUM ANALYZE s")?;
    let (plan, _) = planned(&mut client, "SELECT n FROM s WHERE v <@ dim_range(3, 0, 300)")?;
    assert!(plan.contains("Seq Scan"), "{plan}");
    Ok(())
}

#[test]
fn a_partial_index_counts_its_predicate_once() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 20_000)?;
    client.batch_execute(
        "CREATE INDEX whole ON t USING dimspace (v); CREATE INDEX part ON t USING dimspace (v) WHERE n <= 5000",
    )?;
    client.batch_execute("VACUUM ANALYZE t")?;
    let query = "SELECT n FROM t WHERE n <= 5000 AND v <@ dim_range(3, -0.1, 0.1)";
    let mut costs = Vec::new();
    for scan in ["indexscan", "bitmapscan"] {
        allow(&mut client, scan)?;
        let (plan, cost) = planned(&mut client, query)?;
        assert!(plan.contains("part"), "{plan}");
        costs.push(cost);
    }
    allow_all(&mut client)?;
    assert!((costs[0] / costs[1] - 1.0).abs() < 0.1, "the same rows in the same order: {costs:?}");
    Ok(())
}
