//! Storing and fetching a model, and storing a similar one, beside tools that keep versions of files. They write a plain file
//! once, without WAL and without fsync.

use std::path::{Path, PathBuf};

use super::Report;
use crate::args::Args;
use crate::contest::{Lap, median};
use crate::row::Row;
use crate::support::atoms::Strategy;
use crate::support::programs::{self, Repository, VersionTool};
use crate::support::{Bench, Database, Failure, Result, folder, model};

const PEERS: [(VersionTool, &str); 2] = [(VersionTool::GitLfs, "git-lfs"), (VersionTool::Dvc, "dvc")];

const FIRST: &str = "first.safetensors";
const SECOND: &str = "second.safetensors";

/// What one tool did in all rounds.
#[derive(Default)]
struct Record {
    store: Vec<Lap>,
    fetch: Vec<Lap>,
    /// Bytes that the store grew by when the similar model was stored.
    second_bytes: Vec<f64>,
}

/// Fails, saying what to do, if a peer that takes part is not installed.
pub fn check(args: &Args) -> Result<()> {
    peers(args).into_iter().try_for_each(|(program, _)| programs::check(args, program))
}

/// Measures the rows that are asked for; a tool does all of its work or none.
pub fn measure(bench: &Bench) -> Result<Report> {
    let peers = peers(&bench.args);
    if peers.is_empty() {
        return Ok(Report::default());
    }
    bench.say("versions");
    let mut ours = Record::default();
    let mut theirs: Vec<Record> = peers.iter().map(|_| Record::default()).collect();
    for round in 0..bench.args.rounds {
        run_round(bench, round, &peers, &mut ours, &mut theirs)?;
        bench.say(&format!("round {} done", round + 1));
    }
    let rows = peers.iter().zip(&theirs).flat_map(|((_, name), record)| rows_against(name, &ours, record));
    let rows = rows.filter(|row| bench.args.wants(&row.name)).collect();
    let remark =
        "versions: git-lfs and dvc write a plain file once, without WAL and without fsync; pg_atoms is durable.";
    Ok(Report { rows, remarks: vec![remark.to_owned()], ..Report::default() })
}

/// The peers of the rows that are asked for, less those that shall be left out.
fn peers(args: &Args) -> Vec<(VersionTool, &'static str)> {
    let takes_part = |tool: &str| ROW_KINDS.iter().any(|kind| args.wants(&row_name(kind, tool)));
    PEERS.into_iter().filter(|(program, name)| args.has(program.peer()) && takes_part(name)).collect()
}

fn run_round(
    bench: &Bench,
    round: u32,
    peers: &[(VersionTool, &str)],
    ours: &mut Record,
    theirs: &mut [Record],
) -> Result<()> {
    let dir = bench.folder().join("versions");
    let files = Files::write(bench, &dir, round)?;
    take_turn(bench, &files, Ours::new(bench, &dir)?, ours)?;
    for ((program, name), record) in peers.iter().zip(theirs) {
        let repository = Repository::init(&bench.args, *program, dir.join("repository"))?;
        take_turn(bench, &files, repository, record).map_err(|failure| failure.during(name))?;
    }
    folder::remove(&dir)
}

const ROW_KINDS: [&str; 3] = ["import", "export", "second-model"];

fn row_name(kind: &str, tool: &str) -> String {
    format!("versions/{kind}-vs-{tool}")
}

fn rows_against(tool: &str, ours: &Record, theirs: &Record) -> [Row; 3] {
    let (add, checkout) = match tool {
        "dvc" => ("dvc add", "dvc checkout"),
        _ => ("git add (lfs clean)", "git checkout (lfs smudge)"),
    };
    let middle = |record: &Record| median(record.second_bytes.iter().copied());
    let [import, export, second] = ROW_KINDS.map(|kind| row_name(kind, tool));
    [
        Row::of_laps(&import, &ours.store).against_laps(add, &theirs.store),
        Row::of_laps(&export, &ours.fetch).against_laps(checkout, &theirs.fetch),
        Row::new(second, middle(ours), "bytes stored").against(tool, middle(theirs)),
    ]
}

/// Two models, of which half is the same.
struct Files {
    first: PathBuf,
    second: PathBuf,
    bytes: u64,
}

impl Files {
    fn write(bench: &Bench, dir: &Path, round: u32) -> Result<Files> {
        folder::make_empty(dir)?;
        let seed = 2 * u64::from(round) + 1;
        let tensors = model::mixed(seed, bench.args.bytes);
        let (first, second) = (dir.join(FIRST), dir.join(SECOND));
        let bytes = model::write(&first, &tensors)?;
        model::write(&second, &model::half_changed(&tensors, seed + 1))?;
        Ok(Files { first, second, bytes })
    }
}

/// A tool that keeps versions of files.
trait Tool {
    /// Lays a file where the tool takes it from; this is not measured.
    fn place(&mut self, file: &Path) -> Result<()>;
    /// Takes the file into the store.
    fn store(&mut self, file: &Path) -> Result<()>;
    /// Removes what `fetch` will write; this is not measured.
    fn forget(&mut self, file: &Path) -> Result<()>;
    /// Writes the file from the store, and says where.
    fn fetch(&mut self, file: &Path) -> Result<PathBuf>;
    /// What the store takes on disk.
    fn stored_bytes(&self) -> Result<u64>;
}

fn take_turn(bench: &Bench, files: &Files, mut tool: impl Tool, record: &mut Record) -> Result<()> {
    tool.place(&files.first)?;
    record.store.push(bench.time(files.bytes, || tool.store(&files.first))?);
    tool.forget(&files.first)?;
    let mut fetched = PathBuf::new();
    record.fetch.push(bench.time(files.bytes, || tool.fetch(&files.first).map(|path| fetched = path))?);
    if folder::file_bytes(&fetched)? != files.bytes {
        return Err(Failure::new(format!("{} did not come back whole", fetched.display())));
    }
    let before = tool.stored_bytes()?;
    tool.place(&files.second)?;
    tool.store(&files.second)?;
    record.second_bytes.push((tool.stored_bytes()? - before) as f64);
    Ok(())
}

struct Ours<'a> {
    database: Database<'a>,
    out: PathBuf,
}

impl<'a> Ours<'a> {
    fn new(bench: &'a Bench, dir: &Path) -> Result<Ours<'a>> {
        Ok(Ours { database: bench.new_database()?, out: dir.join("out") })
    }
}

impl Tool for Ours<'_> {
    fn place(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        self.database.import_by_cli(name_of(file), file, Strategy::Tensor)
    }

    fn forget(&mut self, _: &Path) -> Result<()> {
        folder::remove(&self.out)
    }

    fn fetch(&mut self, file: &Path) -> Result<PathBuf> {
        self.database.export_by_cli(name_of(file), &self.out)?;
        Ok(self.out.join(name_of(file)))
    }

    fn stored_bytes(&self) -> Result<u64> {
        self.database.physical_bytes()
    }
}

impl Tool for Repository {
    fn place(&mut self, file: &Path) -> Result<()> {
        let to = self.file(name_of(file));
        std::fs::copy(file, &to).map(drop).map_err(|error| Failure::io("copy to", &to, &error))
    }

    fn store(&mut self, file: &Path) -> Result<()> {
        self.add(name_of(file))
    }

    fn forget(&mut self, file: &Path) -> Result<()> {
        let copy = self.file(name_of(file));
        std::fs::remove_file(&copy).map_err(|error| Failure::io("remove", &copy, &error))
    }

    fn fetch(&mut self, file: &Path) -> Result<PathBuf> {
        self.checkout(name_of(file))?;
        Ok(self.file(name_of(file)))
    }

    fn stored_bytes(&self) -> Result<u64> {
        Repository::stored_bytes(self)
    }
}

fn name_of(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).expect("the bench chose the name")
}
