//! The index access method `dimspace`, on embeddings of real sentences: bytes, range queries, building and inserting, beside
//! sequential scans, B-trees and pgvector's indexes.
//!
//! Ratios are of the backends' CPU time, in which the work of others on the machine does not show.

mod million;
mod range;
mod search;
mod size;
mod upkeep;

use postgres::Client;

use super::Report;
use super::embedding::{check_pgvector, connect_with_pgvector, embeddings_dir, fill};
use crate::args::{Args, Peer};
use crate::row::Row;
use crate::support::backend::Backend;
use crate::support::vectors::Vectors;
use crate::support::{Bench, Database, Result};

/// Enough for a million rows with their index, and for an HNSW graph.
const SETTINGS: &str = "shared_buffers = 2GB\nmaintenance_work_mem = 1GB\nmax_parallel_maintenance_workers = 0";

type Part = fn(&Bench, &Vectors) -> Result<Vec<Row>>;

/// Who measures which rows, and whether pgvector is their peer.
const PARTS: [(&[&str], bool, Part); 4] = [
    (&size::NAMES, false, size::measure),
    (&range::NAMES, true, range::measure),
    (&upkeep::NAMES, true, upkeep::measure),
    (&[million::NAME], false, million::measure),
];

/// Fails, saying what to do, if the embeddings or pgvector are not there and asked for.
pub fn check(args: &Args) -> Result<()> {
    if parts(args).next().is_none() {
        return Ok(());
    }
    embeddings_dir(args)?;
    if parts(args).any(|(has_pgvector, _)| has_pgvector) { check_pgvector() } else { Ok(()) }
}

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    if parts(&bench.args).next().is_none() {
        return Ok(Report::default());
    }
    let base = Vectors::read_fvecs(&embeddings_dir(&bench.args)?.join("base.fvecs"))?;
    bench.change_settings(SETTINGS)?;
    let mut rows = Vec::new();
    for (_, measure) in parts(&bench.args) {
        rows.extend(measure(bench, &base)?);
    }
    Ok(Report::of_rows(rows))
}

/// Returns what is asked for.
fn parts(args: &Args) -> impl Iterator<Item = (bool, Part)> + '_ {
    let is_wanted = |names: &[&str]| names.iter().any(|name| args.wants(name));
    let has = |is_peer: bool| !is_peer || args.has(Peer::Pgvector);
    let wanted = PARTS.iter().filter(move |(names, is_peer, _)| is_wanted(names) && has(*is_peer));
    wanted.map(|(_, is_peer, measure)| (*is_peer, *measure))
}

/// Makes a table of numbered vectors of a type.
fn create(client: &mut Client, table: &str, kind: &str) -> Result<()> {
    Ok(client.batch_execute(&format!("CREATE TABLE {table} (id bigint PRIMARY KEY, v {kind}(384))"))?)
}

/// Returns a connection to a database in which the table `ours` holds the base.
fn connect_filled(database: &Database, base: &Vectors) -> Result<Backend> {
    let mut backend = Backend::connect(database, super::embedding::SEARCH_PATH)?;
    create(backend.client(), "ours", "dimvec")?;
    fill(backend.client(), "ours", base)?;
    Ok(backend)
}

/// Indexes the table `ours`.
fn index(client: &mut Client) -> Result<()> {
    client.batch_execute("CREATE INDEX ours_dimspace ON ours USING dimspace (v)")?;
    Ok(client.batch_execute("VACUUM ANALYZE ours")?)
}
