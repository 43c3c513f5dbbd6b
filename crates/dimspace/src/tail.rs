//! Tails: the rows of a cell that are not folded yet, row by row, in a chain of pages to whose last one rows are added.
//!
//! A page's stamp is its cell and its sequence number.  A row wider than a page has its page for itself; the rest lies on
//! pages of a number of their own, written before the row's page is.

use crate::error::{DimspaceError, Result};
use crate::layout::{CellEntry, Meta, RowRecord, TailHead};
use crate::page::{Block, CellLock, Kind, PAYLOAD_BYTES, Page, Pages, Record, Slot};
use crate::space;
use crate::state::{lock_cell_entry, read_entry, read_meta, take_number};

/// A row on its way into a tail.
pub(crate) struct NewRow<'a> {
    /// The scale set that codes it.
    pub scale_set: u16,
    /// Record and codes.
    pub bytes: &'a [u8],
}

/// Adds a row to the tail of a cell whose entry was read; `None` when the tail has changed since, else how many rows the page has
/// now.
pub(crate) fn append<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    row: &NewRow<'_>,
) -> Result<Option<u16>> {
    if row.bytes.len() <= TailHead::ROOM {
        return put(pages, meta, cell, entry, row, None);
    }
    // VACUUM waits for this lock before it frees what hangs nowhere.
    let _rest_lock = pages.lock(CellLock::REST)?;
    let rest = write_rest(pages, &row.bytes[TailHead::ROOM..])?;
    let put_rows = put(pages, meta, cell, entry, row, Some(rest))?;
    if put_rows.is_none() {
        free_rest(pages, rest)?;
    }
    Ok(put_rows)
}

/// The rest of a row: its first page, and the owner of all.
type Rest = (Block, u64);

fn put<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    row: &NewRow<'_>,
    rest: Option<Rest>,
) -> Result<Option<u16>> {
    if !entry.last_tail.is_none() {
        let mut record = pages.begin();
        let Some(last) = lock_last(&mut record, cell, entry)? else {
            drop(record);
            return expect_change(pages, meta, cell, entry);
        };
        let head = match TailHead::read(record.page(last), entry.last_tail, meta) {
            Ok(head) => head,
            Err(damage) => {
                drop(record);
                return newer_meta(pages, meta, damage).map(|_| None);
            }
        };
        let is_ours = head.rows == 0 || head.scale_set == row.scale_set;
        if is_ours && usize::from(head.rows) < TailHead::rows_per_page(meta, row.scale_set) {
            let rows = write_row(record.page_mut(last), head, row, rest);
            record.commit()?;
            return Ok(Some(rows));
        }
    }
    let is_linked = link(pages, meta, cell, entry, |page| {
        write_row(page, TailHead { rows: 0, scale_set: row.scale_set, rest: Block::NONE, number: 0 }, row, rest);
    })?;
    Ok(is_linked.then_some(1))
}

/// Returns the meta page if scale sets came since another was read: then what looked damaged may be coded in one of them.
pub(crate) fn newer_meta<P: Pages>(pages: &P, meta: &Meta, damage: DimspaceError) -> Result<Meta> {
    let now = read_meta(pages)?;
    if now.scale_sets == meta.scale_sets { Err(damage) } else { Ok(now) }
}

/// Returns `None` when the tail ends elsewhere now; that its entry still names a page which is not the last is damage.
fn expect_change<P: Pages>(pages: &P, meta: &Meta, cell: u32, entry: &CellEntry) -> Result<Option<u16>> {
    let now = read_entry(pages, meta, cell)?;
    if (now.last_tail, now.last_sequence) == (entry.last_tail, entry.last_sequence) {
        return Err(not_last(entry.last_tail));
    }
    Ok(None)
}

fn not_last(block: Block) -> DimspaceError {
    DimspaceError::damaged(block, "the last page of a tail is the one that its cell names")
}

/// Writes the part of a row that fits behind those that the page has.
fn write_row(page: &mut Page, mut head: TailHead, row: &NewRow<'_>, rest: Option<Rest>) -> u16 {
    let here = row.bytes.len().min(TailHead::ROOM);
    let from = TailHead::BYTES + usize::from(head.rows) * row.bytes.len();
    head.rows += 1;
    head.scale_set = row.scale_set;
    (head.rest, head.number) = rest.unwrap_or((Block::NONE, 0));
    if let Some(place) = page.payload_mut().get_mut(from..from + here) {
        place.copy_from_slice(&row.bytes[..here]);
    }
    head.write(page);
    head.rows
}

/// Locks the last page that an entry names; `None` when it is not the last any more.
fn lock_last<R: Record>(record: &mut R, cell: u32, entry: &CellEntry) -> Result<Option<Slot>> {
    let slot = record.lock(entry.last_tail)?;
    let page = record.page(slot);
    let is_last = page.is(Kind::Tail, TailHead::owner(cell, entry.last_sequence)) && page.next().is_none();
    Ok(is_last.then_some(slot))
}

/// Puts a new page behind the last; false when the tail has changed since its entry was read.
fn link<P: Pages>(pages: &P, meta: &Meta, cell: u32, entry: &CellEntry, fill: impl FnOnce(&mut Page)) -> Result<bool> {
    let block = space::allocate(pages)?;
    let is_linked = link_page(pages, meta, cell, entry, block, fill)?;
    if !is_linked {
        pages.release(block);
    }
    Ok(is_linked)
}

fn link_page<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    block: Block,
    fill: impl FnOnce(&mut Page),
) -> Result<bool> {
    let mut record = pages.begin();
    let mut locked = lock_cell_entry(&mut record, meta, cell)?;
    let now = &mut locked.entry;
    if now.last_tail != entry.last_tail || now.last_sequence != entry.last_sequence {
        return Ok(false);
    }
    let last = if now.last_tail.is_none() { None } else { lock_last(&mut record, cell, now)? };
    if last.is_none() && !now.last_tail.is_none() {
        return Err(not_last(now.last_tail));
    }
    now.last_sequence = now
        .last_sequence
        .checked_add(1)
        .ok_or_else(|| DimspaceError::damaged(entry.last_tail, "the sequence numbers of a tail do not run out"))?;
    let owner = TailHead::owner(cell, now.last_sequence);
    let Some(new) = space::lock_new(&mut record, block, Kind::Tail, owner)? else { return Ok(false) };
    fill(record.page_mut(new));
    match last {
        Some(last) => record.page_mut(last).set_next(block),
        None => (now.first_tail, now.first_sequence) = (block, now.last_sequence),
    }
    now.last_tail = block;
    locked.write(&mut record);
    record.commit()?;
    Ok(true)
}

/// Puts an empty page behind a tail that ends with rows, so that all of them can be folded; the caller holds the cell's lock.
pub(crate) fn close<P: Pages>(pages: &P, meta: &Meta, cell: u32) -> Result<CellEntry> {
    let mut meta = meta.clone();
    loop {
        pages.check_interrupt()?;
        let entry = read_entry(pages, &meta, cell)?;
        if entry.last_tail.is_none() {
            return Ok(entry);
        }
        let page = pages.read(entry.last_tail)?;
        if !page.is(Kind::Tail, TailHead::owner(cell, entry.last_sequence)) {
            return Err(not_last(entry.last_tail));
        }
        let head = TailHead::read(&page, entry.last_tail, &meta);
        drop(page);
        match head {
            Ok(TailHead { rows: 0, .. }) => return Ok(entry),
            Ok(_) => {}
            Err(damage) => {
                meta = newer_meta(pages, &meta, damage)?;
                continue;
            }
        }
        let empty = TailHead { rows: 0, scale_set: meta.scale_sets as u16, rest: Block::NONE, number: 0 };
        link(pages, &meta, cell, &entry, |page| empty.write(page))?;
    }
}

fn write_rest<P: Pages>(pages: &P, bytes: &[u8]) -> Result<Rest> {
    let number = take_number(pages)?;
    let chunks: Vec<&[u8]> = bytes.chunks(PAYLOAD_BYTES).collect();
    // The last first, because each names the next.
    let mut next = Block::NONE;
    for chunk in chunks.into_iter().rev() {
        let blocks = space::write_new(pages, 1, |_, page| {
            page.init(Kind::TailRest, number);
            page.payload_mut()[..chunk.len()].copy_from_slice(chunk);
            page.set_next(next);
            Ok(())
        })?;
        next = blocks[0];
    }
    Ok((next, number))
}

/// Frees the rest of a row that hangs nowhere any more.
pub(crate) fn free_rest<P: Pages>(pages: &P, (mut block, number): Rest) -> Result<()> {
    while !block.is_none() {
        let page = pages.read(block)?;
        let next = page.next();
        if !page.is(Kind::TailRest, number) {
            return Ok(());
        }
        drop(page);
        space::free(pages, block, Kind::TailRest, number)?;
        block = next;
    }
    Ok(())
}

/// A page of a tail, copied, so that its lock is not held while its rows are looked at.
pub(crate) struct TailPage {
    pub head: TailHead,
    pub next: Block,
    bytes: Vec<u8>,
    row_bytes: usize,
}

impl TailPage {
    /// Copies the page of that sequence number; `None` when it has become something else.
    pub fn read<P: Pages>(pages: &P, meta: &Meta, block: Block, cell: u32, sequence: u32) -> Result<Option<Self>> {
        let page = pages.read(block)?;
        if !page.is(Kind::Tail, TailHead::owner(cell, sequence)) {
            return Ok(None);
        }
        let head = TailHead::read(&page, block, meta)?;
        let row_bytes = TailHead::row_bytes(meta, head.scale_set);
        let here = (usize::from(head.rows) * row_bytes).min(TailHead::ROOM);
        let mut bytes = Vec::with_capacity(usize::from(head.rows) * row_bytes);
        bytes.extend_from_slice(&page.payload()[TailHead::BYTES..TailHead::BYTES + here]);
        let mut this = Self { head, next: page.next(), bytes, row_bytes };
        drop(page);
        Ok(this.read_rest(pages)?.then_some(this))
    }

    /// Appends what lies on other pages; false when they have become something else.
    fn read_rest<P: Pages>(&mut self, pages: &P) -> Result<bool> {
        let mut block = self.head.rest;
        while self.bytes.len() < usize::from(self.head.rows) * self.row_bytes {
            let page = pages.read(block)?;
            if !page.is(Kind::TailRest, self.head.number) {
                return Ok(false);
            }
            let missing = usize::from(self.head.rows) * self.row_bytes - self.bytes.len();
            self.bytes.extend_from_slice(&page.payload()[..missing.min(PAYLOAD_BYTES)]);
            block = page.next();
        }
        Ok(true)
    }

    /// Returns the rows: their records, and their codes or float32.
    pub fn rows(&self) -> impl Iterator<Item = (RowRecord, &[u8])> {
        self.bytes.chunks_exact(self.row_bytes).map(|row| {
            let (record, codes) = row.split_at(RowRecord::BYTES);
            (RowRecord::from_bytes(record.first_chunk().expect("a record's bytes")), codes)
        })
    }

    /// Returns where on its page a row begins.
    pub fn row_place(&self, row: usize) -> usize {
        TailHead::BYTES + row * self.row_bytes
    }
}
