//! A range has the same rows by every plan as by a sequential scan, whatever the values, the column and the query.

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use super::every_plan::{
    allow, allow_all, assert_every_plan_agrees, copy_all, copy_in, found, in_range, make_mixture, mixture,
    ranges_of_mixture, uniform,
};
use super::{figure, problems};
use crate::dimvec::{rows, session, session_beside_pgvector};
use crate::support::oracle::value;
use crate::support::{Database, refused};

const DIMENSIONS: usize = 8;
const METRICS: [&str; 3] = ["cosine", "l2", "ip"];

/// A type of column, and the least and the greatest number that its elements hold.
struct Column {
    of: &'static str,
    name: &'static str,
    least: f64,
    greatest: f64,
    /// Its elements are whole numbers.
    is_whole: bool,
}

impl Column {
    const fn new(of: &'static str, name: &'static str, least: f64, greatest: f64) -> Self {
        Self { of, name, least, greatest, is_whole: least == 1.0 }
    }
}

const COLUMNS: [Column; 9] = [
    Column::new("dimvec", "dimvec", 1.4e-45, 3e38),
    Column::new("dimvec", "dimvec(8, float32)", 1.4e-45, 3e38),
    Column::new("dimvec", "dimvec(8, float16)", 6e-8, 65_504.0),
    Column::new("dimvec", "dimvec(8, bfloat16)", 9.2e-41, 3e38),
    Column::new("dimvec", "dimvec(8, int8)", 1.0, 127.0),
    Column::new("dimvec", "dimvec(8, uint8)", 1.0, 255.0),
    Column::new("dimvec", "dimvec(8, float64)", 5e-324, 1e300),
    Column::new("vector", "vector", 1.4e-45, 3e38),
    Column::new("halfvec", "halfvec(8)", 6e-8, 65_504.0),
];

/// Returns a vector that is unkind to codes: a constant, the least numbers, an outlier, ties, steps finer than codes, mostly
/// zeros, noise, and numbers of every size.
fn unkind(noise: &mut Noise, row: usize, column: &Column) -> Option<Vec<f64>> {
    let outlier = match row {
        17 => column.greatest,
        18 => -column.greatest,
        _ => uniform(noise),
    };
    let exponent = column.least.log2() + uniform(noise) * (column.greatest.log2() - column.least.log2()).max(1.0);
    // float64 has room for steps that float32 rounds away.
    let step = if column.greatest == 1e300 { 1e-12 } else { 1.0 / 4096.0 };
    let any_size = if row.is_multiple_of(2) { exponent.exp2() } else { -exponent.exp2() };
    let vector = [
        1.0,
        column.least * (row % 7) as f64 - column.least * 3.0,
        outlier,
        (row % 7) as f64 - 3.0,
        0.5 + (row % 4096) as f64 * step,
        if row.is_multiple_of(50) { uniform(noise) - 0.5 } else { 0.0 },
        uniform(noise) - 0.5,
        any_size,
    ];
    match row % 97 {
        3 => None,
        4 => Some(vec![0.0; DIMENSIONS]),
        5..=8 => Some(vec![1.0; DIMENSIONS]),
        _ => Some(vector.map(|value| column.holds(value)).to_vec()),
    }
}

impl Column {
    /// Returns a number near to one that an element can be.
    fn holds(&self, value: f64) -> f64 {
        if !self.is_whole {
            return value;
        }
        let scaled = if value.abs() < 1.0 { value * 100.0 } else { value };
        let least = if self.greatest == 255.0 { 0.0 } else { -128.0 };
        scaled.round().clamp(least, self.greatest)
    }
}

fn copy_unkind(client: &mut Client, column: &Column, first: usize, count: usize) -> Result<()> {
    let mut noise = Noise::new(first as u64, column.name);
    let vectors: Vec<_> = (first..first + count).map(|row| unkind(&mut noise, row, column)).collect();
    copy_in(client, first, vectors.iter().map(Option::as_deref))
}

/// Returns ranges that begin and end at stored values, beside them in float8, and beside them in float4.
fn ranges_at_values(client: &mut Client, every: usize) -> Result<Vec<String>> {
    let mut ranges = Vec::new();
    for dimension in 0..DIMENSIONS {
        let query = format!(
            "SELECT dimension_value(v::dimvec, {dimension})::float8 FROM t WHERE v IS NOT NULL AND n % 97 NOT IN (4, 5, 6, 7, 8) \
             ORDER BY n * 7919 % 1009 LIMIT 2"
        );
        for row in client.query(&query, &[])? {
            let x: f64 = row.get(0);
            let wide = f64::from((x as f32).next_up());
            ranges.extend([
                in_range(dimension, x, x),
                in_range(dimension, f64::NEG_INFINITY, x),
                in_range(dimension, x, f64::INFINITY),
                in_range(dimension, f64::NEG_INFINITY, x.next_down()),
                in_range(dimension, x.next_up(), f64::INFINITY),
                in_range(dimension, x, if wide < x { x } else { wide }),
            ]);
        }
    }
    ranges.push(format!("{} AND {}", in_range(3, -1.0, 2.0), in_range(6, -0.25, 30.0)));
    Ok(ranges.into_iter().step_by(every).collect())
}

#[test]
fn unkind_values_of_every_type_class_and_plane() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for (place, column) in COLUMNS.iter().enumerate() {
        for (turn, metric) in METRICS.iter().enumerate() {
            let planes = 1 + (place + turn) % 2;
            let (create, of) =
                (format!("CREATE TABLE t (n int, v {}) WITH (autovacuum_enabled = off)", column.name), column.of);
            let index = format!(
                "CREATE INDEX i ON t USING dimspace (v {of}_{metric}_ops) WITH (planes = {planes}, fold_rows = 20)"
            );
            println!("{create}; {index}");
            client.batch_execute(&format!("DROP TABLE IF EXISTS t; {create}"))?;
            unkind_life(&mut client, column, &index, turn == 1)?;
        }
    }
    Ok(())
}

/// Rows come before and after the index, are changed, deleted, cleaned up, and come again.
fn unkind_life(client: &mut Client, column: &Column, index: &str, is_first: bool) -> Result<()> {
    if is_first {
        client.batch_execute(index)?;
    }
    copy_unkind(client, column, 1, 700)?;
    if !is_first {
        client.batch_execute(index)?;
    }
    copy_unkind(client, column, 701, 500)?;
    let ranges = ranges_at_values(client, 1)?;
    assert_every_plan_agrees(client, &ranges)?;
    client.batch_execute(
        "DELETE FROM t WHERE n % 3 = 0; UPDATE t SET v = o.v FROM t o WHERE t.n % 5 = 0 AND o.n = t.n + 1",
    )?;
    let ranges = ranges_at_values(client, 3)?;
    assert_every_plan_agrees(client, &ranges)?;
    client.batch_execute("VACUUM t")?;
    copy_unkind(client, column, 2001, 300)?;
    let ranges = ranges_at_values(client, 2)?;
    assert_every_plan_agrees(client, &ranges)?;
    assert_eq!(problems(client, "i")?, Vec::<String>::new());
    Ok(())
}

#[test]
fn rows_that_are_all_equal() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    let ranges = [(0.5, 0.5), (0.0, 0.49), (0.51, 1.0), (0.5, f64::INFINITY)].map(|(lo, hi)| in_range(3, lo, hi));
    for index_first in [true, false] {
        client.batch_execute("DROP TABLE IF EXISTS t; CREATE TABLE t (n int, v dimvec)")?;
        let insert = "INSERT INTO t SELECT n, array_fill(0.5, ARRAY[8]) FROM generate_series(1, 3000) n";
        let create = "CREATE INDEX i ON t USING dimspace (v)";
        let steps = if index_first { [create, insert] } else { [insert, create] };
        client.batch_execute(&steps.join(";"))?;
        client.batch_execute("INSERT INTO t SELECT n, array_fill(0.5, ARRAY[8]) FROM generate_series(3001, 5000) n")?;
        assert_every_plan_agrees(&mut client, &ranges)?;
        client.batch_execute("VACUUM t")?;
        assert_every_plan_agrees(&mut client, &ranges)?;
        assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn sparse_vectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "SELECT setseed(0.5); CREATE TABLE t (n int, v dimvec(300)); \
         INSERT INTO t SELECT n, format('{%s:%s,%s:1,%s:-0.5}/300', 1 + n % 90, 0.1 + random(), 100 + n % 80, 200 + n % 100)::dimvec FROM generate_series(1, 2000) n; \
         CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 30)",
    )?;
    assert_eq!(rows(&mut client, "SELECT DISTINCT stored_form(v) FROM t"), ["sparse float32"]);
    client.batch_execute("INSERT INTO t SELECT n + 2000, v FROM t WHERE n % 2 = 0; DELETE FROM t WHERE n % 7 = 0")?;
    let mut ranges =
        vec![in_range(0, 0.0, 0.0), in_range(5, 0.0, 2.0), in_range(110, 1.0, 1.0), in_range(299, -1.0, -0.1)];
    assert_every_plan_agrees(&mut client, &ranges)?;
    client.batch_execute("VACUUM t")?;
    ranges.push(format!("{} AND {}", in_range(1, 0.5, 1.0), in_range(101, 0.0, 0.5)));
    assert_every_plan_agrees(&mut client, &ranges)?;
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    Ok(())
}

#[test]
fn from_one_dimension_to_the_most() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for (dimensions, count) in [
        (1, 900),
        (2, 900),
        (3, 900),
        (15, 600),
        (16, 600),
        (17, 600),
        (1009, 80),
        (2048, 50),
        (4033, 40),
        (16_000, 12),
    ] {
        println!("{dimensions}");
        client.batch_execute(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (n int, v dimvec) WITH (autovacuum_enabled = off)",
        )?;
        let vectors = mixture(dimensions as u64, count, dimensions, 5);
        copy_all(&mut client, 1, &vectors[..count / 2])?;
        client.batch_execute("CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 16)")?;
        copy_all(&mut client, count / 2 + 1, &vectors[count / 2..])?;
        let mut ranges = ranges_of_mixture(dimensions);
        ranges.extend([in_range(dimensions - 1, 0.0, 0.5), in_range(dimensions, f64::NEG_INFINITY, f64::INFINITY)]);
        assert_every_plan_agrees(&mut client, &ranges)?;
        client.batch_execute("DELETE FROM t WHERE n % 4 = 0")?;
        client.batch_execute("VACUUM t")?;
        assert_every_plan_agrees(&mut client, &ranges)?;
        assert_eq!(problems(&mut client, "i")?, Vec::<String>::new(), "{dimensions}");
    }
    let insert = "INSERT INTO t SELECT 1, array_fill(1::real, ARRAY[16001])";
    refused(client.batch_execute(insert), "54000").names(&["16000", "16001"]);
    Ok(())
}

#[test]
fn cursors_and_savepoints() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 1, 3000)?;
    let range = in_range(2, -1.0, 0.5);
    allow(&mut client, "seqscan")?;
    let all = rows(&mut client, &format!("SELECT n FROM t WHERE {range} ORDER BY n"));
    for (scan, ahead) in [("indexscan", 0), ("indexscan", 1), ("indexscan", 1000), ("bitmapscan", 1)] {
        allow(&mut client, scan)?;
        client.batch_execute(&format!("SET effective_io_concurrency = {ahead}"))?;
        client.batch_execute(&format!("BEGIN; DECLARE c CURSOR FOR SELECT n FROM t WHERE {range}"))?;
        let mut seen = rows(&mut client, "FETCH 10 FROM c");
        // The cursor sees neither what came after it nor what was undone.
        client.batch_execute("SAVEPOINT s; INSERT INTO t SELECT n + 10000, v FROM t; DELETE FROM t WHERE n % 2 = 0")?;
        seen.extend(rows(&mut client, "FETCH 50 FROM c"));
        client.batch_execute(&format!("DECLARE d CURSOR FOR SELECT n FROM t WHERE {range}"))?;
        assert_eq!(rows(&mut client, "FETCH 5 FROM d").len(), 5);
        client.batch_execute("ROLLBACK TO SAVEPOINT s")?;
        seen.extend(rows(&mut client, "FETCH ALL FROM c"));
        seen.sort_by_key(|n| n.parse::<i32>().expect("a number"));
        assert_eq!(seen, all, "{scan}");
        client.batch_execute(&format!(
            "CLOSE c; DECLARE e SCROLL CURSOR WITH HOLD FOR SELECT n FROM t WHERE {range}; FETCH 3 FROM e; COMMIT"
        ))?;
        assert_eq!(rows(&mut client, "FETCH ALL FROM e").len(), all.len() - 3, "{scan}");
        client.batch_execute("MOVE ABSOLUTE 0 IN e")?;
        assert_eq!(rows(&mut client, "FETCH ALL FROM e").len(), all.len(), "{scan}");
        client.batch_execute("CLOSE e; SELECT n FROM t WHERE v <@ dim_range(0, 0, 1) LIMIT 3")?;
    }
    assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))?;
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    Ok(())
}

#[test]
fn joins_and_subqueries_with_ranges_of_the_outer_row() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 2, 2500)?;
    client.batch_execute(
        "CREATE TABLE r AS SELECT n, n % 13 AS d, (n % 17) / 8.0 - 1 AS lo, (n % 17) / 8.0 - 1 + n % 5 / 10.0 AS hi FROM generate_series(1, 100) n; \
         INSERT INTO r VALUES (101, NULL, 0, 1), (102, 3, NULL, 1); ANALYZE r; ANALYZE t; SET enable_material = off; SET enable_memoize = off",
    )?;
    for query in [
        "SELECT count(*), sum(r.n * t.n::bigint) FROM r JOIN t ON t.v <@ dim_range(r.d, r.lo, r.hi)",
        "SELECT count(t.n), sum(r.n * t.n::bigint), count(*) FROM r LEFT JOIN t ON t.v <@ dim_range(r.d, r.lo, r.hi) AND t.v <@ dim_range(5, -1, 1)",
        "SELECT count(*), sum(n) FROM r WHERE EXISTS (SELECT FROM t WHERE v <@ dim_range(r.d, r.lo, r.hi) AND t.n % 50 = r.n % 50)",
        "SELECT count(*), sum(first) FROM r, LATERAL (SELECT min(n) AS first FROM t WHERE v <@ dim_range(r.d, r.lo, r.hi)) s",
        "SELECT count(*), sum(n) FROM t WHERE v <@ dim_range(0, 0.1, 0.2) OR v <@ dim_range(1, 0.1, 0.2)",
        "SELECT count(*), sum(n) FROM t WHERE v <@ (SELECT dim_range(d, lo, hi + 1) FROM r WHERE n = 7)",
    ] {
        allow(&mut client, "seqscan")?;
        let expected = rows(&mut client, query);
        for scan in ["indexscan", "bitmapscan"] {
            allow(&mut client, scan)?;
            assert_eq!(rows(&mut client, query), expected, "{scan}: {query}");
        }
    }
    allow(&mut client, "indexscan")?;
    let join = "EXPLAIN SELECT count(*) FROM r JOIN t ON t.v <@ dim_range(r.d, r.lo, r.hi)";
    assert!(rows(&mut client, join).concat().contains("Index Scan using i"), "the outer row gives the range");
    Ok(())
}

#[test]
fn prepared_statements_and_partial_indexes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 3, 2500)?;
    client.batch_execute(
        "PREPARE p (int, float8, float8) AS SELECT count(*), sum(n) FROM t WHERE v <@ dim_range($1, $2, $3)",
    )?;
    for mode in ["force_generic_plan", "force_custom_plan"] {
        for arguments in ["0, 0, 0.5", "7, -3, 0.1", "11, '-Infinity', 'Infinity'", "NULL, 0, 1", "12, 0, 1"] {
            let mut answers = Vec::new();
            for scan in ["seqscan", "indexscan", "bitmapscan"] {
                client.batch_execute(&format!("SET plan_cache_mode = {mode}"))?;
                allow(&mut client, scan)?;
                answers.push(rows(&mut client, &format!("EXECUTE p ({arguments})")));
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{mode} {arguments}: {answers:?}");
        }
    }
    allow_all(&mut client)?;
    client.batch_execute(
        "DROP INDEX i; CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 16) WHERE n % 3 = 0; \
         INSERT INTO t SELECT n + 5000, v FROM t; UPDATE t SET n = n + 1 WHERE n % 10 = 0; DELETE FROM t WHERE n % 11 = 0",
    )?;
    let partial: Vec<String> = ranges_of_mixture(12).iter().map(|range| format!("{range} AND n % 3 = 0")).collect();
    assert_every_plan_agrees(&mut client, &partial)?;
    client.batch_execute("VACUUM t")?;
    assert_every_plan_agrees(&mut client, &partial)?;
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    let held = value::<i64>(&mut client, "SELECT count(*) FROM t WHERE n % 3 = 0")?;
    assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, held);
    Ok(())
}

/// Returns the plan's first node and the rows that it expects.
fn planned(client: &mut Client, condition: &str) -> (String, f64) {
    let plan = rows(client, &format!("EXPLAIN SELECT * FROM t WHERE {condition}"));
    let expected = plan[0].split_once("rows=").and_then(|(_, rest)| rest.split(' ').next());
    (plan.concat(), expected.and_then(|rows| rows.parse().ok()).expect("a number of rows"))
}

#[test]
fn the_planner_takes_the_index_for_few_rows_and_knows_how_many_they_are() -> Result<()> {
    const ROWS: usize = 20_000;
    const WIDTH: usize = 128;
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE t (n int, v dimvec)")?;
    let vectors = mixture(4, ROWS, WIDTH, 40);
    copy_all(&mut client, 1, &vectors)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v)")?;
    client.batch_execute("VACUUM ANALYZE t")?;
    for dimension in [0, 13, WIDTH - 1] {
        let mut values: Vec<f64> = vectors.iter().map(|vector| vector[dimension]).collect();
        values.sort_by(f64::total_cmp);
        for (share, first, takes_index) in
            [(0.001, 0.7, true), (0.01, 0.2, true), (0.01, 0.985, true), (0.1, 0.45, true), (0.5, 0.3, false)]
        {
            let place = |share: f64| ((ROWS as f64 * share) as usize).min(ROWS - 1);
            let condition = in_range(dimension, values[place(first)], values[place(first + share)]);
            let (plan, expected) = planned(&mut client, &condition);
            println!("dimension {dimension}, share {share} from {first}: {plan}");
            let actual = share * ROWS as f64;
            assert!(expected < actual * 2.0 && expected > actual / 2.0, "{condition}: {plan}");
            // Rows come in the order of the table: a bitmap would only cost more.
            assert!(!plan.contains("Bitmap"), "{condition}: {plan}");
            // At a tenth either may be cheaper.
            if share != 0.1 {
                assert_eq!(plan.contains("Index"), takes_index, "{condition}: {plan}");
            }
            if share < 0.05 {
                assert_every_plan_agrees(&mut client, &[condition])?;
                // The bitmap scan was last.  Both bytes of a code leave hardly a row open but those at the bounds.
                let rechecks: i64 = value(&mut client, "SELECT rechecks FROM dimspace_last_scan()")?;
                assert!(rechecks <= 20, "{rechecks} of {actual} rows are checked again");
            }
        }
    }
    assert_eq!(found(&mut client, &in_range(WIDTH, 0.0, 1.0))?, "0 ");
    Ok(())
}
