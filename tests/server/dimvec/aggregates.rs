//! Aggregates: over NULLs, nothing, mixed element types, many groups, windows, and in parallel workers.

use pg_test::Result;

use super::{assert_answers, make_vectors, rows, session};
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[test]
fn sums_and_averages() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            ("sum(v) FROM (VALUES ('[1,2]'::dimvec), ('[3,5]')) t (v)", "[4,7]"),
            ("avg(v) FROM (VALUES ('[1,2]'::dimvec), ('[3,5]')) t (v)", "[2,3.5]"),
            ("avg(v) FROM (VALUES (NULL), ('[1,2]'::dimvec), (NULL), ('[3,5]')) t (v)", "[2,3.5]"),
            ("sum(v) FROM (VALUES (NULL::dimvec), (NULL)) t (v)", "NULL"),
            ("avg(v) FROM (VALUES (NULL::dimvec), (NULL)) t (v)", "NULL"),
            ("avg(v) FROM (SELECT '[1]'::dimvec WHERE false) t (v)", "NULL"),
            ("count_distinct_values(v) FROM (SELECT '[1]'::dimvec WHERE false) t (v)", "0"),
            ("dimension_moments(v) FROM (SELECT '[1]'::dimvec WHERE false) t (v)", "NULL"),
            // Of one element type in that type, of several in the joined one; integers as float32.
            ("sum(v) FROM (VALUES ('float16:[1]'::dimvec), ('float16:[2]')) t (v)", "float16:[3]"),
            ("sum(v) FROM (VALUES ('float16:[1]'::dimvec), ('bfloat16:[2]')) t (v)", "[3]"),
            ("sum(v) FROM (VALUES ('float16:[1]'::dimvec), ('float64:[0.1]')) t (v)", "float64:[1.1]"),
            ("sum(v) FROM (VALUES ('int8:[100]'::dimvec), ('int8:[100]')) t (v)", "[200]"),
            ("avg(v) FROM (VALUES ('uint8:[255]'::dimvec), ('uint8:[0]')) t (v)", "[127.5]"),
            ("sum(v) FROM (VALUES ('int8:[1]'::dimvec), ('float16:[0.5]')) t (v)", "[1.5]"),
            // Sums of float64 that passed the end, and averages that did not.
            ("sum(v) FROM (VALUES ('float64:[1.7e308]'::dimvec), ('float64:[1.7e308]')) t (v)", "(22003)"),
            ("avg(v) FROM (VALUES ('[3e38]'::dimvec), ('[3e38]')) t (v)", "[3e+38]"),
            ("sum(v) FROM (VALUES ('float16:[60000]'::dimvec), ('float16:[60000]')) t (v)", "(22003)"),
            ("avg(v) FROM (VALUES ('[1]'::dimvec), ('[1,2]')) t (v)", "(22023)"),
            ("sum(DISTINCT v) FROM (VALUES ('[1]'::dimvec), ('int8:[1]'), ('[2]')) t (v)", "[3]"),
            ("sum(v) FILTER (WHERE v > '[1]') FROM (VALUES ('[1]'::dimvec), ('[2]')) t (v)", "[2]"),
            ("count_distinct_values(v) FROM (VALUES ('[1,2]'::dimvec), ('[2,0]'), (NULL)) t (v)", "3"),
            ("count_distinct_values(v) FROM (VALUES ('[1,2]'::dimvec), ('float64:[2,0]')) t (v)", "NULL"),
            (
                "dimension_moments(v) FROM (VALUES ('[1,0]'::dimvec), ('[3,0]'), (NULL)) t (v)",
                "{2,0,1,3,2,1,2,2,0,0,0,0}",
            ),
        ],
    );
    let refusal = refused(client.simple_query("SELECT sum(v) FROM (VALUES ('[1]'::dimvec), ('[1,2]')) t (v)"), "22023");
    refusal.names(&["expected 1 dimensions, not 2"]);
    Ok(())
}

/// Sums of int8 pass what int8 holds, and averages of a million are exact.
#[test]
fn integers_do_not_overflow() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    let query = "SELECT sum(v), avg(v) FROM (SELECT ARRAY[127, -128, n % 2]::dimvec(int8) FROM generate_series(1, 100000) n) t (v)";
    assert_eq!(rows(&mut client, query), ["[1.27e+07,-1.28e+07,50000]|[127,-128,0.5]"]);
    Ok(())
}

#[test]
fn every_group_and_every_window_has_its_own_state() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE g AS SELECT n % 20000 AS g, ARRAY[n, n % 7, 0.25]::dimvec AS v FROM generate_series(1, 60000) n; ANALYZE g")?;
    for (allowed, node) in [("enable_sort", "HashAggregate"), ("enable_hashagg", "GroupAggregate")] {
        client.batch_execute(&format!("RESET enable_sort; RESET enable_hashagg; SET {allowed} = off"))?;
        for work_mem in ["256MB", "64kB"] {
            client.batch_execute(&format!("SET work_mem = '{work_mem}'"))?;
            let groups =
                "SELECT g, avg(v) AS a, sum(v) AS s, count(*) AS c, count_distinct_values(v) AS d FROM g GROUP BY g";
            let plan = rows(&mut client, &format!("EXPLAIN {groups}"));
            assert!(plan.iter().any(|line| line.contains(node)), "{plan:?}");
            let wrong = format!(
                "SELECT count(*) FILTER (WHERE a.a <> e.a OR a.s <> e.s OR a.d < 4), count(*) FROM ({groups}) a JOIN \
                    (SELECT g, ARRAY[avg(v[1])::real, avg(v[2])::real, 0.25]::dimvec AS a, ARRAY[sum(v[1])::real, sum(v[2])::real, sum(v[3])]::dimvec AS s \
                     FROM (SELECT g, v::float8[] AS v FROM g) x GROUP BY g) e USING (g)"
            );
            assert_eq!(rows(&mut client, &wrong), ["0|20000"], "{node} in {work_mem}");
        }
    }
    client.batch_execute("RESET ALL; SET search_path = public, atoms")?;
    let windows = "SELECT sum(v) OVER (ORDER BY n ROWS 1 PRECEDING), avg(v) OVER (ORDER BY n), sum(v) OVER (PARTITION BY n % 2) \
        FROM (SELECT n, ARRAY[n]::dimvec AS v FROM generate_series(1, 4) n) t ORDER BY n";
    assert_eq!(rows(&mut client, windows), ["[1]|[1]|[4]", "[3]|[1.5]|[6]", "[5]|[2]|[4]", "[7]|[2.5]|[6]"]);
    let sets = "SELECT n % 2, sum(v) FROM (SELECT n, ARRAY[n]::dimvec AS v FROM generate_series(1, 4) n) t GROUP BY ROLLUP (n % 2) ORDER BY 1";
    assert_eq!(rows(&mut client, sets), ["0|[6]", "1|[4]", "NULL|[10]"]);
    Ok(())
}

#[test]
fn parallel_workers_sum_to_the_same() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    // Numbers whose sums are exact in any order, among them vectors that no worker may see, and NULLs.
    client.batch_execute(
        "CREATE TABLE w AS SELECT n, n % 10 AS g, CASE WHEN n % 10 > 0 THEN ARRAY[n, n % 13, -n, n / 4 * 0.25]::dimvec END AS v, \
             (SELECT array_agg(n % 100 + d) FROM generate_series(1, 600) d)::dimvec AS wide FROM generate_series(1, 30000) n; ANALYZE w",
    )?;
    let query = "SELECT avg(v), sum(v), avg(v::dimvec(float64)), avg(v) FILTER (WHERE n < 0), avg(v) FILTER (WHERE n = 77), avg(wide) FROM w";
    let by_group = "SELECT g, avg(v), sum(wide) FROM w GROUP BY g ORDER BY g";
    client.batch_execute("SET max_parallel_workers_per_gather = 0")?;
    let serial = (rows(&mut client, query), rows(&mut client, by_group));
    client.batch_execute(
        "SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0",
    )?;
    for query in [query, by_group] {
        let plan = rows(&mut client, &format!("EXPLAIN (ANALYZE) {query}"));
        let has = |word: &str| plan.iter().any(|line| line.contains(word));
        assert!(has("Partial") && has("Workers Launched"), "{plan:#?}");
    }
    client.batch_execute("SET parallel_leader_participation = off")?;
    assert_eq!((rows(&mut client, query), rows(&mut client, by_group)), serial);
    assert!(serial.0[0].starts_with("[") && serial.0[0].contains("|NULL|"), "{serial:?}");
    Ok(())
}

/// In `t` all dimensions differ, so that each vector is a group.
#[test]
fn an_aggregate_of_one_is_that_vector() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_vectors(&mut client)?;
    let differing = "SELECT count(*) FROM (SELECT v, avg(v) AS a, sum(v) AS s, count_distinct_values(v) AS d, dimension_moments(v) AS m FROM t GROUP BY n) g \
        WHERE a <> v OR s <> v OR d <> (SELECT count(DISTINCT x) FROM unnest(v::float8[]) x) OR m[5] <> dimension_value(v, 0) OR m[6] <> 0 \
        OR cardinality(m) <> 6 * vector_dims(v) OR (d IS NULL) <> (element_type(v) = 'float64')";
    assert_eq!(value::<i64>(&mut client, differing)?, 0);
    Ok(())
}
