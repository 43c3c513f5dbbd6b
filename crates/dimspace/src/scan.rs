//! Range scans: the rows whose dimensions lie in given ranges, all of them.
//!
//! Cells are read in groups, one page of entries each: the entries are copied, then segments and tails are read, one page lock
//! at a time, then the entries are looked at again.  A cell whose epoch has moved is read again; rows leave the scan only when
//! their cell was read whole.  Cells that were split off meanwhile are read at the end, unless their rows were seen in the cell
//! that they came from.

use crate::coded::plain_values;
use crate::codes::{CodeBounds, ExactBounds, Verdict};
use crate::error::{DimspaceError, Result};
use crate::growth;
use crate::layout::{CELLS_PER_PAGE, CellEntry, Meta, OddKind, Tid};
use crate::metric::Metric;
use crate::odd;
use crate::page::{Block, Kind, Pages};
use crate::segment::{self, PLANES, Segment};
use crate::state::{check_cells_page, read_entry, read_meta};
use crate::tail::TailPage;
use crate::tile::{RowMask, classify, edge_codes, settle};

/// A closed range of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// The dimension, counted from 0.
    pub dimension: u32,
    /// The least value, or minus infinity.
    pub lo: f64,
    /// The greatest value, or infinity.
    pub hi: f64,
}

/// A row found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its place in the table.
    pub tid: Tid,
    /// Whether only its own value tells if it lies in the ranges.
    pub recheck: bool,
}

/// What a scan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanReport {
    /// Cells read.
    pub cells: u64,
    /// Pages read, each time counted.
    pub pages: u64,
    /// Rows found.
    pub rows: u64,
    /// Those of them whose own value must tell.
    pub rechecks: u64,
    /// Cells read again because they had changed.
    pub repeated_cells: u64,
}

/// A scan under way.
#[derive(Debug)]
pub struct RangeScan {
    conditions: Vec<Condition>,
    meta: Meta,
    /// Bounds of each condition, set after set.
    bounds: Vec<CodeBounds>,
    /// The epoch at which each cell was read; none where its rows were seen in its parent.
    read_at: Vec<Option<u64>>,
    /// Cells there were when the scan began.
    first_cells: u32,
    is_finished: bool,
    report: ScanReport,
    maps: Maps,
    /// High bytes of the rows at the edge, of the page at hand.
    high: Vec<u8>,
}

/// Where the codes of cells lie: what the heads of their segments say, kept from scan to scan while the cells' epochs stay.
#[derive(Debug, Default)]
pub struct Maps {
    build: u64,
    cells: Vec<Option<CellMap>>,
    /// Blocks that are kept.
    blocks: usize,
}

#[derive(Debug)]
struct CellMap {
    epoch: u64,
    segments: Vec<Segment>,
}

impl Maps {
    /// Blocks that are kept at most: 16 MiB.
    const BLOCKS_MAX: usize = 4 << 20;

    /// Returns the maps if they are of that build, else none.
    fn of_build(self, build: u64) -> Self {
        if self.build == build { self } else { Self { build, ..Self::default() } }
    }

    /// Takes the map of a cell out; none where there is none of that epoch.
    fn take(&mut self, cell: u32, epoch: u64) -> Option<CellMap> {
        let map = self.cells.get_mut(cell as usize)?.take()?;
        self.blocks -= map.blocks();
        (map.epoch == epoch).then_some(map)
    }

    /// Keeps the map of a cell, while there is room.
    fn keep(&mut self, cell: u32, map: CellMap) {
        if self.blocks + map.blocks() > Self::BLOCKS_MAX {
            return;
        }
        if self.cells.len() <= cell as usize {
            self.cells.resize_with(cell as usize + 1, || None);
        }
        self.blocks += map.blocks();
        self.cells[cell as usize] = Some(map);
    }
}

impl CellMap {
    /// Counts a segment as some blocks more than it names.
    fn blocks(&self) -> usize {
        self.segments.iter().map(|segment| segment.codes.len() + 20).sum()
    }
}

/// How reading a cell ended.
#[derive(Debug, PartialEq, Eq)]
enum Walk {
    Whole,
    /// A page was not what its cell's entry led to: the cell has changed, or the page is damaged.
    Lost(DimspaceError),
}

/// How many cells ahead memory is fetched.
const CELLS_AHEAD: u32 = 2;
/// Segments of one cell between two looks for an interrupt.
const SEGMENTS_PER_CHECK: u32 = 64;

impl RangeScan {
    /// Begins a scan for the rows that meet all conditions; `maps` is what an earlier scan of the same index left, or nothing.
    pub fn begin<P: Pages>(pages: &P, conditions: Vec<Condition>, maps: Maps) -> Result<Self> {
        let meta = read_meta(pages)?;
        let mut scan = Self {
            first_cells: meta.cells,
            // A vector has no such dimension, so it does not lie in the range.
            is_finished: conditions.iter().any(|condition| condition.dimension >= meta.dimensions),
            conditions,
            bounds: Vec::new(),
            read_at: Vec::new(),
            report: ScanReport::default(),
            maps: maps.of_build(meta.build),
            high: Vec::new(),
            meta,
        };
        if !scan.is_finished {
            scan.read_bounds(pages, 0)?;
        }
        Ok(scan)
    }

    /// Ends the scan; returns what the next one of this index begins with.
    pub fn into_maps(self) -> Maps {
        self.maps
    }

    /// Returns what the scan did so far.
    pub fn report(&self) -> ScanReport {
        self.report
    }

    /// Appends the rows of some cells; false when there are no more.
    pub fn next<P: Pages>(&mut self, pages: &P, found: &mut Vec<Found>) -> Result<bool> {
        if self.is_finished {
            return Ok(false);
        }
        let before = found.len();
        if self.read_at.len() < self.meta.cells as usize || self.has_new_cells(pages)? {
            self.read_group(pages, found)?;
        } else {
            self.read_zeros(pages, found)?;
            self.is_finished = true;
        }
        self.report.rows += (found.len() - before) as u64;
        self.report.rechecks += found[before..].iter().filter(|row| row.recheck).count() as u64;
        Ok(true)
    }

    fn has_new_cells<P: Pages>(&mut self, pages: &P) -> Result<bool> {
        self.refresh(pages)?;
        Ok(self.read_at.len() < self.meta.cells as usize)
    }

    /// Reads the meta page again, and the bounds in scale sets that came meanwhile.
    fn refresh<P: Pages>(&mut self, pages: &P) -> Result<()> {
        let sets_before = self.meta.scale_sets as u16;
        self.meta = read_meta(pages)?;
        self.report.pages += 1;
        self.read_bounds(pages, sets_before)
    }

    fn read_bounds<P: Pages>(&mut self, pages: &P, sets_before: u16) -> Result<()> {
        for scale_set in sets_before + 1..=self.meta.scale_sets as u16 {
            for condition in &self.conditions {
                let range = (condition.lo, condition.hi);
                let dimension = condition.dimension as usize;
                self.bounds.push(growth::read_bounds(pages, &self.meta, scale_set, dimension, range)?);
                self.report.pages += 1;
            }
        }
        Ok(())
    }

    /// Reads the cells whose entries lie on the next page of them.
    fn read_group<P: Pages>(&mut self, pages: &P, found: &mut Vec<Found>) -> Result<()> {
        pages.check_interrupt()?;
        let first = self.read_at.len() as u32;
        let end = self.meta.cells.min((first / CELLS_PER_PAGE + 1) * CELLS_PER_PAGE);
        let entries = self.entries(pages, first, end)?;
        let mut parts = Vec::with_capacity(entries.len());
        for (cell, entry) in (first..end).zip(&entries) {
            self.prefetch_cell(pages, cell + CELLS_AHEAD);
            let from = found.len();
            let is_whole = !self.is_born_later(cell) && self.try_cell(pages, cell, entry, found)? == Walk::Whole;
            if !is_whole {
                found.truncate(from);
            }
            parts.push((from..found.len(), is_whole));
        }
        self.read_at.resize(end as usize, None);
        let now = self.entries(pages, first, end)?;
        // From the last on, so that the places of the rows before stay.
        let mut again = Vec::new();
        for (n, (rows, is_whole)) in parts.into_iter().enumerate().rev() {
            if is_whole && entries[n].epoch == now[n].epoch {
                self.read_at[first as usize + n] = Some(now[n].epoch);
            } else {
                found.drain(rows);
                again.push(first + n as u32);
            }
        }
        again.into_iter().rev().try_for_each(|cell| self.read_alone(pages, cell, found))
    }

    fn entries<P: Pages>(&mut self, pages: &P, first: u32, end: u32) -> Result<Vec<CellEntry>> {
        let (block, place) = self.meta.cell_place(first)?;
        self.report.pages += 1;
        let page = pages.read(block)?;
        check_cells_page(&page, block, first)?;
        Ok((place..place + (end - first) as usize).map(|place| CellEntry::read(&page, place)).collect())
    }

    fn is_born_later(&self, cell: u32) -> bool {
        cell >= self.first_cells
    }

    /// Returns whether a cell that was split off since the scan began holds rows that were not seen.
    fn is_unseen(&self, entry: &CellEntry) -> bool {
        let parent = self.read_at.get(entry.parent as usize).copied().flatten();
        parent.is_some_and(|epoch| epoch >= entry.birth)
    }

    /// Reads a cell by itself, as often as it changes.
    fn read_alone<P: Pages>(&mut self, pages: &P, cell: u32, found: &mut Vec<Found>) -> Result<()> {
        loop {
            pages.check_interrupt()?;
            let entry = read_entry(pages, &self.meta, cell)?;
            if self.is_born_later(cell) && !self.is_unseen(&entry) {
                return Ok(());
            }
            let from = found.len();
            let walk = self.try_cell(pages, cell, &entry, found)?;
            let is_same = read_entry(pages, &self.meta, cell)?.epoch == entry.epoch;
            match walk {
                Walk::Whole if is_same => {
                    self.read_at[cell as usize] = Some(entry.epoch);
                    return Ok(());
                }
                Walk::Lost(damage) if is_same => self.excuse(pages, damage)?,
                _ => {}
            }
            self.report.repeated_cells += 1;
            found.truncate(from);
        }
    }

    /// What no epoch explains may be coded in a scale set that came since; else it is damage.
    fn excuse<P: Pages>(&mut self, pages: &P, damage: DimspaceError) -> Result<()> {
        let sets = self.meta.scale_sets;
        self.refresh(pages)?;
        if self.meta.scale_sets == sets { Err(damage) } else { Ok(()) }
    }

    fn try_cell<P: Pages>(&mut self, pages: &P, cell: u32, entry: &CellEntry, found: &mut Vec<Found>) -> Result<Walk> {
        self.report.cells += 1;
        match self.read_cell(pages, cell, entry, found) {
            Ok(()) => Ok(Walk::Whole),
            Err(damage @ DimspaceError::Damaged { .. }) => Ok(Walk::Lost(damage)),
            Err(other) => Err(other),
        }
    }

    fn read_cell<P: Pages>(&mut self, pages: &P, cell: u32, entry: &CellEntry, found: &mut Vec<Found>) -> Result<()> {
        let map = self.map_of(pages, cell, entry)?;
        for (n, segment) in map.segments.iter().enumerate() {
            if let Some(next) = map.segments.get(n + 1) {
                self.prefetch(pages, next);
            }
            if n as u32 % SEGMENTS_PER_CHECK == SEGMENTS_PER_CHECK - 1 {
                pages.check_interrupt()?;
            }
            self.read_segment(pages, segment, found)?;
        }
        self.maps.keep(cell, map);
        let (mut block, mut sequence) = (entry.first_tail, entry.first_sequence);
        while !block.is_none() {
            let page = TailPage::read(pages, &self.meta, block, cell, sequence)?;
            let page = page
                .ok_or_else(|| DimspaceError::damaged(block, "a tail's page has its kind, cell and sequence number"))?;
            self.report.pages += 1;
            self.read_tail(pages, block, &page, found)?;
            (block, sequence) = (page.next, sequence.wrapping_add(1));
        }
        Ok(())
    }

    /// Returns where the codes of a cell lie.  While its epoch stays, so do they.
    fn map_of<P: Pages>(&mut self, pages: &P, cell: u32, entry: &CellEntry) -> Result<CellMap> {
        if let Some(map) = self.maps.take(cell, entry.epoch) {
            return Ok(map);
        }
        self.report.pages += u64::from(entry.segments);
        let segments = segment::read_chain(pages, &self.meta, cell, entry.first_rows, entry.segments)?;
        Ok(CellMap { epoch: entry.epoch, segments })
    }

    /// Has the memory fetch what will be read of a cell, if the maps know it.
    fn prefetch_cell<P: Pages>(&self, pages: &P, cell: u32) {
        let map = self.maps.cells.get(cell as usize).and_then(Option::as_ref);
        if let Some(segment) = map.and_then(|map| map.segments.first()) {
            self.prefetch(pages, segment);
        }
    }

    /// Has the memory fetch what the conditions read of a segment: without it, a scan waits most of its time for memory.
    fn prefetch<P: Pages>(&self, pages: &P, segment: &Segment) {
        let shape = segment.head.shape;
        for condition in &self.conditions {
            let (number, dimension) = shape.place(condition.dimension as usize);
            for plane in 0..usize::from(segment.head.planes) {
                pages.prefetch(segment.code_block(plane, number), shape.column_starts(dimension));
            }
        }
    }

    /// Adds the rows of a segment.
    fn read_segment<P: Pages>(&mut self, pages: &P, segment: &Segment, found: &mut Vec<Found>) -> Result<()> {
        let (inside, possible) = self.judge_segment(pages, segment)?;
        if possible.is_empty() {
            return Ok(());
        }
        let page = pages.read(segment.block)?;
        self.report.pages += 1;
        if !page.is(Kind::Rows, segment.number) {
            return Err(DimspaceError::damaged(segment.block, "a page of rows keeps its segment"));
        }
        for row in possible.iter() {
            if let Some(record) = segment.head.record(&page, row).filter(|record| !record.is_dead) {
                found.push(Found { tid: record.tid.checked(pages, segment.block)?, recheck: !inside.get(row) });
            }
        }
        Ok(())
    }

    /// Returns which rows of a segment meet all conditions for sure, and which may.
    fn judge_segment<P: Pages>(&mut self, pages: &P, segment: &Segment) -> Result<(RowMask, RowMask)> {
        let head = &segment.head;
        let rows = head.shape.rows();
        let (mut inside, mut possible) = (RowMask::all(rows), RowMask::all(rows));
        let from = (usize::from(head.scale_set) - 1) * self.conditions.len();
        for (n, condition) in self.conditions.iter().enumerate() {
            // A map may be of a time when the meta page, damaged since, named more.
            let bounds = self.bounds.get(from + n).copied();
            let bounds = bounds.ok_or_else(|| DimspaceError::damaged(segment.block, "a segment's scale set exists"))?;
            let (number, dimension) = head.shape.place(condition.dimension as usize);
            let a_page = read_codes_page(pages, segment, 0, number)?;
            let (sure, edge) = classify(a_page.payload(), head.shape, dimension, bounds);
            let edge = edge.and(&possible);
            let has_low = head.planes == 2 && !edge.is_empty();
            self.high.clear();
            if has_low {
                edge_codes(a_page.payload(), head.shape, dimension, edge, &mut self.high);
            }
            drop(a_page);
            self.report.pages += 1;
            let (settled, undecided) = if has_low {
                let b_page = read_codes_page(pages, segment, 1, number)?;
                self.report.pages += 1;
                settle(&self.high, b_page.payload(), head.shape, dimension, bounds, edge)
            } else {
                (RowMask::none(), edge)
            };
            let is_in = sure.or(&settled);
            let may_be = is_in.or(&undecided);
            inside = inside.and(&is_in);
            possible = possible.and(&may_be);
            if possible.is_empty() {
                break;
            }
        }
        Ok((inside, possible))
    }

    fn read_tail<P: Pages>(&self, pages: &P, block: Block, page: &TailPage, found: &mut Vec<Found>) -> Result<()> {
        for (record, codes) in page.rows().filter(|(record, _)| !record.is_dead) {
            let verdict = if page.head.scale_set == 0 {
                self.judge_plain(codes)
            } else {
                self.judge_coded(usize::from(page.head.scale_set), codes)
            };
            if verdict != Verdict::Outside {
                let tid = record.tid.checked(pages, block)?;
                found.push(Found { tid, recheck: verdict == Verdict::Undecided });
            }
        }
        Ok(())
    }

    fn judge_plain(&self, codes: &[u8]) -> Verdict {
        let verdicts = self.conditions.iter().map(|condition| {
            let from = 4 * condition.dimension as usize;
            let value = plain_values(codes.get(from..from + 4).unwrap_or_default()).first().copied();
            let bounds = ExactBounds { lo: condition.lo, hi: condition.hi };
            value.map_or(Verdict::Undecided, |value| bounds.decide(value, self.meta.is_rounded))
        });
        all_of(verdicts)
    }

    fn judge_coded(&self, scale_set: usize, codes: &[u8]) -> Verdict {
        let from = (scale_set - 1) * self.conditions.len();
        let (high, low) = codes.split_at(codes.len() / usize::from(self.meta.planes));
        let verdicts = self.conditions.iter().zip(&self.bounds[from..]).map(|(condition, bounds)| {
            let dimension = condition.dimension as usize;
            match (high.get(dimension), low.get(dimension)) {
                (Some(high), Some(low)) => bounds.verdict(u16::from_be_bytes([*high, *low])),
                (Some(high), None) => bounds.coarse_verdict(*high),
                _ => Verdict::Undecided,
            }
        });
        all_of(verdicts)
    }

    /// Adds the zero vectors that the cosine has no cell for.
    fn read_zeros<P: Pages>(&mut self, pages: &P, found: &mut Vec<Found>) -> Result<()> {
        // A value that float32 rounds to zero is at a bound that float32 rounds to zero.
        let may_hold = |c: &Condition| (c.lo as f32) <= 0.0 && (c.hi as f32) >= 0.0;
        if self.meta.metric != Metric::Cosine || !self.conditions.iter().all(may_hold) {
            return Ok(());
        }
        let is_sure = !self.meta.is_rounded && self.conditions.iter().all(|c| c.lo <= 0.0 && c.hi >= 0.0);
        odd::visit(pages, &self.meta, |block, entries| {
            self.report.pages += 1;
            for entry in entries.iter().filter(|entry| entry.kind == OddKind::Zero && !entry.is_dead) {
                found.push(Found { tid: entry.tid.checked(pages, block)?, recheck: !is_sure });
            }
            Ok(())
        })
    }
}

fn read_codes_page<'p, P: Pages>(pages: &'p P, segment: &Segment, plane: usize, number: usize) -> Result<P::Guard<'p>> {
    let block = segment.code_block(plane, number);
    let page = pages.read(block)?;
    if page.is(PLANES[plane], segment.number) {
        return Ok(page);
    }
    Err(DimspaceError::damaged(block, "a page of codes has its kind and segment"))
}

/// Outside where one is, inside where all are.
fn all_of(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut all = Verdict::Inside;
    for verdict in verdicts {
        match verdict {
            Verdict::Outside => return Verdict::Outside,
            Verdict::Undecided => all = Verdict::Undecided,
            Verdict::Inside => {}
        }
    }
    all
}
