//! New pages and free ones.

use crate::error::Result;
use crate::page::{Block, Kind, Page, Pages, RECORD_PAGES_MAX, Record, Slot};

/// Returns a page that was free just now.
pub(crate) fn allocate<P: Pages>(pages: &P) -> Result<Block> {
    loop {
        let block = pages.allocate()?;
        if pages.read(block)?.is_free() {
            return Ok(block);
        }
        pages.check_interrupt()?;
    }
}

/// Locks a new page behind the others of a record; `None` when it is not free any more.  Then begin again.
pub(crate) fn lock_new<R: Record>(record: &mut R, block: Block, kind: Kind, owner: u64) -> Result<Option<Slot>> {
    let Some(slot) = record.lock_new(block)? else { return Ok(None) };
    record.page_mut(slot).init(kind, owner);
    Ok(Some(slot))
}

/// Writes new pages that nothing leads to yet, four a record; `fill` makes the n-th.  Returns where they lie.
pub(crate) fn write_new<P: Pages>(
    pages: &P,
    count: usize,
    mut fill: impl FnMut(usize, &mut Page) -> Result<()>,
) -> Result<Vec<Block>> {
    let mut written = Vec::with_capacity(count);
    while written.len() < count {
        pages.check_interrupt()?;
        let blocks = allocate_some(pages, (count - written.len()).min(RECORD_PAGES_MAX))?;
        let mut record = pages.begin();
        for block in blocks {
            // One that somebody else took is done without.
            if let Some(slot) = record.lock_new(block)? {
                fill(written.len(), record.page_mut(slot))?;
                written.push(block);
            }
        }
        record.commit()?;
    }
    Ok(written)
}

/// Returns pages for one record: ascending, as they are locked, each once.
fn allocate_some<P: Pages>(pages: &P, count: usize) -> Result<Vec<Block>> {
    let mut blocks = (0..count).map(|_| allocate(pages)).collect::<Result<Vec<_>>>()?;
    blocks.sort_unstable();
    blocks.dedup();
    Ok(blocks)
}

/// Frees a page if it still is of this kind and owner; returns whether it was.
pub(crate) fn free<P: Pages>(pages: &P, block: Block, kind: Kind, owner: u64) -> Result<bool> {
    let mut record = pages.begin();
    let slot = record.lock(block)?;
    if !record.page(slot).is(kind, owner) {
        return Ok(false);
    }
    record.page_mut(slot).set_free();
    record.commit()?;
    pages.release(block);
    Ok(true)
}
