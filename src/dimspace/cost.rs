//! What a range scan costs, in the planner's units.

use ::dimspace::{Extent, extent};

use crate::pg::buffer::IndexPages;

/// Codes that are compared at the price of one operator: a block of 64 takes a few vector instructions, and its memory.
const CODES_PER_OPERATOR: f64 = 32.0;
/// Rows of a cell and of a segment of an index that is only imagined.
const ROWS_PER_CELL: f64 = 500.0;
/// Cells whose entries lie on one page, so that they are read before the first row leaves the scan.
const CELLS_PER_PAGE: f64 = ::dimspace::layout::CELLS_PER_PAGE as f64;

/// What a scan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Rows of the index.
    rows: f64,
    cells: f64,
    segments: f64,
    tail_pages: f64,
    planes: f64,
}

/// The table of an index: its pages, and what reading one costs anywhere and behind another.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub pages: f64,
    pub random: f64,
    pub sequential: f64,
}

impl Shape {
    /// Reads the shape of an index; that of an imagined one where its pages cannot be read.
    pub fn of(pages: &IndexPages<'_>, rows: f64) -> Self {
        extent(pages).map_or_else(|_| Self::imagined(rows), |extent| Self::from_extent(&extent, rows))
    }

    fn from_extent(extent: &Extent, rows: f64) -> Self {
        Self {
            rows,
            cells: extent.cells.into(),
            segments: extent.segments as f64,
            tail_pages: extent.tail_pages as f64,
            planes: extent.planes.into(),
        }
    }

    /// Returns the shape that an index of so many rows would have.
    pub fn imagined(rows: f64) -> Self {
        let cells = (rows / ROWS_PER_CELL).ceil().max(1.0);
        Self { rows, cells, segments: cells, tail_pages: 0.0, planes: 2.0 }
    }

    /// Pages that a scan reads: the meta page, cells, tails, of each segment the rows, a page of high bytes for each condition, and one
    /// of low bytes, which few rows of several conditions need.
    pub fn pages_read(&self, conditions: f64) -> f64 {
        let cell_pages = (self.cells / CELLS_PER_PAGE).ceil();
        1.0 + cell_pages + self.segments * (conditions + self.planes) + self.tail_pages
    }

    /// What comparing costs.
    pub fn operators(&self, conditions: f64) -> f64 {
        self.rows * conditions / CODES_PER_OPERATOR
    }

    /// Returns what fetching so many rows of the table costs: those of the cells of one page leave the scan in the order of the table, so
    /// each such turn costs as much as a bitmap of its rows.
    fn fetching(&self, table: &Table, rows: f64) -> f64 {
        let turns = (self.cells / CELLS_PER_PAGE).ceil();
        let rows = rows / turns;
        // As `compute_bitmap_pages` and `cost_bitmap_heap_scan` of PostgreSQL have it.
        let pages = (2.0 * table.pages * rows / (2.0 * table.pages + rows)).clamp(1.0, table.pages.max(1.0));
        let saved = (table.random - table.sequential) * (pages / table.pages.max(1.0)).sqrt();
        turns * pages * (table.random - saved)
    }

    /// Returns the correlation that has the planner charge what fetching costs: it charges for a share of correlation squared what
    /// rows side by side cost, and for the rest what they cost anywhere.
    pub fn correlation(&self, table: &Table, share: f64, rows: f64, pages_anywhere: f64) -> f64 {
        let most = pages_anywhere * table.random;
        let least = table.random + ((share * table.pages).ceil() - 1.0).max(0.0) * table.sequential;
        if most <= least {
            return 0.0;
        }
        ((most - self.fetching(table, rows)) / (most - least)).clamp(0.0, 1.0).sqrt()
    }

    /// The share of the scan that is done before the first row leaves it: the cells of one page.
    pub fn first_share(&self) -> f64 {
        (CELLS_PER_PAGE / self.cells).min(1.0)
    }
}
