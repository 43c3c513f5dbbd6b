//! The long-lived cluster of a checkout: `pg_test start`, `stop`, `status`.
//!
//! `.atoms/cluster` in the current directory names the cluster's directory, `.atoms/env` is for a shell to source. The data
//! lies in `.atoms` too, unless the server's user cannot enter the checkout; then below /var/lib/postgresql or /var/tmp.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pg_test::{Cluster, Error, Result, SUPERUSER, Shutdown};

const HELP: &str = "\
The private PostgreSQL cluster of this checkout.

pg_test start            makes it the first time, starts its server, writes .atoms/env
pg_test stop             stops the server; the data stays
pg_test stop --remove    stops the server and removes the data
pg_test status           says what runs and where; ends with 3 when nothing runs
";

/// The database that `start` creates and `.atoms/env` leads to.
const DATABASE: &str = "atoms";

/// `status` when nothing runs; the code that init scripts use for it.
const NOT_RUNNING: u8 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["start"] => start(),
        ["stop"] => stop(),
        ["stop", "--remove"] => remove(),
        ["status"] => status(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    ended.unwrap_or_else(|error| {
        eprintln!("pg_test: {error}");
        ExitCode::FAILURE
    })
}

fn start() -> Result<ExitCode> {
    let cluster = match open()? {
        Some(cluster) => {
            if !cluster.is_running() {
                cluster.start()?;
            }
            cluster
        }
        None => create()?,
    };
    create_database(&cluster)?;
    write_env(&cluster)?;
    report(&cluster);
    Ok(ExitCode::SUCCESS)
}

fn stop() -> Result<ExitCode> {
    match open()? {
        Some(cluster) if cluster.is_running() => {
            cluster.stop(Shutdown::Fast)?;
            println!("stopped; the data stays in {}", cluster.base_dir().display());
        }
        _ => println!("nothing runs"),
    }
    Ok(ExitCode::SUCCESS)
}

fn remove() -> Result<ExitCode> {
    if let Some(cluster) = open()? {
        let base = cluster.base_dir().to_path_buf();
        cluster.remove()?;
        println!("removed {}", base.display());
    }
    // Nothing but what described the cluster is left in it.
    let dir = state_dir();
    match fs::remove_dir_all(&dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path: dir, source })
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn status() -> Result<ExitCode> {
    match open()? {
        Some(cluster) if cluster.is_running() => {
            report(&cluster);
            println!("url   {}", cluster.url(DATABASE));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            println!("nothing runs");
            Ok(ExitCode::from(NOT_RUNNING))
        }
    }
}

fn report(cluster: &Cluster) {
    println!("PostgreSQL runs on port {}, socket in {}", cluster.port(), cluster.socket_dir().display());
    println!("data  {}", cluster.data_dir().display());
    println!("log   {}", cluster.log_path().display());
}

fn state_dir() -> PathBuf {
    PathBuf::from(".atoms")
}

fn pointer_file() -> PathBuf {
    state_dir().join("cluster")
}

fn env_file() -> PathBuf {
    state_dir().join("env")
}

/// Returns the cluster of this checkout; `None` when there is none, or its directory was removed by hand.
fn open() -> Result<Option<Cluster>> {
    let Ok(base) = fs::read_to_string(pointer_file()) else { return Ok(None) };
    let base = Path::new(base.trim_end());
    if base.join("data").is_dir() { Cluster::open(base).map(Some) } else { Ok(None) }
}

fn create() -> Result<Cluster> {
    let dir = state_dir();
    fs::create_dir_all(&dir).map_err(|source| Error::Io { action: "create", path: dir.clone(), source })?;
    let dir = dir.canonicalize().map_err(|source| Error::Io { action: "find", path: dir, source })?;
    let builder = Cluster::builder().keep().below(dir).or_below("/var/lib/postgresql").or_below("/var/tmp");
    let cluster = builder.start()?;
    write_file(&pointer_file(), &format!("{}\n", cluster.base_dir().display()))?;
    Ok(cluster)
}

fn create_database(cluster: &Cluster) -> Result<()> {
    let exists = "SELECT FROM pg_database WHERE datname = $1";
    if cluster.connect(SUPERUSER)?.query_opt(exists, &[&DATABASE])?.is_none() {
        cluster.create_database(DATABASE)?;
    }
    Ok(())
}

fn write_env(cluster: &Cluster) -> Result<()> {
    let mut text = String::from("# Leads psql and atoms to the cluster of this checkout: . .atoms/env\n");
    for (name, value) in cluster.env(DATABASE) {
        text.push_str(&format!("export {name}={}\n", quoted(&value)));
    }
    // `atoms` is built into the directory this program is in.
    let program = env::current_exe().map_err(|source| Error::Io { action: "find", path: "pg_test".into(), source })?;
    let here = program.parent().unwrap_or(Path::new("."));
    let path = format!("{}:{}", here.display(), cluster.bin_dir().display());
    text.push_str(&format!("export PATH={}:\"$PATH\"\n", quoted(&path)));
    write_file(&env_file(), &text)
}

/// Returns `value` as one word of a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    let failed = |source| Error::Io { action: "write", path: path.to_path_buf(), source };
    fs::write(path, text).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)
}
