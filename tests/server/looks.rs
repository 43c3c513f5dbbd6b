//! What the program shows of stored models: statistics, values, differences, findings; in documents, text and exit codes.

use std::env;

use fixtures::gguf::{Model, Value as Entry};
use fixtures::safetensors::{entry, file};
use pg_test::Result;
use serde_json::{Value, json};

use crate::support::Database;
use crate::support::cli::Ended;

/// Bytes of values, one tensor after the other.
fn data(tensors: &[&[f32]]) -> Vec<u8> {
    tensors.iter().flat_map(|values| values.iter()).flat_map(|value| value.to_le_bytes()).collect()
}

/// Four plain numbers, and eight of which some are none.
fn numbers() -> Vec<u8> {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 4.0, -4.0, 2.5];
    let header = [entry("plain", "F32", "[2,2]", "[0,16]"), entry("odd", "F32", "[8]", "[16,48]")].join(",");
    file(format!("{{{header}}}"), &data(&[&[0.0, 1.0, 2.0, 3.0], &odd]))
}

/// A tensor of integers that no float8 holds, and one of halves.
fn integers() -> Vec<u8> {
    let header = [entry("large", "U64", "[1]", "[0,8]"), entry("halves", "F16", "[2]", "[8,12]")].join(",");
    file(format!("{{{header}}}"), &[&u64::MAX.to_le_bytes()[..], &[0, 0x3C, 0, 0xBC]].concat())
}

fn with_numbers() -> Result<Database> {
    let db = Database::shared()?;
    db.import_bytes("numbers", "m.safetensors", &numbers())?;
    Ok(db)
}

/// Runs the program for people and returns what it says.
fn text(db: &Database, args: &[&str]) -> String {
    let program = env::var_os("ATOMS_BIN").expect("ATOMS_BIN names the program atoms; make test sets it");
    let mut command = db.cluster().command(program, db.name());
    let output = command.args(args).env("LC_ALL", "C.UTF-8").output().expect("ATOMS_BIN is a program");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("the program writes UTF-8")
}

#[track_caller]
fn assert_code(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
}

#[test]
fn statistics_are_those_of_the_numbers() -> Result<()> {
    let db = with_numbers()?;
    let document = db.atoms(&[&"stats", &"numbers", &"plain", &"--buckets", &"4"]);
    let expected = json!({
        "model": "numbers",
        "tensors": [{
            "file": "m.safetensors", "tensor": "plain", "dtype": "F32", "shape": [2, 2], "size_bytes": 16,
            "count": 4, "min": 0.0, "max": 3.0, "mean": 1.5, "deviation": 1.25_f64.sqrt(),
            "zeros": 1, "nans": 0, "infinities": 0, "histogram": [1, 1, 1, 1],
        }],
    });
    assert_eq!(document, expected);
    assert_eq!(db.atoms(&[&"stats", &"numbers", &"m.safetensors::plain", &"--buckets", &"4"]), expected);
    let all = db.atoms(&[&"stats", &"numbers", &"--buckets", &"4"]);
    assert_eq!(all["tensors"][0], expected["tensors"][0]);
    let odd = &all["tensors"][1];
    assert_eq!((&odd["nans"], &odd["infinities"], &odd["zeros"]), (&json!(1), &json!(2), &json!(2)));
    assert_eq!((&odd["min"], &odd["max"], &odd["mean"]), (&json!(-4.0), &json!(4.0), &json!(0.5)));
    assert_eq!(odd["histogram"], json!([1, 0, 2, 2]));
    Ok(())
}

#[test]
fn statistics_are_drawn() -> Result<()> {
    let db = with_numbers()?;
    let list = text(&db, &["stats", "numbers", "odd", "--buckets", "2"]);
    let line = |begin: &str| list.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{list}"));
    assert_eq!(line("infinities"), "infinities  2 (25 %)");
    assert_eq!(line("mean"), "mean        0.5");
    let bars: Vec<usize> = list.lines().map(|line| line.matches('█').count()).filter(|cells| *cells > 0).collect();
    assert!(matches!(bars[..], [few, many] if few < many), "{list}");
    let ascii = text(&db, &["stats", "numbers", "odd", "--ascii"]);
    assert!(ascii.is_ascii() && ascii.contains("##"), "{ascii}");
    let table = text(&db, &["stats", "numbers", "--buckets", "4"]);
    assert!(table.lines().any(|line| line.starts_with("plain") && line.contains("████")), "{table}");
    Ok(())
}

#[test]
fn a_tensor_without_statistics_does_not_hide_the_others() -> Result<()> {
    let db = Database::shared()?;
    db.import_bytes("integers", "m.safetensors", &integers())?;
    let document = db.atoms(&[&"stats", &"integers"]);
    assert_eq!(document["tensors"][0]["error"]["sqlstate"], "22003", "{document}");
    assert_eq!(document["tensors"][0].get("mean"), None);
    assert_eq!((&document["tensors"][1]["min"], &document["tensors"][1]["max"]), (&json!(-1.0), &json!(1.0)));
    assert!(text(&db, &["stats", "integers"]).contains("\nlarge: "));
    assert_code(&db.run_atoms(&[&"stats", &"integers", &"large"]), 8);
    Ok(())
}

#[test]
fn values_are_printed_as_they_are() -> Result<()> {
    let db = with_numbers()?;
    let values = |args: &[&str]| text(&db, &[&["values", "numbers", "odd"], args].concat());
    assert_eq!(values(&[]), "NaN\nInfinity\n-Infinity\n0.0\n-0.0\n4.0\n-4.0\n2.5\n");
    assert_eq!(values(&["--start", "5", "--count", "2"]), "4.0\n-4.0\n");
    assert_eq!(values(&["--start", "7"]), "2.5\n");
    assert_eq!(values(&["--start", "8"]), "");
    assert_eq!(values(&["--count", "0"]), "");
    let document = db.atoms(&[&"values", &"numbers", &"odd", &"--count", &"4"]);
    let expected = json!(["NaN", "Infinity", "-Infinity", 0.0]);
    assert_eq!(document, json!({ "model": "numbers", "tensor": "odd", "start": 0, "values": expected }));
    assert_code(&db.run_atoms(&[&"values", &"numbers", &"odd", &"--start", &"-1"]), 2);
    Ok(())
}

fn with_pair() -> Result<Database> {
    let db = with_numbers()?;
    let header = [
        entry("plain", "F32", "[2,2]", "[0,16]"),
        entry("odd", "F32", "[2,4]", "[16,48]"),
        entry("new", "F32", "[]", "[48,52]"),
    ];
    let values = data(&[&[0.0, 1.0, 2.0, 3.5], &[1.0; 8], &[7.0]]);
    db.import_bytes("other", "o.safetensors", &file(format!("{{{}}}", header.join(",")), &values))?;
    Ok(db)
}

#[test]
fn differences_are_counted_and_listed_by_distance() -> Result<()> {
    let db = with_pair()?;
    let document = db.atoms(&[&"diff", &"numbers", &"other"]);
    let counts = ["changed", "only_in_a", "only_in_b", "same"].map(|name| document[name].as_u64());
    assert_eq!(counts, [Some(2), Some(0), Some(1), Some(0)]);
    let listed: Vec<(&str, &str)> = document["tensors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pair| (pair["tensor"].as_str().expect("a name"), pair["status"].as_str().expect("a status")))
        .collect();
    assert_eq!(listed, [("odd", "changed"), ("plain", "changed"), ("new", "only in b")]);
    let plain = &document["tensors"][1];
    let distance = plain["distance"].as_f64().expect("a number");
    assert!((distance - 0.5 / 14_f64.sqrt()).abs() < 1e-9, "{plain}");
    assert_eq!(document["tensors"][0]["distance"], Value::Null, "shapes differ");
    assert_eq!((&plain["file_a"], &plain["file_b"]), (&json!("m.safetensors"), &json!("o.safetensors")));
    let shown = text(&db, &["diff", "numbers", "other"]);
    assert!(shown.starts_with("0 same, 2 changed, 0 only in a (\"numbers\"), 1 only in b (\"other\")\n"), "{shown}");
    assert!(shown.contains("[8] -> [2, 4]"), "{shown}");
    Ok(())
}

#[test]
fn differences_end_with_13_when_that_is_asked_for() -> Result<()> {
    let db = with_pair()?;
    assert_code(&db.run_atoms(&[&"diff", &"numbers", &"other"]), 0);
    assert_code(&db.run_atoms(&[&"diff", &"numbers", &"other", &"--exit-code"]), 13);
    assert_code(&db.run_atoms(&[&"diff", &"numbers", &"numbers", &"--exit-code"]), 0);
    assert_eq!(db.atoms(&[&"diff", &"numbers", &"numbers"])["tensors"], json!([]));
    let all = db.atoms(&[&"diff", &"numbers", &"numbers", &"--all"]);
    assert_eq!((&all["same"], all["tensors"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    Ok(())
}

#[test]
fn findings_are_those_of_the_server() -> Result<()> {
    let db = with_numbers()?;
    let clean = Model::new().with("general.architecture", Entry::text("llama")).tensor("a", "F32", &[8]);
    db.import_bytes("clean", "c.gguf", &clean.bytes())?;
    assert_eq!(db.atoms(&[&"findings", &"clean", &"--strict"]), json!({ "findings": [] }));
    db.import_bytes("big", "b.gguf", &clean.big_endian().bytes())?;
    let found = db.atoms(&[&"findings", &"big"]);
    let expected: String =
        db.client()?.query_one("SELECT json_agg(f)::text FROM atoms.model_findings f WHERE model = 'big'", &[])?.get(0);
    let expected: Value = serde_json::from_str(&expected).expect("the server writes JSON");
    assert_eq!(found["findings"], expected);
    assert!(found["findings"].as_array().is_some_and(|list| !list.is_empty()), "{found}");
    assert_code(&db.run_atoms(&[&"findings", &"big", &"--strict"]), 13);
    assert_code(&db.run_atoms(&[&"findings", &"--strict"]), 13);
    let models = db.atoms(&[&"findings"]);
    assert!(models["findings"].as_array().expect("a list").iter().any(|finding| finding["model"] == "big"));
    assert!(text(&db, &["findings", "big"]).contains("b.gguf"));
    Ok(())
}

#[test]
fn names_that_are_not_there_are_named() -> Result<()> {
    let db = with_numbers()?;
    let runs: [&[&dyn AsRef<std::ffi::OsStr>]; 7] = [
        &[&"stats", &"none"],
        &[&"stats", &"numbers", &"none"],
        &[&"values", &"none", &"plain"],
        &[&"values", &"numbers", &"none"],
        &[&"diff", &"numbers", &"none"],
        &[&"diff", &"none", &"numbers"],
        &[&"findings", &"none"],
    ];
    for args in runs {
        let ended = db.run_atoms(args);
        assert_code(&ended, 3);
        let message = ended.json["error"]["message"].as_str().expect("a message");
        assert!(message.contains("\"none\""), "{ended:?}");
    }
    Ok(())
}
