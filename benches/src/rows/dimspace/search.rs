//! Ranges of values between real quantiles, and a contestant that looks for the rows in them.

use postgres::{Client, Statement};

use crate::support::backend::{Backend, Cost};
use crate::support::{Database, Failure, Result};

/// Dimensions that are asked for, from 0; their values are spread as most are.
pub const DIMENSIONS: [usize; 5] = [3, 42, 101, 200, 381];

/// Where ranges begin, as shares of the rows below.
const STARTS: [f64; 4] = [0.02, 0.3, 0.5, 0.65];

/// Values of one dimension between two bounds, which are values of rows.
pub struct Range {
    dimension: usize,
    lo: f64,
    hi: f64,
}

impl Range {
    /// Returns four ranges of one dimension that hold a share of a table's rows each.
    pub fn of_table(client: &mut Client, table: &str, dimension: usize, share: f64) -> Result<Vec<Range>> {
        let shares: Vec<f64> = STARTS.iter().flat_map(|start| [*start, start + share]).collect();
        let value = format!("dimension_value(v, {dimension})");
        let quantiles = format!("SELECT percentile_disc($1::float8[]) WITHIN GROUP (ORDER BY {value}) FROM {table}");
        let bounds: Vec<f64> = client.query_one(&quantiles, &[&shares])?.get(0);
        Ok(bounds.chunks_exact(2).map(|pair| Range { dimension, lo: pair[0], hi: pair[1] }).collect())
    }

    /// Returns the condition on a dimvec.
    pub fn of_dimvec(&self) -> String {
        format!("v <@ dim_range({}, {}, {})", self.dimension, self.lo, self.hi)
    }

    /// Returns the condition on a vector of pgvector that is the quickest without an index.
    pub fn of_subvector(&self) -> String {
        let (lo, hi) = (self.lo, self.hi);
        format!("subvector(v, {}, 1) BETWEEN '[{lo}]'::vector AND '[{hi}]'::vector", self.dimension + 1)
    }

    /// Returns the condition on a vector of pgvector that is the quickest with a B-tree.
    pub fn of_element(&self) -> String {
        format!("{} BETWEEN '{}'::real AND '{}'::real", element(self.dimension), self.lo, self.hi)
    }
}

/// Returns the expression for one value of a vector of pgvector, which counts from 1.
pub fn element(dimension: usize) -> String {
    format!("((v::real[])[{}])", dimension + 1)
}

/// A connection with queries that are planned.
pub struct Searcher {
    backend: Backend,
    texts: Vec<String>,
    queries: Vec<Statement>,
    /// So often a turn runs all queries, so that it is long enough to be measured.
    repeats: u32,
}

impl Searcher {
    /// Connects with settings for the planner.
    pub fn connect(database: &Database, settings: &str) -> Result<Searcher> {
        let mut backend = Backend::connect(database, crate::rows::embedding::SEARCH_PATH)?;
        backend.client().batch_execute(settings)?;
        Ok(Searcher { backend, texts: Vec::new(), queries: Vec::new(), repeats: 1 })
    }

    /// Plans other queries.
    pub fn prepare(&mut self, queries: Vec<String>, repeats: u32) -> Result<()> {
        let client = self.backend.client();
        let statements = queries.iter().map(|query| client.prepare(query));
        self.queries = statements.collect::<std::result::Result<_, _>>()?;
        self.texts = queries;
        self.repeats = repeats;
        Ok(())
    }

    /// Returns of how many queries the plan holds a text.
    pub fn plans_with(&mut self, text: &str) -> Result<usize> {
        let mut count = 0;
        for query in &self.texts {
            let lines = self.backend.client().query(&format!("EXPLAIN {query}"), &[])?;
            count += usize::from(lines.iter().any(|line| line.get::<_, &str>(0).contains(text)));
        }
        Ok(count)
    }

    /// Fails if a plan does not hold a text.
    pub fn check_plans(&mut self, text: &str) -> Result<()> {
        let (found, all) = (self.plans_with(text)?, self.texts.len());
        match found == all {
            true => Ok(()),
            false => Err(Failure::new(format!("{found} plans of {all} have \"{text}\": {}", self.texts[0]))),
        }
    }

    /// Returns the numbers that each query finds, sorted.
    pub fn found(&mut self) -> Result<Vec<Vec<i64>>> {
        let mut all = Vec::new();
        for query in &self.queries {
            let mut ids: Vec<i64> = self.backend.client().query(query, &[])?.iter().map(|row| row.get(0)).collect();
            ids.sort_unstable();
            all.push(ids);
        }
        Ok(all)
    }

    /// Runs the queries.
    pub fn search(&mut self) -> Result<Cost> {
        let (queries, repeats) = (&self.queries, self.repeats);
        self.backend.measure(|client| {
            for query in (0..repeats).flat_map(|_| queries) {
                client.query(query, &[])?;
            }
            Ok(())
        })
    }

    /// Returns what makes microseconds per query of a turn's seconds.
    pub fn per_query(&self) -> impl Fn(f64) -> f64 + use<> {
        let count = self.queries.len() as f64 * f64::from(self.repeats);
        move |seconds| seconds * 1e6 / count
    }
}

/// Returns the rows that two find, or a failure if they do not find the same. It is also their first look at every page.
pub fn same_found(ours: &mut Searcher, theirs: &mut Searcher) -> Result<Vec<Vec<i64>>> {
    let (found, expected) = (ours.found()?, theirs.found()?);
    let different = found.iter().zip(&expected).position(|(a, b)| a != b);
    match different {
        None => Ok(found),
        Some(place) => Err(Failure::new(format!(
            "{} finds {} rows, not the {} of the peer",
            ours.texts[place],
            found[place].len(),
            expected[place].len()
        ))),
    }
}
