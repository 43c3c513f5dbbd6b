//! Files of the server: PostgreSQL's own roles and the allowed folders decide, and only regular files within them are opened.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pg_test::Result;
use postgres::Client;

use crate::support::models::{files_below, noise};
use crate::support::{Database, refused};

/// Calls that open a path of the server for reading.
fn reading_calls(path: &Path) -> [String; 4] {
    let path = path.display();
    [
        format!("CALL atoms.import_model('m', '{path}')"),
        format!("SELECT atoms.import_model_at_once('m', '{path}')"),
        format!("SELECT atoms.begin_server_import('m', '{path}', 'tensor', 65536, 'error')"),
        format!("SELECT * FROM atoms.extract_server_file_tensors('{path}')"),
    ]
}

/// Calls that write a path of the server.
fn writing_calls(path: &Path) -> [String; 2] {
    let path = path.display();
    [
        format!("SELECT atoms.export_file('stored', 'f', '{path}')"),
        format!("SELECT atoms.export_model('stored', '{path}')"),
    ]
}

#[track_caller]
fn all_refused(client: &mut Client, calls: impl IntoIterator<Item = String>, sqlstate: &str) {
    for call in calls {
        println!("{call}");
        refused(client.simple_query(&call).map(drop), sqlstate);
    }
}

fn with_stored_model() -> Result<Database> {
    let db = Database::shared()?;
    db.import_bytes("stored", "f", &noise(1, 10_000))?;
    Ok(db)
}

#[test]
fn a_level_opens_no_file_of_the_server() -> Result<()> {
    let db = with_stored_model()?;
    let file = db.file("readable");
    std::fs::write(&file, fixtures::safetensors::random_model(1, &[("a", "U8", &[5])])).expect("writable");
    let role = db.role("admin", "")?;
    let mut superuser = db.client()?;
    superuser.execute("SELECT atoms.grant_access($1::text::name, 'admin')", &[&role])?;
    let mut client = db.client_as(&role)?;
    all_refused(&mut client, reading_calls(&file), "42501");
    all_refused(&mut client, writing_calls(&db.file("out")), "42501");
    refused(client.batch_execute("SET pg_atoms.allowed_dirs = '/'"), "42501");

    // PostgreSQL's roles open one direction each, and only below the allowed folders.
    superuser.batch_execute(&format!("GRANT pg_read_server_files TO {role}"))?;
    all_refused(&mut client, writing_calls(&db.file("out")), "42501");
    all_refused(&mut client, reading_calls(Path::new("/etc/hostname")), "42501");
    all_refused(&mut client, reading_calls(Path::new("/etc")).into_iter().take(3), "42501");
    all_refused(&mut client, reading_calls(Path::new("/no/such/file")), "42501");
    for (number, call) in reading_calls(&file).iter().enumerate() {
        client.batch_execute(&call.replace("'m'", &format!("'m{number}'")))?;
    }
    superuser
        .batch_execute(&format!("REVOKE pg_read_server_files FROM {role}; GRANT pg_write_server_files TO {role}"))?;
    all_refused(&mut client, reading_calls(&file), "42501");
    all_refused(&mut client, writing_calls(Path::new("/tmp/pg_atoms-outside")), "42501");
    client.batch_execute(&writing_calls(&db.file("out"))[0])?;
    client.batch_execute(&writing_calls(&db.file("out dir"))[1])?;
    assert_eq!(std::fs::read(db.file("out")).expect("it was exported"), noise(1, 10_000));
    Ok(())
}

/// A step of the import opens the files again, as the caller, who may have lost the right meanwhile.
#[test]
fn each_step_asks_for_the_right_again() -> Result<()> {
    let db = Database::shared()?;
    let file = db.file("readable");
    std::fs::write(&file, noise(1, 10_000)).expect("writable");
    let role = db.role("writer", "")?;
    let mut superuser = db.client()?;
    superuser.execute("SELECT atoms.grant_access($1::text::name, 'write')", &[&role])?;
    superuser.batch_execute(&format!("GRANT pg_read_server_files TO {role}"))?;
    let mut client = db.client_as(&role)?;
    let path = file.to_str().expect("UTF-8");
    let begin = "SELECT atoms.begin_server_import('m', $1, 'tensor', 65536, 'error')";
    let id: i64 = client.query_one(begin, &[&path])?.get(0);
    superuser.batch_execute(&format!("REVOKE pg_read_server_files FROM {role}"))?;
    let step = "SELECT atoms.import_step($1, $2)";
    refused(client.query_one(step, &[&id, &path]), "42501");
    superuser.batch_execute(&format!("GRANT pg_read_server_files TO {role}"))?;
    // Another file under the same path is another file, whatever its size.
    std::fs::remove_file(&file).expect("ours");
    std::fs::write(&file, noise(2, 10_000)).expect("writable");
    refused(client.query_one(step, &[&id, &path]), "55000").names(&["has changed", path]);
    Ok(())
}

#[test]
fn even_a_superuser_stays_in_the_allowed_folders() -> Result<()> {
    let db = with_stored_model()?;
    let mut client = db.client()?;
    let inside = db.file("x");
    for outside in ["/etc/passwd", "/proc/self/environ", "/dev/zero", "/dev/null", "/tmp"] {
        all_refused(&mut client, reading_calls(Path::new(outside)), "42501");
        all_refused(&mut client, writing_calls(Path::new(outside)), "42501");
    }
    let dotted = db.file("../../data/postgresql.conf");
    all_refused(&mut client, reading_calls(&dotted), "42501");
    all_refused(&mut client, writing_calls(&db.file("../../data/x")), "42501");
    client.batch_execute("SET pg_atoms.allowed_dirs = ''")?;
    std::fs::write(&inside, "x").expect("writable");
    all_refused(&mut client, reading_calls(&inside), "42501");
    client.batch_execute(&format!("SET pg_atoms.allowed_dirs = '/no/such/folder, {}'", db.file("").display()))?;
    client.batch_execute(&reading_calls(&inside)[0])?;
    // A folder is not allowed by being the beginning of another one's name.
    client.batch_execute(&format!("SET pg_atoms.allowed_dirs = '{}'", inside.display()))?;
    let longer = db.file("x and more");
    std::fs::write(&longer, "x").expect("writable");
    all_refused(&mut client, reading_calls(&longer), "42501");
    Ok(())
}

#[test]
fn paths_that_are_no_files_are_refused() -> Result<()> {
    let db = with_stored_model()?;
    let mut client = db.client()?;
    all_refused(&mut client, reading_calls(Path::new("relative/path")), "22023");
    all_refused(&mut client, writing_calls(Path::new("relative/path")), "22023");
    all_refused(&mut client, reading_calls(&db.file("missing")), "58P01");
    let empty = db.make_dir("empty");
    all_refused(&mut client, reading_calls(&empty).into_iter().take(3), "22023");
    all_refused(&mut client, writing_calls(&db.file("no/such/dir")), "58P01");
    Ok(())
}

/// Makes a special file that everybody may open.
fn make(program: &str, path: &Path, kind: &[&str]) {
    let status = Command::new(program).args(["-m", "666"]).arg(path).args(kind).status();
    assert!(status.expect("it is a program").success(), "{program} {}", path.display());
}

#[test]
fn devices_pipes_and_sockets_are_refused_at_once() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let pipe = db.file("pipe");
    make("mkfifo", &pipe, &[]);
    let socket = db.file("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a short path");
    let mut special = vec![pipe, socket];
    // Only root makes devices; for others the rule is the same code as for the pipe.
    if Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0) {
        let device = db.file("zero");
        make("mknod", &device, &["c", "1", "5"]);
        special.push(device);
    }
    let begun = Instant::now();
    for path in &special {
        all_refused(&mut client, reading_calls(path), "22023");
        // Beside good files in a folder, too.
        let dir = db.make_dir(&format!("with {}", path.file_name().expect("named").display()));
        std::fs::write(dir.join("a"), "good").expect("writable");
        std::fs::rename(path, dir.join("b")).expect("ours");
        all_refused(&mut client, reading_calls(&dir).into_iter().take(3), "22023");
    }
    // A reader that opens a pipe waits for a writer that never comes.
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited");
    assert!(client.query("SELECT * FROM atoms.list_imports()", &[])?.is_empty());
    Ok(())
}

#[test]
fn links_lead_nowhere_out() -> Result<()> {
    let db = with_stored_model()?;
    let mut client = db.client()?;
    let outside = tempfile::tempdir().expect("/tmp is writable");
    std::fs::write(outside.path().join("secret"), "secret").expect("writable");
    let link = |name: &str, to: &Path| {
        let at = db.file(name);
        symlink(to, &at).expect("new");
        at
    };
    let out = link("out", &outside.path().join("secret"));
    let out_dir = link("out dir", outside.path());
    let device = link("device", Path::new("/dev/zero"));
    let twice = link("twice", &out);
    let folder = db.make_dir("folder");
    symlink(outside.path().join("secret"), folder.join("within")).expect("new");
    for path in [&out, &twice, &device, &out_dir.join("secret")] {
        all_refused(&mut client, reading_calls(path), "42501");
    }
    all_refused(&mut client, reading_calls(&out_dir).into_iter().take(3), "42501");
    all_refused(&mut client, reading_calls(&folder).into_iter().take(3), "42501");
    all_refused(&mut client, writing_calls(&out_dir.join("new")), "42501");
    all_refused(&mut client, writing_calls(&out_dir)[1..].to_vec(), "42501");
    assert_eq!(files_below(outside.path()).len(), 1, "nothing was written outside");

    let endless = db.file("endless");
    symlink(&endless, &endless).expect("new");
    assert!(client.batch_execute(&reading_calls(&endless)[0]).is_err());
    let around = db.make_dir("around");
    symlink(&around, around.join("again")).expect("new");
    assert!(client.batch_execute(&reading_calls(&around)[0]).is_err());

    // A link that stays inside is a way to a file.
    std::fs::write(db.file("real"), "inside").expect("writable");
    let inside = link("inside", &db.file("real"));
    client.batch_execute(&reading_calls(&inside)[0])?;
    Ok(())
}

#[test]
fn nothing_is_overwritten() -> Result<()> {
    let db = with_stored_model()?;
    let mut client = db.client()?;
    let taken = db.file("taken");
    std::fs::write(&taken, "mine").expect("writable");
    let [export_file, _] = writing_calls(&taken);
    refused(client.batch_execute(&export_file), "42710").names(&["taken"]);
    let dangling = db.file("dangling");
    symlink(db.file("not there"), &dangling).expect("new");
    all_refused(&mut client, [writing_calls(&dangling)[0].clone()], "42710");
    assert!(!db.file("not there").exists());
    let dir = db.make_dir("dir");
    std::fs::write(dir.join("f"), "mine").expect("writable");
    refused(client.batch_execute(&writing_calls(&dir)[1]), "42710");
    assert_eq!(std::fs::read(dir.join("f")).expect("there"), b"mine");
    assert_eq!(std::fs::read(&taken).expect("there"), b"mine");
    Ok(())
}
