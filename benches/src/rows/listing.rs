//! Listing the tensors of a file that is not stored, beside the official Python packages; and the bytes that it reads.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fixtures::gguf::{Model, Value};
use fixtures::safetensors::{TensorSpec, file, header};
use postgres::Client;

use super::Report;
use crate::contest::median;
use crate::row::{Goal, Row};
use crate::support::{Bench, Failure, Result, folder, python};

/// Ours takes at most so much of the peer's time.
const AT_MOST: f64 = 0.5;
const SAFETENSORS_TENSORS: u64 = 10_000;
const GGUF_BYTES: u64 = 2 << 30;
const VOCABULARY: u64 = 280_000;
const GGUF_TENSORS: u64 = 256;

/// Row, peer, and the writer of the file: its name, the number of its tensors and the bytes of its header.
type Case = (&'static str, &'static str, fn(&Path) -> Result<(PathBuf, u64, u64)>);

const CASES: [Case; 2] = [
    ("listing/safetensors-of-10000-tensors", "safetensors (Python)", write_safetensors),
    ("listing/gguf-with-280000-words", "gguf (Python)", write_gguf),
];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let cases = CASES.iter().filter(|(name, ..)| bench.args.wants(name));
    cases.map(|case| measure_case(bench, case)).collect::<Result<Vec<_>>>().map(Report::of_rows)
}

fn measure_case(bench: &Bench, (name, peer, write): &Case) -> Result<Row> {
    bench.say(name);
    let dir = bench.folder().join("listing");
    folder::make_empty(&dir)?;
    let (file, tensors, header_bytes) = write(&dir)?;
    let database = bench.new_database()?;
    let mut client = database.client()?;
    // The first call loads the library.
    list(&mut client, &file)?;
    let read_before = bytes_read(&mut client)?;
    list(&mut client, &file)?;
    let read = bytes_read(&mut client)? - read_before;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.args.rounds {
        let began = Instant::now();
        let listed = list(&mut client, &file)?;
        ours.push(began.elapsed().as_secs_f64() * 1e3);
        let timed = python::time(&bench.args, "list_tensors.py", &[&file])?;
        theirs.push(timed.seconds * 1e3);
        if (listed, timed.count) != (tensors, tensors) {
            return Err(Failure::new(format!("{tensors} tensors were written, {listed} and {} listed", timed.count)));
        }
    }
    folder::remove(&dir)?;
    let row = Row::new(*name, median(ours.iter().copied()), "ms").against(*peer, median(theirs.iter().copied()));
    Ok(row.goal(Some(Goal::AtMost(AT_MOST))).detail("bytes_read", read).detail("header_bytes", header_bytes))
}

fn list(client: &mut Client, file: &Path) -> Result<u64> {
    let count = "SELECT count(*) FROM atoms.extract_server_file_tensors($1)";
    let row = client.query_one(count, &[&file.to_str().expect("the bench chose the path")])?;
    Ok(u64::try_from(row.get::<_, i64>(0)).expect("a count"))
}

/// Bytes that the backend has read from files so far, of whatever kind.
fn bytes_read(client: &mut Client) -> Result<u64> {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let path = PathBuf::from(format!("/proc/{pid}/io"));
    let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.and_then(|number| number.parse().ok()).ok_or_else(|| Failure::new("/proc has no rchar"))
}

/// Writes a header, and data that is all holes.
fn write_sparse(path: PathBuf, header: &[u8], data_bytes: u64) -> Result<(PathBuf, u64)> {
    let header_bytes = header.len() as u64;
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(header)?;
        file.set_len(header_bytes + data_bytes)
    });
    written.map_err(|error| Failure::io("write", &path, &error))?;
    Ok((path, header_bytes))
}

fn write_safetensors(dir: &Path) -> Result<(PathBuf, u64, u64)> {
    let name = |number| format!("model.layers.{}.mlp.experts.{}.down_proj.weight", number / 64, number % 64);
    let specs: Vec<_> =
        (0..SAFETENSORS_TENSORS).map(|number| TensorSpec::new(1, &name(number), "BF16", &[64, 32])).collect();
    let header = file(header(&specs, &[("format", "pt")]), b"");
    let (path, header_bytes) = write_sparse(dir.join("model.safetensors"), &header, SAFETENSORS_TENSORS * 4096)?;
    Ok((path, SAFETENSORS_TENSORS, header_bytes))
}

fn write_gguf(dir: &Path) -> Result<(PathBuf, u64, u64)> {
    let words = (0..VOCABULARY).map(|number| format!("word{number:x}"));
    let scores = (0..VOCABULARY).map(|number| Value::F32(-(number as f32))).collect();
    let types = (0..VOCABULARY).map(|_| Value::I32(1)).collect();
    let model = Model::new()
        .with("general.architecture", Value::text("llama"))
        .with("tokenizer.ggml.tokens", Value::texts(words))
        .with("tokenizer.ggml.scores", Value::Array(fixtures::gguf::types::F32, scores))
        .with("tokenizer.ggml.token_type", Value::Array(fixtures::gguf::types::I32, types));
    let each = GGUF_BYTES / GGUF_TENSORS;
    let model = (0..GGUF_TENSORS).fold(model, |model, number| {
        model.tensor(&format!("blk.{number}.ffn_up.weight"), "F16", &[each / 2 / 4096, 4096])
    });
    let (path, header_bytes) = write_sparse(dir.join("model.gguf"), &model.header(), GGUF_BYTES)?;
    Ok((path, GGUF_TENSORS, header_bytes))
}
