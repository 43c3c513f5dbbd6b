//! How much a scan has to read: what the planner asks before every query, so it looks at entries of cells only.

use crate::error::Result;
use crate::layout::{CELLS_PER_PAGE, CellEntry};
use crate::page::Pages;
use crate::state::{check_cells_page, read_meta};

/// Pages of entries that are looked at; the rest of the cells are taken to be like those.
const CELL_PAGES_SEEN: usize = 8;

/// What a scan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Cells.
    pub cells: u32,
    /// Segments of all cells.
    pub segments: u64,
    /// Pages of their tails.
    pub tail_pages: u64,
    /// Byte planes.
    pub planes: u8,
}

/// Returns the extent of an index, estimated from the cells on the first pages of them.
pub fn extent<P: Pages>(pages: &P) -> Result<Extent> {
    let meta = read_meta(pages)?;
    let (mut seen, mut segments, mut tail_pages) = (0, 0, 0);
    for first in (0..meta.cells).step_by(CELLS_PER_PAGE as usize).take(CELL_PAGES_SEEN) {
        let (block, _) = meta.cell_place(first)?;
        let page = pages.read(block)?;
        check_cells_page(&page, block, first)?;
        let here = CELLS_PER_PAGE.min(meta.cells - first);
        for entry in (0..here as usize).map(|place| CellEntry::read(&page, place)) {
            segments += u64::from(entry.segments);
            let is_empty = entry.first_tail.is_none();
            tail_pages +=
                if is_empty { 0 } else { u64::from(entry.last_sequence.wrapping_sub(entry.first_sequence)) + 1 };
        }
        seen += here;
    }
    let scaled = |count: u64| count.saturating_mul(meta.cells.into()) / u64::from(seen.max(1));
    Ok(Extent { cells: meta.cells, segments: scaled(segments), tail_pages: scaled(tail_pages), planes: meta.planes })
}
