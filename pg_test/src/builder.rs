//! Choices for a new cluster, and the way from nothing to a running server.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::account::Account;
use crate::cluster::{Cluster, Place, SUPERUSER};
use crate::error::{Error, Result, run};

/// Ports tried for a new cluster; below 32768, where the kernel takes the ports of outgoing connections from.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Between looking for a free port and the server's bind somebody else may take it.
const START_ATTEMPTS_MAX: u32 = 5;

/// What trades durability against a crash of the machine for speed. Not `synchronous_commit = off`: a commit would then be lost
/// by [`Cluster::kill9`] too.
const FAST_SETTING: &str = "fsync = off";

/// Options of a cluster that does not exist yet; made by [`Cluster::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    parents: Vec<PathBuf>,
    settings: Vec<String>,
    initdb_options: Vec<String>,
    checksums: bool,
    keep: bool,
}

impl Builder {
    /// Puts the cluster (data, log, sockets) into a new directory below `parent`, for instance a small tmpfs.
    ///
    /// The server's user must be able to reach `parent`. Without it: `PG_ATOMS_TMP`, or /tmp.
    pub fn below(mut self, parent: impl Into<PathBuf>) -> Builder {
        self.parents = vec![parent.into()];
        self
    }

    /// Names another directory, for the case that those before it are closed to the server's user.
    pub fn or_below(mut self, parent: impl Into<PathBuf>) -> Builder {
        self.parents.push(parent.into());
        self
    }

    /// Adds a line to postgresql.conf: `.setting("max_wal_size = 64MB")`. Later lines win.
    pub fn setting(mut self, line: impl Into<String>) -> Builder {
        self.settings.push(line.into());
        self
    }

    /// Gives up safety against a crash of the machine, not of the server: no fsync. Without it the server is durable.
    pub fn fast(self) -> Builder {
        self.setting(FAST_SETTING)
    }

    /// Makes the cluster with (true) or without (false, the default) data checksums.
    pub fn checksums(mut self, on: bool) -> Builder {
        self.checksums = on;
        self
    }

    /// Adds an option of `initdb`: `.initdb_option("--wal-segsize=1")`.
    pub fn initdb_option(mut self, option: impl Into<String>) -> Builder {
        self.initdb_options.push(option.into());
        self
    }

    /// Lets server and data outlive this process; [`Cluster::open`] finds them again, [`Cluster::remove`] ends them.
    pub fn keep(mut self) -> Builder {
        self.keep = true;
        self
    }

    /// Makes the cluster and starts its server.
    pub fn start(self) -> Result<Cluster> {
        let account = Account::find()?;
        let place = self.make_place(&account)?;
        let password = if self.keep {
            let password = new_password();
            initdb(&account, &place.base, &password, &self.all_initdb_options(&account)?, Sync::Yes)?;
            password
        } else {
            place.watch(&account)?;
            copy_template(&account, &place.base, self.all_initdb_options(&account)?)?
        };
        let settings: String = self.settings.iter().map(|line| format!("{line}\n")).collect();
        let mut cluster = Cluster::new(account, place, password, self.keep);
        cluster.append_settings(&settings)?;
        start_on_a_free_port(&mut cluster)?;
        Ok(cluster)
    }

    fn make_place(&self, account: &Account) -> Result<Place> {
        let Some((last, others)) = self.parents.split_last() else {
            return Place::make(account, &scratch_parent());
        };
        let first_open = others.iter().find_map(|parent| Place::make(account, parent).ok());
        first_open.map_or_else(|| Place::make(account, last), Ok)
    }

    fn all_initdb_options(&self, account: &Account) -> Result<Vec<String>> {
        let mut options = self.initdb_options.clone();
        if self.checksums {
            options.push("--data-checksums".to_owned());
        } else if account.major_version()? >= 18 {
            // The default changed there.
            options.push("--no-data-checksums".to_owned());
        }
        Ok(options)
    }
}

/// Starts `cluster` for the first time, on a port nobody listens on.
pub(crate) fn start_on_a_free_port(cluster: &mut Cluster) -> Result<()> {
    let mut attempt = 1;
    loop {
        cluster.listen_on(free_port()?)?;
        match cluster.start() {
            Err(Error::Start { log, .. }) if log.contains("Address already in use") && attempt < START_ATTEMPTS_MAX => {
                attempt += 1
            }
            ended => return ended,
        }
    }
}

fn free_port() -> Result<u16> {
    let random = RandomState::new().build_hasher().finish();
    let count = PORTS.end - PORTS.start;
    let first = u16::try_from(random % u64::from(count)).expect("smaller than a u16, by the modulus");
    (0..count)
        .map(|step| PORTS.start + (first + step) % count)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| Error::Unfit(format!("no free loopback port in {PORTS:?}")))
}

fn scratch_parent() -> PathBuf {
    env::var_os("PG_ATOMS_TMP").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// A finished `initdb` directory of this process, to be copied: a copy takes a tenth of the time of a run.
struct Template {
    data: PathBuf,
    password: String,
}

static TEMPLATES: LazyLock<Mutex<HashMap<Vec<String>, Template>>> = LazyLock::new(Mutex::default);

/// Fills `base/data` and returns the superuser's password. Copies share the system identifier, which only replication looks at.
fn copy_template(account: &Account, base: &Path, options: Vec<String>) -> Result<String> {
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    if !templates.contains_key(&options) {
        let place = Place::make(account, &scratch_parent())?;
        place.watch(account)?;
        let password = new_password();
        initdb(account, &place.base, &password, &options, Sync::No)?;
        templates.insert(options.clone(), Template { data: place.base.join("data"), password });
    }
    let template = &templates[&options];
    run(account.system_command("cp").arg("-a").arg(&template.data).arg(base.join("data")))?;
    Ok(template.password.clone())
}

/// Whether `initdb` forces its files to disk; a scratch cluster need not survive the machine.
#[derive(PartialEq)]
enum Sync {
    Yes,
    No,
}

/// Makes `base/data`.
///
/// The socket trusts everyone who can reach it: it lies in a directory of mode 0700, so that is the server's own user and
/// root, who could read the data files anyway. Loopback is open to every user of the machine, so there a password is asked.
fn initdb(account: &Account, base: &Path, password: &str, options: &[String], sync: Sync) -> Result<()> {
    // Readable by everyone who can enter `base`, which is the same two.
    let password_file = base.join("password");
    fs::write(&password_file, password).map_err(Error::io("write", &password_file))?;
    let mut command = account.server_command("initdb");
    command.arg("-D").arg(base.join("data")).args(["-U", SUPERUSER, "--encoding=UTF8", "--locale=C"]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    command.arg(format!("--pwfile={}", password_file.display())).args(options);
    if sync == Sync::No {
        command.arg("--no-sync");
    }
    run(&mut command)?;
    include_our_settings(&base.join("data"))
}

fn include_our_settings(data: &Path) -> Result<()> {
    let conf = data.join("postgresql.conf");
    let mut text = fs::read_to_string(&conf).map_err(Error::io("read", &conf))?;
    text.push_str("\ninclude 'pg_test.conf'\n");
    fs::write(&conf, text).map_err(Error::io("write", &conf))
}

fn new_password() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
