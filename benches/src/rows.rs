//! The rows, a module per family.

mod again;
mod dedup;
mod export;
mod import;
mod space;
mod versions;

use crate::row::Row;
use crate::support::{Bench, Failure, Result};

/// What was measured.
#[derive(Default)]
pub struct Report {
    /// The rows of the results.
    pub rows: Vec<Row>,
    /// Texts that stand below the table.
    pub remarks: Vec<String>,
}

impl Report {
    fn of_rows(rows: Vec<Row>) -> Report {
        Report { rows, remarks: Vec::new() }
    }
}

type Family = fn(&Bench) -> Result<Report>;

/// Name and rows of each family; one that is not asked for returns no rows.
const FAMILIES: [(&str, Family); 6] = [
    ("import", import::measure),
    ("again", again::measure),
    ("export", export::measure),
    ("space", space::measure),
    ("versions", versions::measure),
    ("dedup", dedup::measure),
];

/// Measures everything that is asked for. Errors: nothing is called so, besides what stops a measurement.
pub fn measure_all(bench: &Bench) -> Result<Report> {
    let mut all = Report::default();
    for (name, measure) in FAMILIES {
        let report = measure(bench).map_err(|failure| failure.during(name))?;
        all.rows.extend(report.rows);
        all.remarks.extend(report.remarks);
    }
    if all.rows.is_empty() {
        return Err(Failure::new("no row is called so: see docs/bench.md for their names"));
    }
    Ok(all)
}
