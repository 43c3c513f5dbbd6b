//! Range queries among 50,000 rows, beside a sequential scan and B-trees on the very dimensions.

use super::search::{DIMENSIONS, Range, Searcher, element, same_found};
use super::{connect_filled, connect_with_pgvector, create, fill, index};
use crate::costs::Costs;
use crate::row::{Goal, Row};
use crate::support::vectors::Vectors;
use crate::support::{Bench, Database, Result};

/// The rows.
pub const NAMES: [&str; 4] = [CASES[0].name, CASES[1].name, CASES[2].name, CASES[3].name];

/// Turns of each contestant in a round: they are short, and more of them are steadier.
const TURNS: u32 = 3;

/// Who pgvector's table is searched by.
#[derive(Clone, Copy, PartialEq)]
enum Rival {
    /// A sequential scan.
    Scan,
    /// B-trees, one per dimension.
    BTree,
}

struct Case {
    name: &'static str,
    /// Share of the rows that lie in a range.
    share: f64,
    rival: Rival,
    /// Whether a query asks for all dimensions at once.
    is_joint: bool,
    at_most: f64,
    /// How often a turn of ours and of the peer runs the queries.
    repeats: [u32; 2],
}

const CASES: [Case; 4] = [
    Case {
        name: "dimspace/range-0.1-percent-vs-scan",
        share: 0.001,
        rival: Rival::Scan,
        is_joint: false,
        at_most: 0.0083,
        repeats: [20, 1],
    },
    Case {
        name: "dimspace/range-0.1-percent-vs-btree",
        share: 0.001,
        rival: Rival::BTree,
        is_joint: false,
        at_most: 2.0,
        repeats: [20, 100],
    },
    Case {
        name: "dimspace/range-10-percent-vs-btree",
        share: 0.1,
        rival: Rival::BTree,
        is_joint: false,
        at_most: 1.0,
        repeats: [2, 2],
    },
    Case {
        name: "dimspace/five-ranges-vs-btrees",
        share: 0.3,
        rival: Rival::BTree,
        is_joint: true,
        at_most: 0.05,
        repeats: [20, 2],
    },
];

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench, base: &Vectors) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    bench.say("dimspace: tables and indexes for ranges");
    make_tables(&database, base)?;
    let cases = CASES.iter().filter(|case| bench.args.wants(case.name));
    cases.map(|case| case.measure(bench, &database)).collect()
}

fn make_tables(database: &Database, base: &Vectors) -> Result<()> {
    let mut ours = connect_filled(database, base)?;
    index(ours.client())?;
    let mut theirs = connect_with_pgvector(database)?;
    create(theirs.client(), "theirs", "vector")?;
    fill(theirs.client(), "theirs", base)?;
    for dimension in DIMENSIONS {
        let create = format!("CREATE INDEX theirs_btree_{dimension} ON theirs ({})", element(dimension));
        theirs.client().batch_execute(&create)?;
    }
    // Only now the values of the expressions are counted.
    Ok(theirs.client().batch_execute("VACUUM ANALYZE theirs")?)
}

impl Case {
    fn measure(&self, bench: &Bench, database: &Database) -> Result<Row> {
        bench.say(self.name);
        let conditions = self.conditions(database)?;
        let is_chosen = self.is_chosen(database, &conditions)?;
        let mut ours = self.ours(database, &conditions)?;
        let mut theirs = self.theirs(database, &conditions)?;
        let found = same_found(&mut ours, &mut theirs)?;
        let costs = Costs::of_turns(bench.args.rounds * TURNS, || ours.search(), || theirs.search())?;
        let row = costs.row(self.name, "CPU µs per query", self.rival.name(), [ours.per_query(), theirs.per_query()]);
        Ok(row
            .goal(Some(Goal::AtMost(self.at_most)))
            .detail("rows_per_query", self.rows_per_query(&found))
            .detail("index_by_choice", is_chosen))
    }

    /// Returns the conditions of each query.
    fn conditions(&self, database: &Database) -> Result<Vec<Vec<Range>>> {
        let mut searcher = connect_with_pgvector(database)?;
        let mut of_dimension = |dimension| Range::of_table(searcher.client(), "ours", dimension, self.share);
        let ranges = DIMENSIONS.into_iter().map(&mut of_dimension).collect::<Result<Vec<_>>>()?;
        Ok(if self.is_joint { joint(ranges) } else { ranges.into_iter().flatten().map(|range| vec![range]).collect() })
    }

    fn queries(&self, table: &str, conditions: &[Vec<Range>], condition: fn(&Range) -> String) -> Vec<String> {
        let all = conditions.iter().map(|ranges| ranges.iter().map(condition).collect::<Vec<_>>().join(" AND "));
        let statements = all.flat_map(|all| {
            let count = self.is_joint.then(|| format!("SELECT count(*) FROM {table} WHERE {all}"));
            [Some(format!("SELECT id FROM {table} WHERE {all}")), count]
        });
        statements.flatten().collect()
    }

    /// Returns the mean of the queries for rows; behind each of a joint case comes one that counts them.
    fn rows_per_query(&self, found: &[Vec<i64>]) -> usize {
        let counts: Vec<_> = found.iter().step_by(if self.is_joint { 2 } else { 1 }).map(Vec::len).collect();
        counts.iter().sum::<usize>() / counts.len()
    }

    /// Returns whether the planner takes the index for every query without being told to.
    fn is_chosen(&self, database: &Database, conditions: &[Vec<Range>]) -> Result<bool> {
        let mut free = Searcher::connect(database, "")?;
        free.prepare(self.queries("ours", conditions, Range::of_dimvec), 1)?;
        free.check_plans("ours_dimspace").map_or(Ok(false), |()| Ok(true))
    }

    fn ours(&self, database: &Database, conditions: &[Vec<Range>]) -> Result<Searcher> {
        let mut ours = Searcher::connect(database, "SET enable_seqscan = off")?;
        ours.prepare(self.queries("ours", conditions, Range::of_dimvec), self.repeats[0])?;
        ours.check_plans("ours_dimspace")?;
        Ok(ours)
    }

    fn theirs(&self, database: &Database, conditions: &[Vec<Range>]) -> Result<Searcher> {
        let (settings, condition, plan): (_, fn(&Range) -> String, _) = match self.rival {
            Rival::Scan => ("SET enable_indexscan = off; SET enable_bitmapscan = off", Range::of_subvector, "Seq Scan"),
            Rival::BTree => ("SET enable_seqscan = off", Range::of_element, "theirs_btree_"),
        };
        let mut theirs = Searcher::connect(database, settings)?;
        theirs.prepare(self.queries("theirs", conditions, condition), self.repeats[1])?;
        theirs.check_plans(plan)?;
        Ok(theirs)
    }
}

impl Rival {
    fn name(self) -> &'static str {
        match self {
            Rival::Scan => "pgvector, sequential scan",
            Rival::BTree => "B-tree on the dimension",
        }
    }
}

/// Returns for each place of ranges a query of all dimensions, whose ranges begin at different places.
fn joint(ranges: Vec<Vec<Range>>) -> Vec<Vec<Range>> {
    let places = ranges.first().map_or(0, Vec::len);
    let mut queries: Vec<Vec<Range>> = (0..places).map(|_| Vec::new()).collect();
    for (dimension, of_dimension) in ranges.into_iter().enumerate() {
        for (place, range) in of_dimension.into_iter().enumerate() {
            queries[(place + dimension) % places].push(range);
        }
    }
    queries
}
