//! A cancelled query, or Ctrl-C in the program, ends within a second and leaves nothing but what was committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fixtures::safetensors::{TensorSpec, write_large};
use pg_test::{Cluster, Result};
use postgres::Client;

use crate::support::import::{STRATEGIES, TENSOR, import_bytes};
use crate::support::models::{Hashes, files_below, noise, unequal_pages};
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::turn::Turn;
use crate::support::{Database, refused, wait_until};

/// The promise.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// Large enough to be in the middle of at each of these times.
const MODEL_BYTES: usize = 600 << 20;
const MOMENTS: [Duration; 3] = [Duration::from_millis(40), Duration::from_millis(150), Duration::from_millis(400)];

/// A cluster of its own, in which nobody works but the test, and no other test beside it.
pub fn quiet_cluster() -> Result<(Turn, Database)> {
    let turn = Turn::alone();
    Ok((turn, Database::in_own_cluster(Cluster::builder().setting("max_wal_size = 8GB"))?))
}

fn lend_large(db: &Database) -> PathBuf {
    let dir = db.make_dir("model");
    std::fs::write(dir.join("large.bin"), unequal_pages(1, MODEL_BYTES)).expect("writable");
    dir
}

/// Runs a statement in its own session, cancels it at a moment, and asserts that it ends in time, cancelled.
pub fn cancel_at(db: &Database, statement: &str, moment: Duration) -> Result<()> {
    let mut client = db.client()?;
    let pid: i32 = value(&mut client, "SELECT pg_backend_pid()")?;
    let mut canceller = db.client()?;
    println!("{statement}, cancelled after {moment:?}");
    thread::scope(|scope| {
        let running = scope.spawn(move || {
            let ended = client.simple_query(statement).map(drop);
            // The error comes before the transaction is rolled back; the next answer comes after.
            client.simple_query("").expect("the session goes on");
            (ended, Instant::now(), client)
        });
        let active = format!(
            "SELECT state = 'active' AND query NOT LIKE '%pg_backend_pid%' FROM pg_stat_activity WHERE pid = {pid}"
        );
        wait_until("the statement runs", || value(&mut canceller, &active)).expect("the server runs");
        thread::sleep(moment);
        let cancelled = Instant::now();
        canceller.query("SELECT pg_cancel_backend($1)", &[&pid]).expect("the server runs");
        let (ended, when, client) = running.join().expect("no panic");
        refused(ended, "57014");
        let late = when.saturating_duration_since(cancelled);
        println!("ended after {late:?}");
        assert!(late < ENDS_WITHIN, "{statement} ended {late:?} after it was cancelled");
        // Asked while the session lives: at its end the server would release everything.
        assert_nothing_held(db).expect("the server runs");
        drop(client);
    });
    Ok(())
}

/// Asserts that no session but the one that asks holds a lock of this database.
fn assert_nothing_held(db: &Database) -> Result<()> {
    let query = "SELECT row(l.pid, l.locktype, l.relation::regclass, l.mode)::text FROM pg_locks l \
        WHERE l.pid <> pg_backend_pid() AND (l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
              OR l.locktype IN ('transactionid', 'advisory'))";
    let held: Vec<String> = db.client()?.query(query, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(held, Vec::<String>::new());
    Ok(())
}

fn models(client: &mut Client) -> Result<i64> {
    value(client, "SELECT count(*) FROM atoms.model")
}

/// Where each row of payload lies.
fn places(client: &mut Client) -> Result<BTreeSet<String>> {
    let query = "SELECT row(s.atom_id, s.raw_offset, s.ctid)::text FROM atoms.atom_segment s";
    Ok(client.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("it is there");
    entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn an_import_by_the_server() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    let mut client = db.client()?;
    for strategy in ["tensor", "chunk"] {
        let call = format!("CALL atoms.import_model('{strategy}', '{}', '{strategy}')", dir.display());
        let mut before = BTreeSet::new();
        for moment in MOMENTS {
            cancel_at(&db, &call, moment)?;
            assert_eq!(
                value::<i64>(&mut client, &format!("SELECT count(*) FROM atoms.model WHERE name = '{strategy}'"))?,
                0
            );
            assert_sound(&mut client)?;
            let now = places(&mut client)?;
            assert!(before.is_subset(&now), "what was committed is stored again");
            before = now;
        }
        assert_eq!(
            value::<i64>(&mut client, "SELECT count(*) FROM atoms.model_import")?,
            1,
            "each run went on with it"
        );
        client.batch_execute(&call)?;
        assert!(before.is_subset(&places(&mut client)?), "what was committed is stored again");
        client.execute("SELECT atoms.drop_model($1)", &[&strategy])?;
        db.collect_all()?;
    }
    Ok(())
}

#[test]
fn an_import_at_once_leaves_nothing() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    let mut client = db.client()?;
    for moment in MOMENTS {
        cancel_at(&db, &format!("SELECT atoms.import_model_at_once('m', '{}')", dir.display()), moment)?;
        let imports: i64 = value(&mut client, "SELECT count(*) FROM atoms.model_import")?;
        assert_eq!((models(&mut client)?, imports, stored(&mut client)?.segments), (0, 0, 0));
    }
    Ok(())
}

#[test]
fn exports_by_the_server() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    db.import("m", &dir)?;
    let out = db.make_dir("out");
    let mut moments = MOMENTS;
    moments[2] /= 2;
    for moment in moments {
        let file = format!("SELECT atoms.export_file('m', 'large.bin', '{}')", out.join("final").display());
        cancel_at(&db, &file, moment)?;
        assert_eq!(names_in(&out), Vec::<String>::new());
        cancel_at(&db, &format!("SELECT atoms.export_model('m', '{}')", out.display()), moment)?;
        assert_eq!(names_in(&out), Vec::<String>::new());
        cancel_at(&db, "SELECT count(*) FROM (SELECT atoms.export_file_chunks('m', 'large.bin')) chunks", moment)?;
        cancel_at(&db, "SELECT count(*) FROM atoms.export_model_chunks('m')", moment)?;
    }
    Ok(())
}

#[test]
fn verification() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    let mut client = db.client()?;
    let call = format!("CALL atoms.import_model('m', '{}', 'chunk', 1048576)", dir.display());
    client.batch_execute(&call)?;
    for moment in [MOMENTS[0], MOMENTS[1]] {
        for statement in [
            "SELECT * FROM atoms.verify_atoms()",
            "SELECT * FROM atoms.verify_model('m')",
            "CALL atoms.verify_all_atoms()",
            "SELECT atoms.atom_problem(atom_id) FROM atoms.atom",
        ] {
            cancel_at(&db, statement, moment)?;
        }
    }
    assert_sound(&mut client)
}

#[test]
fn collection() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = db.client()?;
    let bytes = noise(1, 100 << 20);
    import_bytes(&mut client, "m", "f", &bytes, STRATEGIES[2])?;
    client.batch_execute("SELECT atoms.drop_model('m')")?;
    let all = stored(&mut client)?.atoms;
    for moment in [MOMENTS[0], MOMENTS[0] * 2] {
        cancel_at(&db, "SELECT atoms.vacuum_atoms('0', 1000000)", moment)?;
        assert_eq!(stored(&mut client)?.atoms, all, "one transaction, so all of it or nothing");
    }
    cancel_at(&db, "CALL atoms.vacuum_all_atoms('0')", MOMENTS[0])?;
    assert_sound(&mut client)?;
    db.collect_all()?;
    assert_eq!((stored(&mut client)?.atoms, stored(&mut client)?.segments), (0, 0));
    Ok(())
}

/// Statements that walk through all values of a tensor of half a billion.
#[test]
fn values_of_a_large_tensor() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    for (seed, model) in [(1, "a"), (2, "b")] {
        let dir = db.make_dir(model);
        // One shape and other bytes, so that they have to be compared; F4 makes two values of a byte.
        let tensor = TensorSpec::new(seed, "t", "F4", &[MODEL_BYTES as u64]);
        write_large(&dir.join("model.safetensors"), &[tensor]).expect("writable");
        db.import(model, &dir)?;
    }
    let out = db.make_dir("out");
    let statements = [
        "SELECT * FROM atoms.tensor_stats('a', 't')".to_owned(),
        "SELECT * FROM atoms.diff_models('a', 'b')".to_owned(),
        "SELECT sum(cardinality(atoms.tensor_values('a', 't', n << 24, 1 << 24))) FROM generate_series(0::bigint, 20) n".to_owned(),
        format!("SELECT atoms.export_tensors('a', '{}')", out.join("final").display()),
    ];
    for statement in statements {
        for moment in [MOMENTS[0], MOMENTS[1]] {
            cancel_at(&db, &statement, moment)?;
        }
    }
    assert_eq!(names_in(&out), Vec::<String>::new());
    Ok(())
}

/// Starts the program and waits until it has a session.
fn start_program(db: &Database, args: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<Child> {
    let (mut client, here) = (db.client()?, format!("SELECT count(*) > 0 {OTHER_SESSIONS}"));
    let mut command = db.atoms_command();
    command.args(args.iter().map(|arg| arg.as_ref())).stdout(Stdio::null()).stderr(Stdio::piped());
    let program = command.spawn().expect("ATOMS_BIN is a program");
    wait_until("the program is connected", || value(&mut client, &here)).expect("the server runs");
    Ok(program)
}

/// Sessions of this database other than the one that asks.
const OTHER_SESSIONS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

/// Sends Ctrl-C's signal and asserts that the program ends in time, with the exit code for it.
fn interrupt(mut program: Child) -> String {
    let begun = Instant::now();
    let status = Command::new("kill").args(["-INT", &program.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
    let status = program.wait().expect("it was started");
    let late = begun.elapsed();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut program.stderr.take().expect("piped"), &mut said).expect("UTF-8");
    println!("ended after {late:?}: {said}");
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(late < ENDS_WITHIN, "it ended after {late:?}");
    said
}

/// Waits until the program's sessions are gone; a second is as much as they have, too.
fn assert_sessions_end(db: &Database) -> Result<()> {
    let mut client = db.client()?;
    let others = format!("SELECT count(*) {OTHER_SESSIONS}");
    let begun = Instant::now();
    while value::<i64>(&mut client, &others)? > 0 {
        assert!(begun.elapsed() < ENDS_WITHIN, "sessions of the program go on");
    }
    drop(client);
    assert_nothing_held(db)
}

#[test]
fn ctrl_c_in_an_import_by_the_program() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    let mut before = BTreeSet::new();
    for moment in MOMENTS {
        let program = start_program(&db, &[&"import", &dir, &"--name", &"m"])?;
        thread::sleep(moment);
        let said = interrupt(program);
        assert!(said.contains("Run the same command again"), "{said}");
        assert_sessions_end(&db)?;
        let mut client = db.client()?;
        assert_eq!(models(&mut client)?, 0);
        assert_sound(&mut client)?;
        let now = places(&mut client)?;
        assert!(before.is_subset(&now), "what was committed is stored again");
        before = now;
    }
    let present = stored(&mut db.client()?)?.bytes
        + value::<i64>(&mut db.client()?, "SELECT coalesce(sum(received_bytes), 0)::bigint FROM atoms.import_atom")?;
    let ended = db.import_by_cli("m", &dir, TENSOR);
    let sent = ended["sent_bytes"].as_i64().expect("a number");
    assert!(sent <= MODEL_BYTES as i64 - present, "{sent} sent, {present} were there");
    assert_eq!(db.export_by_cli("m"), files_below(&dir));
    Ok(())
}

#[test]
fn ctrl_c_in_an_export_by_the_program() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    db.import("m", &dir)?;
    let out = tempfile::tempdir().expect("/tmp is writable");
    for moment in [MOMENTS[0], MOMENTS[1]] {
        let program = start_program(&db, &[&"export", &"m", &out.path()])?;
        thread::sleep(moment);
        interrupt(program);
        assert_eq!(names_in(out.path()), Vec::<String>::new());
        assert_sessions_end(&db)?;
    }
    db.atoms(&[&"export", &"m", &out.path()]);
    let whole: Hashes = files_below(out.path());
    assert_eq!(whole, files_below(&dir));
    Ok(())
}

#[test]
fn ctrl_c_in_verification_and_collection_by_the_program() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let dir = lend_large(&db);
    db.import("m", &dir)?;
    for args in [["verify"].as_slice(), &["verify", "m"]] {
        let args: Vec<&dyn AsRef<std::ffi::OsStr>> = args.iter().map(|arg| arg as _).collect();
        let program = start_program(&db, &args)?;
        thread::sleep(MOMENTS[0]);
        interrupt(program);
        assert_sessions_end(&db)?;
    }
    db.import_with("chunks", &dir, STRATEGIES[1])?;
    db.atoms(&[&"rm", &"chunks"]);
    let program = start_program(&db, &[&"gc", &"--grace", &"0"])?;
    thread::sleep(MOMENTS[0] / 2);
    interrupt(program);
    assert_sessions_end(&db)?;
    assert_sound(&mut db.client()?)?;
    assert_eq!(db.export_by_cli("m"), files_below(&dir));
    Ok(())
}
