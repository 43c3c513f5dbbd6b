//! What is stored reaches a streaming standby and survives a dump and restore, whole.

use std::path::Path;
use std::process::{Command, Stdio};

use pg_test::{Cluster, Result};
use postgres::Client;

use crate::support::cli::{command_on, run};
use crate::support::import::{STRATEGIES, hashes_of, model_chunks};
use crate::support::models::{self, Hashes, edges, files_below, noise};
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::read_calls::{SERVER_FILE_CALLS, answer, prepare, read_calls};
use crate::support::upload::{Part, Upload};
use crate::support::{Database, refused};

/// Stores real files and edge files, by several strategies; returns the models with their files.
fn fill(db: &Database) -> Result<Vec<(&'static str, Hashes)>> {
    prepare(&mut db.client()?)?;
    let dir = db.file("edges");
    let edges = models::write(&dir, &edges());
    let real = models::real_named("fracast-0.1.0");
    db.import_with("edges", &dir, STRATEGIES[1])?;
    db.import("real", &db.lend(&real.dir))?;
    db.import_with("real in chunks", &db.file("fracast-0.1.0"), STRATEGIES[3])?;
    Ok(vec![("edges", edges), ("real", real.files.clone()), ("real in chunks", real.files)])
}

fn assert_exports(client: &mut Client, models: &[(&'static str, Hashes)]) -> Result<()> {
    for (model, files) in models {
        assert_eq!(hashes_of(&model_chunks(client, model)?), *files, "{model}");
    }
    Ok(())
}

#[test]
fn a_standby_gives_the_same_files_and_answers() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let before = fill(&db)?;
    let standby = db.cluster().standby()?;
    // Some of it came with the copy of the cluster; this comes by streaming.
    db.import_bytes("streamed", "f", &noise(5, 3_000_000))?;
    db.cluster().wait_caught_up(&standby)?;
    let mut primary = db.client()?;
    let mut client = standby.connect(db.name())?;
    assert_exports(&mut client, &before)?;
    assert_eq!(model_chunks(&mut client, "streamed")?["f"], noise(5, 3_000_000));
    for (name, call) in read_calls() {
        // Free space maps are written to the log now and then only, so the bytes on disk differ.
        let call = if call.contains("dedup_report()") { REPORT } else { call };
        assert_eq!(answer(&mut client, call)?, answer(&mut primary, call)?, "{name}: {call}");
    }
    for table in answer(
        &mut primary,
        "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'atoms'::regnamespace",
    )? {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(answer(&mut client, &count)?, answer(&mut primary, &count)?, "{table}");
    }
    standby_writes_files(&db, &mut client, &before)?;
    standby_serves_the_program(&standby, db.name(), &before);
    Ok(())
}

/// Files of the server are not the database: a standby writes and reads them too.
fn standby_writes_files(db: &Database, client: &mut Client, models: &[(&'static str, Hashes)]) -> Result<()> {
    let (model, files) = &models[1];
    let dir = db.make_dir("from the standby");
    client.execute("SELECT atoms.export_model($1, $2)", &[model, &dir.to_str()])?;
    assert_eq!(files_below(&dir), *files);
    let path = dir.join("one file");
    client.execute("SELECT atoms.export_file($1, 'config.json', $2)", &[model, &path.to_str()])?;
    assert_eq!(models::hash_of_file(&path), files["config.json"]);
    let path = dir.join("model.safetensors");
    let tensors = client.query("SELECT * FROM atoms.extract_server_file_tensors($1)", &[&path.to_str()])?;
    assert!(tensors.len() > 10);
    Ok(())
}

fn standby_serves_the_program(standby: &Cluster, dbname: &str, models: &[(&'static str, Hashes)]) {
    for (model, files) in models {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        let ended = run(command_on(standby, dbname).args(["export", model]).arg(dir.path()));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(files_below(dir.path()), *files, "{model}");
    }
    for args in [
        ["ls"].as_slice(),
        &["show", "real"],
        &["tensors", "real"],
        &["verify"],
        &["verify", "real"],
        &["report"],
        &["imports"],
    ] {
        let ended = run(command_on(standby, dbname).args(args));
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_standby_refuses_to_write() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    prepare(&mut db.client()?)?;
    let standby = db.cluster().standby()?;
    db.cluster().wait_caught_up(&standby)?;
    let mut client = standby.connect(db.name())?;
    let file = db.file("f");
    std::fs::write(&file, "x").expect("writable");
    let calls = [
        "SELECT atoms.upsert_atom('x', 'text')".to_owned(),
        "SELECT atoms.insert_atom('text', NULL, 'x')".to_owned(),
        "SELECT atoms.begin_import('m', '{f}', '{1}')".to_owned(),
        "SELECT atoms.drop_model('one')".to_owned(),
        "SELECT atoms.rename_model('one', 'three')".to_owned(),
        "SELECT atoms.finish_import(1)".to_owned(),
        "SELECT atoms.vacuum_atoms('0')".to_owned(),
        "CALL atoms.vacuum_all_atoms('0')".to_owned(),
        "CALL atoms.verify_all_atoms()".to_owned(),
        format!("CALL atoms.import_model('m', '{}')", file.display()),
        format!("SELECT atoms.import_model_at_once('m', '{}')", file.display()),
        "SELECT atoms.import_model_at_once('m', 'f', 'x'::bytea)".to_owned(),
        "SELECT atoms.grant_access('pg_monitor', 'read')".to_owned(),
    ];
    for call in calls {
        refused(client.batch_execute(&call).map_err(|error| panic_if_lost(error, &call)), "25006");
    }
    let ended = run(command_on(&standby, db.name()).args(["import", "--name", "m"]).arg(&file));
    assert_eq!(ended.code, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("25006"), "{ended:?}");
    Ok(())
}

fn panic_if_lost(error: postgres::Error, call: &str) -> postgres::Error {
    assert!(error.as_db_error().is_some(), "{call}: {error:?}");
    error
}

/// Dumps one database into another as users do, through a pipe; neither side may say a word.
fn dump_and_restore(cluster: &Cluster, from: &str, to: &str) {
    let dump_log = tempfile::NamedTempFile::new().expect("/tmp is writable");
    let mut dump = cluster
        .command("pg_dump", from)
        .arg("-Fc")
        .stdout(Stdio::piped())
        .stderr(dump_log.reopen().expect("it was made"))
        .spawn()
        .expect("pg_dump is there");
    let restore = cluster
        .command("pg_restore", to)
        .args(["-d", to])
        .stdin(dump.stdout.take().expect("it was piped"))
        .output()
        .expect("pg_restore is there");
    let dumped = dump.wait().expect("it was started");
    let said = std::fs::read_to_string(dump_log.path()).expect("it was made");
    assert!(dumped.success() && said.is_empty(), "pg_dump: {said}");
    let said = String::from_utf8_lossy(&restore.stderr);
    assert!(restore.status.success() && said.is_empty(), "pg_restore: {said}");
}

/// The figures of the report that do not depend on how full the pages are.
const REPORT: &str = "SELECT model, files, logical_bytes, unique_bytes, own_bytes, shared_bytes, freed_bytes, saved_percent, note FROM atoms.dedup_report()";

#[test]
fn a_restored_dump_has_equal_exports_and_figures() -> Result<()> {
    let db = Database::shared()?;
    let models = fill(&db)?;
    let large = noise(6, 2_000_000);
    let mut upload = Upload::begin(db.client()?, "half sent", &[("f", 2_000_000)])?;
    upload.announce_file(0, &[Part::of(&large)])?;
    upload.send_part(Part::of(&large).hash, 0, &large[..811_200])?;
    drop(upload);
    let copy = format!("{}_copy", db.name());
    db.cluster().create_database(&copy)?;
    dump_and_restore(db.cluster(), db.name(), &copy);

    let (mut here, mut there) = (db.client()?, db.cluster().connect(&copy)?);
    assert_exports(&mut there, &models)?;
    assert_eq!(answer(&mut there, REPORT)?, answer(&mut here, REPORT)?);
    for (name, call) in read_calls() {
        // A restored index was built, not grown, and a scan is the session's own.
        let differing = ["dedup_report", "access_rules", "dimspace_stats", "dimspace_last_scan"];
        if !differing.contains(&name) {
            assert_eq!(answer(&mut there, call)?, answer(&mut here, call)?, "{name}: {call}");
        }
    }
    assert_sound(&mut there)?;
    assert_eq!(stored(&mut there)?, stored(&mut here)?);
    restored_database_lives_on(db.cluster(), &copy, &large)?;
    drop(there);
    db.client()?.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)"))?;
    Ok(())
}

/// Ids go on, the unfinished import goes on, the collector works, and it dumps again.
fn restored_database_lives_on(cluster: &Cluster, dbname: &str, large: &[u8]) -> Result<()> {
    let mut client = cluster.connect(dbname)?;
    let last: i64 = value(&mut client, "SELECT max(atom_id) FROM atoms.atom")?;
    let new: i64 = value(&mut client, "SELECT atoms.upsert_atom('new here', 'text')")?;
    assert!(new > last, "{new} is not after {last}");
    let mut upload = Upload::begin(client, "half sent", &[("f", large.len() as i64)])?;
    assert_eq!(upload.missing()?[0].received_bytes, 811_200);
    upload.send_part(Part::of(large).hash, 811_200, &large[811_200..])?;
    upload.hash(0)?;
    upload.finish()?;
    let mut client = upload.client;
    assert_eq!(model_chunks(&mut client, "half sent")?["f"], large);
    client.batch_execute("SELECT atoms.drop_model('real')")?;
    client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    assert_sound(&mut client)?;
    let again = format!("{dbname}_again");
    cluster.create_database(&again)?;
    dump_and_restore(cluster, dbname, &again);
    client.batch_execute(&format!("DROP DATABASE {again} WITH (FORCE)"))?;
    Ok(())
}

#[test]
fn a_dump_as_text_restores_too() -> Result<()> {
    let db = Database::shared()?;
    let models = fill(&db)?;
    let copy = format!("{}_text", db.name());
    db.cluster().create_database(&copy)?;
    let script = db.file("dump.sql");
    quiet(db.cluster().command("pg_dump", db.name()).arg("-f").arg(&script));
    let psql = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f"];
    quiet(db.cluster().command("psql", &copy).args(psql).arg::<&Path>(&script));
    let mut there = db.cluster().connect(&copy)?;
    assert_exports(&mut there, &models)?;
    assert_eq!(answer(&mut there, REPORT)?, answer(&mut db.client()?, REPORT)?);
    drop(there);
    db.client()?.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)"))?;
    Ok(())
}

/// Runs a program that must succeed without a word.
fn quiet(command: &mut Command) {
    let output = command.output().expect("it is a program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {said}");
}

/// The list of calls above is complete: a new routine that reads must be added to it.
#[test]
fn every_reading_routine_has_a_call() -> Result<()> {
    let db = Database::shared()?;
    let query = "SELECT DISTINCT p.proname FROM atoms.access_rules() r JOIN pg_proc p ON p.oid = r.routine WHERE r.level = 'read'";
    for name in answer(&mut db.client()?, query)? {
        let called = read_calls().any(|(called, _)| called == name) || SERVER_FILE_CALLS.contains(&&*name);
        assert!(called, "{name} has no call in read_calls()");
    }
    Ok(())
}
