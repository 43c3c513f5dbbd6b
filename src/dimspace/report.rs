//! What an index and its scans say of themselves.

use ::dimspace::check::{Problem, check};
use ::dimspace::stats::{Stats, stats};
use ::dimspace::{Kind, Pages};
use pgrx::prelude::*;

use super::heap::differences;
use super::{refuse, scan};
use crate::pg::buffer::IndexPages;
use crate::pg::error::PgResult;
use crate::pg::guc;
use crate::pg::index_user::{Beside, NamedIndex};
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

#[pg_extern(volatile, strict, parallel_unsafe)]
fn dimspace_check(index: Regclass, heap: bool) -> PgResult<SetOfIterator<'static, String>> {
    let named = NamedIndex::open(index.0, Beside::Reading)?;
    let pages = IndexPages::of(named.index());
    let mut problems: Vec<String> = check(&pages).map_err(refuse)?.iter().map(told).collect();
    if heap && problems.is_empty() {
        problems = differences(&named, &pages)?;
    }
    Ok(SetOfIterator::new(problems))
}

fn told(problem: &Problem) -> String {
    problem.block.map_or_else(|| problem.what.clone(), |block| format!("page {block}: {}", problem.what))
}

/// The row of `dimspace_stats`.
type StatsRow = TableIterator<
    'static,
    (
        name!(rows, i64),
        name!(dead_rows, i64),
        name!(odd_rows, i64),
        name!(dimensions, i32),
        name!(cells, i32),
        name!(cell_rows_min, i64),
        name!(cell_rows_median, i64),
        name!(cell_rows_max, i64),
        name!(segments, i64),
        name!(tail_rows, i64),
        name!(tail_pages, i64),
        name!(scale_sets, i32),
        name!(clamped_rows, i64),
        name!(misplaced_share, Option<f64>),
        name!(pages, i64),
        name!(free_pages, i64),
        name!(bytes, i64),
        name!(bytes_per_value, Option<f64>),
    ),
>;

#[pg_extern(volatile, strict, parallel_unsafe)]
fn dimspace_stats(index: Regclass) -> PgResult<StatsRow> {
    let named = NamedIndex::open(index.0, Beside::Anything)?;
    let pages = IndexPages::of(named.index());
    let stats = stats(&pages, guc::simd()).map_err(refuse)?;
    Ok(TableIterator::once(row(&stats, pages.blocks())))
}

type Figures =
    (i64, i64, i64, i32, i32, i64, i64, i64, i64, i64, i64, i32, i64, Option<f64>, i64, i64, i64, Option<f64>);

fn row(stats: &Stats, blocks: u32) -> Figures {
    (
        stats.rows as i64,
        stats.dead_rows as i64,
        stats.odd_rows as i64,
        stats.dimensions as i32,
        stats.cells as i32,
        stats.cell_rows_min as i64,
        stats.cell_rows_median as i64,
        stats.cell_rows_max as i64,
        stats.segments as i64,
        stats.tail_rows as i64,
        stats.tail_pages as i64,
        stats.scale_sets as i32,
        stats.clamped_rows as i64,
        stats.misplaced_share,
        blocks.into(),
        (stats.pages_of(Kind::Free) + stats.pages_of(Kind::New)).into(),
        stats.bytes as i64,
        stats.bytes_per_value,
    )
}
