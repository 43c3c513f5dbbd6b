//! Reading and changing the meta page and the entries of cells.

use crate::error::{DimspaceError, Result};
use crate::layout::{CELLS_PER_PAGE, CellEntry, Meta};
use crate::page::{Block, Kind, Page, Pages, Record};

/// Returns the meta page.
pub(crate) fn read_meta<P: Pages>(pages: &P) -> Result<Meta> {
    Meta::read(&*pages.read(Block::META)?)
}

/// Changes the meta page in a record of its own; returns what `change` does.
pub(crate) fn change_meta<P: Pages, R>(pages: &P, change: impl FnOnce(&mut Meta) -> R) -> Result<R> {
    let mut record = pages.begin();
    let slot = record.lock(Block::META)?;
    let mut meta = Meta::read(record.page(slot))?;
    let result = change(&mut meta);
    meta.write(record.page_mut(slot));
    record.commit()?;
    Ok(result)
}

/// Returns a number that no segment, scale set or other numbered group of pages has had.
pub(crate) fn take_number<P: Pages>(pages: &P) -> Result<u64> {
    change_meta(pages, |meta| {
        meta.next_number += 1;
        meta.next_number - 1
    })
}

/// Returns the entry of a cell.
pub(crate) fn read_entry<P: Pages>(pages: &P, meta: &Meta, cell: u32) -> Result<CellEntry> {
    let (block, place) = meta.cell_place(cell)?;
    let page = pages.read(block)?;
    check_cells_page(&page, block, cell)?;
    Ok(CellEntry::read(&page, place))
}

/// Returns the entry of a cell, and a meta page that knows the dimensions and scale sets of what the entry leads to: it is read
/// last.
pub(crate) fn read_cell<P: Pages>(pages: &P, cell: u32) -> Result<(Meta, CellEntry)> {
    let entry = read_entry(pages, &read_meta(pages)?, cell)?;
    Ok((read_meta(pages)?, entry))
}

/// Proves that a page holds the entries of the cells around one.
pub(crate) fn check_cells_page(page: &Page, block: Block, cell: u32) -> Result<()> {
    if page.is(Kind::Cells, u64::from(cell / CELLS_PER_PAGE)) {
        return Ok(());
    }
    Err(DimspaceError::damaged(block, "a page of cells has its kind and number"))
}

/// A page of cells locked in a record.
pub(crate) struct LockedCell {
    pub slot: usize,
    pub place: usize,
    pub entry: CellEntry,
}

/// Locks a cell's page of entries.
pub(crate) fn lock_cell_entry<R: Record>(record: &mut R, meta: &Meta, cell: u32) -> Result<LockedCell> {
    let (block, place) = meta.cell_place(cell)?;
    let slot = record.lock(block)?;
    check_cells_page(record.page(slot), block, cell)?;
    let entry = CellEntry::read(record.page(slot), place);
    Ok(LockedCell { slot, place, entry })
}

impl LockedCell {
    /// Writes the entry back.
    pub fn write<R: Record>(&self, record: &mut R) {
        self.entry.write(record.page_mut(self.slot), self.place);
    }
}
