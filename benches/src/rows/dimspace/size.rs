//! What an index takes on disk for a value, everything included.

use super::connect_filled;
use crate::row::{Goal, Row};
use crate::support::vectors::Vectors;
use crate::support::{Bench, Result};

/// The rows.
pub const NAMES: [&str; 2] = ["dimspace/bytes-two-planes", "dimspace/bytes-one-plane"];

/// Planes of each row, and bytes of a value, at most.
const PLANES: [(u32, f64); 2] = [(2, 2.2), (1, 1.1)];

/// What a float32 takes.
const FLOAT_BYTES: f64 = 4.0;

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench, base: &Vectors) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    let mut backend = connect_filled(&database, base)?;
    let mut rows = Vec::new();
    for (name, (planes, at_most)) in NAMES.into_iter().zip(PLANES).filter(|(name, _)| bench.args.wants(name)) {
        bench.say(name);
        let create = format!("CREATE INDEX sized ON ours USING dimspace (v) WITH (planes = {planes})");
        backend.client().batch_execute(&create)?;
        // Of an index it counts every fork.
        let bytes: i64 = backend.client().query_one("SELECT pg_total_relation_size('sized')", &[])?.get(0);
        backend.client().batch_execute("DROP INDEX sized")?;
        let row = Row::new(name, bytes as f64 / base.floats() as f64, "bytes per float");
        let row = row.against("raw float32", FLOAT_BYTES).goal(Some(Goal::AtMost(at_most / FLOAT_BYTES)));
        rows.push(row.detail("embeddings", base.count()));
    }
    Ok(rows)
}
