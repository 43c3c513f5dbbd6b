//! Distances of one vector to every row of a table, per CPU second, beside pgvector on a table of the same shape.
//!
//! What the scan itself costs, and fetching rows that lie out of line, is part of both figures.

use postgres::{Client, Statement};

use super::{Costs, Data, connect_with_pgvector};
use crate::args::Args;
use crate::row::{Goal, Row, round};
use crate::support::backend::{Backend, Cost};
use crate::support::vectors::{self, Vectors};
use crate::support::{Bench, Database, Failure, Result, copy_fields};

const AT_LEAST: f64 = 1.2;

/// Name and operator of each distance; pgvector calls them the same.
const DISTANCES: [(&str, &str); 4] = [("l2", "<->"), ("ip", "<#>"), ("cosine", "<=>"), ("l1", "<+>")];

/// Paths of distances that this kind of CPU may have, and whether this one has them.
#[cfg(target_arch = "x86_64")]
fn paths() -> Vec<(&'static str, bool)> {
    let avx512 = is_x86_feature_detected!("avx512f");
    vec![("avx512", avx512), ("avx2", is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))]
}

#[cfg(target_arch = "aarch64")]
fn paths() -> Vec<(&'static str, bool)> {
    vec![("neon", true)]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn paths() -> Vec<(&'static str, bool)> {
    vec![("scalar", true)]
}

/// Where the vectors of a table lie.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// In the rows.
    Inline,
    /// In the table's TOAST table.
    Toasted,
}

/// A pair of tables, ours and pgvector's.
struct Shape {
    dimensions: usize,
    rows: usize,
    place: Place,
    /// Scans of a turn, so that a turn is long enough to be measured.
    scans: u32,
}

const SHAPES: [Shape; 4] = [
    Shape { dimensions: 384, rows: 20_000, place: Place::Inline, scans: 10 },
    Shape { dimensions: 384, rows: 20_000, place: Place::Toasted, scans: 3 },
    Shape { dimensions: 1536, rows: 5_000, place: Place::Inline, scans: 20 },
    Shape { dimensions: 1536, rows: 5_000, place: Place::Toasted, scans: 6 },
];

/// Turns of each contestant in a round: they are short, and more of them are steadier.
const TURNS: u32 = 5;

/// A row that is too short is not moved out of line, however little room its table wants to give it.
const FILLER_BYTES: usize = 600;

/// A row of a shape.
struct Case {
    name: String,
    operator: &'static str,
    path: &'static str,
}

impl Shape {
    fn place_name(&self) -> &'static str {
        match self.place {
            Place::Inline => "inline",
            Place::Toasted => "toasted",
        }
    }

    fn row_name(&self, distance: &str, path: &str) -> String {
        format!("embedding/distance-{distance}-{}-{}-{path}", self.dimensions, self.place_name())
    }

    /// Returns the rows that are asked for and can be measured.
    fn cases(&self, args: &Args) -> Vec<Case> {
        let paths = paths().into_iter().filter(|(_, has)| *has).map(|(path, _)| path);
        let cases = paths.flat_map(|path| {
            DISTANCES.map(|(distance, operator)| Case { name: self.row_name(distance, path), operator, path })
        });
        cases.filter(|case| args.wants(&case.name)).collect()
    }

    /// Returns the statements that make a table for vectors of a type.
    fn create(&self, table: &str, kind: &str) -> String {
        let (target_bytes, filler_bytes) = match self.place {
            Place::Inline => (8160, 0),
            Place::Toasted => (128, FILLER_BYTES),
        };
        format!(
            "CREATE TABLE {table} (id bigint, filler text DEFAULT repeat('x', {filler_bytes}), v {kind})
                 WITH (toast_tuple_target = {target_bytes});
             ALTER TABLE {table} ALTER filler SET STORAGE PLAIN, ALTER v SET STORAGE EXTERNAL"
        )
    }

    /// Returns thousands of rows per second of a turn that took so many seconds.
    fn rate(&self, seconds: f64) -> f64 {
        self.rows as f64 * f64::from(self.scans) / seconds / 1e3
    }

    fn vectors(&self, data: &Data) -> Result<[Vectors; 2]> {
        match self.dimensions {
            384 => Ok([data.base.first(self.rows)?, data.queries.first(1)?]),
            _ => Ok([data.base.first(self.rows * 4)?.fours(), data.queries.first(4)?.fours()]),
        }
    }
}

/// Returns whether a row is asked for.
pub fn is_wanted(args: &Args) -> bool {
    SHAPES.iter().any(|shape| !shape.cases(args).is_empty())
}

/// Returns a text about paths that this machine's CPU lacks, if there are any.
pub fn remark(args: &Args) -> Option<String> {
    let missing: Vec<_> = paths().into_iter().filter(|(_, has)| !has).map(|(path, _)| path).collect();
    let is_worth_it = is_wanted(args) && !missing.is_empty();
    is_worth_it.then(|| format!("embedding/distance: this CPU has no {}; those rows are left out.", missing.join(", ")))
}

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench, data: &Data) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for shape in &SHAPES {
        let cases = shape.cases(&bench.args);
        if !cases.is_empty() {
            bench.say(&format!("embedding/distance: {} dimensions, {}", shape.dimensions, shape.place_name()));
            rows.extend(measure_shape(bench, data, shape, &cases)?);
        }
    }
    Ok(rows)
}

fn measure_shape(bench: &Bench, data: &Data, shape: &Shape, cases: &[Case]) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    let [base, queries] = shape.vectors(data)?;
    let query = vectors::text(queries.iter().next().expect("as many were taken"));
    let mut ours = Contestant::new(&database, shape, "dimvec", &base)?;
    let mut theirs = Contestant::new(&database, shape, "vector", &base)?;
    let bare = shape.rate(theirs.bare_scan(shape.scans)?.cpu_seconds);
    let measure = |case: &Case| {
        ours.backend.client().batch_execute(&format!("SET pg_atoms.simd = '{}'", case.path))?;
        let costs = measure_case(bench, shape, &mut ours, &mut theirs, case.operator, &query)?;
        let rate = |seconds| shape.rate(seconds);
        let row = costs.row(&case.name, "thousand per CPU s", "pgvector", [rate, rate]);
        Ok(row.goal(Some(Goal::AtLeast(AT_LEAST))).detail("bare_scan_value", round(bare)))
    };
    cases.iter().map(measure).collect()
}

fn measure_case(
    bench: &Bench,
    shape: &Shape,
    ours: &mut Contestant,
    theirs: &mut Contestant,
    operator: &str,
    query: &str,
) -> Result<Costs> {
    ours.prepare(operator, query)?;
    theirs.prepare(operator, query)?;
    check_same(operator, query, ours, theirs)?;
    Costs::of_turns(bench.args.rounds * TURNS, || ours.scan(shape.scans), || theirs.scan(shape.scans))
}

/// One of two types, with its table and connection.
struct Contestant {
    backend: Backend,
    kind: &'static str,
    statement: Option<Statement>,
}

impl Contestant {
    fn new(database: &Database, shape: &Shape, kind: &'static str, base: &Vectors) -> Result<Contestant> {
        let mut backend = connect_with_pgvector(database)?;
        let table = format!("of_{kind}");
        backend.client().batch_execute(&shape.create(&table, kind))?;
        fill(backend.client(), &table, base)?;
        check_place(backend.client(), &table, shape.place)?;
        Ok(Contestant { backend, kind, statement: None })
    }

    fn distances(&self, operator: &str, query: &str) -> String {
        // OFFSET 0 keeps the two levels apart: each distance is computed once, and none is left out.
        format!("(SELECT v {operator} '{query}'::{kind} AS d FROM of_{kind} OFFSET 0) AS distances", kind = self.kind)
    }

    /// Plans the statement, so that the text of the vector is read once and not in every scan.
    fn prepare(&mut self, operator: &str, query: &str) -> Result<()> {
        let statement = format!("SELECT count(*) FROM {} WHERE d < 0", self.distances(operator, query));
        self.statement = Some(self.backend.client().prepare(&statement)?);
        // The plan, and the pages, come with the first.
        self.scan(1).map(drop)
    }

    /// Scans without looking at the vectors.
    fn bare_scan(&mut self, scans: u32) -> Result<Cost> {
        let statement = format!("SELECT count(*) FROM (SELECT id FROM of_{} OFFSET 0) AS ids WHERE id < 0", self.kind);
        self.statement = Some(self.backend.client().prepare(&statement)?);
        self.scan(1)?;
        self.scan(scans)
    }

    fn scan(&mut self, scans: u32) -> Result<Cost> {
        let statement = self.statement.as_ref().ok_or_else(|| Failure::new("nothing is prepared"))?;
        self.backend.measure(|client| {
            for _ in 0..scans {
                client.query_one(statement, &[])?;
            }
            Ok(())
        })
    }

    fn sum(&mut self, operator: &str, query: &str) -> Result<f64> {
        let statement = format!("SELECT sum(abs(d)) FROM {}", self.distances(operator, query));
        Ok(self.backend.client().query_one(&statement, &[])?.get(0))
    }
}

/// Copies rows, numbered from 1, into a table.
pub fn fill(client: &mut Client, table: &str, base: &Vectors) -> Result<()> {
    let rows = (1i64..).zip(base.iter()).map(|(id, vector)| [id.to_be_bytes().to_vec(), vectors::wire(vector)]);
    copy_fields::copy(client, &format!("COPY {table} (id, v) FROM STDIN (FORMAT binary)"), rows)?;
    Ok(client.batch_execute(&format!("VACUUM (ANALYZE, FREEZE) {table}"))?)
}

/// Fails if the vectors do not lie where they are said to.
fn check_place(client: &mut Client, table: &str, place: Place) -> Result<()> {
    let size = format!("SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = '{table}'::regclass");
    let toast_bytes: i64 = client.query_one(&size, &[])?.get(0);
    match (toast_bytes > 0) == (place == Place::Toasted) {
        true => Ok(()),
        false => Err(Failure::new(format!("{table} has {toast_bytes} bytes out of line, which is not {place:?}"))),
    }
}

/// Fails if the two do not compute the same, but for the rounding of floats.
fn check_same(operator: &str, query: &str, ours: &mut Contestant, theirs: &mut Contestant) -> Result<()> {
    let (a, b) = (ours.sum(operator, query)?, theirs.sum(operator, query)?);
    match (a - b).abs() <= b.abs() * 1e-4 {
        true => Ok(()),
        false => Err(Failure::new(format!("the sum of all distances {operator} is {a}, and {b} of pgvector"))),
    }
}
