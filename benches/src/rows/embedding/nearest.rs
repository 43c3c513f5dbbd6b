//! The nearest rows without an index: every distance of a table, sorted, beside pgvector.

use std::collections::HashSet;

use postgres::Statement;

use super::distance::fill;
use super::{Costs, Data, connect_with_pgvector};
use crate::args::Args;
use crate::row::{Goal, Row};
use crate::support::backend::{Backend, Cost};
use crate::support::vectors::{self, Vectors};
use crate::support::{Bench, Database, Result};

const NAME: &str = "embedding/exact-scan";

/// Our time, as a part of pgvector's.
const AT_MOST: f64 = 0.8;
const QUERIES: usize = 20;
const NEIGHBOURS: usize = 10;

/// Returns whether the row is asked for.
pub fn is_wanted(args: &Args) -> bool {
    args.wants(NAME)
}

/// Measures the row if it is asked for.
pub fn measure(bench: &Bench, data: &Data) -> Result<Option<Row>> {
    if !is_wanted(&bench.args) {
        return Ok(None);
    }
    bench.say(NAME);
    let database = bench.new_database()?;
    let queries = data.queries.first(QUERIES)?;
    let mut ours = Contestant::new(&database, "dimvec", &data.base, &queries)?;
    let mut theirs = Contestant::new(&database, "vector", &data.base, &queries)?;
    // Also the first look at every page.
    let same = ours.found()?.intersection(&theirs.found()?).count();
    let costs = Costs::of_turns(bench.args.rounds, || ours.search(), || theirs.search())?;
    let figure = |seconds: f64| seconds * 1e3 / QUERIES as f64;
    let row = costs.row(NAME, "CPU ms per query", "pgvector", [figure, figure]);
    let row = row.goal(Some(Goal::AtMost(AT_MOST))).detail("embeddings", data.base.count());
    Ok(Some(row.detail("same_neighbours", same).detail("neighbours", QUERIES * NEIGHBOURS)))
}

/// One of two types, with its table, connection and planned queries.
struct Contestant {
    backend: Backend,
    queries: Vec<Statement>,
}

impl Contestant {
    fn new(database: &Database, kind: &str, base: &Vectors, queries: &Vectors) -> Result<Contestant> {
        let mut backend = connect_with_pgvector(database)?;
        let client = backend.client();
        client.batch_execute(&format!("CREATE TABLE of_{kind} (id bigint, v {kind})"))?;
        fill(client, &format!("of_{kind}"), base)?;
        let query = |vector| {
            let vector = vectors::text(vector);
            format!("SELECT id FROM of_{kind} ORDER BY v <=> '{vector}'::{kind} LIMIT {NEIGHBOURS}")
        };
        let queries = queries.iter().map(|vector| client.prepare(&query(vector)));
        let queries = queries.collect::<std::result::Result<_, _>>()?;
        Ok(Contestant { backend, queries })
    }

    /// Returns what is found, with the number of the query.
    fn found(&mut self) -> Result<HashSet<(usize, i64)>> {
        let mut found = HashSet::new();
        for (number, query) in self.queries.iter().enumerate() {
            let rows = self.backend.client().query(query, &[])?;
            found.extend(rows.iter().map(|row| (number, row.get(0))));
        }
        Ok(found)
    }

    fn search(&mut self) -> Result<Cost> {
        self.backend.measure(|client| {
            for query in &self.queries {
                client.query(query, &[])?;
            }
            Ok(())
        })
    }
}
