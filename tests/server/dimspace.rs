//! The access method `dimspace` as users of a server see it: `crates/dimspace` proves the algorithms, here they run over
//! PostgreSQL's buffers and log.

mod broken;
mod cancel;
mod crash;
mod damage;
mod definition;
mod elsewhere;
mod equality;
mod every_plan;
mod life;
mod pgvector;
mod planner;
mod restart;
mod standby;
mod tables;
mod workers;
mod writers;

use pg_test::Result;
use postgres::Client;

use crate::content_hash::by_plan;
use crate::support::oracle::value;

/// Ranges of the vectors of [`make_table`]: few rows, some, most, all, none, two at once, a dimension that there is not.
const RANGES: [&str; 8] = [
    "v <@ dim_range(3, 0.1, 0.11)",
    "v <@ dim_range(0, -0.25, 0.125)",
    "v <@ dim_range(7, -0.4, 'Infinity')",
    "v <@ dim_range(5, '-Infinity', 'Infinity')",
    "v <@ dim_range(2, 0.75, 3)",
    "v <@ dim_range(1, 0, 0.2) AND v <@ dim_range(6, -0.1, 0.4)",
    "v <@ dim_range(4, 0, 0)",
    "v <@ dim_range(8, -1, 1)",
];

/// Makes a table of `rows` vectors of 8 values from -0.5 to 0.5, and some NULLs and zero vectors.
fn make_table(client: &mut Client, create: &str, rows: i32) -> Result<()> {
    client.batch_execute(&format!("SELECT setseed(0.25); {create}"))?;
    add_rows(client, 1, rows)
}

/// Adds rows of consecutive numbers.
fn add_rows(client: &mut Client, first: i32, last: i32) -> Result<()> {
    Ok(client.batch_execute(&format!(
        "INSERT INTO t SELECT n, CASE n % 97 WHEN 0 THEN NULL WHEN 1 THEN array_fill(0::real, ARRAY[8]) \
             ELSE (SELECT array_agg((random() - 0.5)::real) FROM generate_series(n, n + 7)) END FROM generate_series({first}, {last}) n"
    ))?)
}

/// Asserts that every plan finds the same rows of the table `t`, by its index of that name, and that the index is sound.
#[track_caller]
fn assert_sound(client: &mut Client, index: &str) -> Result<()> {
    for range in RANGES {
        // Different rows have different sums, but for chance.
        let query = format!("SELECT coalesce(sum(hashint8(n)::bigint * 3 + 1), 0)::bigint FROM t WHERE {range}");
        let expected = by_plan(client, "seqscan", "Seq Scan on t", &query)?;
        assert_eq!(by_plan(client, "indexscan", &format!("Index Scan using {index} on"), &query)?, expected, "{range}");
        assert_eq!(
            by_plan(client, "bitmapscan", &format!("Bitmap Index Scan on {index}"), &query)?,
            expected,
            "{range}"
        );
    }
    client.batch_execute("RESET ALL; SET search_path = public, atoms")?;
    assert_eq!(problems(client, index)?, Vec::<String>::new());
    Ok(())
}

/// Returns what is wrong with an index.
fn problems(client: &mut Client, index: &str) -> Result<Vec<String>> {
    let rows = client.query(&format!("SELECT dimspace_check('{index}', true)"), &[])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Returns a figure of an index.
fn figure(client: &mut Client, index: &str, name: &str) -> Result<i64> {
    value(client, &format!("SELECT {name}::bigint FROM dimspace_stats('{index}')"))
}
