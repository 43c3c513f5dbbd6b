//! Embeddings of real sentences: what they take on disk, storing them and getting them back beside a table of single values,
//! and distances beside pgvector.
//!
//! Ratios are of the backends' CPU time, in which the work of others on the machine does not show.

mod distance;
mod literal;
mod nearest;
mod stored;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Report;
use crate::args::{Args, Peer};
use crate::costs::Costs;
use crate::support::backend::Backend;
use crate::support::failure::run;
use crate::support::vectors::Vectors;
use crate::support::{Bench, Database, Failure, Result};

pub(super) use distance::fill;

/// What `dimvec` and pgvector's `vector` are found by, and their operators, which are called the same.
pub(super) const SEARCH_PATH: &str = "SET search_path = atoms, public";

/// The real embeddings, and others that are looked for among them.
struct Data {
    base: Vectors,
    texts: Vec<String>,
    queries: Vectors,
}

impl Data {
    fn read(args: &Args) -> Result<Data> {
        let dir = embeddings_dir(args)?;
        let base = Vectors::read_fvecs(&dir.join("base.fvecs"))?;
        let queries = Vectors::read_fvecs(&dir.join("queries.fvecs"))?;
        let path = dir.join("base.txt");
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
        let texts: Vec<_> = text.lines().map(str::to_owned).collect();
        match texts.len() == base.count() {
            true => Ok(Data { base, texts, queries }),
            false => Err(Failure::new(format!("{} has {} lines, not {}", path.display(), texts.len(), base.count()))),
        }
    }
}

/// Fails, saying what to do, if the embeddings or pgvector are not there and asked for.
pub fn check(args: &Args) -> Result<()> {
    if !stored::is_wanted(args) && !is_pgvector_wanted(args) {
        return Ok(());
    }
    embeddings_dir(args)?;
    if is_pgvector_wanted(args) { check_pgvector() } else { Ok(()) }
}

fn is_pgvector_wanted(args: &Args) -> bool {
    args.has(Peer::Pgvector) && (distance::is_wanted(args) || nearest::is_wanted(args))
}

/// Returns where the embeddings are.
pub(super) fn embeddings_dir(args: &Args) -> Result<&Path> {
    let dir = args.embeddings.as_deref();
    dir.filter(|dir| dir.join("queries.fvecs").exists()).ok_or_else(|| {
        Failure::new("set PG_ATOMS_EMBEDDINGS to what benches/python/make_embeddings.py made; scripts/bench does")
    })
}

/// Fails, saying what to do, if pgvector is not installed.
pub(super) fn check_pgvector() -> Result<()> {
    let pg_config = env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into());
    let shared = run(Command::new(pg_config).arg("--sharedir"))?;
    match PathBuf::from(shared.trim_end()).join("extension/vector.control").exists() {
        true => Ok(()),
        false => Err(Failure::new("PostgreSQL has no pgvector: run scripts/pgvector, or say --without pgvector")),
    }
}

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    if !stored::is_wanted(&bench.args) && !is_pgvector_wanted(&bench.args) {
        return Ok(Report::default());
    }
    let data = Data::read(&bench.args)?;
    let mut report = Report::default();
    if stored::is_wanted(&bench.args) {
        report.rows.extend(stored::measure(bench, &data)?);
    }
    if is_pgvector_wanted(&bench.args) {
        report.rows.extend(distance::measure(bench, &data)?);
        report.rows.extend(nearest::measure(bench, &data)?);
        report.remarks.extend(distance::remark(&bench.args));
    }
    Ok(report)
}

/// Connects to a database that has both extensions.
pub(super) fn connect_with_pgvector(database: &Database) -> Result<Backend> {
    let mut backend = Backend::connect(database, SEARCH_PATH)?;
    backend.client().batch_execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")?;
    Ok(backend)
}
