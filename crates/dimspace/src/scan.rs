//! Range scans: the rows whose dimensions lie in given ranges, all of them.
//!
//! Cells are read in groups, one page of entries each: the entries are copied, then segments and tails are read, one page lock
//! at a time, then the entries are looked at again.  A cell whose epoch has moved is read again; rows leave the scan only when
//! their cell was read whole.  Cells that were split off meanwhile are read at the end, unless their rows were seen in the cell
//! that they came from.

use std::ops::Range;

use crate::codes::Verdict;
use crate::error::{DimspaceError, Result};
use crate::growth;
use crate::layout::{CELLS_PER_PAGE, CellEntry, Meta, OddKind, Tid};
use crate::metric::Metric;
use crate::odd;
use crate::page::{Kind, Pages};
use crate::segment;
use crate::state::{check_cells_page, read_entry, read_meta};
use crate::tail::TailPage;

mod judge;
mod maps;

use judge::{Judge, Judged, SEGMENTS_MAX, for_each_ahead, set_aside};
use maps::CellMap;
pub use maps::Maps;

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
    meta: Meta,
    judge: Judge,
    /// The epoch at which each cell was read; none where its rows were seen in its parent.
    read_at: Vec<Option<u64>>,
    /// Cells there were when the scan began.
    first_cells: u32,
    is_finished: bool,
    report: ScanReport,
    maps: Maps,
}

/// How cells ended that were read together.
struct CellsRead {
    /// Of each cell the page that was not what its entry led to: the cell has changed, or the page is damaged.
    lost: Vec<Option<DimspaceError>>,
    /// Whose rows lie where among those found, in the order of the latter.
    parts: Vec<(usize, Range<usize>)>,
}

impl RangeScan {
    /// Begins a scan for the rows that meet all conditions; `maps` is what an earlier scan of the same index left, or nothing.
    pub fn begin<P: Pages>(pages: &P, conditions: Vec<Condition>, maps: Maps) -> Result<Self> {
        let meta = read_meta(pages)?;
        let mut scan = Self {
            first_cells: meta.cells,
            // A vector has no such dimension, so it does not lie in the range.
            is_finished: conditions.iter().any(|condition| condition.dimension >= meta.dimensions),
            judge: Judge::new(conditions),
            read_at: Vec::new(),
            report: ScanReport::default(),
            maps: maps.of_build(meta.build),
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
        ScanReport { pages: self.report.pages + self.judge.pages, ..self.report }
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
            for condition in &self.judge.conditions {
                let range = (condition.lo, condition.hi);
                let dimension = condition.dimension as usize;
                self.judge.bounds.push(growth::read_bounds(pages, &self.meta, scale_set, dimension, range)?);
                self.report.pages += 1;
            }
        }
        Ok(())
    }

    /// Reads the cells whose entries lie on the next page of them.
    fn read_group<P: Pages>(&mut self, pages: &P, found: &mut Vec<Found>) -> Result<()> {
        let first = self.read_at.len() as u32;
        let end = self.meta.cells.min((first / CELLS_PER_PAGE + 1) * CELLS_PER_PAGE);
        let entries = self.entries(pages, first, end)?;
        // Those born later are read alone.
        let cells: Vec<_> = (first..end.min(self.first_cells)).zip(entries).collect();
        let read = self.read_cells(pages, &cells, found)?;
        let now = self.entries(pages, first, end)?;
        let is_whole: Vec<bool> =
            (0..cells.len()).map(|n| read.lost[n].is_none() && cells[n].1.epoch == now[n].epoch).collect();
        self.read_at.extend(now.iter().enumerate().map(|(n, entry)| is_whole.get(n)?.then_some(entry.epoch)));
        // From the last on, so that the places of the rows before stay.
        for (_, rows) in read.parts.into_iter().rev().filter(|(cell, _)| !is_whole[*cell]) {
            found.drain(rows);
        }
        let mut again = (first..end).filter(|cell| is_whole.get((cell - first) as usize) != Some(&true));
        again.try_for_each(|cell| self.read_alone(pages, cell, found))
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
            let mut read = self.read_cells(pages, &[(cell, entry)], found)?;
            let is_same = read_entry(pages, &self.meta, cell)?.epoch == entry.epoch;
            match read.lost.pop().flatten() {
                None if is_same => {
                    self.read_at[cell as usize] = Some(entry.epoch);
                    return Ok(());
                }
                Some(damage) if is_same => self.excuse(pages, damage)?,
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

    /// Reads some cells together: what their maps name, then their tails.
    fn read_cells<P: Pages>(
        &mut self,
        pages: &P,
        cells: &[(u32, CellEntry)],
        found: &mut Vec<Found>,
    ) -> Result<CellsRead> {
        self.report.cells += cells.len() as u64;
        let mut read = CellsRead { lost: vec![None; cells.len()], parts: Vec::new() };
        let mut maps = Vec::with_capacity(cells.len());
        for (n, (cell, entry)) in cells.iter().enumerate() {
            let map = self.map_of(pages, *cell, entry);
            maps.push(set_aside(map, &mut read.lost[n])?);
        }
        let mut batch = Vec::new();
        for (n, map) in maps.iter().enumerate() {
            for segment in map.iter().flat_map(|map| &map.segments) {
                batch.push(Judged::new(n, segment));
                if batch.len() == SEGMENTS_MAX {
                    self.read_segments(pages, &mut batch, &mut read, found)?;
                    batch.clear();
                }
            }
        }
        self.read_segments(pages, &mut batch, &mut read, found)?;
        for (n, ((cell, entry), map)) in cells.iter().zip(maps).enumerate() {
            if read.lost[n].is_some() {
                continue;
            }
            map.into_iter().for_each(|map| self.maps.keep(*cell, map));
            let from = found.len();
            let result = self.read_tail(pages, *cell, entry, found);
            read.parts.push((n, from..found.len()));
            set_aside(result, &mut read.lost[n])?;
        }
        Ok(read)
    }

    /// Adds the rows of some segments.
    fn read_segments<P: Pages>(
        &mut self,
        pages: &P,
        batch: &mut [Judged<'_>],
        read: &mut CellsRead,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        pages.check_interrupt()?;
        self.judge.judge(pages, batch)?;
        for_each_ahead(
            batch.len(),
            batch,
            |batch, n| batch[n].fetch_rows(pages),
            |batch, n| {
                batch[n].unless_done(|judged| {
                    let from = found.len();
                    self.report.pages += 1;
                    let result = read_rows(pages, judged, found);
                    read.parts.push((judged.cell, from..found.len()));
                    result
                })
            },
        )?;
        for judged in batch {
            if let Some(damage) = judged.damage.take() {
                read.lost[judged.cell] = Some(damage);
            }
        }
        Ok(())
    }

    /// Adds the rows of a cell's tail.
    fn read_tail<P: Pages>(&mut self, pages: &P, cell: u32, entry: &CellEntry, found: &mut Vec<Found>) -> Result<()> {
        let (mut block, mut sequence) = (entry.first_tail, entry.first_sequence);
        while !block.is_none() {
            let page = TailPage::read(pages, &self.meta, block, cell, sequence)?;
            let page = page
                .ok_or_else(|| DimspaceError::damaged(block, "a tail's page has its kind, cell and sequence number"))?;
            self.report.pages += 1;
            for (record, codes) in page.rows().filter(|(record, _)| !record.is_dead) {
                let verdict = match page.head.scale_set {
                    0 => self.judge.of_plain(codes, self.meta.is_rounded),
                    set => self.judge.of_coded(set, self.meta.planes, codes),
                };
                if verdict != Verdict::Outside {
                    let tid = record.tid.checked(pages, block)?;
                    found.push(Found { tid, recheck: verdict == Verdict::Undecided });
                }
            }
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

    /// Adds the zero vectors that the cosine has no cell for.
    fn read_zeros<P: Pages>(&mut self, pages: &P, found: &mut Vec<Found>) -> Result<()> {
        // A value that float32 rounds to zero is at a bound that float32 rounds to zero.
        let may_hold = |c: &Condition| (c.lo as f32) <= 0.0 && (c.hi as f32) >= 0.0;
        if self.meta.metric != Metric::Cosine || !self.judge.conditions.iter().all(may_hold) {
            return Ok(());
        }
        let is_sure = !self.meta.is_rounded && self.judge.conditions.iter().all(|c| c.lo <= 0.0 && c.hi >= 0.0);
        odd::visit(pages, &self.meta, |block, entries| {
            self.report.pages += 1;
            for entry in entries.iter().filter(|entry| entry.kind == OddKind::Zero && !entry.is_dead) {
                found.push(Found { tid: entry.tid.checked(pages, block)?, recheck: !is_sure });
            }
            Ok(())
        })
    }
}

/// Adds the rows of a segment that meet the conditions or may.
fn read_rows<P: Pages>(pages: &P, judged: &Judged<'_>, found: &mut Vec<Found>) -> Result<()> {
    let segment = judged.segment;
    let page = pages.read(segment.block)?;
    if !page.is(Kind::Rows, segment.number) {
        return Err(DimspaceError::damaged(segment.block, "a page of rows keeps its segment"));
    }
    for row in judged.possible.iter() {
        if let Some(record) = segment.head.record(&page, row).filter(|record| !record.is_dead) {
            found.push(Found { tid: record.tid.checked(pages, segment.block)?, recheck: !judged.inside.get(row) });
        }
    }
    Ok(())
}
