//! Storing a new model: by the server, by the program `atoms`, and by peers that COPY the same bytes into a plain table.

use std::path::PathBuf;

use super::Report;
use crate::contest::{self, Comparison, Contest, Lap};
use crate::support::atoms::Strategy;
use crate::support::peer_table::PeerTable;
use crate::support::{Bench, Database, Result, copy_in, folder, model};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Contestant {
    Server,
    Copy1Mib,
    Copy8096,
    ServerHuge,
    Cli,
    CliHuge,
}
use Contestant::*;

const ROWS: [Comparison<Contestant>; 6] = [
    Comparison { name: "import/server-vs-copy-1mib", ours: Server, peer: Some(Copy1Mib), goal: Some(1.5) },
    Comparison { name: "import/server-vs-copy-8096", ours: Server, peer: Some(Copy8096), goal: Some(1.2) },
    Comparison {
        name: "import/server-huge-tensor-vs-copy-1mib",
        ours: ServerHuge,
        peer: Some(Copy1Mib),
        goal: Some(1.5),
    },
    Comparison {
        name: "import/server-huge-tensor-vs-copy-8096",
        ours: ServerHuge,
        peer: Some(Copy8096),
        goal: Some(1.2),
    },
    Comparison { name: "import/cli-vs-copy-1mib", ours: Cli, peer: Some(Copy1Mib), goal: Some(1.0) },
    Comparison { name: "import/cli-huge-tensor-vs-copy-1mib", ours: CliHuge, peer: Some(Copy1Mib), goal: Some(1.0) },
];

/// WAL of the two largest turns, as a multiple of their bytes: files that the first turns use again.
const WAL_FACTOR: u64 = 3;

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let rows = contest::wanted(bench, &ROWS);
    if rows.is_empty() {
        return Ok(Report::default());
    }
    bench.say("import");
    bench.warm_up_wal(bench.args.bytes * WAL_FACTOR)?;
    contest::run(bench, &mut Import::new(bench)?, &rows).map(Report::of_rows)
}

struct Import<'a> {
    bench: &'a Bench,
    dir: PathBuf,
}

impl<'a> Import<'a> {
    fn new(bench: &'a Bench) -> Result<Import<'a>> {
        let dir = bench.folder().join("import");
        folder::make_empty(&dir)?;
        Ok(Import { bench, dir })
    }

    fn mixed(&self) -> PathBuf {
        self.dir.join("mixed.safetensors")
    }

    fn huge(&self) -> PathBuf {
        self.dir.join("huge.safetensors")
    }

    fn by_server(&self, file: PathBuf) -> Result<Lap> {
        let database = self.bench.new_database()?;
        let mut client = database.client()?;
        self.bench.time(folder::file_bytes(&file)?, || {
            Database::import_on_server(&mut client, "model", &file, Strategy::Tensor)
        })
    }

    fn by_cli(&self, file: PathBuf) -> Result<Lap> {
        let database = self.bench.new_database()?;
        self.bench.time(folder::file_bytes(&file)?, || database.import_by_cli("model", &file, Strategy::Tensor))
    }

    fn by_copy(&self, table: PeerTable) -> Result<Lap> {
        let database = self.bench.new_database()?;
        let mut client = database.client()?;
        client.batch_execute(table.create())?;
        let file = self.mixed();
        self.bench.time(folder::file_bytes(&file)?, || copy_in::copy_file(&mut client, table, &file))
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        // What cannot be removed goes with the server.
        let _ = folder::remove(&self.dir);
    }
}

impl Contest for Import<'_> {
    type Contestant = Contestant;

    fn label(contestant: Contestant) -> &'static str {
        match contestant {
            Server => "CALL import_model",
            ServerHuge => "CALL import_model, one huge tensor",
            Cli => "atoms import",
            CliHuge => "atoms import, one huge tensor",
            Copy1Mib => "COPY, 1 MiB rows",
            Copy8096 => "COPY, 8,096-byte rows",
        }
    }

    /// Every round has bytes of its own, so that no cache below us knows them.
    fn begin_round(&mut self, round: u32, contestants: &[Contestant]) -> Result<()> {
        let (seed, bytes) = (u64::from(round) + 1, self.bench.args.bytes);
        model::write(&self.mixed(), &model::mixed(seed, bytes))?;
        if contestants.iter().any(|contestant| matches!(contestant, ServerHuge | CliHuge)) {
            model::write(&self.huge(), &model::with_huge_tensor(seed, bytes))?;
        }
        Ok(())
    }

    fn lap(&mut self, contestant: Contestant) -> Result<Lap> {
        match contestant {
            Server => self.by_server(self.mixed()),
            ServerHuge => self.by_server(self.huge()),
            Cli => self.by_cli(self.mixed()),
            CliHuge => self.by_cli(self.huge()),
            Copy1Mib => self.by_copy(PeerTable::Rows1Mib),
            Copy8096 => self.by_copy(PeerTable::Rows8096),
        }
    }
}
