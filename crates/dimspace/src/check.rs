//! Checks every rule of the layout on an index at rest, and reads out what it stores.
//!
//! Trusts nothing: a damaged page is a problem that is told, not an error.  Each page is reached at most once, so chains that
//! run in circles end, and memory grows with the number of pages only.

use std::collections::BTreeSet;

use crate::coded::{CodedRows, encode_row, plain_row};
use crate::codes::{ScaleSet, residual_value};
use crate::error::{DimspaceError, Result};
use crate::growth;
use crate::layout::{CELLS_PER_PAGE, CellEntry, Meta, OddEntry, OddKind, RowRecord, RowsHead, TailHead, Tid};
use crate::page::{Block, Kind, LAYOUT_VERSION, Page, Pages};
use crate::quantiles::Quantiles;
use crate::state::read_entry;
use crate::tile;

/// Problems that are told; a damaged index has no end of them.
const PROBLEMS_MAX: usize = 1_000;

/// A rule that an index breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The page, where it is one's.
    pub block: Option<Block>,
    /// What is wrong.
    pub what: String,
}

/// What is wrong with an index, and what a crash or a cancel left in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Rules that it breaks, at most 1,000.
    pub problems: Vec<Problem>,
    /// Pages that nothing leads to; VACUUM frees them.
    pub unreachable_pages: u32,
}

/// A row of an index that is not dead.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// Its place in the table.
    pub tid: Tid,
    /// What is stored of it.
    pub stored: Stored,
}

/// What is stored of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Codes, or values.
    Vector {
        /// Its cell.
        cell: u32,
        /// The scale set of the codes; 0: values.
        scale_set: u16,
        /// Norm, residual and flags.
        record: RowRecord,
        /// High bytes, then, where there are two planes, low bytes; in set 0 float32.
        bytes: Vec<u8>,
    },
    /// Nothing but why.
    Odd(OddKind),
}

/// What tells whether a stored row is that of a vector.
#[derive(Debug, Clone)]
pub struct Codes {
    planes: u8,
    scale_sets: Vec<ScaleSet>,
}

impl Codes {
    /// Reads the scale sets of an index.
    pub fn read<P: Pages>(pages: &P) -> Result<Self> {
        let meta = read_meta(pages)?;
        let read = |scale_set| growth::read_scale_set(pages, &meta, scale_set);
        let scale_sets = (1..=meta.scale_sets as u16).map(read).collect::<Result<_>>()?;
        Ok(Self { planes: meta.planes, scale_sets })
    }

    /// Returns what is stored of a vector in a scale set: its record, then the bytes of [`Stored::Vector`]; `None` where there is no
    /// such set, or one of other dimensions.
    pub fn of(&self, scale_set: u16, tid: Tid, values: &[f32]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match usize::from(scale_set).checked_sub(1) {
            None => plain_row(tid, values, &mut bytes),
            Some(place) => {
                let scales = self.scale_sets.get(place).filter(|scales| scales.dimensions() == values.len())?;
                encode_row(scales, self.planes, tid, values, &mut bytes);
            }
        }
        Some(bytes)
    }
}

/// Returns what is wrong with an index.
pub fn check<P: Pages>(pages: &P) -> Result<Vec<Problem>> {
    Ok(examine(pages)?.problems)
}

/// Returns what is wrong with an index and what is left in it.
pub fn examine<P: Pages>(pages: &P) -> Result<Checked> {
    walk(pages, &mut |_| Ok(()))
}

/// Hands out every row that is not dead.  Fails when the index breaks a rule; [`check`] tells which.
pub fn rows<P: Pages>(pages: &P, visit: &mut dyn FnMut(StoredRow) -> Result<()>) -> Result<()> {
    match walk(pages, visit)?.problems.first() {
        None => Ok(()),
        Some(problem) => Err(DimspaceError::damaged(problem.block.unwrap_or(Block::META), "the index keeps its rules")),
    }
}

fn walk<P: Pages>(pages: &P, visit: &mut dyn FnMut(StoredRow) -> Result<()>) -> Result<Checked> {
    let blocks = pages.blocks();
    let mut checked = Checked::default();
    let meta = match read_meta(pages) {
        Ok(meta) => meta,
        Err(error) => {
            checked.problems.push(as_problem(error)?);
            return Ok(checked);
        }
    };
    let reached = vec![false; blocks as usize];
    let mut walk = Walk { pages, meta, visit, reached, numbers: BTreeSet::new(), scales: Vec::new(), checked };
    walk.reach_all()?;
    walk.see_unreachable()?;
    Ok(walk.checked)
}

fn read_meta<P: Pages>(pages: &P) -> Result<Meta> {
    if pages.blocks() == 0 {
        return Err(DimspaceError::damaged(Block::META, "an index has a meta page"));
    }
    Meta::read(&*pages.read(Block::META)?)
}

/// Makes a problem of an error that a page is to blame for.
fn as_problem(error: DimspaceError) -> Result<Problem> {
    match error {
        DimspaceError::Damaged { block, rule } => Ok(Problem { block: Some(block), what: format!("broken: {rule}") }),
        other => Err(other),
    }
}

/// One pass over an index.
struct Walk<'a, P> {
    pages: &'a P,
    meta: Meta,
    visit: &'a mut dyn FnMut(StoredRow) -> Result<()>,
    /// The pages that something leads to.
    reached: Vec<bool>,
    /// Numbers of segments, scale sets and rests of tail rows.
    numbers: BTreeSet<u64>,
    /// Scale sets, set 1 first; `None` for one that cannot be read.
    scales: Vec<Option<ScaleSet>>,
    checked: Checked,
}

impl<P: Pages> Walk<'_, P> {
    fn reach_all(&mut self) -> Result<()> {
        self.reached[0] = true;
        self.reach_scales()?;
        self.reach_centroids()?;
        self.reach_quantiles()?;
        self.reach_odd()?;
        self.reach_cells()
    }

    fn tell(&mut self, block: Option<Block>, what: impl Into<String>) {
        if self.checked.problems.len() < PROBLEMS_MAX {
            self.checked.problems.push(Problem { block, what: what.into() });
        }
    }

    /// Tells unless something is true.
    fn expect(&mut self, is_true: bool, block: Block, what: impl FnOnce() -> String) {
        if !is_true {
            self.tell(Some(block), what());
        }
    }

    /// Returns a value, or tells what was wrong with its page.
    fn accept<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let problem = as_problem(error)?;
                self.tell(problem.block, problem.what);
                Ok(None)
            }
        }
    }

    /// Returns a copy of a page of some kind that nothing has led to so far.
    fn reach(&mut self, block: Block, kind: Kind) -> Result<Option<Box<Page>>> {
        self.pages.check_interrupt()?;
        match self.reached.get_mut(block.0 as usize) {
            None => {
                self.tell(Some(block), format!("a link leads beyond the end, to a page of {}", kind.name()));
                return Ok(None);
            }
            Some(true) => {
                self.tell(Some(block), format!("two links lead here, one expects a page of {}", kind.name()));
                return Ok(None);
            }
            Some(reached) => *reached = true,
        }
        let page = self.pages.read(block).map(|page| Box::new(Page::clone(&page)));
        let Some(page) = self.accept(page)? else { return Ok(None) };
        if !page.is_kind(kind) {
            let found = page.kind().map_or("no known kind", Kind::name);
            self.tell(Some(block), format!("is of {found}, version {}, and must be {}", page.version(), kind.name()));
            return Ok(None);
        }
        Ok(Some(page))
    }

    /// Like [`Walk::reach`], for a page whose owner is known.
    fn reach_owned(&mut self, block: Block, kind: Kind, owner: u64) -> Result<Option<Box<Page>>> {
        let Some(page) = self.reach(block, kind)? else { return Ok(None) };
        if page.owner() != owner {
            self.tell(Some(block), format!("{} of {}, must be of {owner}", kind.name(), page.owner()));
            return Ok(None);
        }
        Ok(Some(page))
    }

    /// Takes a number that only one group of pages may have.
    fn take_number(&mut self, number: u64, block: Block) {
        let is_given = number < self.meta.next_number;
        self.expect(is_given, block, || format!("has the number {number}, which was not given yet"));
        let is_only = self.numbers.insert(number);
        self.expect(is_only, block, || format!("has the number {number}, which others have too"));
    }

    fn reach_scales(&mut self) -> Result<()> {
        for set in 1..=self.meta.scale_sets as u16 {
            let first = self.meta.scale_pages.get(usize::from(set) - 1).copied().unwrap_or_default();
            self.expect(!first.is_none(), Block::META, || format!("scale set {set} has no pages"));
            self.reach_chain(Kind::Scales, first)?;
            let scales = growth::read_scale_set(self.pages, &self.meta, set);
            let scales = self.accept(scales)?;
            self.scales.push(scales);
        }
        Ok(())
    }

    fn reach_centroids(&mut self) -> Result<()> {
        let (first, last) = (self.meta.first_centroids, self.meta.last_centroids);
        let at = self.reach_chain(Kind::Centroids, first)?;
        self.expect(at == Some(last), Block::META, || format!("the centroids do not end at page {last}"));
        let centroids = growth::read_centroids(self.pages, &self.meta);
        self.accept(centroids)?;
        Ok(())
    }

    fn reach_quantiles(&mut self) -> Result<()> {
        let mut left = self.meta.dimensions as usize;
        let mut block = self.meta.first_quantiles;
        if block.is_none() {
            return Ok(());
        }
        let mut number = None;
        while !block.is_none() {
            let Some(page) = self.reach(block, Kind::Quantiles)? else { return Ok(()) };
            self.see_number(&mut number, page.owner(), block);
            let (places, _) = page.payload().as_chunks();
            let is_sound = places.iter().take(left).all(|bytes| Quantiles::from_bytes(bytes).is_some());
            self.expect(is_sound, block, || "quantiles are finite and ascend".into());
            left -= left.min(places.len());
            block = page.next();
        }
        self.expect(left == 0, Block::META, || format!("{left} dimensions have no quantiles"));
        Ok(())
    }

    /// Reaches the pages of a chain, and returns the last; `None` when a page was not what it must be.
    fn reach_chain(&mut self, kind: Kind, first: Block) -> Result<Option<Block>> {
        let (mut block, mut last, mut number) = (first, Block::NONE, None);
        while !block.is_none() {
            let Some(page) = self.reach(block, kind)? else { return Ok(None) };
            self.see_number(&mut number, page.owner(), block);
            (last, block) = (block, page.next());
        }
        Ok(Some(last))
    }

    /// Takes the number of a page of a chain, unless it is that of the page before.
    fn see_number(&mut self, before: &mut Option<u64>, number: u64, block: Block) {
        if before.replace(number) != Some(number) {
            self.take_number(number, block);
        }
    }

    fn reach_odd(&mut self) -> Result<()> {
        let (first, last) = (self.meta.first_odd, self.meta.last_odd);
        self.expect(first.is_none() == last.is_none(), Block::META, || "only one end of the odd rows is known".into());
        let (mut block, mut at) = (first, Block::NONE);
        while !block.is_none() {
            let Some(page) = self.reach_owned(block, Kind::Odd, 0)? else { return Ok(()) };
            self.see_odd(&page, block)?;
            (at, block) = (block, page.next());
        }
        self.expect(at == last, Block::META, || format!("the odd rows end at page {at}, not at {last}"));
        Ok(())
    }

    fn see_odd(&mut self, page: &Page, block: Block) -> Result<()> {
        let Some(count) = self.accept(OddEntry::count(page, block))? else { return Ok(()) };
        for place in 0..count {
            let Some(entry) = self.accept(OddEntry::read(page, block, place))? else { continue };
            if !entry.is_dead {
                (self.visit)(StoredRow { tid: entry.tid, stored: Stored::Odd(entry.kind) })?;
            }
        }
        Ok(())
    }

    fn reach_cells(&mut self) -> Result<()> {
        let mut epochs = Vec::new();
        for number in 0..self.meta.cell_pages.len() as u32 {
            let block = self.meta.cell_pages[number as usize];
            let Some(page) = self.reach_owned(block, Kind::Cells, u64::from(number))? else {
                epochs.resize((number as usize + 1) * CELLS_PER_PAGE as usize, u64::MAX);
                continue;
            };
            let first = number * CELLS_PER_PAGE;
            for cell in first..self.meta.cells.min(first + CELLS_PER_PAGE) {
                let entry = CellEntry::read(&page, (cell - first) as usize);
                epochs.push(entry.epoch);
                self.see_entry(cell, &entry, block, &epochs);
                self.reach_segments(cell, &entry, block)?;
                self.reach_tail(cell, &entry, block)?;
            }
        }
        Ok(())
    }

    /// Checks what an entry says by itself; `epochs` are those of the cells up to this one.
    fn see_entry(&mut self, cell: u32, entry: &CellEntry, block: Block, epochs: &[u64]) {
        let wrong = |what: &str| format!("cell {cell}: {what}");
        let has_parent = entry.parent != cell && cell != 0;
        let is_born = !has_parent || epochs.get(entry.parent as usize).is_some_and(|epoch| entry.birth <= *epoch);
        self.expect(entry.parent <= cell, block, || wrong("its parent is younger than itself"));
        self.expect(entry.parent > cell || is_born, block, || wrong("it was born after its parent's last change"));
        let has_slot = entry.slot < self.meta.slots || (entry.slot == CellEntry::NO_SLOT && self.meta.cells == 1);
        self.expect(has_slot, block, || wrong("its centroid does not exist"));
        let has_rows = !entry.first_rows.is_none();
        let agree = has_rows != entry.last_rows.is_none() && has_rows == (entry.segments > 0);
        self.expect(agree, block, || wrong("first segment, last segment and their number do not agree"));
        let has_tail = !entry.first_tail.is_none();
        self.expect(has_tail != entry.last_tail.is_none(), block, || wrong("only one end of its tail is known"));
    }

    fn reach_segments(&mut self, cell: u32, entry: &CellEntry, entry_block: Block) -> Result<()> {
        let (mut block, mut last) = (entry.first_rows, Block::NONE);
        let (mut rows, mut segments) = (0_u64, 0_u64);
        while !block.is_none() {
            let Some(page) = self.reach(block, Kind::Rows)? else { return Ok(()) };
            let Some(head) = self.accept(RowsHead::read(&page, block, &self.meta))? else { return Ok(()) };
            self.expect(head.cell == cell, block, || format!("is a segment of cell {}, not of {cell}", head.cell));
            self.take_number(page.owner(), block);
            self.reach_segment(&head, &page, block)?;
            rows += head.shape.rows() as u64;
            segments += 1;
            (last, block) = (block, page.next());
        }
        let counted = rows == u64::from(entry.rows) && segments == u64::from(entry.segments);
        self.expect(counted, entry_block, || {
            let (said, of) = (entry.rows, entry.segments);
            format!("cell {cell}: {rows} rows in {segments} segments, the entry says {said} in {of}")
        });
        self.expect(last == entry.last_rows, entry_block, || format!("cell {cell}: its last segment is not the last"));
        Ok(())
    }

    fn reach_segment(&mut self, head: &RowsHead, page: &Page, block: Block) -> Result<()> {
        let dimensions = self.meta.dimensions as usize;
        let rows = head.shape.rows();
        let mut coded = CodedRows::new(dimensions, head.planes);
        coded.high = vec![0; rows * dimensions];
        coded.low = vec![0; if head.planes == 2 { rows * dimensions } else { 0 }];
        let mut is_whole = true;
        for (plane, kind) in [Kind::PlaneA, Kind::PlaneB].into_iter().enumerate().take(usize::from(head.planes)) {
            let codes = if plane == 0 { &mut coded.high } else { &mut coded.low };
            for number in 0..usize::from(head.pages) {
                let code_block = head.code_block(page, plane, number);
                match self.reach_owned(code_block, kind, page.owner())? {
                    Some(code_page) => tile::unfill(head.shape, dimensions, number, code_page.payload(), codes),
                    None => is_whole = false,
                }
            }
        }
        coded.records = (0..rows).filter_map(|row| head.record(page, row)).collect();
        if is_whole && coded.records.len() == rows {
            self.see_segment(head, &coded, block)?;
        }
        Ok(())
    }

    fn see_segment(&mut self, head: &RowsHead, coded: &CodedRows, block: Block) -> Result<()> {
        for row in 0..coded.len() {
            let place = row * coded.dimensions..(row + 1) * coded.dimensions;
            let low = coded.low.get(place.clone()).unwrap_or_default();
            let bytes = [&coded.high[place], low].concat();
            self.see_row(head.cell, head.scale_set, coded.records[row], bytes, block)?;
        }
        Ok(())
    }

    fn reach_tail(&mut self, cell: u32, entry: &CellEntry, entry_block: Block) -> Result<()> {
        let (mut block, mut last, mut sequence) = (entry.first_tail, Block::NONE, entry.first_sequence);
        while !block.is_none() {
            let owner = TailHead::owner(cell, sequence);
            let Some(page) = self.reach_owned(block, Kind::Tail, owner)? else { return Ok(()) };
            self.reach_tail_rows(cell, &page, block)?;
            (last, block) = (block, page.next());
            if !block.is_none() {
                sequence = sequence.wrapping_add(1);
            }
        }
        let is_last = last == entry.last_tail && (last.is_none() || sequence == entry.last_sequence);
        self.expect(is_last, entry_block, || {
            let (of, at) = (entry.last_sequence, entry.last_tail);
            format!("cell {cell}: its tail ends at page {last}, sequence {sequence}, the entry says {at}, {of}")
        });
        Ok(())
    }

    fn reach_tail_rows(&mut self, cell: u32, page: &Page, block: Block) -> Result<()> {
        let Some(head) = self.accept(TailHead::read(page, block, &self.meta))? else { return Ok(()) };
        let row_bytes = TailHead::row_bytes(&self.meta, head.scale_set);
        let mut bytes = page.payload()[TailHead::BYTES..].to_vec();
        if !head.rest.is_none() {
            let Some(rest) = self.reach_rest(&head, row_bytes)? else { return Ok(()) };
            bytes.extend(rest);
        }
        for row in bytes.chunks_exact(row_bytes).take(usize::from(head.rows)) {
            let Some((record, codes)) = row.split_first_chunk() else { return Ok(()) };
            self.see_row(cell, head.scale_set, RowRecord::from_bytes(record), codes.to_vec(), block)?;
        }
        let is_whole = bytes.len() >= usize::from(head.rows) * row_bytes;
        self.expect(is_whole, block, || "the row of a tail is cut off".into());
        Ok(())
    }

    /// Returns the bytes of the rest of a tail's row.
    fn reach_rest(&mut self, head: &TailHead, row_bytes: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut block = head.rest;
        self.take_number(head.number, block);
        while !block.is_none() {
            let Some(page) = self.reach_owned(block, Kind::TailRest, head.number)? else { return Ok(None) };
            self.expect(bytes.len() < row_bytes, block, || "the rest of a row is longer than the row".into());
            bytes.extend_from_slice(page.payload());
            block = page.next();
        }
        Ok(Some(bytes))
    }

    /// Checks what is known of a row, and hands it out unless it is dead.
    fn see_row(&mut self, cell: u32, scale_set: u16, record: RowRecord, bytes: Vec<u8>, block: Block) -> Result<()> {
        let residual = residual_value(record.residual);
        let tid = record.tid;
        let is_number = record.norm >= 0.0 && residual >= 0.0;
        self.expect(is_number, block, || format!("the norm or residual of row {tid:?} is no distance"));
        if scale_set == 0 {
            let is_finite = bytes.as_chunks().0.iter().all(|value| f32::from_le_bytes(*value).is_finite());
            self.expect(is_finite, block, || format!("a value of row {tid:?} is not finite"));
        } else if let Some(Some(scales)) = self.scales.get(usize::from(scale_set) - 1) {
            let is_plausible = is_plausible(scales, &record, &bytes);
            self.expect(is_plausible, block, || {
                format!("the residual {residual} of row {tid:?} does not fit its codes")
            });
        }
        if !record.is_dead {
            (self.visit)(StoredRow { tid, stored: Stored::Vector { cell, scale_set, record, bytes } })?;
        }
        Ok(())
    }

    /// Passes the pages that nothing led to: a crash may leave some kinds, no others.
    fn see_unreachable(&mut self) -> Result<()> {
        for block in (0..self.reached.len() as u32).map(Block) {
            if self.reached[block.0 as usize] {
                continue;
            }
            self.pages.check_interrupt()?;
            let (page, meta) = (self.pages.read(block), self.meta.clone());
            let page = page.map(|page| (page.kind(), page.version(), page.owner()));
            let Some((kind, version, owner)) = self.accept(page)? else { continue };
            match kind {
                Some(Kind::New | Kind::Free) => continue,
                Some(kind) if version == LAYOUT_VERSION => self.see_left(&meta, block, kind, owner)?,
                _ => self.tell(Some(block), format!("is of no known kind or version ({version})")),
            }
            self.checked.unreachable_pages += 1;
        }
        Ok(())
    }

    fn see_left(&mut self, meta: &Meta, block: Block, kind: Kind, owner: u64) -> Result<()> {
        let may_be_left = match kind {
            Kind::Scales | Kind::Centroids | Kind::Quantiles | Kind::Rows => owner < meta.next_number,
            Kind::PlaneA | Kind::PlaneB | Kind::TailRest => owner < meta.next_number,
            Kind::Tail => self.is_folded(meta, owner)?,
            _ => false,
        };
        self.expect(may_be_left, block, || format!("nothing leads to this page of {}, of {owner}", kind.name()));
        Ok(())
    }

    /// Returns whether a tail page's rows are in segments by now.
    fn is_folded(&mut self, meta: &Meta, owner: u64) -> Result<bool> {
        let (cell, sequence) = ((owner >> 32) as u32, owner as u32);
        if cell >= meta.cells {
            return Ok(false);
        }
        let entry = read_entry(self.pages, meta, cell);
        Ok(self.accept(entry)?.is_some_and(|entry| sequence < entry.first_sequence || entry.first_tail.is_none()))
    }
}

/// Returns whether a row's residual fits its codes: they tell its value to half a step where nothing was clamped.
fn is_plausible(scales: &ScaleSet, record: &RowRecord, bytes: &[u8]) -> bool {
    let (high, low) = bytes.split_at(scales.dimensions().min(bytes.len()));
    let (mut coarse, mut exact) = (vec![0.0; high.len()], vec![0.0; high.len()]);
    scales.decode_coarse(high, &mut coarse);
    let codes_apart = if low.is_empty() { 130.0 } else { 2.0 };
    let steps = (0..high.len()).filter_map(|dimension| scales.scale(dimension));
    let slack = codes_apart * steps.map(|scale| f64::from(scale.step()).powi(2)).sum::<f64>().sqrt();
    let known = if low.is_empty() {
        0.0
    } else {
        scales.decode(high, low, &mut exact);
        let squares = exact.iter().zip(&coarse).map(|(exact, coarse)| (f64::from(*exact) - f64::from(*coarse)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let residual = f64::from(residual_value(record.residual));
    // bfloat16 has 8 bits, rounded up; beyond float32 there is only infinity.
    let most = (known + slack) * (1.0 + 1.0 / 64.0);
    // What is clamped may lie anywhere beyond, or so far from the scale's start that float32 does not hold the difference.
    record.is_clamped || (residual >= known - slack && (residual <= most || most >= f64::from(f32::MAX) / 2.0))
}
