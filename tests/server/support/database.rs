//! Databases with the extension: in a cluster that all tests share, or in a cluster of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use pg_test::{Builder, Cluster, Result, SUPERUSER};
use postgres::Client;

use super::turn::Turn;

/// The database that others are copied from: it has the extension and nothing else.
const TEMPLATE: &str = "with_atoms";

/// The cluster of all tests that neither kill, fill nor damage one.
static SHARED: LazyLock<Arc<Cluster>> =
    LazyLock::new(|| Arc::new(start(Cluster::builder()).expect("a cluster with the extension starts")));

/// A database with the extension, and a folder that its server may read and write.  Dropping it removes both.
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
    files: PathBuf,
    _turn: Turn,
}

impl Database {
    /// Returns a new database in the cluster that tests share.
    pub fn shared() -> Result<Database> {
        let turn = Turn::together();
        Database::create(SHARED.clone(), turn, "")
    }

    /// Returns a new database in a cluster of its own, without autovacuum, so that nothing happens but what the test does.
    pub fn in_own_cluster(builder: Builder) -> Result<Database> {
        let turn = Turn::together();
        let cluster = start(builder.setting("autovacuum = off"))?;
        Database::create(Arc::new(cluster), turn, "")
    }

    /// Returns another new database in the same cluster, with more options of CREATE DATABASE.
    pub fn sibling(&self, options: &str) -> Result<Database> {
        Database::create(self.cluster.clone(), Turn::together(), options)
    }

    fn create(cluster: Arc<Cluster>, turn: Turn, options: &str) -> Result<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} {options}");
        cluster.connect(SUPERUSER)?.batch_execute(&create)?;
        let files = cluster.files_dir().join(&name);
        make_server_dir(&cluster, &files);
        Ok(Database { cluster, name, files, _turn: turn })
    }

    /// Returns the cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns the database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a connection as superuser.
    pub fn client(&self) -> Result<Client> {
        self.cluster.connect(&self.name)
    }

    /// Returns a connection as another role.
    pub fn client_as(&self, role: &str) -> Result<Client> {
        self.cluster.connect_as(role, &self.name)
    }

    /// Returns a path in the folder that the server may read and write.
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// Makes a folder that the server may write to.
    pub fn make_dir(&self, name: &str) -> PathBuf {
        let dir = self.file(name);
        make_server_dir(&self.cluster, &dir);
        dir
    }

    /// Makes a login role of this database alone, with what `grants` says after its name, and returns its name.
    pub fn role(&self, suffix: &str, options: &str) -> Result<String> {
        let role = format!("{}_{suffix}", self.name);
        self.client()?.batch_execute(&format!("CREATE ROLE {role} LOGIN {options}"))?;
        Ok(role)
    }

    /// Copies a file or folder to where the server can read it.
    pub fn lend(&self, from: &Path) -> PathBuf {
        let to = self.file(from.file_name().and_then(|name| name.to_str()).expect("a plain name"));
        copy(from, &to);
        to
    }

    /// Runs the collector to its end, nothing being too young for it.
    pub fn collect_all(&self) -> Result<()> {
        Ok(self.client()?.batch_execute("CALL atoms.vacuum_all_atoms('0')")?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A failing test may leave the server dead; what is left then goes with the cluster.
        if !self.cluster.is_running() {
            return;
        }
        let _ = fs::remove_dir_all(&self.files);
        if let Ok(mut client) = self.cluster.connect(SUPERUSER) {
            let _ = client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

fn start(builder: Builder) -> Result<Cluster> {
    let cluster = builder
        .fast()
        .setting("shared_buffers = 256MB")
        .setting("max_wal_size = 2GB")
        .setting("log_statement = none")
        .start()?;
    cluster.append_settings(&format!("pg_atoms.allowed_dirs = '{}'", cluster.files_dir().display()))?;
    cluster.restart()?;
    cluster.create_database(TEMPLATE)?;
    cluster.connect(TEMPLATE)?.batch_execute("CREATE EXTENSION pg_atoms")?;
    Ok(cluster)
}

/// Makes a folder that belongs to the server's user, whoever we are.
fn make_server_dir(cluster: &Cluster, dir: &Path) {
    let owner = fs::metadata(cluster.files_dir()).expect("the cluster's folder is there");
    fs::create_dir(dir).expect("the folder is new");
    chown(dir, Some(owner.uid()), Some(owner.gid())).expect("we are root, or the owner");
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).expect("readable and new");
        return;
    }
    fs::create_dir(to).expect("new");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}
