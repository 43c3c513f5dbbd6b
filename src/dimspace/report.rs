//! What an index and its scans say of themselves.

use pgrx::prelude::*;

use super::scan;
use crate::pg::regclass::Regclass;

/// The row of `dimspace_last_scan`.
type LastScan = TableIterator<
    'static,
    (
        name!(index, Regclass),
        name!(cells, i64),
        name!(pages, i64),
        name!(rows, i64),
        name!(rechecks, i64),
        name!(repeated_cells, i64),
    ),
>;

#[pg_extern(volatile, parallel_restricted)]
fn dimspace_last_scan() -> LastScan {
    let row = scan::last().map(|(index, report)| {
        let [cells, pages, rows, rechecks, repeated] =
            [report.cells, report.pages, report.rows, report.rechecks, report.repeated_cells].map(|count| count as i64);
        (Regclass(index), cells, pages, rows, rechecks, repeated)
    });
    TableIterator::new(row)
}
