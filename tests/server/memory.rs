//! A file larger than any value passes through the program and the server in little memory, and comes back equal.

use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use fixtures::safetensors::{TensorSpec, write_large};
use pg_test::{Cluster, Result};

use crate::support::models::unequal_pages;
use crate::support::oracle::{stored, value};
use crate::support::turn::Turn;
use crate::support::{Database, refused};

/// The promise: anonymous resident memory of the program, and of each backend.
const ANONYMOUS_BYTES_MAX: u64 = 300_000_000;

/// 2.5 GB, one tensor above 1 GB: more than a value of PostgreSQL can hold.
const FILE_BYTES_MIN: u64 = 2_500_000_000;

/// Returns the anonymous resident memory of a process; `None` once it has ended.
fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Runs the program to its end, sampling its memory and that of all backends of the database; returns both peaks.
fn peaks(db: &Database, mut program: Child) -> Result<(u64, u64)> {
    let mut client = db.client()?;
    let backends = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (mut of_program, mut of_backend) = (0, 0);
    let status = loop {
        if let Some(status) = program.try_wait().expect("it was started") {
            break status;
        }
        of_program = of_program.max(anonymous_bytes(program.id()).unwrap_or_default());
        for row in client.query(backends, &[])? {
            of_backend = of_backend.max(anonymous_bytes(row.get::<_, i32>(0) as u32).unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    Ok((of_program, of_backend))
}

fn assert_small(what: &str, (program, backend): (u64, u64)) {
    println!("{what}: {program} bytes in the program, {backend} in a backend");
    assert!(program > 0 && backend > 0, "nothing was sampled");
    assert!(program < ANONYMOUS_BYTES_MAX, "{what}: the program took {program} bytes");
    assert!(backend < ANONYMOUS_BYTES_MAX, "{what}: a backend took {backend} bytes");
}

/// Hashes a large file with the system's program.
fn sha256sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum is there");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().expect("a hash").to_owned()
}

#[test]
fn a_file_of_2_5_gb_passes_in_300_mb() -> Result<()> {
    let _turn = Turn::alone();
    let db = Database::in_own_cluster(Cluster::builder())?;
    let path = db.file("large.safetensors");
    let tensors = [
        TensorSpec::new(1, "small", "F32", &[1000]),
        TensorSpec::new(1, "above a value", "F16", &[600, 1_000_000]),
        TensorSpec::new(1, "large", "U8", &[900_000_000]),
        TensorSpec::new(1, "larger", "F32", &[100, 1_000_000]),
    ];
    let size = write_large(&path, &tensors).expect("there is room");
    assert!(size >= FILE_BYTES_MIN, "{size}");
    let hash = sha256sum(&path);
    let mut import = db.atoms_command();
    let import = import.arg("import").arg(&path).args(["--name", "m"]).spawn().expect("ATOMS_BIN is a program");
    assert_small("import", peaks(&db, import)?);
    std::fs::remove_file(&path).expect("ours");
    let mut client = db.client()?;
    assert_eq!(value::<String>(&mut client, "SELECT content_hash::text FROM atoms.model_file")?, hash);
    assert_eq!(stored(&mut client)?.bytes as u64, size);

    let out = db.make_dir("out");
    let mut export = db.atoms_command();
    let export = export.args(["export", "m"]).arg(&out).spawn().expect("ATOMS_BIN is a program");
    assert_small("export", peaks(&db, export)?);
    assert_eq!(sha256sum(&out.join("large.safetensors")), hash);
    std::fs::remove_dir_all(&out).expect("ours");
    values_above_a_gigabyte_are_refused(&db)
}

/// What no value can hold is refused, with the call that gives it in pieces.
fn values_above_a_gigabyte_are_refused(db: &Database) -> Result<()> {
    let mut client = db.client()?;
    let refusal = refused(client.query("SELECT atoms.reconstruct_tensor('m', 'above a value')", &[]), "54000");
    assert!(refusal.hint.contains("tensor_slice"), "{refusal:?}");
    let atom = "(SELECT atom_id FROM atoms.atom ORDER BY size_bytes DESC LIMIT 1)";
    let refusal = refused(client.query(&format!("SELECT octet_length(atoms.atom_value({atom}))"), &[]), "54000");
    assert!(refusal.hint.contains("atom_slice"), "{refusal:?}");
    refused(client.query("SELECT atoms.tensor_slice('m', 'above a value', 0, 2000000000)", &[]), "54000");
    let row = client.query_one("SELECT atoms.tensor_slice('m', 'above a value', 1199999990, 100)", &[])?;
    assert_eq!(row.get::<_, &[u8]>(0).len(), 10);
    // Views list such atoms as long as their bytes are not asked for.
    client.query("SELECT atom_id, size_bytes, reference_count FROM atoms.atom_detail", &[])?;
    Ok(())
}

/// Runs a statement in a session of its own and returns the most anonymous memory that its backend had.
pub fn peak_of(db: &Database, statement: &str) -> Result<u64> {
    let mut client = db.client()?;
    let pid: i32 = value(&mut client, "SELECT pg_backend_pid()")?;
    thread::scope(|scope| {
        let running = scope.spawn(move || client.batch_execute(statement));
        let mut peak = 0;
        while !running.is_finished() {
            peak = peak.max(anonymous_bytes(pid as u32).unwrap_or_default());
            thread::sleep(Duration::from_millis(5));
        }
        running.join().expect("no panic")?;
        Ok(peak)
    })
}

/// What the server does by itself takes a few batches of memory, however large file and atom are.
#[test]
fn the_server_takes_no_more_for_a_large_atom() -> Result<()> {
    let _turn = Turn::alone();
    let db = Database::in_own_cluster(Cluster::builder())?;
    let path = db.file("large");
    std::fs::write(&path, unequal_pages(1, 600 << 20)).expect("there is room");
    let path = path.display();
    for statement in [
        format!("CALL atoms.import_model('m', '{path}')"),
        format!("CALL atoms.import_model('again', '{path}')"),
        format!("CALL atoms.import_model('chunks', '{path}', 'chunk')"),
        format!("CALL atoms.import_model('cdc', '{path}', 'cdc')"),
        format!("SELECT atoms.export_file('m', 'large', '{path}.out')"),
        "SELECT count(*) FROM (SELECT atoms.export_file_chunks('cdc', 'large')) chunks".to_owned(),
        "SELECT * FROM atoms.verify_atoms()".to_owned(),
        "SELECT * FROM atoms.verify_model('chunks')".to_owned(),
    ] {
        let peak = peak_of(&db, &statement)?;
        println!("{peak} bytes for {statement}");
        assert!(peak > 0 && peak < ANONYMOUS_BYTES_MAX, "{peak} bytes for {statement}");
    }
    Ok(())
}
