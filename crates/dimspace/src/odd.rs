//! Rows without codes: NULLs, and zero vectors where the metric is the cosine.  A chain to whose end they are added; entries
//! never move, and its pages are never freed.

use crate::error::{DimspaceError, Result};
use crate::layout::{Meta, OddEntry, OddKind, Tid};
use crate::page::{Block, Kind, Page, Pages, Record};
use crate::space;
use crate::state::read_meta;

/// Adds a row.
pub(crate) fn append<P: Pages>(pages: &P, tid: Tid, kind: OddKind) -> Result<()> {
    let entry = OddEntry { tid, kind, is_dead: false };
    loop {
        pages.check_interrupt()?;
        let meta = read_meta(pages)?;
        let is_done = if meta.last_odd.is_none() { first_page(pages, entry)? } else { add(pages, &meta, entry)? };
        if is_done {
            return Ok(());
        }
    }
}

/// Begins the chain, unless somebody else has.
fn first_page<P: Pages>(pages: &P, entry: OddEntry) -> Result<bool> {
    let block = space::allocate(pages)?;
    let mut record = pages.begin();
    let slot = record.lock(Block::META)?;
    let mut meta = Meta::read(record.page(slot))?;
    let new = if meta.last_odd.is_none() { space::lock_new(&mut record, block, Kind::Odd, 0)? } else { None };
    let Some(new) = new else {
        drop(record);
        pages.release(block);
        return Ok(false);
    };
    entry.append(record.page_mut(new));
    (meta.first_odd, meta.last_odd) = (block, block);
    meta.write(record.page_mut(slot));
    record.commit()?;
    Ok(true)
}

/// Adds to the last page, or behind it; false when it is not the last any more.
fn add<P: Pages>(pages: &P, meta: &Meta, entry: OddEntry) -> Result<bool> {
    let mut record = pages.begin();
    let last = lock_last(&mut record, meta.last_odd)?;
    if !record.page(last).next().is_none() {
        drop(record);
        return match read_meta(pages)?.last_odd {
            now if now == meta.last_odd => Err(DimspaceError::damaged(now, "the last page of odd rows has no next")),
            _ => Ok(false),
        };
    }
    if OddEntry::count(record.page(last), meta.last_odd)? < OddEntry::PER_PAGE {
        entry.append(record.page_mut(last));
        record.commit()?;
        return Ok(true);
    }
    drop(record);
    extend(pages, meta, entry)
}

fn extend<P: Pages>(pages: &P, meta: &Meta, entry: OddEntry) -> Result<bool> {
    let block = space::allocate(pages)?;
    let mut record = pages.begin();
    let last = lock_last(&mut record, meta.last_odd)?;
    let slot = record.lock(Block::META)?;
    let mut now = Meta::read(record.page(slot))?;
    let is_last = now.last_odd == meta.last_odd;
    let new = if is_last { space::lock_new(&mut record, block, Kind::Odd, 0)? } else { None };
    let Some(new) = new else {
        drop(record);
        pages.release(block);
        return Ok(false);
    };
    entry.append(record.page_mut(new));
    record.page_mut(last).set_next(block);
    now.last_odd = block;
    now.write(record.page_mut(slot));
    record.commit()?;
    Ok(true)
}

fn lock_last<R: Record>(record: &mut R, block: Block) -> Result<usize> {
    let slot = record.lock(block)?;
    check_page(record.page(slot), block)?;
    Ok(slot)
}

fn check_page(page: &Page, block: Block) -> Result<()> {
    if page.is(Kind::Odd, 0) {
        Ok(())
    } else {
        Err(DimspaceError::damaged(block, "the chain of odd rows has its kind"))
    }
}

/// Hands out the entries page by page.
pub(crate) fn visit<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut see: impl FnMut(Block, &[OddEntry]) -> Result<()>,
) -> Result<()> {
    let mut block = meta.first_odd;
    let mut entries = Vec::new();
    for _ in 0..pages.blocks() {
        if block.is_none() {
            return Ok(());
        }
        pages.check_interrupt()?;
        entries.clear();
        let page = pages.read(block)?;
        check_page(&page, block)?;
        for place in 0..OddEntry::count(&page, block)? {
            entries.push(OddEntry::read(&page, block, place)?);
        }
        let next = page.next();
        drop(page);
        see(block, &entries)?;
        block = next;
    }
    if block.is_none() { Ok(()) } else { Err(DimspaceError::damaged(block, "the chain of odd rows ends")) }
}
