//! Decoding stored tensors in SQL, slice by slice, beside the Python package gguf on one core.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use fixtures::gguf::Model;
use fixtures::noise::Noise;
use postgres::Client;

use super::Report;
use crate::contest::median;
use crate::row::{Goal, Row};
use crate::support::atoms::Strategy;
use crate::support::{Bench, Database, Failure, Result, folder, python};

/// Values of a slice, and slices of a tensor: 100 million values in all.
const SLICE: i64 = 1 << 20;
const SLICES: i64 = 96;
/// A row of the tensor: a slice is whole rows.
const ROW: u64 = 1 << 16;
/// 0.01 as float16, the scale of every block: noise would make most values infinite.
const SCALE: [u8; 2] = [0x1F, 0x21];

/// Row, dtype, bytes of a block, and how many of its first pairs of bytes are scales.
const CASES: [(&str, &str, usize, usize); 3] =
    [("values/q4-k", "Q4_K", 144, 2), ("values/q8-0", "Q8_0", 34, 1), ("values/bf16", "BF16", 2, 0)];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let cases: Vec<_> = CASES.iter().filter(|(name, ..)| bench.args.wants(name)).collect();
    if cases.is_empty() {
        return Ok(Report::default());
    }
    let dir = bench.folder().join("values");
    folder::make_empty(&dir)?;
    let file = dir.join("model.gguf");
    write(&file).map_err(|error| Failure::io("write", &file, &error))?;
    let database = bench.new_database()?;
    let mut client = database.client()?;
    Database::import_on_server(&mut client, "model", &file, Strategy::Tensor)?;
    let rows = cases.into_iter().map(|(name, dtype, ..)| measure_case(bench, &mut client, &file, name, dtype));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    folder::remove(&dir)?;
    Ok(Report::of_rows(rows))
}

fn measure_case(bench: &Bench, client: &mut Client, file: &Path, name: &str, dtype: &str) -> Result<Row> {
    bench.say(name);
    let values = (SLICE * SLICES) as u64;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.args.rounds {
        let began = Instant::now();
        let decoded = decode(client, dtype)?;
        ours.push(values as f64 / began.elapsed().as_secs_f64() / 1e6);
        let rows_per_slice = (SLICE as u64 / ROW).to_string();
        let timed = python::time(&bench.args, "dequantize.py", &[&file, &dtype, &rows_per_slice])?;
        theirs.push(values as f64 / timed.seconds / 1e6);
        if (decoded, timed.count) != (values, values) {
            return Err(Failure::new(format!("{decoded} and {} values of {values} were decoded", timed.count)));
        }
    }
    let row = Row::new(name, median(ours.iter().copied()), "million values/s");
    Ok(row.against("gguf (Python)", median(theirs.iter().copied())).goal(Some(Goal::AtLeast(1.0))))
}

fn decode(client: &mut Client, tensor: &str) -> Result<u64> {
    let query = "SELECT sum(cardinality(atoms.tensor_values('model', $1, slice * $2, $2)))::bigint \
        FROM generate_series(0, $3::bigint - 1) slice";
    let row = client.query_one(query, &[&tensor, &SLICE, &SLICES])?;
    Ok(u64::try_from(row.get::<_, i64>(0)).expect("a count"))
}

/// Writes a tensor of each type, named after it.
fn write(path: &Path) -> std::io::Result<()> {
    let rows = (SLICE * SLICES) as u64 / ROW;
    let model = CASES.iter().fold(Model::new(), |model, (_, dtype, ..)| model.tensor(dtype, dtype, &[rows, ROW]));
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&model.header())?;
    for ((_, dtype, block_bytes, scales), span) in CASES.iter().zip(model.spans()) {
        let mut noise = Noise::new(1, dtype);
        let mut block = vec![0; *block_bytes];
        for _ in 0..(span.end - span.start) / *block_bytes as u64 {
            noise.fill(&mut block);
            block.chunks_exact_mut(2).take(*scales).for_each(|scale| scale.copy_from_slice(&SCALE));
            out.write_all(&block)?;
        }
    }
    out.flush()
}
