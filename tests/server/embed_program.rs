//! `atoms embed`: what is in files of vectors is what is stored, each vector with the atom it was made from.

use std::fs;
use std::path::PathBuf;

use fixtures::safetensors::{entry, file};
use pg_test::Result;
use postgres::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Database;
use crate::support::cli::Ended;
use crate::support::oracle::value;

/// Four vectors, which every type but uint8 holds.
const VECTORS: [[f32; 3]; 4] = [[1.0, -2.0, 3.0], [0.0, 0.0, 0.0], [4.0, 5.0, -6.0], [7.0, 8.0, 9.0]];

fn floats(vectors: &[[f32; 3]]) -> Vec<u8> {
    vectors.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn npy(descr: &str, rows: usize, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, 3), }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn fvecs(vectors: &[[f32; 3]]) -> Vec<u8> {
    vectors.iter().flat_map(|row| [&3_i32.to_le_bytes()[..], &floats(&[*row])].concat()).collect()
}

fn tensors(ids: &[i64]) -> Vec<u8> {
    let (ids_end, end) = (ids.len() * 8, ids.len() * 8 + VECTORS.len() * 12);
    let header = [
        entry("source_atom_ids", "I64", &format!("[{}]", ids.len()), &format!("[0,{ids_end}]")),
        entry("vectors", "F32", "[4,3]", &format!("[{ids_end},{end}]")),
    ];
    let data: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).chain(floats(&VECTORS)).collect();
    file(format!("{{{}}}", header.join(",")), &data)
}

/// Files for the program to read.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for files"))
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("a file is written");
        path
    }
}

/// Returns the id of the atom with this text.
fn atom(client: &mut Client, text: &str) -> Result<i64> {
    Ok(client.query_one("SELECT atoms.upsert_atom($1::bytea, 'text')", &[&text.as_bytes()])?.get(0))
}

/// Returns the vector of a model that was made from this text.
fn vector(client: &mut Client, model: &str, text: &str) -> Result<Vec<f32>> {
    let id = atom(client, text)?;
    let query = "SELECT atoms.reconstruct_vector($1::text, $2::bigint)::real[]";
    Ok(client.query_one(query, &[&model, &id])?.get(0))
}

fn count(client: &mut Client, model: &str) -> Result<i64> {
    let query = format!("SELECT embeddings FROM atoms.embedding_model_summary WHERE model = '{model}'");
    value(client, &query)
}

#[track_caller]
fn assert_fails(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.json["error"].to_string().contains(said), "{ended:?}");
}

#[test]
fn vectors_of_every_format_are_stored_as_they_are() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    let wide: Vec<u8> = VECTORS.as_flattened().iter().flat_map(|value| f64::from(*value).to_be_bytes()).collect();
    let small: Vec<u8> = VECTORS.as_flattened().iter().map(|value| *value as i8 as u8).collect();
    let formats = [
        ("a.npy", npy("<f4", 4, &floats(&VECTORS)), "float32"),
        ("b.npy", npy(">f8", 4, &wide), "float64"),
        ("c.npy", npy("|i1", 4, &small), "int8"),
        ("d.fvecs", fvecs(&VECTORS), "float32"),
        ("e.csv", b"x,y,z\n1,-2,3\n0,0,0\n4,5,-6\n7,8,9\n".to_vec(), "float32"),
    ];
    for (name, bytes, element_type) in formats {
        let path = files.put(name, bytes);
        let loaded = db.atoms(&[&"embed", &"load", &name, &path, &"--register", &"--batch", &"3"]);
        let said = ["vectors", "dimensions", "element_type", "registered"].map(|member| &loaded[member]);
        assert_eq!(said, [&json!(4), &json!(3), &json!(element_type), &json!(true)], "{name}");
        for (row, expected) in VECTORS.iter().enumerate() {
            assert_eq!(vector(&mut client, name, &format!("{name}#{row}"))?, expected, "{name}");
        }
    }
    Ok(())
}

#[test]
fn values_are_converted_to_the_type_of_the_model() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    let path = files.put("v.npy", npy("<f4", 4, &floats(&VECTORS)));
    for element in ["float16", "bfloat16", "int8", "float64"] {
        db.atoms(&[&"embed", &"load", &element, &path, &"--register", &"--element-type", &element]);
        assert_eq!(vector(&mut client, element, "v.npy#2")?, VECTORS[2], "{element}");
    }
    let refused = db.run_atoms(&[&"embed", &"load", &"u", &path, &"--register", &"--element-type", &"uint8"]);
    assert_fails(&refused, 8, "row 0: -2 is out of range for uint8 (dimension 1)");
    let models = "SELECT count(*) FROM atoms.embedding_model WHERE name = 'u'";
    assert_eq!(value::<i64>(&mut client, models)?, 0, "nothing was stored, so it can be registered as another type");
    Ok(())
}

#[test]
fn each_vector_belongs_to_its_line() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    let path = files.put("v.npy", npy("<f4", 4, &floats(&VECTORS)));
    let texts = files.put("texts", "one\nzwei – drei\none\nlast");
    db.atoms(&[&"embed", &"load", &"texts", &path, &"--texts", &texts, &"--register"]);
    assert_eq!(count(&mut client, "texts")?, 3);
    assert_eq!(vector(&mut client, "texts", "one")?, VECTORS[2], "the later of two");
    assert_eq!(vector(&mut client, "texts", "zwei – drei")?, VECTORS[1]);
    // Again, a vector at a time: what is there is replaced.
    db.atoms(&[&"embed", &"load", &"texts", &path, &"--texts", &texts, &"--batch", &"1"]);
    assert_eq!(count(&mut client, "texts")?, 3);

    let ids: Vec<i64> = ["a", "b", "c", "d"].iter().map(|text| atom(&mut client, text)).collect::<Result<_>>()?;
    let lines: Vec<String> = ids.iter().map(i64::to_string).collect();
    let numbers = files.put("numbers", lines.join("\n"));
    db.atoms(&[&"embed", &"load", &"ids", &path, &"--ids", &numbers, &"--register"]);
    let inside = files.put("v.safetensors", tensors(&ids));
    db.atoms(&[&"embed", &"load", &"inside", &inside, &"--register"]);
    let rows: Vec<String> = VECTORS.iter().zip(&lines).map(|([x, y, z], id)| format!("{id},{x},{y},{z}\n")).collect();
    let column = files.put("v.csv", format!("id,x,y,z\n{}", rows.concat()));
    db.atoms(&[&"embed", &"load", &"column", &column, &"--register"]);
    for model in ["ids", "inside", "column"] {
        assert_eq!(count(&mut client, model)?, 4);
        for (text, expected) in ["a", "b", "c", "d"].into_iter().zip(VECTORS) {
            assert_eq!(vector(&mut client, model, text)?, expected, "{model}");
        }
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_stored() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    let path = files.put("v.npy", npy("<f4", 4, &floats(&VECTORS)));
    assert_fails(&db.run_atoms(&[&"embed", &"load", &"m", &path]), 3, "--register");
    client.batch_execute("SELECT atoms.register_embedding_model('m', 4, 'float16')")?;
    assert_fails(&db.run_atoms(&[&"embed", &"load", &"m", &path, &"--register"]), 8, "has 4 dimensions");
    client.batch_execute("SELECT atoms.register_embedding_model('three', 3, 'float16')")?;
    let other =
        [&"embed" as &dyn AsRef<std::ffi::OsStr>, &"load", &"three", &path, &"--register", &"--element-type", &"int8"];
    assert_fails(&db.run_atoms(&other), 4, "float16");
    let three = files.put("three", "a\nb\nc\n");
    assert_fails(&db.run_atoms(&[&"embed", &"load", &"three", &path, &"--texts", &three]), 8, "3 lines for 4 vectors");
    let none = files.put("none", "9223372036854775807\n".repeat(4));
    assert_fails(&db.run_atoms(&[&"embed", &"load", &"three", &path, &"--ids", &none]), 3, "9223372036854775807");
    assert_eq!(count(&mut client, "three")?, 0);
    Ok(())
}

#[test]
fn an_error_in_a_later_row_leaves_the_batches_before_it() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    let mut vectors = VECTORS;
    vectors[3][1] = f32::NAN;
    let path = files.put("v.npy", npy("<f4", 4, &floats(&vectors)));
    let ended = db.run_atoms(&[&"embed", &"load", &"m", &path, &"--register", &"--batch", &"2"]);
    assert_fails(&ended, 8, "row 3: NaN is no value of a vector (dimension 1)");
    assert_eq!(count(&mut client, "m")?, 2);
    let path = files.put("v.npy", npy("<f4", 4, &floats(&VECTORS)));
    db.atoms(&[&"embed", &"load", &"m", &path]);
    assert_eq!(count(&mut client, "m")?, 4);
    Ok(())
}

#[test]
fn models_are_listed_looked_at_and_dropped() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    assert_eq!(db.atoms(&[&"embed", &"ls"]), json!({ "models": [] }));
    let path = files.put("v.npy", npy("<f4", 4, &floats(&VECTORS)));
    for model in ["b", "a"] {
        db.atoms(&[&"embed", &"load", &model, &path, &"--register"]);
    }
    let listed = db.atoms(&[&"embed", &"ls"]);
    let models = listed["models"].as_array().expect("a list");
    let facts: Vec<[&Value; 4]> = models
        .iter()
        .map(|model| ["model", "dimensions", "element_type", "embeddings"].map(|member| &model[member]))
        .collect();
    assert_eq!(
        facts,
        [
            [&json!("a"), &json!(3), &json!("float32"), &json!(4)],
            [&json!("b"), &json!(3), &json!("float32"), &json!(4)]
        ]
    );
    assert_eq!(db.atoms(&[&"embed", &"rm", &"b"]), json!({ "model": "b", "dropped": true, "embeddings": 4 }));
    assert_fails(&db.run_atoms(&[&"embed", &"rm", &"b"]), 3, "b");
    assert_fails(&db.run_atoms(&[&"embed", &"stats", &"b"]), 3, "b");
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.embedding_model")?, 1);
    Ok(())
}

#[test]
fn statistics_name_the_most_important_dimensions_first() -> Result<()> {
    let (db, files) = (Database::shared()?, Files::new());
    let mut client = db.client()?;
    let path = files.put("v.npy", npy("<f4", 4, &floats(&VECTORS)));
    db.atoms(&[&"embed", &"load", &"m", &path, &"--register"]);
    let stats = db.atoms(&[&"embed", &"stats", &"m"]);
    assert_eq!((&stats["dimensions"], &stats["embeddings"]), (&json!(3), &json!(4)));
    let dimensions = stats["dimension_stats"].as_array().expect("a list");
    let order: Vec<&Value> = dimensions.iter().map(|dimension| &dimension["dimension_index"]).collect();
    // Variances of 7.5, 15.6875 and 29.25.
    assert_eq!(order, [2, 1, 0]);
    let variance = dimensions[2]["variance"].as_f64().expect("a number");
    assert!((variance - 7.5).abs() < 1e-9, "{variance}");
    let extremes = (&dimensions[0]["min"], &dimensions[0]["max"], &dimensions[0]["zeros"]);
    assert_eq!(extremes, (&json!(-6.0), &json!(9.0), &json!(1)));
    assert_eq!(dimensions[0].get("distinct_values"), None);
    let one = db.atoms(&[&"embed", &"stats", &"m", &"--dimension", &"1", &"--distinct"]);
    assert_eq!(one["dimension_stats"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["dimension_stats"][0]["distinct_values"], 4);
    assert_eq!(
        db.atoms(&[&"embed", &"stats", &"m", &"--top", &"2"])["dimension_stats"].as_array().map(Vec::len),
        Some(2)
    );
    assert_fails(&db.run_atoms(&[&"embed", &"stats", &"m", &"--dimension", &"3"]), 3, "0 to 2");
    let report = "SELECT json_agg(r)::text FROM atoms.dimension_storage_report('m') r";
    let report: Value = serde_json::from_str(&value::<String>(&mut client, report)?).expect("the server writes JSON");
    let names = |lines: &Value| -> Vec<(Value, Value)> {
        lines.as_array().expect("a list").iter().map(|line| (line["layout"].clone(), line["item"].clone())).collect()
    };
    assert_eq!(names(&stats["storage"]), names(&report));
    Ok(())
}
