//! Hostile safetensors and GGUF files: each is refused for its fault where its structure is asked for, and kept as it is where it is stored.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use atom::FaultKind;
use fixtures::Hostile;
use fixtures::gguf;
use fixtures::safetensors::{self, header_over_limit, random_model, too_many_tensors};
use pg_test::Result;
use postgres::Client;

use crate::support::import::{STRATEGIES, TENSOR, file_chunks, import_bytes};
use crate::support::refusal::Refusal;
use crate::support::{Database, refused};

fn sqlstate(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Malformed => "22P03",
        FaultKind::Limit => "54000",
        FaultKind::Unsupported => "0A000",
        other => panic!("no hostile file is {other:?}"),
    }
}

/// The hostile files of each format.
fn all() -> Vec<(&'static str, Hostile)> {
    let of = |format, files: Vec<Hostile>| files.into_iter().map(move |file| (format, file));
    of("safetensors", safetensors::all()).chain(of("gguf", gguf::all())).collect()
}

fn extract_as(client: &mut Client, format: &str, bytes: &[u8]) -> Result<Vec<postgres::Row>, postgres::Error> {
    client.query("SELECT * FROM atoms.extract_model_tensors($1::bytea, $2)", &[&bytes, &format])
}

fn extract(client: &mut Client, bytes: &[u8]) -> Result<Vec<postgres::Row>, postgres::Error> {
    extract_as(client, "safetensors", bytes)
}

/// Returns the offset that a refusal gives in its detail.
fn offset_in(refusal: &Refusal) -> Option<u64> {
    let (_, rest) = refusal.detail.rsplit_once("file offset ")?;
    rest.trim_end_matches(['.', ')']).parse().ok()
}

fn assert_refused_for_its_fault(hostile: &Hostile, refusal: Refusal) {
    let refusal = refusal.names(hostile.names_in_message);
    let offset = offset_in(&refusal);
    assert!(offset.is_some_and(|offset| hostile.offset.contains(&offset)), "{}: {refusal:?}", hostile.name);
}

#[test]
fn each_file_given_as_bytes_is_refused_for_its_fault() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let files = all();
    assert!(files.len() >= 100, "only {} hostile files", files.len());
    for (format, hostile) in files {
        println!("{format} {}", hostile.name);
        let refusal = refused(extract_as(&mut client, format, &hostile.bytes), sqlstate(hostile.kind));
        assert_refused_for_its_fault(&hostile, refusal);
    }
    Ok(())
}

#[test]
fn each_file_of_the_server_is_refused_for_its_fault() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for (format, hostile) in all() {
        println!("{format} {}", hostile.name);
        let path = db.file(hostile.name);
        std::fs::write(&path, &hostile.bytes).expect("writable");
        let query = "SELECT * FROM atoms.extract_server_file_tensors($1, $2)";
        let refusal = refused(client.query(query, &[&path.to_str(), &format]), sqlstate(hostile.kind));
        assert_refused_for_its_fault(&hostile, refusal);
    }
    Ok(())
}

#[test]
fn the_largest_files_are_refused_for_their_fault() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for hostile in [header_over_limit(), too_many_tensors()] {
        let refusal = refused(extract(&mut client, &hostile.bytes), "54000");
        refusal.names(hostile.names_in_message);
    }
    Ok(())
}

/// A backend is woken for much that ends no query: the memory report asked for here, databases dropped elsewhere.
#[test]
fn a_reading_goes_on_when_its_backend_is_woken() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let names: Vec<String> = (0..50_000).map(|number| format!("layer.{number}.weight")).collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), "U8", [1_u64].as_slice())).collect();
    let file = random_model(1, &tensors);
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let mut other = db.client()?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                other.execute("SELECT pg_log_backend_memory_contexts($1)", &[&pid]).expect("the server runs");
            }
        });
        let counts: Vec<_> = (0..10).map(|_| extract(&mut client, &file).map(|rows| rows.len())).collect();
        done.store(true, Ordering::Relaxed);
        for count in counts {
            assert_eq!(count.expect("nobody cancelled it"), 50_000);
        }
    });
    Ok(())
}

/// The limits are settings, which a superuser may change.
#[test]
fn limits_are_settings() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let file = random_model(1, &[("a", "U8", &[1]), ("b", "U8", &[1]), ("c", "U8", &[1])]);
    assert_eq!(extract(&mut client, &file)?.len(), 3);
    client.batch_execute("SET pg_atoms.tensors_max = 2")?;
    refused(extract(&mut client, &file), "54000").names(&["tensors"]);
    client.batch_execute("RESET pg_atoms.tensors_max; SET pg_atoms.header_bytes_max = 1024")?;
    let long = random_model(1, &[(&"n".repeat(1024), "U8", &[1])]);
    refused(extract(&mut client, &long), "54000").names(&["header bytes"]);
    Ok(())
}

#[test]
fn every_prefix_of_a_file_is_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let file = random_model(5, &[("a", "F32", &[3]), ("b", "U8", &[2, 2]), ("c", "F64", &[])]);
    for length in 0..file.len() {
        let refusal = refused(extract(&mut client, &file[..length]), "22P03");
        assert!(offset_in(&refusal).is_some_and(|offset| offset <= length as u64), "{length}: {refusal:?}");
        assert!(refusal.hint.contains("truncated"), "{length}: {refusal:?}");
    }
    assert_eq!(extract(&mut client, &file)?.len(), 3);
    Ok(())
}

/// What a file must say to be taken for one of a format: of safetensors the length of a header that fits, and its first byte; of
/// GGUF the magic, and a version whatever it is.
fn looks_like(format: &str, bytes: &[u8]) -> bool {
    match format {
        "gguf" => bytes.starts_with(b"GGUF") && bytes.len() >= 8,
        _ => {
            bytes.get(8) == Some(&b'{')
                && bytes.first_chunk().is_some_and(|length| u64::from_le_bytes(*length) < 1 << 63)
        }
    }
}

#[test]
fn each_file_is_stored_opaque_with_a_note_and_comes_back() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for (number, (kind, hostile)) in all().into_iter().enumerate() {
        let model = format!("{kind} {}", hostile.name);
        println!("{model}");
        import_bytes(&mut client, &model, "f", &hostile.bytes, STRATEGIES[number % STRATEGIES.len()])?;
        assert_eq!(file_chunks(&mut client, &model, "f")?, hostile.bytes, "{model}");
        let query = "SELECT format, note FROM atoms.model_file WHERE model_id = atoms.model_id($1)";
        let row = client.query_one(query, &[&model])?;
        let (format, note): (Option<&str>, Option<&str>) = (row.get(0), row.get(1));
        assert_eq!(format, None, "{model}");
        if looks_like(kind, &hostile.bytes) {
            let note = note.unwrap_or_else(|| panic!("{model} has no note"));
            assert!(hostile.names_in_message.iter().all(|word| note.contains(word)), "{model}: {note}");
            let findings = "SELECT rule, severity FROM atoms.model_findings WHERE model = $1";
            let row = client.query_one(findings, &[&model])?;
            assert_eq!((row.get(0), row.get(1)), ("structure_refused", "error"), "{model}");
        }
        let tensors = client.query("SELECT * FROM atoms.extract_model_tensors($1::text)", &[&model])?;
        assert!(tensors.is_empty(), "{model}");
    }
    Ok(())
}

/// The server and the program decide alike what is opaque: both import all files as one model each, and both give them back.
#[test]
fn all_files_go_through_the_program() -> Result<()> {
    let db = Database::shared()?;
    let files: BTreeMap<String, Vec<u8>> =
        all().into_iter().map(|(format, hostile)| (format!("{}.{format}", hostile.name), hostile.bytes)).collect();
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let hashes = crate::support::models::write(dir.path(), &files);
    db.import_by_cli("m", dir.path(), TENSOR);
    assert_eq!(db.export_by_cli("m"), hashes);
    let formats = "SELECT path FROM atoms.model_file WHERE format IS NOT NULL";
    assert!(db.client()?.query(formats, &[])?.is_empty());
    Ok(())
}
