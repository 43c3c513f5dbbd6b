//! What is said of single dimensions and of storage equals what plain SQL says over the rows.

use std::collections::BTreeMap;

use pg_test::Result;
use postgres::{Client, Row};

use super::{begin, bytes_of, insert, random_floats, register, sources};
use crate::support::oracle::value;
use crate::support::read_calls::answer;
use crate::support::{Database, refused};

const DIMENSIONS: usize = 24;
const EMBEDDINGS: usize = 500;

/// Two models of the same atoms with other numbers; one dimension lies far from zero, one is constant, one is zero.
fn with_numbers() -> Result<(Database, Client)> {
    let (db, mut client) = begin()?;
    let ids = sources(&mut client, EMBEDDINGS)?;
    for (seed, model) in [(1, "m"), (2, "other")] {
        register(&mut client, model, DIMENSIONS, "float32")?;
        let mut floats = random_floats(seed, EMBEDDINGS * DIMENSIONS);
        for vector in floats.chunks_exact_mut(DIMENSIONS) {
            vector[5] += 10_000.0;
            vector[6] = 0.7;
            vector[7] = 0.0;
        }
        insert(&mut client, model, &ids, &bytes_of(&floats))?;
    }
    Ok((db, client))
}

#[test]
fn dimension_search_equals_a_query_over_all_rows() -> Result<()> {
    let (_db, mut client) = with_numbers()?;
    let plain = "SELECT source_atom_id, dimension_value FROM atoms.atom_embedding WHERE model_id = atoms.embedding_model_id($1) \
                 AND dimension_index = $2 AND dimension_value BETWEEN $3::float8 - $4::float8 AND $3 + $4 \
                 ORDER BY abs(dimension_value - $3), source_atom_id LIMIT $5";
    let mut most = 0;
    for model in ["m", "other"] {
        for dimension in [0, 5, 6, 7, DIMENSIONS as i32 - 1] {
            for (number, tolerance) in
                [(0.0, 0.0), (0.25, 0.25), (-1.0, 0.05), (0.33, 2.0), (0.7, 1e-9), (10_000.0, 1.0), (1e300, 0.0)]
            {
                for max_rows in [None, Some(0i64), Some(7), Some(10_000)] {
                    let given: [&(dyn postgres::types::ToSql + Sync); 5] =
                        [&model, &dimension, &number, &tolerance, &max_rows];
                    let found = client.query("SELECT * FROM atoms.dimension_search($1, $2, $3, $4, $5)", &given)?;
                    let expected = client.query(plain, &given)?;
                    let rows =
                        |rows: &[Row]| -> Vec<(i64, f64)> { rows.iter().map(|row| (row.get(0), row.get(1))).collect() };
                    assert_eq!(rows(&found), rows(&expected), "{model} {dimension} {number} {tolerance} {max_rows:?}");
                    most = most.max(found.len());
                }
            }
        }
    }
    assert_eq!(most, EMBEDDINGS);
    Ok(())
}

#[test]
fn the_borders_of_a_search_belong_to_it() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 5)?;
    register(&mut client, "m", 1, "float32")?;
    insert(&mut client, "m", &ids, &bytes_of(&[0.0, 0.25, 0.5, 0.75, -0.25]))?;
    let search = "SELECT source_atom_id FROM atoms.dimension_search('m', 0, 0.25, 0.25)";
    let found: Vec<i64> = client.query(search, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, [ids[1], ids[0], ids[2]], "the nearest first, ties by atom");
    let default = "SELECT count(*) FROM atoms.dimension_search('m', 0, 0.3)";
    assert_eq!(value::<i64>(&mut client, default)?, 1, "0.05 to either side");
    for call in ["'m', 1, 0", "'m', -1, 0", "'m', 0, 'NaN'", "'m', 0, 0, -1", "'m', 0, 0, 'NaN'", "'m', 0, 0, 0, -1"] {
        refused(client.simple_query(&format!("SELECT * FROM atoms.dimension_search({call})")).map(drop), "22023");
    }
    Ok(())
}

#[track_caller]
fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-6), "{what}: {found}, not {expected}");
}

#[test]
fn dimension_stats_equal_plain_aggregates() -> Result<()> {
    let (_db, mut client) = with_numbers()?;
    let plain = "SELECT dimension_index, count(*), count(*) FILTER (WHERE dimension_value = 0), min(dimension_value), max(dimension_value), \
                        avg(dimension_value), stddev_pop(dimension_value), count(DISTINCT dimension_value) \
                 FROM atoms.atom_embedding WHERE model_id = atoms.embedding_model_id('m') GROUP BY 1 ORDER BY 1";
    let expected = client.query(plain, &[])?;
    let found = client.query("SELECT * FROM atoms.dimension_stats('m') ORDER BY 1", &[])?;
    assert_eq!((found.len(), expected.len()), (DIMENSIONS, DIMENSIONS));
    type Exact = (i32, i64, i64, f64, f64, i64);
    let exact = |row: &Row| -> Exact { (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(7)) };
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(exact(found), exact(expected));
        let dimension = exact(found).0;
        assert_near(found.get(5), expected.get(5), &format!("mean of {dimension}"));
        assert_near(found.get(6), expected.get(6), &format!("deviation of {dimension}"));
        let one = client.query("SELECT * FROM atoms.dimension_stats('m', $1)", &[&dimension])?;
        assert_eq!(one.iter().map(exact).collect::<Vec<_>>(), [exact(found)], "asked alone");
    }
    Ok(())
}

#[test]
fn dimension_importance_equals_plain_variances() -> Result<()> {
    let (_db, mut client) = with_numbers()?;
    let plain = "SELECT dimension_index, v, v / sum(v) OVER () FROM (SELECT dimension_index, var_pop(dimension_value) AS v \
                 FROM atoms.atom_embedding WHERE model_id = atoms.embedding_model_id('m') GROUP BY 1) s ORDER BY 1";
    let expected = client.query(plain, &[])?;
    let found = client.query("SELECT * FROM atoms.dimension_importance('m') ORDER BY 1", &[])?;
    assert_eq!((found.len(), expected.len()), (DIMENSIONS, DIMENSIONS));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.get::<_, i32>(0), expected.get::<_, i32>(0));
        assert_near(found.get(1), expected.get(1), "variance");
        assert_near(found.get(2), expected.get(2), "share");
    }
    let shares: f64 = found.iter().map(|row| row.get::<_, f64>(2)).sum();
    assert_near(shares, 1.0, "all shares");
    Ok(())
}

#[test]
fn what_has_no_numbers_has_no_figures() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    register(&mut client, "m", 3, "float32")?;
    for call in ["dimension_stats('m')", "dimension_importance('m')", "dimension_search('m', 0, 0)"] {
        assert_eq!(answer(&mut client, &format!("SELECT * FROM atoms.{call}"))?, Vec::<String>::new(), "{call}");
    }
    assert_eq!(
        value::<i64>(
            &mut client,
            "SELECT sum(bytes)::bigint FROM atoms.dimension_storage_report('m') WHERE layout <> 'packed'"
        )?,
        0
    );
    insert(&mut client, "m", &ids, &[0; 24])?;
    let nothing_varies = "SELECT dimension_index, variance, variance_share FROM atoms.dimension_importance('m')";
    assert_eq!(answer(&mut client, nothing_varies)?, ["0|0|NULL", "1|0|NULL", "2|0|NULL"]);
    Ok(())
}

#[test]
fn distinct_values_are_counted_only_where_asked_for() -> Result<()> {
    let (_db, mut client) = with_numbers()?;
    let plan = |client: &mut Client, columns: &str| -> Result<bool> {
        let plan = answer(client, &format!("EXPLAIN VERBOSE SELECT {columns} FROM atoms.dimension_stats('m')"))?;
        Ok(plan.iter().any(|line| line.to_lowercase().contains("count(distinct")))
    };
    assert!(plan(&mut client, "*")?);
    assert!(!plan(&mut client, "dimension_index, embeddings, zeros, min, max, mean, deviation")?);
    let importance = answer(&mut client, "EXPLAIN VERBOSE SELECT * FROM atoms.dimension_importance('m')")?;
    assert!(!importance.iter().any(|line| line.to_lowercase().contains("count(distinct")), "{importance:?}");
    Ok(())
}

/// Count, bytes and arithmetic of each line of the report.
type Report = BTreeMap<(String, String), (i64, i64, String)>;

fn report(client: &mut Client, model: &str) -> Result<Report> {
    let query =
        "SELECT layout, item, count, bytes, arithmetic, bytes_per_value FROM atoms.dimension_storage_report($1)";
    let rows = client.query(query, &[&model])?;
    let numbers: i64 = rows[0].get(2);
    for row in &rows {
        let (bytes, per_value): (i64, f64) = (row.get(3), row.get(5));
        assert_near(per_value, bytes as f64 / numbers as f64, &row.get::<_, String>(1));
    }
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3), row.get(4)))).collect())
}

/// Returns the whole numbers in a text.
fn numbers_in(text: &str) -> Vec<i64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[test]
fn the_storage_report_measures_and_its_arithmetic_adds_up() -> Result<()> {
    let (_db, mut client) = with_numbers()?;
    let report = report(&mut client, "m")?;
    let line = |layout: &str, item: &str| report[&(layout.to_owned(), item.to_owned())].clone();
    let numbers = (EMBEDDINGS * DIMENSIONS) as i64;
    let (count, bytes, arithmetic) = line("raw", "values");
    assert_eq!((count, bytes), (numbers, numbers * 4));
    assert_eq!(numbers_in(&arithmetic)[..3].iter().product::<i64>(), bytes, "{arithmetic}");
    let distinct = "SELECT count(DISTINCT dimension_value) FROM atoms.atom_embedding WHERE model_id = 1";
    let distinct: i64 = value(&mut client, distinct)?;
    assert_eq!(line("raw", "distinct values").0, distinct);
    for (item, rows) in [("atom rows", distinct), ("atom_embedding rows", numbers)] {
        let (count, bytes, arithmetic) = line("literal", item);
        let terms = numbers_in(&arithmetic);
        assert_eq!((count, bytes), (rows, rows * terms[1]), "{arithmetic}");
        assert_eq!(terms[2..].iter().sum::<i64>(), terms[1], "{arithmetic}");
    }
    assert_eq!(line("literal", "total").1, line("literal", "atom rows").1 + line("literal", "atom_embedding rows").1);
    let measured = [
        ("vectors", "SELECT sum(pg_column_size(value))::bigint FROM atoms.embedding_1"),
        ("table", "SELECT pg_table_size('atoms.embedding_1')"),
        ("indexes", "SELECT pg_indexes_size('atoms.embedding_1')"),
        ("total", "SELECT pg_total_relation_size('atoms.embedding_1')"),
    ];
    for (item, query) in measured {
        assert_eq!(line("packed", item).1, value::<i64>(&mut client, query)?, "{item}");
    }
    assert_eq!(line("packed", "total").1, line("packed", "table").1 + line("packed", "indexes").1);
    Ok(())
}

#[test]
fn values_of_float64_are_not_counted_as_atoms() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    register(&mut client, "wide", 3, "float64")?;
    client.query("SELECT atoms.insert_embeddings('wide', $1, '{1,2,3,4,5,6}'::real[])", &[&ids])?;
    let lines =
        "SELECT layout, item, count, bytes FROM atoms.dimension_storage_report('wide') WHERE layout <> 'packed'";
    let lines = answer(&mut client, lines)?;
    assert!(
        lines.contains(&"raw|values|6|48".to_owned()) && lines.contains(&"raw|distinct values|NULL|NULL".to_owned()),
        "{lines:?}"
    );
    Ok(())
}

/// Five rows of 384 float32 fill a page.
#[test]
fn a_random_float_takes_hardly_more_than_its_four_bytes() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 4000)?;
    register(&mut client, "m", 384, "float32")?;
    let mut noise = fixtures::noise::Noise::new(1, "embeddings");
    let floats: Vec<f32> = (0..4000 * 384).map(|_| noise.next_u64() as f32 / u64::MAX as f32 - 0.5).collect();
    insert(&mut client, "m", &ids, &bytes_of(&floats))?;
    client.batch_execute("VACUUM atoms.embedding_1")?;
    let table: i64 = value(&mut client, "SELECT pg_relation_size('atoms.embedding_1')")?;
    let key: i64 = value(&mut client, "SELECT pg_relation_size('atoms.embedding_1_pkey')")?;
    let per_value = |bytes: i64| bytes as f64 / floats.len() as f64;
    println!("{:.4} bytes of table per value, {:.4} of the key", per_value(table), per_value(key));
    assert_eq!(table, 8192 * 4000 / 5);
    assert!(per_value(table + key) <= 4.35, "{}", per_value(table + key));
    Ok(())
}

/// The moments of all dimensions do not travel with the row of each.
#[test]
fn figures_of_many_dimensions_are_narrow_rows() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 3)?;
    register(&mut client, "m", 4096, "float32")?;
    let floats = random_floats(7, 3 * 4096);
    insert(&mut client, "m", &ids, &bytes_of(&floats))?;
    client.batch_execute("SET temp_file_limit = '2MB'")?;
    let joined = "SELECT count(*) FROM (SELECT * FROM atoms.dimension_stats('m') a JOIN atoms.dimension_importance('m') b USING (dimension_index) \
        ORDER BY b.variance_share, a.mean) s";
    assert_eq!(value::<i64>(&mut client, joined)?, 4096);
    Ok(())
}

/// Functions that run as their caller find no count, sum or = of the caller's.
#[test]
fn figures_do_not_depend_on_the_search_path() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 3)?;
    register(&mut client, "m", 2, "float32")?;
    insert(&mut client, "m", &ids, &bytes_of(&[0.5, 1.0, 0.25, 1.0, 0.125, 1.0]))?;
    let figures = "SELECT s.dimension_index, s.distinct_values, i.variance_share FROM atoms.dimension_stats('m') s \
        JOIN atoms.dimension_importance('m') i ON i.dimension_index OPERATOR(pg_catalog.=) s.dimension_index ORDER BY 1";
    let before = answer(&mut client, figures)?;
    client.batch_execute(
        "CREATE SCHEMA trap; \
         CREATE FUNCTION trap.next(bigint, double precision) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint'; \
         CREATE AGGREGATE trap.count(double precision) (SFUNC = trap.next, STYPE = bigint); \
         CREATE FUNCTION trap.same(double precision, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; \
         CREATE OPERATOR trap.= (LEFTARG = double precision, RIGHTARG = integer, FUNCTION = trap.same); \
         SET search_path = public, atoms, trap",
    )?;
    assert_eq!(answer(&mut client, figures)?, before);
    Ok(())
}
