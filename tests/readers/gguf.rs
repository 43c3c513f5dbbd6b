//! Metadata and tensors of GGUF files agree with the official Python package, for real files, files that the package wrote, and
//! our own.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use atom::{ContentHash, Never};
use fixtures::gguf::valid;
use formats::{ByteOrder, Bytes, FileSource, Limits, ReadAt, Structure, Value};
use serde_json::{Value as Json, json};

use crate::python;

/// Valid files that the package refuses: version 1, alignments that it does not know, and a type that is younger than it.
const REFUSED: [&str; 5] =
    ["alignment_24", "every_value_of_version_1", "version_1", "version_1_big_endian", "youngest_dtype"];

/// Returns what the package says of files, two processes at a time: it takes a second per megabyte of vocabulary.
fn read_by_python(paths: &[PathBuf]) -> Vec<Json> {
    let lines = |paths: &[PathBuf]| -> Vec<Json> {
        let output = python::run("read_gguf.py", paths);
        let text = String::from_utf8(output).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a document per line")).collect()
    };
    let (front, back) = paths.split_at(paths.len() / 2);
    let read = std::thread::scope(|scope| {
        let front = scope.spawn(|| lines(front));
        let back = lines(back);
        [front.join().expect("the script runs"), back].concat()
    });
    assert_eq!(read.len(), paths.len());
    read
}

/// Returns the same document from our reader.
fn read_by_us(path: &Path) -> Json {
    let source = FileSource::new(File::open(path).expect("it is there")).expect("it has a size");
    let structure = formats::gguf::read(&source, &Limits::default(), &Never)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let order = if structure.byte_order == ByteOrder::Big { "big" } else { "little" };
    let metadata: Vec<_> = structure.metadata.iter().map(|(key, value)| describe_value(&source, key, value)).collect();
    let tensors = describe_tensors(&source, &structure);
    json!({ "path": path, "byte_order": order, "metadata": metadata, "tensors": tensors })
}

fn describe_value(source: &dyn ReadAt, key: &str, value: &Value) -> Json {
    let described = match value {
        Value::U8(value) => json!(value),
        Value::I8(value) => json!(value),
        Value::U16(value) => json!(value),
        Value::I16(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::F32(value) => json!(value.to_bits()),
        Value::F64(value) => json!(value.to_bits()),
        Value::Bool(value) => json!(value),
        Value::Text(text) => json!(hex(text.as_bytes())),
        Value::Bytes(bytes) => json!(hex(bytes)),
        Value::Array(array) => {
            let hash = hash_of(source, array.offset, array.length);
            json!({ "element": array.element.name(), "count": array.count, "sha256": hash })
        }
    };
    json!({ "key": key, "type": value.element_type().name(), "value": described })
}

/// Describes tensors in the order of their names: the package keeps that of the header, we that of the data.
fn describe_tensors(source: &dyn ReadAt, structure: &Structure) -> Vec<Json> {
    let tensors = structure.tensors.iter().map(|tensor| {
        json!({
            "name": tensor.name,
            "dtype": tensor.dtype.name(),
            "shape": tensor.shape,
            "offset": tensor.offset,
            "size_bytes": tensor.length,
            "sha256": hash_of(source, tensor.offset, tensor.length),
        })
    });
    sorted(tensors.collect())
}

fn sorted(mut tensors: Vec<Json>) -> Vec<Json> {
    tensors.sort_by_key(|tensor| tensor["name"].as_str().map(str::to_owned));
    tensors
}

fn hash_of(source: &dyn ReadAt, offset: u64, length: u64) -> String {
    let mut bytes = vec![0; length as usize];
    source.read_exact_at(offset, &mut bytes).expect("it was proved to be there");
    ContentHash::of(&bytes).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asserts that both readers say the same of each file; the package may refuse none.
fn assert_agree(paths: &[PathBuf]) {
    for (path, mut official) in paths.iter().zip(read_by_python(paths)) {
        assert!(official["tensors"].is_array(), "refused: {official}");
        let mut ours = read_by_us(path);
        ours["tensors"] = Json::Array(without_q8_1(&ours));
        official["tensors"] = Json::Array(sorted(without_q8_1(&official)));
        for part in ["byte_order", "metadata", "tensors"] {
            assert_eq!(ours[part], official[part], "{} of {}", part, path.display());
        }
    }
}

/// Leaves out tensors of Q8_1: the package still gives its blocks 40 bytes, from when their two scales were F32; ggml has 36.
fn without_q8_1(document: &Json) -> Vec<Json> {
    let tensors = document["tensors"].as_array().expect("a list");
    tensors.iter().filter(|tensor| tensor["dtype"] != "Q8_1").cloned().collect()
}

/// Returns the files of that ending below a folder, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.extend(path.extension().is_some_and(|ending| ending == "gguf").then_some(path)),
        }
    }
    found.sort();
    found
}

#[test]
fn real_files_agree() {
    let root = env::var_os("PG_ATOMS_MODELS").expect("PG_ATOMS_MODELS is the folder of real models; make test sets it");
    let files = files_below(&Path::new(&root).join("gguf"));
    assert_eq!(files.len(), 16, "pins.json has changed: so must this number");
    assert_agree(&files);
}

#[test]
fn files_of_the_official_writer_agree() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    python::run("write_gguf.py", &[dir.path()]);
    let files = files_below(dir.path());
    assert_eq!(files.len(), 15);
    assert_agree(&files);
    for path in files {
        let bytes = fs::read(&path).expect("it was written");
        let structure = formats::gguf::read(&Bytes(&bytes), &Limits::default(), &Never).expect("it was read");
        let rules: Vec<_> = structure.findings.iter().map(|finding| finding.rule).collect();
        assert!(rules.iter().all(|rule| expected_finding(&path, rule)), "{}: {rules:?}", path.display());
    }
}

/// Tells whether a file of the official writer has that oddity.
fn expected_finding(path: &Path, rule: &str) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
    match rule {
        "byte_order_big" => name.ends_with("big_endian"),
        "tensors_none" => name.starts_with("values"),
        // The keys stand in the first part of a split model.
        "architecture_missing" | "quantization_version_missing" => name == "split-00002-of-00002",
        _ => false,
    }
}

#[test]
fn odd_but_valid_files_agree() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let paths: Vec<PathBuf> = valid()
        .into_iter()
        .map(|file| {
            let path = dir.path().join(file.name);
            fs::write(&path, &file.bytes).expect("writable");
            path
        })
        .collect();
    let read = read_by_python(&paths);
    let mut refused: Vec<_> = paths
        .iter()
        .zip(&read)
        .filter(|(_, official)| official.get("error").is_some())
        .map(|(path, _)| path.file_name().and_then(|name| name.to_str()).expect("a name"))
        .collect();
    refused.sort_unstable();
    assert_eq!(refused, REFUSED);
    let accepted: Vec<_> =
        paths.iter().filter(|path| !REFUSED.iter().any(|name| path.ends_with(name))).cloned().collect();
    assert_agree(&accepted);
}
