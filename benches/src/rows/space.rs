//! What incompressible tensors take on disk, indexes included, beside their bytes.

use fixtures::safetensors::TensorSpec;

use super::Report;
use crate::row::{Goal, Row};
use crate::support::atoms::Strategy;
use crate::support::{Bench, Database, Result, folder, model};

/// A model and how it is cut.
struct Case {
    name: &'static str,
    tensors: fn(u64, u64) -> Vec<TensorSpec>,
    strategy: Strategy,
    at_most: f64,
}

const CASES: [Case; 2] = [
    Case { name: "space/tensors-of-1mib-and-larger", tensors: model::large, strategy: Strategy::Tensor, at_most: 1.02 },
    Case { name: "space/chunks-of-64kib-of-a-mix", tensors: model::mixed, strategy: Strategy::Chunk, at_most: 1.03 },
];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let cases = CASES.iter().filter(|case| bench.args.wants(case.name));
    cases.map(|case| measure_case(bench, case)).collect::<Result<Vec<_>>>().map(Report::of_rows)
}

fn measure_case(bench: &Bench, case: &Case) -> Result<Row> {
    bench.say(case.name);
    let dir = bench.folder().join("space");
    folder::make_empty(&dir)?;
    let file = dir.join("model.safetensors");
    let payload = model::write(&file, &(case.tensors)(1, bench.args.bytes))?;
    let database = bench.new_database()?;
    let empty = database.physical_bytes()?;
    let mut client = database.client()?;
    Database::import_on_server(&mut client, "model", &file, case.strategy)?;
    client.batch_execute("VACUUM")?;
    let disk = database.physical_bytes()? - empty;
    let atoms: i64 = client.query_one("SELECT count(*) FROM atoms.atom", &[])?.get(0);
    folder::remove(&dir)?;
    let row = Row::new(case.name, disk as f64, "bytes on disk").against("bytes of the file", payload as f64);
    Ok(row.goal(Some(Goal::AtMost(case.at_most))).detail("hashes", atoms).detail("empty_store_bytes", empty))
}
