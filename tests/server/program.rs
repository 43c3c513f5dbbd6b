//! The program `atoms` says what the server says, in documents and exit codes that scripts can rely on.

use std::collections::BTreeSet;

use pg_test::Result;
use postgres::Client;
use serde_json::Value;

use crate::support::cli::{Ended, run};
use crate::support::import::{STRATEGIES, TENSOR};
use crate::support::models::{self, edges};
use crate::support::oracle::{stored, value};
use crate::support::read_calls::prepare;
use crate::support::{Database, refused};

/// Returns what a query finds, as JSON made by the server.
fn rows(client: &mut Client, query: &str) -> Result<Value> {
    let text: String = value(client, &format!("SELECT coalesce(json_agg(q), '[]')::text FROM ({query}) q"))?;
    Ok(serde_json::from_str(&text).expect("the server writes JSON"))
}

/// Asserts that a list of the program holds these members with these values, in this order.
#[track_caller]
fn assert_lists(found: &Value, expected: &Value) {
    let (found, expected) = (found.as_array().expect("a list"), expected.as_array().expect("a list"));
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(&found[key], value, "{key} of {found:#?}");
        }
    }
}

fn with_models() -> Result<(Database, Client)> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    prepare(&mut client)?;
    let model = models::real_named("fracast-0.1.0");
    db.import_by_cli("real", &model.dir, STRATEGIES[1]);
    let dir = db.file("edges");
    models::write(&dir, &edges());
    db.import_by_cli("edges", &dir, TENSOR);
    Ok((db, client))
}

#[test]
fn lists_are_those_of_the_server() -> Result<()> {
    let (db, mut client) = with_models()?;
    let ls = "SELECT model, files, size_bytes, tensors FROM atoms.model_summary ORDER BY model";
    assert_lists(&db.atoms(&[&"ls"])["models"], &rows(&mut client, ls)?);
    let report = "SELECT model, files, logical_bytes, unique_bytes, own_bytes, shared_bytes, freed_bytes, note \
                  FROM atoms.dedup_report() WHERE model IS NOT NULL";
    let document = db.atoms(&[&"report"]);
    assert_lists(&document["models"], &rows(&mut client, report)?);
    let physical: i64 = value(&mut client, "SELECT atoms.physical_bytes()")?;
    assert_eq!(document["total"]["physical_bytes"], physical);
    for model in ["one", "real", "edges"] {
        let show = format!(
            "SELECT path, size_bytes, content_hash::text AS sha256, format, variant, note FROM atoms.model_file \
             WHERE model_id = atoms.model_id('{model}') ORDER BY path COLLATE \"C\""
        );
        assert_lists(&db.atoms(&[&"show", &model])["files"], &rows(&mut client, &show)?);
        let tensors = format!(
            "SELECT file, tensor, dtype, shape, byte_offset, size_bytes, chunks FROM atoms.tensor_detail \
             WHERE model = '{model}' ORDER BY file COLLATE \"C\", byte_offset, tensor_id"
        );
        assert_lists(&db.atoms(&[&"tensors", &model])["tensors"], &rows(&mut client, &tensors)?);
    }
    let one = db.atoms(&[&"tensors", &"real", &"--file", &"model.safetensors"]);
    let files: BTreeSet<&str> =
        one["tensors"].as_array().expect("a list").iter().filter_map(|t| t["file"].as_str()).collect();
    assert_eq!(files, BTreeSet::from(["model.safetensors"]));
    Ok(())
}

#[test]
fn unfinished_imports_are_listed_and_given_up() -> Result<()> {
    let (db, mut client) = with_models()?;
    let imports = "SELECT import_id, model, owner, active, files, size_bytes, announced_bytes, missing_bytes FROM atoms.list_imports()";
    let listed = db.atoms(&[&"imports"]);
    assert_lists(&listed["imports"], &rows(&mut client, imports)?);
    let id = listed["imports"][0]["import_id"].to_string();
    db.atoms(&[&"imports", &"abort", &id]);
    assert_eq!(db.atoms(&[&"imports"])["imports"], Value::Array(Vec::new()));
    assert_eq!(db.run_atoms(&[&"imports", &"abort", &id]).code, Some(3));
    Ok(())
}

#[test]
fn dropping_and_collecting_free_what_the_report_says() -> Result<()> {
    let (db, mut client) = with_models()?;
    let freed = db.atoms(&[&"report", &"edges"])["models"][0]["freed_bytes"].as_i64().expect("a number");
    db.atoms(&[&"gc", &"--grace", &"0"]);
    db.atoms(&[&"rm", &"edges"]);
    let before = stored(&mut client)?;
    let dry = db.atoms(&[&"gc", &"--grace", &"0", &"--dry-run"]);
    assert_eq!((dry["bytes"].as_i64(), &dry["dry_run"]), (Some(freed), &Value::Bool(true)), "{dry}");
    assert_eq!(stored(&mut client)?, before);
    assert_eq!(db.atoms(&[&"gc"])["atoms"], 0, "nothing is an hour old");
    let collected = db.atoms(&[&"gc", &"--grace", &"0"]);
    assert_eq!((&collected["atoms"], &collected["bytes"]), (&dry["atoms"], &dry["bytes"]));
    assert_eq!(before.bytes - stored(&mut client)?.bytes, freed);
    Ok(())
}

/// Asserts how a run ended, and that it says so in its document and to people.
#[track_caller]
fn assert_failed(ended: Ended, code: i32, sqlstate: Option<&str>) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let error = &ended.json["error"];
    assert_eq!(error["exit_code"], code, "{ended:?}");
    assert_eq!(error["sqlstate"].as_str(), sqlstate, "{ended:?}");
    let message = error["message"].as_str().expect("a message");
    assert!(ended.stderr.contains(message), "{ended:?}");
}

#[test]
fn each_failure_has_its_exit_code() -> Result<()> {
    let (db, _client) = with_models()?;
    let missing = db.file("missing");
    assert_failed(db.run_atoms(&[&"show", &"none"]), 3, None);
    assert_failed(db.run_atoms(&[&"rm", &"none"]), 3, Some("42704"));
    assert_failed(db.run_atoms(&[&"verify", &"none"]), 3, Some("42704"));
    assert_failed(db.run_atoms(&[&"report", &"none"]), 3, Some("42704"));
    assert_failed(db.run_atoms(&[&"import", &missing]), 3, None);
    let file = db.file("file");
    std::fs::write(&file, "x").expect("writable");
    assert_failed(db.run_atoms(&[&"import", &file, &"--name", &"one"]), 4, Some("42710"));
    assert_failed(db.run_atoms(&[&"import", &file, &"--name", &""]), 8, Some("22023"));
    assert_failed(db.run_atoms(&[&"gc", &"--grace", &"soon"]), 8, Some("22007"));
    assert_eq!(db.run_atoms(&[&"import"]).code, Some(2));
    assert_eq!(db.run_atoms(&[&"nothing"]).code, Some(2));

    let plain = db.role("plain", "")?;
    assert_failed(run(db.atoms_command().env("PGUSER", &plain).arg("ls")), 6, Some("42501"));
    assert_failed(run(db.atoms_command().env("PGUSER", "nobody_of_that_name").arg("ls")), 6, Some("28000"));
    assert_failed(run(db.atoms_command().env("PGDATABASE", "none").arg("ls")), 3, Some("3D000"));
    assert_failed(run(db.atoms_command().env("PGPORT", "1").arg("ls")), 7, None);
    let template = run(db.atoms_command().env("PGDATABASE", "postgres").arg("ls"));
    assert_eq!(template.code, Some(12), "{template:?}");
    Ok(())
}

#[test]
fn what_cannot_be_imported_is_refused_before_anything_is_stored() -> Result<()> {
    let db = Database::shared()?;
    let dir = db.make_dir("model");
    std::fs::write(dir.join("good"), "good").expect("writable");
    let pipe = dir.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there").success());
    assert_failed(db.run_atoms(&[&"import", &dir]), 10, None);
    std::fs::remove_file(&pipe).expect("ours");
    std::os::unix::fs::symlink("/", dir.join("link")).expect("new");
    assert_failed(db.run_atoms(&[&"import", &dir]), 10, None);
    assert_failed(db.run_atoms(&[&"import", &"/dev/zero"]), 10, None);
    assert_failed(db.run_atoms(&[&"import", &db.make_dir("empty")]), 3, None);
    assert_eq!(value::<i64>(&mut db.client()?, "SELECT count(*) FROM atoms.model_import")?, 0);
    Ok(())
}

/// Over loopback with a password, as a URL says it and as the environment does.
#[test]
fn it_connects_by_url_and_by_environment() -> Result<()> {
    let (db, _client) = with_models()?;
    let listed = db.atoms(&[&"ls"]);
    let nowhere = ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE"];
    let by_url = |url: &str| {
        let mut command = db.atoms_command();
        for name in nowhere {
            command.env_remove(name);
        }
        run(command.args(["--url", url, "ls"]))
    };
    assert_eq!(by_url(&db.cluster().url(db.name())).json, listed);
    assert_eq!(by_url(&db.cluster().dsn(db.name())).json, listed);
    let wrong = db.cluster().url(db.name()).replacen("postgres:", "postgres:not", 1);
    assert_failed(by_url(&wrong), 6, Some("28P01"));
    let mut command = db.atoms_command();
    let password = db.cluster().url(db.name());
    let password = password.split([':', '@']).nth(2).expect("user:password@host");
    command.env("PGHOST", "127.0.0.1").env("PGPASSWORD", password).arg("ls");
    assert_eq!(run(&mut command).json, listed);
    Ok(())
}

/// A model that the program cannot read the whole of is not exported at all under a wrong name.
#[test]
fn paths_of_a_damaged_database_do_not_lead_out() -> Result<()> {
    let db = Database::shared()?;
    db.import_bytes("m", "f", b"bytes")?;
    let mut client = db.client()?;
    let out = db.make_dir("out");
    for path in ["../escaped", "/tmp/pg_atoms-escaped", "a/../../escaped", ""] {
        client.execute("UPDATE atoms.model_file SET path = $1", &[&path])?;
        let dir = tempfile::tempdir().expect("/tmp is writable");
        let inside = dir.path().join("inside");
        assert_ne!(db.run_atoms(&[&"export", &"m", &inside]).code, Some(0), "{path:?}");
        assert!(!dir.path().join("escaped").exists() && !std::path::Path::new("/tmp/pg_atoms-escaped").exists());
        let by_server = client.query("SELECT atoms.export_model('m', $1)", &[&out.to_str()]);
        refused(by_server, "XX001").names(&["leads out"]);
    }
    Ok(())
}
