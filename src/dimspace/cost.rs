//! What a range scan costs, in the planner's units.

use ::dimspace::Pages;
use ::dimspace::layout::{CELLS_PER_PAGE, Meta};
use ::dimspace::tile::SEGMENT_ROWS_MAX;

use crate::pg::buffer::IndexPages;

/// Codes that are compared at the price of one operator: a block of 64 takes a few vector instructions, and its memory.
const CODES_PER_OPERATOR: f64 = 32.0;
/// Dimensions of a page of codes of a full segment.
const DIMENSIONS_PER_PAGE: f64 = 16.0;

/// What a scan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Pages of the index.
    pub pages: f64,
    /// Rows of the index.
    pub rows: f64,
    /// Dimensions.
    pub dimensions: f64,
    /// Byte planes.
    pub planes: f64,
    /// Cells.
    pub cells: f64,
}

impl Shape {
    /// Reads the shape of an index; that of a new one where its meta page cannot be read.
    pub fn of(pages: &IndexPages<'_>, page_count: f64, rows: f64) -> Self {
        let meta = pages.read(::dimspace::Block::META).and_then(|page| Meta::read(&page)).ok();
        let (dimensions, planes, cells) = meta.map_or((0, 2, 1), |meta| (meta.dimensions, meta.planes, meta.cells));
        Self { pages: page_count, rows, dimensions: dimensions.into(), planes: planes.into(), cells: cells.into() }
    }

    /// Each cell has a segment at least.
    fn segments(&self) -> f64 {
        (self.rows / SEGMENT_ROWS_MAX as f64).ceil().max(self.cells).min(self.pages)
    }

    /// Pages of entries of cells.
    fn cell_pages(&self) -> f64 {
        (self.cells / f64::from(CELLS_PER_PAGE)).ceil()
    }

    /// What is neither a segment's page nor one of cells: an estimate, since free pages are among it.
    fn tail_pages(&self) -> f64 {
        let codes = self.planes * (self.dimensions / DIMENSIONS_PER_PAGE).ceil();
        (self.pages - self.segments() * (1.0 + codes) - self.cell_pages() - 1.0).max(0.0)
    }

    /// Pages that a scan reads: the meta page, cells, of each segment the rows and a page of each plane and condition, tails.
    pub fn pages_read(&self, conditions: f64) -> f64 {
        let segments = self.segments() * (1.0 + self.planes * conditions);
        (1.0 + self.cell_pages() + segments + self.tail_pages()).min(self.pages.max(1.0))
    }

    /// What comparing costs.
    pub fn operators(&self, conditions: f64) -> f64 {
        self.rows * conditions / CODES_PER_OPERATOR
    }

    /// The share of the scan that is done before the first row leaves it: the cells of one page.
    pub fn first_share(&self) -> f64 {
        (f64::from(CELLS_PER_PAGE) / self.cells.max(1.0)).min(1.0)
    }
}
