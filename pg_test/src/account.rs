//! Who the server runs as, where its binaries are, and how its programs are started.
//!
//! PostgreSQL refuses to run as root. When we are root, its programs run as the user `postgres` (or `PG_ATOMS_SERVER_USER`)
//! through `runuser`; otherwise as ourselves. Either way their environment is empty but for what is set here: a server that
//! inherits RUST_BACKTRACE appends pages of backtrace to every error of a Rust extension.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result, run};

/// The programs a cluster needs; looked for once, so that the message names what is missing.
const SERVER_PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "pg_basebackup"];

/// The account that server programs run under, and the directory they are in.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The user to change to; `None` when we are not root and run the server ourselves.
    user: Option<String>,
    bin: PathBuf,
}

impl Account {
    /// Returns the account for this process. Errors: no `pg_config`, no server programs, root without a server user.
    pub(crate) fn find() -> Result<Account> {
        let bin = bin_dir()?;
        if let Some(missing) = SERVER_PROGRAMS.iter().find(|name| !bin.join(name).exists()) {
            return Err(Error::Unfit(format!(
                "{} has no {missing}: install the PostgreSQL server, or let PG_CONFIG name the pg_config of one",
                bin.display()
            )));
        }
        let user = if is_root()? { Some(server_user()?) } else { None };
        Ok(Account { user, bin })
    }

    /// Returns the directory of `psql`, `pg_dump`, `postgres`.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// Returns 15 for PostgreSQL 15.20.
    pub(crate) fn major_version(&self) -> Result<u32> {
        let printed = run(Command::new(self.bin.join("postgres")).arg("--version"))?;
        let version = printed.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        let major = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        major.ok_or_else(|| Error::Unfit(format!("no version in {printed:?}")))
    }

    /// Returns a command of the server's `bin` directory that runs as the server's user.
    pub(crate) fn server_command(&self, program: &str) -> Command {
        self.command(self.bin.join(program).into())
    }

    /// Returns a command of the system (`mktemp`, `cp`) that runs as the server's user.
    pub(crate) fn system_command(&self, program: &str) -> Command {
        self.command(program.into())
    }

    fn command(&self, program: OsString) -> Command {
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "env", "-i"]);
                command.args(self.environment().iter().map(|(name, value)| format!("{name}={value}")));
                command.arg(program);
                command
            }
            None => {
                let mut command = Command::new(program);
                command.env_clear().envs(self.environment());
                command
            }
        };
        // The caller's directory may be closed to the server's user.
        command.current_dir("/");
        command
    }

    fn environment(&self) -> [(&'static str, String); 2] {
        let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", self.bin.display());
        [("PATH", path), ("LC_ALL", "C.UTF-8".to_owned())]
    }

    /// Makes a new directory `parent/pg_atoms-XXXXXX`, mode 0700, owned by the server's user.
    pub(crate) fn make_base(&self, parent: &Path) -> Result<PathBuf> {
        let template = parent.join("pg_atoms-XXXXXX");
        let made = run(self.system_command("mktemp").arg("-d").arg(&template));
        let made = match (made, &self.user) {
            (Ok(made), _) => made,
            (Err(error), None) => return Err(error),
            // A mount point of root, for instance: made by us, then handed over.
            (Err(_), Some(user)) => {
                let made = run(Command::new("mktemp").arg("-d").arg(&template))?;
                run(Command::new("chown").arg(format!("{user}:")).arg(made.trim_end()))?;
                made
            }
        };
        let base = PathBuf::from(made.trim_end());
        match self.check_reachable(&base) {
            Ok(()) => Ok(base),
            Err(error) => {
                fs::remove_dir(&base).map_err(Error::io("remove", &base))?;
                Err(error)
            }
        }
    }

    /// Makes the directory `path`, mode 0700, owned by the server's user.
    pub(crate) fn make_dir(&self, path: &Path) -> Result<()> {
        run(self.system_command("mkdir").args(["-m", "700"]).arg(path)).map(drop)
    }

    fn check_reachable(&self, base: &Path) -> Result<()> {
        run(self.system_command("test").arg("-w").arg(base))
            .map(drop)
            .map_err(|_| Error::Unfit(format!("the server's user cannot enter {}", base.display())))
    }
}

/// Returns true when this process runs as root.
pub(crate) fn is_root() -> Result<bool> {
    let proc_self = Path::new("/proc/self");
    proc_self.metadata().map(|meta| meta.uid() == 0).map_err(Error::io("read", proc_self))
}

fn bin_dir() -> Result<PathBuf> {
    let pg_config = env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into());
    let printed = run(Command::new(&pg_config).arg("--bindir"))
        .map_err(|error| Error::Unfit(format!("no PostgreSQL found (PG_CONFIG may name its pg_config): {error}")))?;
    Ok(PathBuf::from(printed.trim_end()))
}

fn server_user() -> Result<String> {
    let user = env::var("PG_ATOMS_SERVER_USER").unwrap_or_else(|_| "postgres".to_owned());
    run(Command::new("id").args(["-u", &user])).map_err(|_| {
        Error::Unfit(format!(
            "PostgreSQL does not run as root, and there is no user {user} (PG_ATOMS_SERVER_USER names another)"
        ))
    })?;
    Ok(user)
}
