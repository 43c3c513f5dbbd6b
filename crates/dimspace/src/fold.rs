//! Folding: the rows of a cell's tail become a segment, and segments are written anew.
//!
//! Everything here runs under the cell's lock.  New pages are written first, and nothing leads to them; then one record changes
//! the entry of the cell, and with it what readers see; only then old pages are freed.

use atom::Never;

use crate::build::scales_of;
use crate::coded::{CodedRows, encode_row, plain_values};
use crate::codes::ScaleSet;
use crate::error::{DimspaceError, Result};
use crate::growth;
use crate::kmeans::{Alone, Matrix};
use crate::layout::{CellEntry, Meta, RowRecord, RowsHead, TailHead};
use crate::page::{Block, CellLock, Kind, Pages, Record};
use crate::quantiles;
use crate::segment::{self, Chain, Segment};
use crate::space;
use crate::state::{lock_cell_entry, read_cell, read_meta};
use crate::tail::{self, TailPage};

/// An inserter takes the last segment into the new one only if it has at most so many rows.
const MERGED_ROWS_MAX: usize = 126;
/// One fold takes no more of a tail than this.
const FOLD_BYTES_MAX: usize = 16 << 20;

/// Who folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thoroughness {
    /// An insert: leaves a larger last segment as it is.
    Inserter,
    /// VACUUM: takes any last segment that is not full into the new one.
    Vacuum,
}

/// Folds the tail of a cell whose lock is held, as far as one fold goes.
pub(crate) fn fold<P: Pages>(pages: &P, cell: u32, thoroughness: Thoroughness) -> Result<()> {
    tail::close(pages, &read_meta(pages)?, cell)?;
    let (meta, entry) = read_cell(pages, cell)?;
    if entry.first_tail == entry.last_tail {
        return Ok(());
    }
    let Some(meta) = with_scale_set(pages, meta, cell, &entry)? else { return Ok(()) };
    let taken = take_tail(pages, &meta, cell, &entry, FOLD_BYTES_MAX)?;
    let merged = match taken.groups.first() {
        Some((scale_set, _)) => last_segment(pages, &meta, cell, &entry, *scale_set, thoroughness)?,
        None => None,
    };
    replace(pages, &meta, cell, &entry, taken, merged)
}

/// Rows by scale set.
pub(crate) type Groups = Vec<(u16, CodedRows)>;

/// The first pages of a tail, read.
pub(crate) struct TakenTail {
    /// Their rows, dead ones left out, coded.
    pub groups: Groups,
    /// Block, sequence number and rest of each page.
    pages: Vec<(Block, u32, Block, u64)>,
    /// First page that stays, and its sequence number.
    stays: (Block, u32),
}

/// Adds a row to those of its scale set.
pub(crate) fn add_to_group(groups: &mut Groups, meta: &Meta, scale_set: u16, add: impl FnOnce(&mut CodedRows)) {
    let place = groups.iter().position(|(set, _)| *set == scale_set).unwrap_or_else(|| {
        groups.push((scale_set, CodedRows::new(meta.dimensions as usize, meta.planes)));
        groups.len() - 1
    });
    add(&mut groups[place].1);
}

/// Reads the pages of a tail before its last one, up to so many bytes; float32 rows are coded with the newest scale set.
pub(crate) fn take_tail<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    bytes_max: usize,
) -> Result<TakenTail> {
    let newest = meta.scale_sets as u16;
    let mut scales = None;
    let mut taken =
        TakenTail { groups: Vec::new(), pages: Vec::new(), stays: (entry.first_tail, entry.first_sequence) };
    let mut bytes = 0;
    while taken.stays.0 != entry.last_tail && bytes < bytes_max {
        pages.check_interrupt()?;
        let (block, sequence) = taken.stays;
        let page = read_own_tail(pages, meta, block, cell, sequence)?;
        for (record, codes) in page.rows().filter(|(record, _)| !record.is_dead) {
            bytes += RowRecord::BYTES + codes.len();
            if page.head.scale_set > 0 {
                add_to_group(&mut taken.groups, meta, page.head.scale_set, |rows| rows.push(record, codes));
                continue;
            }
            let scales = newest_scales(pages, meta, &mut scales)?;
            let mut coded = Vec::new();
            encode_row(scales, meta.planes, record.tid, &plain_values(codes), &mut coded);
            let (head, codes) = coded.split_at(RowRecord::BYTES);
            let record = RowRecord::from_bytes(head.first_chunk().expect("a record's bytes"));
            add_to_group(&mut taken.groups, meta, newest, |rows| rows.push(record, codes));
        }
        taken.pages.push((block, sequence, page.head.rest, page.head.number));
        taken.stays = (page.next, sequence.wrapping_add(1));
    }
    Ok(taken)
}

fn newest_scales<'s, P: Pages>(pages: &P, meta: &Meta, scales: &'s mut Option<ScaleSet>) -> Result<&'s ScaleSet> {
    if scales.is_none() {
        *scales = Some(growth::read_scale_set(pages, meta, meta.scale_sets as u16)?);
    }
    scales.as_ref().ok_or_else(|| DimspaceError::damaged(Block::META, "the newest scale set can be read"))
}

/// Reads a page of a tail whose cell is locked, so that it cannot have become something else.
fn read_own_tail<P: Pages>(pages: &P, meta: &Meta, block: Block, cell: u32, sequence: u32) -> Result<TailPage> {
    let page = match TailPage::read(pages, meta, block, cell, sequence) {
        Err(damage @ DimspaceError::Damaged { .. }) => {
            // Inserts do not wait for the cell's lock, and may use a scale set that came since.
            let meta = tail::newer_meta(pages, meta, damage)?;
            TailPage::read(pages, &meta, block, cell, sequence)?
        }
        page => page?,
    };
    page.ok_or_else(|| DimspaceError::damaged(block, "a tail's page has its kind, cell and sequence number"))
}

/// Hands out the pages of the tail of a cell whose lock is held, each with its block and sequence number.
pub(crate) fn visit_own_tail<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    mut see: impl FnMut(Block, u32, &TailPage) -> Result<()>,
) -> Result<()> {
    let (mut block, mut sequence) = (entry.first_tail, entry.first_sequence);
    while !block.is_none() {
        pages.check_interrupt()?;
        let page = read_own_tail(pages, meta, block, cell, sequence)?;
        see(block, sequence, &page)?;
        (block, sequence) = (page.next, sequence.wrapping_add(1));
    }
    Ok(())
}

/// Returns the meta page once there is a scale set: the first one is made of the rows of the first tail.  `None` when
/// somebody else holds the lock of growth.
fn with_scale_set<P: Pages>(pages: &P, meta: Meta, cell: u32, entry: &CellEntry) -> Result<Option<Meta>> {
    if meta.scale_sets > 0 {
        return Ok(Some(meta));
    }
    let Some(_lock) = pages.try_lock(CellLock::GROWTH)? else { return Ok(None) };
    let sample = plain_sample(pages, &meta, cell, entry)?;
    if sample.rows() > 0 && read_meta(pages)?.scale_sets == 0 {
        let quantiles = quantiles::of_columns(&sample, &Alone, &Never)?;
        growth::write_quantiles(pages, &meta, &quantiles, sample.rows() as u64)?;
        growth::add_scale_set(pages, &scales_of(&quantiles))?;
    }
    let meta = read_meta(pages)?;
    Ok((meta.scale_sets > 0).then_some(meta))
}

/// Returns the live rows of a tail that are not coded.
fn plain_sample<P: Pages>(pages: &P, meta: &Meta, cell: u32, entry: &CellEntry) -> Result<Matrix> {
    let dimensions = meta.dimensions as usize;
    let mut sample = Matrix::new(dimensions);
    let (mut block, mut sequence) = (entry.first_tail, entry.first_sequence);
    while block != entry.last_tail && sample.rows() * dimensions * 4 < FOLD_BYTES_MAX {
        pages.check_interrupt()?;
        let page = read_own_tail(pages, meta, block, cell, sequence)?;
        for (_, codes) in page.rows().filter(|(record, _)| !record.is_dead && page.head.scale_set == 0) {
            sample.push(&plain_values(codes));
        }
        (block, sequence) = (page.next, sequence.wrapping_add(1));
    }
    Ok(sample)
}

/// The last segment of a cell, and the head of the one before it.
struct LastSegment {
    segment: Segment,
    before: Option<Segment>,
}

/// Returns the last segment if it is to be written anew with rows of that scale set.
fn last_segment<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    scale_set: u16,
    thoroughness: Thoroughness,
) -> Result<Option<LastSegment>> {
    let most = match thoroughness {
        Thoroughness::Inserter => MERGED_ROWS_MAX,
        Thoroughness::Vacuum => RowsHead::rows_max(meta.dimensions as usize, meta.planes) - 1,
    };
    if entry.segments == 0 {
        return Ok(None);
    }
    let mut segments = segment::read_chain(pages, meta, cell, entry.first_rows, entry.segments)?;
    let last = segments.pop().filter(|last| last.head.shape.rows() <= most && last.head.scale_set == scale_set);
    Ok(last.map(|segment| LastSegment { segment, before: segments.pop() }))
}

/// Writes the rows taken, with those of a segment to be merged, and puts them in its place.
fn replace<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    mut taken: TakenTail,
    merged: Option<LastSegment>,
) -> Result<()> {
    if let (Some(merged), Some((_, rows))) = (&merged, taken.groups.first_mut()) {
        let mut all = CodedRows::new(meta.dimensions as usize, meta.planes);
        segment::read_rows(pages, meta, &merged.segment, &mut all)?;
        all.append(rows);
        *rows = all;
    }
    let chain = write_groups(pages, meta, cell, &taken.groups)?;
    let gone = merged.as_ref().map_or(Chain::default(), |merged| Chain {
        first: merged.segment.block,
        last: merged.segment.block,
        segments: 1,
        rows: merged.segment.head.shape.rows() as u32,
    });
    let before = match &merged {
        Some(merged) => merged.before.as_ref().map_or(Block::NONE, |before| before.block),
        None => entry.last_rows,
    };
    link(pages, meta, cell, before, chain, gone, taken.stays)?;
    if let Some(merged) = merged {
        merged.segment.free(pages)?;
    }
    free_tail(pages, cell, &taken)
}

/// Writes each group as segments, in one chain.
pub(crate) fn write_groups<P: Pages>(pages: &P, meta: &Meta, cell: u32, groups: &Groups) -> Result<Chain> {
    let mut chain = Chain::default();
    for (scale_set, rows) in groups.iter().rev() {
        chain = segment::write_chain(pages, meta, cell, *scale_set, rows, chain)?;
    }
    Ok(chain)
}

/// The record that makes a fold happen: `chain` follows `before` in place of what is `gone`, and the tail begins later.
fn link<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    before: Block,
    chain: Chain,
    gone: Chain,
    (first_tail, first_sequence): (Block, u32),
) -> Result<()> {
    let mut record = pages.begin();
    let mut locked = lock_cell_entry(&mut record, meta, cell)?;
    let entry = &mut locked.entry;
    entry.epoch = entry.epoch.wrapping_add(1);
    (entry.first_tail, entry.first_sequence) = (first_tail, first_sequence);
    entry.rows = entry.rows.saturating_add(chain.rows).saturating_sub(gone.rows);
    entry.segments = entry.segments.saturating_add(chain.segments).saturating_sub(gone.segments);
    let changes_chain = chain.segments > 0 || gone.segments > 0;
    if changes_chain {
        entry.last_rows = if chain.segments > 0 { chain.last } else { before };
        if before.is_none() {
            entry.first_rows = chain.first;
        }
    }
    locked.write(&mut record);
    if changes_chain && !before.is_none() {
        let slot = record.lock(before)?;
        if !record.page(slot).is_kind(Kind::Rows) {
            return Err(DimspaceError::damaged(before, "a cell's chain of segments holds its pages of rows"));
        }
        record.page_mut(slot).set_next(chain.first);
    }
    record.commit()
}

/// Frees the pages of a tail that was taken.
pub(crate) fn free_tail<P: Pages>(pages: &P, cell: u32, taken: &TakenTail) -> Result<()> {
    for &(block, sequence, rest, number) in &taken.pages {
        space::free(pages, block, Kind::Tail, TailHead::owner(cell, sequence))?;
        tail::free_rest(pages, (rest, number))?;
    }
    Ok(())
}

/// All rows of a cell but those on the last page of its tail, read to be written anew.
pub(crate) struct WholeCell {
    pub segments: Vec<Segment>,
    pub taken: TakenTail,
}

/// Reads a cell whose lock is held, so that it can be written anew; `None` without a scale set.
pub(crate) fn read_whole<P: Pages>(pages: &P, meta: &Meta, cell: u32) -> Result<Option<WholeCell>> {
    if meta.scale_sets == 0 {
        return Ok(None);
    }
    let entry = tail::close(pages, meta, cell)?;
    let segments = segment::read_chain(pages, meta, cell, entry.first_rows, entry.segments)?;
    let mut taken = take_tail(pages, meta, cell, &entry, usize::MAX)?;
    for segment in &segments {
        let mut rows = CodedRows::new(meta.dimensions as usize, meta.planes);
        segment::read_rows(pages, meta, segment, &mut rows)?;
        add_to_group(&mut taken.groups, meta, segment.head.scale_set, |all| all.append(&rows));
    }
    Ok(Some(WholeCell { segments, taken }))
}

impl WholeCell {
    /// Changes the entry to a new chain, the tail's last page, and a later epoch.
    pub fn renew(&self, entry: &mut CellEntry, chain: Chain) {
        entry.epoch = entry.epoch.wrapping_add(1);
        (entry.first_rows, entry.last_rows) = (chain.first, chain.last);
        (entry.rows, entry.segments) = (chain.rows, chain.segments);
        // A tail that began since the cell was read stays as it is.
        if !self.taken.stays.0.is_none() {
            (entry.first_tail, entry.first_sequence) = self.taken.stays;
        }
    }

    /// Frees the pages that were read.
    pub fn free<P: Pages>(&self, pages: &P, cell: u32) -> Result<()> {
        for segment in &self.segments {
            segment.free(pages)?;
        }
        free_tail(pages, cell, &self.taken)
    }
}

/// Writes all segments and the tail of a cell anew, without its dead rows; the cell's lock is held.
pub(crate) fn rewrite<P: Pages>(pages: &P, cell: u32) -> Result<()> {
    let meta = read_meta(pages)?;
    let Some(whole) = read_whole(pages, &meta, cell)? else { return Ok(()) };
    let chain = write_groups(pages, &meta, cell, &whole.taken.groups)?;
    let mut record = pages.begin();
    let mut locked = lock_cell_entry(&mut record, &meta, cell)?;
    whole.renew(&mut locked.entry, chain);
    locked.write(&mut record);
    record.commit()?;
    whole.free(pages, cell)
}
