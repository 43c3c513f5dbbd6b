//! What vectors cost: memory that does not grow with the number of calls, and a second to a cancelled query's end.

use std::time::Duration;

use pg_test::{Cluster, Result};

use super::session;
use crate::cancel::{cancel_at, quiet_cluster};
use crate::memory::peak_of;
use crate::support::Database;
use crate::support::turn::Turn;

/// What a backend may take beyond one that does the same to integers.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

#[test]
fn calls_leave_nothing_behind() -> Result<()> {
    let _turn = Turn::alone();
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    // 20,000 vectors of 12,000 bytes, all in TOAST: 240 MB, if each call kept its copy.
    client.batch_execute(
        "CREATE TABLE few AS SELECT n, (SELECT array_agg(random()) FROM generate_series(1, 3000))::real[]::dimvec AS v FROM generate_series(1, 200) n; \
         CREATE TABLE small AS SELECT (SELECT array_agg(random()) FROM generate_series(1, 384))::real[]::dimvec AS v FROM generate_series(1, 1000); \
         CREATE TABLE many AS SELECT v FROM few, generate_series(1, 100)",
    )?;
    const SETTINGS: &str = "SET search_path = public, atoms; SET max_parallel_workers_per_gather = 0; SET work_mem = '4MB'; SET jit = off; ";
    let base = peak_of(
        &db,
        &format!(
            "{SETTINGS} SELECT count(*), sum(n) FROM (SELECT n FROM generate_series(1, 1000000) n ORDER BY n DESC) s"
        ),
    )?;
    for statement in [
        "SELECT count(*) FROM (SELECT v FROM many ORDER BY v OFFSET 0) s",
        "SELECT count(*) FROM many WHERE v > '[0.5]' AND v <> '[1]' AND v <= '[2]'",
        "SELECT count(dimvec_hash(v)), max(l2_norm(v)), max(vector_dims(v)) FROM many",
        "SELECT count(DISTINCT v) FROM many",
        "SELECT count(*) FROM many WHERE v <@ dim_range(7, 0.25, 0.75)",
        "SELECT max(a.v <-> b.v), max(a.v <=> b.v) FROM few a, few b WHERE a.n < 51",
        "SELECT max(a.v <-> b.v) FROM small a, small b",
        "SELECT max(vector_dims(a.v + b.v)) FROM small a, small b WHERE a.v < '[0.1]'",
        "SELECT max(octet_length(v::text)), max(octet_length(v::bytea)), max(cardinality(v::real[])) FROM few, generate_series(1, 5)",
        "SELECT avg(v), sum(v) FROM many",
        "SELECT count(*) FROM (SELECT n, v FROM few ORDER BY v <-> (SELECT v FROM few WHERE n = 1)) s",
    ] {
        let peak = peak_of(&db, &format!("{SETTINGS} {statement}"))?;
        println!("{peak} bytes, {base} without vectors: {statement}");
        assert!(peak > 0 && peak < base + GROWTH_BYTES_MAX, "{peak} bytes, {base} without vectors: {statement}");
    }
    Ok(())
}

#[test]
fn a_cancelled_query_ends_within_a_second() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE v AS SELECT (SELECT array_agg(random()) FROM generate_series(1, 3000))::real[]::atoms.dimvec AS v FROM generate_series(1, 2000); \
         CREATE TABLE huge AS SELECT ('{1:' || n || '.5}/65535')::dimvec(float64) + array_fill(0.1::float8, ARRAY[65535])::dimvec AS v FROM generate_series(1, 50) n",
    )?;
    for statement in [
        "SELECT max(a.v OPERATOR(atoms.<->) b.v) FROM v a, v b",
        "SELECT count(*) FROM v a JOIN v b ON a.v OPERATOR(atoms.<) b.v",
        "SELECT max(octet_length(a.v::text)) FROM huge a, generate_series(1, 1000)",
        "SELECT atoms.avg(a.v) FROM huge a, generate_series(1, 10000)",
        "SELECT atoms.count_distinct_values(a.v) FROM v a, generate_series(1, 1000)",
        "SELECT count(*) FROM huge a, generate_series(1, 1000), atoms.vector_dimensions(a.v)",
        "SELECT * FROM (SELECT a.v FROM v a, generate_series(1, 200)) s ORDER BY v USING OPERATOR(atoms.<) OFFSET 399999",
    ] {
        for moment in [40, 400] {
            cancel_at(&db, statement, Duration::from_millis(moment))?;
        }
    }
    Ok(())
}
