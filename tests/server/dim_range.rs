//! The type `dim_range`, and the search for vectors with a value between bounds: `<@` and its commutator `@>`.

use std::io::{Read, Write};

use pg_test::Result;
use postgres::Client;

use crate::content_hash::by_plan;
use crate::dimvec::binary::Wire;
use crate::dimvec::{assert_answers, make_vectors, rows, session, session_beside_pgvector};
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[test]
fn text_and_parts() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            ("'(42,0.1,0.2)'::dim_range", "(42,0.1,0.2)"),
            ("' ( 0 , -1e-3 , +1e300 ) '::dim_range", "(0,-0.001,1e+300)"),
            ("'(65534,-infinity,inf)'::dim_range", "(65534,-Infinity,Infinity)"),
            ("dim_range(1, '-Infinity', 5e-324)", "(1,-Infinity,5e-324)"),
            ("dim_range(1, 'Infinity', 'Infinity')", "(1,Infinity,Infinity)"),
            ("dim_range(1, '-0', '-0')", "(1,0,0)"),
            ("range_dimension('(42,0.1,0.2)')", "42"),
            ("range_low('(42,0.1,0.2)')", "0.1"),
            ("range_high('(42,0.1,0.2)')", "0.2"),
            ("range_high(dim_range(0, 0.1, 1.0 / 3)::text::dim_range) = 1.0 / 3", "t"),
            ("pg_column_size(dim_range(1, 2, 3))", "20"),
            ("dim_range(NULL, 1, 2) IS NULL AND dim_range(1, NULL, 2) IS NULL", "t"),
        ],
    );
    for (sqlstate, text, says) in [
        ("22P02", "", "no opening parenthesis at character 1"),
        ("22P02", "(1,2,3", "no closing parenthesis at character 7"),
        ("22P02", "(1,2,3)x", "no closing parenthesis at character 9"),
        ("22P02", "(1,2)", "not three numbers at character 6"),
        ("22P02", "(1,2,3,4)", "not three numbers at character 10"),
        ("22P02", "(x,2,3)", "not a dimension at character 2"),
        ("22P02", "(1.5,2,3)", "not a dimension at character 2"),
        ("22P02", "(99999999999,2,3)", "not a dimension at character 2"),
        ("22P02", "(1,ä,3)", "not a number at character 4"),
        ("22P02", "(1,,3)", "not a number at character 4"),
        ("22P02", "(1,2,3 4)", "not a number at character 6"),
        ("22003", "(1,NaN,3)", "NaN is no bound of a range (dimension 1)"),
        ("22003", "(1,2,nan)", "NaN is no bound of a range (dimension 1)"),
        ("22003", "(1,2,1e999)", "out of range for float64"),
        ("22003", "(1,1e-999,2)", "out of range for float64"),
        ("22023", "(-1,2,3)", "dimension -1 is not one of 0 to 65534"),
        ("22023", "(65535,2,3)", "dimension 65535 is not one of 0 to 65534"),
        ("22023", "(1,3,2)", "the lower bound 3 is above the upper bound 2 (dimension 1)"),
        ("22023", "(1,Infinity,-Infinity)", "the lower bound Infinity is above the upper bound -Infinity"),
    ] {
        println!("{text:?}");
        refused(client.query("SELECT $1::text::dim_range", &[&text]), sqlstate).names(&[says]);
    }
    refused(client.simple_query("SELECT dim_range(0, 'NaN', 1)"), "22003");
    refused(client.simple_query("SELECT dim_range(65535, 0, 1)"), "22023").names(&["65535"]);
    let refusal = refused(client.simple_query("SELECT dim_range(0, 1, 0)"), "22023");
    assert!(refusal.hint.starts_with("Give the lower bound first"), "{refusal:?}");
    Ok(())
}

/// Returns a binary form.
fn wire(dimension: i32, lo: f64, hi: f64) -> Wire {
    Wire([&dimension.to_be_bytes()[..], &lo.to_be_bytes(), &hi.to_be_bytes()].concat())
}

#[test]
fn binary_form() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    let sent: Wire = client.query_one("SELECT '(3,-Infinity,0.5)'::dim_range", &[])?.get(0);
    assert_eq!(sent, wire(3, f64::NEG_INFINITY, 0.5));
    let read: String = client.query_one("SELECT $1::dim_range::text", &[&sent])?.get(0);
    assert_eq!(read, "(3,-Infinity,0.5)");
    for (sqlstate, form, says) in [
        ("22P03", Wire(vec![0; 19]), "at byte 19"),
        ("22P03", Wire(vec![0; 21]), "20 bytes"),
        ("22P03", Wire(vec![]), "at byte 0"),
        ("22003", wire(0, f64::NAN, 0.0), "NaN"),
        ("22003", wire(0, 0.0, f64::NAN), "NaN"),
        ("22023", wire(65_535, 0.0, 1.0), "65535"),
        ("22023", wire(i32::MIN, 0.0, 1.0), "-2147483648"),
        ("22023", wire(0, 1.0, 0.0), "the lower bound 1 is above the upper bound 0"),
    ] {
        refused(client.query("SELECT $1::dim_range", &[&form]), sqlstate).names(&[says]);
    }
    client.batch_execute("CREATE TABLE r AS SELECT dim_range(n, n / 7.0, CASE WHEN n % 5 = 0 THEN 'Infinity'::float8 ELSE n END) AS r FROM generate_series(0, 999) n; CREATE TABLE back (r dim_range)")?;
    let mut bytes = Vec::new();
    client.copy_out("COPY r TO STDOUT (FORMAT binary)")?.read_to_end(&mut bytes).expect("it streams");
    assert_eq!(bytes.len(), 19 + 1000 * (2 + 4 + 20) + 2);
    let mut writer = client.copy_in("COPY back FROM STDIN (FORMAT binary)")?;
    writer.write_all(&bytes).expect("it streams");
    assert_eq!(writer.finish()?, 1000);
    assert_eq!(rows(&mut client, "SELECT count(*) FROM r NATURAL JOIN back"), ["1000"]);
    Ok(())
}

#[test]
fn equality_and_hash() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE r AS SELECT n, dim_range(n % 7, n % 3, n % 3 + n % 2) AS r FROM generate_series(1, 3000) n; ANALYZE r",
    )?;
    let groups = "SELECT count(*) FROM (SELECT DISTINCT r FROM r) g";
    assert_eq!(by_plan(&mut client, "seqscan hashagg", "HashAggregate", groups)?, 42);
    let parts = "(range_dimension(a.r), range_low(a.r), range_high(a.r)) = (range_dimension(b.r), range_low(b.r), range_high(b.r))";
    let disagree = format!(
        "SELECT count(*) FROM r a, r b WHERE a.n < 300 AND b.n % 10 = 0 AND ((a.r = b.r) <> ({parts}) OR (a.r <> b.r) = ({parts}))"
    );
    assert_eq!(value::<i64>(&mut client, &disagree)?, 0);
    let join = "SELECT count(*) FROM r a JOIN r b ON a.r = b.r";
    let joined = by_plan(&mut client, "seqscan hashjoin", "Hash Join", join)?;
    assert_eq!(by_plan(&mut client, "seqscan nestloop", "Nested Loop", join)?, joined);
    client.batch_execute("CREATE INDEX by_hash ON r USING hash (r)")?;
    let one = "SELECT count(*) FROM r WHERE r = (SELECT r FROM r WHERE n = 5)";
    let found = by_plan(&mut client, "indexscan", "Index Scan using by_hash", one)?;
    assert_eq!(found, by_plan(&mut client, "seqscan", "Seq Scan", one)?);
    assert_answers(
        &mut client,
        &[
            ("dim_range(1, '-0', 2) = dim_range(1, 0, 2)", "t"),
            ("dim_range_hash(dim_range(1, '-0', 2)) = dim_range_hash(dim_range(1, 0, 2))", "t"),
            ("'(1,-Infinity,2)'::dim_range <> '(1,-1e300,2)'", "t"),
            (
                "bool_and((dim_range_hash_extended(r, 0) & 4294967295) = (dim_range_hash(r)::bigint & 4294967295)) FROM r",
                "t",
            ),
            // Hash indexes and partitions keep these numbers.
            (
                "dim_range_hash('(2,0.5,3)'), dim_range_hash_extended('(2,0.5,3)', 7)",
                "-1611519458|-6113691335015139531",
            ),
        ],
    );
    Ok(())
}

/// Makes the table `r` of ranges: between values of the vectors of `t`, on them, and beyond them.
fn make_ranges(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute(
        "CREATE TABLE r AS SELECT row_number() OVER () AS n, dim_range(dimension, least(a, b), greatest(a, b)) AS r FROM ( \
             SELECT dimension, dimension_value(x.v, dimension) AS a, \
                 CASE g % 4 WHEN 0 THEN dimension_value(y.v, dimension) WHEN 1 THEN dimension_value(x.v, dimension) \
                     WHEN 2 THEN 'Infinity' ELSE '-Infinity' END AS b \
             FROM generate_series(1, 400) g, LATERAL (SELECT v FROM t WHERE n = 1 + g * 7 % 360) x, \
                 LATERAL (SELECT v FROM t WHERE n = 1 + g * 11 % 360) y, \
                 LATERAL (SELECT g * 13 % least(vector_dims(x.v), vector_dims(y.v)) AS dimension) d) made; \
         INSERT INTO r SELECT 1000 + d, dim_range(d, '-Infinity', 'Infinity') FROM unnest('{0,1,18,40,699,65534}'::int[]) d",
    )?)
}

/// What `v <@ r` promises, by other means.
const EXPECTED: &str = "CASE WHEN range_dimension(r) < vector_dims(v) THEN dimension_value(v, range_dimension(r)) BETWEEN range_low(r) AND range_high(r) ELSE false END";

#[test]
fn ranges_of_every_form_equal_a_comparison_of_the_value() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_vectors(&mut client)?;
    make_ranges(&mut client)?;
    let query = format!(
        "SELECT count(*) FILTER (WHERE (v <@ r) IS DISTINCT FROM ({EXPECTED}) OR (r @> v) IS DISTINCT FROM ({EXPECTED})), \
             count(*) FILTER (WHERE v <@ r) > 10000, count(*) FILTER (WHERE NOT v <@ r) > 10000, count(*), \
             count(DISTINCT stored_form(v)) FILTER (WHERE v <@ r) >= 8 FROM t, r"
    );
    assert_eq!(rows(&mut client, &query), ["0|t|t|146160|t"]);
    Ok(())
}

#[test]
fn edges() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            // Both bounds are included.
            ("'[1,2]' <@ dim_range(1, 2, 3), '[1,2]' <@ dim_range(1, 1, 2), '[1,2]' <@ dim_range(1, 2, 2)", "t|t|t"),
            ("'[1,2]' <@ dim_range(1, 1, 1.9999999), '[1,2]' <@ dim_range(1, 2.0000001, 3)", "f|f"),
            ("dim_range(0, 1, 1) @> '[1,2]', dim_range(0, 2, 2) @> '[1,2]'", "t|f"),
            ("'[-0]' <@ dim_range(0, 0, 0), '[0]' <@ dim_range(0, '-0', '-0')", "t|t"),
            // A dimension that the vector does not have.
            (
                "'[1,2]' <@ dim_range(2, '-Infinity', 'Infinity'), '[1,2]'::dimvec <@ '(65534,-Infinity,Infinity)'",
                "f|f",
            ),
            ("'{65535:1}/65535' <@ dim_range(65534, 1, 1), '{65535:1}/65535' <@ dim_range(65533, 0, 0)", "t|t"),
            // Infinite bounds leave an end open, and hold no value by themselves.
            ("'[1e38]' <@ dim_range(0, 0, 'Infinity'), '[-1e38]' <@ dim_range(0, '-Infinity', 0)", "t|t"),
            ("'float64:[1e308]' <@ dim_range(0, 'Infinity', 'Infinity')", "f"),
            // Denormals.
            ("'[1e-45]' <@ dim_range(0, 5e-324, 1e-44), '[1e-45]' <@ dim_range(0, 0, 5e-324)", "t|f"),
            ("'float64:[5e-324]' <@ dim_range(0, 5e-324, 5e-324), 'float64:[5e-324]' <@ dim_range(0, 0, 0)", "t|f"),
            // Values are compared as float8: 0.1 as float32 is above it, and float64 is not rounded.
            (
                "'[0.1]' <@ dim_range(0, 0, 0.1), '[0.1]' <@ dim_range(0, 0, '0.1'::real), '[0.1]' <@ dim_range(0, 0.1, 1)",
                "f|t|t",
            ),
            ("'float64:[0.1]' <@ dim_range(0, 0, 0.1), 'float64:[0.1]' <@ dim_range(0, 0.1, 0.1)", "t|t"),
            (
                "'float64:[16777217]' <@ dim_range(0, 16777216, 16777216), 'float64:[16777217]' <@ dim_range(0, 16777217, 16777217)",
                "f|t",
            ),
            (
                "'float16:[0.1]' <@ dim_range(0, 0.0999755859375, 0.0999755859375), 'bfloat16:[0.1]' <@ dim_range(0, 0.100097656, 0.1001)",
                "t|t",
            ),
            ("'int8:[-128,127]' <@ dim_range(0, -128, -128), 'uint8:[255]' <@ dim_range(0, 254.5, 255)", "t|t"),
            (
                "(NULL::dimvec <@ dim_range(0, 0, 1)) IS NULL, ('[1]' <@ NULL::dim_range) IS NULL, (NULL::dim_range @> '[1]'::dimvec) IS NULL",
                "t|t|t",
            ),
        ],
    );
    Ok(())
}

#[test]
fn nulls_and_vectors_of_several_lengths_in_a_table() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE t (n int, v dimvec, r dim_range); INSERT INTO t VALUES (1, '[1]', '(0,0,1)'), (2, '[1,2]', '(1,2,2)'), \
             (3, NULL, '(0,0,1)'), (4, '[1]', NULL), (5, '[1]', '(1,0,9)')",
    )?;
    assert_eq!(rows(&mut client, "SELECT n FROM t WHERE v <@ dim_range(1, 0, 9) ORDER BY n"), ["2"]);
    assert_eq!(rows(&mut client, "SELECT n FROM t WHERE v <@ r ORDER BY n"), ["1", "2"]);
    assert_eq!(rows(&mut client, "SELECT n FROM t WHERE NOT r @> v ORDER BY n"), ["5"]);
    Ok(())
}

#[test]
fn prepared_parameters_in_custom_and_generic_plans() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_vectors(&mut client)?;
    make_ranges(&mut client)?;
    let counted = "SELECT r, (SELECT count(*) FROM t WHERE v <@ r) FROM r WHERE n % 10 = 0 ORDER BY n";
    let expected: Vec<(Wire, i64)> = client.query(counted, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(expected.iter().any(|(_, count)| *count > 0));
    for mode in ["force_custom_plan", "force_generic_plan", "auto"] {
        client.batch_execute(&format!("SET plan_cache_mode = {mode}"))?;
        let within = client.prepare("SELECT count(*) FROM t WHERE v <@ $1")?;
        let holds = client.prepare("SELECT count(*) FROM t WHERE $1 @> v")?;
        let named = client.prepare("SELECT count(*) FROM t WHERE v <@ dim_range($1, $2, $3)")?;
        for (range, count) in &expected {
            for statement in [&within, &holds] {
                assert_eq!(client.query_one(statement, &[range])?.get::<_, i64>(0), *count, "{mode} {range:?}");
            }
        }
        let all: i64 = client.query_one(&named, &[&0, &f64::NEG_INFINITY, &f64::INFINITY])?.get(0);
        assert_eq!(all, 360);
    }
    Ok(())
}

/// A parallel plan runs the operator in workers.
#[test]
fn workers_search_too() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_vectors(&mut client)?;
    let query = "SELECT count(*) FROM t WHERE v <@ dim_range(0, 0, 50)";
    let alone: i64 = value(&mut client, query)?;
    client.batch_execute(
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2",
    )?;
    assert!(rows(&mut client, &format!("EXPLAIN {query}")).concat().contains("Parallel Seq Scan"));
    assert_eq!(value::<i64>(&mut client, query)?, alone);
    Ok(())
}

#[test]
fn pgvectors_types_are_searched_as_they_lie() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    make_vectors(&mut client)?;
    make_ranges(&mut client)?;
    client.batch_execute(
        "CREATE TABLE theirs AS SELECT n, v::vector AS f, v::halfvec AS h, v::sparsevec AS s FROM (SELECT n, v::dimvec(float32) AS v FROM t) t",
    )?;
    for (column, element) in [("f", "float32"), ("h", "float16"), ("s", "float32")] {
        let query = format!(
            "SELECT count(*) FILTER (WHERE ({column} <@ r) IS DISTINCT FROM ({EXPECTED}) OR (r @> {column}) IS DISTINCT FROM ({EXPECTED})), \
                 count(*) FILTER (WHERE {column} <@ r) > 10000, count(*) \
             FROM (SELECT {column}, {column}::dimvec({element}) AS v FROM theirs) c, r"
        );
        assert_eq!(rows(&mut client, &query), ["0|t|146160"], "{column}");
    }
    assert_answers(
        &mut client,
        &[
            ("'[1,2]'::vector <@ dim_range(1, 2, 2), '[1,2]'::halfvec <@ dim_range(1, 2, 2)", "t|t"),
            (
                "'[1,2]'::vector <@ dim_range(2, '-Infinity', 'Infinity'), '[1,2]'::halfvec <@ '(2,-Infinity,Infinity)'",
                "f|f",
            ),
            ("dim_range(0, '-0', 0) @> '[-0]'::vector, dim_range(0, 0, 0) @> '[-0]'::halfvec", "t|t"),
            ("'[0.1]'::vector <@ dim_range(0, 0, 0.1), '[0.1]'::halfvec <@ dim_range(0, 0, 0.1)", "f|t"),
            ("'{2:7}/3'::sparsevec <@ dim_range(1, 7, 7), dim_range(2, 0, 0) @> '{2:7}/3'::sparsevec", "t|t"),
            ("(NULL::vector <@ dim_range(0, 0, 1)) IS NULL, (NULL::halfvec <@ dim_range(0, 0, 1)) IS NULL", "t|t"),
            // A literal of no type could be any of them.
            ("'[1,2]' <@ dim_range(1, 2, 2)", "(42725)"),
        ],
    );
    Ok(())
}
