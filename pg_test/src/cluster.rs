//! A cluster that exists: its server's life and death, ways to connect, a standby.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use crate::account::Account;
use crate::builder::{Builder, start_on_a_free_port};
use crate::error::{Error, Result, run};
use crate::{processes, watchdog};

/// The role that owns every cluster.
pub const SUPERUSER: &str = "postgres";

/// The longest path of a Unix socket, without the closing zero byte.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// `pg_ctl` waits this long for a start (crash recovery included) or a stop.
const CONTROL_SECONDS_MAX: u32 = 300;

/// How long a standby may take to replay what the primary has written.
const CATCH_UP_SECONDS_MAX: u64 = 120;

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Ends the sessions, writes a checkpoint.
    Fast,
    /// Ends at once; the next start runs crash recovery.
    Immediate,
}

/// The directories of a cluster.
///
/// `base` is mode 0700 and belongs to the server's user; in it are `data`, `log`, `password`, `files` and, where the path is
/// short enough, `s`, the directory of the socket.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) base: PathBuf,
    sockets: PathBuf,
}

impl Place {
    /// Makes the directories in a new directory below `parent`.
    pub(crate) fn make(account: &Account, parent: &Path) -> Result<Place> {
        let base = account.make_base(parent)?;
        account.make_dir(&base.join("files"))?;
        let sockets = if socket_fits(&base.join("s")) {
            account.make_dir(&base.join("s"))?;
            base.join("s")
        } else {
            account.make_base(Path::new("/tmp"))?
        };
        Ok(Place { base, sockets })
    }

    /// Has the watchdog remove everything when this process ends.
    pub(crate) fn watch(&self, account: &Account) -> Result<()> {
        watchdog::watch(account, &self.base)?;
        if self.sockets.starts_with(&self.base) { Ok(()) } else { watchdog::watch(account, &self.sockets) }
    }

    fn remove(&self) -> Result<()> {
        for dir in [&self.sockets, &self.base] {
            if dir.exists() {
                fs::remove_dir_all(dir).map_err(Error::io("remove", dir))?;
            }
        }
        Ok(())
    }
}

/// One private PostgreSQL cluster with its server.
///
/// Dropping it stops the server and removes everything, unless it was built with [`Builder::keep`] or opened.
#[derive(Debug)]
pub struct Cluster {
    account: Account,
    place: Place,
    port: u16,
    password: String,
    keep: bool,
}

impl Cluster {
    /// Returns the options of a new cluster: durable, below /tmp, removed when dropped.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens the cluster that [`Builder::keep`] left in `base`, running or not. Dropping it changes nothing.
    pub fn open(base: &Path) -> Result<Cluster> {
        let account = Account::find()?;
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(Error::io("read", &path));
        let settings = read(base.join("data/pg_test.conf"))?;
        let setting = |name: &str| {
            let value = settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            value.ok_or_else(|| {
                Error::Unfit(format!("{} does not set {name}", base.join("data/pg_test.conf").display()))
            })
        };
        let port = setting("port")?;
        let port = port.parse().map_err(|_| Error::Unfit(format!("{port} is not a port")))?;
        let sockets = PathBuf::from(setting("unix_socket_directories")?.trim_matches('\''));
        let password = read(base.join("password"))?;
        Ok(Cluster { account, place: Place { base: base.to_path_buf(), sockets }, port, password, keep: true })
    }

    pub(crate) fn new(account: Account, place: Place, password: String, keep: bool) -> Cluster {
        Cluster { account, place, port: 0, password, keep }
    }

    /// Writes what makes this cluster differ from its copies: port and socket directory.
    pub(crate) fn listen_on(&mut self, port: u16) -> Result<()> {
        self.port = port;
        let text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nunix_socket_permissions = 0700\n",
            self.place.sockets.display()
        );
        let conf = self.data_dir().join("pg_test.conf");
        fs::write(&conf, text).map_err(Error::io("write", &conf))
    }

    // --- life ---

    /// Starts the server and waits until it takes connections, however long crash recovery takes.
    pub fn start(&self) -> Result<()> {
        let mut command = self.pg_ctl();
        command.arg("-l").arg(self.log_path()).arg("start");
        run(&mut command)
            .map(drop)
            .map_err(|error| Error::Start { data: self.data_dir(), log: format!("{}\n{error}", self.log_tail(30)) })
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(&self, how: Shutdown) -> Result<()> {
        let mode = match how {
            Shutdown::Fast => "fast",
            Shutdown::Immediate => "immediate",
        };
        run(self.pg_ctl().args(["-m", mode, "stop"])).map(drop)
    }

    /// Stops the server cleanly and starts it again.
    pub fn restart(&self) -> Result<()> {
        self.stop(Shutdown::Fast)?;
        self.start()
    }

    /// Kills the postmaster and every process of the server at the same moment with SIGKILL.
    ///
    /// [`Cluster::start`] then runs crash recovery. What the operating system had not written yet is not lost: this is the
    /// death of a server, not of a machine.
    pub fn kill9(&self) -> Result<()> {
        let postmaster = self.pid().ok_or_else(|| Error::Unfit("the server to kill does not run".to_owned()))?;
        processes::kill_all(postmaster)?;
        self.forget_zombie()
    }

    /// Where nobody reaps orphans (a container without an init), the dead postmaster stays as a zombie; PostgreSQL takes the
    /// lock files of a zombie for those of a living server and refuses to start.
    fn forget_zombie(&self) -> Result<()> {
        let socket_lock = self.place.sockets.join(format!(".s.PGSQL.{}.lock", self.port));
        for lock in [self.data_dir().join("postmaster.pid"), socket_lock] {
            match fs::remove_file(&lock) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &lock)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the process id of the postmaster; `None` when the server does not run.
    pub fn pid(&self) -> Option<u32> {
        processes::postmaster(&self.data_dir())
    }

    /// Returns true while the server runs.
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Stops the server at once and removes the cluster with everything in it.
    pub fn remove(mut self) -> Result<()> {
        self.keep = true; // Nothing is left for drop().
        self.tear_down()
    }

    fn tear_down(&self) -> Result<()> {
        if self.is_running() {
            self.stop(Shutdown::Immediate)?;
        }
        self.place.remove()
    }

    // --- places ---

    /// Returns the directory that everything of this cluster is in; what [`Cluster::open`] takes.
    pub fn base_dir(&self) -> &Path {
        &self.place.base
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.place.base.join("data")
    }

    /// Returns a directory for files that the server shall read or write by path.
    pub fn files_dir(&self) -> PathBuf {
        self.place.base.join("files")
    }

    /// Returns the directory of the Unix socket, which is what `PGHOST` may hold.
    pub fn socket_dir(&self) -> &Path {
        &self.place.sockets
    }

    /// Returns the port, which also names the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directory of `psql`, `pg_dump` and the server's programs.
    pub fn bin_dir(&self) -> &Path {
        self.account.bin()
    }

    /// Returns the server's log file.
    pub fn log_path(&self) -> PathBuf {
        self.place.base.join("log")
    }

    /// Returns the last `count` lines of the server's log.
    pub fn log_tail(&self, count: usize) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Appends lines to postgresql.conf; they count after a restart or reload.
    pub fn append_settings(&self, lines: &str) -> Result<()> {
        let conf = self.data_dir().join("postgresql.conf");
        let mut text = fs::read_to_string(&conf).map_err(Error::io("read", &conf))?;
        text.push('\n');
        text.push_str(lines);
        text.push('\n');
        fs::write(&conf, text).map_err(Error::io("write", &conf))
    }

    // --- connections ---

    /// Returns a connection as superuser over the socket.
    pub fn connect(&self, dbname: &str) -> Result<Client> {
        self.connect_as(SUPERUSER, dbname)
    }

    /// Returns a connection as `user` over the socket, where no password is asked.
    pub fn connect_as(&self, user: &str, dbname: &str) -> Result<Client> {
        Ok(self.config(dbname).user(user).connect(NoTls)?)
    }

    /// Returns the connection settings as superuser over the socket, to be changed at will.
    pub fn config(&self, dbname: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(&self.place.sockets).port(self.port).user(SUPERUSER).dbname(dbname);
        config
    }

    /// Returns a libpq connection string as superuser over the socket.
    pub fn dsn(&self, dbname: &str) -> String {
        format!("host={} port={} user={SUPERUSER} dbname={dbname}", self.place.sockets.display(), self.port)
    }

    /// Returns a connection URL as superuser over loopback, password included.
    pub fn url(&self, dbname: &str) -> String {
        format!("postgresql://{SUPERUSER}:{}@127.0.0.1:{}/{dbname}", self.password, self.port)
    }

    /// Returns the libpq variables that lead a child process to `dbname` as superuser.
    pub fn env(&self, dbname: &str) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.place.sockets.display().to_string()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", SUPERUSER.to_owned()),
            ("PGDATABASE", dbname.to_owned()),
        ]
    }

    /// Returns a command that finds `dbname` through the libpq variables. A plain name is taken from [`Cluster::bin_dir`]
    /// when it is there (`psql`, `pg_dump`), anything else is left to the system.
    pub fn command(&self, program: impl AsRef<OsStr>, dbname: &str) -> Command {
        let ours = self.account.bin().join(program.as_ref());
        let mut command = if ours.exists() { Command::new(ours) } else { Command::new(program) };
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            // PGSSLMODE, PGSERVICE and the like of whoever runs the tests; our own PG_ATOMS_ names stay.
            if !name.to_string_lossy().starts_with("PG_") {
                command.env_remove(name);
            }
        }
        command.envs(self.env(dbname));
        command
    }

    /// Creates an empty database.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let name = name.replace('"', "\"\"");
        Ok(self.connect(SUPERUSER)?.batch_execute(&format!("CREATE DATABASE \"{name}\""))?)
    }

    /// Runs `sql` through psql and returns the rows, unaligned, without headers. The first error ends it.
    pub fn psql(&self, dbname: &str, sql: &str) -> Result<String> {
        run(self.command("psql", dbname).args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]))
    }

    /// Dumps `dbname` in pg_dump's custom format into `file`.
    pub fn pg_dump(&self, dbname: &str, file: &Path) -> Result<()> {
        run(self.command("pg_dump", dbname).arg("-Fc").arg("-f").arg(file)).map(drop)
    }

    /// Restores `file` into the existing database `dbname`; the first error ends it.
    pub fn pg_restore(&self, dbname: &str, file: &Path) -> Result<()> {
        run(self.command("pg_restore", dbname).args(["--exit-on-error", "-d", dbname]).arg(file)).map(drop)
    }

    // --- standby ---

    /// Copies this cluster with pg_basebackup into a streaming standby and starts it.
    pub fn standby(&self) -> Result<Cluster> {
        let parent = self.place.base.parent().unwrap_or(Path::new("/tmp"));
        let place = Place::make(&self.account, parent)?;
        place.watch(&self.account)?;
        let mut copy = self.account.server_command("pg_basebackup");
        copy.arg("-D").arg(place.base.join("data")).args(["-R", "-X", "stream", "-c", "fast"]);
        // A slot keeps the WAL that the standby still needs, however long it is stopped.
        let slot = place.base.file_name().and_then(OsStr::to_str).unwrap_or("standby").replace('-', "_").to_lowercase();
        copy.args(["-C", "-S", &slot, "-d", &self.dsn(SUPERUSER)]);
        run(&mut copy)?;
        let mut standby = Cluster::new(self.account.clone(), place, self.password.clone(), false);
        start_on_a_free_port(&mut standby)?;
        Ok(standby)
    }

    /// Waits until `standby` has replayed everything that is committed on this server now.
    pub fn wait_caught_up(&self, standby: &Cluster) -> Result<()> {
        let here = self.flushed_position()?;
        let mut client = standby.connect(SUPERUSER)?;
        let deadline = Instant::now() + Duration::from_secs(CATCH_UP_SECONDS_MAX);
        loop {
            let row = client.query_one("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", &[&here])?;
            if row.get::<_, Option<bool>>(0) == Some(true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Unfit(format!(
                    "the standby has not reached {here} within {CATCH_UP_SECONDS_MAX} s"
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Only flushed WAL is streamed, and an asynchronous commit may wait for its flush: a synchronous one brings it along.
    fn flushed_position(&self) -> Result<String> {
        let mut client = self.connect(SUPERUSER)?;
        client.batch_execute("SET synchronous_commit = local")?;
        client.batch_execute("SELECT pg_logical_emit_message(true, 'pg_test', '')")?;
        Ok(client.query_one("SELECT pg_current_wal_flush_lsn()::text", &[])?.get(0))
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.account.server_command("pg_ctl");
        command.arg("-D").arg(self.data_dir()).args(["-w", "-t", &CONTROL_SECONDS_MAX.to_string()]);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if thread::panicking() {
            eprintln!("--- the server's log ends ---\n{}", self.log_tail(30));
        }
        // The watchdog tries again when this process ends.
        if let Err(error) = self.tear_down() {
            eprintln!("pg_test: {error}");
        }
    }
}

/// Returns true when a socket, and the lock file beside it, fits into a socket address.
fn socket_fits(dir: &Path) -> bool {
    dir.join(".s.PGSQL.65535.lock").as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}
