//! Deleting what VACUUM found dead, and what it does at its end: folds tails, writes cells with many dead rows anew, frees
//! pages that nothing leads to, and keeps quantiles and scales fit.

use std::collections::HashSet;

use atom::Never;

use crate::coded::CodedRows;
use crate::codes::ScaleSet;
use crate::error::Result;
use crate::fold::{self, Thoroughness};
use crate::growth;
use crate::insert::Tuning;
use crate::kmeans::{Alone, Matrix};
use crate::layout::{CellEntry, Meta, OddEntry, RowRecord, RowsHead, TailHead, Tid};
use crate::odd;
use crate::page::{Block, CellLock, Kind, Pages, Record};
use crate::quantiles;
use crate::segment::{self, Segment};
use crate::space;
use crate::split;
use crate::state::{read_cell, read_entry, read_meta};

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Rows that stay.
    pub live: u64,
    /// Rows marked as dead.
    pub removed: u64,
}

/// Marks the rows as dead that `is_dead` names.  It is asked at least once for every row that is not dead yet.
///
/// Cell by cell, under the cell's lock, to the last there is: rows move only inside a locked cell or to a cell of a higher
/// number, so none is passed by.
pub fn bulk_delete<P: Pages>(pages: &P, is_dead: &mut dyn FnMut(Tid) -> bool) -> Result<Deleted> {
    let mut deleted = Deleted::default();
    let mut cell = 0;
    loop {
        let meta = read_meta(pages)?;
        if cell >= meta.cells {
            break;
        }
        while cell < meta.cells {
            let _lock = pages.lock(CellLock(cell))?;
            delete_in_cell(pages, cell, is_dead, &mut deleted)?;
            cell += 1;
        }
    }
    let meta = read_meta(pages)?;
    odd::visit(pages, &meta, |block, entries| delete_odd(pages, block, entries, is_dead, &mut deleted))?;
    Ok(deleted)
}

fn delete_in_cell<P: Pages>(
    pages: &P,
    cell: u32,
    is_dead: &mut dyn FnMut(Tid) -> bool,
    deleted: &mut Deleted,
) -> Result<()> {
    let (meta, entry) = read_cell(pages, cell)?;
    fold::visit_own_tail(pages, &meta, cell, &entry, |block, sequence, page| {
        let places = condemned(page.rows().map(|(record, _)| record), is_dead, deleted);
        let places = places.into_iter().map(|row| page.row_place(row));
        kill(pages, block, Kind::Tail, TailHead::owner(cell, sequence), places)
    })?;
    for segment in segment::read_chain(pages, &meta, cell, entry.first_rows, entry.segments)? {
        pages.check_interrupt()?;
        let places = condemned(records(pages, &segment)?.into_iter(), is_dead, deleted);
        let places = places.into_iter().map(|row| segment.head.record_place(row));
        kill(pages, segment.block, Kind::Rows, segment.number, places)?;
    }
    Ok(())
}

fn records<P: Pages>(pages: &P, segment: &Segment) -> Result<Vec<RowRecord>> {
    let page = pages.read(segment.block)?;
    Ok((0..segment.head.shape.rows()).filter_map(|row| segment.head.record(&page, row)).collect())
}

/// Asks about the records that are not dead; returns the numbers of those that are to be.  No page is locked meanwhile.
fn condemned(
    records: impl Iterator<Item = RowRecord>,
    is_dead: &mut dyn FnMut(Tid) -> bool,
    deleted: &mut Deleted,
) -> Vec<usize> {
    let mut rows = Vec::new();
    for (row, record) in records.enumerate().filter(|(_, record)| !record.is_dead) {
        if is_dead(record.tid) {
            rows.push(row);
            deleted.removed += 1;
        } else {
            deleted.live += 1;
        }
    }
    rows
}

/// Marks the records that begin at those places as dead, in one record.
fn kill<P: Pages>(
    pages: &P,
    block: Block,
    kind: Kind,
    owner: u64,
    places: impl ExactSizeIterator<Item = usize>,
) -> Result<()> {
    if places.len() == 0 {
        return Ok(());
    }
    let mut record = pages.begin();
    let slot = record.lock(block)?;
    if record.page(slot).is(kind, owner) {
        places.for_each(|place| RowRecord::kill(record.page_mut(slot).payload_mut(), place));
    }
    record.commit()
}

fn delete_odd<P: Pages>(
    pages: &P,
    block: Block,
    entries: &[OddEntry],
    is_dead: &mut dyn FnMut(Tid) -> bool,
    deleted: &mut Deleted,
) -> Result<()> {
    let mut gone = Vec::new();
    for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_dead) {
        if is_dead(entry.tid) {
            gone.push(place);
            deleted.removed += 1;
        } else {
            deleted.live += 1;
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let mut record = pages.begin();
    let slot = record.lock(block)?;
    gone.into_iter().for_each(|place| OddEntry::kill(record.page_mut(slot), place));
    record.commit()
}

/// What the end of a VACUUM did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Rows that are not dead.
    pub live: u64,
    /// Pages that can be used again.
    pub free_pages: u32,
    /// Those of them that were unreachable until now.
    pub freed_pages: u32,
}

/// A tail of one row to so many in segments is folded by VACUUM.
const ROWS_PER_VACUUM_ROW: u32 = 64;
/// Rows of the tail of an index without a scale set that VACUUM makes one of.
const VACUUM_FIRST_FOLD_ROWS: u32 = 500;
/// A cell is written anew when one of so many of its rows is dead.
const ROWS_PER_DEAD: u64 = 4;
/// Or when it has so many segments more than twice what its rows need.
const SEGMENTS_SPARE: u32 = 2;
/// Rows that quantiles are made of.
const SAMPLE_ROWS: u64 = 10_000;
/// Bytes of them as float32.
const SAMPLE_BYTES_MAX: usize = 32 << 20;
/// A dimension of which more than one code of so many is clamped gets a wider scale.
const CODES_PER_CLAMPED: usize = 50;

/// Does what is due at the end of a VACUUM.
pub fn cleanup<P: Pages>(pages: &P, tuning: &Tuning) -> Result<Cleaned> {
    let mut cell = 0;
    while cell < read_meta(pages)?.cells {
        tend(pages, tuning, cell)?;
        cell += 1;
    }
    let mut cleaned = sweep(pages)?;
    let meta = read_meta(pages)?;
    odd::visit(pages, &meta, |_, entries| {
        cleaned.live += entries.iter().filter(|entry| !entry.is_dead).count() as u64;
        Ok(())
    })?;
    refresh_quantiles(pages, cleaned.live)?;
    Ok(cleaned)
}

/// Folds, writes anew or splits a cell, as it needs.
fn tend<P: Pages>(pages: &P, tuning: &Tuning, cell: u32) -> Result<()> {
    let _lock = pages.lock(CellLock(cell))?;
    let (meta, entry) = read_cell(pages, cell)?;
    let dead = dead_rows(pages, &meta, cell, &entry)?;
    let needed = entry.rows.div_ceil(RowsHead::rows_max(meta.dimensions as usize, meta.planes) as u32);
    if dead * ROWS_PER_DEAD > u64::from(entry.rows) || entry.segments > 2 * needed + SEGMENTS_SPARE {
        fold::rewrite(pages, cell)?;
    } else if tail_rows(pages, &meta, cell, &entry)? >= due_rows(tuning, &meta, &entry) {
        fold::fold(pages, cell, Thoroughness::Vacuum)?;
    }
    split::split_if_large(pages, tuning, cell)
}

fn due_rows(tuning: &Tuning, meta: &Meta, entry: &CellEntry) -> u32 {
    if meta.scale_sets == 0 {
        return tuning.due_rows(meta, entry).min(VACUUM_FIRST_FOLD_ROWS);
    }
    (entry.rows / ROWS_PER_VACUUM_ROW).max(1)
}

fn dead_rows<P: Pages>(pages: &P, meta: &Meta, cell: u32, entry: &CellEntry) -> Result<u64> {
    let mut dead = 0;
    for segment in segment::read_chain(pages, meta, cell, entry.first_rows, entry.segments)? {
        dead += records(pages, &segment)?.iter().filter(|record| record.is_dead).count() as u64;
    }
    Ok(dead)
}

fn tail_rows<P: Pages>(pages: &P, meta: &Meta, cell: u32, entry: &CellEntry) -> Result<u32> {
    let mut rows = 0;
    fold::visit_own_tail(pages, meta, cell, entry, |_, _, page| {
        rows += u32::from(page.head.rows);
        Ok(())
    })?;
    Ok(rows)
}

/// What is reachable: the numbers that own pages, and the first sequence number of each cell's tail.
#[derive(Default)]
struct Live {
    numbers: HashSet<u64>,
    first_sequences: Vec<u32>,
    rows: u64,
}

/// Frees the pages that nothing leads to, and tells the map of free pages about all.
///
/// A page of a number older than the sweep is live, or whoever made it still holds a lock that the sweep takes after it has read
/// the next number: that of the cell, of growth, or of rests.
fn sweep<P: Pages>(pages: &P) -> Result<Cleaned> {
    let next_number = read_meta(pages)?.next_number;
    drop(pages.lock(CellLock::REST)?);
    let mut live = Live::default();
    while live.first_sequences.len() < read_meta(pages)?.cells as usize {
        let cell = live.first_sequences.len() as u32;
        let _lock = pages.lock(CellLock(cell))?;
        mark_cell(pages, cell, &mut live)?;
    }
    {
        let _lock = pages.lock(CellLock::GROWTH)?;
        growth::live_numbers(pages, &read_meta(pages)?, &mut live.numbers)?;
    }
    let mut cleaned = Cleaned { live: live.rows, ..Cleaned::default() };
    for block in (1..pages.blocks()).map(Block) {
        pages.check_interrupt()?;
        sweep_page(pages, block, next_number, &live, &mut cleaned)?;
    }
    Ok(cleaned)
}

fn mark_cell<P: Pages>(pages: &P, cell: u32, live: &mut Live) -> Result<()> {
    let (meta, entry) = read_cell(pages, cell)?;
    for segment in segment::read_chain(pages, &meta, cell, entry.first_rows, entry.segments)? {
        live.numbers.insert(segment.number);
        live.rows += records(pages, &segment)?.iter().filter(|record| !record.is_dead).count() as u64;
    }
    fold::visit_own_tail(pages, &meta, cell, &entry, |_, _, page| {
        if !page.head.rest.is_none() {
            live.numbers.insert(page.head.number);
        }
        live.rows += page.rows().filter(|(record, _)| !record.is_dead).count() as u64;
        Ok(())
    })?;
    live.first_sequences.push(entry.first_sequence);
    Ok(())
}

fn sweep_page<P: Pages>(pages: &P, block: Block, next_number: u64, live: &Live, cleaned: &mut Cleaned) -> Result<()> {
    let page = pages.read(block)?;
    let (kind, owner, is_free) = (page.kind(), page.owner(), page.is_free());
    drop(page);
    let is_gone = match kind {
        Some(Kind::Rows | Kind::PlaneA | Kind::PlaneB | Kind::Bits | Kind::TailRest)
        | Some(Kind::Scales | Kind::Centroids | Kind::Quantiles) => {
            owner < next_number && !live.numbers.contains(&owner)
        }
        Some(Kind::Tail) => is_past_tail(owner, live),
        _ => false,
    };
    if is_free {
        pages.release(block);
        cleaned.free_pages += 1;
    } else if is_gone && space::free(pages, block, kind.unwrap_or(Kind::Free), owner)? {
        cleaned.free_pages += 1;
        cleaned.freed_pages += 1;
    }
    Ok(())
}

/// Returns whether a page of a tail lies before the first of its cell's, where only folds leave pages.
fn is_past_tail(owner: u64, live: &Live) -> bool {
    let (cell, sequence) = ((owner >> 32) as usize, owner as u32);
    live.first_sequences.get(cell).is_some_and(|first| sequence < *first)
}

/// Makes quantiles anew when the number of rows has changed by a fifth, and a wider scale set when many codes are clamped.
fn refresh_quantiles<P: Pages>(pages: &P, live: u64) -> Result<()> {
    let meta = read_meta(pages)?;
    if meta.scale_sets == 0 || live.abs_diff(meta.quantile_rows).saturating_mul(5) <= meta.quantile_rows {
        return Ok(());
    }
    let Some(_lock) = pages.try_lock(CellLock::GROWTH)? else { return Ok(()) };
    let sample = Sample::take(pages, live)?;
    if sample.rows.rows() == 0 {
        return Ok(());
    }
    let meta = read_meta(pages)?;
    growth::write_quantiles(pages, &meta, &quantiles::of_columns(&sample.rows, &Alone, &Never)?, live)?;
    let newest = growth::read_scale_set(pages, &meta, meta.scale_sets as u16)?;
    match sample.wider(&newest) {
        Some(scales) if (meta.scale_sets as usize) < crate::layout::SCALE_SETS_MAX => {
            growth::add_scale_set(pages, &scales)
        }
        _ => Ok(()),
    }
}

/// Rows of some segments, decoded.
struct Sample {
    rows: Matrix,
    /// How many of the rows coded in the newest scale set there are, and of each dimension how many of them are clamped.
    newest: usize,
    clamped: Vec<usize>,
}

impl Sample {
    /// Reads evenly spread cells, each under its lock, if nobody works on it.
    fn take<P: Pages>(pages: &P, live: u64) -> Result<Self> {
        let meta = read_meta(pages)?;
        let dimensions = meta.dimensions as usize;
        let most = SAMPLE_ROWS.min((SAMPLE_BYTES_MAX / (4 * dimensions).max(1)) as u64).max(1);
        let step = live.div_ceil(most).max(1).min(meta.cells.into()) as usize;
        let mut sample = Self { rows: Matrix::new(dimensions), newest: 0, clamped: vec![0; dimensions] };
        for cell in (0..meta.cells).step_by(step) {
            pages.check_interrupt()?;
            if sample.rows.rows() as u64 >= most {
                break;
            }
            let Some(_lock) = pages.try_lock(CellLock(cell))? else { continue };
            let entry = read_entry(pages, &meta, cell)?;
            for segment in segment::read_chain(pages, &meta, cell, entry.first_rows, entry.segments)? {
                sample.add(pages, &meta, &segment)?;
            }
        }
        Ok(sample)
    }

    fn add<P: Pages>(&mut self, pages: &P, meta: &Meta, segment: &Segment) -> Result<()> {
        let mut coded = CodedRows::new(meta.dimensions as usize, meta.planes);
        segment::read_rows(pages, meta, segment, &mut coded)?;
        let scales = growth::read_scale_set(pages, meta, segment.head.scale_set)?;
        let mut values = vec![0.0; coded.dimensions];
        for row in 0..coded.len() {
            coded.decode(row, &scales, &mut values);
            self.rows.push(&values);
            if u32::from(segment.head.scale_set) == meta.scale_sets {
                self.newest += 1;
                self.count_clamped(&coded, row);
            }
        }
        Ok(())
    }

    fn count_clamped(&mut self, coded: &CodedRows, row: usize) {
        if !coded.records[row].is_clamped {
            return;
        }
        let place = row * coded.dimensions..(row + 1) * coded.dimensions;
        let low = coded.low.get(place.clone());
        for (dimension, high) in coded.high[place].iter().enumerate() {
            let low = low.map(|low| low[dimension]);
            let is_end = matches!((high, low), (0, None | Some(0)) | (255, None | Some(255)));
            self.clamped[dimension] += usize::from(is_end);
        }
    }

    /// Returns the newest scale set with twice the width where many codes are clamped; `None` where none is.
    fn wider(&self, newest: &ScaleSet) -> Option<ScaleSet> {
        let is_narrow = |clamped: usize| clamped * CODES_PER_CLAMPED > self.newest;
        if self.newest == 0 || !self.clamped.iter().any(|clamped| is_narrow(*clamped)) {
            return None;
        }
        let scales = self.clamped.iter().enumerate().filter_map(|(dimension, clamped)| {
            let scale = newest.scale(dimension)?;
            Some(if is_narrow(*clamped) { scale.doubled() } else { scale })
        });
        Some(ScaleSet::new(scales.collect()))
    }
}
