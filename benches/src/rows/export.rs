//! Getting a model back as files, every hash checked, and a peer that reads its plain table of the same bytes.

use std::path::PathBuf;

use super::Report;
use crate::contest::{self, Comparison, Contest, Lap};
use crate::support::atoms::Strategy;
use crate::support::hashing::{Hash, hash_file};
use crate::support::peer_table::PeerTable;
use crate::support::{Bench, Database, Failure, Result, copy_in, copy_out, folder, model};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Contestant {
    Cli,
    CopyWritten,
    CopyHashed,
}
use Contestant::*;

const ROWS: [Comparison<Contestant>; 2] = [
    Comparison { name: "export/cli-vs-copy-written", ours: Cli, peer: Some(CopyWritten), goal: Some(1.0) },
    Comparison { name: "export/cli-vs-copy-hashed-only", ours: Cli, peer: Some(CopyHashed), goal: None },
];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let rows = contest::wanted(bench, &ROWS);
    if rows.is_empty() {
        return Ok(Report::default());
    }
    bench.say("export");
    contest::run(bench, &mut Export::new(bench)?, &rows).map(Report::of_rows)
}

struct Export<'a> {
    bench: &'a Bench,
    dir: PathBuf,
    bytes: u64,
    /// A database with the model and the peer's table, new in each round.
    stored: Option<(Database<'a>, Hash)>,
}

impl<'a> Export<'a> {
    fn new(bench: &'a Bench) -> Result<Export<'a>> {
        let dir = bench.folder().join("export");
        Ok(Export { bench, dir, bytes: 0, stored: None })
    }

    fn by_cli(&self) -> Result<Lap> {
        let out = self.dir.join("out");
        folder::remove(&out)?;
        let lap = self.bench.time(self.bytes, || self.database()?.export_by_cli("model", &out))?;
        match folder::file_bytes(&out.join("model.safetensors"))? {
            bytes if bytes == self.bytes => Ok(lap),
            bytes => Err(Failure::new(format!("atoms exported {bytes} bytes of {}", self.bytes))),
        }
    }

    fn by_copy(&self, write: bool) -> Result<Lap> {
        let (database, expected) = self.stored.as_ref().expect("begin_round stores it");
        let mut client = database.client()?;
        let out = self.dir.join("out");
        folder::make_empty(&out)?;
        self.bench.time(self.bytes, || {
            let hash = match write {
                true => copy_out::write_table(&mut client, &out.join("model.safetensors"))?,
                false => copy_out::hash_table(&mut client)?,
            };
            if hash == *expected { Ok(()) } else { Err(Failure::new("the peer's table has other bytes")) }
        })
    }

    fn database(&self) -> Result<&Database<'a>> {
        self.stored.as_ref().map(|(database, _)| database).ok_or_else(|| Failure::new("nothing is stored yet"))
    }
}

impl Drop for Export<'_> {
    fn drop(&mut self) {
        // What cannot be removed goes with the server.
        let _ = folder::remove(&self.dir);
    }
}

impl Contest for Export<'_> {
    type Contestant = Contestant;

    fn label(contestant: Contestant) -> &'static str {
        match contestant {
            Cli => "atoms export",
            CopyWritten => "COPY, 1 MiB rows, hashed and written",
            CopyHashed => "COPY, 1 MiB rows, hashed only",
        }
    }

    fn begin_round(&mut self, round: u32, _: &[Contestant]) -> Result<()> {
        self.stored = None;
        folder::make_empty(&self.dir)?;
        let file = self.dir.join("model.safetensors");
        self.bytes = model::write(&file, &model::mixed(u64::from(round) + 1, self.bench.args.bytes))?;
        let database = self.bench.new_database()?;
        let mut client = database.client()?;
        Database::import_on_server(&mut client, "model", &file, Strategy::Tensor)?;
        client.batch_execute(PeerTable::Rows1Mib.create())?;
        copy_in::copy_file(&mut client, PeerTable::Rows1Mib, &file)?;
        // The first look at a row after its commit writes to its page; nobody's turn shall pay for that.
        client.batch_execute("VACUUM")?;
        let hash = hash_file(&file)?;
        std::fs::remove_file(&file).map_err(|error| Failure::io("remove", &file, &error))?;
        self.stored = Some((database, hash));
        Ok(())
    }

    fn lap(&mut self, contestant: Contestant) -> Result<Lap> {
        match contestant {
            Cli => self.by_cli(),
            CopyWritten => self.by_copy(true),
            CopyHashed => self.by_copy(false),
        }
    }
}
