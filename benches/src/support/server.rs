//! The server that everything is measured on, and databases in it that are new for every turn.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use pg_test::{Cluster, SUPERUSER};
use postgres::Client;

use super::failure::run;
use super::{Failure, Result, clock};
use crate::args::Args;
use crate::contest::Lap;

/// Durable (fsync and full_page_writes are on by default), the same for us and the peers. WAL files are kept and used again,
/// so that nobody pays for new ones. Autovacuum would start in somebody's turn.
const SETTINGS: [&str; 6] = [
    "shared_buffers = 512MB",
    "min_wal_size = 8GB",
    "max_wal_size = 8GB",
    "checkpoint_timeout = 1h",
    "autovacuum = off",
    "log_checkpoints = off",
];

/// The database that others are copied from: it has the extension and nothing else.
const TEMPLATE: &str = "with_atoms";

/// What every row is given: the options, and the server.
pub struct Bench {
    /// The options.
    pub args: Args,
    cluster: Cluster,
}

impl Bench {
    /// Starts the server, which ends and vanishes with this program.
    pub fn start(args: Args) -> Result<Bench> {
        let builder = SETTINGS.iter().fold(Cluster::builder(), |builder, line| builder.setting(*line));
        let cluster = builder.start()?;
        cluster.append_settings(&format!("pg_atoms.allowed_dirs = '{}'", cluster.files_dir().display()))?;
        cluster.restart()?;
        cluster.create_database(TEMPLATE)?;
        cluster.connect(TEMPLATE)?.batch_execute("CREATE EXTENSION pg_atoms")?;
        Ok(Bench { args, cluster })
    }

    /// Gives the server other settings from here on, which ends every connection.
    pub fn change_settings(&self, lines: &str) -> Result<()> {
        self.cluster.append_settings(lines)?;
        Ok(self.cluster.restart()?)
    }

    /// Tells the person who waits.
    pub fn say(&self, message: &str) {
        eprintln!("bench: {message}");
    }

    /// Returns a folder for files of ours that the server can read too.
    pub fn folder(&self) -> PathBuf {
        self.cluster.files_dir()
    }

    /// Makes a database with the extension and nothing else.
    pub fn new_database(&self) -> Result<Database<'_>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("turn_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.admin(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))?;
        Ok(Database { bench: self, name })
    }

    /// Waits until nothing is left to be written, by whoever had a turn before, then measures `work`.
    pub fn time(&self, bytes: u64, work: impl FnOnce() -> Result<()>) -> Result<Lap> {
        run(&mut Command::new("sync"))?;
        self.admin("CHECKPOINT")?;
        let postmaster = self.cluster.pid().ok_or_else(|| Failure::new("the server has ended"))?;
        clock::measure(postmaster, bytes, work)
    }

    /// Writes WAL files of `bytes` in all, for the turns to come to use again.
    pub fn warm_up_wal(&self, bytes: u64) -> Result<()> {
        let mib = bytes.div_ceil(1 << 20);
        self.admin(&format!(
            "SELECT count(pg_logical_emit_message(false, 'warm up', repeat('x', 1048576))) FROM generate_series(1, {mib})"
        ))?;
        // The first makes them old, the second files them for use.
        self.admin("CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT")
    }

    fn admin(&self, sql: &str) -> Result<()> {
        Ok(self.cluster.connect(SUPERUSER)?.batch_execute(sql)?)
    }
}

/// A database of one or a few turns; dropping it removes it.
pub struct Database<'a> {
    bench: &'a Bench,
    name: String,
}

impl Database<'_> {
    /// Returns a connection as superuser.
    pub fn client(&self) -> Result<Client> {
        Ok(self.bench.cluster.connect(&self.name)?)
    }

    /// Returns a command of the program `atoms` for this database.
    pub fn atoms(&self) -> Command {
        let mut command = self.bench.cluster.command(&self.bench.args.atoms, &self.name);
        command.args(["--quiet", "--json"]);
        command
    }

    /// Returns what the store takes on disk, with its indexes.
    pub fn physical_bytes(&self) -> Result<u64> {
        let row = self.client()?.query_one("SELECT atoms.physical_bytes()", &[])?;
        Ok(u64::try_from(row.get::<_, i64>(0)).expect("sizes are not negative"))
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // One that cannot be dropped goes with the server.
        if let Err(failure) = self.bench.admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("bench: {failure}");
        }
    }
}
