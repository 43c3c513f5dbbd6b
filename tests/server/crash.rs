//! The server dies in the middle of imports, or its disk is full: nothing half is seen, and the import goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fixtures::noise::Noise;
use fixtures::safetensors::random_model;
use pg_test::{Cluster, Result};

use crate::support::import::{TENSOR, hashes_of, model_chunks};
use crate::support::models::{self, Hashes, noise};
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::{Database, refused};

/// Files that need several transactions: many small atoms, and one that crosses transactions.
fn write_model(dir: &Path) -> Hashes {
    let layers: Vec<String> = (0..100).map(|layer| format!("layer.{layer}")).collect();
    let tensors: Vec<(&str, &str, &[u64])> =
        layers.iter().map(|name| (name.as_str(), "F32", [50, 250].as_slice())).collect();
    let files = [
        ("a.bin", noise(11, 6_000_000)),
        ("layers.safetensors", random_model(12, &tensors)),
        ("large.safetensors", random_model(13, &[("w", "U8", &[68_000_000])])),
        ("small", b"small".to_vec()),
    ];
    models::write(dir, &files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
}

/// A seed that a failing run prints, and that PG_ATOMS_SEED repeats.
fn seed() -> u64 {
    let given = std::env::var("PG_ATOMS_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let seed = given.unwrap_or(now);
    println!("PG_ATOMS_SEED={seed}");
    seed
}

/// Who imports.
#[derive(Clone, Copy, Debug)]
enum By {
    Program,
    Server,
}

/// Starts an import in a process of its own.
fn start_import(db: &Database, by: By, dir: &Path) -> std::process::Child {
    let mut command = match by {
        By::Program => {
            let mut command = db.atoms_command();
            command.arg("import").arg(dir).args(["--name", "m"]);
            command
        }
        By::Server => {
            let call = format!("CALL atoms.import_model('m', '{}')", dir.display());
            let mut command = db.cluster().command("psql", db.name());
            command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &call]).stdin(Stdio::null());
            command
        }
    };
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it is a program")
}

/// Where each row of payload lies: what stays there was not stored again.
fn places(db: &Database) -> Result<BTreeSet<String>> {
    let query = "SELECT row(s.atom_id, s.raw_offset, s.ctid)::text FROM atoms.atom_segment s";
    Ok(db.client()?.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}

#[test]
fn twenty_kills_lose_nothing_that_was_committed() -> Result<()> {
    const ROUNDS: u64 = 20;
    let db = Database::in_own_cluster(Cluster::builder())?;
    let dir = db.file("model");
    let hashes = write_model(&dir);
    let total_bytes = {
        db.import_by_cli("m", &dir, TENSOR);
        stored(&mut db.client()?)?.bytes
    };
    db.atoms(&[&"rm", &"m"]);
    db.collect_all()?;
    let begun = Instant::now();
    db.import("m", &dir)?;
    let whole = begun.elapsed();
    let mut random = Noise::new(seed(), "kill");
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        db.atoms(&[&"rm", &"m"]);
        db.collect_all()?;
        assert_eq!(stored(&mut db.client()?)?.segments, 0, "nothing stays of the round before");
        let by = if round % 2 == 0 { By::Program } else { By::Server };
        let wait = Duration::from_micros(random.next_u64() % whole.as_micros() as u64);
        println!("round {round}: {by:?}, killed after {wait:?}");
        let mut import = start_import(&db, by, &dir);
        thread::sleep(wait);
        let killed = db.cluster().kill9();
        import.wait().expect("it was started");
        killed?;
        db.cluster().start()?;
        interrupted += u64::from(go_on_after_kill(&db, by, &dir, &hashes, total_bytes)?);
    }
    assert!(interrupted * 2 > ROUNDS, "only {interrupted} of {ROUNDS} imports were interrupted: wait shorter");
    Ok(())
}

/// Checks what the kill left, runs the import again, and checks that it sent no more than was missing; true when it had to.
fn go_on_after_kill(db: &Database, by: By, dir: &Path, hashes: &Hashes, total_bytes: i64) -> Result<bool> {
    let mut client = db.client()?;
    assert_sound(&mut client)?;
    if value::<i64>(&mut client, "SELECT count(*) FROM atoms.model")? == 1 {
        assert_eq!(hashes_of(&model_chunks(&mut client, "m")?), *hashes, "visible, so whole");
        return Ok(false);
    }
    let received: i64 = value(&mut client, "SELECT coalesce(sum(received_bytes), 0)::bigint FROM atoms.import_atom")?;
    let present = stored(&mut client)?.bytes + received;
    let before = places(db)?;
    match by {
        By::Program => {
            let ended = db.atoms(&[&"import", &dir, &"--name", &"m"]);
            let sent = ended["sent_bytes"].as_i64().expect("a number");
            assert!(sent <= total_bytes - present, "{sent} sent; of {total_bytes}, {present} were there");
        }
        By::Server => db.import("m", dir)?,
    }
    let after = places(db)?;
    assert!(before.is_subset(&after), "what was there was stored again");
    assert_eq!(stored(&mut client)?.bytes, total_bytes);
    assert_eq!(hashes_of(&model_chunks(&mut client, "m")?), *hashes);
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.model_import")?, 0, "the same import went on");
    Ok(true)
}

/// A small file system in memory; unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one.  There is no other way to a full disk that a server also sees, so without the right to mount this fails.
    fn mount(path: &Path, mib: u32) -> SmallDisk {
        std::fs::create_dir(path).expect("the folder is new");
        let options = format!("size={mib}m,mode=0777");
        let args = ["mount", "-t", "tmpfs", "-o", &options, "pg_atoms-test"];
        let mounted = Command::new(args[0]).args(&args[1..]).arg(path).stderr(Stdio::null()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            let output = Command::new("sudo").arg("-n").args(args).arg(path).output().expect("neither root nor sudo");
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "a full disk needs the right to mount a tmpfs (root or sudo): {why}");
        }
        SmallDisk { path: path.to_owned() }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        for program in [["umount", "-l"].as_slice(), &["sudo", "-n", "umount", "-l"]] {
            let ended = Command::new(program[0]).args(&program[1..]).arg(&self.path).stderr(Stdio::null()).status();
            if ended.is_ok_and(|status| status.success()) {
                return;
            }
        }
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_the_import_goes_on_when_there_is_room() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let dir = db.file("model");
    let hashes = write_model(&dir);
    let disk = SmallDisk::mount(&db.file("small disk"), 200);
    let space = std::fs::canonicalize(&disk.path).expect("mounted").join("space");
    db.make_dir("small disk/space");
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", space.display());
    db.client()?.batch_execute(&tablespace)?;
    let small = db.sibling("TABLESPACE small")?;
    // What a query of ours spills must not fail for want of the space that the test has taken.
    let spill = format!("ALTER DATABASE {} SET temp_tablespaces = pg_default", small.name());
    db.client()?.batch_execute(&spill)?;
    small.import_bytes("before", "f", &noise(1, 1_000_000))?;
    let ballast = disk.path.join("ballast");
    std::fs::write(&ballast, vec![1; 130 << 20]).expect("there is room for it");

    for by in [By::Server, By::Program] {
        run_out_of_space(&small, by, &dir);
        let mut client = small.client()?;
        assert_sound(&mut client)?;
        let models: Vec<String> =
            client.query("SELECT name FROM atoms.model", &[])?.iter().map(|row| row.get(0)).collect();
        assert_eq!(models, ["before"], "nothing half is visible");
        assert_eq!(model_chunks(&mut client, "before")?["f"], noise(1, 1_000_000), "what was there is whole");
    }
    export_to_a_full_disk(&small, &disk.path)?;

    std::fs::remove_file(&ballast).expect("ours");
    let before = places(&small)?;
    assert!(!before.is_empty());
    small.import_by_cli("m", &dir, TENSOR);
    assert!(before.is_subset(&places(&small)?), "what was there was stored again");
    let mut client = small.client()?;
    assert_eq!(hashes_of(&model_chunks(&mut client, "m")?), hashes);
    assert_sound(&mut client)?;
    drop((client, small));
    db.client()?.batch_execute("DROP TABLESPACE small")?;
    Ok(())
}

fn run_out_of_space(db: &Database, by: By, dir: &Path) {
    match by {
        By::Server => {
            let call = format!("CALL atoms.import_model('m', '{}')", dir.display());
            let mut client = db.client().expect("the server lives on");
            refused(client.batch_execute(&call), "53100").names(&["No space left on device"]);
        }
        By::Program => {
            let ended = db.run_atoms(&[&"import", &dir, &"--name", &"m"]);
            assert_eq!(ended.code, Some(9), "{ended:?}");
            assert!(ended.stderr.contains("53100") && ended.stderr.contains("No space left"), "{ended:?}");
        }
    }
}

fn export_to_a_full_disk(db: &Database, disk: &Path) -> Result<()> {
    let mut client = db.client()?;
    let rest = disk.join("rest");
    // Fills what is left; the write ends where the disk does.
    let _ = std::fs::write(&rest, vec![1; 400 << 20]);
    let out = disk.join("space");
    let call = "SELECT atoms.export_file('before', 'f', $1)";
    refused(client.query(call, &[&out.join("out").to_str()]), "53100");
    let left: Vec<_> = std::fs::read_dir(&out).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("PG_")), "{left:?}");
    std::fs::remove_file(&rest).expect("ours");
    Ok(())
}
