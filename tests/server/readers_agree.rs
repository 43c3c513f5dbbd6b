//! Tensors and metadata agree with the official Python package `safetensors`, for real files and made ones.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use atom::ContentHash;
use fixtures::safetensors::{DTYPES, TensorSpec, valid, write_large};
use pg_test::Result;
use postgres::Client;
use serde_json::Value;

use crate::support::Database;
use crate::support::import::{STRATEGIES, Strategy, TENSOR, import_bytes};
use crate::support::models;

/// What the package says of a tensor.
#[derive(Debug, PartialEq)]
struct Tensor {
    dtype: String,
    shape: Vec<i64>,
    size_bytes: i64,
    hash: ContentHash,
}

/// What the package says of a file.
struct Official {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

/// Reads files with the package.
fn read_by_python(paths: &[PathBuf]) -> Vec<Official> {
    let python = env::var_os("PG_ATOMS_PYTHON").expect("PG_ATOMS_PYTHON is an interpreter; make test sets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/read_safetensors.py");
    let output = Command::new(python).arg(script).args(paths).output().expect("PG_ATOMS_PYTHON is a program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let read: Vec<Official> = text.lines().map(official).collect();
    assert_eq!(read.len(), paths.len());
    read
}

fn official(line: &str) -> Official {
    let document: Value = serde_json::from_str(line).expect("a document per line");
    let tensors = document["tensors"].as_array().unwrap_or_else(|| panic!("refused: {document}"));
    let metadata = document["metadata"].as_object().cloned().unwrap_or_default();
    Official {
        tensors: tensors.iter().map(official_tensor).collect(),
        metadata: metadata.iter().map(|(key, value)| (shown(key), shown(text(value)))).collect(),
    }
}

fn official_tensor(tensor: &Value) -> (String, Tensor) {
    let shape = tensor["shape"].as_array().expect("a list").iter().map(|size| size.as_i64().expect("a size"));
    let found = Tensor {
        dtype: text(&tensor["dtype"]).to_owned(),
        shape: shape.collect(),
        size_bytes: tensor["size_bytes"].as_i64().expect("a size"),
        hash: text(&tensor["sha256"]).parse().expect("a hash"),
    };
    (text(&tensor["name"]).to_owned(), found)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// SQL text cannot hold U+0000; the picture of it stands for it.
fn shown(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

/// Reads a stored model through SQL: the list of tensors, and each one's bytes.
fn read_by_sql(client: &mut Client, model: &str) -> Result<BTreeMap<String, Tensor>> {
    let listed =
        client.query("SELECT tensor, dtype, shape, size_bytes FROM atoms.extract_model_tensors($1)", &[&model])?;
    let mut tensors = BTreeMap::new();
    for row in listed {
        let name: String = row.get(0);
        let bytes = client.query_one("SELECT atoms.reconstruct_tensor($1, $2)", &[&model, &name])?;
        let tensor = Tensor {
            dtype: row.get(1),
            shape: row.get(2),
            size_bytes: row.get(3),
            hash: ContentHash::of(bytes.get(0)),
        };
        assert!(tensors.insert(name, tensor).is_none());
    }
    Ok(tensors)
}

fn metadata_by_sql(client: &mut Client, model: &str) -> Result<BTreeMap<String, String>> {
    let rows = client.query("SELECT key, value FROM atoms.model_metadata($1)", &[&model])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn assert_agree(client: &mut Client, model: &str, official: &Official) -> Result<()> {
    assert_eq!(read_by_sql(client, model)?, official.tensors, "{model}");
    assert_eq!(metadata_by_sql(client, model)?, official.metadata, "{model}");
    Ok(())
}

#[test]
fn real_files_by_every_strategy() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let files: Vec<PathBuf> = models::real()
        .iter()
        .flat_map(|model| model.files.keys().map(|file| model.dir.join(file)).collect::<Vec<_>>())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    assert_eq!(files.len(), 3, "pins.json has changed: so must this number");
    for (path, official) in files.iter().zip(read_by_python(&files)) {
        assert!(!official.tensors.is_empty());
        let strategies: &[Strategy] =
            if path.metadata().expect("there").len() > 1 << 20 { &[TENSOR] } else { &STRATEGIES };
        for strategy in strategies {
            let model = format!("{} {strategy:?}", path.display());
            let bytes = std::fs::read(path).expect("it was fetched");
            import_bytes(&mut client, &model, "model.safetensors", &bytes, *strategy)?;
            assert_agree(&mut client, &model, &official)?;
            client.execute("SELECT atoms.drop_model($1)", &[&model])?;
            db.collect_all()?;
        }
    }
    Ok(())
}

/// Odd but valid files.  SQL cannot name a tensor with U+0000 in its name, or above 2,000 bytes: such files are opaque.
#[test]
fn made_files_of_every_form() -> Result<()> {
    const OPAQUE: [&str; 2] = ["name_with_escapes", "name_at_limit"];
    let db = Database::shared()?;
    let mut client = db.client()?;
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let files = valid();
    let paths: Vec<PathBuf> = files.iter().map(|file| dir.path().join(file.name)).collect();
    for (file, path) in files.iter().zip(&paths) {
        std::fs::write(path, &file.bytes).expect("writable");
    }
    for (file, official) in files.iter().zip(read_by_python(&paths)) {
        db.import_bytes(file.name, "f", &file.bytes)?;
        let query = "SELECT format, note FROM atoms.model_file WHERE model_id = atoms.model_id($1)";
        let row = client.query_one(query, &[&file.name])?;
        let (format, note): (Option<&str>, Option<&str>) = (row.get(0), row.get(1));
        if OPAQUE.contains(&file.name) {
            assert!(format.is_none() && note.is_some(), "{}: {row:?}", file.name);
            continue;
        }
        assert_eq!((format, note), (Some("safetensors"), None), "{}", file.name);
        assert_agree(&mut client, file.name, &official)?;
    }
    Ok(())
}

#[test]
fn all_dtypes_above_the_size_of_a_segment_by_every_strategy() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let path = dir.path().join("all.safetensors");
    let specs: Vec<_> = DTYPES.iter().map(|dtype| TensorSpec::new(22, dtype, dtype, &[3, 5, 4000])).collect();
    write_large(&path, &specs).expect("writable");
    let official = read_by_python(std::slice::from_ref(&path)).remove(0);
    assert_eq!(official.tensors.len(), 22);
    for strategy in STRATEGIES {
        let model = format!("{strategy:?}");
        db.import_by_cli(&model, &path, strategy);
        assert_agree(&mut client, &model, &official)?;
        db.atoms(&[&"rm", &model]);
        db.collect_all()?;
    }
    Ok(())
}

/// The three ways to ask for tensors say the same.
#[test]
fn a_file_says_the_same_stored_and_not() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let model = models::real_named("fracast-0.1.0");
    let path = db.lend(&model.dir.join("model.safetensors"));
    let path = path.to_str().expect("UTF-8");
    let bytes = std::fs::read(path).expect("it was lent");
    db.import_bytes("m", "f", &bytes)?;
    const COLUMNS: &str = "row(tensor, dtype, shape, byte_offset, size_bytes)::text";
    let mut rows = |from: &str, params: &[&(dyn postgres::types::ToSql + Sync)]| -> Result<Vec<String>> {
        let found = client.query(&format!("SELECT {COLUMNS} FROM atoms.{from}"), params)?;
        Ok(found.iter().map(|row| row.get(0)).collect())
    };
    let stored = rows("extract_model_tensors($1::text)", &[&"m"])?;
    assert!(stored.len() > 10, "{stored:?}");
    assert_eq!(rows("extract_model_tensors($1::text, 'f')", &[&"m"])?, stored);
    assert_eq!(rows("extract_model_tensors($1::bytea)", &[&bytes])?, stored);
    assert_eq!(rows("extract_model_tensors($1::bytea, 'safetensors')", &[&bytes])?, stored);
    assert_eq!(rows("extract_server_file_tensors($1)", &[&path])?, stored);
    Ok(())
}

#[test]
fn slices_of_a_tensor_are_slices_of_its_bytes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let bytes = fixtures::safetensors::random_model(4, &[("w", "F32", &[100, 1000]), ("empty", "U8", &[0])]);
    import_bytes(&mut client, "m", "f", &bytes, STRATEGIES[2])?;
    let payload = &bytes[bytes.len() - 400_000..];
    for (start, count) in
        [(0, 0), (0, 1), (8111, 2), (4095, 8193), (399_999, 1), (399_990, 100), (400_000, 5), (0, 400_000)]
    {
        let found = client.query_one("SELECT atoms.tensor_slice('m', 'w', $1, $2)", &[&(start as i64), &count])?;
        let end = (start + count as usize).min(payload.len());
        assert_eq!(found.get::<_, &[u8]>(0), &payload[start..end], "{start} {count}");
    }
    let empty = client.query_one("SELECT atoms.reconstruct_tensor('m', 'empty')", &[])?;
    assert!(empty.get::<_, &[u8]>(0).is_empty());
    Ok(())
}
