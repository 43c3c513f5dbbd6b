//! Building the index and inserting into it, beside pgvector's.

use super::{create, fill};
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

/// Rows of a turn, each inserted by a statement of its own.
const INSERTED: i64 = 2_000;

/// Turns in a round, at most.
const TURNS_MAX: u32 = 3;

/// Of old WAL files for a row's turns: who makes a new one pays more than for many rows.
const WAL_BYTES: u64 = 1 << 30;

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

/// A row about inserting.
struct Contest {
    name: &'static str,
    peer: Kind,
    label: &'static str,
    at_most: f64,
    /// Turns of each contestant in a round: few where one takes seconds.
    turns: u32,
}

const CONTESTS: [Contest; 2] = [
    Contest { name: INSERT_HNSW, peer: HNSW, label: "pgvector HNSW", at_most: 0.02, turns: 1 },
    Contest { name: INSERT_IVFFLAT, peer: IVFFLAT, label: "pgvector IVFFlat", at_most: 1.0, turns: TURNS_MAX },
];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench, base: &Vectors) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    let mut keeper = Keeper { backend: connect_with_pgvector(&database)?, base };
    let mut rows = Vec::new();
    if bench.args.wants(BUILD) {
        rows.push(keeper.build_row(bench)?);
    }
    let contests: Vec<_> = CONTESTS.iter().filter(|contest| bench.args.wants(contest.name)).collect();
    if !contests.is_empty() {
        bench.say("dimspace: rows to insert");
        keeper.fill_sources(INSERTED as usize * (TURNS_MAX * bench.args.rounds + 1) as usize)?;
    }
    for contest in contests {
        rows.push(keeper.insert_row(bench, contest)?);
    }
    Ok(rows)
}

/// The connection that all work is done on.
struct Keeper<'a> {
    backend: Backend,
    base: &'a Vectors,
}

impl Keeper<'_> {
    /// HNSW is built once: its time is long enough to be steady.
    fn build_row(&mut self, bench: &Bench) -> Result<Row> {
        bench.say("dimspace: building an HNSW index");
        let theirs = self.renew(&HNSW)?;
        bench.say(BUILD);
        let ours = (0..bench.args.rounds).map(|_| self.renew(&OURS)).collect::<Result<_>>()?;
        let costs = Costs { ours, theirs: vec![theirs] };
        let row = costs.row(BUILD, "CPU s", "pgvector HNSW", [|seconds| seconds, |seconds| seconds]);
        Ok(row.goal(Some(Goal::AtMost(BUILD_AT_MOST))))
    }

    /// Makes a table anew, with the base in it, and returns what building its index costs.
    fn renew(&mut self, kind: &Kind) -> Result<Cost> {
        let client = self.backend.client();
        client.batch_execute(&format!("DROP TABLE IF EXISTS {}", kind.table))?;
        create(client, kind.table, kind.vector)?;
        fill(client, kind.table, self.base)?;
        self.build(kind)
    }

    fn exists(&mut self, kind: &Kind) -> Result<bool> {
        let query = "SELECT to_regclass($1) IS NOT NULL";
        Ok(self.backend.client().query_one(query, &[&kind.table])?.get(0))
    }

    /// Stores the rows that are inserted later: like others, but none equal to one that is there, which HNSW would notice.
    fn fill_sources(&mut self, count: usize) -> Result<()> {
        let client = self.backend.client();
        for vector in [OURS.vector, HNSW.vector] {
            let source = format!("source_{vector}");
            create(client, &source, vector)?;
            let fields = |(id, vector): (i64, Vec<f32>)| [id.to_be_bytes().to_vec(), vectors::wire(&vector)];
            let first = self.base.count() as i64 + 1;
            let rows = (first..).zip(derived::vectors(self.base, 1)).take(count).map(fields);
            copy_fields::copy(client, &format!("COPY {source} (id, v) FROM STDIN (FORMAT binary)"), rows)?;
            client.batch_execute(&format!("VACUUM (ANALYZE, FREEZE) {source}"))?;
        }
        Ok(())
    }

    fn build(&mut self, kind: &Kind) -> Result<Cost> {
        let Kind { table, index, .. } = kind;
        let create = match index.is_empty() {
            true => String::new(),
            false => format!("CREATE INDEX of_{table} ON {table} {index}"),
        };
        self.backend.measure_threads(|client| Ok(client.batch_execute(&create)?))
    }

    fn insert_row(&mut self, bench: &Bench, contest: &Contest) -> Result<Row> {
        bench.say(&format!("{}: tables and indexes", contest.name));
        for kind in [&OURS, &OURS_BARE, &BARE] {
            self.renew(kind)?;
        }
        // HNSW may be there from its own row, and nothing was inserted since.
        if !self.exists(&contest.peer)? {
            self.renew(&contest.peer)?;
        }
        bench.say(contest.name);
        bench.warm_up_wal(WAL_BYTES)?;
        // The first rows meet what later ones do not: empty pages, and buffers that nobody has touched.
        self.insert_cost(&OURS, &OURS_BARE)?;
        self.insert_cost(&contest.peer, &BARE)?;
        let mut costs = Costs { ours: Vec::new(), theirs: Vec::new() };
        for _ in 0..bench.args.rounds * contest.turns {
            costs.ours.push(self.insert_cost(&OURS, &OURS_BARE)?);
            costs.theirs.push(self.insert_cost(&contest.peer, &BARE)?);
        }
        let per_row = |seconds: f64| seconds * 1e6 / INSERTED as f64;
        let row = costs.row(contest.name, "CPU µs per row", contest.label, [per_row, per_row]);
        Ok(row.goal(Some(Goal::AtMost(contest.at_most))).detail("inserted", INSERTED))
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
