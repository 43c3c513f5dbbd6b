//! Splitting a cell that has grown too large: two centroids of its rows, the second of which begins a new cell.

use atom::Never;

use crate::error::{DimspaceError, Result};
use crate::fold::{self, Groups, WholeCell};
use crate::growth;
use crate::insert::Tuning;
use crate::kmeans::{Alone, Matrix, Nearest, halves};
use crate::layout::{CELLS_MAX, CELLS_PER_PAGE, CellEntry, Meta};
use crate::page::{Block, CellLock, Kind, Pages, Record};
use crate::segment::Chain;
use crate::space;
use crate::state::{lock_cell_entry, read_entry, read_meta};

/// A cell of fewer rows is never split.
const SPLIT_ROWS_MIN: u64 = 2000;
/// Nor one of fewer than so many times the rows that cells had on average when they were trained.
const SPLIT_MEAN: u64 = 4;
/// Bytes of the rows, decoded, that centroids are made of.
const SAMPLE_BYTES_MAX: usize = 16 << 20;

/// Returns how many rows a cell may have before it is split.
pub(crate) fn rows_max(trained_rows: u64, trained_cells: u32) -> u64 {
    (SPLIT_MEAN.saturating_mul(trained_rows) / u64::from(trained_cells.max(1))).max(SPLIT_ROWS_MIN)
}

/// Splits a cell whose lock is held if it has too many rows, unless somebody else holds the lock of growth.
pub(crate) fn split_if_large<P: Pages>(pages: &P, tuning: &Tuning, cell: u32) -> Result<()> {
    let meta = read_meta(pages)?;
    let most =
        if tuning.split_rows == 0 { rows_max(meta.trained_rows, meta.trained_cells) } else { tuning.split_rows.into() };
    if u64::from(read_entry(pages, &meta, cell)?.rows) <= most {
        return Ok(());
    }
    let Some(_lock) = pages.try_lock(CellLock::GROWTH)? else { return Ok(()) };
    // Under the lock the number of cells stays.
    let meta = read_meta(pages)?;
    if meta.cells >= CELLS_MAX {
        return Ok(());
    }
    let Some(whole) = fold::read_whole(pages, &meta, cell)? else { return Ok(()) };
    split(pages, tuning, &meta, cell, &whole)
}

fn split<P: Pages>(pages: &P, tuning: &Tuning, meta: &Meta, cell: u32, whole: &WholeCell) -> Result<()> {
    let (centroids, [stay, go]) = partition(pages, tuning, meta, &whole.taken.groups)?;
    let first_slot = growth::add_centroids(pages, meta, &centroids)?;
    let stay = fold::write_groups(pages, meta, cell, &stay)?;
    let go = fold::write_groups(pages, meta, meta.cells, &go)?;
    link(pages, meta, cell, whole, [stay, go], first_slot)?;
    whole.free(pages, cell)
}

/// Returns two centroids, and the rows that are nearer to the first and to the second.
fn partition<P: Pages>(pages: &P, tuning: &Tuning, meta: &Meta, groups: &Groups) -> Result<(Matrix, [Groups; 2])> {
    let dimensions = meta.dimensions as usize;
    let mut values = vec![0.0; dimensions];
    let total: usize = groups.iter().map(|(_, rows)| rows.len()).sum();
    let step = (total * dimensions * 4).div_ceil(SAMPLE_BYTES_MAX).max(1);
    let mut scales = Vec::new();
    let mut sample = Matrix::with_rows(dimensions, total / step + 1);
    for (scale_set, rows) in groups {
        let set = growth::read_scale_set(pages, meta, *scale_set)?;
        for row in (0..rows.len()).step_by(step) {
            rows.decode(row, &set, &mut values);
            sample.push(&values);
        }
        scales.push(set);
    }
    let halves = halves(&sample, meta.metric, tuning.path, &Alone, &Never)?;
    let mut centroids = Matrix::new(dimensions);
    halves.iter().for_each(|centroid| centroids.push(centroid));
    let nearest = Nearest::new(centroids.clone(), meta.metric, tuning.path);
    let mut parts = [Groups::new(), Groups::new()];
    for ((scale_set, rows), set) in groups.iter().zip(&scales) {
        pages.check_interrupt()?;
        for row in 0..rows.len() {
            rows.decode(row, set, &mut values);
            let part = &mut parts[nearest.nearest(&values).min(1)];
            fold::add_to_group(part, meta, *scale_set, |part| part.push_from(rows, row));
        }
    }
    Ok((centroids, even_out(meta, parts)))
}

/// Moves every second row over when one part has got none, as when all rows are equal.
fn even_out(meta: &Meta, parts: [Groups; 2]) -> [Groups; 2] {
    if parts.iter().all(|part| !part.is_empty()) {
        return parts;
    }
    let mut even = [Groups::new(), Groups::new()];
    for (scale_set, rows) in parts.iter().flatten() {
        for row in 0..rows.len() {
            fold::add_to_group(&mut even[row % 2], meta, *scale_set, |part| part.push_from(rows, row));
        }
    }
    even
}

/// The record that makes a split happen.
fn link<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    whole: &WholeCell,
    [stay, go]: [Chain; 2],
    first_slot: u32,
) -> Result<()> {
    let child = meta.cells;
    loop {
        pages.check_interrupt()?;
        let begins_page = child.is_multiple_of(CELLS_PER_PAGE);
        let new_block = if begins_page { Some(space::allocate(pages)?) } else { None };
        let mut record = pages.begin();
        let mut parent = lock_cell_entry(&mut record, meta, cell)?;
        whole.renew(&mut parent.entry, stay);
        parent.entry.slot = first_slot;
        parent.write(&mut record);
        let entry = CellEntry {
            epoch: 1,
            parent: cell,
            birth: parent.entry.epoch,
            slot: first_slot + 1,
            first_rows: go.first,
            last_rows: go.last,
            rows: go.rows,
            segments: go.segments,
            ..CellEntry::default()
        };
        let sibling = if begins_page { None } else { Some(lock_sibling(&mut record, meta, cell, child, parent.slot)?) };
        let slot = record.lock(Block::META)?;
        let mut now = Meta::read(record.page(slot))?;
        if now.cells != child {
            return Err(DimspaceError::damaged(Block::META, "cells are added under the lock of growth"));
        }
        now.cells += 1;
        now.cell_pages.extend(new_block);
        now.write(record.page_mut(slot));
        let target = match new_block {
            Some(block) => space::lock_new(&mut record, block, Kind::Cells, u64::from(child / CELLS_PER_PAGE))?,
            None => sibling,
        };
        let Some(target) = target else { continue };
        entry.write(record.page_mut(target), (child % CELLS_PER_PAGE) as usize);
        return record.commit();
    }
}

/// Locks the page of entries that the new cell's lies on, which may be its parent's.
fn lock_sibling<R: Record>(record: &mut R, meta: &Meta, cell: u32, child: u32, parent_slot: usize) -> Result<usize> {
    if cell / CELLS_PER_PAGE == child / CELLS_PER_PAGE {
        return Ok(parent_slot);
    }
    Ok(lock_cell_entry(record, meta, child - 1)?.slot)
}
