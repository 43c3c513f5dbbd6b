//! Tables of every kind, from empty to large enough for many cells.

use pg_test::Result;

use super::{add_rows, assert_sound, figure, make_table};
use crate::dimvec::{rows, session};
use crate::support::Database;

const TABLES: [&str; 3] = [
    "CREATE TABLE t (n int, v dimvec(8))",
    "CREATE UNLOGGED TABLE t (n int, v dimvec(8, float16))",
    "CREATE TEMPORARY TABLE t (n int, v dimvec(8, float64))",
];

#[test]
fn every_plan_finds_the_same_rows() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for class in ["dimvec_cosine_ops", "dimvec_l2_ops", "dimvec_ip_ops"] {
        for create in TABLES {
            make_table(&mut client, &format!("DROP TABLE IF EXISTS t; {create}"), 10_000)?;
            client.batch_execute(&format!("CREATE INDEX i ON t USING dimspace (v {class}); ANALYZE t"))?;
            assert_sound(&mut client, "i")?;
            let odd = if class == "dimvec_cosine_ops" { 207 } else { 103 };
            assert_eq!(figure(&mut client, "i", "odd_rows")?, odd, "{class} {create}");
            assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, 10_000, "{class} {create}");
        }
    }
    Ok(())
}

#[test]
fn tables_without_vectors_and_with_few() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for rows in [0, 1, 2, 3, 40] {
        make_table(&mut client, "DROP TABLE IF EXISTS t; CREATE TABLE t (n int, v dimvec)", rows)?;
        client.batch_execute("CREATE INDEX i ON t USING dimspace (v)")?;
        assert_sound(&mut client, "i")?;
        add_rows(&mut client, 1000, 1300)?;
        assert_sound(&mut client, "i")?;
    }
    for value in ["NULL", "array_fill(0::real, ARRAY[8])"] {
        client.batch_execute(&format!(
            "TRUNCATE t; DROP INDEX i; INSERT INTO t SELECT n, {value} FROM generate_series(1, 3000) n; CREATE INDEX i ON t USING dimspace (v)"
        ))?;
        assert_sound(&mut client, "i")?;
        add_rows(&mut client, 4000, 4100)?;
        assert_sound(&mut client, "i")?;
    }
    Ok(())
}

#[test]
fn null_and_several_ranges() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, TABLES[0], 2000)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v); SET enable_seqscan = off")?;
    assert_eq!(rows(&mut client, "SELECT count(*) FROM t WHERE v <@ NULL::dim_range"), ["0"]);
    let join = "SELECT count(*) FROM (VALUES (0, 0.1), (1, 0.2), (NULL, 0)) r (d, lo), \
        LATERAL (SELECT n FROM t WHERE v <@ dim_range(r.d, r.lo, 9) OFFSET 0) f";
    let by_index = rows(&mut client, join);
    client.batch_execute("SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off")?;
    assert_eq!(by_index, rows(&mut client, join));
    Ok(())
}

#[test]
fn the_last_scan_is_told() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert!(rows(&mut client, "SELECT * FROM dimspace_last_scan()").is_empty());
    make_table(&mut client, TABLES[0], 5000)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v); SET enable_seqscan = off")?;
    let found = rows(&mut client, "SELECT count(*) FROM t WHERE v <@ dim_range(3, 0.1, 0.2)").concat();
    let told = rows(&mut client, "SELECT index, cells, rows - rechecks <= $$FOUND$$ AND rows >= $$FOUND$$, repeated_cells FROM dimspace_last_scan()".replace("$$FOUND$$", &found).as_str());
    assert_eq!(told, ["i|10|t|0"]);
    Ok(())
}
