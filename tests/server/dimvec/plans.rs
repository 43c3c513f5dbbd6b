//! Every plan that PostgreSQL has for a type with order and hash gives the same answer, across element types and from TOAST.

use pg_test::Result;
use postgres::Client;

use super::{rows, session};
use crate::content_hash::by_plan;
use crate::support::oracle::value;
use crate::support::{Database, refused};

/// A table of 400 vectors of 1 to 3,000 dimensions, each as float32, float64 and float16 of the same numbers: 1,200 rows.
fn make_twins(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "SELECT setseed(0.75); \
         CREATE TABLE twins AS SELECT n, e, CASE e WHEN 0 THEN v WHEN 1 THEN v::dimvec(float64) ELSE v::dimvec(float16) END AS v FROM \
             (SELECT n, (SELECT array_agg(random() * 8) FROM generate_series(1, CASE WHEN n % 20 = 0 THEN 3000 ELSE 1 + n % 50 END)) \
                     ::real[]::dimvec(float16)::dimvec(float32) AS v FROM generate_series(1, 400) n) g, generate_series(0, 2) e; \
         ANALYZE twins",
    )?;
    let forms = "SELECT element_type(v) || ' ' || stored_form(v) FROM twins WHERE n = 20 ORDER BY e";
    assert_eq!(rows(client, forms), ["float32 float16", "float64 float16", "float16 float16"]);
    let toast = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'twins'::regclass";
    assert!(value::<i64>(client, toast)? > 60 * 6000, "vectors of 3,000 dimensions lie in TOAST");
    Ok(())
}

#[test]
fn every_plan_gives_the_same_answer() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_twins(&mut client)?;
    let join = "SELECT count(*) FROM twins a JOIN twins b ON a.v = b.v WHERE a.e = 2";
    for (allow, node) in [
        ("seqscan hashjoin", "Hash Join"),
        ("seqscan sort mergejoin", "Merge Join"),
        ("seqscan nestloop", "Nested Loop"),
    ] {
        assert_eq!(by_plan(&mut client, allow, node, join)?, 1200, "{node}");
    }
    for groups in [
        "SELECT count(*) FROM (SELECT v FROM twins GROUP BY v) g",
        "SELECT count(*) FROM (SELECT DISTINCT v FROM twins) g",
        "SELECT count(*) FROM (SELECT v FROM twins UNION SELECT v FROM twins) g",
    ] {
        assert_eq!(by_plan(&mut client, "seqscan hashagg", "HashAggregate", groups)?, 400, "{groups}");
    }
    for (groups, node) in [
        ("SELECT count(*) FROM (SELECT v FROM twins GROUP BY v) g", "Group"),
        ("SELECT count(*) FROM (SELECT DISTINCT v FROM twins) g", "Unique"),
        ("SELECT count(DISTINCT v) FROM twins", "Aggregate"),
    ] {
        assert_eq!(by_plan(&mut client, "seqscan sort", node, groups)?, 400, "{groups}");
    }
    Ok(())
}

#[test]
fn order_is_that_of_the_numbers() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_twins(&mut client)?;
    // PostgreSQL orders arrays alike, but for arrays that begin with another, which come after it here as well.
    let same = "SELECT array_agg(n ORDER BY v, e) = array_agg(n ORDER BY v::float8[], e) FROM twins";
    assert!(value::<bool>(&mut client, same)?);
    let differs = ["=", "<>", "<", "<=", ">", ">="].map(|operator| {
        format!("(a.v {operator} b.v) <> (a.v::float8[] OPERATOR(pg_catalog.{operator}) b.v::float8[])")
    });
    let disagree = format!(
        "SELECT count(*) FROM twins a, twins b WHERE a.n % 7 = 0 AND b.n < 30 AND a.e <= b.e AND \
            ({} OR dimvec_cmp(a.v, b.v) <> btarraycmp(a.v::float8[], b.v::float8[]))",
        differs.join(" OR ")
    );
    assert_eq!(value::<i64>(&mut client, &disagree)?, 0);
    client.batch_execute("SET work_mem = '64kB'")?;
    let spilled = "SELECT array_agg(n) = (SELECT array_agg(n ORDER BY v::float8[], e) FROM twins) FROM (SELECT n FROM twins ORDER BY v, e) s";
    assert!(value::<bool>(&mut client, spilled)?, "sorted on disk");
    Ok(())
}

#[test]
fn btree_and_hash_indexes_find_equal_numbers_of_any_element_type() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_twins(&mut client)?;
    // A btree entry has at most 2,704 bytes; a hash index stores only hashes.
    refused(client.batch_execute("CREATE INDEX ON twins (v)"), "54000");
    let one = |n: i32| format!("SELECT count(*) FROM twins WHERE v = (SELECT v FROM twins WHERE n = {n} AND e = 1)");
    client.batch_execute("CREATE INDEX by_hash ON twins USING hash (v)")?;
    for n in [1, 20, 49, 400] {
        assert_eq!(by_plan(&mut client, "seqscan indexscan", "Index Scan using by_hash", &one(n))?, 3, "{n}");
    }
    // In a new table: rows deleted from the old one may still be seen by others, and so be indexed.
    client.batch_execute(
        "CREATE TABLE short AS SELECT * FROM twins WHERE n % 20 > 0; DROP TABLE twins; ALTER TABLE short RENAME TO twins; \
         CREATE INDEX by_order ON twins (v); ANALYZE twins",
    )?;
    for n in [1, 21, 49] {
        assert_eq!(by_plan(&mut client, "seqscan indexscan", "Index Scan using by_order", &one(n))?, 3, "{n}");
    }
    for range in [
        "SELECT count(*) FROM twins WHERE v < '[4]'",
        "SELECT count(*) FROM twins WHERE v >= 'float64:[2]' AND v < 'uint8:[5]'",
    ] {
        let by_index = by_plan(&mut client, "indexscan", "Index Scan using by_order", range)?;
        assert_eq!(by_index, by_plan(&mut client, "seqscan", "Seq Scan", range)?, "{range}");
        assert!((1..1140).contains(&by_index), "{by_index}");
    }
    let sorted = "SELECT count(*) FROM (SELECT v, lag(v) OVER (ORDER BY v) AS last FROM twins) s WHERE v < last";
    assert_eq!(by_plan(&mut client, "indexscan indexonlyscan", "by_order", sorted)?, 0);
    client
        .batch_execute("RESET ALL; CREATE EXTENSION amcheck; SELECT public.bt_index_check('public.by_order', true)")?;
    Ok(())
}

#[test]
fn unique_and_exclusion_constraints_hold_across_element_types() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE u (v dimvec UNIQUE); INSERT INTO u VALUES ('[1,2]'), ('[1,2,0]'), (NULL), (NULL); \
         CREATE TABLE x (v dimvec, EXCLUDE USING hash (v WITH =)); INSERT INTO x VALUES ('[1,2]')",
    )?;
    refused(client.batch_execute("INSERT INTO u VALUES ('int8:[1,2]')"), "23505");
    refused(client.batch_execute("INSERT INTO x VALUES ('float16:[1,2]')"), "23P01");
    let again = "INSERT INTO u VALUES ('float64:[1,2]') ON CONFLICT (v) DO UPDATE SET v = EXCLUDED.v RETURNING v";
    assert_eq!(rows(&mut client, again), ["float64:[1,2]"]);
    // Equal numbers of two element types are two values to see, so no index may merge them.
    let entries = "SELECT count(*) FROM u WHERE v = '[1,2]'";
    assert_eq!(value::<i64>(&mut client, entries)?, 1);
    client.batch_execute("CREATE TABLE d (v dimvec); CREATE INDEX i ON d (v); INSERT INTO d SELECT CASE n % 2 WHEN 0 THEN 'int8:[1]'::dimvec ELSE '[1]' END FROM generate_series(1, 2000) n")?;
    client.batch_execute("VACUUM d")?;
    client.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexscan = off")?;
    let shown = "SELECT v, count(*) FROM (SELECT v::text FROM d WHERE v = '[1]') t GROUP BY v ORDER BY v";
    assert_eq!(rows(&mut client, shown), ["[1]|1000", "int8:[1]|1000"]);
    Ok(())
}

#[test]
fn hash_partitions_divide_and_find() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_twins(&mut client)?;
    client.batch_execute("CREATE TABLE p (v dimvec, n int) PARTITION BY HASH (v)")?;
    for part in 0..4 {
        client.batch_execute(&format!(
            "CREATE TABLE p{part} PARTITION OF p FOR VALUES WITH (MODULUS 4, REMAINDER {part})"
        ))?;
    }
    client.batch_execute("INSERT INTO p SELECT v, n FROM twins")?;
    let parted = "SELECT count(*) FROM (SELECT n FROM p GROUP BY n HAVING count(DISTINCT tableoid) > 1) s";
    assert_eq!(value::<i64>(&mut client, parted)?, 0, "equal vectors lie in one partition");
    let smallest = "SELECT min(c) FROM (SELECT count(*) AS c FROM p GROUP BY tableoid) s";
    assert!(value::<i64>(&mut client, smallest)? > 200);
    let find = "SELECT n FROM p WHERE v = (SELECT v FROM twins WHERE n = 40 AND e = 2)";
    assert_eq!(rows(&mut client, find), ["40", "40", "40"]);
    let pruned = rows(&mut client, "EXPLAIN SELECT * FROM p WHERE v = '[1,2,3]'");
    assert!(pruned[0].starts_with("Seq Scan on p"), "{pruned:?}");
    // PostgreSQL asks that the seeded hash agree with the plain one for seed 0 in its low half; partitions on disk, that it never change.
    let low =
        "SELECT bool_and((dimvec_hash_extended(v, 0) & 4294967295) = (dimvec_hash(v)::bigint & 4294967295)) FROM twins";
    assert!(value::<bool>(&mut client, low)?);
    let hashes = "SELECT count(DISTINCT dimvec_hash(v)), count(DISTINCT dimvec_hash_extended(v, 7)) FROM twins";
    assert_eq!(rows(&mut client, hashes), ["400|400"]);
    let golden = "SELECT dimvec_hash('[1,2,3]'), dimvec_hash_extended('[1,2,3]', 0), dimvec_hash_extended('float16:{3:-0.5}/9', 7)";
    assert_eq!(rows(&mut client, golden), ["-1437124281|817222422613145927|1882704759436889307"]);
    Ok(())
}

#[test]
fn statistics_serve_the_planner() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE s AS SELECT ARRAY[n % 100, n % 10]::dimvec AS v, CASE WHEN n % 4 > 0 THEN (SELECT array_agg(n % 5 + 0.1 + 0 * d) FROM generate_series(1, 3000) d)::real[]::dimvec END AS wide \
             FROM generate_series(1, 1000) n; ANALYZE s",
    )?;
    let stats = "SELECT n_distinct, null_frac, avg_width FROM pg_stats WHERE tablename = 's' ORDER BY attname";
    let found = rows(&mut client, stats);
    // 7 bytes, of length 1, header 4 and values 2, or 5 where both are zero.
    assert_eq!(found[0], "100|0|6");
    assert!(found[1].contains("|0.25|"), "{found:?}");
    let plan = rows(&mut client, "EXPLAIN SELECT * FROM s WHERE v = '[7,7]'");
    assert!(plan[0].contains("rows=10 "), "{plan:?}");
    let plan = rows(&mut client, "EXPLAIN SELECT * FROM s WHERE v < '[50]'");
    assert!((450..550).any(|rows| plan[0].contains(&format!("rows={rows} "))), "{plan:?}");
    Ok(())
}

#[test]
fn cursors_go_forth_and_back_and_outlive_the_transaction() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_twins(&mut client)?;
    client.batch_execute(
        "BEGIN; DECLARE s SCROLL CURSOR FOR SELECT n, md5(v::text), v FROM twins WHERE e = 2 ORDER BY v; \
         DECLARE h CURSOR WITH HOLD FOR SELECT n, v FROM twins WHERE n % 20 = 0 AND e < 2 ORDER BY v <-> array_fill(1::real, ARRAY[3000])::dimvec, e",
    )?;
    let forth = rows(&mut client, "FETCH ALL s");
    let mut back = rows(&mut client, "FETCH BACKWARD ALL s");
    back.reverse();
    assert!(forth.len() == 400 && forth == back);
    assert_eq!(rows(&mut client, "FETCH ABSOLUTE 7 s"), forth[6..7]);
    client.batch_execute("COMMIT; TRUNCATE twins")?;
    assert_eq!(rows(&mut client, "FETCH ALL h").len(), 40);
    Ok(())
}
