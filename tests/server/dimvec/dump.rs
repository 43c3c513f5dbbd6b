//! Dump and restore of users' tables with vectors.

use pg_test::Result;
use postgres::Client;

use super::{make_vectors, rows, session, session_beside_pgvector};
use crate::support::Database;

/// Dumps a database into a new one and returns a session there.
fn restored(db: &Database) -> Result<Client> {
    let copy = format!("{}_restored", db.name());
    let scratch = tempfile::tempdir().expect("/tmp is writable");
    let file = scratch.path().join("dump");
    db.cluster().create_database(&copy)?;
    db.cluster().pg_dump(db.name(), &file)?;
    db.cluster().pg_restore(&copy, &file)?;
    let mut client = db.cluster().connect(&copy)?;
    client.batch_execute("SET search_path = public, atoms")?;
    Ok(client)
}

/// Asserts that both databases answer alike.
#[track_caller]
fn assert_alike(here: &mut Client, there: &mut Client, queries: &[&str]) {
    for query in queries {
        let expected = rows(here, query);
        assert!(!expected.is_empty() && !expected[0].starts_with('('), "{query}: {expected:?}");
        assert_eq!(rows(there, query), expected, "{query}");
    }
}

fn drop_copy(db: &Database, there: Client) -> Result<()> {
    drop(there);
    Ok(db.client()?.batch_execute(&format!("DROP DATABASE {}_restored WITH (FORCE)", db.name()))?)
}

/// The columns, indexes, constraints and generated expressions of all tables of users.
const DEFINITIONS: [&str; 3] = [
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a \
        JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND c.relname NOT LIKE 'pg_%' ORDER BY 1, 2",
    "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relnamespace = 'public'::regnamespace ORDER BY 2",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1",
];

#[test]
fn tables_indexes_generated_columns_and_views_come_back() -> Result<()> {
    let db = Database::shared()?;
    let mut here = session(&db)?;
    make_vectors(&mut here)?;
    here.batch_execute(
        "CREATE TABLE item (n int PRIMARY KEY, h dimvec(3, float16) NOT NULL DEFAULT '[0,0,1]', v dimvec(3), i dimvec(int8), point dim_point, \
             far float8 GENERATED ALWAYS AS (v <-> '[1,2,3]'::dimvec(3)) STORED, CHECK (v <> '[9,9,9]')); \
         INSERT INTO item SELECT n, ARRAY[n, 0.1, 1]::dimvec, ARRAY[n, n / 3.0, 1]::dimvec, ARRAY[n % 100]::dimvec, dim_point(n, 1, 2) FROM generate_series(1, 500) n; \
         CREATE INDEX item_far ON item (far); CREATE INDEX item_v ON item (v DESC NULLS LAST); CREATE INDEX item_i ON item USING hash (i); \
         CREATE UNIQUE INDEX item_h ON item (h) WHERE n > 0; CREATE INDEX item_dims ON item (vector_dims(v)); \
         CREATE TABLE part (v dimvec, n int) PARTITION BY HASH (v); \
         CREATE TABLE part0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         INSERT INTO part SELECT v, n FROM item; \
         CREATE MATERIALIZED VIEW near AS SELECT n, v, v <=> '[1,1,1]' AS d, avg(i) OVER () AS a FROM item ORDER BY 3 LIMIT 20; \
         CREATE VIEW total AS SELECT sum(v) AS s, avg(h) AS a, count(DISTINCT i) FROM item WHERE v > '[2]'; \
         CREATE DOMAIN three AS dimvec(3) CHECK (l1_norm(VALUE) < 10); CREATE TABLE d (v three, a dimvec(2)[]); INSERT INTO d VALUES ('[1,2,3]', '{\"[1,2]\"}')",
    )?;
    let mut there = restored(&db)?;
    assert_alike(&mut here, &mut there, &DEFINITIONS);
    assert_alike(
        &mut here,
        &mut there,
        &[
            "SELECT n, element_type(v), stored_form(v), serialize_vector(v) FROM t ORDER BY n",
            "SELECT * FROM item ORDER BY n",
            "SELECT *, tableoid::regclass FROM part ORDER BY n",
            "SELECT * FROM near ORDER BY n",
            "SELECT * FROM total",
            "SELECT * FROM d",
            "SELECT n FROM item WHERE i = '[77]' ORDER BY n",
            "SELECT n FROM item WHERE v = (SELECT v FROM item WHERE n = 3)",
        ],
    );
    drop_copy(&db, there)
}

#[test]
fn all_three_extensions_come_back_with_tables_and_views_of_both_types() -> Result<()> {
    let db = Database::shared()?;
    let mut here = session_beside_pgvector(&db)?;
    here.batch_execute(
        "CREATE TABLE item (n int, v vector(3), h halfvec(3), s sparsevec(3), d dimvec(3), e dimvec(3, float16)); \
         INSERT INTO item SELECT n, x, x::halfvec, x::sparsevec, x, x FROM (SELECT n, ARRAY[n, n / 8.0, 0]::vector AS x FROM generate_series(1, 300) n) g; \
         CREATE INDEX ON item USING hnsw (v vector_l2_ops); CREATE INDEX ON item (d); CREATE INDEX ON item USING hash ((v::dimvec)); \
         CREATE VIEW cast_both AS SELECT n, v::dimvec AS v, h::dimvec(3) AS h, s::dimvec AS s, d::vector AS d, e::halfvec AS e, d::sparsevec AS z, v <-> d AS far FROM item",
    )?;
    let mut there = restored(&db)?;
    assert_alike(&mut here, &mut there, &DEFINITIONS[..2]);
    assert_alike(
        &mut here,
        &mut there,
        &[
            "SELECT * FROM item ORDER BY n",
            "SELECT * FROM cast_both ORDER BY n",
            "SELECT pg_get_viewdef('cast_both')",
            "SELECT extname, extversion, extnamespace::regnamespace FROM pg_extension ORDER BY 1",
            "SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast WHERE 'dimvec'::regtype IN (castsource, casttarget) ORDER BY 1, 2",
            "SELECT oid::regprocedure::text, (SELECT count(*) FROM aclexplode(proacl)) FROM pg_proc WHERE pronamespace = 'atoms'::regnamespace ORDER BY 1",
        ],
    );
    drop_copy(&db, there)
}
