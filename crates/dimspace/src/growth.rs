//! What grows under the lock of growth: scale sets, centroids, quantiles.  Each is a chain of pages written once (quantiles are
//! written anew in place), named by the meta page, and owned by a number, so that VACUUM knows what nothing leads to.

use std::collections::HashSet;
use std::ops::Range;

use crate::codes::{CodeBounds, Scale, ScaleSet};
use crate::error::{DimspaceError, Result};
use crate::kmeans::Matrix;
use crate::layout::{CELLS_PER_PAGE, CellEntry, Meta, u16_at, u32_at};
use crate::page::{Block, Kind, PAYLOAD_BYTES, Page, Pages, Record};
use crate::quantiles::Quantiles;
use crate::space;
use crate::state::{change_meta, check_cells_page, read_meta, take_number};

const SCALE_BYTES: usize = 8;
const SCALES_PER_PAGE: usize = PAYLOAD_BYTES / SCALE_BYTES;
const FLOATS_PER_PAGE: usize = (PAYLOAD_BYTES - CentroidsHead::BYTES) / 4;
const QUANTILE_BYTES: usize = 132;
const QUANTILES_PER_PAGE: usize = PAYLOAD_BYTES / QUANTILE_BYTES;

/// Writes a chain of pages that nothing leads to yet; returns its pages, first to last.
fn write_chain<P: Pages>(
    pages: &P,
    kind: Kind,
    count: usize,
    fill: impl Fn(usize, &mut [u8; PAYLOAD_BYTES]),
) -> Result<Vec<Block>> {
    let owner = take_number(pages)?;
    let mut next = Block::NONE;
    let mut blocks = Vec::with_capacity(count);
    for number in (0..count).rev() {
        let written = space::write_new(pages, 1, |_, page| {
            page.init(kind, owner);
            page.set_next(next);
            fill(number, page.payload_mut());
            Ok(())
        })?;
        next = written[0];
        blocks.push(next);
    }
    blocks.reverse();
    Ok(blocks)
}

/// Hands out the pages of a chain, at most so many.
fn visit_chain<P: Pages>(
    pages: &P,
    kind: Kind,
    first: Block,
    most: usize,
    mut see: impl FnMut(Block, &Page) -> Result<()>,
) -> Result<()> {
    let mut block = first;
    for _ in 0..most {
        if block.is_none() {
            break;
        }
        let page = pages.read(block)?;
        if !page.is_kind(kind) {
            return Err(DimspaceError::damaged(block, "a page of a chain has its kind"));
        }
        see(block, &page)?;
        block = page.next();
    }
    Ok(())
}

/// Writes a scale set and makes it the one that codes new rows.  The lock of growth is held.
pub(crate) fn add_scale_set<P: Pages>(pages: &P, scales: &ScaleSet) -> Result<()> {
    let blocks = write_chain(pages, Kind::Scales, scales.dimensions().div_ceil(SCALES_PER_PAGE), |number, payload| {
        let from = number * SCALES_PER_PAGE;
        let here = (from..scales.dimensions()).map_while(|dimension| scales.scale(dimension));
        for (place, scale) in payload.chunks_exact_mut(SCALE_BYTES).zip(here) {
            place[..4].copy_from_slice(&scale.low().to_le_bytes());
            place[4..].copy_from_slice(&scale.step().to_le_bytes());
        }
    })?;
    change_meta(pages, |meta| {
        meta.scale_pages.push(blocks[0]);
        meta.scale_sets += 1;
    })
}

fn scale_at(payload: &[u8; PAYLOAD_BYTES], block: Block, place: usize) -> Result<Scale> {
    let float = |from| f32::from_bits(u32_at(payload, from));
    Scale::new(float(SCALE_BYTES * place), float(SCALE_BYTES * place + 4))
        .ok_or_else(|| DimspaceError::damaged(block, "a scale has a finite start and a usable step"))
}

fn scale_page(meta: &Meta, scale_set: u16) -> Result<Block> {
    let block = usize::from(scale_set).checked_sub(1).and_then(|set| meta.scale_pages.get(set));
    block
        .copied()
        .filter(|block| !block.is_none())
        .ok_or_else(|| DimspaceError::damaged(Block::META, "the meta page names the pages of each scale set"))
}

/// Returns a scale set, from 1.
pub(crate) fn read_scale_set<P: Pages>(pages: &P, meta: &Meta, scale_set: u16) -> Result<ScaleSet> {
    let dimensions = meta.dimensions as usize;
    let (first, count) = (scale_page(meta, scale_set)?, dimensions.div_ceil(SCALES_PER_PAGE));
    let mut scales = Vec::with_capacity(dimensions);
    visit_chain(pages, Kind::Scales, first, count, |block, page| {
        for place in 0..SCALES_PER_PAGE.min(dimensions - scales.len()) {
            scales.push(scale_at(page.payload(), block, place)?);
        }
        Ok(())
    })?;
    if scales.len() != dimensions {
        return Err(DimspaceError::damaged(first, "a scale set has a scale for each dimension"));
    }
    Ok(ScaleSet::new(scales))
}

/// Returns what a range of one dimension is in the codes of a scale set.
pub(crate) fn read_bounds<P: Pages>(
    pages: &P,
    meta: &Meta,
    scale_set: u16,
    dimension: usize,
    (lo, hi): (f64, f64),
) -> Result<CodeBounds> {
    let first = scale_page(meta, scale_set)?;
    let mut scale = None;
    let mut number = 0;
    visit_chain(pages, Kind::Scales, first, dimension / SCALES_PER_PAGE + 1, |block, page| {
        if number == dimension / SCALES_PER_PAGE {
            scale = Some(scale_at(page.payload(), block, dimension % SCALES_PER_PAGE)?);
        }
        number += 1;
        Ok(())
    })?;
    let scale = scale.ok_or_else(|| DimspaceError::damaged(first, "a scale set has a scale for each dimension"))?;
    Ok(scale.bounds(lo, hi))
}

/// What a page of centroids holds.
struct CentroidsHead {
    /// Slot of the first centroid.
    first_slot: u32,
    /// Centroids on the page.
    slots: usize,
    /// Which part of its one centroid the page holds, where one does not fit.
    part: usize,
}

impl CentroidsHead {
    const BYTES: usize = 8;

    fn read(payload: &[u8; PAYLOAD_BYTES]) -> Self {
        let (slots, part) = (u16_at(payload, 4).into(), u16_at(payload, 6).into());
        Self { first_slot: u32_at(payload, 0), slots, part }
    }

    fn write(&self, payload: &mut [u8; PAYLOAD_BYTES]) {
        payload[..4].copy_from_slice(&self.first_slot.to_le_bytes());
        payload[4..6].copy_from_slice(&(self.slots as u16).to_le_bytes());
        payload[6..8].copy_from_slice(&(self.part as u16).to_le_bytes());
    }

    /// The pages of so many centroids: what is on each, and which of all their floats.
    fn pages(first_slot: u32, count: usize, dimensions: usize) -> Vec<(Self, Range<usize>)> {
        let per_page = FLOATS_PER_PAGE / dimensions;
        let page = |slot: usize, slots: usize, part: usize| {
            let from = slot * dimensions + part * FLOATS_PER_PAGE;
            let end = ((slot + slots) * dimensions).min(from + FLOATS_PER_PAGE);
            (Self { first_slot: first_slot + slot as u32, slots, part }, from..end)
        };
        if per_page == 0 {
            let parts = dimensions.div_ceil(FLOATS_PER_PAGE);
            return (0..count * parts).map(|n| page(n / parts, 1, n % parts)).collect();
        }
        (0..count).step_by(per_page).map(|slot| page(slot, per_page.min(count - slot), 0)).collect()
    }
}

/// Writes centroids behind those there are; returns the slot of the first.  The lock of growth is held.
pub(crate) fn add_centroids<P: Pages>(pages: &P, meta: &Meta, centroids: &Matrix) -> Result<u32> {
    let plan = CentroidsHead::pages(meta.slots, centroids.rows(), centroids.dimensions());
    let blocks = write_chain(pages, Kind::Centroids, plan.len(), |number, payload| {
        let (head, floats) = &plan[number];
        head.write(payload);
        let values = centroids.values().get(floats.clone()).unwrap_or_default();
        for (place, value) in payload[CentroidsHead::BYTES..].chunks_exact_mut(4).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    })?;
    link_centroids(pages, &blocks, centroids.rows() as u32)?;
    Ok(meta.slots)
}

fn link_centroids<P: Pages>(pages: &P, blocks: &[Block], count: u32) -> Result<()> {
    let (Some(&first), Some(&last)) = (blocks.first(), blocks.last()) else { return Ok(()) };
    let before = read_meta(pages)?.last_centroids;
    let mut record = pages.begin();
    if !before.is_none() {
        let slot = record.lock(before)?;
        if !record.page(slot).is_kind(Kind::Centroids) {
            return Err(DimspaceError::damaged(before, "the last page of centroids has its kind"));
        }
        record.page_mut(slot).set_next(first);
    }
    let slot = record.lock(Block::META)?;
    let mut meta = Meta::read(record.page(slot))?;
    if before.is_none() {
        meta.first_centroids = first;
    }
    meta.last_centroids = last;
    meta.slots += count;
    meta.write(record.page_mut(slot));
    record.commit()
}

/// Returns the centroids of all slots.
pub(crate) fn read_centroids<P: Pages>(pages: &P, meta: &Meta) -> Result<Matrix> {
    let dimensions = meta.dimensions as usize;
    let wanted = (meta.slots as usize).saturating_mul(dimensions);
    let mut values = Vec::new();
    let bad = |block, rule| Err(DimspaceError::damaged(block, rule));
    visit_chain(pages, Kind::Centroids, meta.first_centroids, pages.blocks() as usize, |block, page| {
        let head = CentroidsHead::read(page.payload());
        let from = head.first_slot as usize * dimensions + head.part * FLOATS_PER_PAGE;
        if from != values.len() && values.len() < wanted {
            return bad(block, "centroids lie in the order of their slots");
        }
        let here = (head.slots * dimensions).saturating_sub(head.part * FLOATS_PER_PAGE).min(FLOATS_PER_PAGE);
        let here = here.min(wanted - values.len());
        let floats = page.payload()[CentroidsHead::BYTES..].chunks_exact(4).take(here);
        values.extend(floats.map(|float| f32::from_bits(u32_at(float, 0))));
        if values.iter().rev().take(here).any(|value| !value.is_finite()) {
            return bad(block, "centroids are finite");
        }
        Ok(())
    })?;
    if values.len() != wanted {
        return Err(DimspaceError::damaged(meta.first_centroids, "there is a centroid for each slot"));
    }
    let mut centroids = Matrix::with_rows(dimensions, meta.slots as usize);
    values.chunks(dimensions.max(1)).for_each(|row| centroids.push(row));
    Ok(centroids)
}

/// Returns the entries of all cells.
pub(crate) fn read_entries<P: Pages>(pages: &P, meta: &Meta) -> Result<Vec<CellEntry>> {
    let mut entries = Vec::with_capacity(meta.cells as usize);
    for first in (0..meta.cells).step_by(CELLS_PER_PAGE as usize) {
        let (block, _) = meta.cell_place(first)?;
        let page = pages.read(block)?;
        check_cells_page(&page, block, first)?;
        let here = CELLS_PER_PAGE.min(meta.cells - first) as usize;
        entries.extend((0..here).map(|place| CellEntry::read(&page, place)));
    }
    Ok(entries)
}

/// Writes the quantiles of all dimensions, in place where there are some.  The lock of growth is held.
pub(crate) fn write_quantiles<P: Pages>(pages: &P, meta: &Meta, quantiles: &[Quantiles], rows: u64) -> Result<()> {
    let fill = |number: usize, payload: &mut [u8; PAYLOAD_BYTES]| {
        let here = quantiles.chunks(QUANTILES_PER_PAGE).nth(number).unwrap_or_default();
        for (place, quantiles) in payload.chunks_exact_mut(QUANTILE_BYTES).zip(here) {
            place.copy_from_slice(&quantiles.to_bytes());
        }
    };
    let mut first = meta.first_quantiles;
    if first.is_none() {
        first = write_chain(pages, Kind::Quantiles, quantiles.len().div_ceil(QUANTILES_PER_PAGE), fill)?[0];
    } else {
        let mut blocks = Vec::new();
        visit_chain(pages, Kind::Quantiles, first, pages.blocks() as usize, |block, _| {
            blocks.push(block);
            Ok(())
        })?;
        for (number, block) in blocks.into_iter().enumerate() {
            pages.check_interrupt()?;
            let mut record = pages.begin();
            let slot = record.lock(block)?;
            fill(number, record.page_mut(slot).payload_mut());
            record.commit()?;
        }
    }
    change_meta(pages, |meta| (meta.first_quantiles, meta.quantile_rows) = (first, rows))
}

/// Returns the quantiles of a dimension; `None` before there are any.
pub fn quantiles_of<P: Pages>(pages: &P, dimension: u32) -> Result<Option<Quantiles>> {
    let meta = read_meta(pages)?;
    if meta.first_quantiles.is_none() || dimension >= meta.dimensions {
        return Ok(None);
    }
    let (number, place) = (dimension as usize / QUANTILES_PER_PAGE, dimension as usize % QUANTILES_PER_PAGE);
    let (mut seen, mut found) = (0, None);
    visit_chain(pages, Kind::Quantiles, meta.first_quantiles, number + 1, |block, page| {
        if seen == number {
            let bytes = page.payload()[place * QUANTILE_BYTES..].first_chunk();
            found = bytes.and_then(Quantiles::from_bytes);
            if found.is_none() {
                return Err(DimspaceError::damaged(block, "quantiles are finite and ascend"));
            }
        }
        seen += 1;
        Ok(())
    })?;
    Ok(found)
}

/// Adds the owners of all pages of these chains.  The lock of growth is held.
pub(crate) fn live_numbers<P: Pages>(pages: &P, meta: &Meta, live: &mut HashSet<u64>) -> Result<()> {
    let most = pages.blocks() as usize;
    let scales = meta.scale_pages.iter().map(|first| (Kind::Scales, *first));
    let others = [(Kind::Centroids, meta.first_centroids), (Kind::Quantiles, meta.first_quantiles)];
    for (kind, first) in scales.chain(others) {
        visit_chain(pages, kind, first, most, |_, page| {
            live.insert(page.owner());
            Ok(())
        })?;
    }
    Ok(())
}
