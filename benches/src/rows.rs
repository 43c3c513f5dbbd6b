//! The rows, a module per family.

mod again;
mod dedup;
mod dimspace;
mod embedding;
mod export;
mod import;
mod listing;
mod space;
mod values;
mod versions;

use crate::args::Args;
use crate::row::Row;
use crate::support::{Bench, Failure, Result};

/// What was measured.
#[derive(Default)]
pub struct Report {
    /// The rows of the results.
    pub rows: Vec<Row>,
    /// Texts that stand below the table.
    pub remarks: Vec<String>,
    /// Families that could not be measured.
    pub failures: Vec<Failure>,
}

impl Report {
    fn of_rows(rows: Vec<Row>) -> Report {
        Report { rows, ..Report::default() }
    }
}

type Family = fn(&Bench) -> Result<Report>;

/// Name and rows of each family; one that is not asked for returns no rows.
const FAMILIES: [(&str, Family); 10] = [
    ("import", import::measure),
    ("again", again::measure),
    ("export", export::measure),
    ("space", space::measure),
    ("listing", listing::measure),
    ("values", values::measure),
    ("versions", versions::measure),
    ("dedup", dedup::measure),
    ("embedding", embedding::measure),
    // Last: it changes the server's settings.
    ("dimspace", dimspace::measure),
];

/// Fails if something is missing that a row needs, before time is spent on the others.
pub fn check(args: &Args) -> Result<()> {
    versions::check(args)?;
    dedup::check(args)?;
    embedding::check(args)?;
    dimspace::check(args)
}

/// Measures everything that is asked for. A family that fails does not take the others with it.
pub fn measure_all(bench: &Bench) -> Report {
    let mut all = Report::default();
    for (name, measure) in FAMILIES {
        match measure(bench) {
            Ok(report) => {
                all.rows.extend(report.rows);
                all.remarks.extend(report.remarks);
            }
            Err(failure) => {
                bench.say(&format!("{name} failed; why is said at the end"));
                all.failures.push(failure.during(name));
            }
        }
    }
    if all.rows.is_empty() && all.failures.is_empty() {
        all.failures.push(Failure::new("no row is called so: see docs/bench.md for their names"));
    }
    all
}
