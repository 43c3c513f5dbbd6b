//! Segments: rows of a cell coded dimension by dimension, written once.

use crate::coded::CodedRows;
use crate::error::{DimspaceError, Result};
use crate::layout::{Meta, RowsHead};
use crate::page::{Block, Kind, Page, Pages};
use crate::space;
use crate::state::take_number;
use crate::tile::{self, Shape};

/// The planes' kinds of pages.
pub(crate) const PLANES: [Kind; 2] = [Kind::PlaneA, Kind::PlaneB];

/// A segment as its page of rows describes it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub block: Block,
    pub number: u64,
    pub head: RowsHead,
    pub next: Block,
    /// Pages of plane A, then of plane B.
    pub codes: Vec<Block>,
}

impl Segment {
    /// Reads the head; `None` when the page does not belong to the cell (any more).
    pub fn read<P: Pages>(pages: &P, meta: &Meta, block: Block, cell: u32) -> Result<Option<Self>> {
        let page = pages.read(block)?;
        if !page.is_kind(Kind::Rows) {
            return Ok(None);
        }
        let head = RowsHead::read(&page, block, meta)?;
        if head.cell != cell {
            return Ok(None);
        }
        let count = usize::from(head.pages);
        let codes =
            (0..usize::from(head.planes) * count).map(|n| head.code_block(&page, n / count, n % count)).collect();
        let segment = Self { block, number: page.owner(), head, next: page.next(), codes };
        Ok(Some(segment))
    }

    /// Returns a page of a plane: 0 is A, 1 is B.
    pub fn code_block(&self, plane: usize, number: usize) -> Block {
        self.codes.get(plane * usize::from(self.head.pages) + number).copied().unwrap_or(Block::NONE)
    }

    /// Frees its pages.
    pub fn free<P: Pages>(&self, pages: &P) -> Result<()> {
        // The head first: what it names is then found by nobody.
        space::free(pages, self.block, Kind::Rows, self.number)?;
        let per_plane = usize::from(self.head.pages);
        for (n, block) in self.codes.iter().enumerate() {
            space::free(pages, *block, PLANES[n / per_plane], self.number)?;
        }
        Ok(())
    }
}

/// Reads all segments of a cell, from the first to the last; the caller holds the cell's lock.
pub(crate) fn read_chain<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    first: Block,
    count: u32,
) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut block = first;
    for number in 0..count {
        pages.check_interrupt()?;
        check_length(pages, block, number)?;
        let Some(segment) = Segment::read(pages, meta, block, cell)? else {
            return Err(DimspaceError::damaged(block, "a cell's chain of segments holds its pages of rows"));
        };
        block = segment.next;
        segments.push(segment);
    }
    if !block.is_none() {
        return Err(DimspaceError::damaged(block, "a cell's chain of segments is as long as its entry says"));
    }
    Ok(segments)
}

/// Refuses a chain that goes round: it cannot have more segments than there are pages.
pub(crate) fn check_length<P: Pages>(pages: &P, block: Block, number: u32) -> Result<()> {
    if number >= pages.blocks() {
        return Err(DimspaceError::damaged(block, "a cell's chain of segments ends"));
    }
    Ok(())
}

/// Adds a segment's rows that are not dead to others; the caller holds the cell's lock.
pub(crate) fn read_rows<P: Pages>(pages: &P, meta: &Meta, segment: &Segment, rows: &mut CodedRows) -> Result<()> {
    let dimensions = meta.dimensions as usize;
    let count = segment.head.shape.rows();
    let mut all = CodedRows::new(dimensions, meta.planes);
    let page = pages.read(segment.block)?;
    all.records = (0..count).filter_map(|row| segment.head.record(&page, row)).collect();
    drop(page);
    all.high = read_plane(pages, meta, segment, 0)?;
    if meta.planes == 2 {
        all.low = read_plane(pages, meta, segment, 1)?;
    }
    for row in 0..all.len() {
        if !all.records[row].is_dead {
            rows.push_from(&all, row);
        }
    }
    Ok(())
}

fn read_plane<P: Pages>(pages: &P, meta: &Meta, segment: &Segment, plane: usize) -> Result<Vec<u8>> {
    let (dimensions, head) = (meta.dimensions as usize, &segment.head);
    let per_plane = usize::from(head.pages);
    let mut codes = vec![0; head.shape.rows() * dimensions];
    for number in 0..per_plane {
        pages.check_interrupt()?;
        let block = segment.code_block(plane, number);
        let page = pages.read(block)?;
        if !page.is(PLANES[plane], segment.number) {
            return Err(DimspaceError::damaged(block, "a page of codes has its kind and segment"));
        }
        tile::unfill(head.shape, dimensions, number, page.payload(), &mut codes);
    }
    Ok(codes)
}

/// Segments just written, in a chain that nothing leads to yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chain {
    pub first: Block,
    pub last: Block,
    pub segments: u32,
    pub rows: u32,
}

impl Chain {
    /// Returns the chain with another in front, whose last page leads to this one already.
    pub fn after(self, front: Self) -> Self {
        match (front.segments, self.segments) {
            (0, _) => self,
            (_, 0) => front,
            _ => Self {
                first: front.first,
                last: self.last,
                segments: front.segments + self.segments,
                rows: front.rows + self.rows,
            },
        }
    }
}

/// Writes rows as segments in front of a chain.
pub(crate) fn write_chain<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    scale_set: u16,
    rows: &CodedRows,
    behind: Chain,
) -> Result<Chain> {
    let most = RowsHead::rows_per_segment(rows.len(), meta.dimensions as usize, meta.planes);
    let mut chain = behind;
    // The last first, because each names the next.
    for from in (0..rows.len()).step_by(most).rev() {
        let part = from..(from + most).min(rows.len());
        let count = part.len() as u32;
        let block = write(pages, meta, cell, scale_set, rows, part, chain.first)?;
        chain = chain.after(Chain { first: block, last: block, segments: 1, rows: count });
    }
    Ok(chain)
}

/// Writes some rows as one segment; returns its page of rows.
pub(crate) fn write<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    scale_set: u16,
    rows: &CodedRows,
    part: std::ops::Range<usize>,
    next: Block,
) -> Result<Block> {
    let dimensions = meta.dimensions as usize;
    let shape = Shape::for_rows(part.len() as u16);
    let per_plane = shape.pages(dimensions);
    let number = take_number(pages)?;
    let codes = space::write_new(pages, usize::from(meta.planes) * per_plane, |n, page| {
        let plane = n / per_plane;
        page.init(PLANES[plane], number);
        let codes = &rows.plane(plane as u8)[part.start * dimensions..part.end * dimensions];
        tile::fill(shape, dimensions, n % per_plane, codes, page.payload_mut());
        Ok(())
    })?;
    let head = RowsHead { cell, scale_set, shape, planes: meta.planes, pages: per_plane as u16 };
    let blocks = space::write_new(pages, 1, |_, page| {
        fill_rows(page, number, &head, &codes, &rows.records[part.clone()]);
        page.set_next(next);
        Ok(())
    })?;
    Ok(blocks[0])
}

fn fill_rows(page: &mut Page, number: u64, head: &RowsHead, codes: &[Block], records: &[crate::layout::RowRecord]) {
    page.init(Kind::Rows, number);
    head.write(page);
    let per_plane = usize::from(head.pages);
    for (n, block) in codes.iter().enumerate() {
        head.set_code_block(page, n / per_plane, n % per_plane, *block);
    }
    for (row, record) in records.iter().enumerate() {
        let from = head.record_place(row);
        page.payload_mut()[from..from + record.to_bytes().len()].copy_from_slice(&record.to_bytes());
    }
}
