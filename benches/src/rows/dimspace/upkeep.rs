//! Building the index and inserting into it, beside pgvector's.

use super::{create, fill};
use crate::args::Args;
use crate::costs::Costs;
use crate::row::{Goal, Row};
use crate::rows::embedding::connect_with_pgvector;
use crate::support::backend::{Backend, Cost};
use crate::support::derived;
use crate::support::vectors::{self, Vectors};
use crate::support::{Bench, Result, copy_fields};

const BUILD: &str = "dimspace/build-vs-hnsw";
const INSERT_HNSW: &str = "dimspace/insert-vs-hnsw";
const INSERT_IVFFLAT: &str = "dimspace/insert-vs-ivfflat";

/// The rows.
pub const NAMES: [&str; 3] = [BUILD, INSERT_HNSW, INSERT_IVFFLAT];

const BUILD_AT_MOST: f64 = 0.0833;
const INSERT_HNSW_AT_MOST: f64 = 0.02;
const INSERT_IVFFLAT_AT_MOST: f64 = 1.0;

/// Rows of a turn, each inserted by a statement of its own.
const INSERTED: i64 = 2_000;

/// A kind of table that rows are inserted into: its name, its type, and its index if it has one.
struct Kind {
    table: &'static str,
    vector: &'static str,
    index: &'static str,
}

const OURS: Kind = Kind { table: "ours", vector: "dimvec", index: "USING dimspace (v)" };
const OURS_BARE: Kind = Kind { table: "ours_bare", vector: "dimvec", index: "" };
const BARE: Kind = Kind { table: "bare", vector: "vector", index: "" };
const HNSW: Kind = Kind {
    table: "hnsw",
    vector: "vector",
    index: "USING hnsw (v vector_cosine_ops) WITH (m = 16, ef_construction = 64)",
};
const IVFFLAT: Kind =
    Kind { table: "ivfflat", vector: "vector", index: "USING ivfflat (v vector_cosine_ops) WITH (lists = 224)" };

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench, base: &Vectors) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    let mut keeper = Keeper { backend: connect_with_pgvector(&database)?, rounds: bench.args.rounds };
    let mut rows = Vec::new();
    keeper.fill(&OURS, base)?;
    let (wants_build, wants_hnsw) = (bench.args.wants(BUILD), bench.args.wants(INSERT_HNSW));
    if wants_build || wants_hnsw {
        bench.say("dimspace: building an HNSW index");
        keeper.fill(&HNSW, base)?;
        let theirs = keeper.build(&HNSW)?;
        rows.extend(wants_build.then(|| build_row(bench, &mut keeper, theirs)).transpose()?);
    }
    if wants_insert(&bench.args) {
        rows.extend(insert_rows(bench, &mut keeper, base)?);
    }
    Ok(rows)
}

fn wants_insert(args: &Args) -> bool {
    args.wants(INSERT_HNSW) || args.wants(INSERT_IVFFLAT)
}

/// HNSW is built once: its time is long enough to be steady.
fn build_row(bench: &Bench, keeper: &mut Keeper, theirs: Cost) -> Result<Row> {
    bench.say(BUILD);
    let mut ours = Vec::new();
    for _ in 0..bench.args.rounds {
        ours.push(keeper.build(&OURS)?);
        keeper.backend.client().batch_execute("DROP INDEX of_ours")?;
    }
    let costs = Costs { ours, theirs: vec![theirs] };
    let row = costs.row(BUILD, "CPU s", "pgvector HNSW", [|seconds| seconds, |seconds| seconds]);
    Ok(row.goal(Some(Goal::AtMost(BUILD_AT_MOST))))
}

fn insert_rows(bench: &Bench, keeper: &mut Keeper, base: &Vectors) -> Result<Vec<Row>> {
    bench.say("dimspace: tables for inserting");
    keeper.build(&OURS)?;
    for bare in [&OURS_BARE, &BARE] {
        keeper.fill(bare, base)?;
        keeper.fill_source(bare.vector, base)?;
    }
    let mut rows = Vec::new();
    if bench.args.wants(INSERT_HNSW) {
        rows.push(keeper.insert_row(bench, INSERT_HNSW, &HNSW, "pgvector HNSW", INSERT_HNSW_AT_MOST)?);
    }
    if bench.args.wants(INSERT_IVFFLAT) {
        keeper.fill(&IVFFLAT, base)?;
        keeper.build(&IVFFLAT)?;
        rows.push(keeper.insert_row(bench, INSERT_IVFFLAT, &IVFFLAT, "pgvector IVFFlat", INSERT_IVFFLAT_AT_MOST)?);
    }
    Ok(rows)
}

/// The connection that all work is done on.
struct Keeper {
    backend: Backend,
    rounds: u32,
}

impl Keeper {
    fn fill(&mut self, kind: &Kind, base: &Vectors) -> Result<()> {
        create(self.backend.client(), kind.table, kind.vector)?;
        fill(self.backend.client(), kind.table, base)
    }

    /// Stores the rows that are inserted later: like others, but none equal to one that is there, which HNSW would notice.
    fn fill_source(&mut self, vector: &str, base: &Vectors) -> Result<()> {
        let source = format!("source_{vector}");
        create(self.backend.client(), &source, vector)?;
        let first = base.count() as i64 + 1;
        let count = INSERTED as usize * 2 * self.rounds as usize;
        let fields = |(id, vector): (i64, Vec<f32>)| [id.to_be_bytes().to_vec(), vectors::wire(&vector)];
        let rows = (first..).zip(derived::vectors(base, 1)).take(count).map(fields);
        let client = self.backend.client();
        copy_fields::copy(client, &format!("COPY {source} (id, v) FROM STDIN (FORMAT binary)"), rows)?;
        Ok(client.batch_execute(&format!("VACUUM (ANALYZE, FREEZE) {source}"))?)
    }

    fn build(&mut self, kind: &Kind) -> Result<Cost> {
        let create = format!("CREATE INDEX of_{table} ON {table} {index}", table = kind.table, index = kind.index);
        self.backend.measure_threads(|client| Ok(client.batch_execute(&create)?))
    }

    fn insert_row(&mut self, bench: &Bench, name: &str, peer: &Kind, label: &str, at_most: f64) -> Result<Row> {
        bench.say(name);
        let mut costs = Costs { ours: Vec::new(), theirs: Vec::new() };
        for _ in 0..bench.args.rounds {
            costs.ours.push(self.insert_cost(&OURS, &OURS_BARE)?);
            costs.theirs.push(self.insert_cost(peer, &BARE)?);
        }
        let per_row = |seconds: f64| seconds * 1e6 / INSERTED as f64;
        let row = costs.row(name, "CPU µs per row", label, [per_row, per_row]);
        Ok(row.goal(Some(Goal::AtMost(at_most))))
    }

    /// Returns what rows cost in a table with an index, less what they cost in one without.
    fn insert_cost(&mut self, kind: &Kind, bare: &Kind) -> Result<Cost> {
        let (all, rest) = (self.insert(kind)?, self.insert(bare)?);
        Ok(Cost { cpu_seconds: all.cpu_seconds - rest.cpu_seconds, seconds: all.seconds - rest.seconds })
    }

    /// Inserts the next rows in one transaction. The vectors are in the server already, so that nobody reads them from text.
    fn insert(&mut self, kind: &Kind) -> Result<Cost> {
        let client = self.backend.client();
        let last = format!("SELECT max(id) FROM {}", kind.table);
        let last: i64 = client.query_one(&last, &[])?.get(0);
        let insert = format!("INSERT INTO {} SELECT id, v FROM source_{} WHERE id = $1", kind.table, kind.vector);
        let insert = client.prepare(&insert)?;
        self.backend.measure(|client| {
            let mut transaction = client.transaction()?;
            for id in last + 1..=last + INSERTED {
                transaction.execute(&insert, &[&id])?;
            }
            Ok(transaction.commit()?)
        })
    }
}
