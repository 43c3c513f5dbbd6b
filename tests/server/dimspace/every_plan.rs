//! Tables of vectors that are made here, and what each plan of a range finds in them.

use std::io::Write;

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use crate::dimvec::rows;
use crate::support::oracle::value;

/// The kinds of scans, each with what EXPLAIN calls it.
const SCANS: [(&str, &str); 3] =
    [("seqscan", "Seq Scan on"), ("indexscan", "Index Scan using"), ("bitmapscan", "Bitmap Index Scan on")];

/// Lets the planner use one kind of scan only.
pub fn allow(client: &mut Client, scan: &str) -> Result<()> {
    let switches = SCANS.map(|(kind, _)| format!("SET enable_{kind} = {}", kind == scan));
    Ok(client.batch_execute(&switches.join("; "))?)
}

/// Lets the planner use any scan again.
pub fn allow_all(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute("RESET enable_seqscan; RESET enable_indexscan; RESET enable_bitmapscan")?)
}

/// Returns the rows of `t` that a condition holds for: how many, and a hash of their numbers.
pub fn found(client: &mut Client, condition: &str) -> Result<String> {
    let query = format!(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(n::text, ',' ORDER BY n)), '') FROM t WHERE {condition}"
    );
    value(client, &query)
}

/// Asserts that both scans of the one index of `t` find what a sequential scan finds.  In a transaction with one snapshot it
/// may be called while others write.
#[track_caller]
pub fn assert_every_plan_agrees(client: &mut Client, conditions: &[String]) -> Result<()> {
    let mut expected = Vec::new();
    for (scan, node) in SCANS {
        allow(client, scan)?;
        let plan = rows(client, &format!("EXPLAIN SELECT n FROM t WHERE {}", conditions[0])).concat();
        assert!(plan.contains(node), "{plan}");
        for (place, condition) in conditions.iter().enumerate() {
            let answer = found(client, condition)?;
            match expected.get(place) {
                None => expected.push(answer),
                Some(expected) => assert_eq!(&answer, expected, "{scan} of {condition}"),
            }
        }
    }
    allow_all(client)
}

/// Returns the condition that a dimension of `v` lies in a range.
pub fn in_range(dimension: usize, lo: f64, hi: f64) -> String {
    format!("v <@ dim_range({dimension}, '{lo:e}', '{hi:e}')")
}

/// Returns a number from 0 to 1.
pub fn uniform(noise: &mut Noise) -> f64 {
    (noise.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns a number of the normal distribution.
fn normal(noise: &mut Noise) -> f64 {
    let (radius, angle) = (1.0 - uniform(noise), uniform(noise));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Returns vectors that lie around some centres, as embeddings do.
pub fn mixture(seed: u64, count: usize, dimensions: usize, centres: usize) -> Vec<Vec<f64>> {
    let mut noise = Noise::new(seed, "mixture");
    let mut around = |centre: &[f64], spread: f64| centre.iter().map(|x| x + spread * normal(&mut noise)).collect();
    let centres: Vec<Vec<f64>> = (0..centres).map(|_| around(&vec![0.0; dimensions], 1.0)).collect();
    (0..count).map(|row| around(&centres[row % centres.len()], 0.4)).collect()
}

/// Returns ranges of the first dimensions of a mixture: from few rows to most, and two at once.
pub fn ranges_of_mixture(dimensions: usize) -> Vec<String> {
    let mut conditions = Vec::new();
    for dimension in (0..dimensions).take(4) {
        let ranges = [(0.5, 0.51), (-0.2, 0.3), (f64::NEG_INFINITY, 1.0), (2.2, f64::INFINITY)];
        conditions.extend(ranges.map(|(lo, hi)| in_range(dimension, lo, hi)));
    }
    conditions.push(format!("{} AND {}", in_range(0, -0.5, 0.5), in_range(dimensions - 1, 0.0, 2.0)));
    conditions
}

/// Copies vectors into `t`, numbered from `first`; None is NULL.
pub fn copy_in<'a>(client: &mut Client, first: usize, vectors: impl Iterator<Item = Option<&'a [f64]>>) -> Result<()> {
    let mut lines = String::new();
    for (n, vector) in (first..).zip(vectors) {
        let text = vector.map_or_else(
            || "\\N".to_owned(),
            |values| {
                let values: Vec<String> = values.iter().map(|value| format!("{value:e}")).collect();
                format!("[{}]", values.join(","))
            },
        );
        lines.push_str(&format!("{n}\t{text}\n"));
    }
    let mut writer = client.copy_in("COPY t (n, v) FROM STDIN")?;
    writer.write_all(lines.as_bytes()).expect("the server takes what it asked for");
    writer.finish()?;
    Ok(())
}

/// Copies all of some vectors.
pub fn copy_all(client: &mut Client, first: usize, vectors: &[Vec<f64>]) -> Result<()> {
    copy_in(client, first, vectors.iter().map(|vector| Some(vector.as_slice())))
}

/// Makes `t` of a mixture of 12 dimensions, and its index `i` with a small tail.
pub fn make_mixture(client: &mut Client, seed: u64, count: usize) -> Result<()> {
    client.batch_execute("CREATE TABLE t (n int, v dimvec) WITH (autovacuum_enabled = off)")?;
    copy_all(client, 1, &mixture(seed, count, 12, 20))?;
    Ok(client.batch_execute("CREATE INDEX i ON t USING dimspace (v) WITH (fold_rows = 16)")?)
}

/// A statement that adds so many rows near those there are, numbered from `first`: copies in which one value is another.
pub fn add_near(first: usize, count: usize) -> String {
    format!(
        "INSERT INTO t SELECT {first} + row_number() OVER () - 1, with_dimension(v, (random() * 11)::int, random() * 2 - 1) \
         FROM (SELECT v FROM t WHERE v IS NOT NULL LIMIT {count} OFFSET (random() * 500)::int) s"
    )
}
