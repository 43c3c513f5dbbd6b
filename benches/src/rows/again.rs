//! Storing two files that are stored already, beside hashing each of their bytes once on two cores.

use std::path::PathBuf;

use super::Report;
use crate::contest::{self, Comparison, Contest, Lap};
use crate::support::atoms::Strategy;
use crate::support::hashing::hash_files_at_once;
use crate::support::{Bench, Database, Failure, Result, folder, model};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Contestant {
    Cli,
    Hash,
    Server,
}
use Contestant::*;

const ROWS: [Comparison<Contestant>; 2] = [
    Comparison { name: "again/cli-vs-sha256-on-two-cores", ours: Cli, peer: Some(Hash), goal: Some(0.8) },
    Comparison { name: "again/server-vs-sha256-on-two-cores", ours: Server, peer: Some(Hash), goal: None },
];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let rows = contest::wanted(bench, &ROWS);
    if rows.is_empty() {
        return Ok(Report::default());
    }
    bench.say("again");
    contest::run(bench, &mut Again::new(bench)?, &rows).map(Report::of_rows)
}

struct Again<'a> {
    bench: &'a Bench,
    dir: PathBuf,
    bytes: u64,
    database: Database<'a>,
    models: u32,
}

impl<'a> Again<'a> {
    fn new(bench: &'a Bench) -> Result<Again<'a>> {
        let dir = bench.folder().join("again");
        folder::make_empty(&dir)?;
        let half = bench.args.bytes / 2;
        let bytes = model::write(&dir.join("model-00001-of-00002.safetensors"), &model::mixed(1, half))?
            + model::write(&dir.join("model-00002-of-00002.safetensors"), &model::mixed(2, half))?;
        let database = bench.new_database()?;
        Database::import_on_server(&mut database.client()?, "first", &dir, Strategy::Tensor)?;
        Ok(Again { bench, dir, bytes, database, models: 0 })
    }

    /// Stores the files under a name that is not taken yet.
    fn store(&mut self, by_server: bool) -> Result<Lap> {
        self.models += 1;
        let name = format!("again {}", self.models);
        let unique = self.unique_bytes()?;
        let mut client = self.database.client()?;
        let lap = self.bench.time(self.bytes, || match by_server {
            true => Database::import_on_server(&mut client, &name, &self.dir, Strategy::Tensor),
            false => self.database.import_by_cli(&name, &self.dir, Strategy::Tensor),
        })?;
        if self.unique_bytes()? == unique { Ok(lap) } else { Err(Failure::new("known files were stored again")) }
    }

    fn unique_bytes(&self) -> Result<i64> {
        let sum = "SELECT coalesce(sum(size_bytes), 0)::bigint FROM atoms.atom";
        Ok(self.database.client()?.query_one(sum, &[])?.get(0))
    }
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        // What cannot be removed goes with the server.
        let _ = folder::remove(&self.dir);
    }
}

impl Contest for Again<'_> {
    type Contestant = Contestant;

    fn label(contestant: Contestant) -> &'static str {
        match contestant {
            Cli => "atoms import, known files",
            Server => "CALL import_model, known files",
            Hash => "sha2, a thread per file",
        }
    }

    fn begin_round(&mut self, _: u32, _: &[Contestant]) -> Result<()> {
        Ok(())
    }

    fn lap(&mut self, contestant: Contestant) -> Result<Lap> {
        match contestant {
            Cli => self.store(false),
            Server => self.store(true),
            Hash => {
                let files = folder::files_below(&self.dir)?;
                self.bench.time(self.bytes, || hash_files_at_once(&files).map(drop))
            }
        }
    }
}
