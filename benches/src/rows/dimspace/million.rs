//! Range queries among a million rows, beside what fetching the very rows costs.

use super::search::{DIMENSIONS, Range, Searcher, same_found};
use super::{create, index};
use crate::contest::median;
use crate::costs::Costs;
use crate::row::{Goal, Row, round};
use crate::support::backend::Backend;
use crate::support::derived;
use crate::support::vectors::{self, Vectors};
use crate::support::{Bench, Database, Result, copy_fields};

/// The row.
pub const NAME: &str = "dimspace/million-0.5-percent-vs-heap";

const ROWS: usize = 1_000_000;
const SHARE: f64 = 0.005;
/// Our time, as a part of the fetching's.
const AT_MOST: f64 = 1.3;
const REPEATS: u32 = 2;

/// Measures the row.
pub fn measure(bench: &Bench, base: &Vectors) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    bench.say("dimspace: a million rows and their index, ten minutes");
    let ranges = make_table(&database, base)?;
    bench.say(NAME);
    let mut ours = search_by_range(&database, &ranges)?;
    let mut theirs = search_by_id(&database, &ours.found()?)?;
    let found = same_found(&mut ours, &mut theirs)?;
    let costs = Costs::of_turns(bench.args.rounds, || ours.search(), || theirs.search())?;
    let by_place = cost_by_place(bench, &database, &ranges)?;
    let per_query = [ours.per_query(), theirs.per_query()];
    let row = costs.row(NAME, "CPU µs per query", "bitmap heap scan by ids", per_query);
    let rows_found: usize = found.iter().map(Vec::len).sum();
    let row = row.goal(Some(Goal::AtMost(AT_MOST))).detail("embeddings", ROWS);
    Ok(vec![row.detail("rows_per_query", rows_found / found.len()).detail("by_place_value", round(by_place))])
}

/// Makes the table with its index and returns a range of each dimension, each from another place.
fn make_table(database: &Database, base: &Vectors) -> Result<Vec<Range>> {
    let mut backend = Backend::connect(database, crate::rows::embedding::SEARCH_PATH)?;
    let client = backend.client();
    create(client, "ours", "dimvec")?;
    let fields = |(id, vector): (i64, Vec<f32>)| [id.to_be_bytes().to_vec(), vectors::wire(&vector)];
    let rows = (1i64..).zip(derived::vectors(base, 0)).take(ROWS).map(fields);
    copy_fields::copy(client, "COPY ours (id, v) FROM STDIN (FORMAT binary)", rows)?;
    client.batch_execute("VACUUM (ANALYZE, FREEZE) ours")?;
    index(client)?;
    let mut ranges = Vec::new();
    for (number, dimension) in DIMENSIONS.into_iter().enumerate() {
        let of_dimension = Range::of_table(client, "ours", dimension, SHARE)?;
        let places = of_dimension.len();
        ranges.extend(of_dimension.into_iter().nth(number % places));
    }
    Ok(ranges)
}

fn search_by_range(database: &Database, ranges: &[Range]) -> Result<Searcher> {
    let mut ours = Searcher::connect(database, "SET enable_seqscan = off")?;
    let query = |range: &Range| format!("SELECT id FROM ours WHERE {}", range.of_dimvec());
    ours.prepare(ranges.iter().map(query).collect(), REPEATS)?;
    ours.check_plans("ours_dimspace")?;
    Ok(ours)
}

/// Returns who knows the ids of the rows.
fn search_by_id(database: &Database, found: &[Vec<i64>]) -> Result<Searcher> {
    let query = |ids: &Vec<i64>| {
        let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
        format!("SELECT id FROM ours WHERE id = ANY ('{{{}}}'::bigint[]) AND v IS NOT NULL", ids.join(","))
    };
    let mut theirs = Searcher::connect(database, "SET enable_seqscan = off; SET enable_indexscan = off")?;
    theirs.prepare(found.iter().map(query).collect(), REPEATS)?;
    theirs.check_plans("Bitmap Heap Scan")?;
    Ok(theirs)
}

/// Returns CPU microseconds of a TID scan, which knows where the rows are and has only to fetch them: in nobody's ratio.
fn cost_by_place(bench: &Bench, database: &Database, ranges: &[Range]) -> Result<f64> {
    let mut backend = Backend::connect(database, crate::rows::embedding::SEARCH_PATH)?;
    let mut query = |range: &Range| {
        let places = format!("SELECT array_agg(ctid)::text FROM ours WHERE {}", range.of_dimvec());
        let places: String = backend.client().query_one(&places, &[])?.get(0);
        Ok(format!("SELECT id FROM ours WHERE ctid = ANY ('{places}'::tid[])"))
    };
    let queries = ranges.iter().map(&mut query).collect::<Result<_>>()?;
    let mut searcher = Searcher::connect(database, "SET enable_seqscan = off")?;
    searcher.prepare(queries, REPEATS)?;
    searcher.check_plans("Tid Scan")?;
    searcher.found()?;
    let costs = (0..bench.args.rounds).map(|_| searcher.search()).collect::<Result<Vec<_>>>()?;
    Ok(searcher.per_query()(median(costs.iter().map(|cost| cost.cpu_seconds))))
}
